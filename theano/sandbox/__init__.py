"""Where Theano kept its fast random streams."""

from theano.sandbox import rng_mrg

__all__ = ["rng_mrg"]
