"""Kernels for the CPU that pass over real weights once: Adam's update, and means of magnitudes.

Both are bound by memory, which XLA goes over three to four times as often. Arguments, results and options are
read as in ``kernels``. Nothing here checks bounds: ``native`` gives arrays of the right lengths.
"""

import numpy as np

from xnornet.machine_code import part
from xnornet.ops.custom_calls import argument, argument_shape, option, result
from xnornet.ops.kernels import share
from xnornet.vectors import ALIGNED, fence, stream_64

__all__ = ["adam", "mean_magnitude"]

# Numbers that a register's worth of code handles at a time.
LANES = 64

# Numbers of each array that are computed before they are stored: they lie in the fastest cache meanwhile.
CHUNK = 256

# Columns that are added up at a time: as many as lie in the fastest cache, since rows are far apart.
WIDE = 2048

# Rows whose magnitudes are added up before their sum is added to those of others, which keeps sums exact to
# few units of the last place.
ROWS = 64


def adam(thread, threads, frame):
    """One step of Adam.

    Arguments: weights, both moments, and the gradient, float32 arrays of one shape, and ``(rate, decay,
    beta1, 1 - beta1, beta2, 1 - beta2, epsilon, bound)`` float32. Results: new weights and moments. The
    weights are clipped to magnitudes up to ``bound``. Option: how many weights there are.
    """
    size = option(frame, 0)
    p = argument(frame, 0, (size,), np.float32)
    m = argument(frame, 1, (size,), np.float32)
    v = argument(frame, 2, (size,), np.float32)
    g = argument(frame, 3, (size,), np.float32)
    n = argument(frame, 4, (8,), np.float32)
    rate, decay, epsilon, bound = n[0], n[1], n[6], n[7]
    beta1, rest1, beta2, rest2 = n[2], n[3], n[4], n[5]
    new_p = result(frame, 0, (size,), np.float32)
    new_m = result(frame, 1, (size,), np.float32)
    new_v = result(frame, 2, (size,), np.float32)
    weights = np.empty(CHUNK, np.float32)
    first_moment, second_moment = np.empty(CHUNK, np.float32), np.empty(CHUNK, np.float32)
    addresses = new_p.ctypes.data | new_m.ctypes.data | new_v.ctypes.data
    first, last = share((size + CHUNK - 1) // CHUNK, thread, threads)
    for begin in range(first * CHUNK, last * CHUNK, CHUNK):
        count = min(CHUNK, size - begin)
        for i in range(count):
            k = begin + i
            mean = beta1 * m[k] + rest1 * g[k]
            square = beta2 * v[k] + rest2 * (g[k] * g[k])
            weight = p[k] - rate * mean / (np.sqrt(square) + epsilon) - decay * p[k]
            weight = bound if weight > bound else weight
            weights[i] = -bound if weight < -bound else weight
            first_moment[i], second_moment[i] = mean, square
        if count == CHUNK and addresses % ALIGNED == 0:
            for i in range(0, CHUNK, LANES):
                stream_64(weights, i, new_p, begin + i)
                stream_64(first_moment, i, new_m, begin + i)
                stream_64(second_moment, i, new_v, begin + i)
        else:
            for i in range(count):
                k = begin + i
                new_p[k], new_m[k], new_v[k] = weights[i], first_moment[i], second_moment[i]
    fence()


def mean_magnitude(thread, threads, frame):
    """Mean of magnitudes of each output's weights.

    Argument: weights ``(fan-in, outputs)`` float32, or ``(outputs, fan-in)`` if not of a matrix. Result:
    ``(outputs,)`` float32. Option: whether it is a matrix. Every sum is made in the same order by all
    processors and numbers of threads.
    """
    d = argument_shape(frame, 0)
    W = argument(frame, 0, (d[0], d[1]), np.float32)
    if option(frame, 0):
        _means_of_columns(W, thread, threads, result(frame, 0, (d[1],), np.float32))
    else:
        _means_of_rows(W, thread, threads, result(frame, 0, (d[0],), np.float32))


@part
def _means_of_columns(W, thread, threads, out):
    rows, columns = W.shape
    sums, part_sums = np.empty(WIDE, np.float32), np.empty(WIDE, np.float32)
    first, last = share((columns + LANES - 1) // LANES, thread, threads)
    last = min(last * LANES, columns)
    for begin in range(first * LANES, last, WIDE):
        count = min(WIDE, last - begin)
        sums[:] = 0
        for row in range(0, rows, ROWS):
            part_sums[:] = 0
            for r in range(row, min(row + ROWS, rows)):
                for i in range(count):
                    part_sums[i] += abs(W[r, begin + i])
            for i in range(count):
                sums[i] += part_sums[i]
        for i in range(count):
            out[begin + i] = sums[i] / np.float32(rows)


@part
def _means_of_rows(W, thread, threads, out):
    rows, columns = W.shape
    sums = np.empty(LANES, np.float32)
    whole = columns // LANES * LANES
    first, last = share(rows, thread, threads)
    for r in range(first, last):
        sums[:] = 0
        for begin in range(0, whole, LANES):
            for i in range(LANES):
                sums[i] += abs(W[r, begin + i])
        for i in range(columns - whole):
            sums[i] += abs(W[r, whole + i])
        width = LANES // 2
        while width > 0:
            for i in range(width):
                sums[i] += sums[width + i]
            width //= 2
        out[r] = sums[0] / np.float32(columns)
