"""Random streams: distributions, independence of draws, and repetition from a seed or a state."""

import numpy as np
import pytest
import scipy.stats

import theano
import theano.tensor as T
from theano.sandbox.rng_mrg import MRG_RandomStreams
from theano.tensor.shared_randomstreams import RandomStreams

pytestmark = pytest.mark.filterwarnings("error:.*JAX cannot")

MODES = ["JAX", "FAST_COMPILE"]
SIZE = (100, 200)


def draw(expression, calls=1, mode="JAX"):
    """Numbers from the given count of calls of a function."""
    f = theano.function([], expression, mode=mode)
    return [f() for _ in range(calls)]


# With 20,000 numbers a mean is off by five standard errors once in two million.


@pytest.mark.parametrize("mode", MODES)
def test_uniform_numbers_fill_their_interval_evenly(mode):
    (numbers,) = draw(MRG_RandomStreams(1).uniform(SIZE, low=-1, high=3), mode=mode)
    assert numbers.shape == SIZE
    assert -1 <= numbers.min() < -0.99 and 2.99 < numbers.max() < 3
    counts, _ = np.histogram(numbers, bins=20, range=(-1, 3))
    assert abs(counts - 1000).max() < 5 * np.sqrt(1000)


@pytest.mark.parametrize("mode", MODES)
def test_normal_numbers_have_their_moments(mode):
    (numbers,) = draw(MRG_RandomStreams(2).normal(SIZE, avg=3, std=2), mode=mode)
    standard = (numbers - 3) / 2
    for power, moment, deviation in [(1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)]:
        assert abs(np.mean(standard**power) - moment) < 5 * np.sqrt(deviation / standard.size)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("n, p", [(1, 0.5), (1, 0.1), (4, 0.3)])
def test_binomial_numbers_have_their_moments(mode, n, p):
    (numbers,) = draw(MRG_RandomStreams(3).binomial(SIZE, n=n, p=p), mode=mode)
    assert set(np.unique(numbers)) == set(range(n + 1))
    variance = n * p * (1 - p)
    assert abs(numbers.mean() - n * p) < 5 * np.sqrt(variance / numbers.size)
    assert abs(numbers.var() - variance) < 0.05 * variance


def test_binomial_takes_a_probability_for_each_number():
    p = np.array([0, 0.25, 1], "float32")
    (numbers,) = draw(MRG_RandomStreams(3).binomial((10000, 3), p=p))
    np.testing.assert_allclose(numbers.mean(axis=0), p, atol=5 * np.sqrt(0.19 / 10000))
    (shaped_like_p,) = draw(MRG_RandomStreams(3).binomial(p=p))
    assert shaped_like_p.shape == (3,)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("n", [1, 3])
def test_multinomial_counts_have_their_means(mode, n):
    p = np.tile(np.array([[0.5, 0.2, 0.3], [0, 1, 0]], "float32"), (5000, 1))
    (counts,) = draw(MRG_RandomStreams(4).multinomial(n=n, pvals=T.constant(p)), mode=mode)
    assert counts.shape == p.shape and counts.dtype == np.int64
    np.testing.assert_array_equal(counts.sum(axis=1), n)
    np.testing.assert_array_equal(counts[1::2], np.tile([0, n, 0], (5000, 1)))
    np.testing.assert_allclose(counts[::2].mean(axis=0), n * p[0], atol=5 * np.sqrt(n * 0.25 / 5000))


@pytest.mark.parametrize("size", [(3, 5), (7,), (1, 1, 3), 5], ids=str)
@pytest.mark.parametrize("mode", MODES)
def test_normal_draws_any_size(mode, size):
    (numbers,) = draw(MRG_RandomStreams(5).normal(size), mode=mode)
    assert numbers.shape == (size if isinstance(size, tuple) else (size,))
    assert np.unique(numbers).size == numbers.size


@pytest.mark.parametrize("mode", MODES)
def test_shapes_may_be_symbolic(mode):
    x, stream = T.matrix(), MRG_RandomStreams(6)
    draws = [stream.uniform(x.shape), stream.normal((x.shape[0], 1, 4)), stream.binomial(x.shape)]
    f = theano.function([x], draws, mode=mode)
    for shape in [(2, 3), (0, 3)]:
        assert [o.shape for o in f(np.ones(shape, "float32"))] == [shape, (shape[0], 1, 4), shape]


def test_static_sizes_are_known_in_the_graph():
    assert MRG_RandomStreams().uniform((2, 3)).type.shape == (2, 3)


