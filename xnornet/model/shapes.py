"""Shapes of a quantized model's outputs, reckoned from its records alone.

Whether the records fit each other is left to ``xnornet.model.checks``.
"""

import math
from functools import singledispatch

from xnornet.model.quantized import XNOR, Flatten, Linear, MaxPool

__all__ = ["output_shape", "output_shapes"]


def output_shapes(model):
    """Shape of each record's output, without the batch axis.

    Parameters
    ----------
    model : QuantizedModel

    Returns
    -------
    list of tuple of int
        ``(channels, rows, columns)`` or ``(features,)``; a length is 0 where no window fits.
    """
    shapes, shape = [], model.input_shape
    for record in model.layers:
        shape = output_shape(record, shape)
        shapes.append(shape)
    return shapes


@singledispatch
def output_shape(record, input_shape):
    """Shape of a record's output for an input of the given shape, both without the batch axis."""
    return tuple(input_shape)


@output_shape.register
def _(record: XNOR, input_shape):
    return _filtered(len(record.signs.bits), record.window, input_shape)


@output_shape.register
def _(record: Linear, input_shape):
    return _filtered(len(record.W), record.window, input_shape)


@output_shape.register
def _(record: MaxPool, input_shape):
    count = _whole_windows if record.ignore_border else _covering_windows
    return (input_shape[0], *_along_axes(count, record.window, input_shape))


@output_shape.register
def _(record: Flatten, input_shape):
    return (math.prod(input_shape),)


def _filtered(outputs, window, input_shape):
    """A dense layer takes an input of any shape, flattened."""
    return (outputs,) if window is None else (outputs, *_along_axes(_whole_windows, window, input_shape))


def _along_axes(count, window, input_shape):
    axes = zip(input_shape[1:], window.size, window.stride, window.pad, strict=True)
    return (count(length + sum(pad), size, stride) for length, size, stride, pad in axes)


def _whole_windows(length, size, stride):
    """Windows that lie on the padded axis as a whole; none if it is shorter than a window."""
    return max(0, (length - size) // stride + 1)


def _covering_windows(length, size, stride):
    """Windows until the axis is covered or the next would begin behind its end; the last may reach out."""
    return max(1, -(-(length - max(size, stride)) // stride) + 1)
