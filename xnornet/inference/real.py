"""The real-number reading of a quantized model: its parameters as the real numbers that they stand for.

Data is neither rounded nor saturated, and the image is taken as it is. So the scores differ from those of the
trained network by what its parameters lost in quantization; what the data loses as well is told by
``xnornet.inference.fixed``.
"""

from functools import singledispatch

import theano
from xnornet import ops
from xnornet.inference.records import magnitude_sums, per_channel, rearrange, record_network, weighted_sums
from xnornet.model import XNOR, Affine, Linear, Quantize

__all__ = ["real_network"]


def real_network(model, input_var=None):
    """Build the real-number reading of a quantized model.

    Parameters
    ----------
    model : QuantizedModel
    input_var : 4D variable, optional
        Real images, ``(batch, channels, height, width)``.

    Returns
    -------
    Layer
        Scores as real numbers of type ``floatX``, ``(batch, classes)``.
    """
    return record_network(model, compute, input_var)


@singledispatch
def compute(record, x):
    """The record's formula on real numbers ``x``."""
    return rearrange(record, x)


@compute.register
def _(record: Quantize, x):
    return x.astype(theano.config.floatX)


@compute.register
def _(record: XNOR, x):
    output = weighted_sums(record, ops.binarize(x), theano.shared(record.B.astype(x.dtype)))
    output = output * _per_channel(record.q_alpha, record.alpha, output)
    if record.scale_inputs:
        if record.c is not None:
            output = output + _per_channel(record.q_c, record.c, output)
        output = output * magnitude_sums(record, abs(x))
    return _biased(record, output)


@compute.register
def _(record: Linear, x):
    W = record.q_W.dequantize(record.W).astype(x.dtype)
    return _biased(record, weighted_sums(record, x, theano.shared(W)))


@compute.register
def _(record: Affine, x):
    return _biased(record, x * _per_channel(record.q_scale, record.scale, x))


def _biased(record, output):
    return output if record.b is None else output + _per_channel(record.q_b, record.b, output)


def _per_channel(q, n, x):
    """The real numbers that integers of format ``q`` stand for, shaped to go with ``x``."""
    return per_channel(q.dequantize(n).astype(x.dtype), x.ndim)
