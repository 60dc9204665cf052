"""theano.shared: values in and out, their types, and copies that stay copies."""

import copy
import pickle

import numpy as np
import pytest

import theano
import theano.tensor as T


def used(value):
    """A shared variable that a compiled function has moved to JAX, with the function adding 1 to it."""
    variable = theano.shared(value, "variable")
    return variable, theano.function([], updates={variable: variable + 1})


def test_get_value_is_a_writable_array_that_updates_leave_alone():
    s, add_one = used(np.zeros(3, "float32"))
    before = s.get_value()
    add_one()
    after_one = s.get_value()
    add_one()
    add_one()
    np.testing.assert_array_equal(before, [0, 0, 0])
    np.testing.assert_array_equal(after_one, [1, 1, 1])
    for value in (before, after_one, s.get_value()):
        assert type(value) is np.ndarray and value.flags.writeable and value.flags.owndata
    after_one += 100
    np.testing.assert_array_equal(s.get_value(), [3, 3, 3])


def test_a_borrowed_value_is_right_when_taken():
    s, add_one = used(np.zeros(3, "float32"))
    for step in range(3):
        np.testing.assert_array_equal(s.get_value(borrow=True), np.full(3, step))
        add_one()


def test_set_value_copies_unless_borrowing_is_allowed():
    value = np.zeros(3, "float32")
    s = theano.shared(value)
    value += 1
    np.testing.assert_array_equal(s.get_value(), [0, 0, 0])
    s.set_value(value)
    value += 1
    np.testing.assert_array_equal(s.get_value(), [1, 1, 1])
    s.set_value(value, borrow=True)
    assert s.get_value(borrow=True) is value
    assert theano.shared(value, borrow=True).get_value(borrow=True) is value


def test_updates_leave_a_borrowed_array_alone():
    value = np.zeros(3, "float32")
    s = theano.shared(value, borrow=True)
    theano.function([], updates={s: s + 1})()
    np.testing.assert_array_equal(value, [0, 0, 0])
    np.testing.assert_array_equal(s.get_value(), [1, 1, 1])


@pytest.mark.parametrize(
    "value, dtype",
    [
        (3, "int64"),
        (0.5, "float64"),
        (True, "bool"),
        (np.float32(0.5), "float32"),
        (np.zeros((2, 3), "uint8"), "uint8"),
        ([1.0, 2.0], "float64"),
    ],
)
def test_the_value_decides_the_type(value, dtype):
    s = theano.shared(value)
    assert s.dtype == dtype
    assert s.ndim == np.ndim(value)
    assert s.get_value().dtype == dtype
    np.testing.assert_array_equal(s.get_value(), value)


def test_python_numbers_fit_into_float32():
    rate = theano.shared(np.float32(0.1))
    rate.set_value(0.01)
    assert rate.get_value() == np.float32(0.01)
    rate.set_value(0)
    assert rate.get_value() == 0
    assert rate.get_value().dtype == np.float32


def test_values_that_do_not_fit_are_refused():
    s = theano.shared(np.zeros(3, "float32"), "s")
    for value in (np.zeros((1, 3), "float32"), np.zeros(3), "text"):
        with pytest.raises((TypeError, ValueError)):
            s.set_value(value)
    np.testing.assert_array_equal(s.get_value(), [0, 0, 0])


def test_a_declared_length_is_kept():
    s = theano.shared(np.zeros((1, 3), "float32"), broadcastable=(True, False))
    assert s.broadcastable == (True, False)
    assert theano.shared(np.zeros((1, 3))).broadcastable == (False, False)
    with pytest.raises(TypeError):
        s.set_value(np.zeros((2, 3), "float32"))
    assert theano.shared(np.zeros((2, 3)), shape=(2, None)).type.shape == (2, None)


def test_a_symbolic_value_is_refused():
    with pytest.raises(TypeError, match="not a symbolic variable"):
        theano.shared(T.scalar())


def test_zero_sets_every_element():
    s, add_one = used(np.ones((2, 2), "float32"))
    add_one()
    s.zero()
    np.testing.assert_array_equal(s.get_value(), np.zeros((2, 2)))


@pytest.mark.parametrize(
    "duplicate",
    [copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s))],
    ids=["deepcopy", "pickle"],
)
@pytest.mark.parametrize("value", [np.arange(3, dtype="float32"), np.float32(4)], ids=["vector", "scalar"])
def test_duplicates_hold_the_value_and_go_their_own_way(duplicate, value):
    s, add_one = used(value)
    add_one()
    other = duplicate(s)
    assert (other.name, other.type) == (s.name, s.type)
    np.testing.assert_array_equal(other.get_value(), value + 1)
    add_one()
    theano.function([], updates={other: other * 10})()
    np.testing.assert_array_equal(s.get_value(), value + 2)
    np.testing.assert_array_equal(other.get_value(), (value + 1) * 10)


def test_a_clone_of_inputs_shares_the_value():
    s = theano.shared(np.zeros(2, "float32"), "s")
    other = theano.clone(s, share_inputs=False)
    assert other is not s
    other.set_value(np.ones(2, "float32"))
    np.testing.assert_array_equal(s.get_value(), [1, 1])
    assert theano.clone(s + 1, share_inputs=True).owner.inputs[0] is s


def test_clone_replaces_variables():
    x, y, s = T.vector("x"), T.vector("y"), theano.shared(np.full(2, 3, "float32"))
    cloned = theano.clone([x * s, x + 1], replace={x: y - 1})
    f = theano.function([y], cloned)
    np.testing.assert_array_equal(f(np.ones(2, "float32")), [[0, 0], [1, 1]])


def test_default_updates_must_fit_the_variable():
    s = theano.shared(np.zeros(2, "float32"), "s")
    with pytest.raises(TypeError):
        s.default_update = T.cast(s, "float64")
    s.default_update = s + 1
    s.default_update = None
    assert s.default_update is None
