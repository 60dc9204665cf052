"""Kernels for the CPU that pass over real weights once: Adam's update, and means of magnitudes.

Both are bound by memory, which XLA goes over three to four times as often. Arguments, results and options are
read as in ``kernels``. Nothing here checks bounds: ``native`` gives arrays of the right lengths.
"""

import numpy as np

from xnornet.machine_code import part
from xnornet.ops.custom_calls import argument, argument_shape, option, result
from xnornet.ops.kernels import count_blocks, share, sum_by_halves
from xnornet.vectors import ALIGNED, fence, stream_64

__all__ = ["adam", "mean_magnitude"]

# Numbers that a register's worth of code handles at a time.
LANES = 64

# Numbers of each array that are computed before they are stored: they lie in the fastest cache meanwhile.
CHUNK = 256

# Rows of a matrix whose magnitudes are added up by themselves, which keeps sums exact to few units of the
# last place.
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
    first, last = share(count_blocks(size, CHUNK), thread, threads)
    for begin in range(first * CHUNK, last * CHUNK, CHUNK):
        count = min(CHUNK, size - begin)
        # Numba takes care of places that may be negative, so LLVM gathers a vector's numbers one by one
        # unless their places are those of a range from 0.
        p_part, m_part = p[begin : begin + count], m[begin : begin + count]
        v_part, g_part = v[begin : begin + count], g[begin : begin + count]
        for i in range(count):
            mean = beta1 * m_part[i] + rest1 * g_part[i]
            square = beta2 * v_part[i] + rest2 * (g_part[i] * g_part[i])
            weight = p_part[i] - rate * mean / (np.sqrt(square) + epsilon) - decay * p_part[i]
            weight = bound if weight > bound else weight
            weights[i] = -bound if weight < -bound else weight
            first_moment[i], second_moment[i] = mean, square
        if count == CHUNK and addresses % ALIGNED == 0:
            for i in range(0, CHUNK, LANES):
                stream_64(weights, i, new_p, begin + i)
                stream_64(first_moment, i, new_m, begin + i)
                stream_64(second_moment, i, new_v, begin + i)
        else:
            new_p[begin : begin + count] = weights[:count]
            new_m[begin : begin + count] = first_moment[:count]
            new_v[begin : begin + count] = second_moment[:count]
    fence()


def mean_magnitude(thread, threads, frame):
    """Mean of magnitudes of each output's weights; of a matrix, sums of ``ROWS`` rows at a time.

    Argument: weights ``(outputs, fan-in)`` float32, or ``(fan-in, outputs)`` of a matrix. Result:
    ``(outputs,)`` float32, or ``(blocks of rows, outputs)``. Option: whether it is a matrix. Every sum is
    made in the same order by all processors and numbers of threads.
    """
    d = argument_shape(frame, 0)
    W = argument(frame, 0, (d[0], d[1]), np.float32)
    if option(frame, 0):
        _sums_of_columns(W, thread, threads, result(frame, 0, (count_blocks(d[0], ROWS), d[1]), np.float32))
    else:
        _means_of_rows(W, thread, threads, result(frame, 0, (d[0],), np.float32))


@part
def _sums_of_columns(W, thread, threads, out):
    rows, columns = W.shape
    first, last = share(len(out), thread, threads)
    for block in range(first, last):
        sums = out[block]
        sums[:] = 0
        begin, end = block * ROWS, min(block * ROWS + ROWS, rows)
        for r in range(begin, end - 3, 4):
            for i in range(columns):
                sums[i] += (abs(W[r, i]) + abs(W[r + 1, i])) + (abs(W[r + 2, i]) + abs(W[r + 3, i]))
        for r in range(end - (end - begin) % 4, end):
            for i in range(columns):
                sums[i] += abs(W[r, i])


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
        rest = W[r, whole:]
        for i in range(len(rest)):
            sums[i] += abs(rest[i])
        out[r] = sum_by_halves(sums) / np.float32(columns)
