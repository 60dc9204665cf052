"""The real-number reading of quantized models, against the network they came from."""

import lasagne
import numpy as np
import pytest
from lasagne.layers import DenseLayer, InputLayer, get_all_layers, get_output
from lasagne.nonlinearities import rectify

import theano
from xnornet.graph import Formats, simulate
from xnornet.layers import BatchNormLayer, XNORConv2DLayer, XNORDenseLayer
from xnornet.quantization import quantize, to_graph


def drawn(rng, *shape):
    return rng.uniform(-1, 1, shape).astype("float32")


@pytest.mark.parametrize("scale_inputs", [True, False])
def test_it_is_the_trained_network_but_for_fifteen_bits(scale_inputs):
    rng = np.random.default_rng(0)
    layer = InputLayer((None, 1, 6, 6))
    layer = lasagne.layers.Conv2DLayer(layer, 3, 3, pad="same", nonlinearity=rectify)
    layer = first = BatchNormLayer(layer, gamma=drawn(rng, 3), mean=drawn(rng, 3), beta=drawn(rng, 3))
    layer = XNORConv2DLayer(layer, 4, 3, scale_inputs=scale_inputs)
    layer = lasagne.layers.MaxPool2DLayer(layer, 2)
    layer = second = BatchNormLayer(layer, gamma=drawn(rng, 4), mean=drawn(rng, 4), beta=drawn(rng, 4))
    layer = XNORDenseLayer(layer, 6, b=drawn(rng, 6), scale_inputs=scale_inputs)
    network = BatchNormLayer(DenseLayer(layer, 4, nonlinearity=None), inv_std=lasagne.init.Constant(3))

    images = rng.uniform(-1, 1, (3000, 1, 6, 6)).astype("float32")
    x = get_all_layers(network)[0].input_var
    before_signs = theano.function([x], get_output([first, second], deterministic=True))(images)
    margins = [np.abs(v).reshape(len(v), -1).min(axis=1) for v in before_signs]
    clear = np.min(margins, axis=0) > 5e-4
    assert clear.sum() > 100

    # One image calibrates, and three bits hold the data: were it rounded or saturated, it would show.
    reading = quantize(network, images[:1], Formats(1, 3, 15))
    found = simulate(reading, images[clear], real=True)
    wanted = simulate(to_graph(network), images[clear], real=True)
    assert found.dtype == wanted.dtype
    np.testing.assert_allclose(found, wanted, atol=np.abs(wanted).max() * 2**-12)


def test_the_image_is_neither_rounded_nor_saturated():
    network = DenseLayer(InputLayer((None, 1, 1, 4)), 4, W=np.eye(4, dtype="float32"), nonlinearity=None)
    model = quantize(network, None, Formats(1, 1, 15), magnitudes=[1, 0.25])
    images = np.array([0.3, -0.001, 7, -900], "float32").reshape(1, 1, 1, 4)
    scores = simulate(model, images, real=True)
    np.testing.assert_allclose(scores[0], images.ravel(), rtol=2**-14)
