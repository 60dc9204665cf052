"""Datasets by name: found on disk or downloaded, checked, and scaled to [-1, 1].

Files lie where pylearn2 kept them, one folder a dataset under ``$PYLEARN2_DATA_PATH``. Batches,
shuffling and augmentation are left to the training loop.
"""

from xnornet.data import cifar10, digits, mnist, svhn
from xnornet.data.dataset import DataError, Dataset, Split, data_path

__all__ = ["NAMES", "DataError", "Dataset", "Split", "data_path", "load"]

_LOADERS = {
    "digits": digits.load,
    "mnist": mnist.load,
    "cifar10": cifar10.load,
    "svhn": svhn.load,
}

NAMES = tuple(_LOADERS)


def load(name, path=None, download=True):
    """Load a dataset.

    Parameters
    ----------
    name : str
        One of ``NAMES``.
    path : str or Path, optional
        The folder that holds the datasets' folders; see `data_path` for the default.
    download : bool
        Download the files that are missing.

    Returns
    -------
    Dataset

    Raises
    ------
    DataError
        If the name is unknown, or a file is missing or is not what it should be.
    """
    if name not in _LOADERS:
        raise DataError(f"dataset {name!r} is unknown; choose one of {', '.join(NAMES)}")
    return _LOADERS[name](path=path, download=download)
