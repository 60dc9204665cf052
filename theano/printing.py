"""Theano's printing functions, as PyTensor has them."""

from pytensor.printing import Print, debugprint, pp, pydotprint

__all__ = ["Print", "debugprint", "pp", "pydotprint"]
