"""Pooling against plain loops over windows, and its gradients against differences, in both modes."""

import itertools

import numpy as np
import pytest
from extent import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from pytensor.gradient import NullTypeGradError

import theano
import theano.tensor as T
import theano.tensor.signal.downsample
from theano.tensor.signal.pool import pool_2d, pool_3d

pytestmark = pytest.mark.filterwarnings("error:.*JAX cannot")

MODES = ["JAX", "FAST_COMPILE"]
POOLINGS = ["max", "sum", "average_inc_pad", "average_exc_pad"]
POOL = {2: pool_2d, 3: pool_3d}


def window_starts(length, window, stride, pad, ignore_border):
    """Where windows begin on a padded axis: as many as fit, or until one reaches the end."""
    starts, length = [], length + 2 * pad
    for start in range(0, length, stride):
        if ignore_border and start + window > length:
            break
        starts.append(start)
        if start + window >= length:
            break
    return starts


def pool_with_loops(x, ws, stride, pad, ignore_border, mode):
    """Theano's pooling as its documentation words it, one window at a time."""
    n = len(ws)
    border = [(0, 0)] * (x.ndim - n) + [(p, p) for p in pad]
    real = np.pad(np.ones(x.shape), border)
    padded = np.pad(x, border, constant_values=-np.inf if mode == "max" else 0)
    starts = [window_starts(*axis, ignore_border) for axis in zip(x.shape[-n:], ws, stride, pad, strict=True)]
    out = np.empty((*x.shape[:-n], *map(len, starts)))
    for place in itertools.product(*(range(len(s)) for s in starts)):
        corner = [s[i] for s, i in zip(starts, place, strict=True)]
        window = (..., *(slice(c, c + w) for c, w in zip(corner, ws, strict=True)))
        axes = tuple(range(-n, 0))
        divisor = {
            "average_inc_pad": np.ones_like(padded)[window].sum(axis=axes),
            "average_exc_pad": real[window].sum(axis=axes),
        }.get(mode, 1)
        values = padded[window]
        out[(..., *place)] = values.max(axis=axes) if mode == "max" else values.sum(axis=axes) / divisor
    return out


def distinct(shape, seed=0):
    """Numbers no two of which are closer than 1, so that small steps change no maximum."""
    return np.random.default_rng(seed).permutation(np.prod(shape)).reshape(shape).astype(float)


@st.composite
def poolings(draw, ndim):
    """Input shapes and options that Theano allows together."""
    axes = st.tuples(*[st.integers(1, 3)] * ndim)
    ws, stride, ignore_border = draw(axes), draw(axes), draw(st.booleans())
    pad = tuple(draw(st.integers(0, w - 1)) if ignore_border else 0 for w in ws)
    leading = draw(st.sampled_from([(), (2,), (2, 2)]))
    lengths = [draw(st.integers(max(1, w - 2 * p), 7)) for w, p in zip(ws, pad, strict=True)]
    return {
        "shape": (*leading, *lengths),
        "ws": ws,
        "stride": stride,
        "pad": pad,
        "ignore_border": ignore_border,
        "mode": draw(st.sampled_from(POOLINGS)),
    }


