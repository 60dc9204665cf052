"""ONNX models: the integers of the definition, in ONNX Runtime and in ONNX's own reference."""

import json
from dataclasses import dataclass

import numpy as np
import pytest
from extent import examples
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from random_graphs import draw_graph, draw_quantized

from xnornet import data
from xnornet.catalog import NETWORKS_OF
from xnornet.errors import ModelError
from xnornet.fixedpoint import Q
from xnornet.graph import XNOR, Affine, Graph, Linear, Operation, Quantize, Requantize, Signs, Window
from xnornet.graph.operation import KINDS

onnx = pytest.importorskip("onnx", reason="exporting needs onnx; pip install 'xnornet[onnx]'")

from onnx.reference import ReferenceEvaluator  # noqa: E402

from xnornet.export.onnx import save_onnx, to_onnx  # noqa: E402
from xnornet.export.onnx.forms import form  # noqa: E402

# Of parameters: small and large ones, so that results need each type of numbers.
EXPONENTS = (-60, -20, -3, 0, 0, 0, 3, 12)
IMAGE = Q(7, 0)


def exact(graph, images):
    return graph.evaluate(lambda operation, *n: operation.exact(np, *n), images)[-1]


def types_of_results(model):
    """Types that are multiplied in."""
    inferred = onnx.shape_inference.infer_shapes(model).graph
    types = {value.name: value.type.tensor_type.elem_type for value in inferred.value_info}
    return {types[node.output[0]] for node in inferred.node if node.op_type == "Mul"}


@settings(max_examples=examples(200))
@given(model=draw_quantized(exponents=EXPONENTS))
def test_onnx_runtime_gives_the_integers_of_the_definition(run_onnx, model):
    graph, images = model
    found = run_onnx(to_onnx(graph), images)
    assert found.dtype == np.int64
    np.testing.assert_array_equal(found, exact(graph, images))


@settings(max_examples=examples(50))
@given(model=draw_quantized(exponents=EXPONENTS, steps=4))
def test_so_does_the_reference_of_onnx(model):
    graph, images = model
    (found,) = ReferenceEvaluator(to_onnx(graph)).run(None, {"images": images})
    np.testing.assert_array_equal(found, exact(graph, images))


@settings(max_examples=examples(30))
@given(
    f=st.integers(0, 61),
    seed=st.integers(0, 2**32),
    bits=st.sampled_from([1, 8, 15]),
)
def test_results_are_held_by_the_narrowest_type_and_rounded_half_to_even(run_onnx, f, seed, bits):
    """Offsets of up to 62 bits, of which many lie half way between two integers."""
    rng = np.random.default_rng(seed)
    q_b = Q(15, 15 - IMAGE.f)
    scale, b = rng.integers(-3, 4, 16), rng.integers(-(2**15) + 1, 2**15, 16)
    operation = Affine(scale, Q(2, 2 - f), b, q_b, IMAGE, Q(bits, bits - IMAGE.f))
    assume(operation.bound() < 1 << 62)
    graph = Graph.chain((16, 2, 2), [Quantize(IMAGE), operation])
    images = rng.integers(-127, 128, (3, 16, 2, 2)).astype("float32") / 128
    model = to_onnx(graph)
    np.testing.assert_array_equal(run_onnx(model, images), exact(graph, images))
    bound = operation.bound()
    narrowest = "FLOAT" if bound < 2**24 else "DOUBLE" if bound < 2**53 else "INT64"
    wanted = {getattr(onnx.TensorProto, narrowest)}
    # Of the image, which a table would give, the product is in double.
    assert types_of_results(model) - {onnx.TensorProto.DOUBLE} == wanted - {onnx.TensorProto.DOUBLE}


@pytest.mark.parametrize("channels", [1, 300])
def test_a_convolution_is_one_where_float32_holds_its_sums(run_onnx, channels):
    rng = np.random.default_rng(0)
    W = rng.integers(-(2**13), 2**13, (4, channels, 3, 3)).astype(np.int16)
    window = Window((3, 3), (1, 2), ((1, 0), (2, 1)))
    operation = Linear(W, Q(15, 0), None, None, window, IMAGE, Q(15, 5))
    graph = Graph.chain((channels, 6, 5), [Quantize(IMAGE), operation])
    images = rng.integers(-127, 128, (2, channels, 6, 5)).astype("float32") / 128
    model = to_onnx(graph)
    np.testing.assert_array_equal(run_onnx(model, images), exact(graph, images))
    operators = [node.op_type for node in model.graph.node]
    assert operators.count("Conv") == (channels == 1) and operators.count("MatMul") == (channels > 1)


