"""The one list of Lasagne layers: each becomes operations with real parameters, or is refused.

A new layer is one function here. What has no exact form is refused in one line that names the layer, the
reason, and the nearest thing that has one.
"""

import math
from functools import singledispatch
from typing import TYPE_CHECKING, NoReturn

import lasagne
import numpy as np
from lasagne.nonlinearities import LeakyRectify as Leaky
from lasagne.nonlinearities import identity, rectify
from numpy.typing import NDArray

import theano.tensor as T
from xnornet.graph import (
    XNOR,
    Add,
    Affine,
    AveragePool,
    Clip,
    Concatenate,
    Flatten,
    Graph,
    LeakyRectify,
    Linear,
    MaxPool,
    Node,
    Operation,
    Pad,
    Quantize,
    Rectify,
    Reshape,
    Signs,
    Slice,
    Upscale,
    Window,
)
from xnornet.layers import BatchNormLayer, XNORConv2DLayer, XNORDenseLayer
from xnornet.ops import pad_widths

if TYPE_CHECKING:
    from lasagne.layers import Layer


__all__ = ["convert", "describe", "operations", "to_graph"]

# Layers that only training needs.
NOISE = (lasagne.layers.DropoutLayer, lasagne.layers.GaussianNoiseLayer)

# What is nearest to a nonlinearity that has no exact form.
NEAREST = {
    "tanh": "hard tanh, lambda x: T.clip(x, -1, 1)",
    "ScaledTanH": "hard tanh, lambda x: T.clip(x, -1, 1)",
    "sigmoid": "hard tanh, lambda x: T.clip(x, -1, 1)",
    "softmax": "none: the largest score is the same without it",
    "elu": "leaky rectify",
    "selu": "leaky rectify",
    "SELU": "leaky rectify",
    "softplus": "rectify",
}
WHOLE = ((0, 0), (0, 0))


def to_graph(network: "Layer") -> Graph:
    """A trained network as a graph with real parameters: what it computes with ``deterministic=True``.

    Weights of binary layers are signs, the ``1/N`` of ``K`` is in ``alpha``, and batch norm is merged.

    Parameters
    ----------
    network : Layer
        Output layer. Branches may part and meet, and begin at one input layer.

    Returns
    -------
    Graph

    Raises
    ------
    ValueError
        A layer has no exact form; one line names it, the reason, and the nearest supported layer.
    """
    return convert(network)[0]


def convert(network: "Layer") -> "tuple[Graph, list[Layer]]":
    """As :func:`to_graph`.

    Returns
    -------
    Graph
    list of Layer
        The layer of each node.
    """
    nodes, owners, place = [], [], {}
    layers = lasagne.layers.get_all_layers(network)
    sources = [layer for layer in layers if not _inputs(layer)]
    if len(sources) != 1 or not isinstance(sources[0], lasagne.layers.InputLayer):
        found = ", ".join(describe(layer) for layer in sources)
        raise ValueError(f"A network should begin at one InputLayer; this one begins at {found}")
    for layer in layers:
        own_inputs = tuple(place[each] for each in _inputs(layer))
        if isinstance(layer, NOISE):
            (place[layer],) = own_inputs
            continue
        _check(layer)
        for operation in operations(layer):
            nodes.append(Node(operation, own_inputs, layer.name or ""))
            owners.append(layer)
            own_inputs = (len(nodes) - 1,)
        (place[layer],) = own_inputs
    if place[network] != len(nodes) - 1:
        raise ValueError(f"{describe(network)}: its output should not be used by another layer")
    return Graph(tuple(sources[0].shape[1:]), tuple(nodes)), owners


def describe(layer: "Layer") -> str:
    """A layer's type and name, for messages."""
    return type(layer).__name__ + (f" {layer.name!r}" if layer.name else "")


def _inputs(layer):
    if hasattr(layer, "input_layers"):
        return layer.input_layers
    below = getattr(layer, "input_layer", None)
    return [] if below is None else [below]


def _refuse(layer: "Layer", reason: str, nearest: str) -> NoReturn:
    raise ValueError(f"{describe(layer)}: {reason}; use {nearest}")


def _check(layer):
    """Raise if a layer does more than the class that its operations were written for."""
    if None in layer.output_shape[1:]:
        _refuse(
            layer, f"its output has shape {layer.output_shape}", "an InputLayer that has all lengths but one"
        )
    leading = getattr(layer, "num_leading_axes", 1)
    if leading != 1:
        _refuse(layer, f"it has no exact form with num_leading_axes={leading}", "num_leading_axes=1")
    if any(getattr(layer, "cropping", None) or ()):
        _refuse(layer, f"it crops its inputs by {layer.cropping}", "SliceLayer before it")
    known = next(c for c in type(layer).__mro__ if c in operations.registry)
    if known is not object and type(layer).get_output_for is not known.get_output_for:
        _refuse(layer, f"its get_output_for differs from that of {known.__name__}", known.__name__)


@singledispatch
def operations(layer: "Layer") -> list[Operation]:
    """Operations that compute a layer one after another, the first of them from the layer's inputs."""
    known = sorted({c.__name__ for c in operations.registry if c is not object})
    _refuse(layer, "it has no exact form", f"one of {', '.join(known)}")


