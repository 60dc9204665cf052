"""Programs on padded arrays against the same programs on arrays of each length."""

import extent
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from theano.compile.padding import Line, NotPadded, Padded, Trace
from theano.compile.translation import with_64_bits

EXAMPLES = (4, 9)
LENGTH = 12

TABLE = np.arange(20.0).reshape(5, 4)
WINDOW = lax.ScatterDimensionNumbers(
    update_window_dims=(0, 1), inserted_window_dims=(), scatter_dims_to_operand_dims=(0,)
)


@pytest.fixture(autouse=True)
def _as_theano_functions_run():
    with with_64_bits():
        yield


def traced(function, n):
    x = jax.ShapeDtypeStruct((n, 4), np.float64)
    return Trace(n, jax.make_jaxpr(function)(x, jax.ShapeDtypeStruct((n,), np.int64)))


def check(function):
    """Compare results for each length; behind it are numbers that would be noticed."""
    traces = [traced(function, n) for n in (*EXAMPLES, LENGTH)]
    sizes = Padded(traces, None).sizes_of_results()
    run = jax.jit(lambda n, *values: Padded(traces, n)(*values))
    rng = np.random.default_rng(0)
    x, places = np.full((LENGTH, 4), np.nan), np.zeros(LENGTH, np.int64)
    for n in extent.few_or_all((4, 7, 12), (4, 5, 7, 11, 12)):
        x[:n], places[:n] = rng.normal(size=(n, 4)), rng.integers(0, min(EXAMPLES), n)
        results = run(n, x, places)
        expected = jax.tree.leaves(function(jnp.asarray(x[:n]), jnp.asarray(places[:n])))
        for result, of_sizes, value in zip(results, sizes, expected, strict=True):
            assert tuple(line.at(n) for line in of_sizes) == value.shape
            np.testing.assert_allclose(result[tuple(map(slice, value.shape))], value, rtol=1e-12, atol=1e-13)


def loop(x):
    return lax.scan(lambda h, row: (jnp.tanh(h + row), h * 2), jnp.zeros(4), x)


