"""The loop: loss, updates, epochs, checkpoints, curves."""

from xnornet.training.checkpoint import checkpoint_path
from xnornet.training.loop import check_out, train
from xnornet.training.recipes import RECIPES, Recipe, recipe_of
from xnornet.training.weights import header_path, load_header, load_weights, save_weights

__all__ = [
    "RECIPES",
    "Recipe",
    "check_out",
    "checkpoint_path",
    "header_path",
    "load_header",
    "load_weights",
    "recipe_of",
    "save_weights",
    "train",
]
