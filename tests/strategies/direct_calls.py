"""Kernels called by frames of our own instead of XLA's, on arrays whose place a test chooses.

Put in place of ``CustomCall.__call__``, it lets ``xnornet.ops.native`` take and give NumPy arrays, and no
shape costs a compilation.
"""

import ctypes
import math

import numpy as np

from xnornet.ops import custom_calls

__all__ = ["direct_call"]

WORDS = 24
JUNK = b"\xa5"


def direct_call(place=np.array):
    """The method, for a function that copies an array to the place where a kernel reads it."""

    def call(self, results, *arrays, options=()):
        single = not isinstance(results, tuple)
        arrays = [place(np.asarray(a)) for a in arrays]
        found = [place(_junk(r.shape, r.dtype)) for r in ((results,) if single else results)]
        _run(self.handler(), arrays, found, options)
        return found[0] if single else found

    return call


def _junk(shape, dtype):
    """What memory holds before a kernel writes to it."""
    return np.frombuffer(JUNK * (math.prod(shape) * dtype.itemsize), dtype).reshape(shape)


def _run(address, arrays, found, options):
    kept = []

    def words(*values):
        kept.append(np.array([*values, 0], np.int64))
        return kept[-1].ctypes.data

    def buffers(group):
        return words(*(words(0, 0, 0, a.ctypes.data, a.ndim, words(*a.shape)) for a in group))

    frame = [0] * WORDS
    frame[custom_calls.STAGE] = custom_calls.EXECUTE
    frame[custom_calls.ARGUMENTS], frame[custom_calls.RESULTS] = buffers(arrays), buffers(found)
    frame[custom_calls.OPTIONS] = words(*(words(0, words(int(value))) for value in options))
    ctypes.CFUNCTYPE(ctypes.c_ssize_t, ctypes.c_void_p)(address)(words(*frame))
