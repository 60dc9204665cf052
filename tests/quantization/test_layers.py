"""Each of Lasagne's layers as operations: the graph of real parameters against the network itself."""

import lasagne
import numpy as np
import pytest
from extent import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from lasagne.layers import (
    ConcatLayer,
    DenseLayer,
    ElemwiseMergeLayer,
    ElemwiseSumLayer,
    GlobalPoolLayer,
    InputLayer,
    NINLayer,
    NonlinearityLayer,
    PadLayer,
    ReshapeLayer,
    SliceLayer,
    get_all_layers,
)
from network_scores import network_scores

import theano
import theano.tensor as T
from xnornet import networks as shipped
from xnornet.graph import simulate
from xnornet.layers import BatchNormLayer, XNORConv2DLayer, XNORDenseLayer
from xnornet.quantization import to_graph
from xnornet.quantization.layers import merged_alpha, merged_batch_norm


def assert_close(found, expected, tolerance):
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance * np.abs(expected).max())


# In double precision, where no sign depends on how the graph rounds.
@settings(deadline=None, max_examples=examples(40))
@given(data=st.data())
def test_a_graph_gives_the_deterministic_output(networks, data):
    with theano.config.change_flags(floatX="float64", mode="FAST_COMPILE", cxx=""):
        network, images = data.draw(networks(exponents=(-3, 0, 0, 3)))
        graph = to_graph(network)
        assert graph.shapes()[-1] == network.output_shape[1:]
        found = graph.evaluate(lambda operation, *x: operation.real(np, *x), images)[-1]
        assert_close(found, network_scores(network, images), 1e-7)


@pytest.mark.parametrize(("name", "scale_inputs"), [(n, i != 1) for i, n in enumerate(shipped.NETWORKS)])
def test_the_graph_of_a_network_that_ships(name, scale_inputs):
    sizes = {"num_units": 20} if "width" not in shipped.options(name) else {"width": 1 / 32}
    if name == "mnist_convnet":
        sizes["num_filters"] = (3, 4)
    network = shipped.build(name, scale_inputs=scale_inputs, **sizes)
    rng = np.random.default_rng(3)
    for p in lasagne.layers.get_all_params(network, batch_norm_stat=True):
        p.set_value(rng.uniform(0.2, 1, p.get_value().shape).astype("float32"))
    images = rng.uniform(-1, 1, (5, *get_all_layers(network)[0].shape[1:])).astype("float32")
    found = simulate(to_graph(network), images, real=True)
    assert found.dtype == np.float32
    assert_close(found, network_scores(network, images), 1e-4)


def test_a_graph_holds_signs_and_no_layer_of_training():
    graph = to_graph(shipped.digits_mlp(num_units=5))
    kinds = [operation.kind for operation in graph.operations]
    assert kinds == ["quantize", "linear", "affine", *["xnor", "affine"] * 2, "linear", "affine"]


def test_nodes_have_the_names_of_their_layers():
    layer = DenseLayer(InputLayer((None, 4), name="in"), 3, name="out")
    assert [node.name for node in to_graph(layer).nodes] == ["in", "out", "out"]


def test_a_layer_may_have_several_consumers_and_dropout_vanishes_anywhere():
    source = InputLayer((None, 2, 4, 4))
    dropped = lasagne.layers.DropoutLayer(source)
    layer = ElemwiseSumLayer([lasagne.layers.DropoutLayer(dropped), dropped, source])
    graph = to_graph(lasagne.layers.GaussianNoiseLayer(layer))
    assert [node.inputs for node in graph.nodes] == [(), (0, 0, 0)]


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
    return InputLayer((None, 2, 6, 6), name="in")


def bent(function):
    return lambda: NonlinearityLayer(source(), function, name="bend")


