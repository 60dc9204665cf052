"""What all readings of a quantized model share: a Lasagne layer for each record, and the sums over windows.

What a record's numbers stand for, and what becomes of the result, is left to the readings: integers in
``xnornet.inference.fixed``, real numbers in ``xnornet.inference.real``.
"""

from functools import singledispatch

import lasagne

import theano.tensor as T
from theano.tensor.signal.pool import Pool
from xnornet import ops
from xnornet.model import Flatten, MaxPool, Rectify, output_shape

__all__ = ["RecordLayer", "magnitude_sums", "per_channel", "record_network", "rearrange", "weighted_sums"]


class RecordLayer(lasagne.layers.Layer):
    """A layer that computes one record of a quantized model.

    Parameters
    ----------
    incoming : Layer
    record : record of ``xnornet.model``
    compute : callable
        From a record and an expression of its input, ``(batch, ...)``, to one of its output.

    Attributes
    ----------
    record, compute : as given
    """

    def __init__(self, incoming, record, compute, **kwargs):
        super().__init__(incoming, **kwargs)
        self.record, self.compute = record, compute

    def get_output_shape_for(self, input_shape):
        return (input_shape[0], *output_shape(self.record, input_shape[1:]))

    def get_output_for(self, input, **kwargs):
        return self.compute(self.record, input)


def record_network(model, compute, input_var=None):
    """Build a layer for each record of a quantized model.

    Parameters
    ----------
    model : QuantizedModel
    compute : callable
        As in :class:`RecordLayer`.
    input_var : 4D variable, optional
        Real images, ``(batch, channels, height, width)``.

    Returns
    -------
    Layer
        The last one.
    """
    layer = lasagne.layers.InputLayer((None, *model.input_shape), input_var)
    for record in model.layers:
        layer = RecordLayer(layer, record, compute)
    return layer


@singledispatch
def rearrange(record, x):
    """The output of a record that only chooses among its input's numbers, whatever these stand for."""
    raise TypeError(f"No formula for {type(record).__name__}")


@rearrange.register
def _(record: MaxPool, x):
    window = record.window
    return Pool(window.size, window.stride, window.pad, record.ignore_border, "max")(x)


@rearrange.register
def _(record: Rectify, x):
    return T.maximum(x, 0)


@rearrange.register
def _(record: Flatten, x):
    return x.flatten(2)


def weighted_sums(record, x, W):
    """``x (*) W`` or ``x . W`` over the record's windows, or over each sample, in the floats of ``x``.

    ``W`` is an expression of the same dtype, of the shape of ``XNOR.B``.
    """
    if record.window is None:
        return T.dot(x.flatten(2), W.T)
    pad, stride = record.window.pad, record.window.stride
    return T.nnet.conv2d(x, W, border_mode=pad, subsample=stride, filter_flip=False)


def magnitude_sums(record, magnitudes):
    """Sum of ``|I|`` over each window, or over each sample, shaped to multiply the product."""
    if record.window is None:
        return magnitudes.flatten(2).sum(axis=1, keepdims=True)
    window = record.window
    sums = ops.box_sum(magnitudes.sum(axis=1), window.size, window.stride, window.pad)
    return sums.dimshuffle(0, "x", 1, 2)


def per_channel(values, ndim):
    """Constants along axis 1; untied biases lie along all axes but the first."""
    shape = (1, *values.shape) if values.ndim == ndim - 1 else (1, -1, *[1] * (ndim - 2))
    return T.constant(values.reshape(shape))
