"""Merged graphs compute what the graphs did, and in fixed point no sign differs from that of real numbers."""

import lasagne
import numpy as np
import pytest
from lasagne.layers import Conv2DLayer, DenseLayer, FlattenLayer, InputLayer, MaxPool2DLayer, get_all_params

from xnornet import networks
from xnornet.data.dataset import scale_bytes
from xnornet.engine import Engine
from xnornet.graph import XNOR, Affine, Formats, Graph, Linear, MaxPool, Node, Quantize, Requantize, simulate
from xnornet.graph.simulation import evaluate_batches
from xnornet.layers import BatchNormLayer, XNORConv2DLayer, XNORDenseLayer
from xnornet.quantization import quantize, to_graph
from xnornet.quantization.merging import MERGED_ALPHA, merge, signs_alone


def settled(network, seed=0):
    """The network with batch norms of every sign and of very different sizes, and a few with a scale of 0."""
    rng = np.random.default_rng(seed)
    for parameter in get_all_params(network):
        shape, kind = parameter.get_value().shape, parameter.name.rsplit(".")[-1]
        value = rng.uniform(-1, 1, shape)
        if kind == "gamma":
            value = rng.choice([-1, 1], shape) * 10 ** rng.uniform(-3, 0.5, shape) * (rng.random(shape) > 0.1)
        elif kind == "inv_std":
            value = rng.uniform(0.1, 1, shape)
        parameter.set_value(value.astype("float32"))
    return network


def bytes_of(shape, count=20, seed=0):
    return scale_bytes(np.random.default_rng(seed).integers(0, 256, (count, *shape), dtype=np.uint8))


def small(*, K=False, pool=False, untied=False, relu=False, groups=1):
    layer = InputLayer((None, 4, 8, 8))
    layer = Conv2DLayer(layer, 6, 3, pad=1, nonlinearity=lasagne.nonlinearities.rectify if relu else None)
    layer = BatchNormLayer(MaxPool2DLayer(layer, 2) if pool else layer)
    layer = XNORConv2DLayer(layer, 8, 3, num_groups=groups, scale_inputs=K, untie_biases=untied)
    layer = BatchNormLayer(MaxPool2DLayer(layer, 2) if pool else layer)
    layer = XNORDenseLayer(FlattenLayer(layer), 5, scale_inputs=K)
    return settled(BatchNormLayer(DenseLayer(layer, 3, nonlinearity=None)))


CASES = [{}, {"K": True}, {"pool": True}, {"untied": True}, {"relu": True}, {"groups": 2}]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_merged_graph_has_the_same_scores(case):
    graph, images = to_graph(small(**case)), bytes_of((4, 8, 8), 60)
    merged, origins = merge(graph)
    expected = simulate(graph, images, real=True)
    np.testing.assert_allclose(simulate(merged, images, real=True), expected, atol=1e-4 * abs(expected).max())
    assert sorted(k for group in origins for k in group) == list(range(len(graph.nodes)))
    kept = [graph.nodes[group[0]].operation.kind for group in origins]
    assert [operation.kind for operation in merged.operations] == kept
    again, _ = merge(merged)
    np.testing.assert_allclose(simulate(again, images, real=True), simulate(merged, images, real=True))


def test_alpha_and_bias_move_into_batch_norm_also_behind_pooling():
    for pool in (False, True):
        binary, _ = (o for o in merge(to_graph(small(pool=pool)))[0].operations if isinstance(o, XNOR))
        assert binary.b is None and (binary.alpha == MERGED_ALPHA).all()
    for case in ({"K": True}, {"untied": True}):
        binary, _ = (o for o in merge(to_graph(small(**case)))[0].operations if isinstance(o, XNOR))
        assert binary.b is not None and not (binary.alpha == MERGED_ALPHA).all()


@pytest.mark.parametrize(
    ("case", "norms"), [({}, 2), ({"pool": True}, 3), ({"K": True}, 3), ({"relu": True}, 3)]
)
def test_a_batch_norm_becomes_thresholds_of_the_real_layer_before_it(case, norms):
    graph, _ = merge(to_graph(small(**case)))
    assert sum(isinstance(operation, Affine) for operation in graph.operations) == norms


