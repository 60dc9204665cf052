"""The real-number reading of quantized models, against exact fractions and the network they came from."""

import lasagne
import numpy as np
import pytest
from extent import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from interpreters import RealInterpreter
from lasagne.layers import DenseLayer, InputLayer, get_all_layers, get_output
from lasagne.nonlinearities import rectify
from random_networks import draw_network, formats

import theano
from xnornet.inference import Formats, compute_scores, float_network, quantize, real_network
from xnornet.inference.floating import chain
from xnornet.layers import BatchNormLayer, XNORConv2DLayer, XNORDenseLayer


# In double precision, where no sign depends on how the layers round. Magnitudes are drawn, as the formats of
# data that come of them should not matter.
@settings(max_examples=examples(20))
@given(data=st.data(), formats=st.just(Formats()) | formats, magnitude=st.sampled_from([2.0**-9, 1, 2.0**9]))
def test_each_layer_is_the_exact_value_of_its_formula(data, formats, magnitude):
    with theano.config.change_flags(floatX="float64"):
        network, images = data.draw(draw_network(exponents=(-20, -3, 0, 0, 0, 3)))
        count = len(chain(network)) - 1
        model = quantize(network, None, formats, magnitudes=[magnitude] * count)
        layers = get_all_layers(real_network(model))
        outputs = theano.function([layers[0].input_var], get_output(layers[1:]))(images)
    expected = zip(*(RealInterpreter().run(model, image) for image in images), strict=True)
    for record, found, wanted in zip(model.layers, outputs, expected, strict=True):
        wanted = np.array(wanted).astype(float)
        tolerance = 1e-9 * max(1e-300, np.abs(wanted).max())
        np.testing.assert_allclose(found, wanted, 1e-9, tolerance, err_msg=type(record).__name__)


def drawn(rng, *shape):
    return rng.uniform(-1, 1, shape).astype("float32")


@pytest.mark.parametrize("scale_bias", [True, False])
@pytest.mark.parametrize("scale_inputs", [True, False])
def test_it_is_the_trained_network_but_for_fifteen_bits(scale_inputs, scale_bias):
    rng = np.random.default_rng(0)
    layer = InputLayer((None, 1, 6, 6))
    layer = lasagne.layers.Conv2DLayer(layer, 3, 3, pad="same", nonlinearity=rectify)
    layer = first = BatchNormLayer(layer, gamma=drawn(rng, 3), mean=drawn(rng, 3), beta=drawn(rng, 3))
    layer = XNORConv2DLayer(layer, 4, 3, scale_inputs=scale_inputs)
    layer = lasagne.layers.MaxPool2DLayer(layer, 2)
    layer = second = BatchNormLayer(layer, gamma=drawn(rng, 4), mean=drawn(rng, 4), beta=drawn(rng, 4))
    layer = XNORDenseLayer(layer, 6, b=drawn(rng, 6), scale_bias=scale_bias, scale_inputs=scale_inputs)
    network = BatchNormLayer(DenseLayer(layer, 4, nonlinearity=None), inv_std=lasagne.init.Constant(3))

    images = rng.uniform(-1, 1, (3000, 1, 6, 6)).astype("float32")
    x = get_all_layers(network)[0].input_var
    before_signs = theano.function([x], get_output([first, second], deterministic=True))(images)
    margins = [np.abs(v).reshape(len(v), -1).min(axis=1) for v in before_signs]
    clear = np.min(margins, axis=0) > 5e-4
    assert clear.sum() > 100

    # One image calibrates, and three bits hold the data: were it rounded or saturated, it would show.
    reading = real_network(quantize(network, images[:1], Formats(1, 3, 15)))
    found = compute_scores(reading, images[clear])
    wanted = compute_scores(float_network(network), images[clear])
    assert found.dtype == wanted.dtype
    np.testing.assert_allclose(found, wanted, atol=np.abs(wanted).max() * 2**-12)


def test_the_image_is_neither_rounded_nor_saturated():
    network = DenseLayer(InputLayer((None, 1, 1, 4)), 4, W=np.eye(4, dtype="float32"), nonlinearity=None)
    model = quantize(network, None, Formats(1, 1, 15), magnitudes=[0.25])
    images = np.array([0.3, -0.001, 7, -900], "float32").reshape(1, 1, 1, 4)
    scores = compute_scores(real_network(model), images)
    np.testing.assert_allclose(scores[0], images.ravel(), rtol=2**-14)
