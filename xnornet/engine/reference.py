"""The kernels' plain twins: the same names and arguments, a few lines of NumPy each.

Tests hold the kernels to them. An engine runs on them, in one thread and a few hundred times slower, with
``Engine(model, kernels=xnornet.engine.reference)``.
"""

import numpy as np

from xnornet.engine.definition import exact
from xnornet.fixedpoint import round_shift

__all__ = [
    "add",
    "add_wide",
    "average",
    "exact",
    "flatten",
    "pointwise",
    "pointwise_wide",
    "pool_bits",
    "prepare",
    "product",
    "product_wide",
    "quantize",
    "quantize_double",
    "runner",
    "xnor",
    "xnor_bits",
]


def prepare(names):
    """Nothing is to be compiled."""


def runner(calls, threads):
    """A function without arguments that runs kernels, calls being their names and arguments."""

    def run():
        for name, arguments in calls:
            globals()[name](*arguments)

    return run


def quantize(count, images, scale, limit, out, corner, lost):
    values = images[:count].transpose(0, 2, 3, 1).astype(np.float64)
    numbers = np.nan_to_num(np.rint(values * scale), nan=0, posinf=limit, neginf=-limit)
    _write(out, corner, numbers.clip(-limit, limit))
    lost[:] = 0
    lost[0] = np.isnan(values).sum(), (abs(values * scale) > limit + 1).sum()


quantize_double = quantize


def product(count, x, w, stride, size, b, shift, low, high, blocks_each, places, sums, out):
    grid, outputs = out.shape[1:3], out.shape[3]
    n = sum(
        tap[..., None].astype(np.int64) * weights
        for tap, weights in _taps(count, x, w, stride, size, grid, outputs)
    )
    out[:count] = _rounded(n + b, shift, low, high)


product_wide = product


def xnor(count, x, magnitudes, w, stride, size, base, classes, alpha, b, shift, low, high, *scratch_and_out):
    out = scratch_and_out[-1]
    grid, outputs = out.shape[1:3], out.shape[3]
    differences = _differences(count, x, w, stride, size, grid, outputs)
    n = (_by_pixel(base[classes], grid) - 2 * differences) * alpha
    if magnitudes.size:
        n = n * sum(_moved(magnitudes[:count], stride, size, grid))[..., None]
    out[:count] = _rounded(n + b, shift, low, high)


def xnor_bits(
    count, x, w, stride, size, limits, classes, flips, grid, blocks_each, places, sums, out, corner
):
    differences = _differences(count, x, w, stride, size, grid, limits.shape[1])
    _write(out, corner, _packed(differences <= _by_pixel(limits[classes], grid)) ^ flips)


def pool_bits(count, x, size, stride, pad, flips, grid, out, corner):
    padded = _pooled(x[:count], size, stride, pad, grid, np.uint64(0))
    _write(out, corner, np.bitwise_or.reduce(list(_moved(padded, stride, size, grid))) ^ flips)


def pointwise(
    count, x, size, stride, pad, scale, b, shift, low, high, grid, lines, out, signs, magnitudes, corner
):
    padded = _pooled(x[:count], size, stride, pad, grid, np.int16(-(2**15)))
    n = np.maximum.reduce(list(_moved(padded, stride, size, grid))).astype(np.int64)
    n = _rounded(n * scale + b, shift, low, high) if len(scale) else np.maximum(n, low)
    if out.size:
        _write(out, corner, n)
    if signs.size:
        _write(signs, corner, _packed(n >= 0))
    if magnitudes.size:
        _write(magnitudes, corner, abs(n).sum(axis=3))


pointwise_wide = pointwise


def add(count, x, y, factors, shift, low, high, out):
    a, b = factors.astype(np.int64)
    out[:count] = _rounded(x[:count].astype(np.int64) * a + y[:count] * b, shift, low, high)


add_wide = add


def average(count, x, size, stride, pad, factor, shift, low, high, sums, out):
    grid = out.shape[1:3]
    padded = _pooled(x[:count].astype(np.int64), size, stride, pad, grid, 0)
    total = sum(_moved(padded, stride, size, grid))
    out[:count] = _rounded(total * factor[..., None], shift, low, high)


def flatten(count, x, out):
    out[:count, 0, 0] = x[:count].transpose(0, 3, 1, 2).reshape(count, -1)


def _moved(x, stride, size, grid):
    """For each tap of a window, what it meets at each output pixel."""
    ends = [(n - 1) * s + 1 for n, s in zip(grid, stride, strict=True)]
    for i in range(size[0]):
        for j in range(size[1]):
            yield x[:, i : i + ends[0] : stride[0], j : j + ends[1] : stride[1]]


def _taps(count, x, w, stride, size, grid, outputs):
    """Each element of a window: what it meets at each output pixel, and its weight for each output."""
    weights = w.transpose(1, 0, 2).reshape(w.shape[1], -1)[:, :outputs]
    elements = (moved[..., e] for moved in _moved(x[:count], stride, size, grid) for e in range(x.shape[3]))
    return zip(elements, weights, strict=True)


def _differences(*filter_and_grid):
    return sum(
        np.bitwise_count(tap[..., None] ^ weights).astype(np.int64)
        for tap, weights in _taps(*filter_and_grid)
    )


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
