"""Datasets with ``X`` and ``y`` as pylearn2 gave them."""

__all__ = ["DenseDesignMatrix"]


class DenseDesignMatrix:
    """Images as rows, and their classes; both may be assigned.

    Attributes
    ----------
    X : float32 array, ``(n, pixels)``
    y : integer array, ``(n, 1)``
    """

    def __init__(self, X, y):
        self.X, self.y = X, y
