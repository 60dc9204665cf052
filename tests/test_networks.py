"""The networks that ship: their sizes, counted by hand, and what they refuse."""

import lasagne
import numpy as np
import pytest

import theano
import theano.tensor as T
from xnornet import networks
from xnornet.layers import BatchNormLayer, XNORConv2DLayer, XNORDenseLayer
from xnornet.training.weights import load_weights, save_weights

SMALL = {
    "digits_mlp": {"num_units": 6},
    "mnist_mlp": {"num_units": 6},
    "mnist_convnet": {"num_filters": (2, 3), "num_units": 6},
    "cifar10_convnet": {"width": 1 / 64},
    "cifar10_resnet18": {"width": 1 / 64},
    "svhn_convnet": {"width": 1 / 64},
}

# Weights and biases of each layer, and four numbers for each channel of a batch norm.
COUNTS = {
    "digits_mlp": (64 * 256 + 256 + 4 * 256) + 2 * (256 * 256 + 256 + 4 * 256) + (256 * 10 + 10 + 4 * 10),
    "mnist_mlp": (784 * 4096 + 4096) + 2 * (4 * 4096 + 4096 * 4096 + 4096) + (4096 * 10 + 10 + 4 * 10),
    "mnist_convnet": (32 * 1 * 25 + 32 + 4 * 32)
    + (96 * 32 * 25 + 96 + 4 * 96)
    + (96 * 7 * 7 * 1024 + 1024 + 4 * 1024)
    + (1024 * 10 + 10 + 4 * 10),
    "cifar10_convnet": (128 * 3 * 9 + 5 * 128)
    + (128 * 128 * 9 + 5 * 128)
    + (256 * 128 * 9 + 5 * 256)
    + (256 * 256 * 9 + 5 * 256)
    + (512 * 256 * 9 + 5 * 512)
    + (512 * 512 * 9 + 5 * 512)
    + (512 * 4 * 4 * 1024 + 5 * 1024)
    + (1024 * 1024 + 5 * 1024)
    + (1024 * 10 + 5 * 10),
    # No biases but the last layer's; four 3x3 convolutions a stage, and one of 1x1 in all but the first.
    "cifar10_resnet18": (64 * 3 * 9 + 4 * 64)
    + 4 * (64 * 64 * 9 + 4 * 64)
    + sum((n // 2 * n * 9 + 4 * n) + 3 * (n * n * 9 + 4 * n) + (n // 2 * n + 4 * n) for n in (128, 256, 512))
    + (512 * 10 + 5 * 10),
    "svhn_convnet": (64 * 3 * 9 + 5 * 64)
    + (64 * 64 * 9 + 5 * 64)
    + (128 * 64 * 9 + 5 * 128)
    + (128 * 128 * 9 + 5 * 128)
    + (256 * 128 * 9 + 5 * 256)
    + (256 * 256 * 9 + 5 * 256)
    + (256 * 4 * 4 * 1024 + 5 * 1024)
    + (1024 * 1024 + 5 * 1024)
    + (1024 * 10 + 5 * 10),
}
BINARY = {
    "digits_mlp": 2 * 256 * 256,
    "mnist_mlp": 784 * 4096 + 2 * 4096 * 4096,
    "mnist_convnet": 96 * 32 * 25 + 96 * 49 * 1024,
    "cifar10_convnet": 9 * (128 * 128 + 256 * 128 + 256 * 256 + 512 * 256 + 512 * 512)
    + 512 * 16 * 1024
    + 1024 * 1024,
    "cifar10_resnet18": 9 * (4 * 64 * 64 + sum(n // 2 * n + 3 * n * n for n in (128, 256, 512))),
    "svhn_convnet": 9 * (64 * 64 + 128 * 64 + 128 * 128 + 256 * 128 + 256 * 256)
    + 256 * 16 * 1024
    + 1024 * 1024,
}


def test_every_network_is_tested_here():
    assert set(SMALL) == set(COUNTS) == set(BINARY) == set(networks.NETWORKS)


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


@pytest.mark.parametrize("name", ["mnist_convnet", "cifar10_convnet", "svhn_convnet"])
@pytest.mark.parametrize("real_first", [True, False])
def test_parts_of_the_ablation_reach_the_layers(name, real_first):
    network = networks.build(name, scale_weights=False, real_first=real_first, **SMALL[name])
    layers = lasagne.layers.get_all_layers(network)
    binary = [layer for layer in layers if isinstance(layer, XNORConv2DLayer | XNORDenseLayer)]
    assert {layer.scale_weights for layer in binary} == {False}
    assert isinstance(layers[1], XNORConv2DLayer) == (not real_first)
    whole = lasagne.layers.get_all_layers(networks.build(name, **SMALL[name]))
    assert [layer.output_shape for layer in layers] == [layer.output_shape for layer in whole]


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
    assert shares(networks.cifar10_convnet(width=1 / 64, dropout=0.3)) == [0.3, 0.3]
    assert shares(networks.svhn_convnet(width=1 / 64, dropout=0.3)) == [0.3, 0.3]


def shape_of(name, width):
    """Class and output shape of each layer, dropout left out."""
    layers = lasagne.layers.get_all_layers(networks.build(name, width=width))
    shapes = [(type(layer).__name__, layer.output_shape[1:]) for layer in layers]
    return [shape for shape in shapes if shape[0] != "DropoutLayer"]


def test_the_layers_of_the_cifar_network_come_in_the_order_of_its_ancestor():
    assert shape_of("cifar10_convnet", 0.25) == [
        ("InputLayer", (3, 32, 32)),
        ("Conv2DLayer", (32, 32, 32)),
        ("BatchNormLayer", (32, 32, 32)),
        ("XNORConv2DLayer", (32, 32, 32)),
        ("MaxPool2DLayer", (32, 16, 16)),
        ("BatchNormLayer", (32, 16, 16)),
        ("XNORConv2DLayer", (64, 16, 16)),
        ("BatchNormLayer", (64, 16, 16)),
        ("XNORConv2DLayer", (64, 16, 16)),
        ("MaxPool2DLayer", (64, 8, 8)),
        ("BatchNormLayer", (64, 8, 8)),
        ("XNORConv2DLayer", (128, 8, 8)),
        ("BatchNormLayer", (128, 8, 8)),
        ("XNORConv2DLayer", (128, 8, 8)),
        ("MaxPool2DLayer", (128, 4, 4)),
        ("BatchNormLayer", (128, 4, 4)),
        ("XNORDenseLayer", (256,)),
        ("BatchNormLayer", (256,)),
        ("XNORDenseLayer", (256,)),
        ("BatchNormLayer", (256,)),
        ("DenseLayer", (10,)),
        ("BatchNormLayer", (10,)),
    ]


def test_the_svhn_network_has_half_the_filters_and_as_many_units():
    cifar, svhn = shape_of("cifar10_convnet", 0.25), shape_of("svhn_convnet", 0.25)
    assert [kind for kind, _ in cifar] == [kind for kind, _ in svhn]
    assert [(n[0] // 2, *n[1:]) for _, n in cifar[1:16]] == [n for _, n in svhn[1:16]]
    assert cifar[16:] == svhn[16:]


def test_width_rounds_and_leaves_one_filter_at_least():
    assert [n[0] for _, n in shape_of("svhn_convnet", 0.02)][1:-2:5] == [1, 3, 5, 20]
    assert {n[0] for _, n in shape_of("svhn_convnet", 1e-6)[1:-2]} == {1}


def test_the_residual_network_has_a_shortcut_around_each_binary_convolution():
    network = networks.cifar10_resnet18(width=0.25)
    layers = lasagne.layers.get_all_layers(network)
    sums = [layer for layer in layers if isinstance(layer, lasagne.layers.ElemwiseSumLayer)]
    assert [layer.output_shape[1:] for layer in sums] == [
        shape for shape in ((16, 32, 32), (32, 16, 16), (64, 8, 8), (128, 4, 4)) for _ in range(4)
    ]
    (before,) = (
        layer for layer in layers if isinstance(layer, BatchNormLayer) and layer.input_layer is layers[1]
    )
    for i, added in enumerate(sums):
        branch, shortcut = added.input_layers
        convolution = branch.input_layer
        assert isinstance(branch, BatchNormLayer) and isinstance(convolution, XNORConv2DLayer)
        assert convolution.input_layer is before and convolution.b is None
        if i in (4, 8, 12):
            assert convolution.stride == (2, 2)
            assert isinstance(shortcut, BatchNormLayer)
            assert isinstance(shortcut.input_layer, lasagne.layers.Conv2DLayer)
            assert shortcut.input_layer.filter_size == (1, 1)
            pool = shortcut.input_layer.input_layer
            assert (pool.pool_size, pool.mode, pool.input_layer) == ((2, 2), "average_inc_pad", before)
        else:
            assert convolution.stride == (1, 1) and shortcut is before
        before = added
    assert isinstance(layers[-3], lasagne.layers.GlobalPoolLayer) and layers[-3].input_layer is before
    assert {layer.num_groups for layer in layers if isinstance(layer, XNORConv2DLayer)} == {1}


def test_parameters_of_the_residual_network_come_branch_before_shortcut():
    network = networks.cifar10_resnet18(width=1 / 16)
    shapes = [p.get_value().shape for p in lasagne.layers.get_all_params(network)]

    def normalized(*shape):
        return [shape] + [shape[:1]] * 4

    expected = normalized(4, 3, 3, 3) + normalized(4, 4, 3, 3) * 4
    for n in (8, 16, 32):
        expected += normalized(n, n // 2, 3, 3) + normalized(n, n // 2, 1, 1) + normalized(n, n, 3, 3) * 3
    assert shapes == [*expected, (32, 10), (10,), *[(10,)] * 4]


def test_weights_of_the_residual_network_load_and_score_the_same(tmp_path):
    rng = np.random.default_rng(0)
    images = rng.uniform(-1, 1, (3, 3, 32, 32)).astype("float32")
    path = tmp_path / "weights.npz"
    one, other = (networks.cifar10_resnet18(T.tensor4("images"), width=1 / 64) for _ in range(2))
    for p in lasagne.layers.get_all_params(one):
        p.set_value(rng.uniform(0.1, 1, p.get_value().shape).astype("float32"))
    save_weights(path, lasagne.layers.get_all_param_values(one))
    networks.set_weights(other, load_weights(path, lasagne.layers.get_all_params(other)))
    scores = [
        theano.function(
            [lasagne.layers.get_all_layers(net)[0].input_var],
            lasagne.layers.get_output(net, deterministic=True),
        )(images)
        for net in (one, other)
    ]
    np.testing.assert_array_equal(*scores)


@pytest.mark.parametrize("width", [0, -1, float("nan"), float("inf"), "wide", None, True])
@pytest.mark.parametrize("name", ["cifar10_convnet", "cifar10_resnet18", "svhn_convnet"])
def test_a_width_that_is_no_positive_number_is_named(name, width):
    with pytest.raises(ValueError, match=f"^width is {width!r}; it takes a positive number.*$"):
        networks.build(name, width=width)


def test_an_unknown_network_is_named_with_those_that_exist():
    with pytest.raises(ValueError, match="'resnet' is unknown; .*digits_mlp, mnist_mlp, mnist_convnet"):
        networks.build("resnet")


@pytest.mark.parametrize("value", [3, (32,), (3, -1), "ab", (1.5, 2)])
def test_a_value_of_another_kind_is_named_with_what_is_wanted(value):
    with pytest.raises(ValueError, match="num_filters is .*; it takes 2 positive whole numbers"):
        networks.build("mnist_convnet", num_filters=value)


def test_a_list_is_as_good_as_a_tuple():
    assert networks.options("mnist_convnet", num_filters=[2, 3])["num_filters"] == (2, 3)


@pytest.mark.parametrize("option", ["width", "input_var_"])
def test_an_unknown_option_is_named_with_those_that_exist(option):
    with pytest.raises(ValueError, match=f"no option '{option}'; it has num_units, dropout, scale_inputs"):
        networks.build("digits_mlp", **{option: 3})
