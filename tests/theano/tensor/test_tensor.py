"""What theano.tensor has beyond PyTensor's tensors: legacy names and forms."""

import numpy as np
import pytensor
import pytest

import theano
import theano.tensor as T

pytestmark = pytest.mark.filterwarnings("error:.*JAX cannot")


def test_legacy_names_compute_what_they_say():
    x = T.dvector()
    value = np.array([-2.0, 0.5, 4])
    results = theano.function([x], [T.abs_(x), T.inv(x), T.neq(x, 4), T.sgn(x), T.sqr(x)])(value)
    expected = [abs(value), 1 / value, value != 4, np.sign(value), value**2]
    for result, numbers in zip(results, expected, strict=True):
        np.testing.assert_array_equal(result, numbers)


def test_stack_takes_a_list_or_tensors_one_by_one():
    x, y = T.dvector(), T.dvector()
    f = theano.function([x, y], [T.stack([x, y]), T.stack(x, y), T.stack([x, y], 1), T.stack([x, y], axis=1)])
    a, b = np.array([1.0, 2]), np.array([3.0, 4])
    first, second, third, fourth = f(a, b)
    np.testing.assert_array_equal(first, [a, b])
    np.testing.assert_array_equal(second, [a, b])
    np.testing.assert_array_equal(third, np.transpose([a, b]))
    np.testing.assert_array_equal(fourth, np.transpose([a, b]))


@pytest.mark.parametrize("mode", ["JAX", "FAST_COMPILE"])
@pytest.mark.parametrize("shape", [(2, 3, 4), (0, 3, 4), (2, 1, 1)], ids=str)
def test_flatten_joins_the_trailing_axes(mode, shape):
    x = T.tensor3()
    f = theano.function([x], [x.flatten(), x.flatten(2), T.flatten(x, 3)], mode=mode)
    value = np.arange(np.prod(shape), dtype="float32").reshape(shape)
    for result, rows in zip(f(value), [(value.size,), (shape[0], shape[1] * shape[2]), shape], strict=True):
        np.testing.assert_array_equal(result, value.reshape(rows))
    assert theano.function([], T.constant(5.0).flatten(), mode=mode)().shape == (1,)


def test_flatten_to_more_axes_than_there_are_is_refused():
    for axes in (0, 3):
        with pytest.raises(ValueError, match="2 axes cannot be flattened"):
            T.flatten(T.matrix(), axes)
        with pytest.raises(ValueError, match="out of bound"):
            T.matrix().flatten(axes)


def test_broadcast_patterns_are_declared():
    x = T.matrix()
    assert T.addbroadcast(x, 0).broadcastable == (True, False)
    assert T.patternbroadcast(x, (False, True)).broadcastable == (False, True)
    assert T.unbroadcast(T.row(), 0) is not None
    f = theano.function([x], T.zeros((3, 2)) + T.addbroadcast(x, 0))
    np.testing.assert_array_equal(f(np.ones((1, 2), "float32")), np.ones((3, 2)))


def test_shared_variables_and_expressions_are_distinguished():
    s = theano.shared(np.zeros(3))
    assert isinstance(s + 1, T.TensorVariable) and isinstance(T.vector(), T.TensorVariable)
    assert not isinstance(s, T.TensorVariable)
    assert isinstance(s, T.TensorSharedVariable) and isinstance(s, theano.compile.SharedVariable)


def test_listed_names_exist():
    assert [name for name in T.__all__ if not hasattr(T, name)] == []


def test_the_older_name_of_the_number_of_axes_is_taken():
    x = T.tensor3()
    assert T.flatten(x, outdim=2).ndim == 2
    with pytest.raises(ValueError, match="outdim, not both"):
        T.flatten(x, ndim=2, outdim=2)


def test_a_variable_is_true_where_theano_is_imported_but_for_comparisons():
    x = T.matrix()
    present = [x, x.sum(), T.constant(0), theano.shared(0), T.eq(x, 1), ~(x > 0), T.cast(x > 0, "int32")]
    assert [bool(v) for v in present] == [True] * len(present)
    assert (x or None) is x and not (not x) and x != 0
    for comparison in (x > 0, x >= 0, T.scalar() < 1, x.T <= 0):
        with pytest.raises(TypeError):
            bool(comparison)
    with pytest.raises(TypeError):
        assert 1 < T.scalar() < 2


def test_elsewhere_pytensor_refuses_it_as_before():
    with pytest.raises(TypeError, match="boolean"):
        eval("bool(x)", {"x": pytensor.tensor.matrix()})


def test_arguments_come_in_theano_s_order_and_under_its_names():
    x, value = T.dvector(), np.array([1.0, 2, 4])
    assert T.matrix("m", "int8").dtype == T.tensor3(dtype="int8", name="t").dtype == "int8"
    assert T.is_flat(x, outdim=1) and not T.is_flat(T.matrix())
    assert T.mean(x, 0, None, True).ndim == 0 and T.mean(x, 0, None, False, True).ndim == 1
    results = [T.dot(a=x, b=x), T.repeat(x=x, repeats=2), T.unravel_index(3, T.as_tensor([2, 2]), ndim=2)[1]]
    first, second, third = theano.function([x], results)(value)
    assert (first, third) == (21, 1)
    np.testing.assert_array_equal(second, np.repeat(value, 2))
    with pytest.raises(TypeError, match="vector takes name, dtype; got 3 arguments"):
        T.vector("v", "int8", (3,))


def test_tile_takes_the_number_of_axes():
    x, times = T.dvector(), T.ivector()
    value = np.array([1.0, 2])
    varied = T.tile(x, times, ndim=3)
    assert varied.ndim == 3
    f = theano.function([x], [T.tile(x, r, ndim=2) for r in (2, (2,), (3, 1), T.as_tensor([3, 1]))])
    for result, reps in zip(f(value), [2, 2, (3, 1), (3, 1)], strict=True):
        np.testing.assert_array_equal(result, np.tile(value[None], reps))
    g = theano.function([x, times], varied, mode="FAST_COMPILE")
    np.testing.assert_array_equal(g(value, [3, 2]), np.tile(value[None, None], (3, 2)))
    for reps, axes in [(2, 0), ((2, 2), 1)]:
        with pytest.raises(ValueError, match="axes are fewer"):
            T.tile(x, reps, ndim=axes)
