"""The engine's kernels, compiled by Numba for the processor they run on; ``reference`` has their plain twins.

Images are stored with channels last: integers as ``(batch, rows, columns, channels)`` int16, signs as
``(batch, rows, columns, words)`` uint64, bit ``k`` of word ``j`` for channel ``64 j + k``, and the sums of
magnitudes over all channels as ``(batch, rows, columns)`` int64. The input of a filter includes its padding,
zeros that no kernel writes to; ``corner`` is the index of the first pixel behind that padding.

A filter's weights are ``(blocks, taps, BLOCK)``: for each tap, those of ``BLOCK`` outputs beside each other;
real weights are in pairs, as ``xnornet.vectors.tile`` takes them. A dense layer is a filter as large as the
image. A group of a grouped filter is whole blocks of outputs, and whole words of signs. The output pixels of
all images of a batch are numbered in a row, and a task is ``STRETCH`` of them with some of the blocks.

A kernel computes the share of thread ``thread`` of ``threads`` (see ``workers``). It reads its arguments,
which its docstring lists, from words of memory (see ``arguments``). Nothing here checks bounds or allocates
memory: ``plan`` allocates all arrays beforehand.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property, partial
from itertools import groupby
from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

from xnornet.engine.arguments import INTEGER, PAIR, REAL, array, as_words, reader
from xnornet.engine.definition import exact
from xnornet.engine.workers import KERNEL, Program, shared_pool
from xnornet.machine_code import c_function, part
from xnornet.vectors import BLOCK, TILE, copy_64, pack_at_most, pack_nonnegative, scale_64, sum_64, tile

__all__ = [
    "STRETCH",
    "WORD",
    "accumulate",
    "average",
    "concatenate",
    "concatenate_bits",
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
    "runs_of",
    "xnor",
    "xnor_bits",
    "xnor_wide",
]

# Pixels whose sums a thread keeps at a time.
STRETCH = 32

# Signs of a word.
WORD = 64


# For what runs once a pixel, which a call would slow down.
inlined = partial(part, inline="always")


class Kernel:
    """A kernel, compiled when its address is first needed.

    Parameters
    ----------
    function : function
        ``function(thread, threads, words)``
    kinds : tuple
        Of the arguments that it reads from its words.
    """

    def __init__(self, function: Callable[..., None], kinds: Sequence[Any]) -> None:
        self._function, self.kinds, self.__doc__ = function, kinds, function.__doc__

    @cached_property
    def _code(self):
        return c_function(self._function, KERNEL)

    @property
    def address(self) -> int:
        return self._code.address


def _kernel(kinds):
    return partial(Kernel, kinds=kinds)


def prepare(names: Iterable[str]) -> None:
    """Compile kernels, or read their machine code from disk."""
    shared_pool()
    for name in names:
        globals()[name].address  # noqa: B018


def runner(calls: list, threads: int) -> Callable[[], None]:
    """A function without arguments that runs kernels on a number of threads.

    Parameters
    ----------
    calls : list of (str, tuple)
        Names of kernels and their arguments.
    threads : int
    """
    parts = [_part(list(part), threads) for is_exact, part in groupby(calls, lambda call: call[0] == "exact")]
    return parts[0] if len(parts) == 1 else partial(_run_in_turn, parts)


def _part(calls, threads):
    """As `runner`, for calls that are either all compiled or all exact."""
    if calls[0][0] == "exact":
        return partial(_run_in_turn, [partial(exact, *arguments) for _, arguments in calls])
    kernels = [globals()[name] for name, _ in calls]
    words = [as_words(kernel.kinds, a) for kernel, (_, a) in zip(kernels, calls, strict=True)]
    program = Program(list(zip(kernels, words, strict=True)), kept=calls)
    return partial(shared_pool().run, program, threads)


def _run_in_turn(functions):
    for function in functions:
        function()


@part
def _rounded(n, shift, low, high):
    """``clip(round_half_even(n * 2**-shift), low, high)`` for a shift of 0 to 63, in int64."""
    half = (np.int64(1) << max(shift - 1, 0)) - 1
    odd = (n >> shift) & np.int64(min(shift, 1))
    return min(max((n + half + odd) >> shift, low), high)


@part
def _rounded_narrow(n, shift, low, high):
    """As :func:`_rounded`, for a shift of 0 to 30, in int32."""
    half = np.int32((np.int32(1) << np.int32(max(shift - 1, 0))) - 1)
    odd = np.int32(np.int32(n >> np.int32(shift)) & np.int32(min(shift, 1)))
    rounded = np.int32(np.int32(np.int32(n + half) + odd) >> np.int32(shift))
    return min(max(rounded, np.int32(low)), np.int32(high))


def _scaled(x, a, b, shift, low, high):
    """``x * a + b``, rounded: in 32 bits if ``a`` has 32, else in 64."""


@overload(_scaled)
def _scaled_by_type(x, a, b, shift, low, high):
    def narrow(x, a, b, shift, low, high):
        return _rounded_narrow(np.int32(np.int32(np.int32(x) * a) + np.int32(b)), shift, low, high)

    def wide(x, a, b, shift, low, high):
        return _rounded(np.int64(x) * a + b, shift, low, high)

    return narrow if a == types.int32 else wide


def _added(n, b, shift, low, high):
    """``n + b``, rounded: in 32 bits if ``b`` has 32, else in 64."""


@overload(_added)
def _added_by_type(n, b, shift, low, high):
    def narrow(n, b, shift, low, high):
        return _rounded_narrow(np.int32(n + b), shift, low, high)

    def wide(n, b, shift, low, high):
        return _rounded(n + b, shift, low, high)

    return narrow if b == types.int32 else wide


@part
def _share(tasks, thread, threads):
    """Half-open range of a thread's tasks."""
    return tasks * thread // threads, tasks * (thread + 1) // threads


