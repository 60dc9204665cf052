"""Products of signs and their gradients, as kernels for the CPU.

Images are channels last, filters ``(filters, channels, rows, columns)``, matrices ``(channels, outputs)``;
signs are int8. The forward product counts differing bits in words of 64 channels. In a gradient one operand
is a sign and the other a real number, which is rounded to 16 bits relative to the largest of its block. So
products are those of int16 pairs, and sums within a block are exact if they have at most ``2**16`` terms. A
block is an image in the images' gradient, a few rows of one or more images with 64 filters in the filters'
gradient, and everything in the rows' gradient.

A call computes share ``thread`` of ``threads`` shares of the work. ``frame`` is XLA's (see ``custom_calls``);
each kernel's docstring lists the arguments, results and options in it. ``flip`` rotates filters by half a
turn; ``geometry`` is a filter's rows and columns and the zeros left of an image and above it. Kernels do not
check bounds: ``native`` passes arrays of the right lengths.
"""

import numpy as np

from xnornet.machine_code import part
from xnornet.ops.custom_calls import argument, argument_shape, option, result, result_shape
from xnornet.vectors import (
    ALIGNED,
    BLOCK,
    PAIR_BLOCK,
    fence,
    pack_positive,
    pair_16,
    pair_tile,
    stream_64,
    tile,
)

__all__ = [
    "DEPTH",
    "WORD",
    "correlate",
    "filter_gradient",
    "image_gradient",
    "pack_filters",
    "pack_matrix",
    "pair_filters",
    "row_gradient",
    "share",
    "sum_by_halves",
]

# Signs of a word.
WORD = 64

# Rows of a tile.
ROWS = 4

# Channels whose signs are adjacent in memory in the filters' gradient.
LANES = 16

# Real numbers are rounded to integers of at most this magnitude.
LARGEST = np.float32(32767)

# Blocks whose numbers are all smaller are rounded to 0, so that no scale overflows or is subnormal.
SMALLEST = np.float32(2.0**-110)

# Minimum number of pixel pairs of a block in the filters' gradient, if the arrays have that many.
DEPTH = 128


@part
def share(count, thread, threads):
    """Begin and end of a thread's share of ``count`` items."""
    return count * thread // threads, count * (thread + 1) // threads


@part
def images_or_blocks(images, blocks, thread, threads):
    """A thread's share of the images or, if there is only one image, of the blocks of the result."""
    if images == 1:
        first, last = share(blocks, thread, threads)
        return 0, 1, first, last
    first, last = share(images, thread, threads)
    return first, last, 0, blocks


@part
def count_blocks(count, length):
    return (count + length - 1) // length


@part
def sum_by_halves(numbers):
    """Sum of a power of two of numbers, which are overwritten."""
    width = len(numbers) // 2
    while width:
        lower, upper = numbers[:width], numbers[width : 2 * width]
        for i in range(width):
            lower[i] += upper[i]
        width //= 2
    return numbers[0]


@part
def _pair(low, high):
    """Two int16 in an int32."""
    return (np.int32(low) & 0xFFFF) | (np.int32(high) << 16)


@part
def nearest_integer(x, scale):
    """The nearest integer. NaN gives 0, since processors convert it to different integers."""
    nearest = np.rint(x * scale)
    return np.int32(nearest if nearest == nearest else np.float32(0))


@part
def largest_magnitude(numbers):
    """Bit pattern of the largest magnitude; as integers, NaNs compare greater than infinity."""
    bits = numbers.view(np.int32)
    largest = np.int32(0)
    for i in range(len(bits)):
        largest = max(largest, bits[i] & np.int32(0x7FFFFFFF))
    return largest


@part
def scales(largest):
    """Factor to multiply numbers by before rounding, and the value of one integer step afterwards.

    If the largest magnitude is not finite, the step is NaN and so is the whole block: training then stops.
    """
    magnitude = np.int32(largest).view(np.float32)
    if not magnitude < np.inf:
        return np.float32(0), np.float32(np.nan)
    if magnitude < SMALLEST:
        return np.float32(0), np.float32(0)
    return LARGEST / magnitude, magnitude / LARGEST


