"""Graphs rebuilt with other nodes, and the rebuilding that loops need before their inputs get static shapes.

Copying a graph onto new inputs is PyTensor's ``clone_replace``; this is for changes inside of it.
"""

import pytensor.tensor as pt
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op
from pytensor.graph.traversal import toposort
from pytensor.link.jax.dispatch import jax_funcify
from pytensor.scan.op import Scan

__all__ = ["rebuild", "with_free_loops"]


class HideOnes(Op):
    """``x``, of which the type does not tell that its ``axes`` have length 1."""

    __props__ = ("axes",)
    view_map = {0: [0]}

    def __init__(self, axes):
        self.axes = axes

    def make_node(self, x):
        shape = [None if i in self.axes and n == 1 else n for i, n in enumerate(x.type.shape)]
        return Apply(self, [x], [pt.TensorType(x.type.dtype, shape=shape)()])

    def perform(self, node, inputs, output_storage):
        output_storage[0][0] = inputs[0]

    def infer_shape(self, fgraph, node, shapes):
        return shapes


@jax_funcify.register(HideOnes)
def _jax_hide_ones(op, **kwargs):
    return lambda x: x


def rebuild(expressions, replace, new=()):
    """Copy what changes of a graph.

    Parameters
    ----------
    expressions : list of Variable
    replace : callable
        Gives the outputs of a node on new inputs, or None where the node's own Op shall compute them.
    new : dict, optional
        Variables of the graph and what stands in their place.

    Returns
    -------
    list of Variable
    """
    new = dict(new)
    for node in toposort(expressions):
        inputs = [new.get(i, i) for i in node.inputs]
        outputs = replace(node, inputs)
        if outputs is None and any(i is not j for i, j in zip(inputs, node.inputs, strict=True)):
            outputs = node.clone_with_new_inputs(inputs, strict=False).outputs
        if outputs is not None:
            new.update(zip(node.outputs, outputs, strict=True))
    return [new.get(e, e) for e in expressions]


def with_free_loops(expressions):
    """Keep loops as general as they were written when their inputs turn out to have axes of length 1.

    PyTensor refuses a Scan whose state has length 1 outside, as in a batch of one, and any length inside.
    """

    def free(node, inputs):
        if isinstance(node.op, Scan):
            return node.op.make_node(*map(_hide_ones, inputs)).outputs

    return rebuild(expressions, free)


def _hide_ones(variable):
    axes = tuple(i for i, n in enumerate(getattr(variable.type, "shape", ())) if n is None)
    return HideOnes(axes)(variable) if axes else variable
