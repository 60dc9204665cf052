"""Where JAX computes otherwise than Theano did: both modes against NumPy, so that no difference is silent."""

import numpy as np
import pytest
from extent import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import theano
import theano.tensor as T

pytestmark = pytest.mark.filterwarnings("error:.*JAX cannot")

MODES = ["JAX", "FAST_COMPILE"]
ELEMENTWISE = [
    lambda x, y: x + y,
    lambda x, y: T.exp(x) * y - x,
    lambda x, y: T.switch(x > 0, x, y),
    lambda x, y: T.eq(x, y),
    lambda x, y: T.sum((x - y) ** 2),
]
INTEGERS = ["int8", "uint8", "int32", "int64"]


def compute(mode, build, *values):
    """Value of an expression of vectors."""
    values = [np.asarray(v) for v in values]
    inputs = [T.TensorType(v.dtype, (None,) * v.ndim)() for v in values]
    return theano.function(inputs, build(*inputs), mode=mode)(*values)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", [*INTEGERS, "float32", "float64"])
def test_division_rounds_down_and_the_remainder_has_the_divisor_s_sign(mode, dtype):
    signed = np.dtype(dtype).kind != "u"
    a = np.array([7, -7, 7, -7, 6, 0] if signed else [7, 8, 9, 250, 6, 0], dtype)
    b = np.array([2, 2, -2, -2, 3, 5] if signed else [2, 3, 9, 7, 3, 5], dtype)
    quotient, remainder = compute(mode, lambda a, b: [a // b, a % b], a, b)
    np.testing.assert_array_equal(quotient, [int(x) // int(y) for x, y in zip(a, b, strict=True)])
    np.testing.assert_array_equal(remainder, [int(x) % int(y) for x, y in zip(a, b, strict=True)])


@pytest.mark.parametrize("mode", MODES)
def test_true_division_of_integers_gives_floatX(mode):
    result = compute(mode, lambda a, b: a / b, np.array([7, -7], "int32"), np.array([2, 2], "int32"))
    np.testing.assert_array_equal(result, [3.5, -3.5])
    assert result.dtype == np.float32


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", INTEGERS)
def test_integers_wrap_around(mode, dtype):
    limits = np.iinfo(dtype)
    a, b = np.array([limits.max, limits.min], dtype), np.array([1, 1], dtype)
    for result, exact in zip(
        compute(mode, lambda a, b: [a + b, b - a, a * a], a, b),
        [[int(x) + 1 for x in a], [1 - int(x) for x in a], [int(x) ** 2 for x in a]],
        strict=True,
    ):
        assert result.dtype == dtype
        width = 2**limits.bits
        np.testing.assert_array_equal(result.astype(object) % width, [n % width for n in exact])


@pytest.mark.parametrize("mode", MODES)
def test_uint8_arithmetic_widens(mode):
    image, shift = np.array([250, 3], "uint8"), np.array([10, -10], "int8")
    results = compute(mode, lambda a, b: [a + b, a - 5, a * np.float32(0.5), a.sum(), a.mean()], image, shift)
    expected = [[260, -7], [245, -2], [125, 1.5], 253, 126.5]
    for result, numbers in zip(results, expected, strict=True):
        np.testing.assert_array_equal(result, numbers)
    assert [r.dtype for r in results[:4]] == ["int16", "int16", "float32", "uint64"]


@pytest.mark.parametrize("mode", MODES)
def test_of_equal_maxima_the_first_counts_and_nan_is_one(mode):
    x = np.array([[1, 3, 3, 2], [0, 0, 0, 0], [1, np.nan, 9, np.nan]])
    where, low, most, least = compute(
        mode, lambda x: [T.argmax(x, 1), T.argmin(x, 1), T.max(x, 1), T.min(x, 1)], x
    )
    np.testing.assert_array_equal(where, [1, 0, 1])
    np.testing.assert_array_equal(low, [0, 0, 1])
    np.testing.assert_array_equal(most, [3, 0, np.nan])
    np.testing.assert_array_equal(least, [1, 0, np.nan])


@pytest.mark.parametrize("mode", MODES)
def test_nan_goes_through_maximum_clip_and_comparisons(mode):
    x = np.array([np.nan, 1, -1])
    results = compute(
        mode, lambda x: [T.maximum(x, 0), T.minimum(0, x), T.clip(x, -0.5, 0.5), x > 0, T.isnan(x)], x
    )
    expected = [[np.nan, 1, 0], [np.nan, 0, -1], [np.nan, 0.5, -0.5], [0, 1, 0], [1, 0, 0]]
    for result, numbers in zip(results, expected, strict=True):
        np.testing.assert_array_equal(result, numbers)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rounding_goes_to_even_or_away_from_zero_as_chosen(mode, dtype):
    x = np.array([0.5, 1.5, 2.5, -0.5, -2.5, 2.4999], dtype)
    to_even, away, plain, down, up = compute(
        mode,
        lambda x: [
            T.round(x, "half_to_even"),
            T.round(x, "half_away_from_zero"),
            T.round(x),
            T.floor(x),
            T.ceil(x),
        ],
        x,
    )
    np.testing.assert_array_equal(to_even, [0, 2, 2, 0, -2, 2])
    np.testing.assert_array_equal(plain, to_even)
    np.testing.assert_array_equal(away, [1, 2, 3, -1, -3, 2])
    np.testing.assert_array_equal(down, [0, 1, 2, -1, -3, 2])
    np.testing.assert_array_equal(up, [1, 2, 3, 0, -2, 3])


@pytest.mark.parametrize("mode", MODES)
def test_casts_of_floats_cut_the_fraction_off(mode):
    x = np.array([1.9, -1.9, 127.5, -0.5])
    for dtype in ("int8", "int32", "int64"):
        result = compute(mode, lambda x, dtype=dtype: T.cast(x, dtype), x)
        np.testing.assert_array_equal(result, [1, -1, 127, 0])
        assert result.dtype == dtype


@pytest.mark.parametrize("mode", MODES)
@given(st.lists(st.integers(-3, 2), min_size=1, max_size=6))
@settings(max_examples=examples(10), deadline=None)
def test_of_repeated_indices_every_increment_counts_and_the_last_value_stays(mode, where):
    x = np.zeros(3, "float32")
    y = np.arange(1, len(where) + 1, dtype="float32")
    increased, replaced = compute(
        mode,
        lambda x, y, i: [T.inc_subtensor(x[i], y), T.set_subtensor(x[i], y)],
        x,
        y,
        np.array(where),
    )
    expected_sum, expected_last = np.zeros(3), np.zeros(3)
    for index, value in zip(where, y, strict=True):
        expected_sum[index] += value
        expected_last[index] = value
    np.testing.assert_array_equal(increased, expected_sum)
    np.testing.assert_array_equal(replaced, expected_last)


@pytest.mark.parametrize("mode", MODES)
def test_empty_sums_are_neutral_and_empty_maxima_an_error(mode):
    x = np.zeros((0, 2), "float32")
    results = compute(mode, lambda x: [x.sum(0), x.prod(0), T.all(x, 0), T.any(x, 0)], x)
    for result, neutral in zip(results, [0, 1, True, False], strict=True):
        np.testing.assert_array_equal(result, [neutral] * 2)
    assert np.isnan(compute(mode, lambda x: x.mean(), x))
    for reduction in (T.max, T.min, T.argmax):
        with pytest.raises(ValueError):
            compute(mode, lambda x, reduction=reduction: reduction(x, axis=0), x)


@pytest.mark.parametrize("mode", MODES)
def test_switch_takes_the_wider_type_of_its_branches(mode):
    for a, b, expected in [("float32", "float64", "float64"), ("int8", "int32", "int32")]:
        result = compute(
            mode,
            lambda c, x, y: T.switch(c > 0, x, y),
            np.array([1, 0], "int8"),
            np.array([1, 2], a),
            np.array([3, 4], b),
        )
        assert result.dtype == expected
        np.testing.assert_array_equal(result, [1, 4])


@pytest.mark.parametrize(
    "mode, build",
    [
        *((mode, build) for mode in MODES for build in ELEMENTWISE),
        # FAST_COMPILE gives the other operand as the gradient of a product, as Theano did.
        ("JAX", lambda x, y: T.grad(T.sum(x * y), x)),
    ],
)
@pytest.mark.parametrize("shapes", [((3, 1), (3, 4)), ((1, 4), (3, 4)), ((3, 4), (3, 1))], ids=str)
def test_an_axis_that_only_happens_to_be_of_length_one_is_not_broadcast(mode, build, shapes):
    """Predictions of shape (n, 1) less targets of shape (n,): Theano refuses, NumPy makes a matrix."""
    with pytest.raises(ValueError):
        compute(mode, build, *(np.ones(s, "float32") for s in shapes))


@pytest.mark.parametrize("mode", MODES)
def test_an_axis_declared_to_be_of_length_one_is_broadcast(mode):
    x, y = T.matrix(), T.col()
    f = theano.function([x, y], x + y, mode=mode)
    np.testing.assert_array_equal(
        f(np.zeros((2, 3), "float32"), np.array([[1], [2]], "float32")), [[1] * 3, [2] * 3]
    )
    z = T.matrix()
    f = theano.function([x, z], x + T.addbroadcast(z, 1), mode=mode)
    np.testing.assert_array_equal(
        f(np.zeros((2, 3), "float32"), np.array([[1], [2]], "float32")), [[1] * 3, [2] * 3]
    )


@pytest.mark.parametrize("mode", MODES)
@given(arrays("float64", (2, 3), elements=st.floats(-1e3, 1e3)))
@settings(max_examples=examples(10), deadline=None)
def test_sorting_equals_numpy(mode, value):
    x = T.dmatrix()
    f = theano.function([x], [T.sort(x, axis=1), T.argsort(x, axis=1)], mode=mode)
    ordered, order = f(value)
    np.testing.assert_array_equal(ordered, np.sort(value, axis=1))
    np.testing.assert_array_equal(np.take_along_axis(value, order, 1), ordered)
