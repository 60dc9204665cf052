"""The default training options of each network."""

import math
from dataclasses import dataclass, fields, replace

from xnornet.catalog import ARITHMETICS, LOSSES, OPTIMIZERS, SCHEDULES
from xnornet.errors import NetworkError

__all__ = ["RECIPES", "Recipe", "recipe_of"]

CHOICES = {"schedule": SCHEDULES, "gradients": ARITHMETICS, "optimizer": OPTIMIZERS, "loss": LOSSES}


@dataclass(frozen=True)
class Recipe:
    """Choices of a training run.

    Attributes
    ----------
    epochs : int
    batch_size : int
    lr, lr_end : float
        The optimizer's rate in the first and in the last epoch; one epoch alone takes the first.
    schedule : str
        How the rate falls from one to the other: ``'exponential'``, by the same factor each epoch, or
        ``'cosine'``, along half a period.
    augment : bool
        Crop the training images at random; mirror those of CIFAR-10, and put holes in them.
    optimizer : str
        ``'adam'``, or ``'momentum'``, Nesterov's of 0.9.
    weight_decay : float
        Share of each weight, times the rate, that a step subtracts independently of the gradient (Loshchilov
        and Hutter, arXiv 1711.05101). Biases and offsets have no decay.
    loss : str
        ``'hinge'``, squared, or ``'crossentropy'`` of the softmax of the scores.
    label_smoothing : float
        Share of the cross entropy's target that all classes get in equal parts.
    patience : int
        Stop after this many epochs without a lower error on validation images; 0 for never.
    gradients : str
        Arithmetic of the binary layers' gradients, one of ``xnornet.catalog.ARITHMETICS``.
    seed : int
        Of the initial weights, of dropout, and of order and augmentation of the images.

    Raises
    ------
    ValueError
        A number that is out of range, or an unknown name.
    """

    epochs: int
    batch_size: int
    lr: float
    lr_end: float
    schedule: str = "exponential"
    augment: bool = False
    gradients: str = "int16"
    seed: int = 0
    optimizer: str = "adam"
    weight_decay: float = 0.0
    loss: str = "hinge"
    label_smoothing: float = 0.0
    patience: int = 0

    def __post_init__(self):
        for name in ("epochs", "batch_size", "lr", "lr_end"):
            value = getattr(self, name)
            if not 0 < value < float("inf"):
                raise ValueError(f"{name} is {value}; it takes a positive number")
        for name in ("seed", "weight_decay", "patience"):
            value = getattr(self, name)
            if not 0 <= value < float("inf"):
                raise ValueError(f"{name} is {value}; it takes a number that is not negative")
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(f"label_smoothing is {self.label_smoothing}; it takes 0 to less than 1")
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} is {getattr(self, name)!r}; it takes {' or '.join(choices)}")
        if self.label_smoothing and self.loss != "crossentropy":
            raise ValueError("label_smoothing is for the loss crossentropy; choose that, or leave it out")

    def lr_at(self, epoch):
        """The rate in an epoch, counted from 0."""
        done = epoch / max(1, self.epochs - 1)
        if self.schedule == "cosine":
            return self.lr_end + (self.lr - self.lr_end) * (1 + math.cos(math.pi * done)) / 2
        return self.lr * (self.lr_end / self.lr) ** done


RECIPES = {
    "digits_mlp": Recipe(epochs=40, batch_size=50, lr=0.01, lr_end=0.0003),
    "mnist_mlp": Recipe(30, 200, lr=0.01, lr_end=1e-5, schedule="cosine", augment=True),
    "mnist_convnet": Recipe(40, 100, lr=0.01, lr_end=1e-5, schedule="cosine", augment=True),
    "cifar10_convnet": Recipe(160, 100, lr=0.005, lr_end=1e-5, schedule="cosine", augment=True),
    "cifar10_resnet18": Recipe(160, 100, lr=0.005, lr_end=1e-5, schedule="cosine", augment=True),
    "svhn_convnet": Recipe(30, 50, lr=0.005, lr_end=1e-5, schedule="cosine", augment=True),
}

# Of a network of the user's whose module has none.
OWN = Recipe(epochs=30, batch_size=50, lr=0.005, lr_end=1e-5, schedule="cosine")


def recipe_of(source, **chosen):
    """The recipe of a network, with what is chosen otherwise.

    Parameters
    ----------
    source : xnornet.networks.Source
    **chosen
        Fields of `Recipe`; those that are None are left as they are.

    Returns
    -------
    Recipe

    Raises
    ------
    ValueError
        As `Recipe`.
    NetworkError
        ``RECIPE`` of the network's module is no recipe.
    """
    recipe = RECIPES.get(source.name, OWN)
    if isinstance(source.recipe, Recipe):
        recipe = source.recipe
    elif source.recipe is not None:
        try:
            recipe = replace(recipe, **source.recipe)
        except (TypeError, ValueError) as error:
            names = ", ".join(field.name for field in fields(Recipe))
            raise NetworkError(
                f"{source.name}: RECIPE should be a dictionary of {names}; it does not fit ({error})"
            ) from error
    return replace(recipe, **{name: value for name, value in chosen.items() if value is not None})