PROGRAMS = {
    "entry by entry": lambda x, i: jnp.exp(x) * 2 + jnp.where(x > 0, x, i[:, None]),
    "sums": lambda x, i: (x.sum(0), x.mean(0), x.var(), i.sum(), (x**2).sum(1)),
    "products": lambda x, i: (x.prod(0), jnp.prod(i + 1)),
    "extremes": lambda x, i: (x.max(0), x.min(0), i.max(), i.min(), x.argmax(0), x.argmin(0), i.argmax()),
    "truth": lambda x, i: ((x > -9).all(0), (x > 1).any(0), (i >= 0).all()),
    "numbers": lambda x, i: (
        x.sum(0) * len(x),
        x.sum(0) / (len(x) - 1),
        x.sum(0) * (3 / (7 * len(x) + 14)),
        x + jnp.arange(len(x))[:, None],
        jnp.full((len(x), 2), 5 / len(x)) * x[:, :2],
        np.full((len(x), 2), 0.3 / len(x)) * x[:, :2],
        np.arange(len(x)) * i,
        x * np.array([0.5, 0.3 / len(x), 1.5, 0.7 / (len(x) + 2)]),
    ),
    "matrices": lambda x, i: (
        x @ x.T,
        x.T @ x,
        x @ TABLE.T,
        jnp.eye(len(x)) @ x,
        jnp.einsum("ij,ik->jk", x, x),
    ),
    "turned": lambda x, i: (x[::-1], x[:, ::-1], x[::-1][1:], jnp.flip(x)),
    "parts": lambda x, i: (x[1:], x[:-1], x[-1], x[-3:-1], x[2], x[1:3], x[3:-1:1], x[: len(x) - 2]),
    "every second from the start": lambda x, i: x[:4:2],
    "other axes": lambda x, i: (x[:, 1], x[:, ::2], jnp.sort(x, 1), jnp.split(x, 2, 1), jnp.cumsum(x, 1)),
    "by index": lambda x, i: (
        jnp.asarray(TABLE)[i],
        x[i],
        x[jnp.array([0, -1])],
        jnp.take(x, i + 99, 0, mode="clip"),
    ),
    "beyond the end": lambda x, i: (
        jnp.take(x, jnp.array([0, 4, 8, 11]), 0, mode="fill", fill_value=5),
        lax.dynamic_slice(x, (11, 0), (2, 4)),
        lax.dynamic_update_slice(x, jnp.ones((2, 4)), (11, 0)),
    ),
    "added by index": lambda x, i: (jnp.zeros((5, 4)).at[i].add(x), jnp.zeros_like(x).at[i].add(x)),
    "set": lambda x, i: (x.at[0].set(7), x.at[-1].set(7), x.at[1:].set(x[:-1]), x.at[:-1].set(x[1:])),
    "added": lambda x, i: (
        x.at[1:].add(x[:-1]),
        x.at[:-1].add(x[1:]),
        x.at[-1].add(1),
        x.at[:, 1].add(x[:, 0]),
    ),
    "padded": lambda x, i: (
        jnp.pad(x, ((2, 3), (0, 1)), constant_values=4),
        jnp.pad(x[:1], ((0, len(x) - 1), (0, 0))),
        jnp.pad(x[-1:], ((len(x) - 1, 0), (0, 0)), constant_values=1),
    ),
    "joined": lambda x, i: (
        jnp.concatenate([x, x * 2]),
        jnp.concatenate([jnp.ones((2, 4)), x, jnp.zeros((1, 4)), x[1:]]),
        jnp.concatenate([x, x], 1),
    ),
    "reshaped": lambda x, i: (
        x.reshape(-1),
        x.reshape(-1, 2, 2),
        x.T.reshape(2, 2, -1),
        (x[:, None] * x[None]).sum(1),
    ),
    "windows": lambda x, i: (
        lax.dynamic_slice(x, (i[0], 0), (2, 4)),
        lax.dynamic_slice(x, (i[0], 0), (len(x) - 1, 4)),
        lax.dynamic_update_slice(x, x[1:], (i[0], 0)),
        lax.dynamic_update_slice(x, x[:2], (i[0], 0)),
    ),
    "so far": lambda x, i: (jnp.cumsum(x, 0), lax.cummax(x), jnp.cumprod(x, 0)),
    "loops": lambda x, i: (
        loop(x),
        loop(x[:-1]),
        lax.scan(lambda h, row: (jnp.tanh(h + row), h * 2), jnp.zeros(4), x, reverse=True),
        lax.scan(lambda h, _: (h * 0.9, h.sum(0)), x, None, length=3),
        lax.scan(lambda h, _: (h * 0.9, h.sum(0)), x, None, length=len(x) + 1),
    ),
    "gradients": lambda x, i: (
        jax.grad(lambda x: (loop(x)[1] ** 2).sum())(x),
        jax.grad(lambda x: loop(x)[0].sum() + x[1:].mean())(x),
    ),
    "windows at the end": lambda x, i: (
        lax.scatter(x, jnp.array([len(x) - 1]), jnp.ones((2, 4)), WINDOW, mode="drop"),
        lax.scatter_add(x, jnp.array([3 + 0 * i[0]]), jnp.ones((2, 4)), WINDOW, mode="drop"),
        x[i[:, None] + jnp.arange(2)],
    ),
    "to a fixed length": lambda x, i: (
        jnp.pad(x[0, :1], (len(x), 20 - len(x))),
        jnp.pad(x, ((0, 20 - len(x)), (0, 0))),
    ),
    "small integers": lambda x, i: (
        *((i.astype(np.uint8)).min(), (i.astype(np.int8)).max(), (i > 9).argmin()),
        *(jnp.bitwise_and.reduce(i), jnp.bitwise_or.reduce(i.astype(np.uint8))),
    ),
    "constants in reverse": lambda x, i: x * np.arange(len(x))[::-1][:, None],
    "while": lambda x, i: lax.while_loop(
        lambda s: s[0] < len(x), lambda s: (s[0] + 2, s[1] + x[0]), (0, x[0])
    ),
    "cond": lambda x, i: lax.cond(i[0] > 1, lambda x: x.sum(0) / len(x), lambda x: x[-1], x),
    "calls": lambda x, i: (
        jax.jit(lambda x: x.mean(0))(x),
        jax.nn.relu(x),
    ),
    "softmax": lambda x, i: (jax.nn.softmax(x, 0), jax.nn.log_softmax(x @ x.T, 1), jax.nn.logsumexp(x, 0)),
}

