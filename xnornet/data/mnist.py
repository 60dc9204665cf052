"""MNIST from its four idx files, plain or gzipped, under ``mnist/``.

A file's header is compared with the known sizes of MNIST before it is used, and no more bytes are read
than MNIST has.
"""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xnornet.data.dataset import Dataset, Pixels, Split, data_path, mismatch
from xnornet.data.mirrors import fetch
from xnornet.errors import DataError
from xnornet.hints import Shape, StrPath

__all__ = ["HOME", "load", "load_folder", "provide", "published", "read_idx"]

HOME = "mnist"

MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
CHECKSUMS = {
    "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
    "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
    "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
}
# Of the same four files, unpacked: packing them again leaves these as they are.
UNPACKED_CHECKSUMS = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
COUNTS = (50000, 10000, 10000)
NUM_CLASSES = 10
HEIGHT, WIDTH = 28, 28

UNSIGNED_BYTE = 0x08


def load(path: StrPath | None = None, download: bool = True) -> Dataset:
    """Load MNIST: 50,000 training, 10,000 validation and 10,000 test images of ``(1, 28, 28)``.

    The validation images are the last of the training file. Pixels are kept as bytes, and scaled by
    `scale_bytes` when they are read.

    Parameters
    ----------
    path : str or Path, optional
        The folder that holds ``mnist/``; see `xnornet.data.data_path` for the default.
    download : bool
        Download the files that are missing.

    Returns
    -------
    Dataset

    Raises
    ------
    DataError
        If a file is missing or is not what it should be.
    """
    return load_folder(data_path(path) / HOME, download)


def load_folder(folder: Path, download: bool = True, counts: tuple[int, int, int] = COUNTS) -> Dataset:
    """Load the four files in one folder.

    Parameters
    ----------
    folder : Path
        Where the files are, and where missing ones are downloaded to.
    download : bool
        Download the files that are missing.
    counts : tuple of int
        Images for training, for validation and for testing: exactly as many as there must be.

    Returns
    -------
    Dataset
    """
    num_train, num_valid, num_test = counts
    images, labels = _read_pair(folder, "train", num_train + num_valid, download)
    train = Split(images.chosen(slice(num_train)), labels[:num_train])
    valid = Split(images.chosen(slice(num_train, None)), labels[num_train:])
    test = Split(*_read_pair(folder, "t10k", num_test, download))
    return Dataset("mnist", NUM_CLASSES, train, valid, test)


def read_idx(file: Path, shape: Shape) -> NDArray[np.uint8]:
    """Read an idx file of unsigned bytes.

    The format: two zero bytes, a byte for the type, a byte for the number of dimensions, each
    dimension as a big-endian 32-bit integer, then the elements in C order.

    Parameters
    ----------
    file : Path
        The file; it is taken for gzipped if its name ends in ``.gz``.
    shape : tuple of int
        The dimensions that it must have.

    Returns
    -------
    uint8 array, of the given shape, read-only

    Raises
    ------
    DataError
        If the file cannot be read, or holds anything else or anything more.
    """
    header_size = 4 + 4 * len(shape)
    size = header_size + math.prod(shape)
    content = _read_bytes(file, size + 1)
    if len(content) < header_size:
        raise mismatch(file, f"{size} bytes", f"{len(content)}")
    magic, *dimensions = struct.unpack_from(f">{1 + len(shape)}I", content)
    expected_magic = UNSIGNED_BYTE << 8 | len(shape)
    if magic != expected_magic:
        raise mismatch(file, f"magic number 0x{expected_magic:08x}", f"0x{magic:08x}")
    if tuple(dimensions) != tuple(shape):
        raise mismatch(file, f"dimensions {_times(shape)}", _times(dimensions))
    if len(content) != size:
        found = "more" if len(content) > size else f"{len(content)}"
        raise mismatch(file, f"{size} bytes", found)
    return np.frombuffer(content, np.uint8, offset=header_size).reshape(shape)


def _read_bytes(file, limit):
    opened = gzip.open if file.suffix == ".gz" else open
    try:
        with opened(file, "rb") as stream:
            return stream.read(limit)
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise mismatch(file, "a whole gzip file", f"a damaged one ({error})") from error
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror}); make it readable") from error


def _times(dimensions):
    return "x".join(map(str, dimensions))


def _read_pair(folder, prefix, count, download):
    images_file = _locate(folder, f"{prefix}-images-idx3-ubyte", download)
    labels_file = _locate(folder, f"{prefix}-labels-idx1-ubyte", download)
    images = read_idx(images_file, (count, HEIGHT, WIDTH))
    labels = read_idx(labels_file, (count,))
    if labels.max() >= NUM_CLASSES:
        raise mismatch(labels_file, f"labels from 0 to {NUM_CLASSES - 1}", f"{labels.max()}")
    return Pixels(images[:, np.newaxis]), labels.astype(np.int32)


def provide(folder: Path, download: bool = True) -> None:
    """Download the files that are missing; see `xnornet.data.download`."""
    for name in UNPACKED_CHECKSUMS:
        _locate(folder, name, download)


def published(folder: Path) -> dict[Path, str]:
    """Return MD5 of each file as published, unpacked, by the path where the file is or would be."""
    return {_find(folder, name) or folder / f"{name}.gz": md5 for name, md5 in UNPACKED_CHECKSUMS.items()}


def _locate(folder, name, download):
    return _find(folder, name) or fetch(folder, f"{name}.gz", MIRRORS, CHECKSUMS, download)


def _find(folder, name):
    dotted = name.replace("-idx", ".idx")
    for candidate in (name, dotted, f"{name}.gz", f"{dotted}.gz"):
        if (folder / candidate).is_file():
            return folder / candidate
    return None