REFUSED = {
    "two inputs": (lambda: ConcatLayer([source(), source()]), "should begin at one InputLayer"),
    "no input layer": (
        lambda: DenseLayer((None, 4), 3),
        "at one InputLayer; this one begins at De",
    ),
    "batch norm of pixels": (lambda: BatchNormLayer(source(), axes=0), "BatchNormLayer: .*; use axes='auto'"),
    "own formula": (
        lambda: Doubled(source(), 3),
        "Doubled: its get_output_for differs from that of DenseLayer; use De",
    ),
    "open length": (lambda: NINLayer(InputLayer((None, 2, None, 3)), 1), "InputLayer: its output has shape"),
    "product": (
        lambda: ElemwiseMergeLayer([(layer := source()), layer], T.mul),
        "ElemwiseMergeLayer: .*; use theano.tensor.add",
    ),
    "rows": (lambda: ConcatLayer([(layer := source()), layer], axis=2), "along axis 2; use axis=1"),
    "minimum": (lambda: GlobalPoolLayer(source(), T.min), "by min of .*; use theano.tensor.mean, max or sum"),
    "ones": (lambda: PadLayer(source(), 1, val=1), "PadLayer: .*val=1; use val=0"),
    "batch": (lambda: ReshapeLayer(source(), (-1, 3)), "from one image to another, .*; use a shape"),
    "fewer images": (
        lambda: SliceLayer(InputLayer((4, 2)), slice(1, None), 0),
        "leaves images out; use another axis",
    ),
    "backwards": (lambda: SliceLayer(source(), slice(None, None, -1)), "negative step; use a positive one"),
    "dimshuffle": (
        lambda: lasagne.layers.DimshuffleLayer(source(), (0, 2, 3, 1)),
        "DimshuffleLayer: it has no exact form; use one of .*BatchNormLayer, .*XNORDenseLayer",
    ),
    "tanh": (
        bent(lasagne.nonlinearities.tanh),
        "NonlinearityLayer 'bend': .* tanh has no .* hard tanh",
    ),
    "softmax": (
        bent(lasagne.nonlinearities.softmax),
        "softmax has no exact form; use none: the larg",
    ),
    "square": (
        bent(lambda x: x**2),
        "<lambda> has no exact form; use identity, rectify, leaky",
    ),
    "clip to another": (bent(lambda x: T.clip(x, x - 1, 1)), "<lambda> has no exact form"),
    "maximum with 1": (bent(lambda x: T.maximum(x, 1)), "<lambda> has no exact form"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_exact_form_is_refused_in_one_line(name):
    build, message = REFUSED[name]
    with pytest.raises(ValueError, match=message) as error:
        to_graph(build())
    assert "\n" not in str(error.value)
    assert 40 < len(str(error.value)) < 420


BENDS = {
    "clip": (lambda x: T.clip(x, -1, 1), ["clip"]),
    "relu": (T.nnet.relu, ["rectify"]),
    "maximum": (lambda x: T.maximum(x, 0), ["rectify"]),
    "leaky": (lasagne.nonlinearities.leaky_rectify, ["leaky rectify"]),
    "leaky of 0": (lasagne.nonlinearities.LeakyRectify(0), ["rectify"]),
    "leaky of 1": (lasagne.nonlinearities.LeakyRectify(1), []),
    "identity": (lambda x: x, []),
    "none": (None, []),
}


@pytest.mark.parametrize("name", BENDS)
def test_nonlinearities_are_known_by_what_they_compute(name):
    function, kinds = BENDS[name]
    graph = to_graph(NonlinearityLayer(source(), function))
    assert [operation.kind for operation in graph.operations] == ["quantize", *kinds]


# Layers that Lasagne 0.1 does not have.
LATER = {
    "Upscale2DLayer": [{"scale_factor": (2, 3)}, {"scale_factor": 2, "mode": "dilate"}],
    "ScaleLayer": [{"scales": lasagne.init.Uniform(2)}],
    "BiasLayer": [{"b": lasagne.init.Uniform(2)}, {"b": None}],
    "DilatedConv2DLayer": [{"num_filters": 3, "filter_size": (2, 3), "dilation": (2, 1)}],
}


@pytest.mark.parametrize(("name", "options"), [(name, o) for name, several in LATER.items() for o in several])
def test_layers_of_a_later_lasagne(name, options):
    if not hasattr(lasagne.layers, name):
        pytest.skip(f"this Lasagne has no {name}")
    network = getattr(lasagne.layers, name)(source(), **options)
    images = np.random.default_rng(0).uniform(-1, 1, (2, 2, 6, 6)).astype("float32")
    assert_close(simulate(to_graph(network), images, real=True), network_scores(network, images), 1e-5)


def test_groups_of_a_later_lasagne():
    if not hasattr(lasagne.layers, "DilatedConv2DLayer"):
        pytest.skip("this Lasagne's Conv2DLayer has no groups")
    network = lasagne.layers.Conv2DLayer(source(), 4, 3, num_groups=2)
    images = np.random.default_rng(0).uniform(-1, 1, (2, 2, 6, 6)).astype("float32")
    assert_close(simulate(to_graph(network), images, real=True), network_scores(network, images), 1e-5)
