"""The user's own images as arrays, in memory or in an ``.npz`` file: checked before anything is trained.

Folders of pictures are left to `xnornet.data.folders`.
"""

import math
import shutil
import zipfile
import zlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xnornet.archives import as_model_error, read_array_headers, write_atomically
from xnornet.catalog import COLORS, NETWORKS_OF
from xnornet.data.dataset import Dataset, Pixels, Split
from xnornet.data.stored import Stored, chosen, in_parts, stays_on_disk
from xnornet.errors import DataError, ModelError, WriteError

__all__ = ["check_class_names", "from_arrays", "load_npz", "own_name", "split_rows"]

SPLITS = ("train", "valid", "test")
REQUIRED = ("X_train", "y_train", "X_test", "y_test")
OPTIONAL = ("X_valid", "y_valid", "class_names")

# Share of each class for validation, and for the test, where the user gives no such split.
SHARE = 0.15


def split_rows(labels: NDArray, parts: int, seed: int = 0) -> list[NDArray]:
    """Split rows into parts at random, class by class.

    Rows of a class are permuted by ``numpy.random.default_rng([seed, class])``. Each part except the first
    gets 15% of them, rounded, and at least one: the last part the first rows, and so on. The first part gets
    the rest.

    Parameters
    ----------
    labels : integer array, ``(n,)``
    parts : int
    seed : int

    Returns
    -------
    list of integer arrays
        Rows of each part, in ascending order.

    Raises
    ------
    ValueError
        A class has fewer rows than there are parts. Its arguments are the class and its rows.
    """
    split = [[] for _ in range(parts)]
    for k in np.unique(labels):
        rows = np.flatnonzero(labels == k)
        if len(rows) < parts:
            raise ValueError(int(k), len(rows))
        rows = np.random.default_rng([seed, k]).permutation(rows)
        count = max(1, round(SHARE * len(rows)))
        for part in reversed(range(1, parts)):
            split[part].append(rows[:count])
            rows = rows[count:]
        split[0].append(rows)
    return [np.sort(np.concatenate(rows)) for rows in split]


def own_name(name: str) -> str:
    """A name for a user's dataset that differs from those of the published datasets."""
    return f"own {name}" if name in NETWORKS_OF else name


def check_class_names(names: Iterable[str], where: object) -> None:
    """Raise a `DataError` for names of classes that are equal or differ only in upper and lower case."""
    folded = {}
    for name in names:
        other = folded.get(name.casefold())
        folded[name.casefold()] = name
        if other is not None:
            raise DataError(
                f"{where}: the classes {other!r} and {name!r} are equal when case is ignored; rename one"
            )


def from_arrays(
    X_train: ArrayLike,
    y_train: ArrayLike,
    X_test: ArrayLike,
    y_test: ArrayLike,
    X_valid: ArrayLike | None = None,
    y_valid: ArrayLike | None = None,
    class_names: Sequence[str] | None = None,
    name: str = "images",
    seed: int = 0,
) -> Dataset:
    """A dataset of arrays.

    Parameters
    ----------
    X_train, X_test : array, ``(n, channels, height, width)`` or, of grey images, ``(n, height, width)``
        Pixels from 0 to 255, best as uint8, or real numbers in [-1, 1].
    y_train, y_test : array, ``(n,)``
        Classes from 0 on, or a one-hot row for each image.
    X_valid, y_valid : arrays, optional
        By default 15% of each class of the training images, as `split_rows` deals them out.
    class_names : sequence of str, optional
        By default ``0``, ``1``, ...
    name : str
        Of the dataset, for people to read.
    seed : int
        Of the validation images that are taken from the training images.

    Returns
    -------
    Dataset

    Raises
    ------
    DataError
        What is wrong with the images or labels, and what to do.
    """
    given = {"train": (X_train, y_train), "valid": (X_valid, y_valid), "test": (X_test, y_test)}
    if (X_valid is None) != (y_valid is None):
        raise DataError(f"{name}: X_valid and y_valid should come together; one is missing")
    if X_valid is None:
        del given["valid"]
    splits = {}
    for split, (X, y) in given.items():
        images, labels = _images(f"X_{split}", X), _labels(f"y_{split}", y)
        if len(images) != len(labels):
            raise DataError(
                f"y_{split}: expected {len(images)} labels, one for each of X_{split}; found {len(labels)}"
            )
        splits[split] = images, labels
    _check_shapes(splits)
    if class_names is None:
        class_names = [str(k) for k in range(1 + max(labels.max() for _, labels in splits.values()))]
    class_names = tuple(map(str, class_names))
    check_class_names(class_names, name)
    for split, (_, labels) in splits.items():
        _check_classes(split, labels, class_names)
    if "valid" not in splits:
        images, labels = splits["train"]
        try:
            train_rows, valid_rows = split_rows(labels, 2, seed)
        except ValueError as error:
            k, count = error.args
            raise DataError(
                f"y_train: class {class_names[k]!r} has {count} image; it takes 2, as one of them is for "
                "validation. Give X_valid and y_valid, or more images"
            ) from error
        splits = {
            "train": (chosen(images, train_rows), labels[train_rows]),
            "valid": (chosen(images, valid_rows), labels[valid_rows]),
            "test": splits["test"],
        }
    train, valid, test = (
        Split(Pixels(images) if images.dtype == np.uint8 else images, labels)
        for images, labels in (splits[split] for split in SPLITS)
    )
    return Dataset(own_name(name), len(class_names), train, valid, test, class_names)


