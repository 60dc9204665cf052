"""A kernel's arguments as words of memory: written in Python once, read in machine code at each call.

An array is its address and shape, a pair its two numbers, a real number its bits.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba import from_dtype, types
from numba.core import cgutils
from numba.extending import intrinsic

# Not part of Numba's documented interface, like the functions for arrays in ``vectors``; the documented
# ``numba.carray`` makes an array of one address, but not a tuple of arguments of many types.
from numba.np.arrayobj import populate_array
from numpy.typing import DTypeLike, NDArray

from xnornet.machine_code import WORDS

__all__ = ["INTEGER", "PAIR", "REAL", "array", "as_words", "reader"]

INTEGER, REAL, PAIR = types.intp, types.float64, types.UniTuple(types.intp, 2)


def array(dtype: DTypeLike, axes: int) -> types.Array:
    """The kind of an array whose elements lie beside each other, the last axis first.

    Parameters
    ----------
    dtype : NumPy type
    axes : int
    """
    return types.Array(from_dtype(np.dtype(dtype)), axes, "C")


def as_words(kinds: Sequence[Any], arguments: Sequence[Any]) -> NDArray[np.intp]:
    """Arguments as a kernel reads them.

    Parameters
    ----------
    kinds : tuple
        What the kernel expects.
    arguments : tuple

    Returns
    -------
    intp array
        It contains the arrays' addresses and does not keep the arrays alive.

    Raises
    ------
    TypeError
        An argument is of another kind, which machine code would not detect.
    """
    words = []
    for i, (kind, argument) in enumerate(zip(kinds, arguments, strict=True)):
        if not _is(kind, argument):
            raise TypeError(f"argument {i} should be of kind {kind}; got {argument!r}")
        if isinstance(argument, np.ndarray):
            words += [argument.ctypes.data, *argument.shape]
        elif kind is REAL:
            words.append(np.float64(argument).view(np.intp))
        else:
            words += argument if kind is PAIR else [argument]
    return np.array(words, np.intp)


def _is(kind, argument):
    if isinstance(argument, np.ndarray):
        same = isinstance(kind, types.Array) and argument.dtype == str(kind.dtype)
        return same and argument.ndim == kind.ndim and argument.flags.c_contiguous
    if kind is PAIR:
        return isinstance(argument, tuple) and len(argument) == 2
    return isinstance(argument, float if kind is REAL else int | np.integer)


def reader(kinds: Sequence[Any]) -> Callable:
    """A function for kernels that reads arguments of these kinds from words, as a tuple."""

    @intrinsic
    def read(typing_context, words):
        def generate(context, builder, signature, arguments):
            place = iter(range(sum(map(_length, kinds))))

            def word():
                return builder.load(builder.gep(arguments[0], [ir.IntType(64)(next(place))]))

            values = [_value(context, builder, kind, word) for kind in kinds]
            return context.make_tuple(builder, signature.return_type, values)

        return types.Tuple(kinds)(WORDS), generate

    return read


def _length(kind):
    """Words of an argument."""
    if isinstance(kind, types.Array):
        return 1 + kind.ndim
    return 2 if kind is PAIR else 1


def _value(context, builder, kind, word):
    """An argument, of as many words as it takes."""
    if kind is INTEGER:
        return word()
    if kind is REAL:
        return builder.bitcast(word(), ir.DoubleType())
    if kind is PAIR:
        return context.make_tuple(builder, kind, [word(), word()])
    size = context.get_abi_sizeof(context.get_data_type(kind.dtype))
    value = context.make_array(kind)(context, builder)
    data = builder.inttoptr(word(), value.data.type)
    shape = [word() for _ in range(kind.ndim)]
    strides = [ir.IntType(64)(size)]
    for length in reversed(shape[1:]):
        strides.insert(0, builder.mul(strides[0], length, flags=["nsw"]))
    populate_array(
        value,
        data=data,
        shape=cgutils.pack_array(builder, shape),
        strides=cgutils.pack_array(builder, strides),
        itemsize=ir.IntType(64)(size),
        meminfo=None,
    )
    return value._getvalue()
