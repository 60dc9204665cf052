"""Fold everything between two binary layers into one comparison of integers, as an affine operation.

What lies between such layers where inputs are not scaled, ``xnornet.engine.thresholds`` folds to a limit of
the product of signs. Here the limit takes the place of batch norm: ``s * p + b``, with ``s`` of +1 or -1 and
an integer ``b``, is negative where the sign is. All of it is exact in float32.
"""

from dataclasses import replace

import numpy as np

from xnornet.engine.thresholds import fold
from xnornet.graph import XNOR, Affine, Graph, MaxPool, Node, Rectify

__all__ = ["with_thresholds"]


def with_thresholds(graph):
    """A graph with the same signs, in which thresholds replace everything between binary layers.

    Parameters
    ----------
    graph : Graph
        In integers.

    Returns
    -------
    Graph
        Operations of thresholds are in real numbers, without formats.
    """
    consumers = graph.consumers()
    nodes, place, folded = [], {}, set()
    for i, node in enumerate(graph.nodes):
        if i in folded:
            continue
        chain = _chain(graph, consumers, i)
        inputs = tuple(place[k] for k in node.inputs)
        operations = _folded([graph.nodes[k].operation for k in chain]) if chain else [node.operation]
        for operation in operations:
            nodes.append(Node(operation, inputs, node.name))
            inputs = (len(nodes) - 1,)
        folded.update(chain)
        place[chain[-1] if chain else i] = len(nodes) - 1
    return Graph(graph.input_shape, tuple(nodes))


def _chain(graph, consumers, i):
    """A binary layer and what follows, up to the next such layer, if only that one's signs read it."""
    chain = [i]
    layer = graph.nodes[i].operation
    if not _is_unscaled(layer) or (layer.b is not None and layer.b.ndim > 1):
        return []
    while len(consumers[chain[-1]]) == 1:
        (following,) = consumers[chain[-1]]
        operation = graph.nodes[following].operation
        pools = sum(isinstance(graph.nodes[k].operation, MaxPool) for k in chain)
        if _is_unscaled(operation) and pools <= 1:
            return chain
        if not isinstance(operation, Affine | MaxPool | Rectify):
            return []
        chain.append(following)
    return []


def _is_unscaled(operation):
    return isinstance(operation, XNOR) and not operation.scale_inputs


def _folded(operations):
    """The product of signs, a threshold, and the pooling if there is any."""
    layer, *following = operations
    t, flips, pooled_flips = fold(layer, following, layer.fan_in())
    ones = np.ones(len(layer.alpha))
    s = np.where(flips, -1.0, 1.0)
    b = np.where(flips, t - 1, -t).astype(float)
    plain = {"alpha": ones, "q_alpha": None, "b": None, "q_b": None, "q_out": None}
    found = [replace(layer, **plain), _affine(s, b)]
    pools = [each for each in following if isinstance(each, MaxPool)]
    if pools:
        found += pools
        if pooled_flips.any():
            found.append(_affine(np.where(pooled_flips, -1.0, 1.0), np.where(pooled_flips, -1.0, 0.0)))
    return found


def _affine(scale, b):
    return Affine(scale, None, b, None, None, None)
