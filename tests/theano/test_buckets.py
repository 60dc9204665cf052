"""Sequences of many lengths on one program, against PyTensor's Python mode, which pads nothing."""

import warnings

import numpy as np
import pytest

import theano
import theano.tensor as T

STEP = 8
LENGTHS = (5, 13, 6, 7, 8, 9, 15, 16, 17, 11, 3)


@pytest.fixture(autouse=True)
def _buckets():
    with theano.config.change_flags(length_buckets=STEP, floatX="float64"):
        yield


def parameter(*shape, seed=0):
    return theano.shared(np.random.default_rng(seed).normal(size=shape) * 0.5)


W, U, V = parameter(3, 4, seed=1), parameter(4, 4, seed=2), parameter(4, seed=3)


def recurrent(x, **options):
    def step(x, h):
        return T.tanh(T.dot(x, W) + T.dot(h, U))

    return theano.scan(step, x, T.zeros((x.shape[1], 4)), **options)[0]


def second_order(x):
    start = T.zeros((2, x.shape[1], 4))
    outs = {"initial": start, "taps": [-2, -1]}
    return theano.scan(lambda x, a, b: T.tanh(T.dot(x, W) + T.dot(a - b, U)), x, outs)[0]


def neighbours(x):
    return theano.scan(lambda a, b, c: a * b - c, {"input": x, "taps": [-1, 0, 1]})[0]


def attention(h):
    scores = T.nnet.softmax(T.dot(h, V).T)
    return (scores.T[:, :, None] * h).sum(axis=0)


def pairs(h):
    """Of each step with each."""
    flat = h.sum(axis=1)
    return T.nnet.softmax(T.dot(flat, flat.T)).dot(flat)


def nested(x):
    def outer(row, total):
        inner = theano.scan(lambda s, t: T.tanh(s + t), row, T.zeros_like(row[0]))[0]
        return total + inner.sum()

    return theano.scan(outer, x, T.zeros(()))[0]


PROGRAMS = {
    "states": lambda x, h: [
        h,
        h[-1],
        h[:-2],
        h[-4:-1].sum(axis=0),
        h.mean(axis=0),
        h.var(axis=0),
        x.shape[0] * T.ones_like(h[0]),
        T.cumsum(h, axis=0),
        T.concatenate([h, h[::-1] * 2], axis=0),
        T.concatenate([T.zeros_like(h[:1]), h], axis=0),
        T.dot(h.reshape((-1, 4)), U).reshape(h.shape),
        (h.flatten(2) ** 2).sum(axis=1),
        T.arange(x.shape[0])[:, None, None] * h,
        T.eye(x.shape[0]).dot(h.sum(axis=1)),
        T.set_subtensor(h[0], 0).sum(axis=0),
        T.inc_subtensor(h[-1], x.shape[0]).sum(axis=0),
    ],
    "extremes": lambda x, h: [
        *(h.max(axis=0), h.min(axis=0), h.argmax(axis=0), h.prod(axis=0)),
        *((h > 0).any(axis=0), (h < 0.9).all(axis=0)),
    ],
    "gradients": lambda x, h: [
        *T.grad(h.mean(), [W, U]),
        *T.grad((h[-1] ** 2).sum(), [W, U, x]),
        *T.grad((h[1:-1] ** 2).sum() + h[0].sum(), [W, U, x]),
    ],
    "the next": lambda x, h: T.grad(((recurrent(x[:-1])[:, :, :3] - x[1:]) ** 2).mean(), [W, U]),
    "backwards": lambda x, h: [
        recurrent(x[::-1]),
        recurrent(x, go_backwards=True)[::-1],
        *T.grad(T.concatenate([h, recurrent(x[::-1])[::-1]], axis=2).max(axis=0).sum(), [W, U]),
    ],
    "taps": lambda x, h: [
        second_order(x),
        neighbours(x),
        *T.grad(second_order(x)[-1].sum(), [W, U]),
        T.grad(neighbours(x).sum(), x),
    ],
    "attention": lambda x, h: [attention(h), pairs(h), *T.grad(attention(h).sum(), [W, V])],
    "loops": lambda x, h: [
        nested(x),
        theano.scan(lambda h: T.tanh(h.dot(U)), outputs_info=h[-1], n_steps=4)[0],
    ],
}

# Their programs for one length do not show what they are for another.
NOT_PADDED = {
    "every second": lambda x, h: recurrent(x[::2]),
    "half": lambda x, h: h[: x.shape[0] // 2].sum(axis=0),
    "sorted": lambda x, h: T.sort(h, axis=0),
    "triangle of constants": lambda x, h: T.tril(T.ones((x.shape[0], x.shape[0]))).dot(h.sum(axis=1)),
    "sums from the end": lambda x, h: T.cumsum(h[::-1], axis=0)[::-1].reshape((2, -1)),
}


def check_states(program, lengths=LENGTHS):
    """Compare results of a program of sequences and states, and give the function."""
    x = T.dtensor3("x")
    return check([x], program(x, recurrent(x)), lambda n, rng: [rng.normal(size=(n, 2, 3))], lengths)


def check(inputs, outputs, values_of, lengths=LENGTHS, **options):
    """Compare results, and give the function."""
    function = theano.function(inputs, outputs, **options)
    slow = theano.function(inputs, outputs, mode="FAST_COMPILE", **options)
    rng = np.random.default_rng(0)
    for n in lengths:
        values = values_of(n, rng)
        for one, other in zip(_listed(function(*values)), _listed(slow(*values)), strict=True):
            assert (one.shape, one.dtype) == (other.shape, other.dtype)
            np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)
    return function


