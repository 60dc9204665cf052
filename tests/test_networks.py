"""The networks that ship: their sizes, counted by hand, and what they refuse."""

import lasagne
import numpy as np
import pytest

import theano
import theano.tensor as T
from xnornet import networks
from xnornet.layers import XNORConv2DLayer, XNORDenseLayer

SMALL = {
    "digits_mlp": {"num_units": 6},
    "mnist_mlp": {"num_units": 6},
    "mnist_convnet": {"num_filters": (2, 3), "num_units": 6},
}

# Weights and biases of each layer, and four numbers for each channel of a batch norm.
COUNTS = {
    "digits_mlp": (64 * 256 + 256 + 4 * 256) + 2 * (256 * 256 + 256 + 4 * 256) + (256 * 10 + 10 + 4 * 10),
    "mnist_mlp": (784 * 4096 + 4096) + 2 * (4 * 4096 + 4096 * 4096 + 4096) + (4096 * 10 + 10 + 4 * 10),
    "mnist_convnet": (32 * 1 * 25 + 32 + 4 * 32)
    + (96 * 32 * 25 + 96 + 4 * 96)
    + (96 * 7 * 7 * 1024 + 1024 + 4 * 1024)
    + (1024 * 10 + 10 + 4 * 10),
}
BINARY = {
    "digits_mlp": 2 * 256 * 256,
    "mnist_mlp": 784 * 4096 + 2 * 4096 * 4096,
    "mnist_convnet": 96 * 32 * 25 + 96 * 49 * 1024,
}


def test_every_network_is_tested_here():
    assert set(SMALL) == set(COUNTS) == set(BINARY) == set(networks.NETWORKS) == set(networks.DATASETS)


@pytest.mark.parametrize("name", COUNTS)
def test_parameters_are_as_many_as_counted_by_hand(name):
    network = networks.build(name)
    assert network.output_shape == (None, 10)
    assert lasagne.layers.count_params(network) == COUNTS[name]
    assert lasagne.layers.count_params(network, binary=True) == BINARY[name]


@pytest.mark.parametrize("name", SMALL)
def test_networks_score_ten_classes(name):
    network = networks.build(name, **SMALL[name])
    input_var = lasagne.layers.get_all_layers(network)[0].input_var
    shape = lasagne.layers.get_all_layers(network)[0].shape
    scores = theano.function([input_var], lasagne.layers.get_output(network, deterministic=True))
    for batch in (1, 3):
        images = np.random.default_rng(0).uniform(-1, 1, (batch, *shape[1:])).astype("float32")
        assert scores(images).shape == (batch, 10)


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("scale_inputs", [True, False])
def test_scale_inputs_reaches_every_binary_layer(name, scale_inputs):
    network = networks.build(name, scale_inputs=scale_inputs, **SMALL[name])
    layers = lasagne.layers.get_all_layers(network)
    binary = [layer for layer in layers if isinstance(layer, XNORConv2DLayer | XNORDenseLayer)]
    assert binary
    assert {layer.scale_inputs for layer in binary} == {scale_inputs}


@pytest.mark.parametrize("name", SMALL)
def test_the_input_variable_is_the_one_given(name):
    images = T.tensor4("images")
    network = networks.build(name, images, **SMALL[name])
    assert lasagne.layers.get_all_layers(network)[0].input_var is images


def test_dropout_options_reach_the_layers():
    def shares(network):
        layers = lasagne.layers.get_all_layers(network)
        return [layer.p for layer in layers if isinstance(layer, lasagne.layers.DropoutLayer)]

    assert shares(networks.digits_mlp(num_units=4, dropout=0.3)) == [0.3, 0.3]
    assert shares(networks.mnist_mlp(num_units=4, dropout=0.3)) == [0.3, 0.3]
    assert shares(networks.mnist_convnet(num_filters=(2, 2), num_units=4, dropout=0.3)) == [0.3]


def test_an_unknown_network_is_named_with_those_that_exist():
    with pytest.raises(ValueError, match="'resnet' is unknown; .*digits_mlp, mnist_mlp, mnist_convnet"):
        networks.build("resnet")


@pytest.mark.parametrize("option", ["width", "input_var_"])
def test_an_unknown_option_is_named_with_those_that_exist(option):
    with pytest.raises(ValueError, match=f"no option '{option}'; it has num_units, dropout, scale_inputs"):
        networks.build("digits_mlp", **{option: 3})
