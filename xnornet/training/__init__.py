"""The loop: loss, updates, epochs, checkpoints, curves."""

from xnornet.training.loop import TrainingError, train
from xnornet.training.recipes import RECIPES, SCHEDULES, Recipe
from xnornet.training.stop import Stopped

__all__ = ["RECIPES", "SCHEDULES", "Recipe", "Stopped", "TrainingError", "train"]