@pytest.mark.parametrize("mode", MODES)
def test_draws_differ_between_places_calls_and_seeds(mode):
    stream, other = MRG_RandomStreams(7), MRG_RandomStreams(8)
    places = [stream.uniform((50,)), stream.uniform((50,)), other.uniform((50,))]
    draws = np.ravel(draw(places, calls=4, mode=mode)).reshape(12, 50)
    assert np.unique(draws).size == draws.size
    # Unrelated rows correlate by about 1 / sqrt(50).
    assert abs(np.corrcoef(draws) - np.eye(12)).max() < 0.6


def test_one_draw_used_twice_is_one_draw():
    numbers = MRG_RandomStreams(7).normal((50,))
    (difference,) = draw(numbers - numbers.reshape((5, 10)).flatten())
    np.testing.assert_array_equal(difference, np.zeros(50))


@pytest.mark.parametrize("method", ["uniform", "normal", "binomial"])
def test_a_seed_repeats_its_numbers_in_every_mode(method):
    first, second, third = (
        draw(getattr(MRG_RandomStreams(9), method)((11,)), calls=3, mode=mode)
        for mode in ("JAX", "JAX", "FAST_COMPILE")
    )
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(first, third)


def test_functions_of_both_modes_continue_one_stream():
    expected = draw(MRG_RandomStreams(9).normal((11,)), calls=4)
    numbers = MRG_RandomStreams(9).normal((11,))
    functions = [theano.function([], numbers, mode=mode) for mode in MODES]
    np.testing.assert_array_equal([functions[i % 2]() for i in range(4)], expected)


def test_a_restored_state_repeats_draws():
    stream = MRG_RandomStreams(10)
    f = theano.function([], [stream.uniform((5,)), stream.normal((5,))])
    f()
    saved = stream.state.get_value()
    expected = [f(), f()]
    stream.state.set_value(saved)
    np.testing.assert_array_equal([f(), f()], expected)


def test_seed_starts_over():
    stream = MRG_RandomStreams(11)
    f = theano.function([], stream.uniform((5,)))
    first = [f(), f()]
    stream.seed(11)
    np.testing.assert_array_equal([f(), f()], first)
    stream.seed(12)
    assert not np.array_equal(f(), first[0])


def test_a_sequence_of_integers_is_a_seed():
    (first,), (same,), (other,) = (
        draw(MRG_RandomStreams(seed).uniform((5,))) for seed in ([1, 2, 3], (1, 2, 3), [1, 2, 4])
    )
    np.testing.assert_array_equal(first, same)
    assert not np.array_equal(first, other)


def test_without_default_updates_draws_repeat_and_updates_advance_them():
    stream = MRG_RandomStreams(13)
    numbers = stream.uniform((5,))
    still = theano.function([], numbers, no_default_updates=True)
    moving = theano.function([], numbers, updates=stream.updates())
    first = still()
    np.testing.assert_array_equal(still(), first)
    np.testing.assert_array_equal(moving(), first)
    assert not np.array_equal(still(), first)
    np.testing.assert_array_equal(still(), moving())


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("method", ["uniform", "normal"])
def test_dtypes_are_honoured(mode, dtype, method):
    (numbers,) = draw(getattr(MRG_RandomStreams(14), method)((1000,), dtype=dtype), mode=mode)
    assert numbers.dtype == dtype
    # Float64 numbers use bits that float32 has not.
    assert np.array_equal(numbers, numbers.astype("float32")) == (dtype == "float32")


def test_limits_keep_the_precision_of_the_numbers():
    (numbers,) = draw(MRG_RandomStreams(14).uniform((2,), low=0.1, high=0.1, dtype="float64"))
    np.testing.assert_array_equal(numbers, 0.1)


def test_the_default_dtypes_are_floatX_and_int64():
    stream = MRG_RandomStreams(15)
    (results,) = draw([stream.uniform((2,)), stream.normal((2,)), stream.binomial((2,))])
    assert [r.dtype for r in results] == ["float32", "float32", "int64"]
    (mask,) = draw(stream.binomial((2,), p=0.5, dtype="float32"))
    assert mask.dtype == np.float32
    with theano.config.change_flags(floatX="float64"):
        (numbers,) = draw(stream.normal((2,)))
    assert numbers.dtype == np.float64


def test_gradients_pass_through_scale_and_shift_but_not_through_the_draw():
    stream, low, std = MRG_RandomStreams(16), T.scalar(), T.scalar()
    numbers = stream.normal((7,), avg=low, std=std)
    f = theano.function([low, std], [numbers, *T.grad(numbers.sum(), [low, std])])
    drawn, to_low, to_std = f(1, 2)
    assert to_low == 7
    np.testing.assert_allclose(to_std, ((drawn - 1) / 2).sum(), rtol=1e-5)


