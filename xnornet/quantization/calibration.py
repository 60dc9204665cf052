"""From a trained network to a graph in integers: formats chosen, parameters rounded.

Formats of data come from the largest numbers of the graph of real parameters on calibration images, formats
of parameters from the parameters. What only signs are read of keeps all fraction bits of the exact result,
and may saturate. Wherever 64 bits would not hold an exact result, a parameter's format gives up its last
bits; so every rounding that is left is one shift to the right.
"""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from xnornet.errors import ModelError
from xnornet.fixedpoint import Q, int_bits_for
from xnornet.graph import Add, Concatenate, Formats, Graph, Node, Requantize, check_graph
from xnornet.graph.quantizing import MAX_INPUT_F
from xnornet.graph.simulation import evaluate_batches
from xnornet.quantization.merging import real_graph, signs_alone

if TYPE_CHECKING:
    from lasagne.layers import Layer

    from xnornet.data.dataset import Pixels

__all__ = ["calibrate", "quantize"]


# An input of a sum may have this many more fraction bits than another; finer inputs are rounded first.
SPREAD = 24

# Fraction bits that no exact result has: an operation gives as many as its own has.
FINEST = 1 << 12


def quantize(
    network: "Layer | Graph",
    images: "NDArray | Pixels | None",
    formats: Formats | None = None,
    batch_size: int = 500,
    magnitudes: list[float] | None = None,
) -> Graph:
    """Turn a trained network into a graph in integers.

    Parameters
    ----------
    network : Layer or Graph
        Output layer of a network, merged as by `real_graph`; or a graph of real parameters, which
        is taken as it is.
    images : float array, ``(n, channels, rows, columns)``
        Calibration images, from the training set.
    formats : Formats, optional
    batch_size : int
        Images run at a time.
    magnitudes : list of float, optional
        Result of :func:`calibrate` for this network. The images are not used then, and may be None.

    Returns
    -------
    Graph

    Raises
    ------
    ValueError
        A layer has no exact form, a parameter is not finite, or there are no images.
    """
    formats = formats or Formats()
    graph = real_graph(network)
    if magnitudes is None:
        magnitudes = calibrate(graph, images, batch_size)
    nodes, place, q = [], [], []
    for node, magnitude, only_signs in zip(graph.nodes, magnitudes, signs_alone(graph), strict=True):
        inputs = [place[k] for k in node.inputs]
        if isinstance(node.operation, Add | Concatenate):
            spread = SPREAD if isinstance(node.operation, Add) else 0
            inputs = _brought_near(nodes, q, inputs, spread)
        int_bits = int_bits_for(magnitude)
        if not nodes:
            wanted = Q(formats.input_bits, max(int_bits, formats.input_bits - MAX_INPUT_F))
        else:
            wanted = Q(formats.data_bits, formats.data_bits - FINEST if only_signs else int_bits)
        own_q = [q[k] for k in inputs]
        try:
            operation = node.operation.fit(formats, wanted, *own_q)
        except ValueError as error:
            raise ValueError(f"{node.name or f'A layer ({node.operation.kind})'}: {error}") from error
        nodes.append(Node(operation, tuple(inputs), node.name))
        q.append(operation.q(*own_q) if own_q else operation.q_out)
        place.append(len(nodes) - 1)
    quantized = Graph(graph.input_shape, tuple(nodes))
    try:
        check_graph(quantized)
    except ModelError as error:
        raise ValueError(str(error)) from error
    return quantized


def calibrate(network: "Layer | Graph", images: "NDArray | Pixels", batch_size: int = 500) -> list[float]:
    """Largest magnitude of each node of the graph of real parameters that `quantize` works on.

    Parameters
    ----------
    network : Layer or Graph
    images, batch_size : as in `quantize`

    Returns
    -------
    list of float
    """
    graph = real_graph(network)
    if not len(images):
        raise ValueError("Calibration takes at least one image; got none")
    found = evaluate_batches(graph, images, batch_size, True, lambda values: [abs(v).max() for v in values])
    return np.max(np.array(list(found), np.float64), axis=0).tolist()


def _brought_near(nodes, q, inputs, spread):
    """Limit the inputs to at most ``spread`` more fraction bits than the coarsest of them.

    An input with more is rounded by a new node. Returns the indices of the nodes to read.
    """
    coarsest, found = min((q[k] for k in inputs), key=lambda each: each.f), []
    for k in inputs:
        if q[k].f > coarsest.f + spread or (spread == 0 and q[k] != coarsest):
            coarser = Q(coarsest.bits, coarsest.bits - coarsest.f - spread)
            nodes.append(Node(Requantize(q[k], coarser), (k,)))
            q.append(coarser)
            k = len(nodes) - 1
        found.append(k)
    return found
