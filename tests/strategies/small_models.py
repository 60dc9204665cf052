"""Graphs that have every operation and trait, small enough to look at, and what they are made of."""

import numpy as np

from xnornet.fixedpoint import Q
from xnornet.graph import (
    XNOR,
    Add,
    Affine,
    AveragePool,
    Concatenate,
    Flatten,
    Graph,
    LeakyRectify,
    Linear,
    MaxPool,
    Node,
    Quantize,
    Rectify,
    Requantize,
    ScaledBias,
    Signs,
    Slice,
    Window,
)

__all__ = [
    "NO_PAD",
    "branched",
    "convolutional",
    "data",
    "every_operation",
    "image",
    "numbers",
    "parameter",
    "signs",
]

image, data, parameter = Q(7, 0), Q(15, 3), Q(15, -2)
NO_PAD = ((0, 0), (0, 0))
WHOLE = Window((1, 1), (1, 1), NO_PAD)


def signs(*shape):
    return Signs.pack(np.where(np.arange(np.prod(shape)) % 3, 1, -1).reshape(shape))


def numbers(*shape, dtype=np.int64):
    return (np.arange(np.prod(shape)) % 100).reshape(shape).astype(dtype)


def every_operation():
    """What version 1 had: nodes 1, 3 and 6 (scaled bias) are binary, 2 is batch norm, 4 pools, 7 is real."""
    narrow, wide = Window((3, 2), (1, 2), ((1, 1), (0, 1))), Window((2, 2), (1, 1), NO_PAD)
    operations = [
        Quantize(image),
        XNOR(signs(9, 2, 3, 2), numbers(9), parameter, numbers(9), Q(15, 5), True, narrow, image, data),
        Affine(numbers(9) - 50, parameter, numbers(9), Q(15, 2), data, data),
        XNOR(signs(4, 9, 2, 2), numbers(4), parameter, numbers(4, 4, 2), parameter, False, wide, data, data),
        MaxPool(Window((2, 3), (2, 1), ((1, 0), (0, 2))), True),
        Rectify(),
        ScaledBias(signs(6, 16), numbers(6), parameter, numbers(6), Q(15, 1), data, data),
        Linear(numbers(3, 6, dtype=np.int16), parameter, numbers(3), Q(15, 4), None, data, Q(14, 5)),
    ]
    return Graph.chain((2, 5, 5), operations)


def convolutional(scale_inputs, flattened, channels=3):
    """A real and two binary convolutions, a pooling and padding between them, and a binary dense layer.

    Where inputs are not scaled, all between the convolutions folds to thresholds, and between the last of
    them and the dense layer if it is not ``flattened`` first. Numbers are random, and the same each time.
    """
    rng = np.random.default_rng(0)
    c, sums = channels, Q(15, 6)
    first, second = Window((3, 2), (1, 1), ((1, 1), (1, 0))), Window((2, 3), (2, 1), ((2, 0), (1, 3)))
    b = spread(rng, 500, c + 1, 6, 5) if flattened else spread(rng, 500, c + 1)
    features = (c + 2) * 3 * 7
    between = [Flatten(), batch_norm(rng, features)] if flattened else [Rectify(), batch_norm(rng, c + 2)]
    operations = [
        Quantize(image),
        Linear(spread(rng, 9000, c, 2, 3, 2).astype(np.int16), Q(15, 1), None, data, first, image, data),
        batch_norm(rng, c),
        binary(rng, (c + 1, c, 3, 2), first, scale_inputs, data, sums, b),
        batch_norm(rng, c + 1, sums),
        MaxPool(Window((2, 1), (1, 1), NO_PAD), True),
        batch_norm(rng, c + 1),
        binary(rng, (c + 2, c + 1, 2, 3), second, scale_inputs, data, data),
        *between,
        binary(rng, (9, features), None, scale_inputs, data, sums),
        Linear(spread(rng, 9000, 4, 9).astype(np.int16), Q(15, 1), None, data, None, sums, data),
    ]
    return Graph.chain((2, 6, 5), operations)


def spread(rng, limit, *shape):
    return rng.integers(-limit, limit, shape, endpoint=True)


def binary(rng, shape, window, scale_inputs, q_in, q_out, b=None):
    B, alpha = Signs.pack(rng.choice([-1, 1], shape)), rng.integers(500, 3000, shape[0])
    q_alpha = Q(15, -4 if scale_inputs else 0)
    return XNOR(B, alpha, q_alpha, b, Q(15, 5), scale_inputs, window, q_in, q_out)


def batch_norm(rng, channels, q_in=data):
    """Scales of both signs, and one of zero."""
    scale = spread(rng, 8000, channels)
    scale[0] = 0
    return Affine(scale, Q(15, 2), spread(rng, 200, channels), Q(15, 4), q_in, data)


def branched():
    """Branches that part, are added and put side by side; groups, dilation and average pooling."""
    rng = np.random.default_rng(1)
    wide = Window((3, 3), (1, 1), ((2, 2), (2, 2)), (2, 2))
    grouped = Linear(
        spread(rng, 99, 4, 1, 1, 1).astype(np.int16), Q(15, 1), None, image, WHOLE, image, data, 2
    )
    signs = Signs.pack(rng.choice([-1, 1], (4, 2, 3, 3)))
    dilated = XNOR(signs, numbers(4) + 300, Q(15, 0), None, data, True, wide, data, data, groups=2)
    both = Add(np.array([1, -3]), Q(15, 15), (0, 0), data, data)
    several = Add(np.array([1, 2, 1]), Q(15, 15), (0, 0, 0), data, data)
    halves = AveragePool(Window((2, 3), (2, 2), NO_PAD), False, spread(rng, 9000, 3, 2), Q(15, 0), data, data)
    real = Linear(spread(rng, 900, 3, 4 * 6).astype(np.int16), Q(15, 1), None, data, None, data, data)
    nodes = [
        (Quantize(image), ()),
        (grouped, (0,)),
        (dilated, (1,)),
        (both, (2, 1)),
        (several, (3, 1, 3)),
        (halves, (4,)),
        (Rectify(), (5,)),
        (Add(np.array([1, 1]), Q(15, 15), (0, 0), data, Q(15, 4)), (5, 6)),
        (Requantize(Q(15, 4), data), (7,)),
        (Slice(0, 1, 3), (6,)),
        (Slice(0, 2, 4), (8,)),
        (Concatenate(), (9, 10)),
        (LeakyRectify(np.array([5]), Q(15, 8), data, data), (11,)),
        (real, (12,)),
    ]
    return Graph((2, 6, 4), tuple(Node(operation, inputs) for operation, inputs in nodes))
