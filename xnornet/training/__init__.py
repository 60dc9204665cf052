"""The loop: loss, updates, epochs, checkpoints, curves."""

from xnornet.training.checkpoint import checkpoint_path
from xnornet.training.loop import check_out, train
from xnornet.training.recipes import RECIPES, Recipe

__all__ = [
    "RECIPES",
    "Recipe",
    "check_out",
    "checkpoint_path",
    "train",
]
