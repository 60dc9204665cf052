"""Theano's first GPU backend, absent: what old code asks before it uses it is answered with no.

Computing on a GPU is JAX's affair here; ``device=cuda`` among the flags selects it.
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
