"""The floating-point twin: weights already signs, the ``1/N`` of ``K`` in ``alpha``, batch norm merged.

A twin layer stands for each layer of the trained network, but for those that only training needs. It holds
the weights of the moment when it was built.
"""

from functools import singledispatch

import lasagne
import numpy as np

import theano.tensor as T
from xnornet import ops
from xnornet.layers import BatchNormLayer, XNORConv2DLayer, XNORDenseLayer

__all__ = [
    "AffineLayer",
    "SignConv2DLayer",
    "SignDenseLayer",
    "chain",
    "correlation_kernel",
    "float_network",
    "merged_alpha",
    "merged_batch_norm",
    "value_of",
]


class SignConv2DLayer(lasagne.layers.Layer):
    """``(sign(I) (*) B) * sum|I| * alpha + b`` on given signs; sums run over each window.

    Parameters
    ----------
    incoming : Layer
    source : XNORConv2DLayer
        The trained layer.
    """

    def __init__(self, incoming, source, **kwargs):
        super().__init__(incoming, name=source.name, **kwargs)
        _take_parameters(self, source, correlation_kernel(source))

    def get_output_shape_for(self, input_shape):
        return self.source.get_output_shape_for(input_shape)

    def get_output_for(self, input, **kwargs):
        source, pad = self.source, self.source.pad_widths
        output = T.nnet.conv2d(
            ops.binarize(input), self.B, border_mode=pad, subsample=source.stride, filter_flip=False
        )
        if source.scale_inputs:
            sums = ops.box_sum(abs(input).sum(axis=1), source.filter_size, source.stride, pad)
            output = output * sums.dimshuffle(0, "x", 1, 2)
        output = output * self.alpha.dimshuffle("x", 0, "x", "x")
        if self.b is not None:
            pattern = ("x", 0, 1, 2) if source.untie_biases else ("x", 0, "x", "x")
            output = output + self.b.dimshuffle(pattern)
        return source.nonlinearity(output)


class SignDenseLayer(lasagne.layers.Layer):
    """``(sign(I) . B) * sum|I| * alpha + b`` on given signs, or the bias before the scales as in the source.

    Parameters
    ----------
    incoming : Layer
    source : XNORDenseLayer
        The trained layer.
    """

    def __init__(self, incoming, source, **kwargs):
        super().__init__(incoming, name=source.name, **kwargs)
        _take_parameters(self, source, source.W.get_value())

    def get_output_shape_for(self, input_shape):
        return self.source.get_output_shape_for(input_shape)

    def get_output_for(self, input, **kwargs):
        input = input.flatten(2)
        output = T.dot(ops.binarize(input), self.B)
        if self.b is not None and self.source.scale_bias:
            output = output + self.b
        if self.source.scale_inputs:
            output = output * abs(input).sum(axis=1, keepdims=True)
        output = output * self.alpha
        if self.b is not None and not self.source.scale_bias:
            output = output + self.b
        return self.source.nonlinearity(output)


def _take_parameters(layer, source, W):
    """Give a twin its signs, its merged ``alpha`` and its bias."""
    layer.source = source
    layer.B = layer.add_param(np.where(W >= 0, 1, -1).astype(W.dtype), W.shape, "B")
    alpha = merged_alpha(source).astype(W.dtype)
    layer.alpha = layer.add_param(alpha, alpha.shape, "alpha")
    b = value_of(source.b)
    layer.b = None if b is None else layer.add_param(b, b.shape, "b")


class AffineLayer(lasagne.layers.Layer):
    """``I * scale + offset``, one of each for every channel: a merged batch norm.

    Parameters
    ----------
    incoming : Layer
    scale, offset : array, ``(channels,)``
    """

    def __init__(self, incoming, scale, offset, **kwargs):
        super().__init__(incoming, **kwargs)
        self.scale = self.add_param(scale, scale.shape, "scale")
        self.offset = self.add_param(offset, offset.shape, "offset")

    def get_output_for(self, input, **kwargs):
        pattern = ["x", 0] + ["x"] * (input.ndim - 2)
        return input * self.scale.dimshuffle(pattern) + self.offset.dimshuffle(pattern)


def float_network(network, input_var=None):
    """Build the floating-point twin of a trained network.

    Parameters
    ----------
    network : Layer
        Output layer of a chain of layers.
    input_var : variable, optional
        By default the network's own.

    Returns
    -------
    Layer
        Its output equals the network's deterministic one, up to rounding of the floats.

    Raises
    ------
    ValueError
        The network branches, or holds a layer that has no twin.
    """
    layers = chain(network)
    source = layers[0]
    input_var = source.input_var if input_var is None else input_var
    twin = lasagne.layers.InputLayer(source.shape, input_var)
    for layer in layers[1:]:
        _check(layer)
        twin = float_twin(layer, twin)
    return twin


def chain(network):
    """Layers from the input to ``network``, without those that only training needs.

    Raises
    ------
    ValueError
        The layers do not form a chain that an input layer begins.
    """
    layers = lasagne.layers.get_all_layers(network)
    if not isinstance(layers[0], lasagne.layers.InputLayer):
        raise ValueError(
            f"Inference begins at an InputLayer, and this network at {type(layers[0]).__name__}; put one "
            "under it"
        )
    for before, layer in zip([None, *layers], layers, strict=False):
        if getattr(layer, "input_layer", None) is not before:
            raise ValueError(
                f"Inference runs a chain of layers, and {type(layer).__name__} does not follow "
                f"{type(before).__name__} alone; run the network itself with deterministic=True"
            )
    noise = (lasagne.layers.DropoutLayer, lasagne.layers.GaussianNoiseLayer)
    return [layer for layer in layers if not isinstance(layer, noise)]


