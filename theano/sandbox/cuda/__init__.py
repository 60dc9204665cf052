"""Theano's first GPU backend, which is absent: old code that checks for it finds that it is not available.

JAX computes on a GPU here; ``THEANO_FLAGS=device=cuda`` selects it.
"""

from theano.sandbox.cuda import dnn

__all__ = ["cuda_available", "cuda_enabled", "dnn", "use"]

cuda_available = False
cuda_enabled = False


def use(device, *args, **kwargs):
    """Refuse to select a device.

    Raises
    ------
    NotImplementedError
        Always.
    """
    raise NotImplementedError(
        f"theano.sandbox.cuda.use({device!r}) is not supported; set device=cuda in THEANO_FLAGS instead"
    )
