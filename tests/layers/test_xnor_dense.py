"""The binary dense layer against plain loops and finite differences."""

import functools

import lasagne
import numpy as np
import pytest
from extent import examples
from hypothesis import given, settings
from hypothesis import strategies as st

import theano
import theano.tensor as T
from xnornet.layers import XNORDenseLayer


def sign(x):
    return -1.0 if x < 0 else 1.0


def looped(I, W, b, scale_inputs, scale_weights=True):
    """The layer's output, number by number."""
    samples, (features, units) = len(I), W.shape
    output = np.zeros((samples, units))
    for n in range(samples):
        beta = sum(abs(I[n, k]) for k in range(features)) / features if scale_inputs else 1
        for o in range(units):
            product = sum(sign(I[n, k]) * sign(W[k, o]) for k in range(features))
            alpha = sum(abs(W[k, o]) for k in range(features)) / features if scale_weights else 1
            bias = 0 if b is None else b[o]
            output[n, o] = product * beta * alpha + bias
    return output


def grid(rng, *shape):
    """Numbers in [-2, 2], of which many are 0, 1 or -1."""
    return rng.integers(-8, 9, shape) / 4


@settings(deadline=None, max_examples=examples(20))
@given(
    batch=st.integers(1, 4),
    features=st.one_of(
        st.tuples(st.integers(1, 40)), st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4))
    ),
    units=st.integers(1, 6),
    scale_inputs=st.booleans(),
    scale_weights=st.booleans(),
    biased=st.booleans(),
    rectified=st.booleans(),
    seed=st.integers(0, 2**32),
)
def test_output_is_that_of_plain_loops(
    batch, features, units, scale_inputs, scale_weights, biased, rectified, seed
):
    rng = np.random.default_rng(seed)
    I = grid(rng, batch, *features)
    W = grid(rng, I[0].size, units)
    b = grid(rng, units).astype("float32") if biased else None
    layer = XNORDenseLayer(
        lasagne.layers.InputLayer((None, *features)),
        units,
        W=W.astype("float32"),
        b=b,
        nonlinearity=lasagne.nonlinearities.rectify if rectified else None,
        scale_inputs=scale_inputs,
        scale_weights=scale_weights,
    )
    run = theano.function([layer.input_layer.input_var], lasagne.layers.get_output(layer))
    found = run(I.astype("float32"))
    expected = looped(I.reshape(batch, -1), W, b, scale_inputs, scale_weights)
    assert found.dtype == np.float32
    assert layer.output_shape == (None, units) == (None, *found.shape[1:])
    np.testing.assert_allclose(
        found, np.maximum(expected, 0) if rectified else expected, rtol=1e-5, atol=1e-5
    )


@functools.cache
def compiled(scale_inputs, dtype="float64", scale_weights=True):
    I, G = T.tensor4(dtype=dtype), T.matrix(dtype=dtype)
    options = {"scale_inputs": scale_inputs, "scale_weights": scale_weights}
    layer = XNORDenseLayer((None, 2, 3, 2), 4, W=np.zeros((12, 4), dtype), b=np.zeros(4, dtype), **options)
    output = layer.get_output_for(I)
    gradients = theano.grad((G * output).sum(), [I, layer.W, layer.b])
    return layer, theano.function([I, G], [output, *gradients])


@pytest.mark.parametrize("scale_inputs", [True, False])
@pytest.mark.parametrize("scale_weights", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_gradients_are_those_of_the_formulas(scale_inputs, scale_weights, seed):
    layer, run = compiled(scale_inputs, scale_weights=scale_weights)
    rng = np.random.default_rng(seed)
    I, W, b, G = grid(rng, 3, 12), grid(rng, 12, 4), grid(rng, 4), rng.normal(size=(3, 4))
    layer.W.set_value(W)
    layer.b.set_value(b)
    output, to_I, to_W, to_b = run(I.reshape(3, 2, 3, 2), G)

    H, B = np.where(I < 0, -1.0, 1.0), np.where(W < 0, -1.0, 1.0)
    beta = np.abs(I).sum(axis=1, keepdims=True) / 12 if scale_inputs else np.ones((3, 1))
    alpha = np.abs(W).sum(axis=0) / 12 if scale_weights else np.ones(4)
    product = H @ B
    expected_I = (G * beta * alpha) @ B.T * (np.abs(I) <= 1)
    if scale_inputs:
        expected_I += (G * product * alpha).sum(axis=1, keepdims=True) * np.sign(I) / 12
    expected_W = H.T @ (G * beta * alpha) * (np.abs(W) <= 1)
    if scale_weights:
        expected_W += (G * product * beta).sum(axis=0) * np.sign(W) / 12
    expected_b = G.sum(axis=0)

    np.testing.assert_allclose(output, looped(I, W, b, scale_inputs, scale_weights), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(to_I.reshape(3, 12), expected_I, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(to_W, expected_W, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(to_b, expected_b, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("scale_inputs", [True, False])
def test_gradients_are_the_slopes_of_signs_made_straight_within_one(scale_inputs):
    layer, run = compiled(scale_inputs)
    rng = np.random.default_rng(7)
    I, W = (
        rng.choice([-1, 1], s) * (rng.integers(0, 2, s) + rng.uniform(0.05, 0.95, s))
        for s in ((3, 12), (12, 4))
    )
    b, G = rng.normal(size=4), rng.normal(size=(3, 4))
    layer.W.set_value(W)
    layer.b.set_value(b)

    def straight(x, x0):
        return np.where(x0 < 0, -1, 1) + np.clip(x, -1, 1) - np.clip(x0, -1, 1)

    def loss(i, w, b):
        beta = np.abs(i).sum(axis=1, keepdims=True) / 12 if scale_inputs else 1
        alpha = np.abs(w).sum(axis=0) / 12
        return (G * (straight(i, I) @ straight(w, W) * beta * alpha + b)).sum()

    def central_differences(f, x, step=1e-6):
        slopes = np.empty(x.shape)
        for index in np.ndindex(x.shape):
            delta = np.zeros(x.shape)
            delta[index] = step
            slopes[index] = (f(x + delta) - f(x - delta)) / (2 * step)
        return slopes

    _, to_I, to_W, to_b = run(I.reshape(3, 2, 3, 2), G)
    to_I = to_I.reshape(3, 12)
    np.testing.assert_allclose(to_I, central_differences(lambda i: loss(i, W, b), I), atol=1e-7)
    np.testing.assert_allclose(to_W, central_differences(lambda w: loss(I, w, b), W), atol=1e-7)
    np.testing.assert_allclose(to_b, central_differences(lambda b: loss(I, W, b), b), atol=1e-7)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_types_stay_as_they_are(dtype):
    _, run = compiled(True, dtype)
    results = run(np.ones((1, 2, 3, 2), dtype), np.ones((1, 4), dtype))
    assert {r.dtype for r in results} == {np.dtype(dtype)}
