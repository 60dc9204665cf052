"""A quantized model that has every record and trait, small enough to look at, and what it is made of."""

import numpy as np

from xnornet.fixedpoint import Q
from xnornet.model import XNOR, Affine, Linear, MaxPool, Quantize, QuantizedModel, Rectify, Signs, Window

__all__ = ["NO_PAD", "data", "every_record", "image", "numbers", "parameter", "signs"]

image, data, parameter = Q(7, 0), Q(15, 3), Q(15, -2)
NO_PAD = ((0, 0), (0, 0))


def signs(*shape):
    return Signs.pack(np.where(np.arange(np.prod(shape)) % 3, 1, -1).reshape(shape))


def numbers(*shape, dtype=np.int64):
    return (np.arange(np.prod(shape)) % 100).reshape(shape).astype(dtype)


def every_record():
    """A model of every record: layers 1, 3 and 6 are binary, 2 a batch norm, 4 pools, 7 is real."""
    narrow, wide = Window((3, 2), (1, 2), ((1, 1), (0, 1))), Window((2, 2), (1, 1), NO_PAD)
    records = [
        Quantize(image),
        XNOR(signs(9, 2, 3, 2), numbers(9), parameter, numbers(9), Q(15, 5), True, narrow, image, data),
        Affine(numbers(9) - 50, parameter, numbers(9), Q(15, 2), data, data),
        XNOR(signs(4, 9, 2, 2), numbers(4), parameter, numbers(4, 4, 2), parameter, False, wide, data, data),
        MaxPool(Window((2, 3), (2, 1), ((1, 0), (0, 2))), True),
        Rectify(),
        XNOR(signs(6, 16), numbers(6), parameter, None, data, True, None, data, data, numbers(6), Q(15, 1)),
        Linear(numbers(3, 6, dtype=np.int16), parameter, numbers(3), Q(15, 4), None, data, Q(14, 5)),
    ]
    return QuantizedModel((2, 5, 5), records, Q(14, 5))
