"""Strict reading of untrusted JSON: bounded size and depth, finite numbers, unique keys, checked types.

The callers interpret the values, and add the file's name to the errors raised here.
"""

import json
import math
import reprlib
from collections.abc import Collection
from typing import Any, TypeVar

from xnornet.errors import ModelError

__all__ = ["MAX_BYTES", "integer", "parse", "sequence", "typed", "with_keys"]

T = TypeVar("T")

MAX_BYTES = 1 << 20
MAX_DEPTH = 32
MAX_INTEGER = 1 << 62
EXPECTED = {dict: "an object", list: "a list", bool: "true or false", str: "a string", int: "an integer"}


def parse(name: str, data: bytes) -> dict[str, Any]:
    """The object that is encoded in bytes of UTF-8.

    Raises
    ------
    ModelError
        The bytes are no JSON object, are more than `MAX_BYTES`, or hold NaN, an infinity, a key twice in one
        object, or more than 32 levels.
    """
    if len(data) > MAX_BYTES:
        raise ModelError(f"{name} should have at most {MAX_BYTES} bytes; found {len(data)}")
    try:
        value = json.loads(
            data.decode(), object_pairs_hook=_unique, parse_constant=_finite, parse_float=_finite
        )
    except RecursionError as error:
        raise _too_deep(name) from error
    except ValueError as error:
        raise ModelError(f"{name} should be JSON in UTF-8; found none ({error})") from error
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [child for parent in level for child in _children(parent)]
    if level:
        raise _too_deep(name)
    return typed(name, value, dict)


def typed(name: str, value: Any, kind: type[T]) -> T:
    """The value, which is of a type: `dict`, `list`, `bool`, `str` or `int`."""
    # A boolean is an instance of int.
    if type(value) is not kind:
        raise ModelError(f"{name} should be {EXPECTED[kind]}; found {reprlib.repr(value)}")
    return value


def with_keys(name: str, value: Any, keys: Collection[str]) -> dict[str, Any]:
    """The value, a dictionary of these keys and no others."""
    if typed(name, value, dict).keys() != set(keys):
        raise ModelError(f"{name} should have the fields {', '.join(keys)}; found {reprlib.repr([*value])}")
    return value


def sequence(name: str, value: Any, length: int | None = None) -> list:
    """The value, a list, of ``length`` items if that is given."""
    if length not in (None, len(typed(name, value, list))):
        raise ModelError(f"{name} should have {length} items; found {len(value)}")
    return value


def integer(name: str, value: Any) -> int:
    """The value, an integer within ``2**62`` of 0; no boolean and no real number."""
    if abs(typed(name, value, int)) > MAX_INTEGER:
        raise ModelError(f"{name} should lie within 2**62 of 0; found {reprlib.repr(value)}")
    return value


def _unique(pairs):
    value = dict(pairs)
    if len(value) < len(pairs):
        raise ValueError("an object has a key twice")
    return value


def _finite(text):
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("a number is not finite")
    return value


def _children(value):
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _too_deep(name):
    return ModelError(f"{name} should have at most {MAX_DEPTH} levels; found more")
