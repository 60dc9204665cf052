"""Pooling, under both of the names it had in Theano, and convolution of single images."""

from theano.tensor.signal import conv, downsample, pool

__all__ = ["conv", "downsample", "pool"]
