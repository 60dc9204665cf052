"""The loop: loss, updates, epochs, checkpoints, curves."""

from xnornet.training.loop import TrainingError, train
from xnornet.training.recipes import RECIPES, Recipe

__all__ = ["RECIPES", "Recipe", "TrainingError", "train"]
