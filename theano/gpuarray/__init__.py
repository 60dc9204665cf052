"""Theano's own GPU backend, for code that builds on it by hand, such as ``lasagne.layers.dnn``.

Its functions are the plain ones of ``theano.tensor``. GPUs are used by JAX, and selected by
``THEANO_FLAGS=device=cuda``.
"""

from theano.gpuarray import basic_ops, blas, dnn

__all__ = ["basic_ops", "blas", "dnn", "pygpu_activated"]

# Programs check this before they use the backend's functions, which exist with and without a GPU.
pygpu_activated = True
