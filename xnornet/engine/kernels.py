"""The engine's kernels, compiled by Numba for the processor they run on; ``reference`` has their plain twins.

Images lie channels last: integers as ``(batch, rows, columns, channels)`` int16, signs as ``(batch, rows,
columns, words)`` uint64, bit ``k`` of word ``j`` for channel ``64 j + k``, and the sums of magnitudes over
all channels as ``(batch, rows, columns)`` int64. What a filter reads has its padding around it, zeros that
nobody writes to; who writes such an image is told the ``corner`` at which the image proper begins.

A filter's weights are ``(blocks, taps, BLOCK)``: for each tap, those of ``BLOCK`` outputs beside each other.
A dense layer is a filter as large as the image. The output pixels of all images of a batch are numbered in a
row, and a task is ``STRETCH`` of them with some of the blocks.

Nothing here checks bounds or allocates memory: ``plan`` lays out all arrays beforehand.
"""

import numpy as np
from numba import get_thread_id, prange

from xnornet.machine_code import kernel, part
from xnornet.vectors import BLOCK, TILE, pack_at_most, pack_nonnegative, tile

__all__ = ["STRETCH", "WORD", "flatten", "pointwise", "pool_bits", "product", "quantize", "xnor", "xnor_bits"]

# Pixels whose sums a thread keeps at a time.
STRETCH = 32

# Signs of a word.
WORD = 64


def _compiled(function):
    return kernel(function, parallel=True)


@part
def _rounded(n, shift, low, high):
    """``clip(round_half_even(n * 2**-shift), low, high)`` for a shift of 0 to 63, in int64."""
    half = (np.int64(1) << max(shift - 1, 0)) - 1
    odd = (n >> shift) & np.int64(min(shift, 1))
    return min(max((n + half + odd) >> shift, low), high)


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


@_compiled
def quantize(count, images, scale, limit, out, corner):
    """Write ``clip(round_half_even(images * scale), -limit, limit)``.

    Parameters
    ----------
    count : int
        Images of the batch, here and in all kernels.
    images : float array, ``(n, channels, rows, columns)``
    scale : float
    limit : int
    out : int16 array, ``(n, rows, columns, channels)`` with padding
    corner : pair of int

    Returns
    -------
    int
        How many inputs are not a number.
    """
    _, channels, rows, columns = images.shape
    lost = 0
    for task in prange(count * rows):
        i, y = task // rows, task % rows
        for c in range(channels):
            for x in range(columns):
                value = np.rint(np.float64(images[i, c, y, x]) * scale)
                lost += value != value
                out[i, corner[0] + y, corner[1] + x, c] = np.int16(min(max(value, -limit), limit))
    return lost


@_compiled
def product(count, x, w, stride, size, b, shift, low, high, blocks_each, places, sums, out):
    """Real filter: ``clip(round_half_even((x (*) w + b) * 2**-shift), low, high)``.

    Parameters
    ----------
    x : int16 array, ``(n, rows, columns, channels)`` with padding
    w : int16 array, ``(blocks, taps, BLOCK)``
    stride, size : pair of int
    b : int64 array, ``(1 or output pixels, outputs)``
    shift, low, high : int
    blocks_each : int
        Blocks of a task.
    places : int64 array, ``(threads, STRETCH)``
    sums : int32 or int64 array, ``(threads, STRETCH, outputs)``, outputs rounded up to a block
    out : int16 array, ``(n, output rows, output columns, outputs)``
    """
    _, rows, columns, outputs = out.shape
    pixels = count * rows * columns
    for t in prange(_tasks(pixels, len(w), blocks_each)):
        me = get_thread_id()
        task = _task(t, pixels, len(w), blocks_each)
        _sum(x, w, task, (rows, columns), stride, size, places[me], sums[me])
        for pixel in range(task[0], task[1]):
            image, place = pixel // (rows * columns), pixel % (rows * columns)
            y, x_ = place // columns, place % columns
            o = slice(task[2] * BLOCK, min(task[3] * BLOCK, outputs))
            own_sums, own_b = sums[me, pixel - task[0], o], b[place if len(b) > 1 else 0, o]
            to = out[image, y, x_, o]
            for k in range(len(to)):
                to[k] = _rounded(own_sums[k] + own_b[k], shift, low, high)


@_compiled
def xnor(
    count,
    x,
    magnitudes,
    w,
    stride,
    size,
    base,
    classes,
    alpha,
    c,
    b,
    shift,
    low,
    high,
    blocks_each,
    places,
    sums,
    out,
):
    """Binary filter: ``clip(round_half_even(((H . B) * alpha + c) * sum|I| + b) * 2**-shift), low, high)``.

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
    alpha, c : int64 array, ``(outputs,)``
    stride, size, b, shift, low, high, blocks_each, places, sums, out : as in :func:`product`
        ``sums`` are int32.
    """
    _, rows, columns, outputs = out.shape
    pixels = count * rows * columns
    scaled = magnitudes.shape[1] > 0
    for t in prange(_tasks(pixels, len(w), blocks_each)):
        me = get_thread_id()
        task = _task(t, pixels, len(w), blocks_each)
        _sum(x, w, task, (rows, columns), stride, size, places[me], sums[me])
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
            own_sums, own_base = sums[me, pixel - task[0], o], base[classes[place], o]
            own_alpha, own_c, own_b = alpha[o], c[o], b[place if len(b) > 1 else 0, o]
            to = out[image, y, x_, o]
            for k in range(len(to)):
                n = np.int64(own_base[k]) - 2 * np.int64(own_sums[k])
                n = (n * own_alpha[k] + own_c[k]) * total + own_b[k]
                to[k] = _rounded(n, shift, low, high)