REFUSED = {
    "power": lambda x, i: x ** len(x),
    "shorter": lambda x, i: jnp.ones(20 - len(x)).sum() * x[0],
    "the rest of a table": lambda x, i: jnp.arange(20.0)[len(x) :].sum() * x[0],
    "filled up": lambda x, i: jnp.concatenate([x, jnp.zeros((20 - len(x), 4))]),
    "filled up from the start": lambda x, i: jnp.pad(x, ((20 - len(x), 0), (0, 0))),
    "constants of no rows": lambda x, i: x[4:] * np.full((len(x) - 4, 1), len(x) + 0.0),
    "constants that differ late": lambda x, i: x * np.where(np.arange(len(x)) >= 4, len(x), 1)[:, None],
    "infinite constants": lambda x, i: x[0] * np.array([np.inf, 1, 2, len(x)]),
    "complex constants": lambda x, i: x * np.complex128(len(x)),
    "rest of constants": lambda x, i: lax.split(x[0, 0] * np.arange(40.0), (len(x), 40 - len(x)))[1],
    "loops with several conditions": lambda x, i: jax.vmap(
        lambda k: lax.while_loop(lambda s: s < 5, lambda s: s + 1, k)
    )(i),
    "every second": lambda x, i: x[::2],
    "half": lambda x, i: x[: len(x) // 2],
    "square": lambda x, i: x * len(x) ** 2,
    "root": lambda x, i: x * len(x) ** 0.5,
    "sorted": lambda x, i: jnp.sort(x, 0),
    "sums from the end": lambda x, i: lax.cumsum(x, reverse=True),
    "joined to an axis before it": lambda x, i: x.T.reshape(-1),
    "set by index": lambda x, i: jnp.zeros((5, 4)).at[i].set(x),
    "constants": lambda x, i: x + np.linspace(0, 1, len(x))[:, None],
    "constants at the end": lambda x, i: x + np.eye(len(x))[-1][:, None],
    "constants of some lengths": lambda x, i: x * (0.3 if len(x) > 9 else 0.7),
    "if long": lambda x, i: x.sum(0) if len(x) > 6 else x[0],
    "if odd": lambda x, i: x * (len(x) % 2),
    "least": lambda x, i: x[: min(len(x), 7)],
    "inverse": lambda x, i: jnp.linalg.inv(x @ x.T),
    "from above": lambda x, i: x[len(x) - 1 :: -2],
    "draw": lambda x, i: x + jax.random.normal(jax.random.key(0), x.shape),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_results_are_those_of_each_length(name):
    check(PROGRAMS[name])


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_padded_is_refused(name):
    with pytest.raises(NotPadded):
        check(REFUSED[name])


def test_numbers_of_errors_are_not_taken_for_lengths():
    lines = [Trace(n, None, (code,)) for n, code in zip((4, 9, 12), (6, 11, 14), strict=True)]
    assert Padded(lines, 5).has_doubtful_codes()
    others = [trace._replace(codes=(code,)) for trace, code in zip(lines, (6, 11, 15), strict=True)]
    assert not Padded(others, 5).has_doubtful_codes()
    assert Padded(others, 5).constant(np.array([6, 11, 15])) == 15


def test_indices_of_few_bits():
    def program(x, i):
        return lax.dynamic_slice(x, (i[0].astype(np.int8) + np.int8(100), np.int8(0)), (2, 4))

    traces = [traced(program, n) for n in (150, 221, 300)]
    x = np.arange(1200.0).reshape(300, 4)
    (result,) = jax.jit(lambda n: Padded(traces, n)(x, np.zeros(300, np.int64)))(200)
    np.testing.assert_array_equal(result, x[100:102])


def test_lines():
    traces = [Trace(n, None) for n in (4, 9, 12)]
    assert Padded(traces, 10).line([9, 19, 25]) == Line(2, 1)
    assert Padded(traces, 10).line([3, 3, 3]) == Line(0, 3)
    with pytest.raises(NotPadded, match=r"^a number is 9, 19, 26 for lengths \[4, 9, 12\]$"):
        Padded(traces, 10).line([9, 19, 26])
