"""Pooling under its first name, which Lasagne 0.1 imports."""

from theano.tensor.signal.pool import pool_2d

__all__ = ["max_pool_2d"]


def max_pool_2d(input, ds, ignore_border=False, st=None, padding=(0, 0), mode="max"):
    """Pool the last two axes; see :func:`theano.tensor.signal.pool.pool_2d`."""
    return pool_2d(input, ds, ignore_border, stride=st, pad=padding, mode=mode)
