"""Theano's other name for random streams."""

from theano.sandbox.rng_mrg import MRG_RandomStreams as RandomStreams

__all__ = ["RandomStreams"]
