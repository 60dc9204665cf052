"""Random streams that are functions of a seed and a counter.

A stream's state is two integers. Each function that draws from the stream advances the counter by one when it
is called, so saving the state saves the stream. The numbers are JAX's (Threefry) in every mode, and differ
from those that Theano drew.
"""

import math

import jax
import numpy as np
import pytensor.tensor as pt
from pytensor.gradient import disconnected_type
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op
from pytensor.tensor.basic import infer_static_shape

from theano.compile.sharedvalue import shared
from theano.compile.translation import jax_version, with_64_bits
from theano.configparser import config
from theano.versions import shape_rule

__all__ = ["MRG_RandomStreams"]


class Draw(Op):
    """Random numbers of one draw from a stream: ``f(seed, place, counter)``.

    Parameters
    ----------
    distribution : {'uniform', 'normal', 'truncated_normal'}
        Uniform on [0, 1), normal with mean 0 and variance 1, or the same within [-2, 2].
    place : int
        Number of the draw, different for each draw from a stream.
    dtype : str
        Floating-point type of the numbers.
    """

    __props__ = ("distribution", "place", "dtype")

    def __init__(self, distribution, place, dtype):
        self.distribution, self.place, self.dtype = distribution, place, dtype

    def make_node(self, state, *lengths):
        lengths, static = infer_static_shape(lengths)
        return Apply(self, [state, *lengths], [pt.TensorType(self.dtype, shape=static)()])

    def draw(self, state, shape):
        """Numbers of the given shape for a state ``(seed, counter)``."""
        key = _key(state, self.place)
        if self.distribution == "truncated_normal":
            return jax.random.truncated_normal(key, -2, 2, shape, self.dtype)
        return getattr(jax.random, self.distribution)(key, shape, self.dtype)

    def perform(self, node, inputs, output_storage):
        with with_64_bits():
            output_storage[0][0] = np.array(self.draw(inputs[0], tuple(int(n) for n in inputs[1:])))

    @shape_rule
    def infer_shape(self, node, shapes):
        return [tuple(node.inputs[1:])]

    def connection_pattern(self, node):
        return [[False] for _ in node.inputs]

    def pullback(self, inputs, outputs, cotangents):
        return [disconnected_type() for _ in inputs]


@jax_version(Draw)
def _jax_draw(op, node, **kwargs):
    shape = node.outputs[0].type.shape
    if None in shape:
        raise NotImplementedError(f"{op} needs a shape that follows from the shapes of the inputs")
    return lambda state, *lengths: op.draw(state, shape)


class DrawPoisson(Op):
    """Poisson numbers with expectations ``rates``, of their shape: ``f(seed, place, counter, rates)``."""

    __props__ = ("place",)

    def __init__(self, place):
        self.place = place

    def make_node(self, state, rates):
        return Apply(self, [state, rates], [rates.type.clone(dtype="int64")()])

    def draw(self, state, rates):
        """Numbers for a state ``(seed, counter)``."""
        return jax.random.poisson(_key(state, self.place), rates, dtype="int64")

    def perform(self, node, inputs, output_storage):
        with with_64_bits():
            output_storage[0][0] = np.array(self.draw(*inputs))

    @shape_rule
    def infer_shape(self, node, shapes):
        return [shapes[1]]

    def connection_pattern(self, node):
        return [[False], [False]]

    def pullback(self, inputs, outputs, cotangents):
        return [disconnected_type() for _ in inputs]


@jax_version(DrawPoisson)
def _jax_draw_poisson(op, **kwargs):
    return op.draw


def _key(state, place):
    return jax.random.fold_in(jax.random.fold_in(jax.random.key(state[0]), place), state[1])


# Of the normal distribution, cut at two standard deviations.
_TRUNCATED_STD = math.sqrt(1 - 4 * math.exp(-2) / math.sqrt(2 * math.pi) / math.erf(math.sqrt(2)))


