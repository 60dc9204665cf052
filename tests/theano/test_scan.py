"""theano.scan and its relatives against Python loops, and gradients against loops run by hand."""

import numpy as np
import pytest

import theano
import theano.tensor as T
from theano.sandbox.rng_mrg import MRG_RandomStreams
from theano.tensor.shared_randomstreams import RandomStreams

pytestmark = pytest.mark.filterwarnings("error:.*JAX cannot")

MODES = ["JAX", "FAST_COMPILE"]
RANDOM = np.random.default_rng(0)
XS = RANDOM.normal(size=(5, 3))
W = RANDOM.normal(size=(3, 3)) / 2
H0 = RANDOM.normal(size=3)


def recurrence(xs, h, w):
    """States of a plain recurrent layer."""
    states = []
    for x in xs:
        h = np.tanh(x + h @ w)
        states.append(h)
    return np.array(states)


def backpropagation(cotangent, steps):
    """Gradients to inputs, first state and weights, through the last ``steps`` steps."""
    states = recurrence(XS, H0, W)
    earlier = np.vstack([H0, states[:-1]])
    to_xs, to_w, back = np.zeros_like(XS), np.zeros_like(W), np.zeros(3)
    for t in reversed(range(len(XS) - steps, len(XS))):
        to_xs[t] = (cotangent[t] + back) * (1 - states[t] ** 2)
        to_w += np.outer(earlier[t], to_xs[t])
        back = W @ to_xs[t]
    return to_xs, back if steps == len(XS) else np.zeros(3), to_w


def symbolic_recurrence(**options):
    """The same with scan: inputs and states."""
    xs, h, w = T.dmatrix("xs"), T.dvector("h"), T.dmatrix("w")
    states, updates = theano.scan(
        lambda x, h, w: T.tanh(x + T.dot(h, w)),
        sequences=xs,
        outputs_info=h,
        non_sequences=w,
        **options,
    )
    assert not updates
    return [xs, h, w], states


@pytest.mark.parametrize("mode", MODES)
def test_a_map_over_a_sequence_equals_a_loop(mode):
    xs = T.dmatrix()
    doubled, updates = theano.scan(lambda x: x * 2 + x.sum(), sequences=[xs])
    assert not updates
    result = theano.function([xs], doubled, mode=mode)(XS)
    np.testing.assert_allclose(result, [x * 2 + x.sum() for x in XS])


@pytest.mark.parametrize("mode", MODES)
def test_a_recurrence_equals_a_loop(mode):
    inputs, states = symbolic_recurrence()
    f = theano.function(inputs, [states, states[-1], states[1:3]], mode=mode)
    everything, last, middle = f(XS, H0, W)
    expected = recurrence(XS, H0, W)
    np.testing.assert_allclose(everything, expected)
    np.testing.assert_allclose(last, expected[-1])
    np.testing.assert_allclose(middle, expected[1:3])
    np.testing.assert_allclose(f(XS[:2], H0, W)[0], expected[:2])


@pytest.mark.parametrize("mode", MODES)
def test_go_backwards_equals_a_loop_over_the_reversed_sequence(mode):
    inputs, states = symbolic_recurrence(go_backwards=True)
    result = theano.function(inputs, states, mode=mode)(XS, H0, W)
    np.testing.assert_allclose(result, recurrence(XS[::-1], H0, W))


@pytest.mark.parametrize("mode", MODES)
def test_n_steps_ends_a_sequence_early(mode):
    inputs, states = symbolic_recurrence(n_steps=3)
    result = theano.function(inputs, states, mode=mode)(XS, H0, W)
    np.testing.assert_allclose(result, recurrence(XS[:3], H0, W))


@pytest.mark.parametrize("mode", MODES)
def test_n_steps_alone_repeats_a_step(mode):
    a = T.dvector()
    powers, _ = theano.scan(lambda p, a: p * a, outputs_info=T.ones_like(a), non_sequences=a, n_steps=4)
    f = theano.function([a], powers, mode=mode)
    np.testing.assert_allclose(f(H0), [H0, H0**2, H0**3, H0**4])


@pytest.mark.parametrize("mode", MODES)
def test_several_states_outputs_and_taps_equal_a_loop(mode):
    xs, a = T.dvector(), T.dscalar()

    def step(x, before_last, last, total, a):
        new = a * last + before_last + x
        return new, total + new, new * total

    (fibonacci, totals, products), _ = theano.scan(
        step,
        sequences=xs,
        outputs_info=[
            {"initial": T.constant(np.array([0.5, 1.0])), "taps": [-2, -1]},
            a * 0 + 2.0,
            None,
        ],
        non_sequences=a,
    )
    f = theano.function([xs, a], [fibonacci, totals, products], mode=mode)
    before_last, last, total, rows = 0.5, 1.0, 2.0, []
    for x in XS[:, 0]:
        new = 0.3 * last + before_last + x
        rows.append((new, total + new, new * total))
        before_last, last, total = last, new, total + new
    np.testing.assert_allclose(f(XS[:, 0], 0.3), np.transpose(rows))


