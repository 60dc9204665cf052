"""The fixed-point simulation: Lasagne layers that compute a quantized model's records in integers.

Sums of signs run in float32 and sums of products of 15-bit integers in float64, both exact because every
partial sum is an integer that the mantissa holds; products that need more run in int64.
"""

from functools import singledispatch

import theano
import theano.tensor as T
from xnornet.fixedpoint import round_shift, saturate
from xnornet.inference.records import magnitude_sums, per_channel, rearrange, record_network, weighted_sums
from xnornet.model import XNOR, Affine, Linear, Quantize
from xnornet.model.quantized import aligned_bias

__all__ = ["fixed_network"]


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
    return record_network(model, compute, input_var)


@singledispatch
def compute(record, n):
    """The record's formula on integers ``n``."""
    return rearrange(record, n)


@compute.register
def _(record: Quantize, x):
    q = record.q_out
    scaled = T.round(x.astype("float64") * 2.0**q.f, mode="half_to_even")
    return T.clip(scaled, -q.limit, q.limit).astype("int64")


@compute.register
def _(record: XNOR, n):
    H = T.switch(T.ge(n, 0), 1, -1).astype("float32")
    product = _product(record, H, record.B)
    product = product * per_channel(record.alpha, product.ndim)
    if record.scale_inputs:
        if record.c is not None:
            aligned = record.c * 2 ** (record.q_alpha.f - record.q_c.f)
            product = product + per_channel(aligned, product.ndim)
        product = product * magnitude_sums(record, abs(n))
    return _finish(record, product)


@compute.register
def _(record: Linear, n):
    return _finish(record, _product(record, n.astype("float64"), record.W))


@compute.register
def _(record: Affine, n):
    return _finish(record, n * per_channel(record.scale, n.ndim))


def _product(record, x, W):
    """Sums of products as int64, computed in the floats of ``x``, which hold them exactly."""
    product = weighted_sums(record, x, theano.shared(W.astype(x.dtype)))
    # A GPU may convolve by a transform, whose results are integers only to the last bit.
    return T.round(product, mode="half_to_even").astype("int64")


def _finish(record, product):
    """Add the bias to an exact product, and round the sum once."""
    f = record.product_f
    if record.b is not None:
        product = product + per_channel(aligned_bias(record), product.ndim)
    return saturate(round_shift(product, f - record.q_out.f), record.q_out.bits)
