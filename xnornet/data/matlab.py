"""Arrays of numbers in MATLAB files (version 5, also as MATLAB 7 compresses them), read piece by piece.

SciPy reads far more, but a whole array at once, and a damaged file can crash it. Here each length that a file
tells is compared with what there is before it is used. What the arrays should be is left to the dataset's
module.

The format: a header of 128 bytes, then elements, each a tag (type, size) and its data. An element of type
matrix holds elements for flags, dimensions, name and numbers; a compressed element holds one such, deflated.
"""

import math
import os
import struct
import zlib
from contextlib import contextmanager, suppress

import numpy as np

from xnornet.data.dataset import DataError, mismatch

__all__ = ["describe", "read_array", "read_slices"]

HEADER_SIZE = 128
VERSION = 0x0100
INT8, INT32, UINT32, MATRIX, COMPRESSED, UTF8 = 1, 5, 6, 14, 15, 16
NAME_TYPES = INT8, UTF8
STORAGE = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
CLASSES = {
    **{1: "cell", 2: "struct", 3: "object", 4: "char", 5: "sparse"},
    **{6: "double", 7: "single", 8: "int8", 9: "uint8", 10: "int16"},
    **{11: "uint16", 12: "int32", 13: "uint32", 14: "int64", 15: "uint64"},
}
FIRST_NUMERIC = 6
COMPLEX = 0x08
SLICES_AT_A_TIME = 1 << 16
LONGEST_NAME, MOST_DIMENSIONS = 63, 32


class _Damaged(Exception):
    """Something in the file is not what the format allows."""


class _Unknown(Exception):
    """A variable is of a class that is not read here."""


def describe(file):
    """Return the class and the shape of each variable, by name, without reading the numbers.

    Parameters
    ----------
    file : Path

    Returns
    -------
    dict
        ``{name: (class, shape)}``, the class in MATLAB's words, such as ``"uint8"``.

    Raises
    ------
    DataError
        If the file cannot be read or is damaged.
    """
    with _opened(file) as stream:
        return {variable.name: (variable.kind, variable.shape) for variable in _variables(stream)}


def read_array(file, name):
    """Read one variable whole.

    Parameters
    ----------
    file : Path
    name : str
        Of an array of numbers in `describe`.

    Returns
    -------
    array
        Of the type that the file keeps the numbers in.
    """
    return np.concatenate(list(read_slices(file, name, SLICES_AT_A_TIME))).T


def read_slices(file, name, count):
    """Read one variable in slices of its last axis, which is the slowest in MATLAB's files.

    Parameters
    ----------
    file : Path
    name : str
        Of an array of numbers in `describe`.
    count : int
        Slices in a piece.

    Yields
    ------
    array
        Up to ``count`` slices, read-only, of shape ``(slices, ..., shape[1], shape[0])``, the axes in reverse
        order, and of the type that the file keeps the numbers in.

    Raises
    ------
    DataError
        If the file cannot be read or is damaged, which may be found out after the last piece only.
    """
    with _opened(file) as stream:
        for variable in _variables(stream):
            if variable.name == name:
                yield from _slices(variable, count)
                return
        raise _Damaged(f"no variable {name}")


def _slices(variable, count):
    shape = variable.shape[:-1][::-1]
    size = math.prod(shape) * variable.storage.itemsize
    for first in range(0, max(variable.shape[-1], 1), count):
        rows = min(count, variable.shape[-1] - first)
        yield np.frombuffer(variable.take(rows * size), variable.storage).reshape(rows, *shape)
    variable.finish()


@contextmanager
def _opened(file):
    try:
        with open(file, "rb") as stream:
            yield stream
    except (_Damaged, zlib.error) as error:
        found = f"another or a damaged one ({error})"
        raise mismatch(file, "a whole MATLAB file of version 5 to 7", found) from error
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror}); make it readable") from error


class _Plain:
    """The bytes of an element in the file."""

    def __init__(self, stream, size):
        self._stream, self._left = stream, size

    def take(self, count):
        if count > self._left:
            raise _Damaged("an element is longer than the one around it")
        self._left -= count
        content = self._stream.read(count)
        if len(content) < count:
            raise _Damaged("it ends early")
        return content

    def finish(self):
        """Nothing more to check."""


