"""The one helper of Theano's scan that other packages import."""

from pytensor.graph.basic import equal_computations

__all__ = ["equal_computations"]
