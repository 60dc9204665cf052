"""The kernels' plain twins: the same names and arguments, a few lines of NumPy each.

Tests hold the kernels to them. An engine runs on them, in one thread and a few hundred times slower, with
``Engine(model, kernels=xnornet.engine.reference)``.
"""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xnornet.engine.definition import exact
from xnornet.engine.kernels import runs_of
from xnornet.fixedpoint import round_shift
from xnornet.hints import Shape
from xnornet.vectors import BLOCK

__all__ = [
    "accumulate",
    "average",
    "concatenate",
    "concatenate_bits",
    "exact",
    "flatten",
    "pointwise",
    "pointwise_wide",
    "pool_bits",
    "prepare",
    "product",
    "product_bits",
    "product_wide",
    "quantize",
    "quantize_double",
    "runner",
    "xnor",
    "xnor_bits",
    "xnor_wide",
]


def prepare(names: Iterable[str]) -> None:
    """Nothing is to be compiled."""


def runner(calls: list, threads: int) -> Callable[[], None]:
    """A function without arguments that runs kernels, calls being their names and arguments."""

    def run():
        for name, arguments in calls:
            globals()[name](*arguments)

    return run


def quantize(
    count: int,
    images: NDArray,
    scale: Any,
    limit: float,
    out: NDArray[np.int64],
    corner: tuple[int, int],
    invalid: NDArray,
) -> None:
    values = images[:count].transpose(0, 2, 3, 1).astype(np.float64)
    numbers = np.nan_to_num(np.rint(values * scale), nan=0, posinf=limit, neginf=-limit)
    _write(out, corner, numbers.clip(-limit, limit))
    invalid[:] = 0
    invalid[0] = np.isnan(values).sum(), (abs(values * scale) > limit + 1).sum()


quantize_double = quantize


def product(count: int, x: NDArray, w: NDArray, *window_and_rest: Any) -> None:
    *window, b, shift, low, high, _, _, _, out = window_and_rest
    n = _products(count, x, w, *window, out.shape[1:3], out.shape[3])  # type: ignore[call-arg]
    out[:count] = _rounded(n + b, shift, low, high)


product_wide = product


def xnor(count: int, x: NDArray, magnitudes: NDArray, w: NDArray, *window_and_rest: Any) -> None:
    *window, base, classes, alpha, b, shift, low, high, _, _, _, out = window_and_rest
    grid = out.shape[1:3]
    differences = _differences(count, x, w, *window, grid, out.shape[3])
    n = (_by_pixel(base[classes], grid) - 2 * differences) * alpha.astype(np.int64)
    if magnitudes.size:
        stride, size, dilation, _ = window
        n = n * sum(_moved(magnitudes[:count], stride, size, grid, dilation))[..., None]
    out[:count] = _rounded(n + b, shift, low, high)


xnor_wide = xnor


def xnor_bits(*filter_and_rest: Any, sums: Any = None) -> None:
    *own, limits, classes, flips, grid, _, _, _, out, corner = filter_and_rest
    found = (sums or _differences)(*own, grid, limits.shape[1])
    _write(out, corner, _packed(found <= _by_pixel(limits[classes], grid)) ^ flips)


def product_bits(*filter_and_rest: Any) -> None:
    xnor_bits(*filter_and_rest, sums=_products)


def pool_bits(
    count: int,
    x: NDArray,
    size: tuple[int, int],
    stride: tuple[int, int],
    pad: tuple[int, int],
    flips: NDArray,
    grid: Shape,
    out: NDArray[np.int64],
    corner: tuple[int, int],
) -> None:
    padded = _pooled(x[:count], size, stride, pad, grid, np.uint64(0))
    _write(out, corner, np.bitwise_or.reduce(list(_moved(padded, stride, size, grid))) ^ flips)


def pointwise(
    count: int,
    x: NDArray,
    size: tuple[int, int],
    stride: tuple[int, int],
    pad: tuple[int, int],
    scale: Any,
    b: NDArray,
    shift: int,
    low: int,
    high: int,
    other: NDArray,
    factors: NDArray,
    *more: Any,
) -> None:
    sum_shift, sum_low, sum_high, grid, _, out, corner, signs, magnitudes, signs_corner = more
    padded = _pooled(x[:count], size, stride, pad, grid, np.int16(-(2**15)))
    n = np.maximum.reduce(list(_moved(padded, stride, size, grid))).astype(np.int64)
    n = _rounded(n * scale + b, shift, low, high) if len(scale) else np.maximum(n, low)
    if other.size:
        first, second = factors.astype(np.int64)
        n = _rounded(n * first + other[:count] * second, sum_shift, sum_low, sum_high)
    if out.size:
        _write(out, corner, n)
    if signs.size:
        _write(signs, signs_corner, _packed(n >= 0))
    if magnitudes.size:
        _write(magnitudes, signs_corner, abs(n).sum(axis=3))


