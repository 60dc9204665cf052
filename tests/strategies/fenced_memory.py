"""Arrays beside protected pages: a program that reads or writes a byte past them crashes."""

import ctypes
import mmap

import numpy as np

from xnornet.engine.plan import Call

__all__ = ["fence", "fenced"]

PAGE = mmap.PAGESIZE
NO_ACCESS = 0


def fenced(array, at_end=True):
    """A copy of an array that ends where a page without access begins, or begins where one ends."""
    if not array.size:
        return array
    pages = -(-array.nbytes // PAGE)
    memory = np.frombuffer(mmap.mmap(-1, (pages + 2) * PAGE), np.uint8)
    protect = ctypes.CDLL(None, use_errno=True).mprotect
    for page in (0, pages + 1):
        address = ctypes.c_void_p(memory.ctypes.data + page * PAGE)
        if protect(address, ctypes.c_size_t(PAGE), NO_ACCESS):
            raise OSError(ctypes.get_errno(), "mprotect failed")
    first = (pages + 1) * PAGE - array.nbytes if at_end else PAGE
    copy = memory[first : first + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


def fence(engine, at_end=True):
    """Give each array of an engine that has not run yet a fence of its own."""
    plan = engine._plan
    plan.calls = [
        Call(c.kernel, tuple(fenced(a, at_end) if isinstance(a, np.ndarray) else a for a in c.arguments))
        for c in plan.calls
    ]
    plan._allocate = lambda images: {
        buffer: fenced(np.full(shape, buffer.fill, buffer.dtype), at_end)
        for buffer, shape in plan._shapes(images).items()
    }