@pytest.mark.parametrize("mode, truncated", [("JAX", -1), ("FAST_COMPILE", -1), ("FAST_COMPILE", 2)])
def test_gradients_equal_backpropagation_through_time(mode, truncated):
    inputs, states = symbolic_recurrence(truncate_gradient=truncated)
    cotangent = RANDOM.normal(size=XS.shape)
    gradients = T.grad(T.sum(states * cotangent), inputs)
    results = theano.function(inputs, gradients, mode=mode)(XS, H0, W)
    steps = len(XS) if truncated == -1 else truncated
    for result, expected in zip(results, backpropagation(cotangent, steps), strict=True):
        np.testing.assert_allclose(result, expected, rtol=1e-10)


def test_one_graph_serves_both_modes_and_several_shapes():
    inputs, states = symbolic_recurrence()
    loss = states[-1].sum()
    outputs = [loss, *T.grad(loss, inputs)]
    functions = [theano.function(inputs, outputs, mode=mode) for mode in (*MODES, *MODES)]
    for steps in (5, 2, 5):
        results = [f(XS[:steps], H0, W) for f in functions]
        np.testing.assert_allclose(results[0][0], recurrence(XS[:steps], H0, W)[-1].sum())
        for other in results[1:]:
            for a, b in zip(results[0], other, strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-12)


@pytest.mark.parametrize("mode", MODES)
def test_steps_read_shared_variables_and_keep_float32(mode):
    w, xs = theano.shared(W.astype("float32"), "w"), T.fmatrix()
    states, _ = theano.scan(
        lambda x, h: T.tanh(x + T.dot(h, w)), sequences=xs, outputs_info=T.zeros((3,), "float32")
    )
    loss = T.mean(states**2)
    f = theano.function([xs], [states, loss], updates={w: w - T.grad(loss, w)}, mode=mode)
    weights = []
    for _ in range(3):
        weights.append(w.get_value())
        results, loss = f(XS.astype("float32"))
        assert results.dtype == loss.dtype == w.get_value().dtype == np.float32
        np.testing.assert_allclose(results, recurrence(XS, np.zeros(3), weights[-1]), atol=1e-5)
    assert not np.array_equal(weights[0], weights[2])


@pytest.mark.parametrize("mode", MODES)
def test_map_reduce_and_folds_equal_loops(mode):
    xs = T.dvector()
    # From the fourth argument on by position, as Theano had them.
    mapped, _ = theano.map(lambda x: x**2, xs, [], -1, True)
    summed, _ = theano.reduce(lambda x, total: total + x, xs, T.constant(0.0, dtype="float64"), [], True)
    left, _ = theano.foldl(lambda x, y: 2 * y + x, xs, T.constant(0.0, dtype="float64"))
    right, _ = theano.foldr(lambda x, y: 2 * y + x, xs, T.constant(0.0, dtype="float64"))
    results = theano.function([xs], [mapped, summed, left, right], mode=mode)(H0)
    np.testing.assert_allclose(results[0], H0[::-1] ** 2)
    np.testing.assert_allclose(results[1], H0.sum())
    np.testing.assert_allclose(results[2], np.polyval(H0, 2))
    np.testing.assert_allclose(results[3], np.polyval(H0[::-1], 2))


def test_the_number_of_steps_may_be_an_input():
    n = T.iscalar()
    powers, _ = theano.scan(lambda p: p * 2, outputs_info=T.constant(1.0), n_steps=n)
    f = theano.function([n], [powers, powers[-1]])
    for steps in (3, 1, 3):
        everything, last = f(steps)
        np.testing.assert_array_equal(everything, 2.0 ** np.arange(1, steps + 1))
        assert last == 2.0**steps


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("steps, batch, units", [(5, 1, 3), (1, 1, 1), (1, 2, 1), (3, 2, 1), (5, 2, 3)])
def test_axes_of_one_serve_as_any_other(mode, steps, batch, units):
    random = np.random.default_rng(0)
    values = [random.normal(size=s) for s in [(steps, batch, units), (batch, units), (units, units)]]
    xs, h, w = T.dtensor3("xs"), T.dmatrix("h"), T.dmatrix("w")
    states, _ = theano.scan(lambda x, h: T.tanh(x + T.dot(h, w)), sequences=xs, outputs_info=h)
    gradient = T.grad(states.sum(), w)
    f = theano.function([xs, h, w], [states, states.reshape((-1, states.shape[2])), gradient], mode=mode)
    out, flat, gradient = f(*values)
    expected = recurrence(*values)
    np.testing.assert_allclose(out, expected)
    np.testing.assert_allclose(flat, expected.reshape(-1, units))
    above, below = (recurrence(values[0], values[1], values[2] + d).sum() for d in (1e-6, -1e-6))
    np.testing.assert_allclose(gradient.sum(), (above - below) / 2e-6, rtol=1e-6)


