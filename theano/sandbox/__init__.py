"""Where Theano kept its fast random streams, and its first GPU backend."""

from theano.sandbox import cuda, rng_mrg

__all__ = ["cuda", "rng_mrg"]
