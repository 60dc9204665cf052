"""The fixed-point simulation: Lasagne layers that compute a quantized model's records in integers.

Sums of signs run in float32 and sums of products of 15-bit integers in float64, both exact because every
partial sum is an integer that the mantissa holds; products that need more run in int64.
"""

from functools import singledispatch

import lasagne
import numpy as np

import theano
import theano.tensor as T
from theano.tensor.signal.pool import Pool
from xnornet import ops
from xnornet.fixedpoint import round_shift, saturate
from xnornet.model import XNOR, Affine, Flatten, Linear, MaxPool, Quantize, Rectify, output_shape

__all__ = ["RecordLayer", "fixed_network"]


class RecordLayer(lasagne.layers.Layer):
    """A layer that computes one record of a quantized model on int64 tensors.

    Parameters
    ----------
    incoming : Layer
    record : record of ``xnornet.model``

    Attributes
    ----------
    record : the record
    """

    def __init__(self, incoming, record, **kwargs):
        super().__init__(incoming, **kwargs)
        self.record = record

    def get_output_shape_for(self, input_shape):
        return (input_shape[0], *output_shape(self.record, input_shape[1:]))

    def get_output_for(self, input, **kwargs):
        return compute(self.record, input)


def fixed_network(model, input_var=None):
    """Build the simulation of a quantized model.

    Parameters
    ----------
    model : QuantizedModel
    input_var : 4D variable, optional
        Real images, ``(batch, channels, height, width)``.

    Returns
    -------
    Layer
        Scores as int64, ``(batch, classes)``, in format ``model.q_out``.
    """
    layer = lasagne.layers.InputLayer((None, *model.input_shape), input_var)
    for record in model.layers:
        layer = RecordLayer(layer, record)
    return layer


@singledispatch
def compute(record, n):
    """The record's formula on integers ``n``."""
    raise TypeError(f"No formula for {type(record).__name__}")


@compute.register
def _(record: Quantize, x):
    q = record.q_out
    scaled = T.round(x.astype("float64") * 2.0**q.f, mode="half_to_even")
    return T.clip(scaled, -q.limit, q.limit).astype("int64")


@compute.register
def _(record: XNOR, n):
    H = T.switch(T.ge(n, 0), 1, -1).astype("float32")
    product = _product(record, H, "float32")
    product = product * _per_channel(record.alpha, product.ndim)
    if record.scale_inputs:
        if record.c is not None:
            aligned = record.c * 2 ** (record.q_alpha.f - record.q_c.f)
            product = product + _per_channel(aligned, product.ndim)
        product = product * _magnitude_sums(record, abs(n))
    return _finish(record, product)


@compute.register
def _(record: Linear, n):
    return _finish(record, _product(record, n.astype("float64"), "float64"))


@compute.register
def _(record: Affine, n):
    return _finish(record, n * _per_channel(record.scale, n.ndim))


@compute.register
def _(record: MaxPool, n):
    window = record.window
    return Pool(window.size, window.stride, window.pad, record.ignore_border, "max")(n)


@compute.register
def _(record: Rectify, n):
    return T.maximum(n, 0)


@compute.register
def _(record: Flatten, n):
    return n.flatten(2)


def _product(record, x, dtype):
    """``x (*) W`` or ``x . W`` as int64, computed in floats that hold it exactly."""
    W = theano.shared((record.B if isinstance(record, XNOR) else record.W).astype(dtype))
    if record.window is None:
        product = T.dot(x.flatten(2), W.T)
    else:
        pad, stride = record.window.pad, record.window.stride
        product = T.nnet.conv2d(x, W, border_mode=pad, subsample=stride, filter_flip=False)
    # A GPU may convolve by a transform, whose results are integers only to the last bit.
    return T.round(product, mode="half_to_even").astype("int64")


def _magnitude_sums(record, magnitudes):
    """Sum of ``|I|`` over each window, or over each sample, shaped to multiply the product."""
    if record.window is None:
        return magnitudes.flatten(2).sum(axis=1, keepdims=True)
    window = record.window
    sums = ops.box_sum(magnitudes.sum(axis=1), window.size, window.stride, window.pad)
    return sums.dimshuffle(0, "x", 1, 2)


def _finish(record, product):
    """Add the bias to an exact product, and round the sum once."""
    f = record.product_f
    if record.b is not None:
        aligned = record.b * 2 ** (f - record.q_b.f)
        product = product + _per_channel(aligned, product.ndim)
    return saturate(round_shift(product, f - record.q_out.f), record.q_out.bits)


def _per_channel(values, ndim):
    """Constants along axis 1; untied biases lie along all axes but the first."""
    shape = (1, *values.shape) if values.ndim == ndim - 1 else (1, -1, *[1] * (ndim - 2))
    return T.constant(np.asarray(values, np.int64).reshape(shape))
