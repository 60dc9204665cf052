"""theano.shared: values in and out, their types, and copies that stay copies."""

import copy
import pickle

import jax
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


@pytest.mark.parametrize("length", [3, 5000])
def test_a_borrowed_value_is_that_of_its_moment_and_read_only(length):
    s, add_one = used(np.zeros(length, "float32"))
    add_one()
    borrowed = s.get_value(borrow=True)
    for _ in range(3):
        add_one()
    np.testing.assert_array_equal(borrowed, np.ones(length))
    np.testing.assert_array_equal(s.get_value(), np.full(length, 4))
    with pytest.raises(ValueError, match="read-only"):
        borrowed[0] = 7


@pytest.mark.parametrize("length", [3, 5000])
def test_a_borrowed_array_is_shared_until_a_function_uses_it(length):
    value = np.zeros(length, "float32")
    s = theano.shared(value, borrow=True)
    mean = theano.function([], s.mean())
    value += 1
    assert mean() == 1
    value += 1
    assert mean() == 1
    s.set_value(value, borrow=True)
    assert mean() == 2


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


def training_step():
    """A step with momentum on a data set that is stored, its rows an input. Returns also what it stores."""
    rng = np.random.default_rng(0)
    data = theano.shared(rng.random((40, 6), "float32"), "data")
    targets = theano.shared(rng.integers(0, 4, 40).astype("int32"), "targets")
    params = [theano.shared(rng.random(s, "float32"), n) for s, n in (((6, 5), "W"), (5, "b"), ((5, 4), "V"))]
    velocities = [theano.shared(np.zeros_like(p.get_value())) for p in params]
    W, b, V = params
    x, t, rows = T.matrix("x"), T.ivector("t"), T.ivector("rows")
    scores = T.dot(T.nnet.relu(T.dot(x, W) + b), V)
    loss = T.nnet.categorical_crossentropy(T.nnet.softmax(scores), t).mean()
    updates = {}
    for p, v, g in zip(params, velocities, T.grad(loss, params), strict=True):
        updates[v] = 0.9 * v - 0.01 * g
        updates[p] = p + updates[v]
    step = theano.function([rows], loss, updates=updates, givens={x: data[rows], t: targets[rows]})
    step(np.arange(8, dtype="int32"))
    return step, [data, targets], params + velocities


def buffers(variables):
    return [v.get_value(return_internal_type=True).unsafe_buffer_pointer() for v in variables]


def test_a_training_step_moves_nothing_to_the_device_but_its_index(capfd):
    """JAX logs each array that it moves to the device, on the processor as well."""
    step, data, state = training_step()
    with jax.transfer_guard("log_explicit"):
        for i in range(5):
            step(np.arange(i, i + 8, dtype="int32"))
    assert capfd.readouterr().err.count("host-to-device transfer") == 5
    state[0].set_value(state[0].get_value())
    with jax.transfer_guard("log_explicit"):
        step(np.arange(8, dtype="int32"))
    assert capfd.readouterr().err.count("host-to-device transfer") == 1 + 1


def test_a_training_step_moves_nothing_to_the_host_but_its_loss(monkeypatch):
    step, data, state = training_step()
    moved = []

    def noting(convert):
        def noted(value, *args, **kwargs):
            if isinstance(value, jax.Array):
                moved.append(value.shape)
            return convert(value, *args, **kwargs)

        return noted

    for convert in (np.array, np.asarray):
        monkeypatch.setattr(np, convert.__name__, noting(convert))
    for i in range(5):
        step(np.arange(i, i + 8, dtype="int32"))
    assert moved == [()] * 5
    state[0].get_value()
    assert moved[5:] == [(6, 5)]


def test_data_stays_in_its_place_and_parameters_on_the_device():
    step, data, state = training_step()
    before = buffers(data)
    for i in range(5):
        step(np.arange(i, i + 8, dtype="int32"))
        assert all(isinstance(v.get_value(return_internal_type=True), jax.Array) for v in data + state)
    assert buffers(data) == before


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
