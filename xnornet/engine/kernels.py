"""The engine's kernels, compiled by Numba for the processor they run on; ``reference`` has their plain twins.

Images lie channels last: integers as ``(batch, rows, columns, channels)`` int16, signs as ``(batch, rows,
columns, words)`` uint64, bit ``k`` of word ``j`` for channel ``64 j + k``, and the sums of magnitudes over
all channels as ``(batch, rows, columns)`` int64. What a filter reads has its padding around it, zeros that
nobody writes to; who writes such an image is told the ``corner`` at which the image proper begins.

A filter's weights are ``(blocks, taps, BLOCK)``: for each tap, those of ``BLOCK`` outputs beside each other.
A dense layer is a filter as large as the image. The output pixels of all images of a batch are numbered in a
row, and a task is ``STRETCH`` of them with some of the blocks.

A kernel does the share of a ``thread`` of ``threads`` (see ``workers``) and reads its arguments, those that
its docstring lists, from words of memory (see ``arguments``). Nothing here checks bounds or allocates memory:
``plan`` lays out all arrays beforehand.
"""

from functools import cached_property, partial
from itertools import groupby

import numpy as np
from numba import types
from numba.extending import overload

from xnornet.engine.arguments import INTEGER, PAIR, REAL, array, as_words, reader
from xnornet.engine.definition import exact
from xnornet.engine.workers import KERNEL, Program, shared_pool
from xnornet.machine_code import c_function, part
from xnornet.vectors import BLOCK, TILE, pack_at_most, pack_nonnegative, tile

