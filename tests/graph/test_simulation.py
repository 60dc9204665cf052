"""The fixed-point simulation against an interpreter in exact fractions, integer for integer."""

import warnings

import lasagne
import numpy as np
import pytest
from extent import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from interpreters import Interpreter
from lasagne.layers import DenseLayer, InputLayer, get_all_layers, get_output
from lasagne.nonlinearities import rectify
from random_graphs import formats

import theano
from xnornet.fixedpoint import Q
from xnornet.graph import Formats, Graph, Quantize, Saturation, ScaledBias, Signs, check_graph, simulate
from xnornet.layers import BatchNormLayer, XNORConv2DLayer, XNORDenseLayer
from xnornet.quantization import quantize


def assert_exact(graph, images):
    """Every node's integers equal the interpreter's, and the scores too on JAX; returns all outputs."""
    check_graph(graph)
    outputs = graph.evaluate(lambda operation, *n: operation.exact(np, *n), images)
    expected = zip(*(Interpreter().run(graph, image) for image in images), strict=True)
    for node, found, wanted in zip(graph.nodes, outputs, expected, strict=True):
        np.testing.assert_array_equal(found, np.array(wanted, np.int64), node.operation.kind)
    np.testing.assert_array_equal(simulate(graph, images), outputs[-1])
    return outputs


# Calibration on half the range makes data saturate.
@settings(deadline=None, max_examples=examples(20))
@given(data=st.data(), formats=st.just(Formats()) | formats, share=st.sampled_from([1, 0.5]))
def test_networks_are_exact(networks, data, formats, share):
    network, images = data.draw(networks(exponents=(-60, -20, -3, 0, 0, 0, 3, 12)))
    assert_exact(quantize(network, images * np.float32(share), formats), images)


def drawn(rng, *shape):
    return rng.uniform(-1, 1, shape).astype("float32")


@pytest.mark.parametrize("scale_inputs", [True, False])
def test_a_binary_net_of_every_trait_is_exact(scale_inputs):
    rng = np.random.default_rng(0)
    layer = InputLayer((None, 2, 7, 6))
    layer = XNORConv2DLayer(
        layer,
        3,
        (2, 3),
        stride=(2, 1),
        pad=(1, 2),
        untie_biases=True,
        b=drawn(rng, 3, 4, 8),
        scale_inputs=scale_inputs,
    )
    layer = BatchNormLayer(layer, gamma=np.array([-1, 2, 0], "float32"), beta=None, mean=drawn(rng, 3))
    layer = XNORConv2DLayer(layer, 4, 3, pad="full", nonlinearity=rectify, scale_inputs=scale_inputs)
    layer = lasagne.layers.MaxPool2DLayer(layer, 3, 2, pad=1)
    layer = BatchNormLayer(layer, gamma=drawn(rng, 4), mean=drawn(rng, 4), beta=drawn(rng, 4))
    layer = XNORDenseLayer(layer, 5, b=drawn(rng, 5), scale_inputs=scale_inputs)
    network = BatchNormLayer(DenseLayer(layer, 3, nonlinearity=None))
    images = (rng.integers(-300, 301, (3, 2, 7, 6)) / 256).astype("float32")
    outputs = assert_exact(quantize(network, images), images)
    assert len(np.unique(outputs[-1])) > 3


def test_a_bias_is_added_before_or_after_the_scales():
    images = np.full((1, 1, 2, 2), 0.375, "float32")
    W = np.full((4, 1), 0.25, "float32")
    layer = XNORDenseLayer(InputLayer((None, 1, 2, 2)), 1, W=W, b=np.array([3], "float32"))
    scaled = ScaledBias(Signs.pack(np.ones((1, 4))), W[0] / 4, None, np.array([3 / 16]), None, None, None)
    both = (layer, 4 * 0.25 * 0.375 + 3), (Graph.chain((1, 2, 2), [Quantize(), scaled]), 7 * 0.25 * 0.375)
    for network, expected in both:
        model = quantize(network, images)
        *_, scores = assert_exact(model, images)
        assert model.q_out.dequantize(scores).tolist() == [[expected]]


def test_values_beyond_the_calibration_saturate():
    network = DenseLayer(InputLayer((None, 1, 2, 2)), 3, W=lasagne.init.Constant(1), nonlinearity=None)
    images = np.array([[[[1, 1], [1, 1]]], [[[-1, -1], [-1, -1]]]], "float32")
    *_, scores = assert_exact(quantize(network, np.array([[[[1.0, 0], [0, 0]]]])), images)
    limit = 2**15 - 1
    assert set(np.abs(scores).ravel()) == {limit}
    np.testing.assert_array_equal(scores[0], -scores[1])


def test_images_round_half_to_even_and_saturate():
    network = DenseLayer(InputLayer((None, 1, 1, 6)), 2)
    x = np.array([0.5, 1.5, -0.5, -2.5, 500, -500], "float32") / 128
    first, *_ = assert_exact(quantize(network, np.full((1, 1, 1, 6), 127 / 128)), x.reshape(1, 1, 1, 6))
    assert first.ravel().tolist() == [0, 2, 0, -2, 127, -127]


@pytest.mark.parametrize("layer", [DenseLayer, XNORDenseLayer])
@pytest.mark.parametrize("bias", [0, 1e6])
def test_4096_inputs_with_large_values_do_not_overflow(layer, bias):
    incoming = InputLayer((None, 1, 64, 64))
    signs = np.array([1, -1], "float32")
    W = np.full((4096, 2), 1e6, "float32") * signs
    incoming = layer(incoming, 2, W=W, b=np.float32(bias) * signs, nonlinearity=None)
    network = layer(incoming, 2, W=W[:2], b=np.full(2, -bias, "float32"), nonlinearity=None)
    images = np.ones((2, 1, 64, 64), "float32")
    images[1] = -1
    model = quantize(network, images, Formats(15, 15, 15))
    outputs = assert_exact(model, images)
    assert outputs[1][0, 0] > 2**13
    assert outputs[1][0, 1] < -(2**13)


