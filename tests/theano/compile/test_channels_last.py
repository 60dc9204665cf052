"""Graphs on images that are channels last: they compute what they did, and transpose at their ends only.

Expected values are those of mode FAST_COMPILE, in which NumPy follows the graph as it was written.
"""

import jax
import numpy as np
import pytest
from extent import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.extend.core import jaxprs_in_params
from pytensor.graph.traversal import toposort

import theano
import theano.tensor as T
from theano.compile.channels_last import channels_last, elementwise, with_channels_last
from theano.compile.translation import with_64_bits
from theano.gof import Apply, Op
from theano.tensor import DimShuffle
from theano.tensor.nnet import conv2d
from theano.tensor.signal.pool import pool_2d
from theano.versions import shape_rule

pytestmark = pytest.mark.filterwarnings("error:.*JAX cannot")

MODES = ["max", "sum", "average_inc_pad", "average_exc_pad"]


class Net:
    """A net that grows by one drawn step at a time, with its inputs and their values."""

    def __init__(self, draw):
        self.draw = draw
        self.random = np.random.default_rng(draw(st.integers(0, 99)))
        self.inputs, self.values = [], []
        lengths = [draw(st.integers(1, n)) for n in (3, 3, 6, 6)]
        self.x = self.input(lengths)

    def input(self, shape):
        shape = tuple(map(int, shape))
        self.inputs.append(T.TensorType("float64", shape=shape)())
        self.values.append(self.random.normal(size=shape))
        return self.inputs[-1]

    @property
    def shape(self):
        assert None not in self.x.type.shape
        return self.x.type.shape

    def axes(self):
        return tuple(sorted(self.draw(st.sets(st.integers(0, 3), min_size=1))))

    def convolve(self):
        stride = self.draw(st.tuples(*[st.integers(1, 2)] * 2))
        # XLA ends the process where it compiles the gradient of a kernel of 2 with a stride of 2 and padding.
        size = [self.draw(st.integers(1, 3) if s == 1 else st.sampled_from([1, 3])) for s in stride]
        W = self.input((self.draw(st.integers(1, 3)), self.shape[1], *size))
        border = self.draw(st.sampled_from(["half", "full", ((1, 2), (2, 3))]))
        self.x = conv2d(self.x, W, border_mode=border, subsample=stride)

    def normalize(self):
        mean, var = self.x.mean((0, 2, 3)), self.x.var((0, 2, 3))
        gamma, beta = (self.input(self.shape[1:2]) for _ in range(2))
        scale = gamma / T.sqrt(var + 1)
        mean, scale, beta = (v.dimshuffle("x", 0, "x", "x") for v in (mean, scale, beta))
        self.x = (self.x - mean) * scale + beta

    def rectify(self):
        self.x = T.maximum(self.x, 0)

    def pool(self):
        ws = self.draw(st.tuples(*[st.integers(1, 3)] * 2))
        stride = self.draw(st.sampled_from([None, (1, 2)]))
        mode = self.draw(st.sampled_from(MODES))
        self.x = pool_2d(self.x, ws, ignore_border=False, stride=stride, mode=mode)

    def mask(self):
        self.x = self.x * self.input(self.shape)

    def add_a_constant(self):
        self.x = self.x + self.random.normal(size=self.shape)

    def add_to_columns(self):
        self.x = self.x + self.input(self.shape[3:])

    def choose(self):
        self.x = T.switch(T.cast(self.x > 0, "int8"), self.x, 0.5 * self.input((1, *self.shape[1:])))

    def scale_positions(self):
        self.x = self.x * abs(self.x).mean(1).dimshuffle(0, "x", 1, 2)

    def compare_along_axes(self):
        reduce = self.draw(st.sampled_from([T.sum, T.max, T.mean]))
        # Not all of it: a difference of 0 has any sign after rounding, and what follows may ask for the sign.
        self.x = self.x - 0.7 * reduce(self.x, axis=self.axes(), keepdims=True)

    def scale_by_reduced(self):
        axes = self.axes()
        kept = iter(range(4))
        order = ["x" if a in axes else next(kept) for a in range(4)]
        self.x = self.x * T.tanh(self.x.sum(axes)).dimshuffle(order)

    def scale_by_first_channel(self):
        self.x = self.x * self.x[:, 0].dimshuffle(0, "x", 1, 2)

    def slice(self):
        starts = [self.draw(st.integers(0, n - 1)) for n in self.shape]
        self.x = self.x[tuple(slice(s, None) for s in starts)][:, :, ::-1]

    def pad(self):
        before, after = self.draw(st.tuples(*[st.integers(0, 2)] * 2))
        b, c, h, w = self.shape
        zeros = T.zeros((b, c, h, w + before + after), dtype="float64")
        self.x = T.set_subtensor(zeros[:, :, :, before : before + w], self.x)

    def concatenate(self):
        axis = self.draw(st.integers(0, 3))
        self.x = T.concatenate([self.x, self.input(self.shape), T.tanh(self.x)], axis=axis)

    def swap_parts(self):
        axis = self.draw(st.integers(0, 3))
        length = self.shape[axis]
        first = self.draw(st.integers(0, length))
        parts = T.split(self.x, [first, length - first], n_splits=2, axis=axis)
        self.x = T.specify_shape(T.concatenate(parts[::-1], axis=axis), self.shape)

    def transpose(self):
        self.x = self.x.dimshuffle(self.draw(st.permutations(range(4))))

    def reshape(self):
        self.x = self.x.reshape(self.draw(st.permutations(self.shape)))