__all__ = [
    "STRETCH",
    "WORD",
    "add",
    "add_wide",
    "average",
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

    def __init__(self, function, kinds):
        self._function, self.kinds, self.__doc__ = function, kinds, function.__doc__

    @cached_property
    def _code(self):
        return c_function(self._function, KERNEL)

    @property
    def address(self):
        return self._code.address


def _kernel(kinds):
    return partial(Kernel, kinds=kinds)


def prepare(names):
    """Compile kernels, or read their machine code from disk."""
    shared_pool()
    for name in names:
        globals()[name].address  # noqa: B018


def runner(calls, threads):
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
    """As `runner`, of calls that are all in machine code, or all exact."""
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
def _share(tasks, thread, threads):
    """First, and one behind the last, of a thread's tasks."""
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
def _sum(x, w, task, grid, stride, size, places, sums):
    """Fill a thread's ``sums``, ``(STRETCH, outputs)``, for a task.

    ``grid`` has rows and columns of the output, ``places`` room for where each pixel's window begins in the
    flat ``x``.
    """
    first_pixel, last_pixel, first_block, last_block = task
    rows, columns = grid
    for pixel in range(first_pixel, last_pixel):
        image, place = pixel // (rows * columns), pixel % (rows * columns)
        y, x_ = place // columns * stride[0], place % columns * stride[1]
        places[pixel - first_pixel] = ((image * x.shape[1] + y) * x.shape[2] + x_) * x.shape[3]
    pixels, outputs = last_pixel - first_pixel, sums.shape[1]
    length, apart = size[1] * x.shape[3], x.shape[2] * x.shape[3]
    for block in range(first_block, last_block):
        first = block * w.shape[1] * BLOCK
        whole = pixels // TILE * TILE
        if TILE == 4:
            for p in range(0, whole, TILE):
                four = (places[p], places[p + 1], places[p + 2], places[p + 3])
                tile(x, four, size[0], length, apart, w, first, sums, p * outputs + block * BLOCK, outputs)
        else:
            whole = 0
        for p in range(whole, pixels):
            one = (places[p],)
            tile(x, one, size[0], length, apart, w, first, sums, p * outputs + block * BLOCK, outputs)


_QUANTIZE, _QUANTIZE_DOUBLE = (
    (INTEGER, array(real, 4), REAL, REAL, array("int16", 4), PAIR, array("int64", 2))
    for real in ("float32", "float64")
)
_read_quantize, _read_quantize_double = reader(_QUANTIZE), reader(_QUANTIZE_DOUBLE)


@_kernel(_QUANTIZE)
def quantize(thread, threads, words):
    """Write ``clip(round_half_even(images * scale), -limit, limit)``, and 0 for what is not a number.

    Parameters
    ----------
    count : int
        Images of the batch, here and in all kernels.
    images : float32 array, ``(n, channels, rows, columns)``
    scale, limit : float
    out : int16 array, ``(n, rows, columns, channels)`` with padding
    corner : pair of int
    lost : int64 array, ``(threads, 2)``
        How many inputs of a thread are not a number, and how many are beyond the limit by more than a unit.
    """
    _quantize(thread, threads, *_read_quantize(words))


@_kernel(_QUANTIZE_DOUBLE)
def quantize_double(thread, threads, words):
    """As :func:`quantize`, of float64 images."""
    _quantize(thread, threads, *_read_quantize_double(words))


@part
def _quantize(thread, threads, count, images, scale, limit, out, corner, lost):
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
    lost[thread, 0], lost[thread, 1] = no_numbers, beyond


_PRODUCT, _PRODUCT_WIDE = (
    (
        *(INTEGER, array("int16", 4), array("int16", 3), PAIR, PAIR, array("int64", 1)),
        *(INTEGER, INTEGER, INTEGER, INTEGER, array("int64", 2), array(sums, 3), array("int16", 4)),
    )
    for sums in ("int32", "int64")
)
_read_product, _read_product_wide = reader(_PRODUCT), reader(_PRODUCT_WIDE)


@_kernel(_PRODUCT)
def product(thread, threads, words):
    """Real filter: ``clip(round_half_even((x (*) w + b) * 2**-shift), low, high)``.

    Parameters
    ----------
    x : int16 array, ``(n, rows, columns, channels)`` with padding
    w : int16 array, ``(blocks, taps, BLOCK)``
    stride, size : pair of int
    b : int64 array, ``(outputs,)``
    shift, low, high : int
    blocks_each : int
        Blocks of a task.
    places : int64 array, ``(threads, STRETCH)``
    sums : int32 array, ``(threads, STRETCH, outputs)``, outputs rounded up to a block
    out : int16 array, ``(n, output rows, output columns, outputs)``
    """
    _product(thread, threads, *_read_product(words))


@_kernel(_PRODUCT_WIDE)
def product_wide(thread, threads, words):
    """As :func:`product`, with int64 ``sums``."""
    _product(thread, threads, *_read_product_wide(words))


@part
def _product(thread, threads, count, x, w, stride, size, b, shift, low, high, blocks_each, places, sums, out):
    _, rows, columns, outputs = out.shape
    pixels = count * rows * columns
    first, last = _share(_tasks(pixels, len(w), blocks_each), thread, threads)
    for t in range(first, last):
        task = _task(t, pixels, len(w), blocks_each)
        _sum(x, w, task, (rows, columns), stride, size, places[thread], sums[thread])
        for pixel in range(task[0], task[1]):
            image, place = pixel // (rows * columns), pixel % (rows * columns)
            y, x_ = place // columns, place % columns
            o = slice(task[2] * BLOCK, min(task[3] * BLOCK, outputs))
            own_sums, own_b = sums[thread, pixel - task[0], o], b[o]
            to = out[image, y, x_, o]
            for k in range(len(to)):
                to[k] = _rounded(own_sums[k] + own_b[k], shift, low, high)


_XNOR = (
    *(INTEGER, array("uint64", 4), array("int64", 3), array("uint64", 3), PAIR, PAIR),
    *(array("int32", 2), array("int32", 1), array("int64", 1), array("int64", 1)),
    *(INTEGER, INTEGER, INTEGER, INTEGER, array("int64", 2), array("int32", 3), array("int16", 4)),
)
_read_xnor = reader(_XNOR)


@_kernel(_XNOR)
def xnor(thread, threads, words):
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
    alpha : int64 array, ``(outputs,)``
    stride, size, b, shift, low, high, blocks_each, places, sums, out : as in :func:`product`
    """
    (
        count,
        x,
        magnitudes,
        w,
        stride,
        size,
        base,
        classes,
        alpha,
        b,
        shift,
        low,
        high,
        blocks_each,
        places,
        sums,
        out,
    ) = _read_xnor(words)
    _, rows, columns, outputs = out.shape
    pixels = count * rows * columns
    scaled = magnitudes.shape[1] > 0
    first, last = _share(_tasks(pixels, len(w), blocks_each), thread, threads)
    for t in range(first, last):
        task = _task(t, pixels, len(w), blocks_each)
        _sum(x, w, task, (rows, columns), stride, size, places[thread], sums[thread])
        for pixel in range(task[0], task[1]):
            image, place = pixel // (rows * columns), pixel % (rows * columns)
            y, x_ = place // columns, place % columns
            total = np.int64(1)
            if scaled:
                total = np.int64(0)
                for i in range(size[0]):
                    for j in range(size[1]):
                        total += magnitudes[image, y * stride[0] + i, x_ * stride[1] + j]
            o = slice(task[2] * BLOCK, min(task[3] * BLOCK, outputs))
            own_sums, own_base = sums[thread, pixel - task[0], o], base[classes[place], o]
            own_alpha, own_b = alpha[o], b[o]
            to = out[image, y, x_, o]
            for k in range(len(to)):
                n = np.int64(own_base[k]) - 2 * np.int64(own_sums[k])
                n = n * own_alpha[k] * total + own_b[k]
                to[k] = _rounded(n, shift, low, high)


_XNOR_BITS = (
    *(INTEGER, array("uint64", 4), array("uint64", 3), PAIR, PAIR, array("int32", 2), array("int32", 1)),
    *(array("uint64", 1), PAIR, INTEGER, array("int64", 2), array("int32", 3), array("uint64", 4), PAIR),
)
_read_xnor_bits = reader(_XNOR_BITS)


@_kernel(_XNOR_BITS)
def xnor_bits(thread, threads, words):
    """Binary filter whose output is needed as signs only: whether no more signs differ than a limit.

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
    count, x, w, stride, size, places, sums : as in :func:`xnor`
    """
    (count, x, w, stride, size, limits, classes, flips, grid, blocks_each, places, sums, out, corner) = (
        _read_xnor_bits(words)
    )
    rows, columns = grid
    pixels = count * rows * columns
    outputs = sums.shape[2]
    first, last = _share(_tasks(pixels, len(w), blocks_each), thread, threads)
    for t in range(first, last):
        task = _task(t, pixels, len(w), blocks_each)
        _sum(x, w, task, (rows, columns), stride, size, places[thread], sums[thread])
        for pixel in range(task[0], task[1]):
            image, place = pixel // (rows * columns), pixel % (rows * columns)
            y, x_ = place // columns + corner[0], place % columns + corner[1]
            for o in range(task[2] * BLOCK, task[3] * BLOCK, WORD):
                word = pack_at_most(
                    sums[thread], (pixel - task[0]) * outputs + o, limits, classes[place] * outputs + o
                )
                out[image, y, x_, o // WORD] = word ^ flips[o // WORD]


_POOL_BITS = (
    *(INTEGER, array("uint64", 4), PAIR, PAIR, PAIR, array("uint64", 1), PAIR, array("uint64", 4), PAIR),
)
_read_pool_bits = reader(_POOL_BITS)


@_kernel(_POOL_BITS)
def pool_bits(thread, threads, words):
    """Largest sign of each window, padding left out, then turned where ``flips`` says so.

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
            to[:] = 0
            first_row, first_column = y * stride[0] - pad[0], x_ * stride[1] - pad[1]
            for i in range(max(first_row, 0), min(first_row + size[0], x.shape[1])):
                for j in range(max(first_column, 0), min(first_column + size[1], x.shape[2])):
                    for word in range(len(to)):
                        to[word] |= x[image, i, j, word]
            for word in range(len(to)):
                to[word] ^= flips[word]


@part
def _rounded_narrow(n, shift, low, high):
    """As :func:`_rounded`, for a shift of 0 to 30, in int32."""
    half = np.int32((np.int32(1) << np.int32(max(shift - 1, 0))) - 1)
    odd = np.int32(np.int32(n >> np.int32(shift)) & np.int32(min(shift, 1)))
    rounded = np.int32(np.int32(np.int32(n + half) + odd) >> np.int32(shift))
    return min(max(rounded, np.int32(low)), np.int32(high))


def _scaled(x, a, b, shift, low, high):
    """``x * a + b``, rounded, in 32 bits where ``a`` has as many, else in 64."""


@overload(_scaled)
def _scaled_by_type(x, a, b, shift, low, high):
    def narrow(x, a, b, shift, low, high):
        return _rounded_narrow(np.int32(np.int32(np.int32(x) * a) + np.int32(b)), shift, low, high)

    def wide(x, a, b, shift, low, high):
        return _rounded(np.int64(x) * a + b, shift, low, high)

    return narrow if a == types.int32 else wide


@inlined
def _pool_line(x, image, y, x_, size, stride, pad, line):
    """The largest number of each channel in a window."""
    channels = x.shape[3]
    first_row, first_column = y * stride[0] - pad[0], x_ * stride[1] - pad[1]
    if size[0] * size[1] == 1:
        of_x = x[image, first_row, first_column]
        for c in range(channels):
            line[c] = of_x[c]
        return
    line[:channels] = -(2**15)
    for i in range(max(first_row, 0), min(first_row + size[0], x.shape[1])):
        for j in range(max(first_column, 0), min(first_column + size[1], x.shape[2])):
            for c in range(channels):
                line[c] = max(line[c], x[image, i, j, c])


@inlined
def _rectify_line(line, channels, low):
    for c in range(channels):
        line[c] = max(line[c], low)


@inlined
def _write_line(line, channels, image, y, x_, out, signs, magnitudes):
    if out.shape[1]:
        to = out[image, y, x_]
        for c in range(channels):
            to[c] = line[c]
    if signs.shape[1]:
        for word in range(signs.shape[3]):
            signs[image, y, x_, word] = pack_nonnegative(line, word * WORD)
    if magnitudes.shape[1]:
        total = np.int64(0)
        for c in range(channels):
            total += abs(np.int64(line[c]))
        magnitudes[image, y, x_] = total


_POINTWISE, _POINTWISE_WIDE = (
    (
        *(INTEGER, array("int16", 4), PAIR, PAIR, PAIR, array(sums, 1), array(sums, 1)),
        *(INTEGER, INTEGER, INTEGER, PAIR, array("int16", 2), array("int16", 4), array("uint64", 4)),
        *(array("int64", 3), PAIR),
    )
    for sums in ("int32", "int64")
)
_read_pointwise, _read_pointwise_wide = reader(_POINTWISE), reader(_POINTWISE_WIDE)


@_kernel(_POINTWISE)
def pointwise(thread, threads, words):
    """Max pooling, batch norm and rectifier, to integers or to signs and the sums of their magnitudes.

    ``clip(round_half_even((max(x) * scale + b) * 2**-shift), low, high)``.

    Parameters
    ----------
    x : int16 array, ``(n, rows, columns, channels)``
    size, stride, pad, grid : as in :func:`pool_bits`
    scale, b : int32 array, ``(channels,)``, or empty
        Empty for neither scale nor rounding. No product with its offset, and half a unit for rounding, is
        beyond 32 bits.
    shift : int
        0 to 30.
    low, high : int
    lines : int16 array, ``(threads, channels)``, channels rounded up to a word, -1 beyond them
    out : int16 array, ``(n, rows, columns, channels)`` with padding, or of no rows
    signs : uint64 array, ``(n, rows, columns, words)`` with padding, or of no rows
    magnitudes : int64 array, ``(n, rows, columns)`` with padding, or of no rows
        Whichever of the three has rows is written.
    corner : pair of int
    """
    _pointwise(thread, threads, *_read_pointwise(words))


@_kernel(_POINTWISE_WIDE)
def pointwise_wide(thread, threads, words):
    """As :func:`pointwise`, with int64 ``scale`` and ``b`` and a shift of 0 to 63."""
    _pointwise(thread, threads, *_read_pointwise_wide(words))


@part
def _pointwise(
    thread, threads, count, x, size, stride, pad, scale, b, shift, low, high, grid, lines, *written
):
    rows, columns = grid
    out, signs, magnitudes, corner = written
    line = lines[thread]
    first, last = _share(count * rows, thread, threads)
    for t in range(first, last):
        image, y = t // rows, t % rows
        for x_ in range(columns):
            _pool_line(x, image, y, x_, size, stride, pad, line)
            for c in range(len(scale)):
                line[c] = _scaled(line[c], scale[c], b[c], shift, low, high)
            if not len(scale):
                _rectify_line(line, x.shape[3], low)
            _write_line(line, x.shape[3], image, corner[0] + y, corner[1] + x_, out, signs, magnitudes)


_ADD, _ADD_WIDE = (
    (
        *(INTEGER, array("int16", 4), array("int16", 4), array(sums, 1)),
        *(INTEGER, INTEGER, INTEGER, array("int16", 4)),
    )
    for sums in ("int32", "int64")
)
_read_add, _read_add_wide = reader(_ADD), reader(_ADD_WIDE)


@_kernel(_ADD)
def add(thread, threads, words):
    """Sum of two images: ``clip(round_half_even((x * factors[0] + y * factors[1]) * 2**-shift), low, high)``.

    Parameters
    ----------
    x, y, out : int16 array, ``(n, rows, columns, channels)``
    factors : int32 array, ``(2,)``
        No sum of products, and half a unit for rounding, is beyond 32 bits.
    shift : int
        0 to 30.
    low, high : int
    """
    _add(thread, threads, *_read_add(words))


@_kernel(_ADD_WIDE)
def add_wide(thread, threads, words):
    """As :func:`add`, with int64 ``factors`` and a shift of 0 to 63."""
    _add(thread, threads, *_read_add_wide(words))


@part
def _add(thread, threads, count, x, y, factors, shift, low, high, out):
    first, last = _share(count * out.shape[1], thread, threads)
    a, b = factors[0], factors[1]
    for t in range(first, last):
        image, row = t // out.shape[1], t % out.shape[1]
        for column in range(out.shape[2]):
            of_x, of_y, to = x[image, row, column], y[image, row, column], out[image, row, column]
            for c in range(len(to)):
                to[c] = _scaled(of_x[c], a, of_y[c] * b, shift, low, high)


_AVERAGE = (
    *(INTEGER, array("int16", 4), PAIR, PAIR, PAIR, array("int64", 2)),
    *(INTEGER, INTEGER, INTEGER, array("int64", 2), array("int16", 4)),
)
_read_average = reader(_AVERAGE)


@_kernel(_AVERAGE)
def average(thread, threads, words):
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
            first_row, first_column = y * stride[0] - pad[0], x_ * stride[1] - pad[1]
            line[:] = 0
            for i in range(max(first_row, 0), min(first_row + size[0], x.shape[1])):
                for j in range(max(first_column, 0), min(first_column + size[1], x.shape[2])):
                    for c in range(channels):
                        line[c] += np.int64(x[image, i, j, c])
            own = factor[y if len(factor) > 1 else 0, x_ if factor.shape[1] > 1 else 0]
            to = out[image, y, x_]
            for c in range(channels):
                to[c] = _rounded(line[c] * own, shift, low, high)


_FLATTEN = (INTEGER, array("int16", 4), array("int16", 4))
_read_flatten = reader(_FLATTEN)


@_kernel(_FLATTEN)
def flatten(thread, threads, words):
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
