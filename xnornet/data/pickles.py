"""Pickles of arrays, lists, dictionaries, text and numbers, read without running anything they name.

A pickle is a program that may call whatever it can import. Here its few lawful names are bound to stand-ins
that only note what an array is made of, so that not even NumPy is called before all has been checked. Which
keys and shapes there must be is left to the dataset's module.
"""

import pickle
import re

import numpy as np

from xnornet.data.dataset import DataError, mismatch

__all__ = ["read_pickle"]


def read_pickle(file):
    """Read a dictionary pickled by Python 2 or 3, with any NumPy.

    Parameters
    ----------
    file : Path

    Returns
    -------
    dict
        Keys are ``str``. Values are integer arrays, lists, tuples, dictionaries, numbers, ``str``, and
        ``bytes`` (also for the text of Python 2).

    Raises
    ------
    DataError
        If the file cannot be read, is damaged or has more behind, or names anything that such values do not
        need; whatever it names is not called.
    """
    try:
        with open(file, "rb") as stream:
            content = _Unpickler(stream, encoding="bytes").load()
            trailing = stream.read(1)
            values = {_text(key): _made(value) for key, value in content.items()}
    except _NotData as error:
        raise mismatch(file, "a pickle of arrays, lists, text and numbers", error) from error
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror}); make it readable") from error
    # Damaged bytes can make the unpickler raise nearly anything.
    except Exception as error:
        reason = _one_line(str(error)) or type(error).__name__
        raise mismatch(file, "a whole pickled dictionary", f"a damaged one ({reason})") from error
    if trailing:
        raise mismatch(file, "one pickle", "more behind it")
    return values


class _NotData(Exception):
    """What the pickle holds beside data."""


class _Array:
    """What an array is made of."""

    __slots__ = ("state",)

    def __setstate__(self, state):
        _, shape, dtype, fortran, content = state
        self.state = shape, dtype, "F" if fortran else "C", content

    def made(self):
        shape, dtype, order, content = self.state
        if not isinstance(dtype, _Dtype) or not isinstance(content, bytes | bytearray):
            raise ValueError("array without dtype or bytes")
        return np.frombuffer(content, dtype.numpy()).reshape(shape, order=order)


class _Dtype:
    """Name and byte order of an integer type."""

    __slots__ = ("name", "order")

    def __init__(self, name):
        self.name, self.order = name, "|"

    def __setstate__(self, state):
        self.order = _text(state[1])

    def numpy(self):
        if self.order not in ("<", ">", "|"):
            raise ValueError("unknown byte order")
        return np.dtype(self.order + self.name)


# Callables have no attributes, so that a pickle cannot change them for the next one.


class _Name:
    __slots__ = ()


class _MakeArray:
    __slots__ = ()

    def __call__(self, kind, shape, typecode):
        if kind is not _NDARRAY or shape != (0,) or _text(typecode) != "b":
            raise _NotData("an array of an unknown kind")
        return _Array()


class _MakeArrayFromBuffer:
    __slots__ = ()

    def __call__(self, content, dtype, shape, order):
        array = _Array()
        array.__setstate__((1, shape, dtype, order == "F", content))
        return array


class _MakeDtype:
    __slots__ = ()

    def __call__(self, name, align=0, copy=1):
        if not re.fullmatch("[iu][1248]", _text(name)):
            raise _NotData(f"dtype {_one_line(_text(name))}")
        return _Dtype(_text(name))


class _MakeScalar:
    __slots__ = ()

    def __call__(self, dtype, content):
        scalar = _Array()
        scalar.__setstate__((1, (), dtype, False, content))
        return int(scalar.made())


class _MakeBytes:
    __slots__ = ()

    def __call__(self, text, encoding):
        if _text(encoding) != "latin1":
            raise _NotData(f"bytes in the encoding {_one_line(_text(encoding))}")
        return text.encode("latin1")


_NDARRAY = _Name()

# NumPy 2 moved numpy.core; protocol 2 has no bytes, which Python 3 then writes as encoded text.
_LAWFUL = {
    ("numpy", "ndarray"): _NDARRAY,
    ("numpy", "dtype"): _MakeDtype(),
    ("_codecs", "encode"): _MakeBytes(),
}
for _core in ("numpy.core", "numpy._core"):
    _LAWFUL[f"{_core}.multiarray", "_reconstruct"] = _MakeArray()
    _LAWFUL[f"{_core}.multiarray", "scalar"] = _MakeScalar()
    _LAWFUL[f"{_core}.numeric", "_frombuffer"] = _MakeArrayFromBuffer()


class _Unpickler(pickle.Unpickler):
    def find_class(self, module, name):
        if (module, name) not in _LAWFUL:
            raise _NotData(_one_line(f"{module}.{name}"))
        return _LAWFUL[module, name]


def _made(value):
    return value.made() if isinstance(value, _Array) else value


def _text(value):
    return value.decode("latin1") if isinstance(value, bytes) else str(value)


def _one_line(text):
    return "".join(c if c.isprintable() else "?" for c in text)[:80]
