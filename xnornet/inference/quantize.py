"""From a trained network to a fixed-point one: formats chosen, parameters rounded, records written.

Data formats come from the largest outputs of the floating-point twin on calibration images, parameter formats
from the parameters. Wherever 64 bits would not hold an exact result, a parameter's format gives up its last
bits; so every rounding that is left is one shift to the right.
"""

from dataclasses import dataclass
from functools import singledispatch

import lasagne
import numpy as np
from lasagne.nonlinearities import identity, linear, rectify

import theano
from xnornet.fixedpoint import Q, int_bits_for
from xnornet.inference.floating import (
    chain,
    correlation_kernel,
    float_network,
    merged_alpha,
    merged_batch_norm,
    value_of,
)
from xnornet.layers import BatchNormLayer, XNORConv2DLayer, XNORDenseLayer
from xnornet.model import (
    XNOR,
    Affine,
    Flatten,
    Linear,
    MaxPool,
    Quantize,
    QuantizedModel,
    Rectify,
    Signs,
    Window,
)
from xnornet.model.checks import ACCUMULATOR_BITS, MAX_FAN_IN
from xnornet.ops import pad_widths

__all__ = ["Formats", "calibrate", "quantize"]


@dataclass(frozen=True)
class Formats:
    """Bit widths of a fixed-point network; a sign comes on top of each.

    Attributes
    ----------
    input_bits : int
        Of the image, in [-1, 1]: ``Q(input_bits, 0)``.
    data_bits : int
        Of the output of each layer; its integer bits come from calibration.
    param_bits : int
        Of ``alpha``, weights, biases, scales and offsets.
    min_int_bits : int or None
        Least integer bits of a parameter; None lets small parameters keep their precision.

    Raises
    ------
    ValueError
        A width outside 1 to 15.
    """

    input_bits: int = 7
    data_bits: int = 15
    param_bits: int = 15
    min_int_bits: int | None = None

    def __post_init__(self):
        for name in ("input_bits", "data_bits", "param_bits"):
            if not 1 <= getattr(self, name) <= 15:
                raise ValueError(f"{name} is {getattr(self, name)}; it takes 1 to 15")


def quantize(network, images, formats=None, batch_size=500, magnitudes=None):
    """Turn a trained network into a fixed-point one.

    Parameters
    ----------
    network : Layer
        Output layer of a chain of layers.
    images : float array, ``(n, channels, height, width)``
        Calibration images, from the training set.
    formats : Formats, optional
    batch_size : int
        Images run at a time.
    magnitudes : list of float, optional
        What :func:`calibrate` gave for this network. The images are not read then, and may be None.

    Returns
    -------
    QuantizedModel

    Raises
    ------
    ValueError
        A layer has no fixed-point form, a parameter is not finite, or there are no images.
    """
    formats = formats or Formats()
    layers = chain(network)
    if magnitudes is None:
        magnitudes = calibrate(network, images, batch_size)
    q = Q(formats.input_bits, 0)
    records = [Quantize(q)]
    for layer, magnitude in zip(layers[1:], magnitudes, strict=True):
        wanted = Q(formats.data_bits, int_bits_for(magnitude))
        for record in to_records(layer, q, wanted, formats):
            q = getattr(record, "q_out", q)
            records.append(record)
    return QuantizedModel(tuple(layers[0].shape[1:]), records, q)


def calibrate(network, images, batch_size=500):
    """Largest magnitude of each layer of the floating-point twin, the input left out.

    Returns
    -------
    list of float
    """
    twin = float_network(network)
    layers = lasagne.layers.get_all_layers(twin)
    if not len(images):
        raise ValueError("Calibration takes at least one image; got none")
    outputs = lasagne.layers.get_output(layers[1:], deterministic=True)
    largest = theano.function(
        [layers[0].input_var], [abs(o).max() for o in outputs], allow_input_downcast=True
    )
    batches = [images[i : i + batch_size] for i in range(0, len(images), batch_size)]
    return np.max([largest(batch) for batch in batches], axis=0).tolist()


@singledispatch
def to_records(layer, q_in, wanted, formats):
    """Records that compute ``layer`` on integers of format ``q_in``.

    ``wanted`` is the format that calibration asks of the output.
    """
    raise ValueError(
        f"{type(layer).__name__} has no fixed-point form; use --mode float, or build the network from "
        "XNOR, dense, convolutional, batch norm and max pooling layers"
    )


@to_records.register
def _(layer: XNORConv2DLayer, q_in, wanted, formats):
    return _xnor(layer, correlation_kernel(layer), _window(layer), q_in, wanted, formats)


@to_records.register
def _(layer: XNORDenseLayer, q_in, wanted, formats):
    return _xnor(layer, layer.W.get_value().T, None, q_in, wanted, formats)


@to_records.register
def _(layer: lasagne.layers.Conv2DLayer, q_in, wanted, formats):
    return _linear(layer, correlation_kernel(layer), _window(layer), q_in, wanted, formats)


@to_records.register
def _(layer: lasagne.layers.DenseLayer, q_in, wanted, formats):
    return _linear(layer, layer.W.get_value().T, None, q_in, wanted, formats)


