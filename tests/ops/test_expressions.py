"""Signs and scaling factors against plain loops."""

import itertools

import numpy as np
import pytest
from extent import examples
from hypothesis import given, settings
from hypothesis import strategies as st

import theano
import theano.tensor as T
from xnornet import ops

MODES = ("JAX", "FAST_COMPILE")

# Points and what the straight-through gradient is there: 1 up to and including magnitude 1.
POINTS = [0.0, -0.0, 1e-30, -1e-30, 0.5, -0.5, 1.0, -1.0, 1.5, -1.5, 1e30, -1e30]
SIGNS = [1, 1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1]
PASSED = [1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_binarize_is_exactly_one_with_the_sign(dtype, mode):
    x = T.vector(dtype=dtype)
    found = theano.function([x], ops.binarize(x), mode=mode)(np.array(POINTS, dtype))
    assert found.dtype == dtype
    assert found.tolist() == SIGNS


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_binarize_passes_the_gradient_up_to_magnitude_one(dtype, mode):
    x, g = T.vector(dtype=dtype), T.vector(dtype=dtype)
    gradient = theano.function([x, g], theano.grad((g * ops.binarize(x)).sum(), x), mode=mode)
    beyond = np.nextafter(np.array(1, dtype), np.array(2, dtype))
    points = np.array([*POINTS, beyond, -beyond], dtype)
    weights = np.arange(1, len(points) + 1).astype(dtype)
    found = gradient(points, weights)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, weights * [*PASSED, 0, 0])


def test_binarize_keeps_any_shape():
    x = T.tensor4()
    for shape in ((2, 3, 4, 5), (1, 1, 1, 1), (0, 3, 4, 5)):
        assert theano.function([x], ops.binarize(x))(np.zeros(shape, "float32")).shape == shape


def test_binarize_refuses_integers():
    with pytest.raises(TypeError, match="real numbers; got int64"):
        ops.binarize(T.lvector())


def grid(rng, *shape):
    return rng.integers(-16, 17, shape) / 8


@settings(deadline=None, max_examples=examples(15))
@given(st.integers(0, 2**32), st.integers(1, 4), st.integers(1, 5), st.integers(1, 3), st.integers(1, 4))
def test_factors_are_means_of_magnitudes(seed, a, b, c, d):
    array = grid(np.random.default_rng(seed), a, b, c, d)
    x = T.dtensor4()
    W = x.flatten(2)
    conv, dense, sample, channels = theano.function(
        [x], [ops.alpha(x, (1, 2, 3)), ops.alpha(W, (0,)), ops.beta(W), ops.channel_mean(x)]
    )(array)
    flat = array.reshape(a, -1)
    rows = [sum(abs(v) for v in row) / len(row) for row in flat]
    columns = [sum(abs(v) for v in column) / len(column) for column in flat.T]
    np.testing.assert_allclose(conv, rows, rtol=1e-12)
    np.testing.assert_allclose(sample, [[r] for r in rows], rtol=1e-12)
    np.testing.assert_allclose(dense, columns, rtol=1e-12)
    assert channels.shape == (a, 1, c, d)
    for i, j, k in np.ndindex(a, c, d):
        expected = sum(abs(array[i, m, j, k]) for m in range(b)) / b
        np.testing.assert_allclose(channels[i, 0, j, k], expected, rtol=1e-12)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "shape, axes", [((300, 220), (0,)), ((220, 300), (1,)), ((70, 5, 15, 13), (1, 2, 3))]
)
def test_alpha_and_its_gradient_are_those_of_its_formula(shape, axes, mode):
    """Of as many weights as the kernel takes."""
    rng = np.random.default_rng(0)
    array = rng.normal(size=shape).astype("float32")
    array[rng.random(shape) < 0.1] = 0
    W, c = T.TensorType("float32", shape=shape)(), T.fvector()
    alpha = ops.alpha(W, axes)
    to_W = theano.grad((alpha * c).sum(), W)
    to_c = theano.grad((to_W * W).sum(), c)
    mean = np.abs(array).astype(float).mean(axis=axes)
    factor = np.arange(1, len(mean) + 1).astype("float32")
    means, again, gradient = theano.function([W, c], [alpha, to_c, to_W], mode=mode)(array, factor)
    np.testing.assert_allclose(means, mean, rtol=1e-5)
    np.testing.assert_allclose(again, mean, rtol=1e-5)
    along = factor if axes == (0,) else factor.reshape(-1, *[1] * len(axes))
    expected = np.sign(array) * along / (array.size / len(mean))
    np.testing.assert_allclose(gradient, expected, rtol=1e-6)


@pytest.mark.parametrize("groups", [2, 3, 6])
def test_groups_have_means_of_their_own(groups):
    array = grid(np.random.default_rng(groups), 2, 6, 3, 4)
    x = T.dtensor4()
    found = theano.function([x], ops.channel_mean(x, groups))(array)
    assert found.shape == (2, groups, 3, 4)
    for n, g, i, j in np.ndindex(found.shape):
        own = [abs(array[n, c, i, j]) for c in range(6) if c * groups // 6 == g]
        np.testing.assert_allclose(found[n, g, i, j], sum(own) / len(own), rtol=1e-12)


@settings(deadline=None, max_examples=examples(15))
@given(st.data(), st.sampled_from(["float32", "float64", "int64"]))
def test_box_sum_adds_what_each_window_holds(data, dtype):
    draw = data.draw
    window, stride = draw(st.tuples(*[st.integers(1, 4)] * 2)), draw(st.tuples(*[st.integers(1, 3)] * 2))
    pad = draw(st.tuples(*[st.tuples(st.integers(0, 3), st.integers(0, 3))] * 2))
    dilation = draw(st.just((1, 1)) | st.tuples(*[st.integers(1, 3)] * 2))
    spans = [(k - 1) * d + 1 for k, d in zip(window, dilation, strict=True)]
    h, w = (draw(st.integers(max(1, k - sum(p)), max(7, k))) for k, p in zip(spans, pad, strict=True))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    array = rng.integers(-50, 50, (2, h, w)).astype(dtype)
    A = T.tensor3(dtype=dtype)
    found = theano.function([A], ops.box_sum(A, window, stride, pad, dilation))(array)
    assert found.dtype == dtype
    ys, xs = (
        range(-before, n + after - k + 1, s)
        for n, k, s, (before, after) in zip((h, w), spans, stride, pad, strict=True)
    )
    expected = [
        [
            [
                sum(
                    image[y + i, x + j]
                    for i, j in itertools.product(
                        range(0, spans[0], dilation[0]), range(0, spans[1], dilation[1])
                    )
                    if 0 <= y + i < h and 0 <= x + j < w
                )
                for x in xs
            ]
            for y in ys
        ]
        for image in array
    ]
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("pad", "window", "widths"),
    [
        ("valid", (3, 5), ((0, 0), (0, 0))),
        ("same", (3, 5), ((1, 1), (2, 2))),
        ("same", (2, 4), ((1, 0), (2, 1))),
        ("same", (1, 6), ((0, 0), (3, 2))),
        ("full", (1, 4), ((0, 0), (3, 3))),
        (2, (3, 5), ((2, 2), (2, 2))),
        ((0, 2), (3, 5), ((0, 0), (2, 2))),
        ([1, 0], (3, 5), ((1, 1), (0, 0))),
    ],
)
def test_pads_are_zeros_before_and_after(pad, window, widths):
    assert ops.pad_widths(pad, window) == widths
