"""The loop: loss, updates, epochs, checkpoints, curves."""

from xnornet.training.checkpoint import checkpoint_path
from xnornet.training.loop import TrainingError, check_out, train
from xnornet.training.recipes import RECIPES, SCHEDULES, Recipe
from xnornet.training.stop import Stopped

__all__ = [
    "RECIPES",
    "SCHEDULES",
    "Recipe",
    "Stopped",
    "TrainingError",
    "check_out",
    "checkpoint_path",
    "train",
]