def load_npz(path: Path, report: Callable[[str], object] = print) -> Dataset:
    """Read an ``.npz`` file with ``X_train, y_train, X_test, y_test`` and more that `from_arrays` takes.

    Images that are too large for memory stay in the file, or if that is compressed, in an uncompressed copy
    beside it, ``FILE.npz.cache.npz``, which is used as long as the file does not change.

    Parameters
    ----------
    path : Path
    report : callable
        Called with each line for people to read.

    Returns
    -------
    Dataset

    Raises
    ------
    DataError
        The file is damaged, or as `from_arrays`.
    """
    try:
        headers = read_array_headers(path)
    except ModelError as error:
        raise DataError(str(error)) from error
    missing = [name for name in REQUIRED if name not in headers]
    unknown = [name for name in headers if name not in REQUIRED + OPTIONAL]
    if missing or unknown:
        problem = f"there is no {missing[0]}" if missing else f"{unknown[0]} is none of them"
        raise DataError(
            f"{path}: expected the arrays {', '.join(REQUIRED)}, and perhaps {', '.join(OPTIONAL)}; {problem}"
        )
    for name, header in headers.items():
        if header is None or header[1].hasobject:
            raise DataError(f"{path}: {name} holds objects, which are never loaded; save numbers or text")
    images = {name: header for name, header in headers.items() if name.startswith("X_")}
    on_disk = {}
    if stays_on_disk(sum(math.prod(shape) * dtype.itemsize for shape, dtype in images.values())):
        try:
            source = _uncompressed(path, report)
            on_disk = {name: Stored(source, name) for name in images}
        except ModelError as error:
            raise DataError(str(error)) from error
    with np.load(path, allow_pickle=False) as file:
        arrays: dict[str, Any] = {name: on_disk[name] if name in on_disk else file[name] for name in headers}
    try:
        return from_arrays(**arrays, name=path.stem)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def _uncompressed(path, report):
    """The file itself, or if its images are compressed, the uncompressed copy beside it."""
    with as_model_error(path), zipfile.ZipFile(path) as archive:
        images = [m for m in archive.infolist() if m.filename.startswith("X_")]
    if all(member.compress_type == zipfile.ZIP_STORED for member in images):
        return path
    copy, stat = path.with_name(f"{path.name}.cache.npz"), path.stat()
    key = f"{stat.st_size} {stat.st_mtime_ns}"
    if _key_of(copy) == key:
        return copy
    report(f"{path}: is larger than memory and compressed; its images are unpacked once, into {copy}")

    def write(file):
        with zipfile.ZipFile(path) as packed, zipfile.ZipFile(file, "w") as unpacked:
            for member in images:
                with (
                    packed.open(member) as source,
                    unpacked.open(member.filename, "w", force_zip64=True) as target,
                ):
                    shutil.copyfileobj(source, target, 1 << 20)
            with unpacked.open("key.npy", "w") as target:
                np.lib.format.write_array(target, np.array(key))

    try:
        write_atomically(copy, write)
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise DataError(f"{path}: should be a whole .npz file; it is damaged ({error})") from error
    except WriteError as error:
        reason = error.__cause__.strerror or error.__cause__
        raise DataError(
            f"{path}: is larger than memory and compressed, and {copy}, its unpacked images, cannot be "
            f"written ({reason}); make room there, or save the file with numpy.savez"
        ) from error
    return copy


