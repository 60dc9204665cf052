"""One ONNX form for each operation, independent of its arithmetic.

A form is a function of the operation, of an arithmetic (``xnornet.export.onnx.arithmetics``), of the shape of
the first input without the batch axis, and of the inputs, names of values. It returns the output's name. An
operation without a form is refused.
"""

import math
from functools import singledispatch

import numpy as np

from xnornet.errors import ModelError
from xnornet.graph import (
    XNOR,
    Add,
    Affine,
    AveragePool,
    Clip,
    Concatenate,
    Flatten,
    LeakyRectify,
    Linear,
    MaxPool,
    Pad,
    Quantize,
    Rectify,
    Requantize,
    Reshape,
    ScaledBias,
    Slice,
    Upscale,
)
from xnornet.graph.operation import per_channel

__all__ = ["form"]


@singledispatch
def form(operation, to, shape, *x):
    """Add an operation to a model; returns the output.

    Raises
    ------
    ModelError
        The operation has no form.
    """
    raise ModelError(f"{type(operation).__name__} has no ONNX form; register one with {__name__}.form")


@form.register
def _(operation: Quantize, to, shape, x):
    return to.image(operation, x)


@form.register
def _(operation: Requantize, to, shape, x):
    return to.finish(operation, to.widen(x))


@form.register
def _(operation: XNOR, to, shape, x):
    axes = 2 if operation.window is None else 4
    y = _scaled(to, to.widen(to.sign_product(operation, x, shape)), operation, "alpha", axes)
    if operation.scale_inputs:
        y = to.add("Mul", y, _sums(operation, to, shape, x))
    if operation.b is not None:
        y = _shifted(to, y, operation, "b", axes)
    return to.finish(operation, y)


@form.register
def _(operation: ScaledBias, to, shape, x):
    y = _scaled(to, to.widen(to.sign_product(operation, x, shape)), operation, "alpha", 2)
    y = _shifted(to, y, operation, "b", 2)
    return to.finish(operation, to.add("Mul", y, _sums(operation, to, shape, x)))


def _sums(operation, to, shape, x):
    """Sum of ``|I|`` over all that each filter meets."""
    ones = np.ones((operation.groups, *operation.weights[1:]), np.int8)
    bound = operation.fan_in() * to.largest(operation)
    sums = to.correlate(to.add("Abs", x), to.ones(ones), ones.shape, operation, shape, bound)
    if operation.groups > 1:
        each = operation.weights[0] // operation.groups
        sums = to.add("Gather", sums, np.arange(operation.groups).repeat(each), axis=1)
    return to.widen(sums)


@form.register
def _(operation: Linear, to, shape, x):
    y = to.widen(to.product(operation, x, shape))
    if operation.b is not None:
        y = _shifted(to, y, operation, "b", 2 if operation.window is None else 4)
    return to.finish(operation, y)


@form.register
def _(operation: Affine, to, shape, x):
    axes = len(shape) + 1
    y = _scaled(to, to.widen(x), operation, "scale", axes)
    return to.finish(operation, _shifted(to, y, operation, "b", axes))


@form.register
def _(operation: AveragePool, to, shape, x):
    ones = np.ones((shape[0], 1, *operation.window.size), np.int8)
    bound = math.prod(operation.window.size) * to.largest(operation)
    grid = operation.shape(shape)[1:]
    sums = to.correlate(x, to.ones(ones), ones.shape, operation, shape, bound, groups=shape[0], grid=grid)
    return to.finish(operation, to.add("Mul", to.widen(sums), to.parameter(operation, "factor")))


@form.register
def _(operation: MaxPool, to, shape, x):
    window, grid = operation.window, operation.shape(shape)[1:]
    pads = to.pads(window, shape, grid)
    return to.add("MaxPool", x, kernel_shape=window.size, strides=window.stride, pads=pads)


@form.register
def _(operation: Rectify, to, shape, x):
    return to.add("Relu", x)


@form.register
def _(operation: Clip, to, shape, x):
    low, high = to.parameter(operation, "limits").astype(np.float32)
    return to.add("Clip", x, low, high)


@form.register
def _(operation: LeakyRectify, to, shape, x):
    x = to.widen(x)
    positive, negative = (np.asarray(factor, to.kind) for factor in to.slopes(operation))
    factor = to.add("Where", to.add("GreaterOrEqual", x, 0), positive, negative)
    return to.finish(operation, to.add("Mul", x, factor))


@form.register
def _(operation: Add, to, shape, *x):
    coefficients = to.parameter(operation, "coefficients")
    terms = [
        each if factor == 1 else to.add("Mul", each, factor)
        for each, factor in zip(map(to.widen, x), coefficients, strict=True)
    ]
    total, *others = terms
    for term in others:
        total = to.add("Add", total, term)
    return to.finish(operation, total)


@form.register
def _(operation: Concatenate, to, shape, *x):
    return to.add("Concat", *x, axis=1)


@form.register
def _(operation: Flatten, to, shape, x):
    return to.reshape(x, math.prod(shape))


@form.register
def _(operation: Reshape, to, shape, x):
    return to.reshape(x, *operation.lengths)


@form.register
def _(operation: Slice, to, shape, x):
    parts = ([n] for n in (operation.start, operation.stop, operation.axis + 1, operation.step))
    return to.add("Slice", x, *(np.array(part, np.int64) for part in parts))


@form.register
def _(operation: Pad, to, shape, x):
    return to.add("Pad", x, np.array([0, *operation.before, 0, *operation.after], np.int64), 0)


@form.register
def _(operation: Upscale, to, shape, x):
    channels, rows, columns = shape
    (i, j) = operation.scale
    x = to.reshape(x, channels, rows, 1, columns, 1)
    if operation.repeat:
        x = to.add("Expand", x, np.array([1, 1, 1, i, 1, j], np.int64))
    else:
        x = to.add("Pad", x, np.array([0] * 9 + [i - 1, 0, j - 1], np.int64), 0)
    return to.reshape(x, channels, rows * i, columns * j)


def _scaled(to, x, operation, name, axes):
    """A value times a parameter of each channel."""
    factor = to.parameter(operation, name)
    return x if (factor == 1).all() else to.add("Mul", x, per_channel(factor, axes))


def _shifted(to, x, operation, name, axes):
    """A value and a parameter of each channel added to it."""
    offset = to.parameter(operation, name)
    return to.add("Add", x, per_channel(offset, axes)) if offset.any() else x
