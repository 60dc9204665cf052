"""Gradients of convolutions of signs in the matrix registers of newer Xeons, to the bits of ``kernels``.

Arguments, results and options are read as in ``kernels``, and numbers are rounded in the same blocks. Of a
16-bit number, the upper byte lies in one array and the lower byte in another.
"""

import numpy as np

from xnornet.machine_code import part
from xnornet.ops.amx import BYTES, SIDE, add_products, configure, group_rows, release, round_rows
from xnornet.ops.custom_calls import argument, argument_shape, option, result, result_shape
from xnornet.ops.kernels import (
    count_blocks,
    gradient_blocks,
    images_or_blocks,
    largest_magnitude,
    largest_of_block,
    nearest_integer,
    scales,
    share,
)
from xnornet.vectors import PAIR_BLOCK, copy_64

__all__ = ["filter_gradient", "group_filters", "image_gradient"]

# Rows that are grouped, and the columns of two registers, which are computed at once.
GROUP = 4
WIDE = 2 * SIDE


@part
def _padded(count, length):
    return count_blocks(count, length) * length


def group_filters(thread, threads, frame):
    """Filters in registers of 64 filters and 16 channels, rotated by half a turn, for :func:`image_gradient`.

    Argument: signs ``(filters, channels, rows, columns)``. Result: ``(blocks of 16 channels, rows * columns,
    blocks of 64 filters, 16, 64)`` int8, four blocks of channels for each ``PAIR_BLOCK``. Option: ``flip``.
    """
    d, e = argument_shape(frame, 0), result_shape(frame, 0)
    filters, channels, taps = d[0], d[1], d[2] * d[3]
    blocks, length = e[0], e[2]
    B = argument(frame, 0, (filters, channels, taps), np.int8)
    grouped = result(frame, 0, (blocks, taps, length * SIDE, SIDE, GROUP), np.int8)
    flip = option(frame, 0)
    first, last = share(blocks * length * SIDE, thread, threads)
    for item in range(first, last):
        block, group = item // (length * SIDE), item % (length * SIDE)
        for t in range(taps):
            tap = t if flip else taps - 1 - t
            for k in range(SIDE):
                for r in range(GROUP):
                    c, o = block * SIDE + k, group * GROUP + r
                    inside = c < channels and o < filters
                    grouped[block, tap, group, k, r] = B[o, c, t] if inside else np.int8(0)


def image_gradient(thread, threads, frame):
    """Gradient to the images.

    Arguments: gradient ``(images, output rows, output columns, filters)`` float32, result of
    :func:`group_filters`. Result: ``(images, rows, columns, channels)`` float32. Options: ``geometry``.
    """
    d, e = argument_shape(frame, 0), result_shape(frame, 0)
    images, oh, ow, filters = d[0], d[1], d[2], d[3]
    h, w, channels = e[1], e[2], e[3]
    kh, kw = option(frame, 0), option(frame, 1)
    left, top = kw - 1 - option(frame, 2), kh - 1 - option(frame, 3)
    length, blocks = count_blocks(filters, BYTES), count_blocks(channels, PAIR_BLOCK)
    deep, columns = length * BYTES, w + kw - 1
    g = argument(frame, 0, (images, oh, ow, filters), np.float32)
    grouped = argument(frame, 1, (blocks * PAIR_BLOCK * kh * kw * length * BYTES,), np.int8)
    out = result(frame, 0, (images, h, w, channels), np.float32)
    # Pixels of the padded image, row by row, are rows of registers: those beyond the image are not copied.
    pixels = _padded(h * columns, SIDE) + (kh - 1) * columns + kw - 1
    high, low = np.zeros((pixels, deep), np.int8), np.zeros((pixels, deep), np.int8)
    flat_high, flat_low, flat_out = high.reshape(-1), low.reshape(-1), out.reshape(-1)
    sums = np.empty(SIDE * PAIR_BLOCK, np.float32)
    shape, lane = (kh, kw, length), kh * kw * length * SIDE * BYTES
    strides = columns * deep, deep, kw * length * SIDE * BYTES, length * SIDE * BYTES
    first, last, first_block, last_block = images_or_blocks(images, blocks, thread, threads)
    configure()
    for n in range(first, last):
        scale = _round_image(g[n], high, low, columns, h + kh - 1, left, top)
        for block in range(first_block, last_block):
            channel = block * PAIR_BLOCK
            width = min(PAIR_BLOCK, channels - channel)
            y, x = 0, 0
            for p in range(0, h * columns, SIDE):
                sums[:] = 0
                for c in range(0, width, WIDE):
                    add_products(
                        flat_high, flat_low, p * deep, deep, grouped, (channel + c) // SIDE * lane, lane,
                        shape, strides, scale, sums, c, PAIR_BLOCK,
                    )  # fmt: skip
                for r in range(min(SIDE, h * columns - p)):
                    if x < w and width == PAIR_BLOCK:
                        copy_64(sums, r * PAIR_BLOCK, flat_out, ((n * h + y) * w + x) * channels + channel)
                    elif x < w:
                        for c in range(width):
                            out[n, y, x, channel + c] = sums[r * PAIR_BLOCK + c]
                    x += 1
                    if x == columns:
                        x, y = 0, y + 1
    release()


