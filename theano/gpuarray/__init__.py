"""Theano's own GPU backend, for code that asks whether it is there: it is not.

GPUs are JAX's business here; ``THEANO_FLAGS=device=cuda`` selects one.
"""

from theano.gpuarray import dnn

__all__ = ["dnn", "pygpu_activated"]

pygpu_activated = False