def _listed(results):
    return results if isinstance(results, list) else [results]


@pytest.mark.parametrize("name", PROGRAMS)
def test_results_are_those_of_each_length(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        function = check_states(PROGRAMS[name])
    # 5 and 13 for themselves, and 3, which is shorter than both; those up to 8, 16 and 24.
    assert function.compilations == 6
    up_to = [v.numbers.get("lengths up to") for v in function.versions]
    assert sorted(filter(None, up_to)) == [8, 16, 24]


@pytest.mark.parametrize("name", NOT_PADDED)
def test_what_cannot_be_padded_compiles_for_each_length_with_a_warning(name):
    with pytest.warns(
        UserWarning, match="compiles for each length, in spite of theano.config.length_buckets: "
    ):
        function = check_states(NOT_PADDED[name], (5, 13, 6, 7, 6))
    assert function.compilations == 4


def test_what_depends_on_a_remainder_is_noticed():
    """Where the first lengths are even, and a multiple would be, too."""
    with pytest.warns(UserWarning, match="compiles for each length"):
        check_states(lambda x, h: h[: x.shape[0] // 2 * 2], (6, 12, 7, 8))


def test_a_program_is_for_no_length_below_those_that_it_was_made_from():
    function = check_states(lambda x, h: h[-2:], (6, 12, 9, 4, 10, 5))
    assert sum("lengths up to" in v.numbers for v in function.versions) == 2
    with pytest.warns(UserWarning, match="compiles for each length"):
        check_states(lambda x, h: h[-5:], (6, 12, 9, 4, 5))


def test_a_program_that_was_dropped_is_made_again():
    with theano.config.change_flags(compiled_versions=4), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".* met more sets of shapes")
        function = check_states(lambda x, h: h.sum(axis=0), (12, 30, 14, 4, 30, 13, 29, 5, 14, 31, 6))
    assert function.evictions


def test_results_are_arrays_of_their_own():
    function = check_states(lambda x, h: [h.sum(), h], (5, 13, 6))
    for result in function(np.ones((6, 2, 3))):
        assert type(result) is np.ndarray and result.flags.owndata and result.flags.writeable


def test_training_leads_to_the_same_weights():
    """On words as numbers, masked, whose embeddings are trained too."""
    words, mask, labels = T.lmatrix("words"), T.dmatrix("mask"), T.lvector("labels")

    def train(**options):
        E, P, Q = parameter(7, 4, seed=4), parameter(4, 4, seed=5), parameter(4, 3, seed=6)

        def step(x, m, h):
            new = T.tanh(x + T.dot(h, P))
            return m[:, None] * new + (1 - m)[:, None] * h

        embedded = E[words.flatten()].reshape((words.shape[0], words.shape[1], 4))
        h = theano.scan(step, [embedded, mask], T.zeros((words.shape[1], 4)))[0]
        mean = (h * mask[:, :, None]).sum(axis=0) / mask.sum(axis=0)[:, None]
        scores = T.nnet.softmax(T.dot(mean, Q))
        cost = T.nnet.categorical_crossentropy(scores, labels).mean()
        updates = [(p, p - 0.5 * g) for p, g in zip([E, P, Q], T.grad(cost, [E, P, Q]), strict=True)]
        function = theano.function([words, mask, labels], cost, updates=updates, **options)
        rng = np.random.default_rng(0)
        costs = [
            function(
                rng.integers(0, 7, (n, 2)),
                np.arange(n)[:, None] < rng.integers(1, n + 1, 2),
                rng.integers(0, 3, 2),
            )
            for n in LENGTHS
        ]
        return function, costs, [p.get_value() for p in (E, P, Q)]

    function, costs, weights = train()
    _, expected_costs, expected_weights = train(mode="FAST_COMPILE")
    assert function.compilations == 6
    np.testing.assert_allclose(costs, expected_costs, rtol=1e-10)
    for found, expected in zip(weights, expected_weights, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_an_index_beyond_the_length_is_an_error_though_the_padded_array_has_it():
    x, i = T.dtensor3("x"), T.lvector("i")
    function = theano.function([x, i], recurrent(x)[i])
    for n in (5, 13, 6):
        assert function(np.ones((n, 2, 3)), [0, n - 1]).shape == (2, 2, 4)
    assert function.versions[-1].numbers == {"lengths up to": 8}
    for index in (6, 7, 8, -7):
        with pytest.raises(IndexError, match="was asked for elements that do not exist: shape "):
            function(np.ones((6, 2, 3)), [0, index])
    assert function.compilations == 3


def test_other_shapes_are_not_padded():
    """Batches of another size, and two lengths at once."""
    x, y = T.dtensor3("x"), T.dtensor3("y")
    ours = [recurrent(x), recurrent(y).sum(axis=0)]
    sizes = iter([(5, 5, 2), (9, 4, 2), (6, 3, 2), (5, 5, 3), (9, 9, 3), (6, 6, 3)])

    def values_of(n, rng):
        first, second, batch = next(sizes)
        return [rng.normal(size=(first, batch, 3)), rng.normal(size=(second, batch, 3))]

    assert check([x, y], ours, values_of, range(6)).compilations == 6


def test_without_the_setting_each_length_is_compiled():
    with theano.config.change_flags(length_buckets=0):
        assert check_states(lambda x, h: h, (5, 9, 6, 7)).compilations == 4


def test_functions_without_loops_are_compiled_for_each_length():
    x = T.dmatrix()
    assert check([x], x.sum(axis=0), lambda n, rng: [rng.normal(size=(n, 2))], (5, 9, 6, 7)).compilations == 4
