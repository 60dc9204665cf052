"""Turn a packed model back into a network whose training can continue.

A packed model keeps signs of binary weights, and batch norms' scales and offsets, perhaps merged with other
layers. Here all weights of a filter get its ``alpha``, and each batch norm the statistics of images at hand;
so the network computes what the model does, and training can move it on from there. What each weight's own
magnitude was is lost.
"""

from dataclasses import fields
from typing import TYPE_CHECKING

import lasagne
import numpy as np
from numpy.typing import ArrayLike

import theano
import theano.tensor as T
from xnornet.graph import XNOR, Affine, Linear
from xnornet.layers import BatchNormLayer
from xnornet.quantization.layers import convert
from xnornet.quantization.merging import merge

if TYPE_CHECKING:
    from lasagne.layers import Layer

    from xnornet.graph.graph import Graph

__all__ = ["unpack"]

# So that no sign is lost with an alpha of 0, and no weight lies beyond the reach of gradients.
SMALLEST, LARGEST = 1e-3, 1.0


def unpack(graph: "Graph", network: "Layer", images: ArrayLike, batch_size: int = 500) -> None:
    """Set a network's parameters from a packed model.

    Parameters
    ----------
    graph : Graph
        In integers.
    network : Layer
        Output of the network that the model was packed from.
    images : float array, ``(n, channels, height, width)``
        Training images, for the statistics of batch norm.
    batch_size : int
        Images run at a time.

    Raises
    ------
    ValueError
        The model is not of this network.
    """
    for (layer, *merged), operation in zip(_owners(graph, network), graph.operations, strict=True):
        bias = 0 if getattr(operation, "b", None) is None else operation.value("b")
        if isinstance(operation, XNOR):
            _set(layer.W, _as_trained(layer, _magnitudes(layer, operation) * operation.B))
            _set(layer.b, bias)
        elif isinstance(operation, Linear):
            _set(layer.W, _as_trained(layer, operation.value("W")))
            _set(layer.b, bias)
            for norm in merged:
                _set_norm(norm, 1, bias if layer.b is None else 0)
        elif isinstance(operation, Affine):
            _set_norm(layer, operation.value("scale"), bias)
    layers = lasagne.layers.get_all_layers(network)
    _settle([layer for layer in layers if isinstance(layer, BatchNormLayer)], layers[0], images, batch_size)


def _owners(graph, network):
    """The layers of each node. Raises unless a model is of the network, and batch norms can take anything."""
    real, owners = convert(network)
    # Models of before were not merged.
    forms = merge(real), (real, [(i,) for i in range(len(owners))])
    alike = [origins for candidate, origins in forms if _are_alike(graph, candidate)]
    norms = [o for o, each in zip(owners, real.operations, strict=True) if isinstance(each, Affine)]
    free = all(isinstance(o, BatchNormLayer) and o.gamma is not None and o.beta is not None for o in norms)
    if not alike or not free:
        raise ValueError("The model's layers are not those of the network")
    return [[owners[k] for k in group] for group in alike[0]]


def _are_alike(one, other):
    forms = [[_form(node) for node in graph.nodes] for graph in (one, other)]
    return one.input_shape == other.input_shape and forms[0] == forms[1]


def _form(node):
    """A node without its numbers and formats."""
    operation = node.operation
    names = {f.name for f in fields(operation) if not f.name.startswith("q_")} - {"shifts"}
    options = {name: getattr(operation, name) for name in names}
    return operation.kind, node.inputs, {k: getattr(v, "shape", v) for k, v in options.items()}


def _magnitudes(layer, operation):
    """What each sign of a binary layer is multiplied by, shaped to go with the signs."""
    alpha = operation.value("alpha")
    if layer.scale_inputs:
        alpha = alpha * operation.fan_in()
    if not layer.scale_weights:
        alpha = np.full_like(alpha, abs(layer.W.get_value()).mean())
    return alpha.clip(SMALLEST, LARGEST).reshape(-1, *[1] * (len(operation.weights) - 1))


def _as_trained(layer, W):
    """Weights as the layer has them, from weights as they lie on its input."""
    if W.ndim == 2:
        return W.T
    return W[:, :, ::-1, ::-1] if getattr(layer, "flip_filters", True) else W


def _parameters(layer):
    return layer.gamma, layer.beta, layer.mean, layer.inv_std


def _set_norm(layer, scale, offset):
    for parameter, value in zip(_parameters(layer), (scale, offset, 0, 1), strict=True):
        _set(parameter, value)


def _set(parameter, value):
    if parameter is not None:
        old = parameter.get_value(borrow=True)
        parameter.set_value(np.broadcast_to(value, old.shape).astype(old.dtype))


def _settle(layers, first, images, batch_size):
    """Set batch norms' statistics from images; adapt scale and offset so that the outputs stay the same."""
    if not layers:
        return
    inputs = lasagne.layers.get_output([layer.input_layer for layer in layers], deterministic=True)
    moments = [
        m
        for x, layer in zip(inputs, layers, strict=True)
        for m in (x.mean(layer.axes), T.sqr(x).mean(layer.axes))
    ]
    run = theano.function([first.input_var], moments, allow_input_downcast=True)
    batches = [images[i : i + batch_size] for i in range(0, len(images), batch_size)]
    weights = np.array([len(batch) for batch in batches]) / len(images)
    found = [
        np.tensordot(weights, np.array(each, np.float64), 1) for each in zip(*map(run, batches), strict=True)
    ]
    for layer, mean, square in zip(layers, found[::2], found[1::2], strict=True):
        deviation = np.sqrt(np.maximum(square - mean**2, 0) + layer.epsilon)
        scale, offset = layer.gamma.get_value(), layer.beta.get_value()
        values = scale * deviation, offset + mean * scale, mean, 1 / deviation
        for parameter, value in zip(_parameters(layer), values, strict=True):
            _set(parameter, value)
