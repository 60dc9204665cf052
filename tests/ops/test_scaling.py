"""Scaling by both factors: its gradients against those of the product, and the kernel against plain sums."""

import numpy as np
import pytest
from direct_calls import direct_call

import theano
import theano.tensor as T
from xnornet import ops
from xnornet.ops import custom_calls, native

# Filters of less than a lane, of several, and of some that are not whole; one pixel; one image.
SHAPES = [(3, 70, 5, 6), (2, 64, 3, 3), (1, 130, 4, 2), (4, 3, 1, 1)]


def draw(shape):
    """Sums, ``K``, ``alpha`` and a gradient."""
    rng = np.random.default_rng(0)
    batch, filters, rows, columns = shape
    S, K = rng.integers(-300, 300, shape), rng.random((batch, 1, rows, columns))
    return [a.astype(np.float32) for a in (S, K, rng.random(filters), rng.normal(size=shape))]


def draw_for_kernel(shape):
    """The same, channels last."""
    S, K, alpha, g = draw(shape)
    S, g = (np.ascontiguousarray(a.transpose(0, 2, 3, 1)) for a in (S, g))
    return S.astype(np.int16), np.ascontiguousarray(K[:, 0]), alpha, g


@pytest.mark.parametrize("fan_in", [100, 2**15], ids=["kernel", "XLA"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_gradients_are_those_of_the_product_and_second_ones_too(shape, fan_in):
    S, alpha, g = T.tensor4(dtype="float32"), T.vector(dtype="float32"), T.tensor4(dtype="float32")
    K = T.tensor3(dtype="float32")
    maps = K.dimshuffle(0, "x", 1, 2)
    results = []
    for out in (ops.scale(S, maps, alpha, fan_in), S * maps * alpha.dimshuffle("x", 0, "x", "x")):
        first = theano.grad((out * g).sum(), [S, K, alpha])
        second = theano.grad(sum(T.sqr(x).sum() for x in first), [S, K, alpha, g])
        values = draw(shape)
        values[1] = values[1][:, 0]
        results.append(theano.function([S, K, alpha, g], [out, *first, *second])(*values))
    for found, expected in zip(*results, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_kernel_sums_in_float32_what_plain_sums_give_in_float64(monkeypatch, shape):
    monkeypatch.setattr(custom_calls.CustomCall, "__call__", direct_call())
    S, K, alpha, g = draw_for_kernel(shape)
    found = native.scale_gradients(S, K, alpha, g)
    products, factor = g.astype(float) * S, K[..., None].astype(float)
    expected = g * factor * alpha, (products * alpha).sum(3), (products * factor).sum((0, 1, 2))
    for a, e in zip(found, expected, strict=True):
        assert a.dtype == np.float32
        np.testing.assert_allclose(a, e, rtol=1e-5, atol=1e-5 * np.abs(e).max())


def test_the_kernel_gives_the_same_bits_by_any_number_of_threads(monkeypatch):
    monkeypatch.setattr(custom_calls.CustomCall, "__call__", direct_call())
    arrays = draw_for_kernel((5, 70, 5, 6))
    found = []
    for threads in (1, 2, 3, 7):
        monkeypatch.setattr(custom_calls.THREADS, "value", threads)
        found.append([a.tobytes() for a in native.scale_gradients(*arrays)])
    assert found == [found[0]] * 4


def test_factors_of_another_dtype_are_multiplied_in_the_wider_one():
    S, K, alpha, g = draw((2, 5, 3, 3))
    wide = T.vector(dtype="float64")
    out = ops.scale(theano.shared(S), T.as_tensor_variable(K), wide, 100)
    grad = theano.function([wide], [out, theano.grad((out * g).sum(), wide)])
    exact = S.astype(float) * K
    for found, expected in zip(
        grad(alpha), (exact * alpha[:, None, None], (exact * g).sum((0, 2, 3))), strict=True
    ):
        assert found.dtype == np.float64
        np.testing.assert_allclose(found, expected, rtol=1e-9)
