"""Merge batch norm with the layer before it, where rounding between the two could change a sign.

A binary layer reads signs alone. One sign that differs near the input changes some hundreds behind it, and at
last the class; so the graph is brought into a form in which every sum that a sign is taken of is exact.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from xnornet.graph import XNOR, Affine, Flatten, Graph, Linear, MaxPool, Node, Pad, Reshape, Slice, Upscale
from xnornet.quantization.layers import to_graph

if TYPE_CHECKING:
    from lasagne.layers import Layer

__all__ = ["MERGED_ALPHA", "merge", "real_graph", "signs_alone"]

# ``alpha`` of a binary layer whose own one has been merged: exact in fixed point, and the mean magnitude of
# weights that training has spread over [-1, 1].
MERGED_ALPHA = 0.5

# Operations whose output has the signs of their input, whatever the magnitudes are.
KEEP_SIGNS = (MaxPool, Flatten, Reshape, Slice, Pad, Upscale)


def merge(graph: Graph) -> tuple[Graph, list[tuple[int, ...]]]:
    """Merge ``alpha`` and ``b`` of binary layers, and batch norms of which only signs are read.

    - ``alpha`` and ``b`` of a binary layer without ``K`` move into the batch norm behind it. What is left is
      half a sum of signs, which has an exact form.
    - A batch norm behind a real layer, of which only signs are read, moves into that layer: its offset
      becomes the layer's bias, and signs of its scale those of the weights.

    Max pooling may lie between them. Signs of a real layer's batch norm stay behind the pooling then.

    Parameters
    ----------
    graph : Graph
        Of real parameters.

    Returns
    -------
    Graph
        Of real parameters. Its scores are the same but for the rounding of real numbers.
    list of tuple of int
        The nodes of ``graph`` that each node is made of.
    """
    operations, consumers = graph.operations, graph.consumers()
    only_signs, into = signs_alone(graph), {}
    for i, affine in enumerate(operations):
        if not isinstance(affine, Affine):
            continue
        (k,) = graph.nodes[i].inputs
        while isinstance(operations[k], MaxPool) and len(consumers[k]) == 1:
            (k,) = graph.nodes[k].inputs
        before, pooled = operations[k], k not in graph.nodes[i].inputs
        if len(consumers[k]) > 1:
            continue
        if isinstance(before, XNOR) and _can_merge(before, affine) and not before.scale_inputs:
            operations[k], operations[i] = _moved(before, affine)
        elif isinstance(before, Linear) and _can_merge(before, affine) and only_signs[i]:
            if not pooled:
                operations[k], into[i] = _thresholds(before, affine), k
            elif before.b is not None:
                signs = np.where(affine.scale < 0, -1.0, 1.0)
                operations[k] = _times(_thresholds(before, affine), signs)
                operations[i] = replace(affine, scale=signs, b=np.zeros_like(signs))
    nodes: list[Node] = []
    origins: list[tuple[int, ...]] = []
    place: dict[int, int] = {}
    for i, node in enumerate(graph.nodes):
        if i in into:
            place[i] = place[into[i]]
            origins[place[i]] += (i,)
            continue
        place[i] = len(nodes)
        nodes.append(Node(operations[i], tuple(place[k] for k in node.inputs), node.name))
        origins.append((i,))
    return Graph(graph.input_shape, tuple(nodes)), origins


def real_graph(network: "Layer | Graph") -> Graph:
    """The graph of real parameters that is rounded: of a network merged, and a graph as it is.

    Parameters
    ----------
    network : Layer or Graph
        Output layer of a network, or its graph.

    Returns
    -------
    Graph

    Raises
    ------
    ValueError
        As `to_graph`.
    """
    return network if isinstance(network, Graph) else merge(to_graph(network))[0]


def signs_alone(graph: Graph) -> list[bool]:
    """Whether nothing but the signs of each node's output is read."""
    consumers, found = graph.consumers(), [False] * len(graph.nodes)
    for i in reversed(range(len(graph.nodes))):
        readers = [(graph.nodes[k].operation, found[k]) for k in consumers[i]]
        found[i] = bool(readers) and all(_reads_signs(reader, passed) for reader, passed in readers)
    return found


def _reads_signs(operation, only_signs):
    """Whether an operation reads nothing but signs; ``only_signs`` says whether that holds for its output."""
    if isinstance(operation, XNOR):
        return not operation.scale_inputs
    keeps = isinstance(operation, KEEP_SIGNS) or (isinstance(operation, Affine) and not operation.b.any())
    return keeps and only_signs


def _can_merge(layer, affine):
    """Whether a layer has a weight and a bias for each channel of the batch norm, and none for each place."""
    return layer.weights[0] == len(affine.scale) and np.ndim(layer.b) < 2


def _offset(layer, affine):
    """What a batch norm makes of a layer's output of 0."""
    return affine.b if layer.b is None else affine.b + affine.scale * layer.b


def _moved(xnor, affine):
    """A binary layer and the batch norm behind it, with ``alpha`` and ``b`` of the one in the other."""
    # Layers without ``alpha`` have ones.
    alpha = np.full_like(xnor.alpha, 1 if (xnor.alpha == 1).all() else MERGED_ALPHA)
    scale = affine.scale * xnor.alpha / alpha
    return replace(xnor, alpha=alpha, b=None), replace(affine, scale=scale, b=_offset(xnor, affine))


def _thresholds(linear, affine):
    """A real layer with the signs that batch norm gives its output.

    Each output may be multiplied by any positive number. It is the one that leaves the weights as they are,
    or a smaller one where the bias would be larger than any output.
    """
    offset = _offset(linear, affine)
    largest = np.abs(linear.W).reshape(len(linear.W), -1).sum(axis=1).max()
    divisor = np.maximum(np.abs(affine.scale), np.abs(offset) / (largest or 1))
    factor = np.divide(1.0, divisor, out=np.zeros_like(divisor), where=divisor > 0)
    return replace(_times(linear, affine.scale * factor), b=offset * factor)


def _times(linear, factors):
    """A real layer whose outputs are multiplied by numbers."""
    W = linear.W * factors.reshape(-1, *[1] * (linear.W.ndim - 1))
    return replace(linear, W=W, b=None if linear.b is None else linear.b * factors)
