"""Kernels of Numba as custom calls of XLA, on the CPU.

XLA hands a custom call a frame, a C structure of its foreign function interface, which tells the addresses
and shapes of arguments and results. A handler reads it and runs a kernel on all cores: each thread calls the
kernel with a number of its own. There is nothing to build, and no array is copied.

The frame's layout is that of version 0 of the interface (``xla/ffi/api/c_api.h`` in JAX's include folder),
in words of 8 bytes.
"""

import ctypes
import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import jax
import numpy as np
from llvmlite import ir
from numba import carray, cfunc, njit, types
from numba.extending import intrinsic

__all__ = ["CustomCall", "argument", "argument_shape", "option", "result", "result_shape"]

# Version of the interface that is spoken here, as its two numbers lie in memory.
MAJOR, MINOR = 0, 1

# Words of a frame.
EXTENSION, STAGE, ARGUMENTS, RESULTS, OPTIONS = 1, 4, 9, 14, 20
EXECUTE = 3

# Options that stand before a kernel's own: the addresses of handler and kernel, and the number of threads.
LEADING = 3

# A frame of ours, by which a thread is told its share: where XLA has the size of the frame there is this.
OURS = -1

FRAME = types.CPointer(types.intp)


@intrinsic
def _words(typing_context, address):
    """The memory at an address, as words."""

    def generate(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], ir.IntType(64).as_pointer())

    return FRAME(types.intp), generate


@intrinsic
def _pointer(typing_context, address):
    def generate(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], ir.IntType(8).as_pointer())

    return types.voidptr(types.intp), generate


@intrinsic
def _address(typing_context, words):
    def generate(context, builder, signature, arguments):
        return builder.ptrtoint(arguments[0], ir.IntType(64))

    return types.intp(FRAME), generate


@njit
def _buffer(frame, group, i, shape, dtype):
    buffer = _words(_words(frame[group])[i])
    return carray(_pointer(buffer[3]), shape, dtype)


@njit
def argument_shape(frame, i):
    """Lengths of an argument's axes."""
    return _words(_words(_words(frame[ARGUMENTS])[i])[5])


@njit
def result_shape(frame, i):
    """Lengths of a result's axes."""
    return _words(_words(_words(frame[RESULTS])[i])[5])


@njit
def argument(frame, i, shape, dtype):
    """Argument of a custom call as an array."""
    return _buffer(frame, ARGUMENTS, i, shape, dtype)


@njit
def result(frame, i, shape, dtype):
    """Result of a custom call as an array."""
    return _buffer(frame, RESULTS, i, shape, dtype)


@njit
def option(frame, i):
    """Option of a custom call, by its place among those that the kernel was called with."""
    scalar = _words(_words(frame[OPTIONS])[i + LEADING])
    return _words(scalar[1])[0]


_create = types.ExternalFunction("pthread_create", types.int32(*[types.intp] * 4))
_join = types.ExternalFunction("pthread_join", types.int32(types.intp, types.intp))


@intrinsic
def _run(typing_context, kernel, thread, threads, frame):
    """Call the kernel at an address."""

    def generate(context, builder, signature, arguments):
        word = ir.IntType(64)
        kind = ir.FunctionType(ir.VoidType(), [word, word, word.as_pointer()])
        builder.call(builder.inttoptr(arguments[0], kind.as_pointer()), arguments[1:])
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, types.intp, FRAME), generate


def _compiled(function, signature):
    """A C function, its machine code kept on disk where there is a folder to write it to."""
    try:
        return cfunc(signature, cache=True, error_model="numpy")(function)
    except RuntimeError:
        return cfunc(signature, error_model="numpy")(function)


def _handle(frame):
    """What XLA calls, and by which each further thread begins."""
    if frame[0] == OURS:
        _run(frame[1], frame[2], frame[3], _words(frame[4]))
        return 0
    if frame[EXTENSION] != 0:
        # XLA asks which version this is written for.
        metadata = _words(_words(frame[EXTENSION])[3])
        metadata[3] = MAJOR | MINOR << 32
        metadata[4] = 0
        return 0
    if frame[STAGE] & 0xFFFFFFFF != EXECUTE:
        return 0
    handler, kernel, threads = option(frame, -3), option(frame, -2), option(frame, -1)
    own = np.zeros((threads, 6), np.intp)
    for t in range(1, threads):
        own[t, 0], own[t, 1], own[t, 2], own[t, 3], own[t, 4] = OURS, kernel, t, threads, _address(frame)
        if _create(own[t, 5:].ctypes.data, 0, handler, own[t].ctypes.data) != 0:
            own[t, 0] = 0
    _run(kernel, 0, threads, frame)
    for t in range(1, threads):
        if own[t, 0] == OURS:
            _join(own[t, 5], 0)
        else:
            _run(kernel, t, threads, frame)
    return 0


@cache
def _handler():
    return _compiled(_handle, types.intp(FRAME))


class CustomCall:
    """A kernel as a function of JAX arrays.

    Parameters
    ----------
    kernel : function
        ``kernel(thread, threads, frame)``, which Numba compiles when it is first needed; it reads its arrays
        by :func:`argument` and :func:`result`, and its options by :func:`option`.
    """

    # One at a time, as Numba compiles no faster.
    _compiler = ThreadPoolExecutor(1)

    def __init__(self, kernel):
        self.kernel = kernel
        self._name = f"xnornet_{kernel.__name__}"
        self._compiled = None

    def prepare(self):
        """Begin to compile in the background."""
        if self._compiled is None:
            self._compiled = self._compiler.submit(self._compile)

    def _compile(self):
        compiled = _compiled(self.kernel, types.void(types.intp, types.intp, FRAME))
        capsule = ctypes.pythonapi.PyCapsule_New
        capsule.restype = ctypes.py_object
        capsule.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
        jax.ffi.register_ffi_target(self._name, capsule(_handler().address, None, None), platform="cpu")
        return compiled

    def leading(self):
        """The options that stand before the kernel's own; it waits for the compiler."""
        self.prepare()
        return _handler().address, self._compiled.result().address, THREADS

    def __call__(self, results, *arrays, options=()):
        """Call the kernel.

        Parameters
        ----------
        results : ShapeDtypeStruct, or tuple of them
        *arrays : arrays
        options : tuple of int

        Returns
        -------
        array, or list of them
        """
        values = [*self.leading(), *options]
        # XLA sorts options by their names.
        options = {f"option_{i:02}": np.int64(value) for i, value in enumerate(values)}
        return jax.ffi.ffi_call(self._name, results)(*arrays, **options)


THREADS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
