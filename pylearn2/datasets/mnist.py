"""MNIST in pylearn2's form."""

from pylearn2.datasets.dense_design_matrix import DenseDesignMatrix
from pylearn2.datasets.pixels import read

__all__ = ["MNIST"]


class MNIST(DenseDesignMatrix):
    """60,000 training and 10,000 test images of 28 x 28 as rows of 784 numbers in [0, 1].

    Parameters
    ----------
    which_set : {'train', 'test'}
    center : bool
        Subtract each pixel's mean over the images.
    start, stop : int, optional
        Take the rows from ``start`` to before ``stop``, before they are centered.

    Raises
    ------
    xnornet.data.DataError
        The set or the rows do not exist, or files are missing and cannot be downloaded.
    """

    def __init__(self, which_set, center=False, start=None, stop=None):
        X, y = read("mnist", which_set, start, stop)
        X /= 255
        if center:
            X -= X.mean(axis=0)
        super().__init__(X, y)