class MRG_RandomStreams:
    """Symbolic random numbers.

    Parameters
    ----------
    seed : int or sequence of int

    Attributes
    ----------
    state : shared variable, ``(2,)``
        The seed, and the counter that each call of a function advances. Set it to repeat draws. It is the
        ``rng`` of each draw, too.
    rstate : array, ``(2,)``
        Its value.
    state_updates : list
        One pair for each draw: the state and its update.
    """

    def __init__(self, seed=12345, use_cuda=None):
        self._places = 0
        self.default_instance_seed = seed
        self.state = shared(np.zeros(2, "int64"), name="random_state")
        self.state.default_update = self.state + np.array([0, 1])
        self.seed(seed)

    def seed(self, seed=None):
        """Start over from a seed, by default the first one."""
        seed = self.default_instance_seed if seed is None else seed
        mixed = np.random.SeedSequence(np.atleast_1d(seed).tolist()).generate_state(1, np.uint32)
        self.state.set_value(np.array([mixed[0], 0], "int64"))

    def updates(self):
        """Pairs of state and its update, which functions apply by themselves."""
        return [(self.state, self.state.default_update)]

    @property
    def rstate(self):
        return self.state.get_value()

    @rstate.setter
    def rstate(self, value):
        self.set_rstate(value)

    def set_rstate(self, rstate):
        """Continue from a value of ``rstate`` of this or another stream."""
        self.state.set_value(np.asarray(rstate, "int64"))

    @property
    def state_updates(self):
        return self.updates() * self._places

    def uniform(self, size=None, low=0.0, high=1.0, ndim=None, dtype=None, nstreams=None):
        """Numbers in [``low``, ``high``), of shape ``size``."""
        dtype = dtype or config.floatX
        low, high = _cast(low, dtype), _cast(high, dtype)
        size = _lengths(size, ndim, low, high)
        return self._named(self._draw("uniform", size, dtype) * (high - low) + low)

    def normal(self, size=None, avg=0.0, std=1.0, ndim=None, dtype=None, nstreams=None, truncate=False):
        """Normal numbers of mean ``avg`` and standard deviation ``std``, of shape ``size``.

        With ``truncate``, those farther than ``2 * std`` from ``avg`` are drawn again.
        """
        dtype = dtype or config.floatX
        avg, std = _cast(avg, dtype), _cast(std, dtype)
        size = _lengths(size, ndim, avg, std)
        drawn = self._draw("truncated_normal" if truncate else "normal", size, dtype)
        return self._named(drawn * std + avg)

    def truncated_normal(self, size, avg=0.0, std=1.0, ndim=None, dtype=None, nstreams=None, **kwargs):
        """``normal`` with ``truncate``, scaled so that its standard deviation is ``std``."""
        dtype = dtype or config.floatX
        std = _cast(std, dtype) / _cast(_TRUNCATED_STD, dtype)
        return self.normal(size, avg, std, ndim, dtype, nstreams, truncate=True)

    def binomial(self, size=None, n=1, p=0.5, ndim=None, dtype="int64", nstreams=None, prob=None):
        """Successes in ``n`` trials of probability ``p``, of shape ``size``."""
        p = p if prob is None else prob
        if not isinstance(n, int | np.integer):
            raise NotImplementedError(
                f"MRG_RandomStreams.binomial with n = {n}; n is an integer, or sum binomial(n=1) over an axis"
            )
        size = _lengths(size, ndim, p)
        if n == 1:
            return self._named((self._draw("uniform", size, config.floatX) < p).astype(dtype))
        drawn = self._draw("uniform", (n, *size), config.floatX)
        return self._named(pt.sum(drawn < p, axis=0, dtype=dtype))

    def multinomial(self, size=None, n=1, pvals=None, ndim=None, dtype="int64", nstreams=None):
        """Counts of ``n`` draws from each row of probabilities ``pvals``, ``(rows, classes)``."""
        if size is not None:
            raise NotImplementedError(
                "MRG_RandomStreams.multinomial with size is not supported; it takes its shape from pvals"
            )
        pvals = pt.as_tensor_variable(pvals)
        return self._multinomial([pvals.shape[0]], n, pvals, dtype)

    def _multinomial(self, rows, n, pvals, dtype):
        """Counts of ``n`` draws, ``(*rows, classes)``, by probabilities that broadcast to that shape."""
        n = pt.get_scalar_constant_value(n) if isinstance(n, pt.TensorVariable) else n
        edges = pt.cumsum(pvals, axis=-1)[..., :-1]
        classes = pt.arange(pvals.shape[-1])
        total = 0
        for _ in range(int(n)):
            drawn = pt.sum(self._draw("uniform", (*rows, 1), pvals.dtype) >= edges, axis=-1)
            total += pt.eq(drawn[..., None], classes).astype(dtype)
        return self._named(total)

    def multinomial_wo_replacement(
        self, size=None, n=1, pvals=None, replace=False, ndim=None, dtype="int64", nstreams=None
    ):
        """An older name of :meth:`choice`, which takes ``n`` classes by each row of ``pvals``."""
        if size is not None or replace:
            raise NotImplementedError(
                "MRG_RandomStreams.multinomial_wo_replacement takes n and pvals, without replacement; "
                "multinomial draws again"
            )
        return self.choice(n, p=pvals, replace=False, dtype=dtype)

    def choice(self, size=1, a=None, replace=True, p=None, ndim=None, dtype="int64", nstreams=None):
        """Take ``size`` different classes by each row of probabilities ``p``, ``(rows, classes)``.

        Without replacement only, as in Theano. Gives ``(rows, size)``, in the order of taking.
        """
        if replace or a is not None or p is None:
            raise NotImplementedError(
                "MRG_RandomStreams.choice takes p and replace=False, and no a; multinomial and "
                "RandomStreams.choice draw again"
            )
        p = pt.as_tensor_variable(p)
        # Of clocks that ring at the rates p, the first to ring are a sample without replacement.
        times = -pt.log1p(-self._draw("uniform", p.shape, "float64")) / p
        return self._named(pt.argsort(times, axis=1)[:, :size].astype(dtype))

    def _draw(self, distribution, size, dtype):
        if "float" not in dtype:
            raise NotImplementedError(f"Random numbers of dtype {dtype}; draw floats and cast them")
        self._places += 1
        return Draw(distribution, self._places, dtype)(self.state, *_lengths(size))

    def _named(self, drawn):
        """Numbers drawn, with the attributes by which programs find their state."""
        drawn.rng, drawn.update = self.state, (self.state, self.state.default_update)
        return drawn


def _lengths(size, ndim=None, *parameters):
    """Lengths of axes, from one of them, several, a vector of ``ndim`` of them, or the parameters' shape."""
    if size is None:
        if not parameters:
            raise TypeError("Random numbers have a size, or parameters of a shape")
        return list(sum(map(pt.as_tensor_variable, parameters)).shape)
    if isinstance(size, pt.TensorVariable) and size.ndim == 1:
        return [size[i] for i in range(pt.get_vector_length(size) if ndim is None else ndim)]
    return [size] if np.ndim(size) == 0 else list(size)


def _cast(value, dtype):
    # PyTensor would round a Python number to floatX first.
    return pt.as_tensor_variable(np.asarray(value, dtype) if np.isscalar(value) else value).astype(dtype)
