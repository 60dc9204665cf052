"""Pooling, under both of the names it had in Theano."""

from theano.tensor.signal import downsample, pool

__all__ = ["downsample", "pool"]
