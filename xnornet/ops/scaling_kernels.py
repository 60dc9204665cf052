"""The kernel for the gradients of a convolution's scaling, which passes over memory once.

Arguments and results are read as in ``kernels``.
"""

import numpy as np

from xnornet.machine_code import part
from xnornet.ops.custom_calls import argument, argument_shape, result
from xnornet.ops.kernels import count_blocks, share, sum_by_halves

__all__ = ["scale_gradients"]

# Sums of one pixel's filters that are added up beside each other.
LANES = 64


def scale_gradients(thread, threads, frame):
    """Gradients of ``S * K * alpha`` to all three.

    Arguments: ``S`` ``(images, rows, columns, filters)`` int16, ``K`` ``(images, rows, columns)``, ``alpha``
    ``(filters,)`` and the gradient, of the shape of ``S``, float32. Results: the gradients to ``S`` and to
    ``K``, and those of each image to ``alpha``, ``(images, filters)``. Every sum is made in the same order by
    all processors and numbers of threads.
    """
    d = argument_shape(frame, 0)
    images, pixels, filters = d[0], d[1] * d[2], d[3]
    S = argument(frame, 0, (images, pixels, filters), np.int16)
    K = argument(frame, 1, (images, pixels), np.float32)
    alpha = argument(frame, 2, (filters,), np.float32)
    g = argument(frame, 3, (images, pixels, filters), np.float32)
    to_S = result(frame, 0, (images, pixels, filters), np.float32)
    to_K = result(frame, 1, (images, pixels), np.float32)
    to_alpha = result(frame, 2, (images, filters), np.float32)
    products = np.zeros(count_blocks(filters, LANES) * LANES, np.float32)
    sums = np.empty(LANES, np.float32)
    first, last = share(images, thread, threads)
    for n in range(first, last):
        to_alpha[n] = 0
        for p in range(pixels):
            _scale_pixel(S[n, p], K[n, p], alpha, g[n, p], to_S[n, p], to_alpha[n], products)
            to_K[n, p] = _sum(products, sums)


@part
def _scale_pixel(S, k, alpha, g, to_S, to_alpha, products):
    for c in range(len(alpha)):
        product = g[c] * np.float32(S[c])
        to_S[c] = g[c] * (k * alpha[c])
        to_alpha[c] += product * k
        products[c] = product * alpha[c]


@part
def _sum(numbers, sums):
    """Sum of whole lanes."""
    sums[:] = numbers[:LANES]
    for begin in range(LANES, len(numbers), LANES):
        lanes = numbers[begin : begin + LANES]
        for i in range(LANES):
            sums[i] += lanes[i]
    return sum_by_halves(sums)