@part
def _round_image(g, high, low, columns, rows, left, top):
    """Round an image into the middle of a padded one; returns the value of one integer step."""
    h, w, filters = g.shape
    up, scale = scales(largest_magnitude(g.reshape(-1)))
    for y in range(min(h, rows - top)):
        for x in range(min(w, columns - left)):
            pixel = (y + top) * columns + x + left
            for o in range(filters):
                number = nearest_integer(g[y, x, o], up)
                high[pixel, o] = np.int8(number >> 8)
                low[pixel, o] = np.int8(number)
    return scale


def filter_gradient(thread, threads, frame):
    """Gradient to the filters.

    Arguments: signs ``(images, rows, columns, channels)``, gradient ``(images, output rows, output columns,
    filters)`` float32. Result: ``(filters, channels, rows, columns)`` float32. Options: ``geometry``,
    ``flip``.
    """
    d, e = argument_shape(frame, 0), argument_shape(frame, 1)
    images, h, w, channels = d[0], d[1], d[2], d[3]
    oh, ow, filters = e[1], e[2], e[3]
    kh, kw, left, top = option(frame, 0), option(frame, 1), option(frame, 2), option(frame, 3)
    flip = option(frame, 4)
    H = argument(frame, 0, (images, h, w, channels), np.int8)
    g = argument(frame, 1, (images, oh, ow, filters), np.float32)
    out = result(frame, 0, (filters, channels, kh * kw), np.float32)
    rows, batch = gradient_blocks(images, oh, ow)
    groups, wide = count_blocks(ow, GROUP), _padded(channels, BYTES)
    length = count_blocks(rows * groups, SIDE)
    # A row of outputs is of whole groups. Registers that begin in the last row read past an image.
    image = ((rows + kh - 1) * groups + SIDE) * BYTES
    signs = np.zeros((wide // SIDE, kw, batch, image), np.int8)
    padded = np.zeros((groups * GROUP + kw - 1, wide), np.int8)
    tail = np.empty((GROUP, PAIR_BLOCK), np.float32)
    words = np.empty((2, batch, length * SIDE, PAIR_BLOCK), np.int32)
    numbers = np.zeros((2, PAIR_BLOCK, batch, length * BYTES), np.int8)
    sums = np.empty((kh * kw, PAIR_BLOCK, wide), np.float32)
    first, last = share(count_blocks(filters, PAIR_BLOCK), thread, threads)
    is_single = images <= batch and oh <= rows
    configure()
    for block in range(first, last):
        filter_first = block * PAIR_BLOCK
        width = min(PAIR_BLOCK, filters - filter_first)
        sums[:] = 0
        for n in range(0, images, batch):
            for y in range(0, oh, rows):
                place = (n, min(batch, images - n), y, min(rows, oh - y))
                scale = _round_block(g, place, filter_first, width, tail, words, numbers)
                if block == first or not is_single:
                    _group_signs(H, place, (kh, kw, left, top), padded, signs)
                _add_block(signs, numbers, place, width, (kh, kw), groups, scale, sums)
        for o in range(width):
            for c in range(channels):
                for t in range(kh * kw):
                    out[filter_first + o, c, t] = sums[kh * kw - 1 - t if flip else t, o, c]
    release()


@part
def _round_block(g, block, first, width, tail, words, numbers):
    """Round a block, each filter's pixels beside each other; returns the value of one integer step."""
    n, count, y, deep = block
    ow, filters = g.shape[2], g.shape[3]
    groups = count_blocks(ow, GROUP)
    up, scale = scales(largest_of_block(g, block, first, width))
    flat, flat_tail = g.reshape(-1), tail.reshape(-1)
    high, low = words[0].reshape(-1), words[1].reshape(-1)
    depth = words.shape[2]
    for k in range(count):
        for r in range(deep):
            row = g[n + k, y + r]
            for q in range(groups):
                to = (k * depth + r * groups + q) * PAIR_BLOCK
                if width == PAIR_BLOCK and GROUP * q + GROUP <= ow:
                    place = (((n + k) * g.shape[1] + y + r) * ow + GROUP * q) * filters + first
                    for o in range(0, PAIR_BLOCK, SIDE):
                        round_rows(flat, place + o, filters, up, high, low, to + o)
                else:
                    tail[:] = 0
                    for x in range(GROUP * q, min(GROUP * q + GROUP, ow)):
                        for o in range(width):
                            tail[x - GROUP * q, o] = row[x, first + o]
                    for o in range(0, PAIR_BLOCK, SIDE):
                        round_rows(flat_tail, o, PAIR_BLOCK, up, high, low, to + o)
    across = numbers.reshape(-1).view(np.int32)
    for byte in range(2):
        for k in range(len(words[0])):
            # What lies behind the block stays from an earlier, longer one.
            for q in range(depth):
                is_inside = k < count and q < deep * groups
                for o in range(PAIR_BLOCK):
                    word = words[byte, k, q, o] if is_inside else np.int32(0)
                    across[((byte * PAIR_BLOCK + o) * len(words[0]) + k) * depth + q] = word
    return scale


@part
def _group_signs(H, place, window, padded, signs):
    """Signs of a block, four pixels of a channel beside each other, shifted by each column of a filter."""
    n, count, y, deep = place
    kh, kw, left, top = window
    _, h, w, channels = H.shape
    columns, wide = padded.shape
    groups = (columns - kw + 1) // GROUP
    batch, image = signs.shape[2], signs.shape[3]
    flat, flat_padded = signs.reshape(-1), padded.reshape(-1)
    for k in range(count):
        for r in range(deep + kh - 1):
            inside = 0 <= y - top + r < h
            for x in range(columns):
                if inside and 0 <= x - left < w:
                    padded[x, :channels] = H[n + k, y - top + r, x - left]
                else:
                    padded[x] = 0
            for j in range(kw):
                for q in range(groups):
                    for c in range(0, wide, BYTES):
                        to = ((c // SIDE * kw + j) * batch + k) * image + (r * groups + q) * BYTES
                        group_rows(
                            flat_padded, (GROUP * q + j) * wide + c, wide, flat, to, kw * batch * image
                        )


@part
def _add_block(signs, numbers, place, width, size, groups, scale, sums):
    """Add a block's products to the sums of each tap's filters."""
    count = place[1]
    kh, kw = size
    batch, image = signs.shape[2], signs.shape[3]
    length, wide = numbers.shape[3], sums.shape[2]
    high, low = numbers[0].reshape(-1), numbers[1].reshape(-1)
    flat, target = signs.reshape(-1), sums.reshape(-1)
    shape, strides = (1, count, length // BYTES), (0, length, 0, image)
    lane = kw * batch * image
    for o in range(0, width, SIDE):
        for i in range(kh):
            for j in range(kw):
                for c in range(0, wide, WIDE):
                    begin = c // SIDE * lane + j * batch * image + i * groups * BYTES
                    to = ((i * kw + j) * PAIR_BLOCK + o) * wide + c
                    add_products(
                        high, low, o * batch * length, batch * length, flat, begin, lane,
                        shape, strides, scale, target, to, wide,
                    )  # fmt: skip
