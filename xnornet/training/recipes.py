"""How each network is trained unless told otherwise."""

import math
from dataclasses import dataclass

from xnornet.catalog import ARITHMETICS, SCHEDULES

__all__ = ["RECIPES", "Recipe"]


@dataclass(frozen=True)
class Recipe:
    """Choices of a training run.

    Attributes
    ----------
    epochs : int
    batch_size : int
    lr, lr_end : float
        Adam's rate in the first and in the last epoch; one epoch alone takes the first.
    schedule : str
        How it gets from one to the other: ``'exponential'``, by the same factor each epoch, or
        ``'cosine'``, along half a wave.
    augment : bool
        Crop the training images at random; mirror those of CIFAR-10, and put holes in them.
    gradients : str
        Arithmetic of the binary layers' gradients, one of ``xnornet.catalog.ARITHMETICS``.
    seed : int
        Of the initial weights, of dropout, and of order and augmentation of the images.

    Raises
    ------
    ValueError
        A number that is out of range, or an unknown schedule or arithmetic.
    """

    epochs: int
    batch_size: int
    lr: float
    lr_end: float
    schedule: str = "exponential"
    augment: bool = False
    gradients: str = "int16"
    seed: int = 0

    def __post_init__(self):
        for name in ("epochs", "batch_size", "lr", "lr_end"):
            value = getattr(self, name)
            if not 0 < value < float("inf"):
                raise ValueError(f"{name} is {value}; it takes a positive number")
        if self.seed < 0:
            raise ValueError(f"seed is {self.seed}; it takes a number that is not negative")
        if self.schedule not in SCHEDULES:
            raise ValueError(f"schedule is {self.schedule!r}; it takes {' or '.join(SCHEDULES)}")
        if self.gradients not in ARITHMETICS:
            raise ValueError(f"gradients is {self.gradients!r}; it takes {' or '.join(ARITHMETICS)}")

    def lr_at(self, epoch):
        """Adam's rate in an epoch, counted from 0."""
        done = epoch / max(1, self.epochs - 1)
        if self.schedule == "cosine":
            return self.lr_end + (self.lr - self.lr_end) * (1 + math.cos(math.pi * done)) / 2
        return self.lr * (self.lr_end / self.lr) ** done


RECIPES = {
    "digits_mlp": Recipe(epochs=40, batch_size=50, lr=0.01, lr_end=0.0003),
    "mnist_mlp": Recipe(20, 200, lr=0.01, lr_end=1e-5, schedule="cosine", augment=True),
    "mnist_convnet": Recipe(15, 100, lr=0.01, lr_end=1e-5, schedule="cosine", augment=True),
    "cifar10_convnet": Recipe(160, 100, lr=0.005, lr_end=1e-5, schedule="cosine", augment=True),
    "cifar10_resnet18": Recipe(160, 100, lr=0.005, lr_end=1e-5, schedule="cosine", augment=True),
    "svhn_convnet": Recipe(30, 50, lr=0.005, lr_end=1e-5, schedule="cosine", augment=True),
}