@pytest.mark.parametrize("mode", MODES)
def test_a_mask_keeps_the_state_where_a_sequence_has_ended(mode):
    """The step that Lasagne's recurrent layers take."""
    lengths = np.array([5, 2, 0])
    xs = RANDOM.normal(size=(5, 3, 3))
    mask = (np.arange(5)[:, None] < lengths).astype(float)
    x, m, w = T.dtensor3(), T.dmatrix(), T.dmatrix()

    def step(x, keep, h):
        return T.switch(keep, T.tanh(x + T.dot(h, w)), h)

    states, _ = theano.scan(
        step, sequences=[x, m.dimshuffle(0, 1, "x")], outputs_info=T.zeros((3, 3), "float64")
    )
    f = theano.function([x, m, w], [states[-1], T.grad(states[-1].sum(), x)], mode=mode)
    last, gradient = f(xs, mask, W)
    for i, n in enumerate(lengths):
        expected = recurrence(xs[:n, i], np.zeros(3), W)[-1] if n else np.zeros(3)
        np.testing.assert_allclose(last[i], expected)
    np.testing.assert_array_equal(gradient[mask == 0], 0)
    assert np.all(gradient[mask == 1] != 0)


def truncated_gradient():
    inputs, states = symbolic_recurrence(truncate_gradient=2)
    expected, _, _ = backpropagation(np.ones_like(XS), 2)
    return inputs, T.grad(states.sum(), inputs[0]), [XS, H0, W], expected


def until_a_condition():
    limit = T.dscalar()

    def step(p, limit):
        return p * 2, theano.scan_module.until(p * 2 > limit)

    powers, _ = theano.scan(
        step, outputs_info=T.constant(1.0, dtype="float64"), non_sequences=limit, n_steps=9
    )
    return [limit], powers, [7.0], [2, 4, 8]


def steps_as_many_as_a_value():
    xs = T.dvector()
    powers, _ = theano.scan(lambda p: p * 2, outputs_info=T.constant(1.0), n_steps=T.cast(xs.sum(), "int32"))
    return [xs], powers, [np.array([1.0, 2])], [2, 4, 8]


@pytest.mark.parametrize(
    "loop, named",
    [
        (truncated_gradient, "truncate"),
        (until_a_condition, "While Scan"),
        (steps_as_many_as_a_value, "concrete"),
    ],
)
def test_loops_that_jax_has_not_run_on_the_fallback_with_one_warning(loop, named, monkeypatch):
    # PyTensor's default backend takes seconds to compile, and which one it is does not matter here.
    monkeypatch.setattr("pytensor.config.mode", "FAST_COMPILE")
    inputs, output, values, expected = loop()
    f = theano.function(inputs, output, name="looping")
    with pytest.warns(UserWarning, match="'looping' runs on .* since JAX cannot") as caught:
        np.testing.assert_allclose(f(*values), expected)
    assert [named in str(w.message) for w in caught] == [True], [str(w.message) for w in caught]
    np.testing.assert_allclose(f(*values), expected)


def counter(start=0, step=1):
    """A shared number that each read advances."""
    c = theano.shared(np.int64(start))
    c.default_update = c + step
    return c


