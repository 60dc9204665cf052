"""Pickles of arrays, lists, dictionaries, text and numbers, read without running anything they name.

A pickle is a program that may call whatever it can import. Here only the few names that arrays need are
allowed. They are replaced by classes that record the parts of an array, so that not even NumPy is called
before everything is checked. Which keys and shapes are required is left to the dataset's module.
"""

import pickle
import re
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from xnornet.data.dataset import mismatch
from xnornet.errors import DataError

__all__ = ["read_objects", "read_pickle"]


def read_pickle(file: Path) -> dict[str, Any]:
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
        If the file cannot be read, is damaged, has bytes after its end, or names anything that such values do
        not need; whatever it names is not called.
    """
    with _as_data_error(file):
        content = _read(file)
        if not isinstance(content, dict):
            raise ValueError("no dictionary")
        return content


def read_objects(file: Path, classes: Mapping[str, type], ignored_modules: Sequence[str] = ()) -> Any:
    """Read a pickle of Python 2 or 3 that may contain objects of a few given classes.

    Parameters
    ----------
    file : Path
    classes : dict
        From names in the file, ``"module.Class"``, to classes. An object is created without calling its
        class, and its state is restored by its ``__setstate__`` or as its attributes.
    ignored_modules : tuple of str
        Modules, with their submodules, whose other objects are read as empty objects.

    Returns
    -------
    object

    Raises
    ------
    DataError
        As :func:`read_pickle`.
    """
    with _as_data_error(file, "name another file, or save it anew"):
        return _read(file, classes, ignored_modules)


def _read(file, classes=(), ignored_modules=()):
    with open(file, "rb") as stream:
        content = _Unpickler(stream, classes, ignored_modules).load()
        if stream.read(1):
            raise _NotData("more behind it")
    return _made(content, {})


@contextmanager
def _as_data_error(file, *remedy):
    try:
        yield
    except DataError:
        raise
    except _NotData as error:
        raise mismatch(file, "a pickle of arrays, lists, text and numbers", error, *remedy) from error
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror}); make it readable") from error
    # Damaged bytes can make the unpickler raise nearly anything.
    except Exception as error:
        reason = _one_line(str(error)) or type(error).__name__
        raise mismatch(file, "a whole pickle", f"a damaged one ({reason})", *remedy) from error


class _NotData(Exception):
    """The pickle contains something other than data."""


class _Array:
    """The parts of an array."""

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
    """Name and byte order of a type of numbers."""

    __slots__ = ("name", "order")

    def __init__(self, name):
        self.name, self.order = name, "|"

    def __setstate__(self, state):
        self.order = _text(state[1])

    def numpy(self):
        if self.order not in ("<", ">", "|"):
            raise ValueError("unknown byte order")
        return np.dtype(self.order + self.name)


# These callables have no attributes, so that one pickle cannot change how the next one is read.


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
        if not re.fullmatch("b1|[iu][1248]|f[48]", _text(name)):
            raise _NotData(f"dtype {_one_line(_text(name))}")
        return _Dtype(_text(name))


class _MakeScalar:
    __slots__ = ()

    def __call__(self, dtype, content):
        scalar = _Array()
        scalar.__setstate__((1, (), dtype, False, content))
        return scalar.made().item()


class _MakeBytes:
    __slots__ = ()

    def __call__(self, text, encoding):
        if _text(encoding) != "latin1":
            raise _NotData(f"bytes in the encoding {_one_line(_text(encoding))}")
        return text.encode("latin1")


_NDARRAY = _Name()

# NumPy 2 moved numpy.core; protocol 2 has no bytes, which Python 3 then writes as encoded text.
_ALLOWED = {
    ("numpy", "ndarray"): _NDARRAY,
    ("numpy", "dtype"): _MakeDtype(),
    ("_codecs", "encode"): _MakeBytes(),
}
for _core in ("numpy.core", "numpy._core"):
    _ALLOWED[f"{_core}.multiarray", "_reconstruct"] = _MakeArray()
    _ALLOWED[f"{_core}.multiarray", "scalar"] = _MakeScalar()
    _ALLOWED[f"{_core}.numeric", "_frombuffer"] = _MakeArrayFromBuffer()


class _Object:
    """The class and the state of an object."""

    kind, state = None, None

    def __new__(cls, *arguments):
        return object.__new__(cls)

    def __init__(self, *arguments):
        pass

    def __setstate__(self, state):
        self.state = state


class _MakeObject:
    __slots__ = ()

    def __call__(self, kind, base, content):
        if not (isinstance(kind, type) and issubclass(kind, _Object)):
            raise _NotData("an object of an unknown kind")
        return kind()


_OBJECT = {
    **dict.fromkeys([("copy_reg", "_reconstructor"), ("copyreg", "_reconstructor")], _MakeObject()),
    **dict.fromkeys([("__builtin__", "object"), ("builtins", "object")], _Name()),
}


class _Unpickler(pickle.Unpickler):
    def __init__(self, stream, classes, ignored_modules):
        super().__init__(stream, encoding="bytes")
        self._classes, self._ignored_modules = classes, ignored_modules

    def find_class(self, module, name):
        if (module, name) in _ALLOWED:
            return _ALLOWED[module, name]
        if self._classes and (module, name) in _OBJECT:
            return _OBJECT[module, name]
        kind = self._classes[f"{module}.{name}"] if f"{module}.{name}" in self._classes else None
        if kind is None and not any(f"{module}.".startswith(f"{s}.") for s in self._ignored_modules):
            raise _NotData(_one_line(f"{module}.{name}"))
        # A new class each time, since a pickle can change its class.
        return type("_Object", (_Object,), {"kind": kind})


def _made(value, done):
    """The value that a record describes; ``done`` has the objects so far, which may contain themselves."""
    if isinstance(value, _Array):
        return value.made()
    if isinstance(value, list | tuple):
        return type(value)(_made(each, done) for each in value)
    if isinstance(value, dict):
        pairs = ((_text(k) if isinstance(k, bytes) else k, _made(each, done)) for k, each in value.items())
        return dict(pairs)
    if not isinstance(value, _Object):
        return value
    if id(value) not in done:
        made = done[id(value)] = object.__new__(value.kind or _Object)
        if value.kind:
            state = _made(value.state or {}, done)
            getattr(made, "__setstate__", made.__dict__.update)(state)
    return done[id(value)]


def _text(value):
    return value.decode("latin1") if isinstance(value, bytes) else str(value)


def _one_line(text):
    return "".join(c if c.isprintable() else "?" for c in text)[:80]