def test_the_other_name_gives_the_same_streams():
    np.testing.assert_array_equal(
        draw(RandomStreams(17).normal((5,))), draw(MRG_RandomStreams(17).normal((5,)))
    )


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_uniform_and_normal_numbers_pass_a_kolmogorov_smirnov_test(mode, dtype):
    stream = MRG_RandomStreams(18)
    draws = [
        stream.uniform(SIZE, low=2, high=5, dtype=dtype),
        stream.normal(SIZE, avg=-1, std=3, dtype=dtype),
    ]
    (results,) = draw(draws, mode=mode)
    for numbers, distribution in zip(
        results, (scipy.stats.uniform(2, 3), scipy.stats.norm(-1, 3)), strict=True
    ):
        assert scipy.stats.kstest(numbers.ravel(), distribution.cdf).pvalue > 1e-4


@pytest.mark.parametrize("mode", MODES)
def test_binomial_numbers_have_their_distribution(mode):
    (numbers,) = draw(MRG_RandomStreams(19).binomial(SIZE, n=5, p=0.3), mode=mode)
    expected = scipy.stats.binom(5, 0.3).pmf(range(6)) * numbers.size
    assert scipy.stats.chisquare(np.bincount(numbers.ravel(), minlength=6), expected).pvalue > 1e-4


@pytest.mark.parametrize("mode", MODES)
def test_choice_takes_different_classes_one_after_the_other(mode):
    """``P(i then j) = p_i * p_j / (1 - p_i)``."""
    p = np.array([0.5, 0.3, 0.2, 0])
    rows = T.constant(np.tile(p, (20000, 1)))
    (taken,) = draw(MRG_RandomStreams(20).choice(size=2, replace=False, p=rows), mode=mode)
    assert taken.shape == (20000, 2) and taken.dtype == np.int64
    for i, j in np.ndindex(4, 4):
        expected = p[i] * p[j] / (1 - p[i]) if i != j else 0
        found = np.mean((taken[:, 0] == i) & (taken[:, 1] == j))
        assert abs(found - expected) < 5 * np.sqrt(0.25 / 20000), (i, j)


@pytest.mark.parametrize("mode", MODES)
def test_integers_are_drawn_evenly_with_both_ends(mode):
    (numbers,) = draw(RandomStreams(21).random_integers(SIZE, low=-2, high=3), mode=mode)
    values, counts = np.unique(numbers, return_counts=True)
    np.testing.assert_array_equal(values, range(-2, 4))
    assert scipy.stats.chisquare(counts).pvalue > 1e-4


@pytest.mark.parametrize("mode", MODES)
def test_permutations_hold_every_number_once_and_every_order_as_often(mode):
    (orders,) = draw(RandomStreams(22).permutation(size=(6000,), n=3), mode=mode)
    np.testing.assert_array_equal(np.sort(orders, axis=1), np.tile(range(3), (6000, 1)))
    _, counts = np.unique(orders, axis=0, return_counts=True)
    assert len(counts) == 6 and scipy.stats.chisquare(counts).pvalue > 1e-4
    (single,) = draw(RandomStreams(22).permutation(n=5), mode=mode)
    assert sorted(single) == list(range(5))


@pytest.mark.parametrize("mode", MODES)
def test_shuffled_rows_hold_their_elements(mode):
    x = T.dmatrix()
    f = theano.function([x], RandomStreams(23).shuffle_row_elements(x), mode=mode)
    value = np.arange(300.0).reshape(3, 100)
    shuffled = f(value)
    np.testing.assert_array_equal(np.sort(shuffled, axis=1), value)
    orders = shuffled - value[:, :1]
    assert not np.array_equal(orders[0], orders[1]) and not np.array_equal(shuffled, f(value))


def test_what_a_stream_cannot_draw_is_refused():
    stream = MRG_RandomStreams()
    for call in (
        lambda: stream.uniform((2,), dtype="int32"),
        lambda: stream.multinomial(size=(2,), pvals=T.matrix()),
    ):
        with pytest.raises(NotImplementedError):
            call()


@pytest.mark.parametrize("mode", MODES)
def test_truncated_normal_numbers_have_the_distribution_of_scipy(mode):
    stream, law = MRG_RandomStreams(7), scipy.stats.truncnorm(-2, 2)
    for drawn, std in [
        (stream.normal(SIZE, avg=3, std=2, truncate=True), 2),
        (stream.truncated_normal(SIZE, avg=3, std=2 * law.std()), 2),
    ]:
        (numbers,) = draw(drawn, mode=mode)
        assert scipy.stats.kstest((numbers.ravel() - 3) / std, law.cdf).pvalue > 1e-6


