"""How each network is trained unless told otherwise."""

from dataclasses import dataclass

__all__ = ["RECIPES", "Recipe"]


@dataclass(frozen=True)
class Recipe:
    """Numbers of a training run.

    Attributes
    ----------
    epochs : int
    batch_size : int
    lr, lr_end : float
        Adam's rate in the first and in the last epoch; it decays by the same factor each epoch.
    seed : int
        Of the initial weights, of dropout and of the order of the images.

    Raises
    ------
    ValueError
        A number that is out of range.
    """

    epochs: int
    batch_size: int
    lr: float
    lr_end: float
    seed: int = 0

    def __post_init__(self):
        for name in ("epochs", "batch_size", "lr", "lr_end"):
            value = getattr(self, name)
            if not 0 < value < float("inf"):
                raise ValueError(f"{name} is {value}; it takes a positive number")
        if self.seed < 0:
            raise ValueError(f"seed is {self.seed}; it takes a number that is not negative")

    def lr_at(self, epoch):
        """Adam's rate in an epoch, counted from 0."""
        return self.lr * (self.lr_end / self.lr) ** (epoch / max(1, self.epochs - 1))


RECIPES = {
    "digits_mlp": Recipe(epochs=40, batch_size=50, lr=0.01, lr_end=0.0003),
    "mnist_mlp": Recipe(epochs=10, batch_size=200, lr=0.03, lr_end=0.0003),
    "mnist_convnet": Recipe(epochs=12, batch_size=100, lr=0.01, lr_end=0.0001),
}
