"""Datasets, by name or the user's own: found on disk or downloaded, checked, and scaled to [-1, 1].

Datasets with a name are stored where pylearn2 stored them, in one folder each below ``$PYLEARN2_DATA_PATH``.
Batches, shuffling and augmentation are left to the training loop.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xnornet.catalog import NETWORKS_OF
from xnornet.data import cifar10, digits, mnist, svhn
from xnornet.data.arrays import load_npz
from xnornet.data.census import Census, census
from xnornet.data.dataset import LEVELS, Dataset, Split, data_path
from xnornet.data.files import Report, check, download, folder_of
from xnornet.data.folders import from_folder
from xnornet.data.preprocessing import load_whitening, preprocessing_of, save_whitening, whitening_path
from xnornet.data.whitening import Whitening
from xnornet.errors import DataError
from xnornet.hints import StrPath

__all__ = [
    "Census",
    "DataError",
    "Dataset",
    "Report",
    "Split",
    "Whitening",
    "census",
    "check",
    "class_names",
    "data_path",
    "download",
    "folder_of",
    "levels",
    "load",
    "load_images",
    "load_whitening",
    "preprocessing_of",
    "save_whitening",
    "whitening_path",
]

_LOADERS = dict(zip(NETWORKS_OF, (digits.load, mnist.load, cifar10.load, svhn.load), strict=True))


def load(
    name: str, path: StrPath | None = None, download: bool = True, whiten: bool | Whitening | None = None
) -> Dataset:
    """Load a dataset.

    Parameters
    ----------
    name : str
        A key of ``xnornet.catalog.NETWORKS_OF``.
    path : str or Path, optional
        The folder that holds the datasets' folders; see `data_path` for the default.
    download : bool
        Download the files that are missing.
    whiten : bool or Whitening, optional
        True fits a whitening to the training images and stores it as ``whitening`` of the dataset. A
        `Whitening` is applied as it is: a network needs the one that it was trained with. Color images only.

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
        raise DataError(f"dataset {name!r} is unknown; choose one of {', '.join(_LOADERS)}")
    return _whitened(_LOADERS[name](path=path, download=download), whiten)


def load_images(
    path: StrPath,
    size: tuple[int, int] | None = None,
    color: str | None = None,
    skip_bad: bool = False,
    whiten: bool | Whitening | None = None,
    report: Callable[[str], object] = print,
) -> Dataset:
    """Load the user's own images.

    Parameters
    ----------
    path : str or Path
        A folder of pictures or an ``.npz`` file; see `from_folder` and `load_npz`.
    size, color, skip_bad, report : as in `from_folder`
        An ``.npz`` file takes none of them, as its arrays are used as they are.
    whiten : as in `load`

    Returns
    -------
    Dataset

    Raises
    ------
    DataError
        The images are not of the required form. The message says what to change.
    """
    path = Path(path)
    if not path.is_dir() and path.suffix != ".npz":
        found = "is neither" if path.exists() else "not found"
        raise DataError(f"{path}: {found}; images come as a folder of pictures or as an .npz file")
    dataset = from_folder(path, size, color, skip_bad, report) if path.is_dir() else load_npz(path, report)
    return _whitened(dataset, whiten)


def _whitened(dataset, whiten):
    if whiten is None or whiten is False:
        return dataset
    dataset.check_color()
    if whiten is True:
        whiten = Whitening.fit(dataset.train.images.bytes)
    return dataset.whitened(whiten)


def levels(name: str | None) -> NDArray[np.float32]:
    """The float32 numbers, in [-1, 1], that pixels of 0, 1, ... become in a dataset of this name."""
    return digits.LEVELS if name == "digits" else LEVELS


def class_names(name: str) -> tuple[str, ...]:
    """Names of the classes of a dataset of this name."""
    return cifar10.CLASS_NAMES if name == "cifar10" else tuple("0123456789")
