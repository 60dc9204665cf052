"""Images that stay on disk: an array in an ``.npz`` file, of which rows are read when they are asked for.

Which images stay there is decided by `stays_on_disk`; who reads them ahead is left to `xnornet.training`.
"""

import copy
import math
import os
import threading
import zipfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from xnornet.archives import as_model_error, read_npy_header
from xnornet.errors import DataError
from xnornet.hints import Shape, StrPath
from xnornet.memory import available_memory

__all__ = ["Stored", "chosen", "in_parts", "is_stored", "stays_on_disk"]

# Images that take a larger share of the available memory stay on disk: on the way to a device there are
# up to three copies of them, and a network's arrays take memory as well.
SHARE = 1 / 4

# Of images that are read in their order.
PART_BYTES = 1 << 24


def stays_on_disk(nbytes: int) -> bool:
    """Whether images of ``nbytes`` bytes are too large for memory."""
    return nbytes > SHARE * available_memory()


class Stored:
    """An array of images in an ``.npz`` file that is not compressed.

    Reads like an array: ``len(images)``, ``images.shape``, ``images[rows]``, ``for image in images``. Rows
    are read by calls of the system and not through mapped memory: mapped pages would count as memory of this
    process, and a disk that fails would end it without a word. What was read lately the system keeps.

    Parameters
    ----------
    path : str or Path
        Its file is kept open, so that another one may take its place meanwhile.
    name : str
        Of the array in the file, ``(n, channels, height, width)`` or ``(n, height, width)``.

    Attributes
    ----------
    shape : tuple of int
        ``(n, channels, height, width)``, or whatever has other axes.
    dtype : dtype

    Raises
    ------
    ModelError
        The file is damaged.
    DataError
        The array's bytes do not lie in the file one image after the other.
    """

    def __init__(self, path: StrPath, name: str) -> None:
        self._path = Path(path)
        with as_model_error(path), zipfile.ZipFile(path) as archive:
            member = archive.getinfo(f"{name}.npy")
        self._file = open(path, "rb", buffering=0)
        with as_model_error(path):
            # The local header's name and extra field may be longer than those in the archive's directory.
            self._file.seek(member.header_offset + 26)
            lengths = np.frombuffer(self._file.read(4), "<u2")
            self._file.seek(member.header_offset + 30 + int(lengths.sum()))
            shape, fortran_order, self._stored_dtype = read_npy_header(self._file, member.filename)
        if member.compress_type != zipfile.ZIP_STORED or fortran_order:
            raise DataError(
                f"{path}: {name} is larger than memory and cannot be read image by image, as it is "
                f"{'in Fortran order' if fortran_order else 'compressed'}; save it with numpy.savez, and in "
                "C order"
            )
        if hasattr(os, "posix_fadvise"):
            # Else each image would bring along its neighbours, which are not wanted soon.
            os.posix_fadvise(self._file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
        self._begin, self._lock = self._file.tell(), threading.Lock()
        self._image_shape = shape[1:] if len(shape) != 3 else (1, *shape[1:])
        self._rows, self.dtype = np.arange(shape[0] if shape else 0), self._stored_dtype

    @property
    def shape(self) -> Shape:
        return (len(self._rows), *self._image_shape)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[NDArray]:
        for part in in_parts(self):
            yield from part

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray:
        return self[:] if dtype is None else self[:].astype(dtype, copy=False)

    def astype(self, dtype: DTypeLike) -> "Stored":
        """The same images, which become numbers of another type when they are read."""
        other = copy.copy(self)
        other.dtype = np.dtype(dtype)
        return other

    def chosen(self, rows: Any) -> "Stored":
        """The images of the given rows, which stay on disk."""
        other = copy.copy(self)
        other._rows = self._rows[rows]
        return other

    def __getitem__(self, rows: Any) -> NDArray:
        """Read the images of the given rows: one, a slice, indices or a mask.

        Raises
        ------
        DataError
            The file cannot be read, or was cut short meanwhile.
        """
        rows = self._rows[rows]
        images = self._read(np.atleast_1d(rows)).astype(self.dtype, copy=False)
        return images if np.ndim(rows) else images[0]

    def _read(self, rows):
        """Images of the given rows of the file; those that lie one after the other are read at once."""
        order = np.argsort(rows, kind="stable")
        ascending = rows[order]
        images = np.empty((len(rows), *self._image_shape), self._stored_dtype)
        image_bytes = math.prod(self._image_shape) * self._stored_dtype.itemsize
        buffer = memoryview(images.reshape(-1).view(np.uint8))
        gaps = np.flatnonzero(np.diff(ascending) != 1) + 1
        try:
            with self._lock:
                for first, end in pairwise([0, *gaps.tolist(), len(rows)] if len(rows) else []):
                    self._file.seek(self._begin + int(ascending[first]) * image_bytes)
                    self._fill(buffer[first * image_bytes : end * image_bytes])
        except OSError as error:
            raise DataError(f"{self._path}: cannot be read ({error.strerror or error})") from error
        if (order[1:] > order[:-1]).all():
            return images
        wanted = np.empty_like(images)
        wanted[order] = images
        return wanted

    def _fill(self, buffer):
        while buffer:
            count = self._file.readinto(buffer)
            if not count:
                raise DataError(
                    f"{self._path}: was cut short while it was in use; bring it back to what it was"
                )
            buffer = buffer[count:]


def is_stored(images: Any) -> bool:
    """Whether images, or the bytes of `Pixels`, stay on disk."""
    return isinstance(getattr(images, "bytes", images), Stored)


def chosen(images: Any, rows: Any) -> Any:
    """Images of the given rows, which stay on disk if they lie there."""
    return images.chosen(rows) if is_stored(images) else images[rows]


def in_parts(images: Any) -> Iterator[Any]:
    """The images in their order, some megabytes at a time."""
    step = max(1, PART_BYTES // max(1, math.prod(images.shape[1:]) * images.dtype.itemsize))
    for i in range(0, len(images), step):
        yield images[i : i + step]
