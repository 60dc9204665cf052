"""QONNX models: what QONNX's own programs make of them."""

import warnings

import numpy as np
import pytest
from extent import examples
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from random_graphs import draw_graph
from small_models import branched, convolutional

from xnornet.data.dataset import scale_bytes
from xnornet.errors import ModelError
from xnornet.fixedpoint import Q
from xnornet.graph import XNOR, Affine, Formats, Graph, MaxPool, Quantize, Signs, Window
from xnornet.quantization import quantize

HOW = "pip install 'xnornet[onnx]'"
onnx = pytest.importorskip("onnx", reason=HOW)
pytest.importorskip("qonnx", reason=HOW)
pytest.importorskip("onnxruntime", reason=HOW)

from qonnx.core.modelwrapper import ModelWrapper  # noqa: E402
from qonnx.core.onnx_exec import execute_onnx  # noqa: E402
from qonnx.transformation.bipolar_to_xnor import ConvertBipolarMatMulToXnorPopcount  # noqa: E402
from qonnx.transformation.change_batchsize import ChangeBatchSize  # noqa: E402
from qonnx.transformation.fold_constants import FoldConstants  # noqa: E402
from qonnx.transformation.infer_datatypes import InferDataTypes  # noqa: E402
from qonnx.transformation.infer_shapes import InferShapes  # noqa: E402
from qonnx.transformation.lower_convs_to_matmul import LowerConvsToMatMul  # noqa: E402
from qonnx.util.inference_cost import inference_cost  # noqa: E402

from xnornet.export.onnx import to_qonnx  # noqa: E402
from xnornet.export.onnx.thresholds import with_thresholds  # noqa: E402

IMAGE, DATA = Q(7, 0), Q(15, 3)


def exact(graph, images):
    """Output of each node, in integers."""
    return graph.evaluate(lambda operation, *n: operation.exact(np, *n), images)


def wrapped(model, images=1):
    return ModelWrapper(model).transform(ChangeBatchSize(images)).transform(InferShapes())


def run(wrapper, images):
    return execute_onnx(wrapper, {wrapper.graph.input[0].name: images.astype(np.float32)})["scores"]


def binary_network(seed=0, pad=1):
    """Convolutions with pooling, scales of both signs and none, then dense layers; all of it binary."""
    rng = np.random.default_rng(seed)
    window = Window((3, 3), (1, 1), ((pad, pad), (pad, pad)))
    pool = MaxPool(Window((2, 2), (2, 2), ((0, 0), (0, 0))), True)

    def layer(outputs, inputs, window=None, q_in=DATA):
        size = () if window is None else window.size
        B, alpha = Signs.pack(rng.choice([-1, 1], (outputs, inputs, *size))), rng.integers(500, 3000, outputs)
        b = rng.integers(-900, 900, outputs)
        return XNOR(B, alpha, Q(15, 0), b, Q(15, 5), False, window, q_in, DATA)

    def batch_norm(channels):
        scale = rng.integers(-8000, 8000, channels)
        scale[0] = 0
        return Affine(scale, Q(15, 2), rng.integers(-900, 900, channels), Q(15, 4), DATA, DATA)

    features = 6 * 4 * 4 if pad else 6 * 2 * 2
    operations = [
        *[Quantize(IMAGE), layer(5, 2, window, IMAGE), batch_norm(5)],
        *[layer(6, 5, window), pool, batch_norm(6), layer(7, features), batch_norm(7), layer(3, 7)],
    ]
    return Graph.chain((2, 8, 8), operations)


@st.composite
def narrow(draw):
    """Graphs in so few bits that float32 holds most exact results, and images."""
    graph, images = draw(draw_graph())
    values = graph.evaluate(lambda operation, *x: operation.real(np, *x), images)
    magnitudes = [float(np.abs(v).max()) for v in values]
    return quantize(graph, None, Formats(7, 6, 5), magnitudes=magnitudes), images


@settings(max_examples=examples(150), suppress_health_check=[HealthCheck.filter_too_much])
@given(model=narrow())
def test_scores_are_ours_where_float32_holds_what_is_computed(model):
    graph, images = model
    assume(all(operation.bound() < 1 << 24 for operation in graph.operations))
    found = run(wrapped(to_qonnx(graph), len(images)), images)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, graph.q_out.dequantize(exact(graph, images)[-1]))


@pytest.mark.parametrize("graph", [convolutional(True, False), convolutional(False, True), branched()])
def test_scores_are_ours_but_for_what_float32_rounds(graph):
    """Layers of 15 bits, whose results take up to 30 and more."""
    images = np.random.default_rng(0).uniform(-1, 1, (20, *graph.input_shape)).astype(np.float32)
    found = run(wrapped(to_qonnx(graph), 20), images) * 2.0**graph.q_out.f
    expected = exact(graph, images)[-1]
    assert np.abs(found - expected).max() <= 0.002 * np.abs(expected).max()