pointwise_wide = pointwise


def accumulate(count: int, x: NDArray, factor: int, keep: int, sums: Any) -> None:
    sums[:count] = sums[:count] * keep + x[:count].astype(np.int64) * factor


def concatenate(count: int, x: NDArray, place: int, out: NDArray[np.int64], corner: tuple[int, int]) -> None:
    _write(out[..., place : place + x.shape[3]], corner, x[:count])


concatenate_bits = concatenate


def average(
    count: int,
    x: NDArray,
    size: tuple[int, int],
    stride: tuple[int, int],
    pad: tuple[int, int],
    factor: NDArray,
    shift: int,
    low: int,
    high: int,
    sums: Any,
    out: NDArray[np.int64],
) -> None:
    grid = out.shape[1:3]
    padded = _pooled(x[:count].astype(np.int64), size, stride, pad, grid, 0)
    total = sum(_moved(padded, stride, size, grid))
    out[:count] = _rounded(total * factor[..., None], shift, low, high)


def flatten(count: int, x: NDArray, out: NDArray[np.int64]) -> None:
    out[:count, 0, 0] = x[:count].transpose(0, 3, 1, 2).reshape(count, -1)


def _moved(x, stride, size, grid, dilation=(1, 1)):
    """For each tap of a window, what it meets at each output pixel."""
    ends = [(n - 1) * s + 1 for n, s in zip(grid, stride, strict=True)]
    for i in range(0, size[0] * dilation[0], dilation[0]):
        for j in range(0, size[1] * dilation[1], dilation[1]):
            yield x[:, i : i + ends[0] : stride[0], j : j + ends[1] : stride[1]]


def _sums(multiply, count, x, w, stride, size, dilation, group, grid, outputs):
    """Sums over each window of what an element of the input and one of an output's weights give."""
    depth, blocks = group
    last, found = x.shape[3] - depth, []
    for block, weights in enumerate(w):
        first = min(block // blocks * depth, last)
        taps = _moved(x[:count, ..., first : first + depth], stride, size, grid, dilation)
        elements = (tap[..., e, None] for tap in taps for e in range(depth))
        found.append(sum(multiply(n, own) for n, own in zip(elements, weights, strict=True)))
    return np.concatenate(found, axis=3)[..., :outputs]


def _differences(*filter_and_grid):
    return _sums(lambda n, w: np.bitwise_count(n ^ w).astype(np.int64), *filter_and_grid)


def _products(count, x, w, stride, size, dilation, group, grid, outputs):
    _, length = runs_of.py_func(size, dilation, x.shape[3], group[0])
    w = (
        np.ascontiguousarray(w.transpose(0, 2, 1), "<i4")
        .view("<i2")
        .reshape(len(w), BLOCK, -1, length + length % 2)
    )
    if length % 2:
        w = np.delete(w, length - 1, axis=3)
    w = w.reshape(len(w), BLOCK, -1).transpose(0, 2, 1).astype(np.int64)
    return _sums(np.multiply, count, x, w, stride, size, dilation, group, grid, outputs)


def _pooled(x, size, stride, pad, grid, lowest):
    """An image with so much padding that every pooling window is whole."""
    widths = [
        (before, max(0, (n - 1) * s + w - before - length))
        for before, n, s, w, length in zip(pad, grid, stride, size, x.shape[1:3], strict=True)
    ]
    return np.pad(x, [(0, 0), *widths, (0, 0)], constant_values=lowest)


def _rounded(n, shift, low, high):
    return round_shift(n, shift).clip(low, high)


def _by_pixel(values, grid):
    """``(output pixels, outputs)`` as ``(rows, columns, outputs)``."""
    return values.reshape(*grid, -1)


def _packed(flags):
    """Words of 64 flags along the last axis."""
    channels = flags.shape[-1]
    flags = np.pad(flags, [(0, 0)] * 3 + [(0, -channels % 64)])
    words = flags.reshape(*flags.shape[:3], -1, 64).astype(np.uint64) << np.arange(64, dtype=np.uint64)
    return np.bitwise_or.reduce(words, axis=-1)


def _write(out, corner, values):
    count, rows, columns = values.shape[:3]
    out[:count, corner[0] : corner[0] + rows, corner[1] : corner[1] + columns] = values
