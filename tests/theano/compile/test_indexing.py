"""Slices and indices that only a call knows, against NumPy's, in JAX mode: values, lengths, errors."""

import functools

import numpy as np
import pytest
from extent import examples
from hypothesis import given, settings
from hypothesis import strategies as st

import theano
import theano.tensor as T

pytestmark = pytest.mark.filterwarnings("error:.*JAX cannot")

ROWS, COLUMNS, BATCH = 10, 3, 4
DATA = np.arange(ROWS * COLUMNS, dtype="float32").reshape(ROWS, COLUMNS)
LABELS = np.arange(ROWS) % COLUMNS


def batches(mode=None):
    """A training step on one batch of shared data: loss, batch, labels."""
    data, labels = theano.shared(DATA / 30, "X"), theano.shared(LABELS.astype("float32"), "y")
    weights = theano.shared(np.zeros((COLUMNS, COLUMNS), "float32"), "W")
    i, x, y = T.lscalar("i"), T.matrix("x"), T.ivector("y")
    loss = T.nnet.categorical_crossentropy(T.nnet.softmax(T.dot(x, weights)), y).mean()
    here = slice(i * BATCH, (i + 1) * BATCH)
    return weights, theano.function(
        [i],
        [loss, x, y, x.shape[0]],
        givens={x: data[here], y: T.cast(labels, "int32")[here]},
        updates={weights: weights - T.grad(loss, weights)},
        mode=mode,
    )


def test_a_step_on_a_slice_of_shared_data_equals_the_fallback_and_knows_the_shorter_last_batch():
    (weights, step), (other_weights, other_step) = batches(), batches("FAST_COMPILE")
    for i in [0, 1, 2, 0, 1, 2]:
        loss, x, y, n = step(i)
        np.testing.assert_array_equal(x, DATA[i * BATCH : (i + 1) * BATCH] / np.float32(30))
        np.testing.assert_array_equal(y, LABELS[i * BATCH : (i + 1) * BATCH])
        assert n == len(y) == (2 if i == 2 else BATCH)
        np.testing.assert_allclose(loss, other_step(i)[0], rtol=1e-6)
    np.testing.assert_allclose(weights.get_value(), other_weights.get_value(), atol=1e-6)
    assert step.compilations == 2


def test_data_of_another_length_is_sliced_correctly():
    data, i = theano.shared(DATA), T.iscalar()
    f = theano.function([i], data[i * BATCH : (i + 1) * BATCH])
    assert f(2).shape == (2, COLUMNS)
    data.set_value(np.vstack([DATA, DATA]))
    np.testing.assert_array_equal(f(2), np.vstack([DATA, DATA])[8:12])
    assert f(5).shape == (0, COLUMNS)


@functools.cache
def slicing():
    x, a, b, c = T.matrix("x"), *T.lscalars("a", "b", "c")
    rows = np.array([0, 2, 1])
    outputs = [
        x[a:b],
        x[a:b:2, 1],
        x[::-1][a:, b:c],
        x[a:b][:c],
        x[:, a:b, None],
        x[a:b, rows],
        T.set_subtensor(x[a:b, 0], 7),
        T.inc_subtensor(x[a:b:3, ::2], 1),
        T.inc_subtensor(x[a:b, np.array([0, 0])], 1),
        T.grad(T.sum(x[a:b] ** 2), x),
        x[a:b].shape,
    ]
    return theano.function([x, a, b, c], outputs)


def slices_by_numpy(x, a, b, c):
    set_, increased, twice, gradient = (x.copy() for _ in range(4))
    set_[a:b, 0] = 7
    increased[a:b:3, ::2] += 1
    np.add.at(twice, (slice(a, b), [0, 0]), 1)
    gradient[:] = 0
    gradient[a:b] = 2 * x[a:b]
    return [
        x[a:b],
        x[a:b:2, 1],
        x[::-1][a:, b:c],
        x[a:b][:c],
        x[:, a:b, None],
        x[a:b, [0, 2, 1]],
        set_,
        increased,
        twice,
        gradient,
        np.shape(x[a:b]),
    ]


@given(*[st.integers(-5, 5)] * 3, st.integers(0, 4))
@settings(max_examples=examples(30), deadline=None)
def test_slices_between_integer_inputs_equal_numpy(a, b, c, rows):
    x = DATA[:rows]
    for result, expected in zip(slicing()(x, a, b, c), slices_by_numpy(x, a, b, c), strict=True):
        np.testing.assert_array_equal(result, expected)


def test_only_the_length_of_a_slice_compiles():
    a, b = T.iscalars("a", "b")
    f = theano.function([a, b], T.constant(DATA)[a:b])
    for start in range(5):
        np.testing.assert_array_equal(f(start, start + 3), DATA[start : start + 3])
    assert f.compilations == 1
    assert f(0, 4).shape == (4, COLUMNS)
    assert f.compilations == 2