def test_behind_pooling_only_signs_of_a_batch_norm_are_left():
    graph, _ = merge(to_graph(small(pool=True)))
    norm = next(operation for operation in graph.operations if isinstance(operation, Affine))
    assert set(norm.scale) == {-1, 1} and not norm.b.any()


def test_thresholds_leave_the_size_of_weights_and_are_no_larger_than_any_output():
    network = small()
    before, after = (next(o for o in g.operations if isinstance(o, Linear)) for g in _both(network))
    scale = next(o for o in to_graph(network).operations if isinstance(o, Affine)).scale
    ratio = abs(after.W).max(axis=(1, 2, 3)) / abs(before.W).max(axis=(1, 2, 3))
    assert (scale == 0).any() and (ratio[scale == 0] == 0).all()
    assert (ratio < 1 + 1e-6).all() and np.isclose(ratio, 1).any()
    assert abs(after.b).max() <= abs(before.W).sum(axis=(1, 2, 3)).max() * (1 + 1e-6)


def _both(network):
    graph = to_graph(network)
    return graph, merge(graph)[0]


def test_only_signs_are_read_where_every_reader_is_a_binary_layer_without_K():
    binary = next(o for o in to_graph(small()).operations if isinstance(o, XNOR))
    scaled = next(o for o in to_graph(small(K=True)).operations if isinstance(o, XNOR))
    pool = next(o for o in to_graph(small(pool=True)).operations if isinstance(o, MaxPool))

    def found(*nodes):
        return signs_alone(Graph((6, 8, 8), tuple(Node(operation, inputs) for operation, inputs in nodes)))

    quantized, other = (Quantize(), ()), Requantize()
    assert found(quantized, (binary, (0,))) == [True, False]
    assert found(quantized, (scaled, (0,))) == [False, False]
    assert found(quantized, (pool, (0,)), (binary, (1,))) == [True, True, False]
    assert found(quantized, (pool, (0,)), (scaled, (1,))) == [False, False, False]
    assert found(quantized, (pool, (0,)), (binary, (1,)), (other, (1,))) == [False, False, False, False]
    assert found(quantized, (other, (0,)), (binary, (1,))) == [False, True, False]
    signs, shifted = (Affine(np.array([1, -1]), None, np.array([0, b]), None, None, None) for b in (0, 1))
    assert found(quantized, (signs, (0,)), (binary, (1,))) == [True, True, False]
    assert found(quantized, (shifted, (0,)), (binary, (1,))) == [False, True, False]


@pytest.mark.parametrize(
    ("name", "options", "bits"),
    [
        ("cifar10_convnet", {"width": 1 / 8}, Formats()),
        ("cifar10_convnet", {"width": 1 / 8}, Formats(data_bits=12)),
        ("svhn_convnet", {"width": 1 / 8}, Formats()),
        ("mnist_mlp", {"num_units": 200}, Formats()),
        ("mnist_convnet", {"num_filters": (9, 14), "num_units": 50}, Formats()),
    ],
)
def test_no_sign_in_fixed_point_differs_from_that_of_real_numbers(name, options, bits):
    """So the class is the same but where two scores are nearly equal: the last layer is rounded."""
    network = settled(networks.build(name, **options))
    images = bytes_of(networks.input_shape(network))
    model = quantize(network, images, bits)
    real, exact = (
        next(iter(evaluate_batches(model, images, len(images), real, list))) for real in (True, False)
    )
    for i, only_signs in enumerate(signs_alone(model)):
        if only_signs:
            np.testing.assert_array_equal(np.asarray(exact[i]) >= 0, np.asarray(real[i]) >= 0)
    scores = model.q_out.dequantize(Engine(model).run(images))
    np.testing.assert_allclose(scores, real[-1], atol=2**-6 * np.abs(real[-1]).max())