@part
def _task(task, count, blocks, blocks_each):
    """First and last-but-one pixel and block of a task."""
    parts = (blocks + blocks_each - 1) // blocks_each
    first_pixel, first_block = task // parts * STRETCH, task % parts * blocks_each
    return first_pixel, min(first_pixel + STRETCH, count), first_block, min(first_block + blocks_each, blocks)


@part
def _tasks(count, blocks, blocks_each):
    return (count + STRETCH - 1) // STRETCH * ((blocks + blocks_each - 1) // blocks_each)


@part
def runs_of(
    size: tuple[int, int], dilation: tuple[int, int], depth: int, group_depth: int
) -> tuple[int, int]:
    """Number of contiguous runs in a row of a window, and the length of each."""
    if dilation[1] == 1 and group_depth == depth:
        return 1, size[1] * depth
    return size[1], group_depth


@part
def _sum(x, w, task, grid, stride, size, dilation, group, places, sums):
    """Fill a thread's ``sums``, ``(STRETCH, outputs)``, for a task.

    ``grid`` has rows and columns of the output, ``places`` room for where each pixel's window begins in the
    flat ``x``.
    """
    first_pixel, last_pixel, first_block, last_block = task
    rows, columns = grid
    _, height, width, depth = x.shape
    for pixel in range(first_pixel, last_pixel):
        image, place = pixel // (rows * columns), pixel % (rows * columns)
        y, x_ = place // columns * stride[0], place % columns * stride[1]
        places[pixel - first_pixel] = ((image * height + y) * width + x_) * depth
    pixels, outputs = last_pixel - first_pixel, sums.shape[1]
    each, length = runs_of(size, dilation, depth, group[0])
    runs, apart = (size[0], each), (dilation[0] * width * depth, dilation[1] * depth)
    for block in range(first_block, last_block):
        first = block * w.shape[1] * BLOCK
        # A block of zeros behind the last group reads that one's input.
        of_group = min(block // group[1] * group[0], depth - group[0])
        whole = pixels // TILE * TILE
        if TILE == 4:
            for p in range(0, whole, TILE):
                a, b, c, d = places[p], places[p + 1], places[p + 2], places[p + 3]
                four = (a + of_group, b + of_group, c + of_group, d + of_group)
                tile(x, four, runs, length, apart, w, first, sums, p * outputs + block * BLOCK, outputs)
        else:
            whole = 0
        for p in range(whole, pixels):
            one = (places[p] + of_group,)
            tile(x, one, runs, length, apart, w, first, sums, p * outputs + block * BLOCK, outputs)


_QUANTIZE, _QUANTIZE_DOUBLE = (
    (INTEGER, array(real, 4), REAL, REAL, array("int16", 4), PAIR, array("int64", 2))
    for real in ("float32", "float64")
)
_read_quantize, _read_quantize_double = reader(_QUANTIZE), reader(_QUANTIZE_DOUBLE)


@_kernel(_QUANTIZE)
def quantize(thread: int, threads: int, words: Any) -> None:
    """Write ``clip(round_half_even(images * scale), -limit, limit)``, and 0 for NaN.

    Parameters
    ----------
    count : int
        Images of the batch, here and in all kernels.
    images : float32 array, ``(n, channels, rows, columns)``
    scale, limit : float
    out : int16 array, ``(n, rows, columns, channels)`` with padding
    corner : pair of int
    invalid : int64 array, ``(threads, 2)``
        How many inputs of a thread are not a number, and how many are beyond the limit by more than a unit.
    """
    _quantize(thread, threads, *_read_quantize(words))


@_kernel(_QUANTIZE_DOUBLE)
def quantize_double(thread: int, threads: int, words: Any) -> None:
    """As :func:`quantize`, for float64 images."""
    _quantize(thread, threads, *_read_quantize_double(words))


@part
def _quantize(thread, threads, count, images, scale, limit, out, corner, invalid):
    _, channels, rows, columns = images.shape
    first, last = _share(count * rows, thread, threads)
    no_numbers = beyond = 0
    for task in range(first, last):
        i, y = task // rows, task % rows
        for c in range(channels):
            for x in range(columns):
                value = np.float64(images[i, c, y, x]) * scale
                beyond += abs(value) > limit + 1
                value = np.rint(value)
                is_number = value == value
                no_numbers += not is_number
                # Turning what is not a number into an integer gives a different one on each processor.
                value = min(max(value, -limit), limit) if is_number else 0.0
                out[i, corner[0] + y, corner[1] + x, c] = np.int16(value)
    invalid[thread, 0], invalid[thread, 1] = no_numbers, beyond


# How a filter's window moves and what of it a group reads: stride, size, dilation, group.
_READING = (*[PAIR] * 4,)

_PRODUCT, _PRODUCT_WIDE = (
    (
        *(INTEGER, array("int16", 4), array("int32", 3), *_READING, array(sums, 1)),
        *(INTEGER, INTEGER, INTEGER, INTEGER, array("int64", 2), array(sums, 3), array("int16", 4)),
    )
    for sums in ("int32", "int64")
)
_read_product, _read_product_wide = reader(_PRODUCT), reader(_PRODUCT_WIDE)


@_kernel(_PRODUCT)
def product(thread: int, threads: int, words: Any) -> None:
    """Real filter: ``clip(round_half_even((x (*) w + b) * 2**-shift), low, high)``.

    Parameters
    ----------
    x : int16 array, ``(n, rows, columns, channels)`` with padding
    w : int32 array, ``(blocks, pairs, BLOCK)``
    stride, size, dilation : pair of int
    group : pair of int
        Last lengths of ``x``, channels or words, that a group reads, and its blocks.
    b : int32 array, ``(outputs,)``
        No sum of products with it, and half a unit for rounding, is beyond 32 bits.
    shift : int
        0 to 30.
    low, high : int
    blocks_each : int
        Blocks of a task.
    places : int64 array, ``(threads, STRETCH)``
    sums : int32 array, ``(threads, STRETCH, outputs)``, outputs rounded up to a block
    out : int16 array, ``(n, output rows, output columns, outputs)``
    """
    _product(thread, threads, *_read_product(words))


@_kernel(_PRODUCT_WIDE)
def product_wide(thread: int, threads: int, words: Any) -> None:
    """As :func:`product`, with int64 ``b`` and ``sums`` and a shift of 0 to 63."""
    _product(thread, threads, *_read_product_wide(words))


@part
def _product(
    thread,
    threads,
    count,
    x,
    w,
    stride,
    size,
    dilation,
    group,
    b,
    shift,
    low,
    high,
    blocks_each,
    *scratch_and_out,
):
    places, sums, out = scratch_and_out
    _, rows, columns, outputs = out.shape
    pixels = count * rows * columns
    first, last = _share(_tasks(pixels, len(w), blocks_each), thread, threads)
    for t in range(first, last):
        task = _task(t, pixels, len(w), blocks_each)
        _sum(x, w, task, (rows, columns), stride, size, dilation, group, places[thread], sums[thread])
        for pixel in range(task[0], task[1]):
            image, place = pixel // (rows * columns), pixel % (rows * columns)
            y, x_ = place // columns, place % columns
            o = slice(task[2] * BLOCK, min(task[3] * BLOCK, outputs))
            own_sums, own_b = sums[thread, pixel - task[0], o], b[o]
            to = out[image, y, x_, o]
            for k in range(len(to)):
                to[k] = _added(own_sums[k], own_b[k], shift, low, high)


_XNOR, _XNOR_WIDE = (
    (
        *(INTEGER, array("uint64", 4), array("int64", 3), array("uint64", 3), *_READING),
        *(array("int32", 2), array("int32", 1), array(sums, 1), array(sums, 1)),
        *(INTEGER, INTEGER, INTEGER, INTEGER, array("int64", 2), array("int32", 3), array("int16", 4)),
    )
    for sums in ("int32", "int64")
)
_read_xnor, _read_xnor_wide = reader(_XNOR), reader(_XNOR_WIDE)


@_kernel(_XNOR)
def xnor(thread: int, threads: int, words: Any) -> None:
    """Binary filter: ``clip(round_half_even((H . B) * alpha * sum|I| + b) * 2**-shift), low, high)``.

    ``H . B`` is ``base`` less twice the number of differing signs, padding counted as -1.

    Parameters
    ----------
    x : uint64 array, ``(n, rows, columns, words)`` with padding
    magnitudes : int64 array, ``(n, rows, columns)`` with padding, or of no rows
        Without rows, ``sum|I|`` is left out.
    w : uint64 array, ``(blocks, taps, BLOCK)``
    base : int32 array, ``(classes, outputs)``
    classes : int32 array, ``(output pixels,)``
        Which row of ``base`` a pixel takes: what of its window lies on the padding decides.
    alpha : int32 array, ``(outputs,)``
    stride, size, dilation, group, b, shift, low, high, blocks_each, places, sums, out : as in :func:`product`
    """
    _xnor(thread, threads, *_read_xnor(words))


@_kernel(_XNOR_WIDE)
def xnor_wide(thread: int, threads: int, words: Any) -> None:
    """As :func:`xnor`, with int64 ``alpha`` and ``b`` and a shift of 0 to 63."""
    _xnor(thread, threads, *_read_xnor_wide(words))


@part
def _xnor(thread, threads, count, x, magnitudes, w, stride, size, dilation, group, base, classes, *more):
    alpha, b, shift, low, high, blocks_each, places, sums, out = more
    _, rows, columns, outputs = out.shape
    pixels = count * rows * columns
    scaled = magnitudes.shape[1] > 0
    first, last = _share(_tasks(pixels, len(w), blocks_each), thread, threads)
    for t in range(first, last):
        task = _task(t, pixels, len(w), blocks_each)
        _sum(x, w, task, (rows, columns), stride, size, dilation, group, places[thread], sums[thread])
        for pixel in range(task[0], task[1]):
            image, place = pixel // (rows * columns), pixel % (rows * columns)
            y, x_ = place // columns, place % columns
            o = slice(task[2] * BLOCK, min(task[3] * BLOCK, outputs))
            own_sums, own_base = sums[thread, pixel - task[0], o], base[classes[place], o]
            own_alpha, own_b = alpha[o], b[o]
            to = out[image, y, x_, o]
            if scaled:
                total = np.int64(0)
                for i in range(size[0]):
                    for j in range(size[1]):
                        row, column = i * dilation[0], j * dilation[1]
                        total += magnitudes[image, y * stride[0] + row, x_ * stride[1] + column]
                for k in range(len(to)):
                    n = np.int64(own_base[k]) - 2 * np.int64(own_sums[k])
                    to[k] = _rounded(n * own_alpha[k] * total + own_b[k], shift, low, high)
            else:
                for k in range(len(to)):
                    n = own_base[k] - 2 * own_sums[k]
                    to[k] = _scaled(n, own_alpha[k], own_b[k], shift, low, high)


_XNOR_BITS, _PRODUCT_BITS = (
    (
        *(INTEGER, array(x, 4), array(w, 3), *_READING, array("int32", 2), array("int32", 1)),
        *(array("uint64", 1), PAIR, INTEGER, array("int64", 2), array("int32", 3), array("uint64", 4), PAIR),
    )
    for x, w in (("uint64", "uint64"), ("int16", "int32"))
)
_read_xnor_bits, _read_product_bits = reader(_XNOR_BITS), reader(_PRODUCT_BITS)


@_kernel(_XNOR_BITS)
def xnor_bits(thread: int, threads: int, words: Any) -> None:
    """Binary filter of which only output signs are needed: whether at most ``limits`` signs differ.

    Parameters
    ----------
    limits : int32 array, ``(classes, outputs)``, outputs rounded up to a word
    classes : int32 array, ``(output pixels,)``
    flips : uint64 array, ``(words,)``
        Outputs whose sign is turned.
    grid : pair of int
        Rows and columns of the output.
    blocks_each : int
        Blocks of a task, whole words.
    out : uint64 array, ``(n, rows, columns, words)`` with padding
    corner : pair of int
    count, x, w, stride, size, dilation, group, places, sums : as in :func:`xnor`
    """
    _bits(thread, threads, *_read_xnor_bits(words))


@_kernel(_PRODUCT_BITS)
def product_bits(thread: int, threads: int, words: Any) -> None:
    """As :func:`xnor_bits`, for a real filter: whether a sum is at most ``limits``.

    ``x``, ``w`` and ``sums`` are as in :func:`product`.
    """
    _bits(thread, threads, *_read_product_bits(words))


@part
def _bits(thread, threads, count, x, w, stride, size, dilation, group, limits, classes, flips, grid, *more):
    blocks_each, places, sums, out, corner = more
    rows, columns = grid
    pixels = count * rows * columns
    outputs = sums.shape[2]
    first, last = _share(_tasks(pixels, len(w), blocks_each), thread, threads)
    for t in range(first, last):
        task = _task(t, pixels, len(w), blocks_each)
        _sum(x, w, task, (rows, columns), stride, size, dilation, group, places[thread], sums[thread])
        for pixel in range(task[0], task[1]):
            image, place = pixel // (rows * columns), pixel % (rows * columns)
            y, x_ = place // columns + corner[0], place % columns + corner[1]
            for o in range(task[2] * BLOCK, task[3] * BLOCK, WORD):
                word = pack_at_most(
                    sums[thread], (pixel - task[0]) * outputs + o, limits, classes[place] * outputs + o
                )
                out[image, y, x_, o // WORD] = word ^ flips[o // WORD]


def _over_window(combine, neutral):
    """A function that combines the numbers of each channel, or word, in a window without the padding."""

    @inlined
    def over_window(x, image, y, x_, size, stride, pad, to):
        depth = x.shape[3]
        to[:depth] = neutral
        first_row, first_column = y * stride[0] - pad[0], x_ * stride[1] - pad[1]
        for i in range(max(first_row, 0), min(first_row + size[0], x.shape[1])):
            for j in range(max(first_column, 0), min(first_column + size[1], x.shape[2])):
                for k in range(depth):
                    to[k] = combine(to[k], x[image, i, j, k])

    return over_window


_any_of = _over_window(part(lambda a, b: a | b), 0)
_largest_of = _over_window(part(lambda a, b: max(a, b)), -(2**15))
_sum_of = _over_window(part(lambda a, b: a + b), 0)


_POOL_BITS = (
    *(INTEGER, array("uint64", 4), PAIR, PAIR, PAIR, array("uint64", 1), PAIR, array("uint64", 4), PAIR),
)
_read_pool_bits = reader(_POOL_BITS)


@_kernel(_POOL_BITS)
def pool_bits(thread: int, threads: int, words: Any) -> None:
    """Largest sign of each window without the padding, then inverted where ``flips`` is set.

    Parameters
    ----------
    x : uint64 array, ``(n, rows, columns, words)``
    size, stride : pair of int
    pad : pair of int
        Rows and columns of padding before the image.
    flips, grid, out, corner : as in :func:`xnor_bits`
    """
    count, x, size, stride, pad, flips, grid, out, corner = _read_pool_bits(words)
    rows, columns = grid
    first, last = _share(count * rows, thread, threads)
    for t in range(first, last):
        image, y = t // rows, t % rows
        for x_ in range(columns):
            to = out[image, corner[0] + y, corner[1] + x_]
            _any_of(x, image, y, x_, size, stride, pad, to)
            for word in range(len(to)):
                to[word] ^= flips[word]


_POINTWISE, _POINTWISE_WIDE = (
    (
        *(INTEGER, array("int16", 4), PAIR, PAIR, PAIR, array(sums, 1), array(sums, 1)),
        *(INTEGER, INTEGER, INTEGER, array(others, 4), array(sums, 1), INTEGER, INTEGER, INTEGER, PAIR),
        *(array("int16", 2), array("int16", 4), PAIR, array("uint64", 4), array("int64", 3), PAIR),
    )
    for sums, others in (("int32", "int16"), ("int64", "int64"))
)
_read_pointwise, _read_pointwise_wide = reader(_POINTWISE), reader(_POINTWISE_WIDE)


@_kernel(_POINTWISE)
def pointwise(thread: int, threads: int, words: Any) -> None:
    """Max pooling, batch norm, the sum with another image and rectifier, to integers, signs and magnitudes.

    ``n = clip(round_half_even((max(x) * scale + b) * 2**-shift), low, high)``, and where there is another
    image ``clip(round_half_even((n * factors[0] + other * factors[1]) * 2**-sum_shift), sum_low, sum_high)``.

    Parameters
    ----------
    x : int16 array, ``(n, rows, columns, channels)``
    size, stride, pad, grid : as in :func:`pool_bits`
    scale, b : int32 array, ``(channels,)``, or empty
        Empty for neither scale nor rounding. No product with its offset, nor a sum of the two images, and
        half a unit for rounding, is beyond 32 bits.
    shift, sum_shift : int
        0 to 30.
    low, high, sum_low, sum_high : int
    other : int16 array, ``(n, output rows, output columns, channels)``, or of no rows
    factors : int32 array, ``(2,)``
    lines : int16 array, ``(threads, channels)``, channels rounded up to a word, -1 beyond them
    out : int16 array, ``(n, rows, columns, channels)`` with padding, or of no rows
    signs : uint64 array, ``(n, rows, columns, words)`` with padding, or of no rows
    magnitudes : int64 array, ``(n, rows, columns)`` with padding, or of no rows
        Whichever of the three has rows is written.
    corner, signs_corner : pair of int
    """
    _pointwise(thread, threads, *_read_pointwise(words))


@_kernel(_POINTWISE_WIDE)
def pointwise_wide(thread: int, threads: int, words: Any) -> None:
    """As :func:`pointwise`, with int64 ``scale``, ``b``, ``other`` and ``factors`` and shifts of 0 to 63."""
    _pointwise(thread, threads, *_read_pointwise_wide(words))


@part
def _pointwise(
    thread, threads, count, x, size, stride, pad, scale, b, shift, low, high, other, factors, *more
):
    sum_shift, sum_low, sum_high, grid, lines, out, corner, signs, magnitudes, signs_corner = more
    rows, columns = grid
    channels, line, begin = x.shape[3], lines[thread], thread * lines.shape[1]
    whole, is_pooled = channels // WORD * WORD, size[0] * size[1] > 1
    first, last = _share(count * rows, thread, threads)
    for t in range(first, last):
        image, y = t // rows, t % rows
        for x_ in range(columns):
            if is_pooled:
                _largest_of(x, image, y, x_, size, stride, pad, line)
            else:
                row, column = y * stride[0], x_ * stride[1]
                place = ((image * x.shape[1] + row) * x.shape[2] + column) * channels
                for c in range(0, whole, WORD):
                    copy_64(x, place + c, lines, begin + c)
                for c in range(whole, channels):
                    line[c] = x[image, row, column, c]
            if len(scale):
                for c in range(0, whole, WORD):
                    scale_64(lines, begin + c, scale, b, c, shift, low, high)
                for c in range(whole, channels):
                    line[c] = _scaled(line[c], scale[c], b[c], shift, low, high)
            elif low == 0:
                for c in range(channels):
                    line[c] = max(line[c], low)
            if other.shape[1]:
                place = ((image * rows + y) * columns + x_) * channels
                for c in range(0, whole, WORD):
                    sum_64(lines, begin + c, other, place + c, factors, sum_shift, sum_low, sum_high)
                for c in range(whole, channels):
                    n = other[image, y, x_, c] * factors[1]
                    line[c] = _scaled(line[c], factors[0], n, sum_shift, sum_low, sum_high)
            if out.shape[1]:
                row, column = corner[0] + y, corner[1] + x_
                place = ((image * out.shape[1] + row) * out.shape[2] + column) * channels
                for c in range(0, whole, WORD):
                    copy_64(lines, begin + c, out, place + c)
                for c in range(whole, channels):
                    out[image, row, column, c] = line[c]
            row, column = signs_corner[0] + y, signs_corner[1] + x_
            if signs.shape[1]:
                for word in range(signs.shape[3]):
                    signs[image, row, column, word] = pack_nonnegative(lines, begin + word * WORD)
            if magnitudes.shape[1]:
                total = np.int64(0)
                for c in range(channels):
                    total += abs(np.int64(line[c]))
                magnitudes[image, row, column] = total


_ACCUMULATE = (INTEGER, array("int16", 4), INTEGER, INTEGER, array("int64", 4))
_read_accumulate = reader(_ACCUMULATE)


@_kernel(_ACCUMULATE)
def accumulate(thread: int, threads: int, words: Any) -> None:
    """Exact sums of images: ``x * factor``, added to ``sums`` if ``keep`` is 1, stored there if it is 0.

    Parameters
    ----------
    x : int16 array, ``(n, rows, columns, channels)``
    factor, keep : int
    sums : int64 array, of the same shape
    """
    count, x, factor, keep, sums = _read_accumulate(words)
    first, last = _share(count * x.shape[1], thread, threads)
    for t in range(first, last):
        image, row = t // x.shape[1], t % x.shape[1]
        for column in range(x.shape[2]):
            own, to = x[image, row, column], sums[image, row, column]
            for c in range(len(to)):
                to[c] = to[c] * keep + np.int64(own[c]) * factor


_CONCATENATE, _CONCATENATE_BITS = (
    (INTEGER, array(dtype, 4), INTEGER, array(dtype, 4), PAIR) for dtype in ("int16", "uint64")
)
_read_concatenate, _read_concatenate_bits = reader(_CONCATENATE), reader(_CONCATENATE_BITS)


@_kernel(_CONCATENATE)
def concatenate(thread: int, threads: int, words: Any) -> None:
    """Copy an image's channels to their place in a concatenation.

    Parameters
    ----------
    x : int16 array, ``(n, rows, columns, channels)``
    place : int
        Of its first channel, or word.
    out : int16 array, ``(n, rows, columns, all channels)`` with padding
    corner : pair of int
    """
    _concatenate(thread, threads, *_read_concatenate(words))


@_kernel(_CONCATENATE_BITS)
def concatenate_bits(thread: int, threads: int, words: Any) -> None:
    """As :func:`concatenate`, for uint64 words of signs."""
    _concatenate(thread, threads, *_read_concatenate_bits(words))


@part
def _concatenate(thread, threads, count, x, place, out, corner):
    first, last = _share(count * x.shape[1], thread, threads)
    for t in range(first, last):
        image, row = t // x.shape[1], t % x.shape[1]
        for column in range(x.shape[2]):
            own, to = x[image, row, column], out[image, corner[0] + row, corner[1] + column]
            for k in range(len(own)):
                to[place + k] = own[k]


_AVERAGE = (
    *(INTEGER, array("int16", 4), PAIR, PAIR, PAIR, array("int64", 2)),
    *(INTEGER, INTEGER, INTEGER, array("int64", 2), array("int16", 4)),
)
_read_average = reader(_AVERAGE)


@_kernel(_AVERAGE)
def average(thread: int, threads: int, words: Any) -> None:
    """Average pooling: ``clip(round_half_even(sum(x) * factor * 2**-shift), low, high)``.

    Parameters
    ----------
    x : int16 array, ``(n, rows, columns, channels)``
    size, stride, pad : as in :func:`pool_bits`
    factor : int64 array, ``(1, 1)`` or ``(output rows, output columns)``
    shift, low, high : int
    sums : int64 array, ``(threads, channels)``
    out : int16 array, ``(n, output rows, output columns, channels)``
    """
    count, x, size, stride, pad, factor, shift, low, high, sums, out = _read_average(words)
    _, rows, columns, channels = out.shape
    line = sums[thread]
    first, last = _share(count * rows, thread, threads)
    for t in range(first, last):
        image, y = t // rows, t % rows
        for x_ in range(columns):
            _sum_of(x, image, y, x_, size, stride, pad, line)
            own = factor[y if len(factor) > 1 else 0, x_ if factor.shape[1] > 1 else 0]
            to = out[image, y, x_]
            for c in range(channels):
                to[c] = _rounded(line[c] * own, shift, low, high)


_FLATTEN = (INTEGER, array("int16", 4), array("int16", 4))
_read_flatten = reader(_FLATTEN)


@_kernel(_FLATTEN)
def flatten(thread: int, threads: int, words: Any) -> None:
    """An image's numbers as one pixel's channels, in the order channels, rows, columns.

    Parameters
    ----------
    x : int16 array, ``(n, rows, columns, channels)``
    out : int16 array, ``(n, 1, 1, features)``
    """
    count, x, out = _read_flatten(words)
    _, rows, columns, channels = x.shape
    first, last = _share(count, thread, threads)
    for image in range(first, last):
        for c in range(channels):
            for y in range(rows):
                for x_ in range(columns):
                    out[image, 0, 0, (c * rows + y) * columns + x_] = x[image, y, x_, c]
