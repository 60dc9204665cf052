"""Theano's lazy conditional, as PyTensor has it."""

from pytensor.ifelse import ifelse

__all__ = ["ifelse"]
