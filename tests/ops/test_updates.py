"""Adam's update and means of magnitudes: the kernels against plain loops, and against Lasagne's Adam."""

import math

import lasagne
import numpy as np
import pytest
from direct_calls import direct_call
from extent import examples
from hypothesis import given, settings
from hypothesis import strategies as st

import theano
import theano.tensor as T
from xnornet.layers import BatchNormLayer, XNORDenseLayer, clip_weights, clipped_adam
from xnornet.ops import Adam, custom_calls, native

NUMBERS = (0.01, 0.001), (0.9, 0.999, 1e-8)


def at_distance(distance):
    """Copies of arrays that begin so many bytes behind a multiple of 64."""

    def place(array):
        memory = np.zeros(array.nbytes + 128, np.uint8)
        first = -memory.ctypes.data % 64 + distance
        copy = memory[first : first + array.nbytes].view(array.dtype).reshape(array.shape)
        copy[...] = array
        return copy

    return place


@pytest.fixture(params=[0, 4], ids=["aligned", "unaligned"])
def _direct_calls(request, monkeypatch):
    monkeypatch.setattr(custom_calls.CustomCall, "__call__", direct_call(at_distance(request.param)))


def draw_parameter(rng, *shape):
    """Weights, moments and a gradient."""
    p, m, g = rng.normal(size=(3, *shape)).astype(np.float32)
    return p, m, np.square(rng.normal(size=shape)).astype(np.float32), g


def step_in_numpy(op, parameter, rate, decay):
    return op.step(np, *parameter, np.float32(rate), np.float32(decay))


@pytest.mark.parametrize("bound", [1, np.inf])
def test_a_step_of_adam_is_its_formula(bound):
    (rate, decay), (beta1, beta2, epsilon) = NUMBERS
    parameter = draw_parameter(np.random.default_rng(0), 5, 7)
    found = step_in_numpy(Adam(beta1, beta2, epsilon, bound), parameter, rate, decay)
    for i in np.ndindex(5, 7):
        p, m, v, g = (float(a[i]) for a in parameter)
        m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g**2
        p = p - rate * m / (math.sqrt(v) + epsilon) - decay * p
        expected = max(-bound, min(bound, p)), m, v
        np.testing.assert_allclose([a[i] for a in found], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.usefixtures("_direct_calls")
@settings(max_examples=examples(20))
@given(st.integers(1, 1500), st.sampled_from([0.5, np.inf]), st.integers(1, 4), st.integers(0, 2**32))
def test_the_kernel_computes_the_same_bits_as_numpy(size, bound, threads, seed):
    rng = np.random.default_rng(seed)
    parameter, op = draw_parameter(rng, size), Adam(*NUMBERS[1], bound)
    for array in parameter:
        array[rng.random(size) < 0.05] = rng.choice([0, np.inf, np.nan, 1e-42])
    numbers = np.array([*NUMBERS[0], *op.numbers("float32")], np.float32)
    with np.errstate(all="ignore"), pytest.MonkeyPatch.context() as patch:
        patch.setattr(custom_calls.THREADS, "value", threads)
        found, expected = native.adam(*parameter, numbers), step_in_numpy(op, parameter, *NUMBERS[0])
    for array, plain in zip(found, expected, strict=True):
        np.testing.assert_array_equal(array, plain)


@pytest.mark.usefixtures("_direct_calls")
@settings(max_examples=examples(20))
@given(st.integers(1, 300), st.integers(1, 5000), st.sampled_from([0, 1]), st.integers(0, 2**32))
def test_the_kernel_adds_magnitudes_up_exactly_enough(fan_in, outputs, axis, seed):
    fan_in, outputs = (fan_in, outputs) if axis == 0 else (outputs, fan_in)
    W = np.random.default_rng(seed).normal(size=(fan_in, outputs)).astype(np.float32)
    W = W if axis == 0 else np.ascontiguousarray(W.T)
    found = set()
    with pytest.MonkeyPatch.context() as patch:
        for threads in (1, 3):
            patch.setattr(custom_calls.THREADS, "value", threads)
            means = native.mean_magnitude(W, axis)
            found.add(means.tobytes())
    assert len(found) == 1
    exact = [math.fsum(abs(float(w)) for w in line) / fan_in for line in (W.T if axis == 0 else W)[:40]]
    np.testing.assert_allclose(means[:40], exact, rtol=2e-6)


def network(rng, width):
    """A net, its loss and its inputs."""
    lasagne.random.set_rng(rng)
    x, t = T.matrix(), T.ivector()
    layer = BatchNormLayer(XNORDenseLayer(lasagne.layers.InputLayer((None, width), x), width))
    layer = lasagne.layers.DenseLayer(layer, 3, nonlinearity=lasagne.nonlinearities.softmax)
    loss = lasagne.objectives.categorical_crossentropy(lasagne.layers.get_output(layer), t).mean()
    return layer, loss, [x, t]


def weights_after(steps, updates_of, width, scale=1):
    layer, loss, inputs = network(np.random.RandomState(0), width)
    params = lasagne.layers.get_all_params(layer, trainable=True)
    params[0].set_value(params[0].get_value() * scale)
    step = theano.function(inputs, loss, updates=updates_of(loss, layer))
    rng = np.random.RandomState(1)
    for _ in range(steps):
        step(rng.normal(size=(20, width)).astype("float32"), rng.randint(3, size=20).astype("int32"))
    return [p.get_value() for p in params]


@pytest.mark.parametrize("width", [8, 256])
def test_adam_that_clips_is_lasagnes_adam_and_clipping(width):
    """In kernels where they are large."""
    found = weights_after(3, lambda loss, layer: clipped_adam(loss, layer, 0.02), width, scale=10)

    def lasagnes(loss, layer):
        params = lasagne.layers.get_all_params(layer, trainable=True)
        return clip_weights(lasagne.updates.adam(loss, params, 0.02), layer)

    expected = weights_after(3, lasagnes, width, scale=10)
    assert np.abs(found[0]).max() == 1
    for array, plain in zip(found, expected, strict=True):
        np.testing.assert_allclose(array, plain, rtol=1e-3, atol=1e-4)


def test_decay_takes_its_share_of_the_rate_from_weights_alone():
    before, plain, decayed = (
        weights_after(n, lambda loss, layer: clipped_adam(loss, layer, 0.02, weight_decay=d), 8)  # noqa: B023
        for n, d in ((0, 0), (1, 0), (1, 0.5))
    )
    layer, *_ = network(np.random.RandomState(0), 8)
    regularizable = set(lasagne.layers.get_all_params(layer, regularizable=True))
    for p, first, without, with_decay in zip(
        lasagne.layers.get_all_params(layer, trainable=True), before, plain, decayed, strict=True
    ):
        expected = without - 0.01 * first if p in regularizable else without
        np.testing.assert_allclose(with_decay, expected, atol=1e-5)
