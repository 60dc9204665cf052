"""Graphs rebuilt: with other nodes, and on inputs of static shape.

To copy a graph unchanged onto new inputs, use PyTensor's ``clone_replace``; these functions change nodes.
"""

import math

import pytensor.tensor as pt
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op
from pytensor.graph.traversal import toposort
from pytensor.scan.op import Scan
from pytensor.tensor.basic import MakeVector, get_scalar_constant_value
from pytensor.tensor.elemwise import Elemwise
from pytensor.tensor.shape import Reshape

from theano.compile.translation import jax_version
from theano.versions import COPY_INNER_GRAPH, shape_rule

__all__ = ["as_general_as", "rebuild", "with_counted_lengths", "with_static_shapes"]


class HideLengths(Op):
    """``x`` with a type in which the lengths of ``axes`` are unknown."""

    __props__ = ("axes",)
    view_map = {0: [0]}

    def __init__(self, axes):
        self.axes = axes

    def make_node(self, x):
        shape = [None if i in self.axes else n for i, n in enumerate(x.type.shape)]
        return Apply(self, [x], [pt.TensorType(x.type.dtype, shape=shape)()])

    def perform(self, node, inputs, output_storage):
        output_storage[0][0] = inputs[0]

    @shape_rule
    def infer_shape(self, node, shapes):
        return shapes

    def pullback(self, inputs, outputs, cotangents):
        return cotangents

    def pushforward(self, inputs, outputs, tangents):
        return tangents


@jax_version(HideLengths)
def _jax_hide_lengths(op, **kwargs):
    return lambda x: x


def rebuild(expressions, replace, new):
    """Copy a graph.

    Parameters
    ----------
    expressions : list of Variable
    replace : callable
        Returns the outputs of a node on new inputs, or None to apply the node's own Op.
    new : dict
        Variables of the graph and their replacements.

    Returns
    -------
    list of Variable
    """
    new = dict(new)
    for node in toposort(expressions):
        inputs = [new.get(i, i) for i in node.inputs]
        outputs = replace(node, inputs)
        if outputs is None:
            outputs = node.clone_with_new_inputs(inputs, strict=False, **COPY_INNER_GRAPH).outputs
        new.update((o, n) for o, n in zip(node.outputs, outputs, strict=True) if o not in new)
    return [new.get(e, e) for e in expressions]


def with_counted_lengths(expressions):
    """Copy a graph so that reshapes that infer the last length, as ``x.flatten(2)``, work on empty batches.

    An array without elements does not determine the last length; it is then the product of the lengths of the
    axes that are joined. Graphs without such a reshape are returned as they are.
    """

    def replace(node, inputs):
        if node in guessed:
            x, lengths = inputs
            kept = [lengths[i] for i in range(node.op.ndim - 1)]
            each, rest = _product(kept), _product([x.shape[i] for i in range(len(kept), x.ndim)])
            last = pt.switch(pt.eq(each, 0), rest, _product(list(x.shape)) // pt.maximum(each, 1))
            return [x.reshape([*kept, last])]

    guessed = {node for node in toposort(expressions) if _guesses_the_last(node)}
    return rebuild(expressions, replace, {}) if guessed else expressions


def _product(lengths):
    return math.prod(lengths, start=pt.constant(1, dtype="int64"))


def _guesses_the_last(node):
    if not isinstance(node.op, Reshape) or not isinstance(
        getattr(node.inputs[1].owner, "op", None), MakeVector
    ):
        return False
    last = node.inputs[1].owner.inputs[-1]
    return get_scalar_constant_value(last, raise_not_constant=False) == -1


def with_static_shapes(expressions, arguments):
    """Copy a graph onto arguments of static shape.

    Loops stay as general as they were written: PyTensor refuses a Scan whose state has length 1 outside, as
    in a batch of one, and any length inside.

    Parameters
    ----------
    expressions : list of Variable
    arguments : dict
        Variables of the graph and the arguments that replace them.

    Raises
    ------
    ValueError
        Elementwise operands whose lengths differ, and an axis of length 1 among them that was not declared to
        be broadcast: Theano refuses it, and JAX would make a larger result.
    """

    def replace(node, inputs):
        if isinstance(node.op, Scan):
            return node.op.clone().make_node(*map(_hide_ones, inputs, node.inputs)).outputs
        if isinstance(node.op, Elemwise):
            _refuse_to_broadcast(node, inputs)

    return rebuild(expressions, replace, arguments)


def _hide_ones(variable, declared):
    """A variable whose type has axes of length 1 only where the type of ``declared`` has them."""
    shapes = zip(getattr(variable.type, "shape", ()), getattr(declared.type, "shape", ()), strict=True)
    axes = tuple(i for i, (length, known) in enumerate(shapes) if length == 1 != known)
    return HideLengths(axes)(variable) if axes else variable


def as_general_as(variable, declared):
    """``variable`` with a type that has known lengths only where the type of ``declared`` has them."""
    shapes = zip(getattr(variable.type, "shape", ()), getattr(declared.type, "shape", ()), strict=True)
    axes = tuple(i for i, (length, known) in enumerate(shapes) if length is not None and known is None)
    return HideLengths(axes)(variable) if axes else variable


def _refuse_to_broadcast(node, inputs):
    for axis in range(node.outputs[0].type.ndim):
        lengths = [i.type.shape[axis] for i in inputs]
        longer = [n for n in lengths if n not in (1, None)]
        if longer and any(n == 1 != i.type.shape[axis] for n, i in zip(lengths, node.inputs, strict=True)):
            shapes = " and ".join(str(i.type.shape) for i in inputs)
            raise ValueError(
                f"{node.op} meets shapes {shapes}: Theano does not broadcast axis {axis} unless it is "
                f"declared to have length 1, as by T.addbroadcast(x, {axis}), T.col() or dimshuffle"
            )
