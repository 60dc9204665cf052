"""Exporting: a file whose scores are the engine's, or one clear line and nothing written."""

import builtins
import json
import shutil
import sys

import numpy as np
import pytest
from printed import error_line

from xnornet import data, networks
from xnornet.cli import main
from xnornet.engine import Engine
from xnornet.graph import load_packed, simulate

onnx = pytest.importorskip("onnx", reason="exporting needs onnx; pip install 'xnornet[onnx]'")


def export(model, to, out, *options):
    argv = ["--model", model, "--to", to, "--out", out, *options]
    try:
        return main(["export", *map(str, argv)])
    except SystemExit as exit:
        return exit.code


@pytest.fixture(scope="module")
def packed(model, tmp_path_factory):
    out = tmp_path_factory.mktemp("packed") / "packed.npz"
    assert main(["pack", "--model", str(model), "--calibrate", "digits", "--out", str(out)]) == 0
    return out


@pytest.fixture
def digits():
    """Pixels from 0 to 16, as scikit-learn has them, and what networks take for them, of test images."""
    from sklearn.datasets import load_digits

    rows = np.random.default_rng(0).permutation(1797)[1437:]
    return load_digits().images[rows, np.newaxis].astype(np.uint8), data.load("digits").test.images


@pytest.fixture
def run():
    onnxruntime = pytest.importorskip("onnxruntime", reason="pip install 'xnornet[onnx]'")

    def run(path, images):
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        return session.run(["scores"], {session.get_inputs()[0].name: images})[0]

    return run


def test_pixels_give_the_scores_of_the_engine(packed, digits, run, tmp_path, capsys):
    pixels, images = digits
    out = tmp_path / "digits.onnx"
    assert export(packed, "onnx", out) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"exported {out}: digits_mlp to onnx, integers, 0.0")
    assert printed.endswith(" MB\n") and printed.count("\n") == 1
    graph, _ = load_packed(packed)
    np.testing.assert_array_equal(run(out, pixels), Engine(graph).run(images))


def test_the_file_describes_its_inputs_and_outputs(packed, tmp_path):
    out = tmp_path / "digits.onnx"
    assert export(packed, "onnx", out) == 0
    model = onnx.load(out)
    onnx.checker.check_model(model, full_check=True)
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    graph, info = load_packed(packed)
    assert metadata["xnornet.network"] == "digits_mlp" and json.loads(metadata["xnornet.info"]) == info
    assert json.loads(metadata["xnornet.class_names"]) == [str(k) for k in range(10)]
    assert "pixels from 0 to 16, which become -0.9921875 to 0.9921875" in metadata["xnornet.input"]
    assert metadata["xnornet.scores"] == f"integers, in units of 2**{-graph.q_out.f}"
    assert {each.domain for each in model.opset_import} == {""} and model.opset_import[0].version == 17


@pytest.mark.parametrize("source", ["weights", "packed"])
def test_float_exports_what_mode_float_computes(model, packed, digits, run, tmp_path, source):
    from xnornet.quantization import to_graph
    from xnornet.training.weights import load_weights

    pixels, images = digits
    out = tmp_path / "float.onnx"
    assert export(model if source == "weights" else packed, "onnx", out, "--float") == 0
    if source == "packed":
        graph, _ = load_packed(packed)
    else:
        network = networks.build("digits_mlp", num_units=64)
        import lasagne

        networks.set_weights(network, load_weights(model, lasagne.layers.get_all_params(network)))
        graph = to_graph(network)
    expected = simulate(graph, images, real=True)
    np.testing.assert_allclose(run(out, pixels), expected, atol=1e-5, rtol=1e-5)


def test_one_json_object_is_printed_where_it_is_asked_for(packed, tmp_path, capsys):
    out = tmp_path / "digits.onnx"
    assert export(packed, "qonnx", out, "--json") == 0
    assert json.loads(capsys.readouterr().out) == {
        "out": str(out),
        "to": "qonnx",
        "float": False,
        "model": str(packed),
        "network": "digits_mlp",
        "bytes": out.stat().st_size,
    }


def test_weights_are_refused_where_integers_are_wanted(model, tmp_path, capsys):
    assert export(model, "onnx", tmp_path / "x.onnx") == 1
    assert "is no packed model; pack it first" in error_line(capsys)
    assert not list(tmp_path.iterdir())


def test_weights_without_a_header_need_a_name(model, run, tmp_path, capsys):
    alone = shutil.copy(model, tmp_path / "alone.npz")
    out = tmp_path / "x.onnx"
    assert export(alone, "onnx", out, "--float") == 1
    assert "name its network with --net" in error_line(capsys) and not out.exists()


@pytest.mark.parametrize(
    ("to", "name", "options", "line"),
    [
        ("onnx", "folder.onnx", [], "is a folder"),
        ("onnx", "x.npz", [], "takes the name of an .onnx file"),
        ("onnx", "nowhere/x.onnx", [], "cannot be written"),
        ("qonnx", "x.onnx", ["--float"], "QONNX quantizes"),
        ("tflite", "x.onnx", [], "invalid choice: 'tflite'"),
    ],
)
def test_a_wrong_argument_is_one_line_and_no_file(packed, tmp_path, capsys, to, name, options, line):
    (tmp_path / "folder.onnx").mkdir()
    assert export(packed, to, tmp_path / name, *options) in (1, 2)
    assert line in error_line(capsys)
    assert [path.name for path in tmp_path.iterdir()] == ["folder.onnx"]


@pytest.mark.parametrize(
    ("content", "line"), [(None, "not found"), (b"PK\x03\x04 cut short", "damaged or cut short")]
)
def test_a_wrong_model_is_one_line_and_no_file(tmp_path, capsys, content, line):
    model = tmp_path / "model.npz"
    if content is not None:
        model.write_bytes(content)
    assert export(model, "onnx", tmp_path / "x.onnx") == 1
    assert line in error_line(capsys) and not (tmp_path / "x.onnx").exists()


def test_the_model_is_not_overwritten(packed, tmp_path, capsys):
    model = shutil.copy(packed, tmp_path / "model.onnx")
    assert export(model, "onnx", model) == 1
    assert f"would take the place of {model}" in error_line(capsys)
    assert model.read_bytes() == packed.read_bytes()


def test_without_onnx_one_line_says_how_to_install_it(packed, tmp_path, capsys, monkeypatch):
    real = builtins.__import__

    def absent(name, *arguments, **options):
        if name == "onnx" or name.startswith("onnx."):
            raise ModuleNotFoundError(f"No module named {name!r}", name="onnx")
        return real(name, *arguments, **options)

    for name in [name for name in sys.modules if name.startswith("xnornet.export.onnx")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr("xnornet.export.onnx", raising=False)
    monkeypatch.setattr(builtins, "__import__", absent)
    assert export(packed, "onnx", tmp_path / "x.onnx") == 1
    assert "pip install 'xnornet[onnx]'" in error_line(capsys) and not (tmp_path / "x.onnx").exists()
