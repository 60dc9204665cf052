"""A network unpacked from a packed model computes what the model does, in training too."""

import lasagne
import numpy as np
import pytest
from network_scores import network_scores

import theano
import theano.tensor as T
from xnornet import networks
from xnornet.graph import simulate
from xnornet.quantization import quantize, unpack

CASES = [
    ("digits_mlp", {"num_units": 9, "scale_inputs": True}),
    ("mnist_mlp", {"num_units": 10}),
    ("mnist_convnet", {"num_filters": (3, 5), "num_units": 7, "scale_weights": False}),
    ("cifar10_convnet", {"width": 1 / 32, "scale_inputs": True, "real_first": False}),
]


def images_of(name, count=40):
    shape = networks.input_shape(networks.build(name))
    return np.random.default_rng(0).uniform(-1, 1, (count, *shape)).astype("float32")


def packed(name, options):
    """A network with a weight of its own in every place, and batch norms that do something, packed."""
    rng = np.random.default_rng(1)
    network = networks.build(name, T.tensor4("images"), **options)
    for parameter in lasagne.layers.get_all_params(network):
        value = rng.uniform(0.2, 1, parameter.get_value().shape)
        if parameter.name.rsplit(".")[-1] in ("W", "beta", "gamma", "mean"):
            value *= rng.choice([-1, 1], value.shape)
        parameter.set_value(value.astype("float32"))
    return quantize(network, images_of(name))


@pytest.mark.parametrize(("name", "options"), CASES)
def test_an_unpacked_network_computes_what_the_model_does(name, options):
    model, images = packed(name, options), images_of(name)
    network = networks.build(name, T.tensor4("images"), **options)
    unpack(model, network, images, batch_size=15)
    expected = simulate(model, images, real=True)
    found = network_scores(network, images)
    np.testing.assert_allclose(found, expected, atol=1e-3 * np.abs(expected).max())

    # Where the batch is those images, its own statistics are the stored ones.
    (layer,) = [each for each in lasagne.layers.get_all_layers(network) if hasattr(each, "input_var")]
    first = next(each for each in lasagne.layers.get_all_layers(network) if hasattr(each, "inv_std"))
    outputs = [lasagne.layers.get_output(first, deterministic=d) for d in (False, True)]
    training, testing = theano.function([layer.input_var], outputs)(images)
    np.testing.assert_allclose(training, testing, atol=1e-3 * np.abs(testing).max())


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("digits_mlp", {"num_units": 8}),
        ("digits_mlp", {"num_units": 9, "scale_inputs": False}),
        ("mnist_mlp", {"num_units": 9}),
    ],
)
def test_a_model_of_another_network_is_refused_and_changes_nothing(name, options):
    model = packed("digits_mlp", {"num_units": 9, "scale_inputs": True})
    network = networks.build(name, T.tensor4("images"), **options)
    before = lasagne.layers.get_all_param_values(network)
    with pytest.raises(ValueError, match="layers are not those of the network"):
        unpack(model, network, images_of("digits_mlp"))
    for old, new in zip(before, lasagne.layers.get_all_param_values(network), strict=True):
        np.testing.assert_array_equal(old, new)