def _affine(layer, q_in, wanted, formats):
    scale, offset = merged_batch_norm(layer)
    n, q_scale, b, q_b, q_out = _fit(scale, offset, q_in.limit, q_in.f, wanted, formats)
    return [Affine(n, q_scale, b, q_b, q_in, q_out)]


for _batch_norm in {BatchNormLayer, getattr(lasagne.layers, "BatchNormLayer", BatchNormLayer)}:
    to_records.register(_batch_norm, _affine)


@to_records.register
def _(layer: lasagne.layers.Pool2DLayer, q_in, wanted, formats):
    if layer.mode != "max":
        raise ValueError(f"Pooling by {layer.mode!r} has no fixed-point form; use max pooling")
    window = Window(tuple(layer.pool_size), tuple(layer.stride), pad_widths(layer.pad, layer.pool_size))
    return [MaxPool(window, bool(layer.ignore_border))]


@to_records.register
def _(layer: lasagne.layers.NonlinearityLayer, q_in, wanted, formats):
    return _nonlinearity(layer)


@to_records.register
def _(layer: lasagne.layers.FlattenLayer, q_in, wanted, formats):
    return [Flatten()]


def _xnor(layer, W, window, q_in, wanted, formats):
    fan_in = _fan_in(W)
    alpha, b = merged_alpha(layer), value_of(layer.b)
    sums, f_sums = (fan_in * q_in.limit, q_in.f) if layer.scale_inputs else (1, 0)
    # Only the dense layer has the option.
    scale_bias = b is not None and getattr(layer, "scale_bias", False)
    if scale_bias:
        b = alpha * b
    if scale_bias and layer.scale_inputs:
        n, q_alpha, c, q_c, q_out = _fit(alpha, b, fan_in, 0, wanted, formats, sums, f_sums)
        b, q_b = None, q_c
    else:
        n, q_alpha, b, q_b, q_out = _fit(alpha, b, fan_in * sums, f_sums, wanted, formats)
        c = q_c = None
    B = np.where(W >= 0, np.int8(1), np.int8(-1))
    record = XNOR(Signs.pack(B), n, q_alpha, b, q_b, layer.scale_inputs, window, q_in, q_out, c, q_c)
    return [record, *_nonlinearity(layer)]


def _linear(layer, W, window, q_in, wanted, formats):
    bound = _fan_in(W) * q_in.limit
    n, q_W, b, q_b, q_out = _fit(W, value_of(layer.b), bound, q_in.f, wanted, formats)
    return [Linear(n.astype(np.int16), q_W, b, q_b, window, q_in, q_out), *_nonlinearity(layer)]


def _fan_in(W):
    """Inputs of each output; raise where the simulation's floats would not hold their sum exactly."""
    fan_in = W[0].size
    if fan_in >= MAX_FAN_IN:
        raise ValueError(
            f"A layer of {fan_in} inputs has no exact fixed-point form; use fewer than {MAX_FAN_IN}"
        )
    return fan_in


def _window(layer):
    pad = pad_widths(layer.pad, layer.filter_size)
    return Window(tuple(layer.filter_size), tuple(layer.stride), pad)


def _nonlinearity(layer):
    if layer.nonlinearity in (identity, linear):
        return []
    if layer.nonlinearity is rectify:
        return [Rectify()]
    name = getattr(layer.nonlinearity, "__name__", layer.nonlinearity)
    raise ValueError(f"The nonlinearity {name} has no fixed-point form; use identity or rectify")


def _fit(factor, bias, bound, f_in, wanted, formats, times=1, f_times=0):
    """Formats for ``(x * factor + bias) * s``, ``|x|`` at most ``bound`` units of ``2**-f_in``.

    ``|s|`` is at most ``times`` units of ``2**-f_times``. Neither the bias nor the output gets more fraction
    bits than the product that it belongs to, and the factor as many as leave the whole, and one unit of the
    bias, within the accumulator.

    Returns
    -------
    integers and format of the factor, integers and format of the bias, format of the output
    """
    bits = formats.param_bits
    largest_factor = float(np.abs(factor).max())
    largest_bias = 0.0 if bias is None else float(np.abs(bias).max())
    # Zeros fit any format, and the product's own needs no shift.
    least = formats.min_int_bits
    bias_int_bits = int_bits_for(largest_bias, least) if largest_bias else least
    int_bits = int_bits_for(largest_factor, least)
    while True:
        q_factor = Q(bits, int_bits)
        f = f_in + q_factor.f
        q_bias = Q(bits, bits - f if bias_int_bits is None else max(bias_int_bits, bits - f))
        largest_product = bound * int(q_factor.quantize(largest_factor))
        largest_offset = max(1, int(q_bias.quantize(largest_bias))) << (f - q_bias.f)
        if (largest_product + largest_offset) * times < 1 << ACCUMULATOR_BITS:
            break
        int_bits += 1
    q_out = Q(wanted.bits, max(wanted.int_bits, wanted.bits - (f + f_times)))
    n_bias = None if bias is None else q_bias.quantize(bias)
    return q_factor.quantize(factor), q_factor, n_bias, q_bias, q_out