def test_so_many_inputs_that_weights_must_lose_bits_are_exact():
    rng = np.random.default_rng(0)
    network = XNORDenseLayer(InputLayer((None, 1, 300, 400)), 2, W=drawn(rng, 120_000, 2))
    images = np.ones((1, 1, 300, 400), "float32")
    images[0, 0, rng.random((300, 400)) < 0.1] = -1
    model = quantize(network, images, Formats(15, 15, 15))
    assert_exact(model, images)
    assert np.abs(model.operations[1].alpha).max() < 2**14


@pytest.mark.parametrize("exponent", [-100, -60])
@pytest.mark.parametrize("bias", [0, 1])
def test_tiny_weights_with_or_without_a_bias_are_exact(exponent, bias):
    rng = np.random.default_rng(0)
    layer = InputLayer((None, 1, 3, 3))
    for units in (4, 3):
        inputs = int(np.prod(layer.output_shape[1:]))
        W = drawn(rng, inputs, units) * np.float32(2.0**exponent)
        layer = XNORDenseLayer(layer, units, W=W, b=np.full(units, bias, "float32"), scale_inputs=False)
    images = drawn(rng, 3, 1, 3, 3)
    *_, scores = assert_exact(quantize(layer, images), images)
    assert np.abs(scores).min() > 0


def test_zero_weights_give_the_bias():
    layer = DenseLayer(
        InputLayer((None, 1, 2, 2)),
        2,
        W=np.zeros((4, 2), "float32"),
        b=np.array([0.5, -3], "float32"),
        nonlinearity=None,
    )
    images = np.ones((1, 1, 2, 2), "float32")
    model = quantize(layer, images)
    *_, scores = assert_exact(model, images)
    assert model.q_out.dequantize(scores).tolist() == [[0.5, -3]]


def test_fifteen_bits_come_close_to_floating_point():
    rng = np.random.default_rng(0)
    layer = InputLayer((None, 1, 6, 6))
    layer = lasagne.layers.Conv2DLayer(layer, 3, 3, pad="same", nonlinearity=rectify)
    layer = first = BatchNormLayer(layer, gamma=drawn(rng, 3), mean=drawn(rng, 3), beta=drawn(rng, 3))
    layer = XNORConv2DLayer(layer, 4, 3)
    layer = lasagne.layers.MaxPool2DLayer(layer, 2)
    layer = second = BatchNormLayer(layer, gamma=drawn(rng, 4), mean=drawn(rng, 4), beta=drawn(rng, 4))
    layer = XNORDenseLayer(layer, 6, b=drawn(rng, 6))
    network = BatchNormLayer(DenseLayer(layer, 4, nonlinearity=None), inv_std=lasagne.init.Constant(3))

    images = rng.uniform(-1, 1, (3000, 1, 6, 6)).astype("float32")
    x = get_all_layers(network)[0].input_var
    run = theano.function([x], get_output([first, second, network], deterministic=True))
    *before_signs, scores = run(images)
    margins = [np.abs(v).reshape(len(v), -1).min(axis=1) for v in before_signs]
    clear = np.min(margins, axis=0) > 2e-3
    assert clear.sum() > 20

    model = quantize(network, images, Formats(15, 15, 15))
    found = model.q_out.dequantize(simulate(model, images[clear]))
    np.testing.assert_allclose(found, scores[clear], atol=np.abs(scores).max() * 2**-11)


def test_images_beyond_the_calibration_are_reported_with_their_share():
    network = DenseLayer(InputLayer((None, 1, 2, 2)), 3)
    images = np.array([[0.5, 0.25, -0.5, 0.1], [0.5, 7, 0.75, -0.75]], "float32").reshape(2, 1, 2, 2)
    graph = quantize(network, images[:1])
    assert graph.operations[0].q_out == Q(7, -1)
    with pytest.warns(Saturation, match=r"37.50% of the images' numbers lie beyond Q\(7, -1\)"):
        simulate(graph, images)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        simulate(graph, images[:1])


def test_pixels_from_0_to_255_keep_their_range():
    network = DenseLayer(InputLayer((None, 1, 1, 4)), 4, W=np.eye(4, dtype="float32"), nonlinearity=None)
    images = np.array([0, 2, 128, 255], "float32").reshape(1, 1, 1, 4)
    graph = quantize(network, images)
    assert graph.operations[0].q_out == Q(7, 8)
    found = graph.q_out.dequantize(simulate(graph, images))
    np.testing.assert_allclose(found, images.reshape(1, 4), atol=1.1)


@pytest.mark.parametrize("shape", [(0, 1, 2, 2), (3, 1, 2), (3, 1, 2, 3)])
def test_images_of_another_shape_are_refused(shape):
    network = DenseLayer(InputLayer((None, 1, 2, 2)), 3)
    graph = quantize(network, np.ones((1, 1, 2, 2)))
    with pytest.raises(ValueError, match=r"takes images of shape \('n', 1, 2, 2\); got"):
        simulate(graph, np.ones(shape))


def test_what_is_no_number_is_refused():
    network = DenseLayer(InputLayer((None, 1, 2, 2)), 3)
    graph = quantize(network, np.ones((1, 1, 2, 2)))
    with pytest.raises(ValueError, match="values that are not numbers"):
        simulate(graph, np.full((1, 1, 2, 2), np.nan))
