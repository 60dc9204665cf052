"""Walks over a graph, under the names Theano gave them."""

from pytensor.graph.basic import Apply, Constant, Variable, equal_computations
from pytensor.graph.traversal import ancestors

__all__ = ["Apply", "Constant", "Variable", "ancestors", "inputs", "is_same_graph"]


def inputs(variable_list):
    """List the variables without an owner that the given variables are computed from.

    Their order is Theano's, which orders parameters in files: the last given variable comes first, and
    within a graph the leftmost input.
    """
    found, stack = {}, list(variable_list)
    while stack:
        variable = stack.pop()
        if variable not in found:
            found[variable] = None
            stack.extend(reversed(variable.owner.inputs if variable.owner else ()))
    return [v for v in found if v.owner is None]


def is_same_graph(var1, var2):
    """Whether two variables are the same computation on the same inputs."""
    return equal_computations([var1], [var2])
