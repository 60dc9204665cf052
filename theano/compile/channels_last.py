"""Images with channels last: a graph copied onto the layout that XLA's CPU code prefers.

Theano's images are ``(batch, channels, rows, columns)``. With channels last, convolutions, pooling and
statistics of channels take less time, but not if each of them transposes its inputs and outputs. So
everything between the convolutions of a graph is computed with channels last, if there are rules for its Ops.
The rules of PyTensor's Ops are here; an Op of a user has its rule beside its JAX version. Graphs inside loops
are not changed.
"""

from dataclasses import dataclass
from functools import singledispatch

import pytensor.tensor as pt
from pytensor.graph.basic import Constant, Variable
from pytensor.graph.traversal import toposort
from pytensor.tensor.basic import Join, Split
from pytensor.tensor.elemwise import CAReduce, DimShuffle, Elemwise
from pytensor.tensor.subtensor import (
    IncSubtensor,
    Subtensor,
    flatten_index_variables,
    indices_from_subtensor,
)

from theano.versions import along, axis_and_inputs

__all__ = ["Images", "Last", "channels_last", "elementwise", "with_channels_last"]

# For each axis of an image in one layout, its place in the other.
LAST, FIRST = (0, 2, 3, 1), (0, 3, 1, 2)


@dataclass(frozen=True)
class Last:
    """What a rule returns for an output that it computed as ``(batch, rows, columns, channels)``."""

    variable: Variable


class Images:
    """The variables of a graph in its copy, those of four axes in either layout or both.

    Each layout is computed from the other when it is first used.
    """

    def __init__(self):
        self._first, self._last = {}, {}

    def has_last(self, variable):
        """Whether the copy has ``variable`` channels last already."""
        return variable in self._last

    def last(self, variable):
        """``variable``, of four axes, channels last."""
        if variable not in self._last:
            self._last[variable] = _dimshuffle(self.first(variable), LAST)
        return self._last[variable]

    def first(self, variable):
        """``variable`` with its axes in the order of the graph."""
        if variable in self._first:
            return self._first[variable]
        if variable not in self._last:
            return variable
        self._first[variable] = _dimshuffle(self._last[variable], FIRST)
        return self._first[variable]

    def put(self, variable, computed):
        """Record the variable of the copy that replaces ``variable``."""
        if isinstance(computed, Last):
            self._last[variable] = computed.variable
        else:
            self._first[variable] = computed


@singledispatch
def channels_last(op, node, images):
    """Apply an Op to images that are channels last; register a rule for each class of Ops.

    Parameters
    ----------
    op : Op
    node : Apply
        Where ``op`` is applied in the graph.
    images : Images
        Has the inputs of ``node`` in the copy.

    Returns
    -------
    list of (Variable or Last), or None
        The outputs of ``node`` in the copy. None to keep the layout of its inputs as in the graph.
    """
    return None


def with_channels_last(expressions):
    """Copy a graph so that what lies between its convolutions is channels last.

    Parameters
    ----------
    expressions : list of Variable

    Returns
    -------
    list of Variable
        Of the same values, with axes in the same order. Nodes that stay as they are belong to both graphs.
    """
    images = Images()
    for node in toposort(expressions):
        outputs = channels_last(node.op, node, images)
        if outputs is None:
            inputs = [images.first(i) for i in node.inputs]
            if all(new is old for new, old in zip(inputs, node.inputs, strict=True)):
                continue
            outputs = node.clone_with_new_inputs(inputs, strict=False).outputs
        for variable, computed in zip(node.outputs, outputs, strict=True):
            images.put(variable, computed)
    return [images.first(e) for e in expressions]


@channels_last.register(Elemwise)
def elementwise(op, node, images):
    """The rule of an Op that computes each element of its outputs from those in the same place."""
    out = node.outputs[0].type
    # Only inputs that are not broadcast count: for a number for each channel, say, the layout hardly matters.
    if not any(images.has_last(i) and i.type.broadcastable == out.broadcastable for i in node.inputs):
        return None
    return [Last(o) for o in op.make_node(*map(images.last, node.inputs)).outputs]


@channels_last.register(CAReduce)
def _reduce(op, node, images):
    (x,) = node.inputs
    if not images.has_last(x):
        return None
    axes = range(4) if op.axis is None else op.axis
    kept = [a for a in LAST if a not in axes]
    out = op.clone(axis=tuple(sorted(LAST.index(a) for a in axes)))(images.last(x))
    return [_dimshuffle(out, [kept.index(a) for a in sorted(kept)])]


@channels_last.register(DimShuffle)
def _shuffle(op, node, images):
    (x,) = node.inputs
    if not images.has_last(x):
        # What comes channels last from an Op of one's own is as good.
        return [Last(images.first(x))] if op.new_order == FIRST else None
    return [_dimshuffle(images.last(x), ["x" if a == "x" else LAST.index(a) for a in op.new_order])]


@channels_last.register(Subtensor)
def _slice(op, node, images):
    x, *numbers = node.inputs
    slices = _slices_of_last(op, numbers)
    if not images.has_last(x) or slices is None:
        return None
    places, numbers = flatten_index_variables(slices)
    return [Last(Subtensor(places)(images.last(x), *map(images.first, numbers)))]


@channels_last.register(IncSubtensor)
def _store_slice(op, node, images):
    x, y, *numbers = node.inputs
    slices = _slices_of_last(op, numbers)
    if y.type.ndim != 4 or not (images.has_last(x) or images.has_last(y)) or slices is None:
        return None
    places, numbers = flatten_index_variables(slices)
    store = IncSubtensor(places, set_instead_of_inc=op.set_instead_of_inc)
    return [Last(store(images.last(x), images.last(y), *map(images.first, numbers)))]


@channels_last.register(Join)
def _join(op, node, images):
    axis, parts = axis_and_inputs(node)
    if axis is None or not any(map(images.has_last, parts)):
        return None
    return [Last(out) for out in along(op, LAST.index(axis), *map(images.last, parts))]


@channels_last.register(Split)
def _split(op, node, images):
    axis, (x, lengths) = axis_and_inputs(node)
    if axis is None or not images.has_last(x):
        return None
    return [Last(part) for part in along(op, LAST.index(axis), images.last(x), images.first(lengths))]


def _slices_of_last(op, numbers):
    """Slices along the axes of an image that is channels last; None where an axis has an index instead."""
    slices = list(indices_from_subtensor(numbers, op.idx_list))
    if not all(isinstance(s, slice) for s in slices):
        return None
    slices += [slice(None)] * (4 - len(slices))
    return [slices[a] for a in LAST] if len(slices) == 4 else None


def _dimshuffle(x, order):
    """``x.dimshuffle(order)``, merged with the permutation of ``x`` if it is one itself."""
    if x.owner is not None and isinstance(x.owner.op, DimShuffle):
        order = ["x" if a == "x" else x.owner.op.new_order[a] for a in order]
        (x,) = x.owner.inputs
    if tuple(order) == tuple(range(x.type.ndim)):
        return x
    if isinstance(x, Constant) and "x" not in order:
        return pt.constant(x.data.transpose(order))
    return x.dimshuffle(order)