STEPS = [
    name for name, step in vars(Net).items() if callable(step) and name not in ("__init__", "input", "axes")
]


@st.composite
def nets(draw):
    """Inputs, their values, and expressions: a net's output, and gradients to all inputs."""
    net = Net(draw)
    for step in ["convolve", *draw(st.lists(st.sampled_from(STEPS), max_size=6)), "convolve"]:
        getattr(net, step)()
        if np.prod(net.shape) > 2000:
            break
    last = getattr(T, draw(st.sampled_from(["tanh", "abs_", "sqr"])))
    loss = last(net.x / 10).mean()
    return net.inputs, net.values, [net.x, loss, *T.grad(loss, net.inputs)]


def run(inputs, expressions, mode, values):
    return theano.function(inputs, expressions, mode=mode, on_unused_input="ignore")(*values)


def assert_equal(results, expected):
    for result, other in zip(results, expected, strict=True):
        assert result.dtype == other.dtype and result.shape == other.shape
        np.testing.assert_allclose(result, other, rtol=1e-8, atol=1e-9 * (1 + abs(other).max(initial=0)))


@given(nets())
@settings(max_examples=examples(25), deadline=None)
def test_nets_compute_what_they_did(case):
    inputs, values, expressions = case
    expected = run(inputs, expressions, "FAST_COMPILE", values)
    assert_equal(run(inputs, expressions, "JAX", values), expected)


@given(nets())
@settings(max_examples=examples(20), deadline=None)
def test_the_copy_computes_the_same_in_NumPy_with_no_work_added(case):
    inputs, values, expressions = case
    copy = with_channels_last(expressions)
    assert_equal(run(inputs, copy, "FAST_COMPILE", values), run(inputs, expressions, "FAST_COMPILE", values))
    assert [e.type.ndim for e in copy] == [e.type.ndim for e in expressions]
    assert work(copy) <= work(expressions)


def work(expressions):
    """How many nodes do more than name axes."""
    return sum(not isinstance(node.op, DimShuffle) for node in toposort(expressions))


def transposed(function, batch):
    """Shapes of what a function's program transposes, of images of a batch of that size."""
    version = function.versions[-1]
    values = [[jax.ShapeDtypeStruct(s, "float32") for s in version.shapes.values()], [], [], []]
    shapes = []

    def collect(jaxpr):
        for equation in jaxpr.eqns:
            shape = equation.invars[0].aval.shape if equation.invars else ()
            if equation.primitive.name == "transpose" and len(shape) == 4 and batch in shape:
                shapes.append(shape)
            for inner in jaxprs_in_params(equation.params):
                collect(inner)

    with with_64_bits():
        collect(jax.make_jaxpr(version.program)(*values).jaxpr)
    return sorted(shapes)