def test_the_sign_of_zero_is_positive(run_onnx):
    signs = Signs.pack(np.ones((1, 3)))
    binary = XNOR(signs, np.array([1]), Q(1, 1), None, None, False, None, IMAGE, Q(3, 3))
    graph = Graph.chain((3, 1, 1), [Quantize(IMAGE), binary])
    images = np.array([0, -0.0, -1e-9], np.float32).reshape(1, 3, 1, 1)
    np.testing.assert_array_equal(run_onnx(to_onnx(graph), images), [[3]])


def test_a_finer_format_is_a_shift_to_the_left(run_onnx):
    graph = Graph.chain((1, 1, 3), [Quantize(IMAGE), Requantize(IMAGE, Q(15, 0))])
    images = np.array([-0.5, 0.25, 0.125], np.float32).reshape(1, 1, 1, 3)
    np.testing.assert_array_equal(run_onnx(to_onnx(graph), images).ravel(), [-(2**14), 2**13, 2**12])


@settings(max_examples=examples(100))
@given(model=draw_graph(steps=4))
def test_real_numbers_are_those_of_the_formulas(run_onnx, model):
    """In float32, where no sign hangs on how a sum is rounded."""
    graph, images = model
    # Sums that are 0 by chance are not, with other images; what a rectifier made 0 is.
    others = images * (1 + 1e-6 * np.random.default_rng(0).uniform(-1, 1, images.shape))
    values, moved = (
        graph.evaluate(lambda operation, *x: operation.real(np, *x), each.astype("float64"))
        for each in (images, others)
    )
    largest = max(1.0, *(np.abs(v).max() for v in values))
    for node in graph.nodes:
        if isinstance(node.operation, XNOR):
            (k,) = node.inputs
            taken = values[k]
            assume(not ((np.abs(taken) < 1e-4 * largest) & (taken != 0)).any())
            assume(((taken == 0) == (moved[k] == 0)).all())
    found = run_onnx(to_onnx(graph, real=True), images)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, values[-1], rtol=1e-5, atol=1e-5 * largest)


@pytest.mark.parametrize("name", sorted(NETWORKS_OF))
def test_every_pixel_becomes_what_the_network_was_trained_on(run_onnx, name):
    levels = data.levels(name)
    pixels = np.arange(len(levels), dtype=np.uint8).reshape(-1, 1, 1, 1)
    images = levels[pixels]
    for q in (Q(7, 0), Q(12, 0), Q(15, -1)):
        graph = Graph.chain((1, 1, 1), [Quantize(q)])
        model = to_onnx(graph, {"dataset": name})
        np.testing.assert_array_equal(run_onnx(model, pixels), exact(graph, images))
    np.testing.assert_array_equal(run_onnx(to_onnx(graph, {"dataset": name}, real=True), pixels), images)


OTHERWISE_SCALED = {"dataset": "mnist", "preprocessing": {"full_scale": 1, "whitening": None}}


@pytest.mark.parametrize("info", [{}, {"dataset": "mine"}, OTHERWISE_SCALED])
def test_images_are_used_as_they_are_where_their_scaling_is_not_recorded(info):
    model = to_onnx(Graph.chain((2, 3, 4), [Quantize(IMAGE)]), info)
    (taken,) = model.graph.input
    assert (taken.name, taken.type.tensor_type.elem_type) == ("images", onnx.TensorProto.FLOAT)
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    assert metadata["xnornet.input"] == "(batch, 2, 3, 4), scaled as the network's training images were"
    assert json.loads(metadata["xnornet.info"]) == info


@dataclass(frozen=True)
class Unknown(Operation):
    def exact(self, xp, n):
        return n


# Named here, and not in the class, which would put it into the list of what files hold.
Unknown.kind = "unknown"


def test_an_operation_without_a_form_is_named():
    graph = Graph.chain((1, 2, 2), [Quantize(IMAGE), Unknown()])
    with pytest.raises(ModelError, match=r"^node 1 \(unknown\): Unknown has no ONNX form"):
        to_onnx(graph)


def test_every_operation_has_a_form():
    own = [cls for cls in KINDS.values() if cls.__module__.startswith("xnornet.")]
    assert own and all(form.dispatch(cls) is not form.dispatch(object) for cls in own)


def test_a_graph_that_does_not_pass_its_checks_is_refused():
    with pytest.raises(ModelError, match="a graph should quantize its input"):
        to_onnx(Graph.chain((1, 2, 2), [Requantize(IMAGE, IMAGE)]))


def test_a_file_is_whole_or_not_there(tmp_path, monkeypatch):
    model, path = to_onnx(Graph.chain((1, 2, 2), [Quantize(IMAGE)])), tmp_path / "model.onnx"
    save_onnx(path, model)
    assert onnx.load(path) == model and [each.name for each in tmp_path.iterdir()] == ["model.onnx"]
    monkeypatch.setattr("xnornet.export.onnx.model.MAX_BYTES", 100)
    with pytest.raises(ModelError, match="should have at most 100 bytes"):
        save_onnx(tmp_path / "large.onnx", model)
    assert len(list(tmp_path.iterdir())) == 1