def _register(*names):
    """Register a function for those of Lasagne's layers that this version of it has."""

    def decorate(function):
        for name in names:
            if hasattr(lasagne.layers, name):
                operations.register(getattr(lasagne.layers, name), function)
        return function

    return decorate


@_register("InputLayer")
def _(layer):
    return [Quantize()]


@operations.register
def _(layer: XNORConv2DLayer) -> list[Operation]:
    W = _correlation_kernel(layer)
    return [_xnor(layer, W, _window(layer, layer.pad_widths)), *_nonlinearity(layer)]


@operations.register
def _(layer: XNORDenseLayer) -> list[Operation]:
    return [_xnor(layer, layer.W.get_value().T, None), *_nonlinearity(layer)]


def _xnor(layer, W, window):
    B = Signs.pack(np.where(W >= 0, np.int8(1), np.int8(-1)))
    groups = getattr(layer, "num_groups", 1)
    alpha, b = merged_alpha(layer), _value_of(layer.b)
    return XNOR(B, alpha, None, b, None, layer.scale_inputs, window, None, None, groups)


@_register("Conv2DLayer")
def _(layer):
    W = _correlation_kernel(layer)
    return [_linear(layer, W, _window(layer), getattr(layer, "num_groups", 1)), *_nonlinearity(layer)]


@_register("DilatedConv2DLayer")
def _(layer):
    # Its weights are (channels, outputs, rows, columns), as they lie on the image.
    W = np.ascontiguousarray(layer.W.get_value().transpose(1, 0, 2, 3))
    return [_linear(layer, W, _window(layer)), *_nonlinearity(layer)]


@_register("DenseLayer")
def _(layer):
    return [_linear(layer, layer.W.get_value().T, None), *_nonlinearity(layer)]


@_register("NINLayer")
def _(layer):
    if len(layer.output_shape) != 4:
        _refuse(layer, f"its output has shape {layer.output_shape}", "DenseLayer")
    W = layer.W.get_value().T[:, :, None, None]
    return [_linear(layer, W, Window((1, 1), (1, 1), WHOLE)), *_nonlinearity(layer)]


def _linear(layer, W, window, groups=1):
    return Linear(W, None, _value_of(layer.b), None, window, None, None, groups)


@_register("BatchNormLayer")
def _batch_norm(layer):
    return [_affine(layer, *merged_batch_norm(layer), layer.axes)]


operations.register(BatchNormLayer, _batch_norm)


@_register("ScaleLayer")
def _(layer):
    scale = layer.scales.get_value()
    return [_affine(layer, scale, np.zeros_like(scale), layer.shared_axes)]


@_register("BiasLayer")
def _(layer):
    b = _value_of(layer.b)
    return [] if b is None else [_affine(layer, np.ones_like(b), b, layer.shared_axes)]


def _affine(layer, scale, b, axes):
    if tuple(axes) != tuple(i for i in range(len(layer.input_shape)) if i != 1):
        _refuse(
            layer,
            f"it has no exact form with parameters over other axes than channels; these share axes {axes}",
            "axes='auto' or shared_axes='auto'",
        )
    return Affine(scale, None, b, None, None, None)


@_register("Pool2DLayer")
def _(layer):
    window = Window(tuple(layer.pool_size), tuple(layer.stride), pad_widths(layer.pad, layer.pool_size))
    return [_pool(layer, layer.mode, window, bool(layer.ignore_border))]


@_register("GlobalPoolLayer")
def _(layer):
    modes = {T.mean: "average_inc_pad", T.max: "max", T.sum: "sum"}
    mode = next((mode for f, mode in modes.items() if f is layer.pool_function), None)
    if mode is None or len(layer.input_shape) != 4:
        name = getattr(layer.pool_function, "__name__", layer.pool_function)
        _refuse(
            layer,
            f"it has no exact form by {name} of {layer.input_shape}",
            "theano.tensor.mean, max or sum of images",
        )
    lengths = tuple(layer.input_shape[2:])
    return [_pool(layer, mode, Window(lengths, lengths, WHOLE), True), Flatten()]


def _pool(layer, mode, window, ignore_border):
    if mode == "max":
        return MaxPool(window, ignore_border)
    if mode == "sum":
        return AveragePool(window, ignore_border, np.ones((1, 1)))
    return AveragePool.of(window, ignore_border, layer.input_shape[2:], mode == "average_inc_pad")


@_register("NonlinearityLayer")
def _(layer):
    return _nonlinearity(layer)


@_register("ElemwiseSumLayer")
def _(layer):
    return [Add(np.array(layer.coeffs, np.float64))]


@_register("ElemwiseMergeLayer")
def _(layer):
    if layer.merge_function is not T.add:
        name = getattr(layer.merge_function, "__name__", layer.merge_function)
        _refuse(layer, f"it has no exact form by {name}", "theano.tensor.add, or ElemwiseSumLayer")
    return [Add(np.ones(len(layer.input_layers)))]