def test_signs_between_binary_layers_are_exact():
    """Thresholds are integers, so nothing is lost whatever the network's depth."""
    graph = binary_network()
    images = np.random.default_rng(1).integers(-127, 128, (20, 2, 8, 8)).astype(np.float32) / 128
    found = run(wrapped(to_qonnx(graph), 20), images)
    np.testing.assert_array_equal(found, graph.q_out.dequantize(exact(graph, images)[-1]))


@settings(max_examples=examples(60))
@given(seed=st.integers(0, 2**32), pad=st.sampled_from([0, 1]))
def test_thresholds_have_the_signs_of_what_they_stand_for(seed, pad):
    graph = binary_network(seed, pad)
    images = np.random.default_rng(seed).integers(-127, 128, (4, 2, 8, 8)).astype(np.float32) / 128
    folded = with_thresholds(graph)
    assert [each.kind for each in folded.operations].count("xnor") == 4
    assert not any(each.q_out for each in folded.operations[1:-1] if each.kind != "max pool")
    found = run(wrapped(to_qonnx(graph), 4), images)
    np.testing.assert_array_equal(found, graph.q_out.dequantize(exact(graph, images)[-1]))


@pytest.mark.parametrize("pad", [0, 1])
def test_products_of_signs_become_counts_of_bits(pad):
    """Padding is counted in them as a sign, so that its share is taken out again."""
    graph = binary_network(pad=pad)
    images = np.random.default_rng(2).integers(-127, 128, (3, 2, 8, 8)).astype(np.float32) / 128
    wrapper = wrapped(to_qonnx(graph))
    for _ in range(2):
        wrapper = wrapper.transform(InferDataTypes()).transform(FoldConstants(exclude_op_types=[]))
    wrapper = wrapper.transform(LowerConvsToMatMul()).transform(InferShapes()).transform(InferDataTypes())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        wrapper = wrapper.transform(ConvertBipolarMatMulToXnorPopcount())
    operators = [node.op_type for node in wrapper.graph.node]
    assert operators.count("XnorPopcountMatMul") == 4 and "MatMul" not in operators
    expected = graph.q_out.dequantize(exact(graph, images)[-1])
    for image, scores in zip(images, expected, strict=True):
        np.testing.assert_array_equal(run(wrapper, image[np.newaxis]), scores[np.newaxis])


def test_the_cost_is_that_of_our_summary():
    graph = convolutional(False, False)
    cost = inference_cost(ModelWrapper(to_qonnx(graph)), discount_sparsity=False)["total_cost"]
    shapes = graph.shapes()
    costs = [node.operation.cost(*(shapes[k] for k in node.inputs)) for node in graph.nodes[1:]]
    binary = sum(each.binary_macs for each in costs)
    assert cost["op_mac_BIPOLAR_BIPOLAR"] == binary > 0
    signs = sum(each.signs.unpack().size for each in graph.operations if isinstance(each, XNOR))
    assert cost["mem_w_BIPOLAR"] == signs


@pytest.mark.parametrize("q", [Q(7, 0), Q(12, 0), Q(5, 0), Q(15, -1)], ids=str)
@pytest.mark.parametrize(("dataset", "shape"), [("mnist", (1, 2, 128)), ("digits", (1, 1, 17))])
def test_pixels_are_scaled_to_what_the_network_was_trained_on(dataset, shape, q):
    graph = Graph.chain(shape, [Quantize(q)])
    pixels = np.arange(np.prod(shape)).reshape(1, *shape)
    wrapper = wrapped(to_qonnx(graph, {"dataset": dataset}))
    assert wrapper.get_tensor_datatype("pixels").name == "UINT8"
    levels = (2 * pixels / pixels.max() - 1) * 127 / 128
    if dataset == "mnist":
        levels = np.rint(levels * 128) / 128
    np.testing.assert_array_equal(run(wrapper, pixels), q.dequantize(q.quantize(levels)))


def test_what_float32_does_not_hold_is_named(monkeypatch):
    with pytest.raises(ModelError, match=r"^node 0 \(quantize\): Q\(7, 200\) has a unit of 2\*\*193"):
        to_qonnx(Graph.chain((1, 2, 2), [Quantize(Q(7, 200))]))
    # Pixels that are scaled to other numbers than 7 bits hold.
    levels = scale_bytes(np.arange(256)) * np.float32(0.9)
    monkeypatch.setattr("xnornet.export.onnx.model.pixel_levels", lambda info: levels)
    with pytest.raises(ModelError, match=r"^node 0 \(quantize\): float32 scales no pixels to Q\(15, -1\)"):
        to_qonnx(Graph.chain((1, 1, 1), [Quantize(Q(15, -1))]), {"dataset": "mnist"})
