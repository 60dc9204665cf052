"""SVHN in pylearn2's form."""

from pathlib import Path

import numpy as np

from pylearn2.datasets.dense_design_matrix import DenseDesignMatrix
from pylearn2.utils.string_utils import preprocess
from xnornet.data import DataError, load
from xnornet.data.svhn import load_folder

__all__ = ["SVHN"]

_SETS = {"splitted_train": "train", "valid": "valid", "test": "test"}


class SVHN(DenseDesignMatrix):
    """Images of house numbers as rows of 3072 numbers from 0 to 255, channel after channel.

    The validation images are those of ``xnornet.data``. Unlike in the other sets, ``y`` is one-hot,
    ``(n, 10)`` of float32: BinaryNet and BinaryConnect turn it into targets of -1 and 1 as it is.

    Parameters
    ----------
    which_set : {'splitted_train', 'valid', 'test'}
    path : str, optional
        The folder of the ``.mat`` files, with ``${VARIABLES}``; by default where ``xnornet.data`` keeps them.
    axes : sequence
        ``('b', 'c', 0, 1)`` only: the order that rows have.

    Raises
    ------
    xnornet.data.DataError
        The set or the order of axes does not exist, or files are missing and cannot be downloaded.
    """

    def __init__(self, which_set, path=None, center=False, axes=("b", "c", 0, 1)):
        if which_set not in _SETS:
            raise DataError(f"which_set is {which_set!r}; svhn has {', '.join(map(repr, _SETS))}")
        if tuple(axes) != ("b", "c", 0, 1):
            raise DataError(f"axes are {tuple(axes)}; svhn has ('b', 'c', 0, 1)")
        dataset = load("svhn") if path is None else load_folder(Path(preprocess(path)))
        split = getattr(dataset, _SETS[which_set])
        X = split.images.bytes.reshape(len(split), -1).astype("float32")
        super().__init__(X - 127.5 if center else X, np.eye(10, dtype="float32")[split.labels])
