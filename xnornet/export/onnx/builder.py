"""An ONNX graph in the making: its nodes, its constants, and the type of each value."""

import numpy as np
from onnx import helper, numpy_helper

__all__ = ["Builder", "onnx_type"]

COMPARISONS = ("Greater", "GreaterOrEqual")


def onnx_type(kind):
    """ONNX's number for a NumPy type."""
    return helper.np_dtype_to_tensor_dtype(np.dtype(kind))


class Builder:
    """Nodes and constants, in order.

    Attributes
    ----------
    nodes, initializers : list of protocol buffers
    kinds : dict of str to NumPy dtype
        Type of each value.
    scope : str
        What names begin with: the node of our graph, so that a viewer shows where a node comes from.
    """

    def __init__(self):
        self.nodes, self.initializers, self.kinds, self.scope = [], [], {}, ""

    def add(self, op, *inputs, domain=None, **attributes):
        """Add a node; returns its output.

        Parameters
        ----------
        op : str
        *inputs : str, array, int or float
            A value, or a constant. A plain number gets the type of the first input.
        domain : str, optional
            Of an operator that is not ONNX's own.
        **attributes
            Those of the operator.
        """
        first = next((self.kinds[x] for x in inputs if isinstance(x, str)), None)
        names = [x if isinstance(x, str) else self.constant(_typed(x, first)) for x in inputs]
        kind = self.kinds[names[op == "Where"]]
        if op in COMPARISONS:
            kind = np.dtype(bool)
        elif op == "Cast":
            kind = np.dtype(attributes["to"])
            attributes["to"] = onnx_type(kind)
        name = self.named(op, kind)
        self.nodes.append(helper.make_node(op, names, [name], name=name, domain=domain, **attributes))
        return name

    def constant(self, array):
        """Add a constant; returns its name."""
        array = np.ascontiguousarray(array) if np.ndim(array) else np.asarray(array)
        name = self.named("constant", array.dtype)
        self.initializers.append(numpy_helper.from_array(array, name))
        return name

    def integers(self, array, kind):
        """Add a large constant of small integers, which takes the room of such in the file."""
        largest = np.abs(array).max(initial=0)
        small = np.int8 if largest <= np.iinfo(np.int8).max else np.int16
        return self.cast(self.constant(np.asarray(array).astype(small)), kind)

    def cast(self, x, kind):
        """A value in another type, if it has not got that."""
        return x if self.kinds[x] == kind else self.add("Cast", x, to=kind)

    def reshape(self, x, *lengths):
        """The numbers of each image in another shape."""
        return self.add("Reshape", x, np.array([0, *lengths], np.int64))

    def named(self, what, kind):
        """A new name for a value of a type."""
        name = f"{self.scope}{what.lower()}_{len(self.kinds)}"
        self.kinds[name] = np.dtype(kind)
        return name


def _typed(x, kind):
    return np.asarray(x, kind) if isinstance(x, int | float) else np.asarray(x)