def check_pooling(shape, theano_mode, **options):
    """Compare output with loops, and the gradient with differences, exact for piecewise linear functions."""
    value = distinct(shape)
    expected = pool_with_loops(value, **options)
    random = np.random.default_rng(1)
    cotangent, direction = random.normal(size=expected.shape), random.uniform(-1, 1, value.shape)

    x, g = T.TensorType("float64", (False,) * len(shape))(), T.constant(cotangent)
    out = POOL[len(options["ws"])](x, **options)
    f = theano.function([x], [out, out.shape, T.grad(T.sum(out * g), x)], mode=theano_mode)
    out, out_shape, gradient = f(value)
    np.testing.assert_allclose(out, expected, rtol=1e-13)
    assert tuple(out_shape) == expected.shape
    step = 1e-3 * direction
    above, below = (pool_with_loops(value + s, **options) for s in (step, -step))
    slope = np.sum((above - below) / 2e-3 * cotangent)
    np.testing.assert_allclose(np.vdot(gradient, direction), slope, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("theano_mode", MODES)
@given(poolings(2))
@settings(max_examples=examples(25), deadline=None)
def test_pool_2d_and_gradient_equal_loops(theano_mode, case):
    check_pooling(theano_mode=theano_mode, **case)


@pytest.mark.parametrize("theano_mode", MODES)
@given(poolings(3))
@settings(max_examples=examples(10), deadline=None)
def test_pool_3d_and_gradient_equal_loops(theano_mode, case):
    check_pooling(theano_mode=theano_mode, **case)


@pytest.mark.parametrize("theano_mode", MODES)
@pytest.mark.parametrize("mode", POOLINGS)
@pytest.mark.parametrize("pad, ignore_border", [((1, 2), True), ((0, 0), True), ((0, 0), False)])
def test_every_pooling_equals_loops(theano_mode, mode, pad, ignore_border):
    check_pooling(
        (2, 3, 8, 7),
        theano_mode,
        ws=(3, 4),
        stride=(2, 3),
        pad=pad,
        ignore_border=ignore_border,
        mode=mode,
    )


def test_the_documented_shapes():
    x = T.matrix()
    for ignore_border, expected in [(True, (2, 2)), (False, (3, 3))]:
        f = theano.function([x], pool_2d(x, (2, 2), ignore_border=ignore_border))
        assert f(np.ones((5, 5), "float32")).shape == expected


@pytest.mark.parametrize("theano_mode", MODES)
def test_every_maximum_of_a_window_gets_the_whole_gradient(theano_mode):
    x = T.dmatrix()
    gradient = T.grad(T.sum(pool_2d(x, (2, 2), ignore_border=True) * np.array([[3.0, 5.0]])), x)
    f = theano.function([x], gradient, mode=theano_mode)
    value = np.array([[1.0, 1, 0, 2], [1, 0, 2, 2]])
    np.testing.assert_array_equal(f(value), [[3, 3, 0, 5], [3, 0, 5, 5]])


@pytest.mark.parametrize("theano_mode", MODES)
def test_overlapping_windows_add_their_gradients(theano_mode):
    x = T.dmatrix()
    pooled = pool_2d(x, (1, 2), ignore_border=True, stride=(1, 1))
    f = theano.function([x], T.grad(pooled.sum(), x), mode=theano_mode)
    np.testing.assert_array_equal(f(np.array([[0.0, 9, 1, 2]])), [[0, 2, 0, 1]])


@pytest.mark.parametrize("theano_mode", MODES)
def test_negative_inputs_win_over_padding(theano_mode):
    x = T.matrix()
    pooled = pool_2d(x, (2, 2), ignore_border=True, pad=(1, 1))
    f = theano.function([x], [pooled, T.grad(pooled.sum(), x)], mode=theano_mode)
    out, gradient = f(np.full((2, 2), -7, "float32"))
    np.testing.assert_array_equal(out, np.full((2, 2), -7))
    np.testing.assert_array_equal(gradient, np.ones((2, 2)))


@pytest.mark.parametrize("theano_mode", MODES)
@pytest.mark.parametrize("mode", POOLINGS)
def test_dtypes_are_kept(theano_mode, mode):
    x = T.ftensor4()
    pooled = pool_2d(x, (2, 2), ignore_border=True, mode=mode)
    f = theano.function([x], [pooled, T.grad(pooled.sum(), x)], mode=theano_mode)
    assert [r.dtype for r in f(np.ones((1, 1, 4, 4), "float32"))] == ["float32", "float32"]


def test_integers_have_maxima():
    x = T.imatrix()
    f = theano.function([x], pool_2d(x, (2, 2), ignore_border=True, pad=(1, 1)))
    np.testing.assert_array_equal(f(np.full((2, 2), -7, "int32")), np.full((2, 2), -7))


@pytest.mark.parametrize("theano_mode", MODES)
@pytest.mark.parametrize("mode", POOLINGS[1:])
def test_linear_poolings_have_second_derivatives(theano_mode, mode):
    """``<v, grad_x>`` is linear in the gradient from above, with the pooled ``v`` as its slope."""
    x, g, v = T.dmatrix(), T.dmatrix(), T.dmatrix()
    options = {"ws": (2, 2), "stride": (1, 2), "pad": (1, 0), "ignore_border": True, "mode": mode}
    to_x = T.grad(T.sum(pool_2d(x, **options) * g), x)
    f = theano.function([x, g, v], T.grad(T.sum(to_x * v), g), mode=theano_mode, on_unused_input="ignore")
    direction = distinct((5, 4))
    expected = pool_with_loops(direction, **options)
    np.testing.assert_allclose(f(direction, np.ones_like(expected), direction), expected)


def test_the_second_derivative_of_max_pooling_is_refused():
    x = T.dmatrix()
    gradient = T.grad(T.sum(pool_2d(x, (2, 2), ignore_border=True) ** 2), x)
    with pytest.raises((NotImplementedError, NullTypeGradError)):
        T.grad(gradient.sum(), x)


def test_older_names_mean_the_same():
    value = distinct((2, 7, 7)).astype("float32")
    x = T.tensor3()
    new = pool_2d(x, ws=(3, 3), ignore_border=True, stride=(2, 2), pad=(1, 1), mode="sum")
    old = pool_2d(x, ds=(3, 3), ignore_border=True, st=(2, 2), padding=(1, 1), mode="sum")
    oldest = theano.tensor.signal.downsample.max_pool_2d(
        x, (3, 3), ignore_border=True, st=(2, 2), padding=(1, 1), mode="sum"
    )
    expected = pool_with_loops(value, (3, 3), (2, 2), (1, 1), True, "sum")
    for result in theano.function([x], [new, old, oldest])(value):
        np.testing.assert_allclose(result, expected)
    pooled = theano.tensor.signal.downsample.max_pool_2d(x, (3, 2))
    expected = pool_with_loops(value, (3, 2), (3, 2), (0, 0), False, "max")
    np.testing.assert_allclose(theano.function([x], pooled)(value), expected)


def test_pooling_is_found_under_theano_tensor():
    assert T.signal.pool.pool_2d is pool_2d
    assert T.signal.downsample.max_pool_2d is theano.tensor.signal.downsample.max_pool_2d


def test_one_number_serves_all_axes_and_None_means_no_padding():
    value = distinct((6, 6)).astype("float32")
    x = T.matrix()
    f = theano.function([x], pool_2d(x, 3, ignore_border=True, stride=2, pad=None))
    expected = pool_with_loops(value, (3, 3), (2, 2), (0, 0), True, "max")
    np.testing.assert_allclose(f(value), expected)


def test_padding_without_ignore_border_is_not_implemented():
    with pytest.raises(NotImplementedError, match="ignore_border=True"):
        pool_2d(T.tensor4(), (2, 2), ignore_border=False, pad=(1, 0))


def test_padding_as_wide_as_the_window_is_not_implemented():
    with pytest.raises(NotImplementedError, match="smaller than the window"):
        pool_2d(T.tensor4(), (2, 2), ignore_border=True, pad=(2, 0))


@pytest.mark.parametrize(
    "options",
    [
        {"mode": "median"},
        {"ws": (0, 2)},
        {"ws": None},
        {"ws": (2, 2, 2)},
        {"ws": T.fvector()},
        {"ws": (T.fscalar(), 2)},
        {"stride": 0},
        {"pad": (-1, 0)},
    ],
    ids=lambda o: f"{next(iter(o))}",
)
def test_options_that_do_not_exist_are_refused(options):
    with pytest.raises(ValueError):
        pool_2d(T.tensor4(), **{"ws": (2, 2), "ignore_border": True, **options})


@pytest.mark.parametrize("theano_mode", MODES)
@pytest.mark.parametrize("mode, ignore_border", [("max", True), ("average_exc_pad", False)])
def test_windows_that_follow_from_the_input_equal_those_given_as_numbers(theano_mode, mode, ignore_border):
    x, shape = T.dtensor3(), (2, 7, 5)
    value = distinct(shape)

    def outcomes(ws, stride):
        out = pool_2d(x, ws, ignore_border, stride, mode=mode)
        return [out, T.grad((out**2).sum(), x), out.shape]

    rows, columns = x.shape[1] // 2, x.shape[2] // 2
    varied = outcomes((rows, columns), T.stack([rows - 1, columns + 1]))
    f = theano.function([x], varied + outcomes((3, 2), (2, 3)), mode=theano_mode)
    results = f(value)
    for result, expected in zip(results[:3], results[3:], strict=True):
        np.testing.assert_array_equal(result, expected)


def test_a_window_may_be_an_input():
    x, ws = T.dmatrix(), T.ivector()
    value = distinct((4, 6))
    f = theano.function([x, ws], pool_2d(x, ws, ignore_border=True))
    with pytest.warns(UserWarning, match="JAX cannot: Pool of a window that depends on values"):
        f(value, (1, 1))
    for window in [(2, 3), (4, 1)]:
        expected = pool_with_loops(value, window, window, (0, 0), True, "max")
        np.testing.assert_array_equal(f(value, window), expected)
    with pytest.raises(ValueError, match="out of range"):
        f(value, (0, 1))


def test_inputs_of_too_few_axes_are_refused():
    with pytest.raises(TypeError, match="the input has 1"):
        pool_2d(T.vector(), (2, 2), ignore_border=True)
