"""Theano's older path to ``conv2d``."""

from theano.tensor.nnet.abstract_conv import conv2d

__all__ = ["conv2d"]
