"""Theano's graph classes, as PyTensor has them."""

from pytensor.graph.basic import Apply, Constant
from pytensor.graph.fg import FunctionGraph
from pytensor.graph.op import Op
from pytensor.graph.type import Type

from theano.gof import graph
from theano.gof.graph import Variable

__all__ = ["Apply", "Constant", "FunctionGraph", "Op", "Type", "Variable", "graph"]
