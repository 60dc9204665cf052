"""Datasets by name: found on disk or downloaded, checked, and scaled to [-1, 1].

Files lie where pylearn2 kept them, one folder a dataset under ``$PYLEARN2_DATA_PATH``. Batches,
shuffling and augmentation are left to the training loop.
"""

from xnornet.data import cifar10, digits, mnist, svhn
from xnornet.data.dataset import DataError, Dataset, Split, data_path
from xnornet.data.files import ON_DISK, Report, check, download, folder_of
from xnornet.data.whitening import Whitening

__all__ = [
    "NAMES",
    "ON_DISK",
    "DataError",
    "Dataset",
    "Report",
    "Split",
    "Whitening",
    "check",
    "data_path",
    "download",
    "folder_of",
    "load",
]

_LOADERS = {
    "digits": digits.load,
    "mnist": mnist.load,
    "cifar10": cifar10.load,
    "svhn": svhn.load,
}

NAMES = tuple(_LOADERS)


def load(name, path=None, download=True, whiten=None):
    """Load a dataset.

    Parameters
    ----------
    name : str
        One of ``NAMES``.
    path : str or Path, optional
        The folder that holds the datasets' folders; see `data_path` for the default.
    download : bool
        Download the files that are missing.
    whiten : bool or Whitening, optional
        True fits a whitening to the training images, which the dataset then has as ``whitening``; a
        `Whitening` is applied as it is, as a network needs that was trained with it. Color images only.

    Returns
    -------
    Dataset

    Raises
    ------
    DataError
        If the name is unknown, a file is missing or is not what it should be, or the images cannot be
        whitened.
    """
    if name not in _LOADERS:
        raise DataError(f"dataset {name!r} is unknown; choose one of {', '.join(NAMES)}")
    dataset = _LOADERS[name](path=path, download=download)
    if whiten is None or whiten is False:
        return dataset
    dataset.check_color()
    if whiten is True:
        whiten = Whitening.fit(dataset.train.images.bytes)
    return dataset.whitened(whiten)