@_compiled
def xnor_bits(
    count, x, w, stride, size, limits, classes, flips, grid, blocks_each, places, sums, out, corner
):
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
    rows, columns = grid
    pixels = count * rows * columns
    outputs = sums.shape[2]
    for t in prange(_tasks(pixels, len(w), blocks_each)):
        me = get_thread_id()
        task = _task(t, pixels, len(w), blocks_each)
        _sum(x, w, task, (rows, columns), stride, size, places[me], sums[me])
        for pixel in range(task[0], task[1]):
            image, place = pixel // (rows * columns), pixel % (rows * columns)
            y, x_ = place // columns + corner[0], place % columns + corner[1]
            for o in range(task[2] * BLOCK, task[3] * BLOCK, WORD):
                word = pack_at_most(
                    sums[me], (pixel - task[0]) * outputs + o, limits, classes[place] * outputs + o
                )
                out[image, y, x_, o // WORD] = word ^ flips[o // WORD]


@_compiled
def pool_bits(count, x, size, stride, pad, flips, grid, out, corner):
    """Largest sign of each window, padding left out, then turned where ``flips`` says so.

    Parameters
    ----------
    x : uint64 array, ``(n, rows, columns, words)``
    size, stride : pair of int
    pad : pair of int
        Rows and columns of padding before the image.
    flips, grid, out, corner : as in :func:`xnor_bits`
    """
    rows, columns = grid
    for t in prange(count * rows):
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


@_compiled
def pointwise(
    count,
    x,
    size,
    stride,
    pad,
    scale,
    b,
    shift,
    low,
    high,
    grid,
    lines,
    out,
    signs,
    magnitudes,
    corner,
):
    """Max pooling, batch norm and rectifier, to integers or to signs and the sums of their magnitudes.

    ``clip(round_half_even((max(x) * scale + b) * 2**-shift), low, high)``.

    Parameters
    ----------
    x : int16 array, ``(n, rows, columns, channels)``
    size, stride, pad, grid : as in :func:`pool_bits`
    scale, b : int64 array, ``(channels,)``, or empty
        Empty for neither scale nor rounding.
    shift, low, high : int
    lines : int16 array, ``(threads, channels)``, channels rounded up to a word, -1 beyond them
    out : int16 array, ``(n, rows, columns, channels)`` with padding, or of no rows
    signs : uint64 array, ``(n, rows, columns, words)`` with padding, or of no rows
    magnitudes : int64 array, ``(n, rows, columns)`` with padding, or of no rows
        Whichever of the three has rows is written.
    corner : pair of int
    """
    rows, columns = grid
    channels = x.shape[3]
    for t in prange(count * rows):
        line = lines[get_thread_id()]
        image, y = t // rows, t % rows
        for x_ in range(columns):
            first_row, first_column = y * stride[0] - pad[0], x_ * stride[1] - pad[1]
            line[:channels] = -(2**15)
            for i in range(max(first_row, 0), min(first_row + size[0], x.shape[1])):
                for j in range(max(first_column, 0), min(first_column + size[1], x.shape[2])):
                    for c in range(channels):
                        line[c] = max(line[c], x[image, i, j, c])
            if len(scale):
                for c in range(channels):
                    line[c] = _rounded(np.int64(line[c]) * scale[c] + b[c], shift, low, high)
            else:
                for c in range(channels):
                    line[c] = max(line[c], low)
            to_y, to_x = corner[0] + y, corner[1] + x_
            if out.shape[1]:
                for c in range(channels):
                    out[image, to_y, to_x, c] = line[c]
            if signs.shape[1]:
                for word in range(signs.shape[3]):
                    signs[image, to_y, to_x, word] = pack_nonnegative(line, word * WORD)
            if magnitudes.shape[1]:
                total = np.int64(0)
                for c in range(channels):
                    total += abs(np.int64(line[c]))
                magnitudes[image, to_y, to_x] = total


@_compiled
def flatten(count, x, out):
    """An image's numbers as one pixel's channels, in the order channels, rows, columns.

    Parameters
    ----------
    x : int16 array, ``(n, rows, columns, channels)``
    out : int16 array, ``(n, 1, 1, features)``
    """
    _, rows, columns, channels = x.shape
    for image in prange(count):
        for c in range(channels):
            for y in range(rows):
                for x_ in range(columns):
                    out[image, 0, 0, (c * rows + y) * columns + x_] = x[image, y, x_, c]
