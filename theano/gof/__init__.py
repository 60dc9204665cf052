"""Theano's graph classes, as PyTensor has them."""

from pytensor.graph.basic import Apply, Constant, Variable
from pytensor.graph.fg import FunctionGraph
from pytensor.graph.op import Op
from pytensor.graph.type import Type

from theano.gof import graph

__all__ = ["Apply", "Constant", "FunctionGraph", "Op", "Type", "Variable", "graph"]
