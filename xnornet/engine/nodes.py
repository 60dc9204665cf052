"""Groups of records that one kernel computes, so that each filter finds its input in the form that it takes.

Which kernel that is, and on which arrays, is left to ``plan``.
"""

import math
from dataclasses import dataclass, replace

from xnornet.engine.kernels import WORD
from xnornet.engine.layout import words
from xnornet.model import XNOR, Affine, Flatten, Linear, MaxPool, Rectify, Window
from xnornet.model.shapes import output_shape

__all__ = ["WHOLE", "Node", "is_folded", "is_sparse", "nodes_of"]

# Words of channels are rather empty from so many bits for each sign on.
MOST_BITS = 1.5

# The window of what looks at one pixel at a time.
WHOLE = Window((1, 1), (1, 1), ((0, 0), (0, 0)))


@dataclass(eq=False)
class Node:
    """Records that one kernel computes.

    Attributes
    ----------
    kind : str
        "quantize"; "filter", a layer with weights and a rectifier behind it; "pointwise", pooling, batch norm
        and rectifier in this order, each there or not; or "flatten".
    shape : tuple of int
        Of the input, ``(channels, rows, columns)``.
    record : XNOR, Linear or Quantize
    pool : MaxPool or None
    affine : Affine or None
    rectify : bool
    """

    kind: str
    shape: tuple
    record: object = None
    pool: MaxPool | None = None
    affine: Affine | None = None
    rectify: bool = False

    @property
    def out_shape(self):
        records = {"filter": self.record, "pointwise": self.pool, "flatten": Flatten()}
        return _as_image(output_shape(records.get(self.kind), self.shape))

    @property
    def is_binary(self):
        return isinstance(self.record, XNOR)

    @property
    def is_untied(self):
        """Whether a filter has a bias for each output pixel."""
        return self.record.b is not None and self.record.b.ndim > 1

    @property
    def window(self):
        """A filter's window; a dense layer's is its whole input."""
        return self.record.window or replace(WHOLE, size=self.shape[1:])


def nodes_of(model):
    """Group a model's records.

    Returns
    -------
    list of Node
        Before each filter lies a pointwise node, which writes its input in the form that it takes; a real
        filter may also follow the quantizer itself.
    """
    first, *records = model.layers
    shape = model.input_shape
    if _flattens(records):
        shape = (math.prod(shape), 1, 1)
    nodes = [Node("quantize", shape, first)]
    for i, record in enumerate(records):
        last, shape = nodes[-1], nodes[-1].out_shape
        if isinstance(record, XNOR | Linear):
            nodes.append(Node("filter", shape, record))
        elif isinstance(record, MaxPool):
            nodes.append(Node("pointwise", shape, pool=record))
        elif isinstance(record, Affine):
            if last.kind != "pointwise" or last.affine or last.rectify:
                nodes.append(Node("pointwise", shape))
            nodes[-1].affine = record
        elif isinstance(record, Rectify):
            if last.kind not in ("pointwise", "filter"):
                nodes.append(Node("pointwise", shape))
            nodes[-1].rectify = True
        elif shape[1:] != (1, 1) and not _flattens(records, i + 1):
            nodes.append(Node("flatten", shape))
    return _prepared(nodes)


def _flattens(records, start=0):
    """Whether the first record from there on, but for rectifiers, takes an image of any shape as features."""
    rest = (records[i] for i in range(start, len(records)))
    first = next((r for r in rest if not isinstance(r, Rectify)), None)
    return isinstance(first, Flatten) or (isinstance(first, XNOR | Linear) and first.window is None)


def _prepared(nodes):
    """Flatten where signs would leave their words too empty, and put pointwise nodes before filters."""
    prepared = nodes[:1]
    for i, node in enumerate(nodes[1:], 1):
        if node.kind == "filter":
            dense = node.is_binary and node.record.window is None and node.shape[1:] != (1, 1)
            if dense and is_sparse(node.shape) and not is_folded(nodes, i):
                prepared.append(Node("flatten", node.shape))
                node.shape = prepared[-1].out_shape
            if prepared[-1].kind != "pointwise" and (node.is_binary or prepared[-1].kind != "quantize"):
                prepared.append(Node("pointwise", node.shape))
        prepared.append(node)
    return prepared


def is_sparse(shape):
    """Whether words of channels would be rather empty."""
    return words(shape[0]) * WORD > MOST_BITS * shape[0]


def is_folded(nodes, i):
    """Whether the signs that the binary filter ``nodes[i]`` reads come straight from another one."""
    between = []
    for node in reversed(nodes[:i]):
        if node.kind == "filter":
            if not all(n.is_binary and not n.record.scale_inputs for n in (node, nodes[i])):
                return False
            # A limit for each pixel and output of whole words would be many times the bias that it is from.
            dear = node.is_untied and is_sparse(node.out_shape)
            return sum(n.pool is not None for n in between) <= 1 and not dear
        if node.kind != "pointwise":
            return False
        between.append(node)
    return False


def _as_image(shape):
    """The shape of features as that of an image of one pixel."""
    return tuple(shape) if len(shape) == 3 else (*shape, 1, 1)
