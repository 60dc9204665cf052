"""The pieces of a convolution: which elements meet in them, found by walking the whole."""

import math
from collections import Counter
from unittest.mock import patch

import jax
import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from sign_products import GRADIENTS, Convolution

from xnornet.ops import native, plain
from xnornet.ops.plain import Geometry

lengths = st.integers(1, 12)


# Fewer taps than steps: most pieces have none.
@example(5, 1, 1, 0, 2, 1, True)
@given(lengths, lengths, st.integers(0, 14), st.integers(0, 14), *[st.integers(1, 6)] * 2, st.booleans())
def test_each_output_tap_and_row_that_meet_do_so_in_one_piece(n, k, before, after, stride, dilation, flip):
    geometry = Geometry(((before, after), (0, 0)), (stride, 1), (dilation, 1), flip=flip)
    count, _ = geometry.output_lengths((n, 1), (k, 1))
    assume(count > 0)
    expected = Counter()
    for y in range(count):
        for i in range(k):
            row = y * stride + i * dilation - before
            if 0 <= row < n:
                expected[y, k - 1 - i if flip else i, row] += 1
    found = Counter()
    for piece, _ in geometry.pieces((n, 1), (k, 1)):
        outputs, taps, rows = (
            list(range(p.start, p.stop, p.step)) for p in (piece.output, piece.taps, piece.image)
        )
        assert outputs and taps and rows and min(outputs + taps + rows) >= 0
        assert max(piece.pad) < len(taps)
        assert len(outputs) == len(rows) + sum(piece.pad) - len(taps) + 1
        for y, output in enumerate(outputs):
            for i in range(len(taps)):
                row = y + i - piece.pad[0]
                if 0 <= row < len(rows):
                    found[output, taps[len(taps) - 1 - i if flip else i], rows[row]] += 1
    assert found == expected


@given(*[st.integers(1, 8)] * 2)
def test_pieces_are_as_few_as_steps_allow(stride, dilation):
    geometry = Geometry(((0, 0), (0, 0)), (stride, 1), (dilation, 1))
    step = math.lcm(stride, dilation)
    assert len(geometry.pieces((200, 1), (9, 1))) == (step // stride) * min(9, step // dilation)


def test_a_plain_convolution_is_one_piece_and_whole():
    geometry = Geometry(((1, 2), (0, 1)))
    ((rows, columns),) = geometry.pieces((5, 6), (3, 2))
    assert (rows.image, rows.taps, rows.output, rows.pad) == (
        slice(0, 5, 1),
        slice(0, 3, 1),
        slice(0, 6, 1),
        (1, 2),
    )
    assert (columns.image, columns.taps, columns.output) == (slice(0, 6, 1), slice(0, 2, 1), slice(0, 6, 1))
    assert geometry.is_plain


def geometry_of(case):
    return Geometry(case.pad, case.stride, case.dilation, case.groups, case.flip)


CASES = [
    Convolution((2, 9, 8, 70), (40, 70, 3, 3), ((1, 1), (1, 1)), stride=(2, 2)),
    Convolution((2, 9, 8, 70), (40, 70, 3, 2), ((3, 2), (4, 4)), flip=False, dilation=(3, 2)),
    Convolution((2, 9, 8, 90), (40, 45, 3, 3), ((1, 1), (0, 1)), stride=(1, 3), groups=2),
    Convolution((2, 9, 8, 6), (8, 3, 2, 3), ((0, 1), (2, 2)), stride=(4, 2), dilation=(2, 3), groups=2),
    Convolution((2, 5, 4, 140), (140, 2, 2, 2), ((0, 1), (1, 0)), groups=70),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_kernels_compute_the_pieces_of_strided_dilated_and_grouped_convolutions(case):
    geometry = geometry_of(case)
    assert plain.takes_convolution(case.images, case.filters, geometry)
    H, B = case.draw_signs()
    # Numbers of one magnitude, of which kernels round none.
    g = np.random.default_rng(1).choice(np.array([-1, 1], np.float32), case.output)
    out = jax.jit(lambda H, B: plain.convolve(H, B, geometry))(H, B)
    left = jax.jit(lambda g, B: plain.image_gradient(g, B, H.shape, geometry))(g, B)
    right = jax.jit(lambda H, g: plain.filter_gradient(H, g, B.shape, geometry))(H, g)
    assert (out.dtype, left.dtype, right.dtype) == ("int16", "float32", "float32")
    np.testing.assert_array_equal(out, case.forward(H, B))
    np.testing.assert_allclose(left, case.left_gradient(g, B), atol=1e-3)
    np.testing.assert_allclose(right, case.right_gradient(H, g), atol=1e-3)


LAYERS = [
    Convolution((4, 16, 16, 64), (128, 64, 3, 3), ((1, 1), (1, 1)), stride=(2, 2)),
    Convolution((2, 16, 16, 64), (64, 64, 3, 3), ((2, 2), (2, 2)), dilation=(2, 2)),
    Convolution((2, 14, 14, 128), (128, 32, 3, 3), ((1, 1), (1, 1)), groups=4),
]


@pytest.mark.parametrize("kind", ["normal", "sparse"])
@pytest.mark.parametrize("case", LAYERS, ids=str)
def test_gradients_of_layers_are_within_a_ten_thousandth_of_the_largest(case, kind):
    geometry = geometry_of(case)
    H, B = case.draw_signs()
    g = GRADIENTS[kind](np.random.default_rng(1), case.output).astype(np.float32)
    for found, exact in (
        (jax.jit(lambda g, B: plain.image_gradient(g, B, H.shape, geometry))(g, B), case.left_gradient(g, B)),
        (
            jax.jit(lambda H, g: plain.filter_gradient(H, g, B.shape, geometry))(H, g),
            case.right_gradient(H, g),
        ),
    ):
        assert np.abs(found - exact).max() < 1e-4 * np.abs(exact).max()


PAD = ((1, 1), (1, 1))


@pytest.mark.parametrize(
    "images, filters, geometry",
    [
        ((1, 8, 8, 128), (128, 1, 3, 3), Geometry(PAD, groups=128)),
        ((1, 8, 8, 4), (4, 1, 3, 3), Geometry(PAD, groups=4)),
        ((1, 40, 40, 8), (8, 8, 3, 3), Geometry(PAD, dilation=(5, 5))),
        ((1, 64, 64, 8), (8, 8, 64, 64), Geometry(PAD, stride=(2, 2))),
        ((0, 8, 8, 4), (4, 4, 3, 3), Geometry(PAD)),
        ((1, 2, 2, 4), (4, 4, 1, 1), Geometry(((9, 9), (9, 9)), stride=(40, 40))),
    ],
    ids=str,
)
def test_what_kernels_do_not_take(images, filters, geometry):
    assert not plain.takes_convolution(images, filters, geometry)


def test_kernels_take_nothing_where_they_do_not_run():
    case = (1, 8, 8, 4), (4, 2, 3, 3), Geometry(PAD, (2, 2), groups=2)
    assert plain.takes_convolution(*case)
    with patch.object(native, "available", lambda: False):
        assert not plain.takes_convolution(*case)