class _Inflated:
    """The bytes of a compressed element."""

    PIECE = 1 << 16

    def __init__(self, body, size):
        self._body, self._left = body, size
        self._inflater = zlib.decompressobj()

    def take(self, count):
        pieces = []
        while count:
            piece = self._inflate(count)
            if not piece and self._inflater.eof:
                raise _Damaged("a compressed element ends early")
            pieces.append(piece)
            count -= len(piece)
        return b"".join(pieces)

    def finish(self):
        """Read to the end, where zlib compares the checksum."""
        while not self._inflater.eof:
            if len(self._inflate(8)) == 8:
                raise _Damaged("a compressed element has more behind")

    def _inflate(self, most):
        source = self._inflater.unconsumed_tail
        if not source and not self._inflater.eof:
            size = min(self._left, self.PIECE)
            if not size:
                raise _Damaged("a compressed element ends early")
            source = self._body.take(size)
            self._left -= size
        return self._inflater.decompress(source, most)


class _Variable:
    """Head of a matrix element; ``take`` gives the bytes of its numbers."""

    def __init__(self, body, order):
        self._body, self._order, self._few = body, order, None
        flags = self._integers(2)
        self.kind = CLASSES.get(flags[0] & 0xFF)
        # Functions and newer objects have other elements from here on.
        if len(flags) < 2 or self.kind is None:
            raise _Unknown
        self.shape = tuple(self._integers(MOST_DIMENSIONS))
        if len(self.shape) < 2 or min(self.shape) < 0:
            raise _Damaged(f"dimensions {self.shape}")
        self.name = self._element(NAME_TYPES, LONGEST_NAME)[1].decode("latin1")
        if flags[0] >> 8 & COMPLEX:
            self.kind = f"complex {self.kind}"
        self.storage = None
        if flags[0] & 0xFF >= FIRST_NUMERIC:
            self._open_numbers()

    def take(self, count):
        if self._few is None:
            return self._body.take(count)
        content, self._few = self._few[:count], self._few[count:]
        return content

    def finish(self):
        self._body.finish()

    def _open_numbers(self):
        kind, size, self._few = self._tag()
        if kind not in STORAGE:
            raise _Damaged(f"numbers of type {kind}")
        self.storage = np.dtype(self._order + STORAGE[kind])
        if size != math.prod(self.shape) * self.storage.itemsize:
            raise _Damaged(f"{size} bytes for the numbers of {self.name}")

    def _tag(self):
        """Type and size of an element, and its bytes if they are so few that they are within the tag."""
        (first,) = struct.unpack(f"{self._order}I", self._body.take(4))
        rest = self._body.take(4)
        if first >> 16 > 4:
            raise _Damaged("a short element with more than 4 bytes")
        if first >> 16:
            return first & 0xFFFF, first >> 16, rest[: first >> 16]
        return first, *struct.unpack(f"{self._order}I", rest), None

    def _element(self, types, most):
        kind, size, content = self._tag()
        if kind not in types or size > most:
            raise _Damaged(f"an element of type {kind} and {size} bytes")
        if content is None:
            content = self._body.take(size)
            self._body.take(-size % 8)
        return kind, content

    def _integers(self, most):
        kind, content = self._element((INT32, UINT32), 4 * most)
        if len(content) % 4:
            raise _Damaged(f"{len(content)} bytes of integers")
        return np.frombuffer(content, self._order + STORAGE[kind]).tolist()


def _variables(stream):
    """Yield the variables of an open file, each with its numbers not yet read."""
    end = os.fstat(stream.fileno()).st_size
    header = _Plain(stream, HEADER_SIZE).take(HEADER_SIZE)
    order = {b"IM": "<", b"MI": ">"}.get(header[126:])
    if order is None or struct.unpack_from(f"{order}H", header, 124)[0] != VERSION:
        raise _Damaged(f"its header ends with {header[124:].hex()}")
    while stream.tell() < end:
        kind, size = struct.unpack(f"{order}II", _Plain(stream, 8).take(8))
        following = stream.tell() + size
        if following > end:
            raise _Damaged("it ends early")
        body = _Plain(stream, size)
        if kind == COMPRESSED:
            body = _Inflated(body, size)
            kind, size = struct.unpack(f"{order}II", body.take(8))
        if kind == MATRIX and size:
            with suppress(_Unknown):
                yield _Variable(body, order)
        stream.seek(following)