@pytest.mark.parametrize(
    "build, expected",
    [
        (lambda n: T.zeros((n, 2)), lambda n: np.zeros((n, 2))),
        (lambda n: T.arange(n), np.arange),
        (lambda n: T.arange(12).reshape((n, -1)), lambda n: np.arange(12).reshape((n, -1))),
        (lambda n: T.arange(12)[::n], lambda n: np.arange(12)[::n]),
        (lambda n: T.arange(12)[n::-1], lambda n: np.arange(12)[n::-1]),
        (lambda n: T.eye(n), np.eye),
        (lambda n: T.repeat(T.arange(3), n), lambda n: np.repeat(np.arange(3), n)),
        (lambda n: T.tile(T.arange(3), (n,)), lambda n: np.tile(np.arange(3), n)),
    ],
    ids=["zeros", "arange", "reshape", "step", "backwards", "eye", "repeat", "tile"],
)
def test_a_number_that_decides_about_lengths_becomes_a_constant(build, expected):
    n = T.iscalar("n")
    f = theano.function([n], build(n))
    for value in (3, 2, 3):
        np.testing.assert_array_equal(f(value), expected(value))
    assert f.compilations == 2


def test_random_numbers_may_be_as_many_as_an_input_says():
    n = T.iscalar()
    f = theano.function([n], theano.sandbox.rng_mrg.MRG_RandomStreams(1).uniform((n, 2)))
    assert f(3).shape == (3, 2) and f(5).shape == (5, 2)


MODES = ["JAX", "FAST_COMPILE"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "build, good, bad",
    [
        (lambda x, i: x[i], [9, -10], [10, -11]),
        (lambda x, i: x[:, i], [2, -3], [3, -4]),
        (lambda x, i: x[T.stack([i, 0])], [9, -10], [10, -11]),
        (lambda x, i: x[T.arange(3), T.stack([0, i, 1])], [2, -3], [3, -4]),
        (lambda x, i: T.set_subtensor(x[i], 1), [9, -10], [10, -11]),
        (lambda x, i: T.inc_subtensor(x[T.stack([i, i])], 1), [9, -10], [10, -11]),
        (lambda x, i: T.grad(x[i].sum(), x), [9, -10], [10, -11]),
        (lambda x, i: T.take(x, T.stack([i]), axis=1), [2, -3], [3, -4]),
        (lambda x, i: theano.map(lambda j: x[j], T.stack([0, i]))[0], [9, -10], [10, -11]),
    ],
    ids=["row", "column", "rows", "pairs", "set", "inc", "grad", "take", "scan"],
)
def test_an_index_out_of_range_is_an_error_in_both_modes(mode, build, good, bad):
    x, i = T.matrix("x"), T.lscalar("i")
    f = theano.function([x, i], build(x, i), mode=mode, name="lookup")
    for index in good:
        f(DATA, index)
    for index in bad:
        with pytest.raises(IndexError):
            f(DATA, index)
    f(DATA, good[0])


def test_the_error_names_function_index_and_length():
    i = T.iscalar()
    f = theano.function([i], theano.shared(DATA)[i], name="lookup")
    with pytest.raises(IndexError, match=r"'lookup'.*index 10 is out of bounds.* size 10"):
        f(10)


def test_an_index_beside_a_slice_is_out_of_range():
    """PyTensor's other modes merge index and slice, and read what lies beside it."""
    x, i = T.matrix(), T.lscalar()
    f = theano.function([x, i], x[2:6][i])
    np.testing.assert_array_equal([f(DATA, 3), f(DATA, -4)], [DATA[5], DATA[2]])
    for index in (4, -5):
        with pytest.raises(IndexError):
            f(DATA, index)


def test_labels_that_are_no_classes_are_an_error():
    """Labels that count from 1 would train the last class twice."""
    p, y = T.matrix(), T.ivector()
    f = theano.function([p, y], T.nnet.categorical_crossentropy(p, y))
    probabilities = np.full((2, 3), 1 / 3, "float32")
    np.testing.assert_allclose(f(probabilities, [0, 2]), np.log([3, 3]), rtol=1e-6)
    with pytest.raises(IndexError, match="index 3"):
        f(probabilities, [1, 3])


def test_an_index_in_the_graph_itself_is_checked_before_it_compiles():
    x = T.matrix()
    for build in (lambda: x[10], lambda: x[:, -4], lambda: x[[0, 10]]):
        with pytest.raises(IndexError, match=r"(?i)index .* is out of (range|bounds)"):
            theano.function([x], build())(DATA)


def test_shared_variables_stay_usable_after_an_index_error():
    s, i = theano.shared(DATA), T.iscalar()
    f = theano.function([i], s[i], updates={s: s + 1})
    with pytest.raises(IndexError):
        f(10)
    f(0)
    assert np.isfinite(s.get_value()).all()


def test_slices_between_computed_numbers_run_on_the_fallback(monkeypatch):
    monkeypatch.setattr("pytensor.config.mode", "FAST_COMPILE")
    x = T.vector()
    f = theano.function([x], x[: T.cast(x.sum(), "int32")], name="cut")
    with pytest.warns(UserWarning, match="'cut' runs on .* since JAX cannot"):
        np.testing.assert_array_equal(f([1, 1, 0]), [1, 1])