def _key_of(path):
    """The key of the file that a copy was made from, or None if there is no copy or it is damaged."""
    if not path.is_file():
        return None
    try:
        read_array_headers(path)
        with np.load(path, allow_pickle=False) as file:
            return str(file["key"])
    except (ModelError, OSError, ValueError, KeyError):
        return None


def _images(name, X):
    """Images as bytes, or as float32 numbers in [-1, 1]; those on disk stay there."""
    if not isinstance(X, Stored):
        X = np.asarray(X)
    if X.ndim == 3:
        X = X[:, np.newaxis]
    if X.ndim != 4:
        raise DataError(f"{name}: expected shape (n, channels, height, width); found {X.shape}")
    if not X.size:
        raise DataError(f"{name}: expected images; found none (shape {X.shape})")
    if X.shape[1] not in COLORS.values() and X.shape[3] in COLORS.values():
        raise DataError(
            f"{name}: expected shape (n, channels, height, width); {X.shape} has the channels last. Pass "
            f"{name}.transpose(0, 3, 1, 2)"
        )
    if X.dtype == np.uint8:
        return X if isinstance(X, Stored) else np.ascontiguousarray(X)
    if X.dtype.kind in "iu":
        low, high = np.array([(part.min(), part.max()) for part in in_parts(X)]).T
        if low.min() < 0 or high.max() > 255:
            raise DataError(f"{name}: expected pixels from 0 to 255; found {low.min()} to {high.max()}")
        return X.astype(np.uint8)
    if X.dtype.kind != "f":
        raise DataError(f"{name}: expected bytes or real numbers; found {X.dtype}. Convert it to uint8")
    X = X.astype(np.float32)
    for i, image in enumerate(X):
        if not np.isfinite(image).all():
            raise DataError(f"{name}: image {i} holds NaN or infinity; replace it or leave it out")
        if abs(image).max() > 1:
            raise DataError(
                f"{name}: expected real numbers in [-1, 1]; image {i} has {image.min():g} to "
                f"{image.max():g}. Pass pixels from 0 to 255 as uint8, or scale them"
            )
    return X


def _labels(name, y):
    """Labels as int32, from one-hot rows or whole numbers of any type."""
    y = np.asarray(y)
    if y.ndim == 2 and y.size and y.dtype.kind in "iufb" and np.isin(y, (0, 1)).all():
        y = np.asarray(y, np.int64)
        if not (y.sum(axis=1) == 1).all():
            row = int(np.flatnonzero(y.sum(axis=1) != 1)[0])
            raise DataError(f"{name}: row {row} should hold one 1; found {y[row].sum()}. Give one class each")
        return y.argmax(axis=1).astype(np.int32)
    if y.ndim != 1 or y.dtype.kind not in "iuf":
        raise DataError(f"{name}: expected one whole number for each image; found {y.dtype} {y.shape}")
    whole = np.isfinite(y) & (y == np.floor(y)) & (abs(y) < 1 << 31)
    if not whole.all():
        i = int(np.flatnonzero(~whole)[0])
        raise DataError(f"{name}: expected whole numbers; found {y[i]} for image {i}")
    if len(y) and y.min() < 0:
        i = int(y.argmin())
        raise DataError(f"{name}: expected classes from 0 on; found {y[i]} for image {i}")
    return y.astype(np.int32)


def _check_shapes(splits):
    wanted = splits["train"][0]
    for split, (images, _) in splits.items():
        if images.shape[1:] != wanted.shape[1:]:
            raise DataError(
                f"X_{split}: expected images of shape {wanted.shape[1:]} as in X_train; found "
                f"{images.shape[1:]}. Make them one size"
            )
        if images.dtype != wanted.dtype:
            raise DataError(
                f"X_{split}: expected {wanted.dtype} as in X_train; found {images.dtype}. Scale all alike"
            )


def _check_classes(split, labels, class_names):
    """Raise a `DataError` for a label without a name, or a class without images."""
    if labels.max() >= len(class_names):
        i = int(labels.argmax())
        raise DataError(
            f"y_{split}: expected classes 0 to {len(class_names) - 1}, as there are {len(class_names)} class "
            f"names; found {labels[i]} for image {i}"
        )
    counts = np.bincount(labels, minlength=len(class_names))
    if not counts.all():
        k = int(counts.argmin())
        raise DataError(
            f"y_{split}: class {k} ({class_names[k]!r}) has no images; number the classes without gaps, and "
            "give images of each"
        )
