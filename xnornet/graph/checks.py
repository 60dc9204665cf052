"""Checks of parameters, in Python's integers, which do not overflow.

Compiled kernels check neither indices nor overflow. All that they rely on is checked here, before anything is
computed.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xnornet.catalog import MAX_BITS
from xnornet.errors import ModelError
from xnornet.fixedpoint import Q
from xnornet.graph.formats import ACCUMULATOR_BITS
from xnornet.hints import Shape

if TYPE_CHECKING:
    from xnornet.graph.window import Window

__all__ = [
    "MAX_LENGTH",
    "check_bias",
    "check_format",
    "check_length",
    "check_numbers",
    "check_shape",
    "check_window",
    "is_count",
]

# Within it, every number of a format and its unit are normal doubles, so scaling by a power of two is exact.
MAX_INT_BITS = 1000

# No length of an image, window, stride or padding is larger: products of two of them fit 64 bits by far.
MAX_LENGTH = 1 << 24


def is_count(n: Any, least: int = 1) -> bool:
    """Whether a number is a length of anything."""
    return isinstance(n, int | np.integer) and not isinstance(n, bool) and bool(least <= n <= MAX_LENGTH)


def check_length(name: str, n: Any, least: int = 1) -> None:
    if not is_count(n, least):
        raise ModelError(f"{name} should be {least} to {MAX_LENGTH}; found {n}")


def check_format(name: str, q: Q | None) -> None:
    if q is None or q.bits > MAX_BITS or abs(q.int_bits) > MAX_INT_BITS:
        raise ModelError(
            f"{name} should have at most {MAX_BITS} bits, of which -{MAX_INT_BITS} to {MAX_INT_BITS} are "
            f"integer; found {q}"
        )


def check_numbers(name: str, array: NDArray, q: Q) -> None:
    """Compare an array's type and range with those of its format."""
    dtype = np.dtype(np.int16 if name == "W" else np.int64)
    if array.dtype != dtype:
        raise ModelError(f"{name} should be an array of {dtype}; found {array.dtype}")
    if array.size and max(-int(array.min()), int(array.max())) > q.limit:
        raise ModelError(
            f"{name} should lie within {q.limit} of 0 in {q}; found {array.min()} to {array.max()}"
        )


def check_shape(name: str, array: NDArray, shape: Shape) -> None:
    if array.shape != tuple(shape):
        raise ModelError(f"{name} should have shape {tuple(shape)}; found {array.shape}")


def check_bias(operation: Any, shape: Shape, product_f: int) -> None:
    """A bias, if there is one, has a number for each output channel, or for each number of the output.

    It is shifted to the left before it is added to a product of ``product_f`` fraction bits.
    """
    if operation.b is None:
        return
    check_shape("b", operation.b, shape if operation.b.ndim > 1 else shape[:1])
    if not 0 <= product_f - operation.q_b.f <= ACCUMULATOR_BITS:
        raise ModelError(
            f"q_b should have at most the {product_f} fraction bits of the product, and at most "
            f"{ACCUMULATOR_BITS} fewer; found {operation.q_b.f}"
        )


def check_window(window: "Window", shape: Shape, whole: bool = True) -> None:
    if len(shape) != 3:
        raise ModelError(
            f"a window should move over an input of (channels, rows, columns); found {window} on {shape}"
        )
    pads = window.pad if isinstance(window.pad, tuple) else ()
    pairs = (window.size, window.stride, window.pad, window.dilation, *pads)
    if not all(isinstance(pair, tuple) and len(pair) == 2 for pair in pairs):
        raise ModelError(
            "a window should have two sizes, two strides, two dilations, and padding before and after rows "
            f"and columns; found {window}"
        )
    if not all(is_count(n) for n in (*window.size, *window.stride, *window.dilation)):
        raise ModelError(f"sizes, strides and dilations should be 1 to {MAX_LENGTH}; found {window}")
    if not all(is_count(n, 0) for pad in pads for n in pad):
        raise ModelError(f"padding should be 0 to {MAX_LENGTH}; found {window.pad}")
    if min(window.grid(shape[1:], whole)) < 1:
        raise ModelError(f"a window should fit its padded input; found {window} on {shape}")