@_register("ConcatLayer")
def _(layer):
    if layer.axis % len(layer.output_shape) != 1:
        _refuse(layer, f"it has no exact form along axis {layer.axis}", "axis=1")
    return [Concatenate()]


@_register("FlattenLayer")
def _(layer):
    if len(layer.output_shape) == 2:
        return [Flatten()]
    return [_reshape(layer)]


@_register("ReshapeLayer")
def _(layer):
    return [_reshape(layer)]


def _reshape(layer):
    shape = layer.output_shape
    if len(shape) < 2 or math.prod(shape[1:]) != math.prod(layer.input_shape[1:]):
        _refuse(layer, f"it moves numbers from one image to another, as {shape}", "a shape ([0], ...)")
    return Reshape(tuple(shape[1:]))


@_register("SliceLayer")
def _(layer):
    axis = layer.axis % len(layer.input_shape)
    if axis == 0:
        _refuse(layer, "it leaves images out", "another axis than 0")
    length = layer.input_shape[axis]
    if isinstance(layer.slice, slice):
        found = range(*layer.slice.indices(length))
        if found.step < 0:
            _refuse(layer, "it has no exact form with a negative step", "a positive one")
        return [Slice(axis - 1, found.start, found[-1] + 1, found.step)]
    first = layer.slice % length
    return [Slice(axis - 1, first, first + 1), _reshape_to(layer)]


def _reshape_to(layer):
    return Reshape(tuple(layer.output_shape[1:]))


@_register("PadLayer")
def _(layer):
    if layer.val != 0 or layer.batch_ndim < 1:
        _refuse(layer, f"it has no exact form with val={layer.val}", "val=0, and no padding of the batch")
    axes = len(layer.input_shape) - layer.batch_ndim
    widths = [layer.width] * axes if isinstance(layer.width, int) else list(layer.width)
    pairs = [(w, w) if isinstance(w, int | np.integer) else tuple(w) for w in widths]
    pairs = [(0, 0)] * (layer.batch_ndim - 1) + pairs + [(0, 0)] * (axes - len(pairs))
    return [Pad(tuple(before for before, _ in pairs), tuple(after for _, after in pairs))]


@_register("Upscale2DLayer")
def _(layer):
    return [Upscale(tuple(layer.scale_factor), layer.mode == "repeat")]


def _window(layer, pad=None):
    pad = pad_widths(layer.pad, layer.filter_size) if pad is None else pad
    stride = tuple(getattr(layer, "stride", (1, 1)))
    dilation = tuple(getattr(layer, "dilation", (1, 1)))
    return Window(tuple(layer.filter_size), stride, tuple(pad), dilation)


def _nonlinearity(layer):
    function = layer.nonlinearity
    if function is None or function is identity:
        return []
    if function is rectify or function is T.nnet.relu:
        return [Rectify()]
    if isinstance(function, Leaky):
        slope = float(function.leakiness)
        return [Rectify()] if slope == 0 else [] if slope == 1 else [LeakyRectify(np.array([slope]))]
    found = _of_expression(function)
    if found is None:
        name = getattr(function, "__name__", type(function).__name__)
        nearest = "identity, rectify, leaky rectify or T.clip"
        _refuse(layer, f"the nonlinearity {name} has no exact form", NEAREST.get(name, nearest))
    return found


def _of_expression(function):
    """Operations of a function whose expression is a clip or a maximum with 0; None for others."""
    x = T.vector()
    y = function(x)
    scalar_op = getattr(getattr(y.owner, "op", None), "scalar_op", None)
    name = type(scalar_op).__name__
    inputs = [] if scalar_op is None else y.owner.inputs
    constants = [_constant(each) for each in inputs if each is not x]
    if y is x:
        return []
    if None in constants or len(constants) != len(inputs) - 1:
        return None
    if name == "Clip" and inputs[0] is x and constants[0] <= constants[1]:
        return [Clip(np.array(constants))]
    if name in ("Maximum", "ScalarMaximum") and constants == [0]:
        return [Rectify()]
    return None


def _constant(variable):
    """The number that a constant expression has everywhere, or None."""
    try:
        return float(np.unique(T.get_underlying_scalar_constant_value(variable)).item())
    except (T.NotScalarConstantError, ValueError):
        return None


def merged_alpha(layer: "Layer") -> NDArray[np.float64]:
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


def merged_batch_norm(layer: "Layer") -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The four parameters of a batch norm as ``scale = gamma * inv_std``, ``offset = beta - mean * scale``.

    Returns
    -------
    scale, offset : float64 arrays, of the shape of the layer's parameters
    """
    mean, inv_std = (p.get_value().astype(np.float64) for p in (layer.mean, layer.inv_std))
    gamma = 1.0 if layer.gamma is None else layer.gamma.get_value()
    beta = 0.0 if layer.beta is None else layer.beta.get_value()
    scale = gamma * inv_std
    return scale, beta - mean * scale


def _value_of(parameter):
    return None if parameter is None else parameter.get_value()


def _correlation_kernel(layer):
    """Weights of a convolutional layer, oriented as a correlation reads them."""
    W = layer.W.get_value()
    return W[:, :, ::-1, ::-1].copy() if getattr(layer, "flip_filters", True) else W
