"""The floating-point twin against the network that it stands for."""

import lasagne
import numpy as np
import pytest
from extent import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from lasagne.layers import (
    ConcatLayer,
    DenseLayer,
    ElemwiseSumLayer,
    FlattenLayer,
    InputLayer,
    NINLayer,
    Pool2DLayer,
    get_all_layers,
    get_output,
)

import theano
import theano.tensor as T
from xnornet import networks as shipped
from xnornet.inference import compute_scores, float_network
from xnornet.inference.floating import merged_alpha, merged_batch_norm
from xnornet.layers import BatchNormLayer, XNORConv2DLayer, XNORDenseLayer

CHAINS = [name for name in shipped.NETWORKS if name != "cifar10_resnet18"]


def assert_close(found, expected, tolerance):
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance * np.abs(expected).max())


# In double precision, where no sign depends on how the twin rounds.
@settings(deadline=None, max_examples=examples(15))
@given(data=st.data())
def test_twin_gives_the_deterministic_output(networks, data):
    with theano.config.change_flags(floatX="float64"):
        network, images = data.draw(networks(exponents=(-3, 0, 0, 3)))
        twin = float_network(network)
        assert twin.output_shape == network.output_shape
        assert_close(compute_scores(twin, images), compute_scores(network, images), 1e-7)


@pytest.mark.parametrize(("name", "scale_inputs"), [(n, i != 1) for i, n in enumerate(CHAINS)])
def test_twin_of_a_network_that_ships(name, scale_inputs):
    sizes = {"num_units": 20} if "width" not in shipped.options(name) else {"width": 1 / 32}
    if name == "mnist_convnet":
        sizes["num_filters"] = (3, 4)
    network = shipped.build(name, scale_inputs=scale_inputs, **sizes)
    rng = np.random.default_rng(3)
    for p in lasagne.layers.get_all_params(network, batch_norm_stat=True):
        p.set_value(rng.uniform(0.2, 1, p.get_value().shape).astype("float32"))
    images = rng.uniform(-1, 1, (5, *get_all_layers(network)[0].shape[1:])).astype("float32")
    assert_close(compute_scores(float_network(network), images), compute_scores(network, images), 1e-4)


def test_twin_holds_signs_and_no_layer_of_training():
    network = shipped.digits_mlp(num_units=5)
    twin = float_network(network)
    assert [type(layer).__name__ for layer in get_all_layers(twin)] == [
        "InputLayer",
        "DenseLayer",
        "AffineLayer",
        *["SignDenseLayer", "AffineLayer"] * 2,
        "DenseLayer",
        "AffineLayer",
    ]
    signs = [p.get_value() for p in lasagne.layers.get_all_params(twin) if p.name == "B"]
    assert len(signs) == 2
    assert all(set(B.ravel()) <= {-1, 1} for B in signs)


def test_twin_reads_the_networks_input_or_another():
    x, y = T.tensor4(), T.tensor4()
    network = shipped.digits_mlp(x, num_units=5)
    images = np.random.default_rng(0).uniform(-1, 1, (4, 1, 8, 8)).astype("float32")
    assert get_all_layers(float_network(network))[0].input_var is x
    own = theano.function([x], get_output(float_network(network)))(images)
    other = theano.function([y], get_output(float_network(network, y)))(images)
    np.testing.assert_array_equal(own, other)


def test_alpha_takes_in_the_count_of_the_mean():
    W = np.array([[[[1, -2], [3, 0]]], [[[0.5, 0.5], [0.5, 0.5]]]], "float32")
    options = {"num_filters": 2, "filter_size": 2, "W": W}
    plain = XNORConv2DLayer((None, 1, 4, 4), scale_inputs=False, **options)
    scaled = XNORConv2DLayer((None, 1, 4, 4), **options)
    np.testing.assert_allclose(merged_alpha(plain), [1.5, 0.5])
    np.testing.assert_allclose(merged_alpha(scaled), [1.5 / 4, 0.5 / 4])
    dense = XNORDenseLayer((None, 2, 2), 3, W=np.array([[1, 2, 3]] * 4, "float32"))
    np.testing.assert_allclose(merged_alpha(dense), [1 / 4, 2 / 4, 3 / 4])
    without = XNORConv2DLayer((None, 1, 4, 4), scale_weights=False, **options)
    np.testing.assert_allclose(merged_alpha(without), [1 / 4, 1 / 4])


def test_batch_norm_becomes_scale_and_offset():
    values = {"beta": [1, 2], "gamma": [-3, 4], "mean": [5, -6], "inv_std": [0.5, 2]}
    layer = BatchNormLayer((None, 2), **{n: np.array(v, "float32") for n, v in values.items()})
    scale, offset = merged_batch_norm(layer)
    np.testing.assert_allclose(scale, [-1.5, 8])
    np.testing.assert_allclose(offset, [1 + 5 * 1.5, 2 + 6 * 8])


class Doubled(DenseLayer):
    """A layer of somebody's own, with a formula of its own."""

    def get_output_for(self, input, **kwargs):
        return 2 * super().get_output_for(input, **kwargs)


def source():
    return InputLayer((None, 2, 6, 6))


def two_branches(merge):
    layer = source()
    return merge([XNORConv2DLayer(layer, 2, 3), XNORConv2DLayer(layer, 2, 3)])


UNSUPPORTED = {
    "concatenation": lambda: DenseLayer(two_branches(ConcatLayer), 3),
    "sum": lambda: two_branches(ElemwiseSumLayer),
    "residual": lambda: ElemwiseSumLayer([(layer := source()), BatchNormLayer(layer)]),
    "two inputs": lambda: ConcatLayer([source(), source()]),
    "network in network": lambda: NINLayer(source(), 3),
    "batch norm of features": lambda: BatchNormLayer(source(), axes=0),
    "flattening to three axes": lambda: FlattenLayer(source(), outdim=3),
    "groups": lambda: XNORConv2DLayer(source(), 4, 3, num_groups=2),
    "dilation": lambda: XNORConv2DLayer(source(), 4, 2, dilation=(1, 2)),
    "shipped residual network": lambda: shipped.cifar10_resnet18(width=1 / 64),
    "own formula": lambda: Doubled(source(), 3),
    "no input layer": lambda: DenseLayer((None, 4), 3),
}


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_what_has_no_twin_is_told_in_one_line(name):
    with pytest.raises(ValueError) as error:
        float_network(UNSUPPORTED[name]())
    message = str(error.value)
    assert "\n" not in message
    assert 40 < len(message) < 200


def test_average_pooling_has_a_twin():
    network = DenseLayer(Pool2DLayer(source(), 2, mode="average_inc_pad"), 3)
    images = np.random.default_rng(0).normal(size=(2, 2, 6, 6)).astype("float32")
    assert_close(compute_scores(float_network(network), images), compute_scores(network, images), 1e-6)


@pytest.mark.parametrize("batch_size", [3, 100])
def test_scores_do_not_depend_on_the_batch_size(batch_size):
    network = shipped.digits_mlp(num_units=5)
    images = np.random.default_rng(0).uniform(-1, 1, (7, 1, 8, 8))
    scores = compute_scores(network, images, batch_size=batch_size)
    x = get_all_layers(network)[0].input_var
    expected = theano.function([x], get_output(network, deterministic=True))(images.astype("float32"))
    assert_close(scores, expected, 1e-5)