def test_a_net_and_its_gradients_transpose_images_at_their_ends_only():
    batch = 7
    x, V, W, M, gamma = T.tensor4(), T.tensor4(), T.tensor4(), T.matrix(), T.vector()
    hidden = conv2d(x, V, border_mode="half")
    mean, var = hidden.mean((0, 2, 3)), hidden.var((0, 2, 3))
    scale = gamma / T.sqrt(var + 1e-4)
    hidden = (hidden - mean.dimshuffle("x", 0, "x", "x")) * scale.dimshuffle("x", 0, "x", "x")
    hidden = pool_2d(T.nnet.relu(hidden), (2, 2), ignore_border=True)
    hidden = hidden * abs(hidden).mean(axis=1, keepdims=True)
    loss = T.sqr(T.dot(conv2d(hidden, W).flatten(2), M)).mean()
    f = theano.function([x, V, W, M, gamma], [loss, *T.grad(loss, [x, V, W, M, gamma])])
    shapes = [(batch, 3, 8, 10), (5, 3, 3, 3), (6, 5, 3, 3), (6 * 2 * 3, 4), (5,)]
    f(*[np.ones(s, "float32") for s in shapes])
    ends = [(batch, 3, 8, 10), (batch, 8, 10, 3)], [(batch, 6, 2, 3), (batch, 2, 3, 6)]
    assert transposed(f, batch) == sorted(sum(ends, []))


def test_a_graph_without_convolutions_stays_as_it_is():
    x = T.tensor4()
    expressions = [T.nnet.relu(pool_2d(x, (2, 2), ignore_border=True)), x.dimshuffle(0, 2, 3, 1)]
    assert all(new is old for new, old in zip(with_channels_last(expressions), expressions, strict=True))


def test_images_of_integers_follow():
    x, W = T.itensor4(), T.itensor4()
    positive = T.cast(conv2d(x, W) > 0, "int8")
    random = np.random.default_rng(0)
    values = [random.integers(-9, 9, shape).astype("int32") for shape in ((2, 3, 5, 5), (4, 3, 2, 3))]
    expressions = [positive, positive.sum(axis=(2, 3)), T.any(positive, axis=0)]
    assert_equal(run([x, W], expressions, "JAX", values), run([x, W], expressions, "FAST_COMPILE", values))


class Spy(Op):
    """The identity, which notes the shape that it is given."""

    def __init__(self):
        self.seen = []

    def make_node(self, x):
        return Apply(self, [x], [x.type()])

    def perform(self, node, inputs, output_storage):
        self.seen.append(inputs[0].shape)
        output_storage[0][0] = inputs[0].copy()

    @shape_rule
    def infer_shape(self, node, shapes):
        return shapes


class ElementwiseSpy(Spy):
    """One whose rule says that it acts on each element alone."""


class TransposingSpy(Spy):
    """One whose rule takes images with channels last, and gives them as they are in the graph."""


channels_last.register(ElementwiseSpy, elementwise)


@channels_last.register(TransposingSpy)
def _(op, node, images):
    return [op(images.last(node.inputs[0])).dimshuffle(0, 3, 1, 2)]


@pytest.mark.parametrize(
    "spy, seen", [(Spy, (2, 4, 5, 6)), (ElementwiseSpy, (2, 5, 6, 4)), (TransposingSpy, (2, 5, 6, 4))]
)
def test_an_Op_gets_the_layout_that_its_rule_asks_for(spy, seen):
    x, W, op = T.dtensor4(), T.dtensor4(), spy()
    values = [np.random.default_rng(0).normal(size=shape) for shape in ((2, 3, 5, 6), (4, 3, 1, 1))]
    (result,) = run([x, W], with_channels_last([op(conv2d(x, W))]), "FAST_COMPILE", values)
    assert op.seen == [seen]
    np.testing.assert_allclose(result, np.einsum("bchw,oc->bohw", values[0], values[1][..., 0, 0]))
