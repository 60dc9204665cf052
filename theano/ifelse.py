"""Theano's lazy conditional, as PyTensor has it."""

from theano.versions import ifelse

__all__ = ["ifelse"]