def merged_alpha(layer):
    """``alpha`` of a trained XNOR layer, or ones, with the ``1/N`` of its mean of ``|I|`` if it takes one.

    Returns
    -------
    float64 array, ``(outputs,)``
    """
    W = layer.W.get_value().astype(np.float64)
    axes = (1, 2, 3) if W.ndim == 4 else (0,)
    alpha = np.abs(W).mean(axis=axes)
    if not layer.scale_weights:
        alpha = np.ones_like(alpha)
    if layer.scale_inputs:
        alpha = alpha / (W.size // alpha.size)
    return alpha


def merged_batch_norm(layer):
    """The four parameters of a batch norm as ``scale = gamma * inv_std``, ``offset = beta - mean * scale``.

    Returns
    -------
    scale, offset : float64 arrays, ``(channels,)``

    Raises
    ------
    ValueError
        The layer does not have one of each for every channel.
    """
    if tuple(layer.axes) != tuple(i for i in range(len(layer.input_shape)) if i != 1):
        raise ValueError(
            f"A batch norm is merged channel by channel; this one averages over axes {layer.axes}"
        )
    mean, inv_std = (p.get_value().astype(np.float64) for p in (layer.mean, layer.inv_std))
    gamma = 1.0 if layer.gamma is None else layer.gamma.get_value()
    beta = 0.0 if layer.beta is None else layer.beta.get_value()
    scale = gamma * inv_std
    offset = beta - mean * scale
    return scale, offset


def value_of(parameter):
    """Value of a layer's parameter, or None where the layer goes without."""
    return None if parameter is None else parameter.get_value()


def correlation_kernel(layer):
    """Weights of a convolutional layer as they lie on the image."""
    W = layer.W.get_value()
    return W[:, :, ::-1, ::-1].copy() if getattr(layer, "flip_filters", True) else W


# Options of Lasagne's layers, and the only values that have a twin.
ORDINARY = {"num_groups": 1, "dilation": (1, 1), "num_leading_axes": 1, "outdim": 2}


def _check(layer):
    """Raise where a layer does more than the class that its twin is written for."""
    for option, value in ORDINARY.items():
        found = getattr(layer, option, value)
        if found != value:
            raise ValueError(
                f"{type(layer).__name__} has a twin for inference with {option}={value} only; this one has "
                f"{found}. Run the network itself with deterministic=True"
            )
    known = next(c for c in type(layer).__mro__ if c in float_twin.registry)
    if known is not object and type(layer).get_output_for is not known.get_output_for:
        raise ValueError(
            f"{type(layer).__name__} computes its output in a way of its own, not as {known.__name__}, and "
            "has no twin for inference; run the network itself with deterministic=True"
        )


@singledispatch
def float_twin(layer, incoming):
    """The layer that stands for ``layer`` on top of ``incoming``."""
    raise ValueError(
        f"{type(layer).__name__} has no twin for inference; run the network itself with deterministic=True"
    )


@float_twin.register
def _(layer: XNORConv2DLayer, incoming):
    return SignConv2DLayer(incoming, layer)


@float_twin.register
def _(layer: XNORDenseLayer, incoming):
    return SignDenseLayer(incoming, layer)


@float_twin.register
def _(layer: lasagne.layers.Conv2DLayer, incoming):
    options = {} if not hasattr(layer, "flip_filters") else {"flip_filters": layer.flip_filters}
    return lasagne.layers.Conv2DLayer(
        incoming,
        layer.num_filters,
        layer.filter_size,
        stride=layer.stride,
        pad=layer.pad,
        untie_biases=layer.untie_biases,
        W=value_of(layer.W),
        b=value_of(layer.b),
        nonlinearity=layer.nonlinearity,
        **options,
    )


@float_twin.register
def _(layer: lasagne.layers.DenseLayer, incoming):
    return lasagne.layers.DenseLayer(
        incoming,
        layer.num_units,
        W=value_of(layer.W),
        b=value_of(layer.b),
        nonlinearity=layer.nonlinearity,
    )


def _affine(layer, incoming):
    return AffineLayer(incoming, *(p.astype(layer.mean.dtype) for p in merged_batch_norm(layer)))


for _batch_norm in {BatchNormLayer, getattr(lasagne.layers, "BatchNormLayer", BatchNormLayer)}:
    float_twin.register(_batch_norm, _affine)


@float_twin.register
def _(layer: lasagne.layers.Pool2DLayer, incoming):
    return lasagne.layers.Pool2DLayer(
        incoming, layer.pool_size, layer.stride, layer.pad, layer.ignore_border, layer.mode
    )


@float_twin.register
def _(layer: lasagne.layers.NonlinearityLayer, incoming):
    return lasagne.layers.NonlinearityLayer(incoming, layer.nonlinearity)


@float_twin.register
def _(layer: lasagne.layers.FlattenLayer, incoming):
    return lasagne.layers.FlattenLayer(incoming)
