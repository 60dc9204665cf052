"""CIFAR-10 in pylearn2's form."""

from pylearn2.datasets.dense_design_matrix import DenseDesignMatrix
from pylearn2.datasets.pixels import read
from pylearn2.datasets.preprocessing import global_contrast_normalize

__all__ = ["CIFAR10"]


class CIFAR10(DenseDesignMatrix):
    """50,000 training and 10,000 test images as rows of 3072 numbers from 0 to 255, channel after channel.

    Parameters
    ----------
    which_set : {'train', 'test'}
    center : bool
        Subtract 127.5, half of a pixel's largest value.
    rescale : bool
        Divide by 127.5.
    gcn : float, optional
        Subtract each image's mean, and scale it to this norm.
    start, stop : int, optional
        Take the rows from ``start`` to before ``stop``.

    Raises
    ------
    xnornet.data.DataError
        The set or the rows do not exist, or files are missing and cannot be downloaded.
    """

    def __init__(self, which_set, center=False, rescale=False, gcn=None, start=None, stop=None):
        X, y = read("cifar10", which_set, start, stop)
        if center:
            X -= 127.5
        if rescale:
            X /= 127.5
        super().__init__(X if gcn is None else global_contrast_normalize(X, scale=gcn), y)