def test_poisson_numbers_have_their_distribution():
    rates = np.array([0.5, 3.0, 40.0])
    (numbers,) = draw(RandomStreams(8).poisson((10000, 3), lam=rates))
    assert numbers.dtype == "int64"
    for rate, column in zip(rates, numbers.T, strict=True):
        edges = np.unique(scipy.stats.poisson(rate).ppf(np.linspace(0.05, 0.95, 8)))
        edges = np.concatenate([[-1], edges, [np.inf]])
        expected = 10000 * np.diff(scipy.stats.poisson(rate).cdf(edges))
        counts = np.histogram(column, np.concatenate([edges[:-1] + 0.5, [1e9]]))[0]
        assert scipy.stats.chisquare(counts, expected).pvalue > 1e-6
    (few,), (same,) = (draw(RandomStreams(8).poisson(lam=rates), mode=mode) for mode in MODES)
    np.testing.assert_array_equal(few, same)


@pytest.mark.parametrize("mode", MODES)
def test_choices_from_numbers_and_from_a_vector(mode):
    stream, p = RandomStreams(9), np.array([0.1, 0.2, 0.3, 0.4])
    numbers, weighted, entries, apart, one = theano.function(
        [],
        [
            stream.choice((10000,), a=4),
            stream.choice((100, 100), a=4, p=p),
            stream.choice((1000,), a=np.array([5, 7])),
            stream.choice((2, 2), a=5, replace=False),
            stream.choice(a=3),
        ],
        mode=mode,
    )()
    assert scipy.stats.chisquare(np.bincount(numbers)).pvalue > 1e-6
    assert scipy.stats.chisquare(np.bincount(weighted.ravel()), 10000 * p).pvalue > 1e-6
    assert set(entries) == {5, 7} and abs(np.mean(entries == 5) - 0.5) < 0.08
    assert apart.shape == (2, 2) and len(set(apart.ravel())) == 4 and set(apart.ravel()) < set(range(5))
    assert one.shape == () and 0 <= one < 3


@pytest.mark.parametrize("mode", MODES)
def test_multinomial_counts_of_one_vector_have_the_size_that_is_asked_for(mode):
    stream, p = RandomStreams(10), np.array([0.1, 0.2, 0.7])
    one, many = theano.function(
        [], [stream.multinomial(n=2, pvals=p), stream.multinomial((5000,), n=2, pvals=p)], mode=mode
    )()
    assert one.shape == (3,) and one.sum() == 2
    assert many.shape == (5000, 3) and np.all(many.sum(axis=1) == 2)
    np.testing.assert_allclose(many.mean(axis=0), 2 * p, atol=5 * np.sqrt(0.42 / 5000))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("streams", [MRG_RandomStreams, RandomStreams])
def test_a_size_may_be_a_vector_with_a_number_of_axes(streams, mode):
    size = T.lvector()
    numbers = streams(1).uniform(size=size, ndim=2)
    assert numbers.broadcastable == (False, False)
    f = theano.function([size], numbers, mode=mode)
    assert f([3, 4]).shape == (3, 4) and f([2, 1]).shape == (2, 1)
    with pytest.raises(IndexError):
        f([3])


def test_without_a_size_numbers_have_the_shape_of_their_parameters():
    stream = RandomStreams(1)
    outputs = [stream.uniform(), stream.uniform(low=np.array([0.0, 5]), high=np.array([1.0, 6]))]
    one, two = theano.function([], [*outputs, stream.normal(avg=np.zeros((2, 3)))])()[:2]
    assert one.shape == () and two.shape == (2,) and 0 <= two[0] < 1 and 5 <= two[1] < 6


def test_a_draw_leads_to_its_state():
    stream = RandomStreams(1)
    drawn = stream.normal((3,))
    f = theano.function([], drawn)
    state = drawn.rng.get_value()
    first = f()
    drawn.rng.set_value(state)
    np.testing.assert_array_equal(f(), first)
    other = RandomStreams(2)
    again = theano.function([], other.normal((3,)))
    other.rstate = stream.rstate
    np.testing.assert_array_equal(again(), f())
    for (mine, _), (theirs, _) in zip(stream.state_updates, other.state_updates, strict=True):
        theirs.set_value(mine.get_value())
    np.testing.assert_array_equal(again(), f())
    assert drawn.update == stream.state_updates[0]
