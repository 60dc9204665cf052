"""From a packed model back to a network that training can go on with.

A packed model keeps signs of binary weights, their mean magnitude, and a batch norm's scale and offset. Here
each weight gets its filter's mean magnitude, and each batch norm the statistics of images at hand; so the
network computes what the model does, and training can move it on from there. What each weight's own magnitude
was is lost.
"""

import lasagne
import numpy as np

import theano
import theano.tensor as T
from xnornet.inference.floating import chain
from xnornet.layers import BatchNormLayer, XNORConv2DLayer, XNORDenseLayer
from xnornet.model import XNOR, Affine, Flatten, Linear, MaxPool

__all__ = ["unpack"]

# So that no sign is lost with an alpha of 0, and no weight lies beyond the reach of gradients.
SMALLEST, LARGEST = 1e-3, 1.0

RECORDS = (
    ((XNORConv2DLayer, XNORDenseLayer), XNOR),
    ((lasagne.layers.Conv2DLayer, lasagne.layers.DenseLayer), Linear),
    ((BatchNormLayer,), Affine),
    ((lasagne.layers.MaxPool2DLayer,), MaxPool),
    ((lasagne.layers.FlattenLayer,), Flatten),
)


def unpack(model, network, images, batch_size=500):
    """Set a network's parameters to what a packed model has of them.

    Parameters
    ----------
    model : QuantizedModel
    network : Layer
        Output of the network that the model was packed from, a chain of layers without nonlinearities.
    images : float array, ``(n, channels, height, width)``
        What batch norm takes its statistics from, of the training set.
    batch_size : int
        Images run at a time.

    Raises
    ------
    ValueError
        The model is not of this network.
    """
    layers = chain(network)
    _check_fit(model, layers)
    for layer, record in zip(layers[1:], model.layers[1:], strict=True):
        if isinstance(record, XNOR):
            _set(layer.W, _as_trained(layer, _magnitudes(layer, record) * record.B))
            _set(layer.b, _bias(record))
        elif isinstance(record, Linear):
            _set(layer.W, _as_trained(layer, record.q_W.dequantize(record.W)))
            _set(layer.b, _bias(record))
        elif isinstance(record, Affine):
            values = record.q_scale.dequantize(record.scale), _bias(record), 0, 1
            for parameter, value in zip(_parameters(layer), values, strict=True):
                _set(parameter, value)
    _settle([layer for layer in layers if isinstance(layer, BatchNormLayer)], layers[0], images, batch_size)


def _check_fit(model, layers):
    """Raise unless each record of a model is of the layer in its place."""
    fits = len(layers) == len(model.layers) and tuple(layers[0].shape[1:]) == tuple(model.input_shape)
    for layer, record in zip(layers[1:], model.layers[1:], strict=False):
        kind = next((r for classes, r in RECORDS if isinstance(layer, classes)), None)
        fits = fits and kind is not None and isinstance(record, kind)
        if fits and kind in (XNOR, Linear):
            shape = record.signs.shape if kind is XNOR else record.W.shape
            found = layer.W.get_value(borrow=True).shape
            fits = shape == (found if len(found) == 4 else found[::-1])
            fits = fits and (record.b is None) == (layer.b is None) and getattr(record, "c", None) is None
            fits = fits and not getattr(layer, "scale_bias", False)
            fits = fits and getattr(layer, "scale_inputs", False) == getattr(record, "scale_inputs", False)
        if fits and kind is Affine:
            fits = layer.gamma is not None and layer.beta is not None
            fits = fits and record.scale.shape == layer.mean.get_value(borrow=True).shape
        if not fits:
            break
    if not fits:
        raise ValueError("The model's layers are not those of the network")


def _magnitudes(layer, record):
    """What each sign of a binary layer is multiplied by, shaped to go with the signs."""
    alpha = record.q_alpha.dequantize(record.alpha)
    if layer.scale_inputs:
        alpha = alpha * (np.prod(record.signs.shape) // len(alpha))
    if not layer.scale_weights:
        alpha = np.full_like(alpha, abs(layer.W.get_value()).mean())
    return alpha.clip(SMALLEST, LARGEST).reshape(-1, *[1] * (len(record.signs.shape) - 1))


def _as_trained(layer, W):
    """Weights as the layer has them, from weights as they lie on its input."""
    if W.ndim == 2:
        return W.T
    return W[:, :, ::-1, ::-1] if getattr(layer, "flip_filters", True) else W


def _bias(record):
    return None if record.b is None else record.q_b.dequantize(record.b)


def _parameters(layer):
    return layer.gamma, layer.beta, layer.mean, layer.inv_std


def _set(parameter, value):
    if parameter is not None:
        old = parameter.get_value(borrow=True)
        parameter.set_value(np.broadcast_to(value, old.shape).astype(old.dtype))


def _settle(layers, first, images, batch_size):
    """Give batch norms the statistics of images, and change scale and offset so that nothing else changes."""
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
