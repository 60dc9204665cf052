"""Transfers between a GPU and the host, which JAX does by itself."""

import pytensor.tensor as pt

__all__ = ["as_gpuarray_variable", "gpu_contiguous", "host_from_gpu"]


def gpu_contiguous(x):
    """``x`` itself: XLA orders arrays as it needs them."""
    return pt.as_tensor_variable(x)


def host_from_gpu(x):
    """``x`` itself; a function's results are NumPy arrays in any case."""
    return pt.as_tensor_variable(x)


def as_gpuarray_variable(x, context_name=None):
    """``x`` as a variable of the one tensor type that there is."""
    return pt.as_tensor_variable(x)