# Each program, and what two calls of it give and leave in the counter, in Theano 1.0.5.
COUNTING = {
    "updates passed on": (
        lambda c: theano.scan(lambda: c * 1, n_steps=3),
        [[0, 1, 2], [3, 4, 5], 6],
    ),
    "updates dropped": (
        lambda c: (theano.scan(lambda: c * 1, n_steps=3)[0], None),
        [[0, 1, 2], [1, 2, 3], 2],
    ),
    "an update of the step's own": (
        lambda c: theano.scan(lambda: (c * 1, {c: c + 10}), n_steps=3),
        [[0, 10, 20], [30, 40, 50], 60],
    ),
    "as non_sequences, strict": (
        lambda c: theano.scan(lambda x, k: x + k, sequences=T.arange(3), non_sequences=[c], strict=True),
        [[0, 2, 4], [3, 5, 7], 6],
    ),
    "map": (lambda c: theano.map(lambda x: x + c, T.arange(3)), [[0, 2, 4], [3, 5, 7], 6]),
    "one step": (lambda c: theano.scan(lambda: c * 1, n_steps=1), [[0], [1], 2]),
    "nested": (
        lambda c: theano.scan(lambda: theano.scan(lambda: c * 1, n_steps=2), n_steps=2),
        [[[0, 1], [2, 3]], [[4, 5], [6, 7]], 8],
    ),
    "nested, the inner updates dropped": (
        lambda c: theano.scan(lambda: theano.scan(lambda: c * 1, n_steps=2)[0], n_steps=2),
        [[[0, 1], [1, 2]], [[2, 3], [3, 4]], 4],
    ),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("program", COUNTING)
def test_default_updates_advance_from_step_to_step(program, mode):
    build, expected = COUNTING[program]
    c = counter()
    outputs, updates = build(c)
    f = theano.function([], outputs, updates=updates, mode=mode)
    results = [f(), f(), c.get_value()]
    for result, value in zip(results, expected, strict=True):
        np.testing.assert_array_equal(result, value)


@pytest.mark.parametrize("mode", MODES)
def test_a_default_update_may_read_another_variable_that_has_one(mode):
    c, d = counter(), counter(5)
    c.default_update = c + d
    outputs, updates = theano.scan(lambda: c * 1, n_steps=3)
    f = theano.function([], outputs, updates=updates, mode=mode)
    results = [f(), f(), c.get_value(), d.get_value()]
    for result, value in zip(results, [[0, 5, 11], [18, 26, 35], 45, 11], strict=True):
        np.testing.assert_array_equal(result, value)


def test_updates_of_two_scans_join_unless_they_contradict():
    c, d = counter(), counter(10)
    _, first = theano.scan(lambda: c * 1, n_steps=2)
    outputs, second = theano.scan(lambda: d * 1, n_steps=2)
    f = theano.function([], outputs, updates=first + second)
    f()
    assert (c.get_value(), d.get_value()) == (2, 12)
    with pytest.raises(KeyError, match="two updates"):
        first + theano.scan(lambda: c * 1, n_steps=2)[1]
    with pytest.raises(TypeError, match="shared"):
        first[T.scalar()] = c


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("streams", [MRG_RandomStreams, RandomStreams])
def test_each_step_draws_other_numbers_and_gradients_see_the_same(streams, mode):
    xs = T.dmatrix()
    stream = streams(1)
    drawn, updates = theano.scan(lambda x: x * stream.uniform((3,), dtype="float64"), sequences=xs)
    f = theano.function([xs], [drawn, T.grad(drawn.sum(), xs)], updates=updates, mode=mode)
    numbers = []
    for _ in range(2):
        values, gradient = f(np.full((4, 3), 2.0))
        np.testing.assert_array_equal(values, 2 * gradient)
        numbers.append(gradient)
    assert len(np.unique(numbers)) == 24
    assert np.min(numbers) >= 0 and np.max(numbers) < 1


def test_checkpoints_keep_some_steps_and_the_gradient():
    """In JAX mode the gradient runs on the fallback: how many steps each part has is computed."""
    a = T.dvector()
    states, updates = theano.scan_checkpoints(
        lambda h, a: h * a, outputs_info=T.ones_like(a), non_sequences=a, n_steps=6, save_every_N=3
    )
    assert not updates
    f = theano.function([a], [states, T.grad(states[-1].sum(), a)], mode="FAST_COMPILE")
    kept, gradient = f(H0)
    np.testing.assert_allclose(kept, [H0**3, H0**6])
    np.testing.assert_allclose(gradient, 6 * H0**5)


def test_padding_under_a_mask_changes_neither_loss_nor_gradient():
    """What the guide says of sequences of many lengths; a loop in NumPy gives the loss."""
    rng = np.random.default_rng(0)
    x, mask, U = rng.normal(size=(5, 2, 3)), np.array([[1, 1]] * 3 + [[1, 0]] * 2), rng.normal(size=(3, 3))
    X, M, W = T.tensor3(), T.matrix(), theano.shared(U.astype("float32"))
    states, _ = theano.scan(
        lambda m, x, h: m[:, None] * T.tanh(x + T.dot(h, W)) + (1 - m[:, None]) * h,
        [M, X],
        T.zeros_like(X[0]),
    )
    loss = ((states * M[:, :, None]).sum(axis=0) / M.sum(axis=0)[:, None]).sum()
    f = theano.function([X, M], [loss, T.grad(loss, W)])
    short = f(x.astype("float32"), mask.astype("float32"))
    padded = f(*(np.concatenate([a, np.zeros((3, *a.shape[1:]))]).astype("float32") for a in (x, mask)))
    h, total = np.zeros((2, 3)), np.zeros((2, 3))
    for m, row in zip(mask[:, :, None], x, strict=True):
        h = np.where(m, np.tanh(row + h @ U), h)
        total += m * h
    np.testing.assert_allclose(short[0], (total / mask.sum(axis=0)[:, None]).sum(), rtol=1e-5)
    for ours, ours_padded in zip(short, padded, strict=True):
        np.testing.assert_allclose(ours, ours_padded, rtol=1e-5, atol=1e-6)
