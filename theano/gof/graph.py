"""Variables and walks over a graph, under the names Theano gave them."""

from pytensor.graph.basic import Apply, Constant, equal_computations
from pytensor.graph.basic import Variable as _Variable
from pytensor.graph.traversal import ancestors

__all__ = ["Apply", "Constant", "Variable", "ancestors", "inputs", "is_same_graph"]


class _AllVariables(type(_Variable)):
    """Counts every variable of PyTensor as an instance of :class:`Variable`."""

    def __instancecheck__(cls, instance):
        return cls.__subclasscheck__(type(instance))

    def __subclasscheck__(cls, subclass):
        # Not issubclass, which asks this very class when it is given its base.
        return (_Variable if cls is Variable else cls) in subclass.__mro__


class Variable(_Variable, metaclass=_AllVariables):
    """A node of a graph; as in Theano, and unlike in PyTensor, it may be made without an owner."""

    def __init__(self, type, owner=None, index=None, name=None):
        super().__init__(type, owner, index, name)


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
