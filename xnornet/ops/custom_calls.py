"""Kernels of Numba as custom calls of XLA, on the CPU.

XLA passes a custom call a frame, a C structure of its foreign function interface, with the addresses and
shapes of arguments and results. A handler reads it and runs a kernel on all cores: each thread calls the
kernel with its thread number. No C compiler is needed, and no array is copied.

Compiled programs refer to kernels by name. Addresses and the number of threads are read when a kernel is
called, so a compiled program can be cached on disk and run by another process.

The frame's layout is that of version 0 of the interface (``xla/ffi/api/c_api.h`` in JAX's include folder),
in words of 8 bytes.
"""

import ctypes
import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import jax
import numpy as np
from llvmlite import binding, ir
from numba import carray, njit, types
from numba.extending import intrinsic

from xnornet.machine_code import WORDS, address_of, c_function, words_at
from xnornet.threads import default_threads

__all__ = ["CustomCall", "argument", "argument_shape", "option", "result", "result_shape"]

# Version of the interface that is implemented here.
MAJOR, MINOR = 0, 1

# Words of a frame.
EXTENSION, API, STAGE, ARGUMENTS, RESULTS, OPTIONS = 1, 2, 4, 9, 14, 20
EXECUTE = 3

# Words of the interface's table of functions, and the code of an internal error.
CREATE_ERROR, INTERNAL = 6, 13

# Used instead of an address if a kernel does not compile.
FAILED = -1

# Microseconds between two checks whether a kernel is compiled.
POLL_INTERVAL = 1000


@intrinsic
def _pointer(typing_context, address):
    def generate(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], ir.IntType(8).as_pointer())

    return types.voidptr(types.intp), generate


# Inlined by Numba, as compiling them as separate functions takes a tenth of the whole compilation time.


@njit(inline="always")
def _buffer(frame, group, i, shape, dtype):
    buffer = words_at(words_at(frame[group])[i])
    return carray(_pointer(buffer[3]), shape, dtype)


@njit(inline="always")
def argument_shape(frame, i):
    """Lengths of an argument's axes."""
    return words_at(words_at(words_at(frame[ARGUMENTS])[i])[5])


@njit(inline="always")
def result_shape(frame, i):
    """Lengths of a result's axes."""
    return words_at(words_at(words_at(frame[RESULTS])[i])[5])


@njit(inline="always")
def argument(frame, i, shape, dtype):
    """Argument of a custom call as an array."""
    return _buffer(frame, ARGUMENTS, i, shape, dtype)


@njit(inline="always")
def result(frame, i, shape, dtype):
    """Result of a custom call as an array."""
    return _buffer(frame, RESULTS, i, shape, dtype)


@njit(inline="always")
def option(frame, i):
    """Option ``i`` of a custom call, in the order in which the options were passed."""
    scalar = words_at(words_at(frame[OPTIONS])[i])
    return words_at(scalar[1])[0]


_create = types.ExternalFunction("pthread_create", types.int32(*[types.intp] * 4))
_join = types.ExternalFunction("pthread_join", types.int32(types.intp, types.intp))
_sleep = types.ExternalFunction("usleep", types.int32(types.uint32))


@intrinsic
def _call(typing_context, address, first, second, third):
    """Call a C function of three words, of which the first is returned if it is a pointer."""

    def generate(context, builder, signature, arguments):
        word = ir.IntType(64)
        kind = ir.FunctionType(word, [word] * 3)
        return builder.call(builder.inttoptr(arguments[0], kind.as_pointer()), arguments[1:])

    return types.intp(*[types.intp] * 4), generate


def _share(own):
    """Begin a further thread: run its share of a kernel."""
    _call(own[0], own[1], own[2], own[3])
    return 0


def _handle(frame, kernel_at, share, message, threads):
    """What XLA calls, with a few words more (see :func:`_handler`)."""
    if frame[EXTENSION] != 0:
        # XLA asks which version this is written for.
        metadata = words_at(words_at(frame[EXTENSION])[3])
        metadata[3] = MAJOR | MINOR << 32
        metadata[4] = 0
        return 0
    if frame[STAGE] & 0xFFFFFFFF != EXECUTE:
        return 0
    while kernel_at[0] == 0:
        _sleep(np.uint32(POLL_INTERVAL))
    kernel = kernel_at[0]
    if kernel == FAILED:
        error = np.array([4 * 8, 0, message, INTERNAL], np.intp)
        return _call(words_at(frame[API])[CREATE_ERROR], error.ctypes.data, 0, 0)
    own = np.zeros((threads, 5), np.intp)
    for t in range(1, threads):
        own[t, 0], own[t, 1], own[t, 2], own[t, 3] = kernel, t, threads, address_of(frame, 0)
        if _create(own[t, 4:].ctypes.data, 0, share, own[t].ctypes.data) != 0:
            own[t, 0] = 0
    _call(kernel, 0, threads, address_of(frame, 0))
    for t in range(1, threads):
        if own[t, 0] != 0:
            _join(own[t, 4], 0)
        else:
            _call(kernel, t, threads, address_of(frame, 0))
    return 0


