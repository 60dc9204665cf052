"""Theano's own GPU backend, for code that builds on it by hand, such as ``lasagne.layers.dnn``.

Its functions are the plain ones of ``theano.tensor``. GPUs are JAX's business here, selected by
``THEANO_FLAGS=device=cuda``.
"""

from theano.gpuarray import basic_ops, blas, dnn

__all__ = ["basic_ops", "blas", "dnn", "pygpu_activated"]

# Programs ask this before they build on the backend's functions, which are there, GPU or not.
pygpu_activated = True
