"""Pickle files, read without running code from them."""

import pickle
from pathlib import Path

from pylearn2.datasets import preprocessing
from pylearn2.datasets.cifar10 import CIFAR10
from pylearn2.datasets.dense_design_matrix import DenseDesignMatrix
from pylearn2.datasets.mnist import MNIST
from pylearn2.datasets.svhn import SVHN
from pylearn2.datasets.zca_dataset import ZCA_Dataset
from pylearn2.utils.string_utils import preprocess
from xnornet.data.pickles import read_objects
from xnornet.disk import replacing

__all__ = ["load", "mkdir", "save"]

_PREPROCESSORS = [getattr(preprocessing, name) for name in preprocessing.__all__ if name[0].isupper()]
_CLASSES = {
    f"{kind.__module__}.{kind.__name__}": kind
    for kind in (DenseDesignMatrix, CIFAR10, MNIST, SVHN, ZCA_Dataset, *_PREPROCESSORS)
}


def load(filepath):
    """Load a file that :func:`save` or pylearn2's ``serial.save`` wrote.

    It may contain datasets, preprocessors, arrays, numbers, text, lists and dictionaries. Other objects in
    pylearn2's datasets (spaces, views, random number generators) are ignored.

    Raises
    ------
    ValueError
        A variable in the path is not set.
    xnornet.data.DataError
        The file cannot be read, or contains something else.
    """
    return read_objects(Path(preprocess(filepath)), _CLASSES, ("pylearn2", "numpy.random"))


def save(filepath, obj):
    """Pickle a dataset, a preprocessor or a dictionary to a file, whose path may have variables."""
    with replacing(preprocess(str(filepath))) as file:
        pickle.dump(obj, file, protocol=2)


def mkdir(filepath):
    """Make a folder, if it is not there, and those above it."""
    Path(preprocess(str(filepath))).mkdir(parents=True, exist_ok=True)
