"""Thresholds against every product up to a size, in fractions; and that they are used where they can be."""

from fractions import Fraction
from itertools import combinations_with_replacement

import lasagne
import numpy as np
import pytest
from extent import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from small_models import NO_PAD

from xnornet import networks
from xnornet.engine.plan import Buffer, Plan
from xnornet.engine.thresholds import fold
from xnornet.fixedpoint import Q
from xnornet.graph import (
    XNOR,
    Affine,
    Graph,
    Linear,
    MaxPool,
    Quantize,
    Rectify,
    Signs,
    Window,
    check_graph,
)
from xnornet.quantization import quantize, to_graph

IN, PAIR = Q(7, 0), Window((1, 2), (1, 1), NO_PAD)


def unit(q):
    return Fraction(2) ** -q.f


def rounded(x, q):
    return max(-q.limit, min(q.limit, round(x / unit(q))))


def output(record, o, p):
    """The layer's integer for a product ``p``, of signs or of integers."""
    b = 0 if record.b is None else int(record.b[o]) * unit(record.q_b)
    if isinstance(record, Linear):
        return rounded(p * unit(record.q_W) * unit(record.q_in) + b, record.q_out)
    return rounded(p * int(record.alpha[o]) * unit(record.q_alpha) + b, record.q_out)


def sign(records, o, values):
    """Whether the number behind the records is at least 0; ``values`` are those of a pooling window."""
    for r in records:
        if isinstance(r, MaxPool):
            values = [max(values)]
        elif isinstance(r, Rectify):
            values = [max(n, 0) for n in values]
        else:
            scale, b = int(r.scale[o]) * unit(r.q_scale), int(r.b[o]) * unit(r.q_b)
            values = [rounded(n * unit(r.q_in) * scale + b, r.q_out) for n in values]
    (n,) = values
    return n >= 0


class Draw:
    """Formats and numbers that are as large as what they are added to, so that signs depend on products."""

    def __init__(self, draw):
        self.draw, self.rng = draw, np.random.default_rng(draw(st.integers(0, 2**32)))

    def numbers(self, limit, *shape):
        """Evenly up to a limit, one in ten of them zero."""
        limit = min(limit, 2**15 - 1)
        n = self.rng.integers(-limit, limit, shape, endpoint=True)
        return np.where(self.rng.random(shape) < 0.1, 0, n)

    def shifted(self, product_f, largest):
        """A format of at most as many fraction bits, and the largest product in it."""
        shift = self.draw(st.integers(max(0, largest.bit_length() - 15), largest.bit_length()))
        return Q(15, 15 - product_f + shift), largest >> shift

    def filter(self, outputs, inputs):
        """A binary or a real layer and its largest output for products up to ``inputs``."""
        real = self.draw(st.booleans())
        alpha = abs(self.numbers(1 if real else self.draw(st.sampled_from([3, 100, 2**15])), outputs))
        q, largest = Q(15, self.draw(st.integers(-3, 12))), inputs * int(alpha.max())
        product_f = q.f + (IN.f if real else 0)
        q_b, limit = self.shifted(product_f, largest)
        b = self.numbers(limit, outputs) if self.draw(st.booleans()) else None
        q_out, largest = self.shifted(product_f, 2 * largest)
        ones, window = np.ones((outputs, inputs, 1, 1)), Window((1, 1), (1, 1), NO_PAD)
        if real:
            return Linear(ones.astype(np.int16), q, b, q_b, window, IN, q_out), largest
        return XNOR(Signs.pack(ones), alpha, q, b, q_b, False, window, IN, q_out), largest

    def batch_norm(self, channels, q_in, largest):
        """A batch norm, whose scales are of either sign or zero, and its largest output."""
        scale = self.numbers(self.draw(st.sampled_from([3, 100, 2**15])), channels)
        q_scale, largest = Q(15, self.draw(st.integers(0, 6))), largest * int(abs(scale).max())
        product_f = q_scale.f + q_in.f
        q_b, limit = self.shifted(product_f, largest)
        q_out, largest = self.shifted(product_f, 2 * largest)
        return Affine(scale, q_scale, self.numbers(limit, channels), q_b, q_in, q_out), largest


