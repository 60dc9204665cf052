"""SVHN's cropped digits from their ``.mat`` files, under ``SVHN/format2/``.

``extra_32x32.mat`` has 531,131 images, 1.6 GB as bytes. So that memory suffices, images stay bytes, and one
file at a time is loaded.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from xnornet.data.dataset import Dataset, Pixels, Split, data_path, mismatch
from xnornet.data.matlab import describe, read_array
from xnornet.data.mirrors import fetch
from xnornet.hints import StrPath

__all__ = ["EXTRA", "EXTRA_SIZE", "HOME", "load", "load_folder", "provide", "published"]

MIRRORS = ("http://ufldl.stanford.edu/housenumbers/",)
HOME = "SVHN/format2"
TRAIN, TEST, EXTRA = "train_32x32.mat", "test_32x32.mat", "extra_32x32.mat"
CHECKSUMS = {
    TRAIN: "e26dedcc434d2e4c54c9b2d4a06d8373",
    TEST: "eb5a983be6a315427106f1b164d9cef3",
    EXTRA: "a93ce644f1a588dc4d68dda5feec44a7",
}
EXTRA_SIZE = "1.3 GB"
NUM_CLASSES = 10
IMAGE_SHAPE = (3, 32, 32)
# Sermanet, Chintala and LeCun, arXiv 1204.3968, section 3.1.
VALID_FROM_TRAIN, VALID_FROM_EXTRA = 400, 200
IMAGES_AT_A_TIME = 250
NUMBERS = ("double", "single", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64")


def load(path: StrPath | None = None, download: bool = True) -> Dataset:
    """Load SVHN: 69,257 training, 4,000 validation and 26,032 test images of ``(3, 32, 32)``.

    The validation images are 400 training images of each class, drawn with a fixed seed. If
    ``extra_32x32.mat`` exists, 200 of its images of each class are added to them, and its other images to the
    training images: 598,388 and 6,000 in all. Labels are the digits; label 10 of the files is digit 0. Images
    are kept as bytes and read as
    ``(2 * p / 255 - 1) * 127 / 128``.

    Parameters
    ----------
    path : str or Path, optional
        The folder that holds ``SVHN/format2/``; see `xnornet.data.data_path` for the default.
    download : bool
        Download the training and the test file (246 MB) if they are missing. The extra file (1.3 GB) is not
        downloaded here; see `xnornet.data.download`.

    Returns
    -------
    Dataset

    Raises
    ------
    DataError
        If a file is missing or is not what it should be.
    """
    return load_folder(data_path(path) / HOME, download)


def load_folder(
    folder: Path, download: bool = True, valid_counts: tuple[int, int] = (VALID_FROM_TRAIN, VALID_FROM_EXTRA)
) -> Dataset:
    """Load the files in one folder.

    Parameters
    ----------
    folder : Path
        Where the files are, and where missing ones are downloaded to.
    download : bool
        Download the training and the test file if they are missing.
    valid_counts : tuple of int
        Images of each class that the training and the extra file give for validation.

    Returns
    -------
    Dataset
    """
    provide(folder, download, (TRAIN, TEST))
    files = [folder / name for name in (TRAIN, EXTRA) if (folder / name).is_file()]
    labels = [_read_labels(file) for file in files]
    chosen = [_choose(*given) for given in zip(files, labels, valid_counts, strict=False)]
    num_valid = sum(int(rows.sum()) for rows in chosen)
    num_train = sum(map(len, labels)) - num_valid
    train, valid = (np.empty((count, *IMAGE_SHAPE), np.uint8) for count in (num_train, num_valid))
    filled = [0, 0]
    for file, rows in zip(files, chosen, strict=True):
        _copy_images(file, [~rows, rows], [train, valid], filled)
    train_labels, valid_labels = (
        np.concatenate([all_of[rows == wanted] for all_of, rows in zip(labels, chosen, strict=True)])
        for wanted in (False, True)
    )
    return Dataset(
        "svhn",
        NUM_CLASSES,
        Split(Pixels(train), train_labels),
        Split(Pixels(valid), valid_labels),
        _read_split(folder / TEST),
    )


def provide(folder: Path, download: bool = True, names: Iterable[str] = tuple(CHECKSUMS)) -> None:
    """Download those of the named files that are missing.

    Parameters
    ----------
    folder : Path
    download : bool
        If False, only say which is missing.
    names : sequence of str

    Raises
    ------
    DataError
        If a file cannot be downloaded.
    """
    checksums = {name: CHECKSUMS[name] for name in names}
    for name in names:
        if not (folder / name).is_file():
            fetch(folder, name, MIRRORS, checksums, download, HOME)


def published(folder: Path) -> dict[Path, str]:
    """Return MD5 of each file as published, by the path where the file is or would be."""
    return {folder / name: md5 for name, md5 in CHECKSUMS.items()}


def _choose(file, labels, count):
    """Mark ``count`` rows of each class, always the same of the same file."""
    rng = np.random.default_rng(0)
    chosen = np.zeros(len(labels), bool)
    for digit in range(NUM_CLASSES):
        rows = np.flatnonzero(labels == digit)
        if len(rows) < count:
            expected = f"{count} images of the digit {digit} or more, to choose those for validation"
            raise mismatch(file, expected, f"{len(rows)}")
        chosen[rng.choice(rows, count, replace=False)] = True
    return chosen


def _read_labels(file):
    """Labels of a file whose arrays have the right form, ``(n,)``."""
    arrays = describe(file)
    for name in ("X", "y"):
        if name not in arrays:
            raise mismatch(
                file, f"the variable {name}", f"only {', '.join(map(repr, sorted(arrays))) or 'none'}"[:100]
            )
    (kind, shape), (label_kind, label_shape) = arrays["X"], arrays["y"]
    if kind != "uint8" or shape[:3] != (32, 32, 3) or len(shape) != 4 or not shape[3]:
        raise mismatch(
            file, "X of class uint8 and shape (32, 32, 3, n), with n images", f"{kind} and {shape}"
        )
    if label_kind not in NUMBERS or label_shape != (shape[3], 1):
        expected = f"y with numbers and shape {(shape[3], 1)}, as X has {shape[3]} images"
        raise mismatch(file, expected, f"{label_kind} and {label_shape}")
    labels = read_array(file, "y").ravel()
    if labels.dtype.kind == "c":
        raise mismatch(file, "labels from 1 to 10", "complex numbers")
    known = np.isin(labels, np.arange(1, 11))
    if not known.all():
        raise mismatch(file, "labels from 1 to 10", f"{labels[~known][0]}")
    return (labels % 10).astype(np.int32)


def _copy_images(file, choices, targets, filled):
    """Append to each target the rows of the file that its choice marks."""
    stored = read_array(file, "X")
    if stored.dtype != np.uint8 or stored.shape[3] != len(choices[0]):
        raise mismatch(file, "X as the file's own header describes it", f"{stored.dtype} {stored.shape}")
    images = stored.transpose(3, 2, 0, 1)
    # A piece at a time, since rows chosen by a mask are a copy.
    for first in range(0, len(images), IMAGES_AT_A_TIME):
        piece = images[first : first + IMAGES_AT_A_TIME]
        for k, (chosen, target) in enumerate(zip(choices, targets, strict=True)):
            wanted = piece[chosen[first : first + len(piece)]]
            target[filled[k] : filled[k] + len(wanted)] = wanted
            filled[k] += len(wanted)


def _read_split(file):
    labels = _read_labels(file)
    images = np.empty((len(labels), *IMAGE_SHAPE), np.uint8)
    _copy_images(file, [np.ones(len(labels), bool)], [images], [0])
    return Split(Pixels(images), labels)
