"""Output shapes of operations, against windows that are slid and counted, and arrays that are pooled."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from theano.tensor.signal.pool import Pool
from xnornet.fixedpoint import Q
from xnornet.graph import (
    XNOR,
    Flatten,
    Graph,
    Linear,
    MaxPool,
    Quantize,
    Rectify,
    Signs,
    Window,
)

q = Q(15, 0)
small = st.integers(1, 6)
pairs = st.tuples(small, small)
pads = st.tuples(*[st.tuples(st.integers(0, 3), st.integers(0, 3))] * 2)
windows = st.builds(Window, pairs, pairs, pads)


def convolution(window, binary):
    weights = np.ones((4, 2, *window.size), np.int8)
    vector = np.ones(4, np.int64)
    if binary:
        return XNOR(Signs.pack(weights), vector, q, None, q, True, window, q, q)
    return Linear(weights.astype(np.int16), q, None, q, window, q, q)


def places(length, size, stride, pad):
    """Number of windows on an axis, by sliding one."""
    start, count = -pad[0], 0
    while start + size <= length + pad[1]:
        start, count = start + stride, count + 1
    return count


@given(windows, pairs, st.booleans())
def test_a_convolution_gives_a_number_for_each_place_of_its_window(window, lengths, binary):
    axes = zip(lengths, window.size, window.stride, window.pad, strict=True)
    expected = (4, *(places(*axis) for axis in axes))
    assert convolution(window, binary).shape((2, *lengths)) == expected


@given(windows, pairs, st.booleans())
def test_pooling_gives_the_shape_of_the_array_it_gives(window, lengths, ignore_border):
    if not ignore_border:
        window = Window(window.size, window.stride, ((0, 0), (0, 0)))
    pool = Pool(window.size, window.stride, window.pad, ignore_border, "max")
    pooled = pool.pool(np, np.zeros((2, *lengths)))
    assert MaxPool(window, ignore_border).shape((2, *lengths)) == pooled.shape


def test_a_dense_layer_takes_an_input_of_any_shape():
    vector = np.ones(5, np.int64)
    binary = XNOR(Signs.pack(np.ones((5, 24), np.int8)), vector, q, None, q, True, None, q, q)
    real = Linear(np.ones((5, 24), np.int16), q, None, q, None, q, q)
    for record in (binary, real):
        for shape in ((2, 3, 4), (24,)):
            assert record.shape(shape) == (5,)


def test_shapes_follow_from_the_input_operation_by_operation():
    window = Window((3, 2), (2, 1), ((1, 0), (0, 0)))
    records = [Quantize(q), convolution(window, True), Rectify(), MaxPool(window, True), Flatten()]
    assert Graph.chain((2, 7, 5), records).shapes() == [(2, 7, 5), (4, 3, 4), (4, 3, 4), (4, 1, 3), (12,)]