def _compile_common():
    """Addresses of the code that all kernels share: the handler of XLA's calls and the start of a thread."""
    handle = c_function(_handle, types.intp(WORDS, WORDS, types.intp, types.intp, types.intp))
    return handle.address, c_function(_share, types.intp(WORDS)).address


@cache
def _begin_common():
    """Compile it in the background before any kernel, so that tracing a program does not wait for kernels."""
    return CustomCall._compiler.submit(_compile_common)


# The handler of one kernel passes XLA's frame to the common handler, with the kernel's addresses and the
# current number of threads. It is written in LLVM's language, as Numba would take seconds to compile it.
HANDLER = """
define i64 @handler(ptr %frame) {{
  %threads = load i64, ptr inttoptr (i64 {threads} to ptr)
  %error = call i64 inttoptr (i64 {handle} to ptr)(
    ptr %frame, ptr inttoptr (i64 {kernel_at} to ptr), i64 {share}, i64 {message}, i64 %threads)
  ret i64 %error
}}
"""


def _handler(**addresses):
    """Machine code of a handler: the object that owns it, and its address."""
    machine = binding.Target.from_default_triple().create_target_machine()
    engine = binding.create_mcjit_compiler(binding.parse_assembly(HANDLER.format(**addresses)), machine)
    engine.finalize_object()
    return engine, engine.get_function_address("handler")


class CustomCall:
    """A kernel as a function of JAX arrays.

    XLA may compile a program before Numba has compiled its kernels: a call then waits for its kernel.

    Parameters
    ----------
    kernel : function
        ``kernel(thread, threads, frame)``, which Numba compiles when it is first needed; it reads its arrays
        by :func:`argument` and :func:`result`, and its options by :func:`option`.
    name : str, optional
        XLA's name of it, if not that of the function.
    """

    # One at a time, as Numba does not compile in parallel.
    _compiler = ThreadPoolExecutor(1)

    def __init__(self, kernel, name=None):
        self.kernel = kernel
        self.name = name or f"xnornet_{kernel.__name__}"
        self._prepared = False
        self._handler = None
        # The handler reads the kernel's address here; 0 until the kernel is compiled.
        self._address = ctypes.c_int64(0)
        self._message = ctypes.create_string_buffer(f"Numba could not compile {self.name}".encode())

    def prepare(self):
        """Start to compile in the background."""
        if not self._prepared:
            self._prepared = True
            _begin_common()
            self._compiler.submit(self._compile)

    def handler(self):
        """Address of the handler, which is registered with XLA under the kernel's name."""
        self.prepare()
        if self._handler is None:
            handle, share = _begin_common().result()
            self._handler = _handler(
                handle=handle,
                share=share,
                kernel_at=ctypes.addressof(self._address),
                message=ctypes.addressof(self._message),
                threads=ctypes.addressof(THREADS),
            )
            capsule = ctypes.pythonapi.PyCapsule_New
            capsule.restype = ctypes.py_object
            capsule.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
            capsule = capsule(self._handler[1], None, None)
            jax.ffi.register_ffi_target(self.name, capsule, platform="cpu")
        return self._handler[1]

    def _compile(self):
        address = FAILED
        try:
            address = c_function(self.kernel, types.void(types.intp, types.intp, WORDS)).address
        except Exception as error:
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            warnings.warn(f"{self._message.value.decode()}: {reason}", stacklevel=2)
        finally:
            # Waiting calls continue.
            self._address.value = address

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
        self.handler()
        # XLA sorts options by their names.
        options = {f"option_{i:02}": np.int64(value) for i, value in enumerate(options)}
        return jax.ffi.ffi_call(self.name, results)(*arrays, **options)


# Read at each call.
THREADS = ctypes.c_int64(default_threads())