@st.composite
def folded(draw):
    """A layer of few inputs and what follows it up to the next sign."""
    drawn, inputs, outputs = Draw(draw), draw(st.integers(1, 9)), draw(st.integers(1, 3))
    record, largest = drawn.filter(outputs, inputs)
    following, q = [], record.q_out
    for kind in draw(st.sampled_from(["", "n", "r", "p", "pn", "np", "nr", "npn", "rpn", "npnrn", "nn"])):
        if kind == "n":
            affine, largest = drawn.batch_norm(outputs, q, largest)
            following.append(affine)
            q = affine.q_out
        else:
            following.append(Rectify() if kind == "r" else MaxPool(PAIR, False))
    return record, following, inputs


def assert_valid(record, following):
    """`fold` is for models that pass the check."""
    *_, q = [record.q_out, *(r.q_out for r in following if isinstance(r, Affine))]
    outputs, inputs, *_ = record.weights
    last = Linear(np.zeros((1, outputs), np.int16), Q(15, 0), None, q, None, q, q)
    check_graph(Graph.chain((inputs, 1, 1), [Quantize(IN), record, *following, last]))


@settings(max_examples=examples(400))
@given(folded())
def test_a_threshold_gives_the_sign_of_the_batch_norm_for_every_product(drawn):
    record, following, fan_in = drawn
    assert_valid(record, following)
    t, flips, pooled_flips = fold(record, following, fan_in)
    outputs, pooled = record.weights[0], any(isinstance(r, MaxPool) for r in following)
    assert t.shape == flips.shape == pooled_flips.shape == (outputs,)
    assert t.min() >= -fan_in and t.max() <= fan_in + 1
    products = range(-fan_in, fan_in + 1)
    for o in range(outputs):

        def bit(p, o=o):
            return (p >= t[o]) != flips[o]

        if pooled:
            for p, r in combinations_with_replacement(products, 2):
                values = [output(record, o, p), output(record, o, r)]
                assert ((bit(p) or bit(r)) != pooled_flips[o]) == sign(following, o, values)
        else:
            assert not pooled_flips[o]
            for p in products:
                assert bit(p) == sign(following, o, [output(record, o, p)])


def test_ties_are_rounded_to_even_before_the_sign():
    """Of halves, -1 and 1 round to 0, whose sign is +1, and -3 to -2."""
    q, q_out = Q(15, 0), Q(15, 1)
    record = XNOR(Signs.pack(np.ones((1, 3))), np.array([1]), q, None, q, False, None, IN, q_out)
    t, flips, _ = fold(record, [], 3)
    assert [(p >= t[0]) != flips[0] for p in (-3, -1, 1, 3)] == [False, True, True, True]


@pytest.fixture(scope="module")
def convnet():
    lasagne.random.set_rng(np.random.RandomState(0))
    network = networks.build("cifar10_convnet", None, width=1 / 16, scale_inputs=False)
    graph = to_graph(network)
    return quantize(graph, None, magnitudes=[1.0] * len(graph.nodes))


def test_from_the_first_layer_to_the_last_there_are_bits_alone(convnet):
    calls = Plan(convnet).calls
    kernels = [call.kernel for call in calls]
    binary = [i for i, name in enumerate(kernels) if name.startswith("xnor")]
    assert kernels[: binary[0]] == ["product_bits"] and len(binary) == 7
    between = calls[binary[0] : binary[-1]]
    assert {call.kernel for call in between} == {"xnor_bits", "pool_bits"}
    arrays = [a for call in between for a in call.arguments if isinstance(a, Buffer) and not a.scratch]
    assert {a.dtype for a in arrays} == {np.uint64}