def pack_filters(thread, threads, frame):
    """Filters as bits, and each tap's sum.

    Argument: signs ``(filters, channels, rows, columns)``. Results: words ``(blocks, rows * columns, words,
    BLOCK)``, and sums over channels ``(rows * columns, blocks * BLOCK)`` int32. Option: ``flip``.
    """
    d = argument_shape(frame, 0)
    filters, channels, taps = d[0], d[1], d[2] * d[3]
    words, blocks = count_blocks(channels, WORD), count_blocks(filters, BLOCK)
    B = argument(frame, 0, (filters, channels, taps), np.int8)
    packed = result(frame, 0, (blocks, taps, words, BLOCK), np.uint64)
    sums = result(frame, 1, (taps, blocks * BLOCK), np.int32)
    flip = option(frame, 0)
    first, last = share(blocks * BLOCK, thread, threads)
    for o in range(first, last):
        for t in range(taps):
            tap = taps - 1 - t if flip else t
            total = 0
            for j in range(words):
                word = np.uint64(0)
                for c in range(j * WORD, min(channels, (j + 1) * WORD)):
                    if o < filters:
                        total += B[o, c, t]
                        word |= np.uint64(B[o, c, t] > 0) << np.uint64(c - j * WORD)
                packed[o // BLOCK, tap, j, o % BLOCK] = word
            sums[tap, o] = total


def pack_matrix(thread, threads, frame):
    """A matrix as bits, like filters of one tap.

    Argument: signs ``(channels, outputs)``. Result: words ``(blocks, words, BLOCK)``.
    """
    d = argument_shape(frame, 0)
    channels, outputs = d[0], d[1]
    words, blocks = count_blocks(channels, WORD), count_blocks(outputs, BLOCK)
    B = argument(frame, 0, (channels, outputs), np.int8)
    packed = result(frame, 0, (blocks, words, BLOCK), np.uint64)
    first, last = share(words, thread, threads)
    for j in range(first, last):
        for block in range(blocks):
            packed[block, j] = 0
        for c in range(j * WORD, min(channels, (j + 1) * WORD)):
            bit = np.uint64(c - j * WORD)
            for block in range(blocks):
                for o in range(min(BLOCK, outputs - block * BLOCK)):
                    packed[block, j, o] |= np.uint64(B[c, block * BLOCK + o] > 0) << bit


def correlate(thread, threads, frame):
    """Correlation of images and packed filters.

    Arguments: signs ``(images, rows, columns, channels)``, and both results of :func:`pack_filters`. Result:
    ``(images, output rows, output columns, filters)`` int16. Options: ``geometry``.
    """
    d, e = argument_shape(frame, 0), result_shape(frame, 0)
    images, h, w, channels = d[0], d[1], d[2], d[3]
    oh, ow, filters = e[1], e[2], e[3]
    kh, kw, left, top = option(frame, 0), option(frame, 1), option(frame, 2), option(frame, 3)
    words, blocks = count_blocks(channels, WORD), count_blocks(filters, BLOCK)
    H = argument(frame, 0, (images, h, w, channels), np.int8)
    packed = argument(frame, 1, (blocks * kh * kw * words * BLOCK,), np.uint64)
    tap_sums = argument(frame, 2, (kh * kw, blocks * BLOCK), np.int32)
    out = result(frame, 0, (images, oh, ow, filters), np.int16)
    # A tile that begins at a row's last pixel reads past the end of the row.
    padded = np.zeros((oh + kh - 1, ow + kw - 1 + ROWS, words), np.uint64)
    first, last, first_block, last_block = images_or_blocks(images, blocks, thread, threads)
    for n in range(first, last):
        _pack_image(H[n], padded, left, top)
        for y in range(oh):
            _correlate_row(padded, packed, y, (kh, kw), channels, first_block, last_block, out[n, y])
            for x in range(ow):
                if not (top <= y <= top + h - kh and left <= x <= left + w - kw):
                    outputs = out[n, y, x, first_block * BLOCK : last_block * BLOCK]
                    place = (y - top, x - left, h, w)
                    _take_padding_back(tap_sums[:, first_block * BLOCK :], (kh, kw), place, outputs)


@part
def _pack_image(H, padded, left, top):
    """Signs of an image as bits, into the middle of ``padded``."""
    h, w, channels = H.shape
    rows, columns, words = padded.shape
    whole = channels // WORD
    flat = H.reshape(-1)
    for y in range(min(h, rows - top)):
        for x in range(min(w, columns - left)):
            first = (y * w + x) * channels
            for j in range(whole):
                padded[y + top, x + left, j] = pack_positive(flat, first + j * WORD)
            if whole < words:
                word = np.uint64(0)
                for c in range(whole * WORD, channels):
                    word |= np.uint64(flat[first + c] > 0) << np.uint64(c - whole * WORD)
                padded[y + top, x + left, whole] = word


@part
def _correlate_row(padded, packed, y, size, channels, first_block, last_block, out):
    """A row of the output, as if padding were -1."""
    _, columns, words = padded.shape
    ow, filters = out.shape
    kh, kw = size
    flat = padded.reshape(-1)
    block_words, fan_in = kh * kw * words * BLOCK, kh * kw * channels
    sums = np.empty((ROWS, BLOCK), np.int32)
    for x in range(0, ow, ROWS):
        place = (y * columns + x) * words
        firsts = (place, place + words, place + 2 * words, place + 3 * words)
        for block in range(first_block, last_block):
            first = block * block_words
            tile(flat, firsts, kh, kw * words, columns * words, packed, first, sums, 0, BLOCK)
            for r in range(min(ROWS, ow - x)):
                products = out[x + r, block * BLOCK : min((block + 1) * BLOCK, filters)]
                for o in range(len(products)):
                    products[o] = fan_in - 2 * sums[r, o]


@part
def _take_padding_back(tap_sums, size, place, out):
    """Correct one output pixel for its padded taps, which were counted as -1 instead of 0."""
    kh, kw = size
    y, x, h, w = place
    for i in range(kh):
        for j in range(kw):
            if not (0 <= y + i < h and 0 <= x + j < w):
                for o in range(len(out)):
                    out[o] += tap_sums[i * kw + j, o]


def pair_filters(thread, threads, frame):
    """Filters in pairs along the axis of filters, rotated by half a turn, for :func:`image_gradient`.

    Argument: signs ``(filters, channels, rows, columns)``. Result: ``(blocks of channels, rows * columns,
    pairs of filters, PAIR_BLOCK)`` int32. Option: ``flip``.
    """
    d = argument_shape(frame, 0)
    filters, channels, taps = d[0], d[1], d[2] * d[3]
    pairs, blocks = count_blocks(filters, 2), count_blocks(channels, PAIR_BLOCK)
    B = argument(frame, 0, (filters, channels, taps), np.int8)
    paired = result(frame, 0, (blocks, taps, pairs, PAIR_BLOCK), np.int32)
    flip = option(frame, 0)
    first, last = share(blocks * pairs, thread, threads)
    for item in range(first, last):
        block, p = item // pairs, item % pairs
        for t in range(taps):
            tap = t if flip else taps - 1 - t
            for k in range(PAIR_BLOCK):
                c = block * PAIR_BLOCK + k
                pair = np.int32(0)
                if c < channels:
                    pair = _pair(B[2 * p, c, t], B[2 * p + 1, c, t] if 2 * p + 1 < filters else np.int8(0))
                paired[block, tap, p, k] = pair


def image_gradient(thread, threads, frame):
    """Gradient to the images.

    Arguments: gradient ``(images, output rows, output columns, filters)`` float32, result of
    :func:`pair_filters`. Result: ``(images, rows, columns, channels)`` float32. Options: ``geometry``.
    """
    d, e = argument_shape(frame, 0), result_shape(frame, 0)
    images, oh, ow, filters = d[0], d[1], d[2], d[3]
    h, w, channels = e[1], e[2], e[3]
    kh, kw = option(frame, 0), option(frame, 1)
    left, top = kw - 1 - option(frame, 2), kh - 1 - option(frame, 3)
    pairs, blocks = count_blocks(filters, 2), count_blocks(channels, PAIR_BLOCK)
    g = argument(frame, 0, (images, oh, ow, filters), np.float32)
    paired = argument(frame, 1, (blocks * kh * kw * pairs * PAIR_BLOCK,), np.int32)
    out = result(frame, 0, (images, h, w, channels), np.float32)
    padded = np.zeros((h + kh - 1, w + kw - 1 + ROWS, pairs), np.int32)
    numbers = padded.reshape(-1).view(np.int16).reshape(h + kh - 1, w + kw - 1 + ROWS, 2 * pairs)
    first, last, first_block, last_block = images_or_blocks(images, blocks, thread, threads)
    for n in range(first, last):
        scale = _round_image(g[n], numbers, left, top)
        for block in range(first_block, last_block):
            for y in range(h):
                _gradient_row(padded, paired, y, (kh, kw), block, scale, out[n, y])


@part
def _round_image(g, numbers, left, top):
    """Round an image into the middle of ``numbers``; returns the value of one integer step."""
    h, w, filters = g.shape
    rows, columns, _ = numbers.shape
    up, scale = scales(largest_magnitude(g.reshape(-1)))
    for y in range(min(h, rows - top)):
        for x in range(min(w, columns - left)):
            for o in range(filters):
                numbers[y + top, x + left, o] = np.int16(nearest_integer(g[y, x, o], up))
    return scale


@part
def _gradient_row(padded, paired, y, size, block, scale, out):
    """A row of the images' gradient for a block of channels."""
    _, columns, pairs = padded.shape
    w, channels = out.shape
    kh, kw = size
    flat, flat_out = padded.reshape(-1), out.reshape(-1)
    paired_first, first = block * kh * kw * pairs * PAIR_BLOCK, block * PAIR_BLOCK
    last = min(first + PAIR_BLOCK, channels)
    out[:, first:last] = 0
    rest = np.empty(ROWS * PAIR_BLOCK, np.float32)
    for x in range(0, w, ROWS):
        place = (y * columns + x) * pairs
        firsts = (place, place + pairs, place + 2 * pairs, place + 3 * pairs)
        whole = last - first == PAIR_BLOCK and x + ROWS <= w
        sums, sums_first, apart = (
            (flat_out, x * channels + first, channels) if whole else (rest, 0, PAIR_BLOCK)
        )
        rest[:] = 0
        shape = (1, kh, kw * pairs, 0, columns * pairs)
        pair_tile(flat, firsts, 1, shape, paired, paired_first, scale, sums, sums_first, apart)
        if not whole:
            for r in range(min(ROWS, w - x)):
                for c in range(first, last):
                    out[x + r, c] = rest[r * PAIR_BLOCK + c - first]


def row_gradient(thread, threads, frame):
    """Gradient to the rows that a matrix multiplies.

    Arguments: gradient ``(rows, outputs)`` float32, signs ``(channels, outputs)``. Result: ``(rows,
    channels)`` float32.
    """
    d, e = argument_shape(frame, 0), argument_shape(frame, 1)
    rows, outputs, channels = d[0], d[1], e[0]
    pairs, blocks = count_blocks(outputs, 2), count_blocks(rows, PAIR_BLOCK)
    g = argument(frame, 0, (rows, outputs), np.float32)
    B = argument(frame, 1, (channels, outputs), np.int8)
    out = result(frame, 0, (rows, channels), np.float32)
    numbers = np.zeros(blocks * pairs * PAIR_BLOCK, np.int32)
    scale = _pair_rows(g, pairs, numbers)
    signs = np.zeros(ROWS * pairs, np.int32)
    sums = np.empty(ROWS * PAIR_BLOCK, np.float32)
    firsts = (0, pairs, 2 * pairs, 3 * pairs)
    first, last = share(count_blocks(channels, ROWS), thread, threads)
    for c in range(first * ROWS, last * ROWS, ROWS):
        valid = min(ROWS, channels - c)
        for r in range(valid):
            for p in range(outputs // 2):
                signs[r * pairs + p] = _pair(B[c + r, 2 * p], B[c + r, 2 * p + 1])
            if outputs % 2:
                signs[r * pairs + pairs - 1] = _pair(B[c + r, outputs - 1], np.int8(0))
        for block in range(blocks):
            sums[:] = 0
            pair_tile(
                signs,
                firsts,
                1,
                (1, 1, pairs, 0, 0),
                numbers,
                block * pairs * PAIR_BLOCK,
                scale,
                sums,
                0,
                PAIR_BLOCK,
            )
            for n in range(min(PAIR_BLOCK, rows - block * PAIR_BLOCK)):
                for r in range(valid):
                    out[block * PAIR_BLOCK + n, c + r] = sums[r * PAIR_BLOCK + n]


@part
def _pair_rows(g, pairs, numbers):
    """Round rows to pairs along outputs, ``PAIR_BLOCK`` rows together; returns the value of a step."""
    rows, outputs = g.shape
    up, scale = scales(largest_magnitude(g.reshape(-1)))
    for n in range(rows):
        first = n // PAIR_BLOCK * pairs * PAIR_BLOCK + n % PAIR_BLOCK
        for p in range(pairs):
            high = nearest_integer(g[n, 2 * p + 1], up) if 2 * p + 1 < outputs else np.int32(0)
            numbers[first + p * PAIR_BLOCK] = _pair(nearest_integer(g[n, 2 * p], up), high)
    return scale


@part
def gradient_blocks(images, oh, ow):
    """Rows and images of a block: some rows of an image's output or, if it has few, of several images."""
    pairs = count_blocks(ow, 2)
    rows = min(oh, count_blocks(DEPTH, pairs))
    return rows, min(images, count_blocks(DEPTH, pairs * rows))


def filter_gradient(thread, threads, frame):
    """Gradient to the filters.

    Arguments: signs ``(images, rows, columns, channels)``, gradient ``(images, output rows, output columns,
    filters)`` float32. Result: ``(filters, channels, rows, columns)`` float32, or ``(channels, filters)`` of
    a matrix. Options: ``geometry``, ``flip``, and whether it is a matrix.
    """
    d, e = argument_shape(frame, 0), argument_shape(frame, 1)
    images, h, w, channels = d[0], d[1], d[2], d[3]
    oh, ow, filters = e[1], e[2], e[3]
    kh, kw, left, top = option(frame, 0), option(frame, 1), option(frame, 2), option(frame, 3)
    flip, matrix = option(frame, 4), option(frame, 5)
    H = argument(frame, 0, (images, h, w, channels), np.int8)
    g = argument(frame, 1, (images, oh, ow, filters), np.float32)
    out = result(frame, 0, (filters, channels, kh * kw), np.float32)
    across = result(frame, 0, (channels, filters), np.float32)
    pairs, lanes = count_blocks(ow, 2), count_blocks(channels, LANES)
    rows, batch = gradient_blocks(images, oh, ow)
    signs = np.zeros((lanes, min(2, kw), batch, rows + kh - 1, pairs + kw // 2, LANES), np.int32)
    numbers = np.zeros((batch, rows, pairs, PAIR_BLOCK), np.int32)
    sums = np.empty((kh * kw, lanes * LANES, PAIR_BLOCK), np.float32)
    first, last = share(count_blocks(filters, PAIR_BLOCK), thread, threads)
    is_single = images <= batch and oh <= rows
    # Where whole tiles of a matrix are computed at once, they are stored past the caches.
    streams = matrix and is_single and channels % ROWS == 0 and filters % PAIR_BLOCK == 0
    streams = streams and across.ctypes.data % ALIGNED == 0
    for block in range(first, last):
        filter_first = block * PAIR_BLOCK
        width = min(PAIR_BLOCK, filters - filter_first)
        if not streams:
            sums[:] = 0
        for n in range(0, images, batch):
            for y in range(0, oh, rows):
                part = (n, min(batch, images - n), y, min(rows, oh - y))
                scale = _pair_gradient(g, part, filter_first, width, numbers)
                if block == first or not is_single:
                    _pair_signs(H, part, (kh, left, top), signs)
                if streams:
                    _stream_products(signs, numbers, part, scale, across, filter_first)
                else:
                    _add_products(signs, numbers, part, (kh, kw), scale, sums)
        if not streams:
            _give_out(sums, filter_first, width, flip, matrix, out, across)
    fence()


@part
def largest_of_block(g, part, first, width):
    """Bit pattern of the largest magnitude of a block with ``width`` filters from ``first`` on."""
    n, count, y, deep = part
    largest = np.int32(0)
    for k in range(count):
        for r in range(deep):
            for x in range(g.shape[2]):
                largest = max(largest, largest_magnitude(g[n + k, y + r, x, first : first + width]))
    return largest


@part
def _pair_gradient(g, part, first, width, numbers):
    """Round a block to pairs of neighbouring pixels; returns the value of one integer step."""
    n, count, y, deep = part
    ow = g.shape[2]
    up, scale = scales(largest_of_block(g, part, first, width))
    for k in range(count):
        for r in range(deep):
            row = g[n + k, y + r]
            for p in range(ow // 2):
                for o in range(width):
                    low, high = row[2 * p, first + o], row[2 * p + 1, first + o]
                    numbers[k, r, p, o] = _pair(nearest_integer(low, up), nearest_integer(high, up))
            if ow % 2:
                for o in range(width):
                    numbers[k, r, ow // 2, o] = _pair(
                        nearest_integer(row[ow - 1, first + o], up), np.int32(0)
                    )
    return scale


@part
def _pair_signs(H, part, window, signs):
    """Signs as pairs of neighbouring pixels: first pairs that begin at even columns, then at odd columns."""
    n, count, y, deep = part
    kh, left, top = window
    _, h, w, channels = H.shape
    lanes, parities, _, _, pairs, _ = signs.shape
    zeros = np.zeros(channels, np.int8)
    for k in range(count):
        for r in range(deep + kh - 1):
            inside = 0 <= y - top + r < h
            for parity in range(parities):
                for p in range(pairs):
                    x = 2 * p + parity - left
                    low = H[n + k, y - top + r, x] if inside and 0 <= x < w else zeros
                    high = H[n + k, y - top + r, x + 1] if inside and 0 <= x + 1 < w else zeros
                    for lane in range(lanes):
                        c = lane * LANES
                        if channels - c >= LANES:
                            pair_16(low, c, high, c, signs[lane, parity, k, r, p], 0)
                        else:
                            for i in range(channels - c):
                                signs[lane, parity, k, r, p, i] = _pair(low[c + i], high[c + i])


@part
def _add_products(signs, numbers, part, size, scale, sums):
    """Add a block's products to the sums of each tap's channels."""
    _, count, _, deep = part
    kh, kw = size
    lanes, parities, batch, rows, wide, _ = signs.shape
    pairs = numbers.shape[2]
    flat, flat_numbers, target = signs.reshape(-1), numbers.reshape(-1), sums.reshape(-1)
    # Several images are whole ones, so that their numbers lie beside each other.
    shape = (count, deep, pairs, rows * wide * LANES, wide * LANES)
    for i in range(kh):
        for j in range(kw):
            for c in range(0, lanes * LANES, ROWS):
                place = ((c // LANES * parities + j % 2) * batch * rows + i) * wide + j // 2
                firsts = _neighbours(place * LANES + c % LANES)
                to = ((i * kw + j) * lanes * LANES + c) * PAIR_BLOCK
                pair_tile(flat, firsts, LANES, shape, flat_numbers, 0, scale, target, to, PAIR_BLOCK)


@part
def _stream_products(signs, numbers, part, scale, across, first):
    """Products of all rows of a matrix, to the columns from ``first`` on, past the caches."""
    lanes, _, _, _, wide, _ = signs.shape
    channels, columns = across.shape
    flat, flat_numbers, target = signs.reshape(-1), numbers.reshape(-1), across.reshape(-1)
    shape = (1, 1, numbers.shape[2], 0, 0)
    sums = np.empty(ROWS * PAIR_BLOCK, np.float32)
    for c in range(0, channels, ROWS):
        sums[:] = 0
        firsts = _neighbours(c // LANES * wide * LANES + c % LANES)
        pair_tile(flat, firsts, LANES, shape, flat_numbers, 0, scale, sums, 0, PAIR_BLOCK)
        for r in range(ROWS):
            stream_64(sums, r * PAIR_BLOCK, target, (c + r) * columns + first)


@part
def _neighbours(place):
    """The places of a tile's rows."""
    return place, place + 1, place + 2, place + 3


@part
def _give_out(sums, first, width, flip, matrix, out, across):
    """Copy the sums of a block of filters to their places in the result."""
    taps, channels = len(sums), out.shape[1]
    if matrix:
        for c in range(channels):
            for o in range(width):
                across[c, first + o] = sums[0, c, o]
        return
    # Channels outside, whose sums fit into the fastest cache.
    for c in range(channels):
        for o in range(width):
            for t in range(taps):
                out[first + o, c, t] = sums[taps - 1 - t if flip else t, c, o]
