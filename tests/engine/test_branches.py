"""Graphs that branch, filters of groups and with dilation: by kernels, and equal to their definitions."""

import numpy as np
import pytest
from extent import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from random_graphs import draw_quantized

from xnornet.engine import Engine, reference
from xnornet.graph import (
    XNOR,
    Add,
    Affine,
    Concatenate,
    Flatten,
    Graph,
    Linear,
    Node,
    Quantize,
    Rectify,
    Signs,
    Window,
)
from xnornet.quantization import quantize

ROWS = COLUMNS = 5
IMAGES = 3


class Net:
    """A graph of random parameters in the making; nodes are identified by their numbers."""

    def __init__(self, channels):
        self.rng, self.channels = np.random.default_rng(0), [channels]
        self.nodes = [Node(Quantize())]

    def put(self, operation, *inputs, channels=None):
        self.nodes.append(Node(operation, inputs))
        self.channels.append(channels or self.channels[inputs[0]])
        return len(self.nodes) - 1

    def real(self, source, outputs, size=3, groups=1, dilation=1):
        shape = (outputs, self.channels[source] // groups, size, size)
        W, b = self.rng.normal(size=shape), self.rng.normal(size=outputs)
        window = keeping(size, dilation)
        return self.put(Linear(W, None, b, None, window, None, None, groups), source, channels=outputs)

    def binary(self, source, outputs, size=3, groups=1, dilation=1, scaled=False):
        B = Signs.pack(self.rng.choice([-1, 1], (outputs, self.channels[source] // groups, size, size)))
        alpha, window = self.rng.uniform(0.1, 1, outputs), keeping(size, dilation)
        operation = XNOR(B, alpha, None, None, None, scaled, window, None, None, groups)
        return self.put(operation, source, channels=outputs)

    def norm(self, source):
        scale, b = self.rng.normal(size=(2, self.channels[source]))
        return self.put(Affine(scale, None, b, None, None, None), source)

    def add(self, *inputs):
        coefficients = np.ones(2) if len(inputs) == 2 else self.rng.normal(size=len(inputs))
        return self.put(Add(coefficients), *inputs)

    def concatenate(self, *inputs):
        return self.put(Concatenate(), *inputs, channels=sum(self.channels[k] for k in inputs))

    def finish(self):
        """The graph in integers, and images for it."""
        shape = (self.channels[0], ROWS, COLUMNS)
        features = self.channels[-1] * ROWS * COLUMNS
        flat = self.put(Flatten(), len(self.nodes) - 1)
        W = self.rng.normal(size=(4, features)) / features
        self.put(Linear(W, None, None, None, None, None, None), flat)
        graph = Graph(shape, tuple(self.nodes))
        images = self.rng.uniform(-1, 1, (IMAGES, *shape)).astype("float32")
        values = graph.evaluate(lambda operation, *x: operation.real(np, *x), images)
        return quantize(graph, None, magnitudes=[float(np.abs(v).max()) for v in values]), images


def keeping(size, dilation):
    """A window that keeps rows and columns."""
    pad = (size - 1) // 2 * dilation
    return Window((size, size), (1, 1), ((pad, pad), (pad, pad)), (dilation, dilation))


def residual(net, scaled=False):
    """Batch norm, the sum and the next signs in one pass, which leaves integers too."""
    first = net.norm(net.real(0, 65))
    second = net.add(net.norm(net.binary(first, 65, scaled=scaled)), first)
    net.add(second, net.norm(net.binary(second, 65, scaled=scaled)))


def read_with_several_paddings(net):
    """Signs with and without padding, integers with and without."""
    first = net.norm(net.real(0, 33))
    branches = [
        net.binary(first, 7),
        net.binary(first, 7, size=1),
        net.real(first, 7),
        net.real(first, 7, size=1),
    ]
    net.concatenate(*branches)


def sum_of_four(net):
    first = net.norm(net.real(0, 33))
    net.put(Rectify(), net.add(first, net.binary(first, 33), net.norm(net.binary(first, 33)), first))


def sum_with_a_later_branch(net):
    """The batch norm that the sum joins comes before the other branch is computed."""
    first = net.norm(net.real(0, 33))
    branch = net.norm(net.binary(first, 33))
    net.add(branch, net.real(first, 33))


def signs_side_by_side(net):
    first = net.norm(net.real(0, 64))
    branches = [net.norm(net.binary(first, n)) for n in (64, 128, 33)]
    net.binary(net.concatenate(*branches), 33)


def integers_side_by_side(net):
    """33 channels are not whole words."""
    first = net.norm(net.real(0, 64))
    net.binary(net.concatenate(net.binary(first, 33), first), 33)


def groups(net):
    first = net.norm(net.real(0, 192))
    second = net.norm(net.binary(first, 96, groups=3))
    net.binary(net.concatenate(second, net.real(second, 96, groups=3)), 96, groups=3, size=1)


def dilation(net):
    first = net.norm(net.real(0, 65, dilation=2))
    second = net.norm(net.binary(first, 33, dilation=2))
    net.binary(second, 33, dilation=2, scaled=True)


def all_at_once(net):
    first = net.norm(net.real(0, 128))
    net.binary(first, 64, groups=2, dilation=2)


CASES = {
    residual: {"product_bits": 0, "pointwise": 3, "xnor": 2},
    read_with_several_paddings: {"concatenate": 4},
    sum_of_four: {"accumulate": 3, "pointwise_wide": 1},
    sum_with_a_later_branch: {"accumulate": 0},
    signs_side_by_side: {"product_bits": 1, "xnor_bits": 3, "concatenate_bits": 3, "concatenate": 0},
    integers_side_by_side: {"concatenate": 2, "concatenate_bits": 0},
    groups: {"product_bits": 1, "xnor": 2, "concatenate": 2},
    dilation: {"product_bits": 1, "xnor": 1, "xnor_wide": 1},
    all_at_once: {"product_bits": 1, "xnor": 1},
}


def assert_exact(graph, images, threads=2):
    expected = graph.evaluate(lambda operation, *n: operation.exact(np, *n), images)[-1]
    for engine in (Engine(graph, threads), Engine(graph, kernels=reference)):
        np.testing.assert_array_equal(engine.run(images), expected)


@pytest.mark.parametrize("build", CASES, ids=lambda build: build.__name__)
def test_kernels_of_branches_groups_and_dilation(build):
    net = Net(3)
    build(net)
    graph, images = net.finish()
    kernels = [call.kernel for call in Engine(graph, kernels=reference)._plan.calls]
    assert "exact" not in kernels
    assert {name: kernels.count(name) for name in CASES[build]} == CASES[build]
    assert_exact(graph, images)


def test_scaled_signs_are_read_beside_integers():
    net = Net(3)
    residual(net, scaled=True)
    assert_exact(*net.finish())


def test_groups_of_few_channels_run_by_their_definition():
    net = Net(3)
    net.binary(net.real(0, 64), 64, groups=64)
    graph, images = net.finish()
    assert "exact" in [call.kernel for call in Engine(graph, kernels=reference)._plan.calls]
    assert_exact(graph, images)


@settings(max_examples=examples(40))
@given(draw_quantized(channels=st.sampled_from([64, 96, 128, 192]), lengths=st.integers(2, 4), steps=4))
def test_graphs_of_whole_words_are_exact(model):
    assert_exact(*model)
