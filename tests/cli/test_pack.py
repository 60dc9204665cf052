"""Packing, and testing what was packed: the same answers as before, or one clear line and nothing written."""

import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys

import lasagne
import numpy as np
import pytest
from ancestor_files import ancestor_arrays
from printed import error_line

from xnornet import data, networks
from xnornet.cli import main
from xnornet.data import Whitening
from xnornet.engine import Engine
from xnornet.graph import load_packed, simulate
from xnornet.quantization import quantize
from xnornet.threads import MOST_THREADS
from xnornet.training.weights import header_path, load_weights

MODES = ("float", "fixed", "packed")


def pack(model, out, *options, dataset="digits"):
    argv = ["--model", model, "--calibrate", dataset, "--out", out, *options]
    try:
        return main(["pack", *map(str, argv)])
    except SystemExit as exit:
        return exit.code


def run_test(model, *options, dataset="digits"):
    try:
        return main(["test", "--model", str(model), *map(str, options)], dataset=dataset)
    except SystemExit as exit:
        return exit.code


def read_json(capsys):
    return json.loads(capsys.readouterr().out)


@pytest.fixture(scope="module")
def packed_once(model, tmp_path_factory):
    out = tmp_path_factory.mktemp("packed") / "packed.npz"
    assert pack(model, out) == 0
    return out


@pytest.fixture
def packed(packed_once, tmp_path, capsys):
    capsys.readouterr()
    return shutil.copy(packed_once, tmp_path / "packed.npz")


@pytest.fixture
def copied(model, tmp_path):
    """The weights and their header in a folder of their own."""
    folder = tmp_path / "copied"
    folder.mkdir()
    for file in (model, model.with_suffix(".json")):
        shutil.copy(file, folder)
    return folder / model.name


def trained_network(model):
    options = json.loads(model.with_suffix(".json").read_text())["arguments"]
    network = networks.build("digits_mlp", **options)
    networks.set_weights(network, load_weights(model, lasagne.layers.get_all_params(network)))
    return network


def test_a_sentence_and_json_describe_what_was_packed(model, tmp_path, capsys):
    out = tmp_path / "m.npz"
    assert pack(model, out) == 0
    sizes = {"float": model.stat().st_size, "packed": out.stat().st_size}
    packed, ratio, weights = re.fullmatch(
        rf"packed {re.escape(str(out))}: digits_mlp, ([\d.]+) MB, 1/([\d.]+) of the ([\d.]+) MB of "
        rf"{re.escape(str(model))}\n",
        capsys.readouterr().out,
    ).groups()
    assert float(packed) == pytest.approx(sizes["packed"] / 1e6, rel=0.01)
    assert float(weights) == pytest.approx(sizes["float"] / 1e6, rel=0.01)
    assert float(ratio) == pytest.approx(sizes["float"] / sizes["packed"], abs=0.06)

    first = out.read_bytes()
    assert pack(model, out, "--json") == 0
    assert out.read_bytes() == first
    assert read_json(capsys) == {
        "out": str(out),
        "whitening": None,
        "model": str(model),
        "network": "digits_mlp",
        "dataset": "digits",
        "images": len(data.load("digits").train),
        "bytes": sizes,
        "ratio": sizes["float"] / sizes["packed"],
    }


def test_the_file_records_where_it_comes_from(model, tmp_path, capsys):
    out = tmp_path / "m.npz"
    assert pack(model, out, "--calibration-images", 100, "--data-bits", 12, "--json") == 0
    assert read_json(capsys)["images"] == 100
    _, info = load_packed(out)
    assert info.pop("packed")["images"] == 100
    assert info == json.loads(model.with_suffix(".json").read_text())
    formats = load_packed(out)[1]["packed"]["formats"]
    assert formats == {"input_bits": 7, "data_bits": 12, "param_bits": 15}


def test_packed_and_weights_have_the_same_errors_in_each_mode(model, packed, capsys):
    errors = {}
    for mode in MODES:
        for file in (model, packed):
            assert run_test(file, "--mode", mode, "--json") == 0
            result = read_json(capsys)
            assert (result["mode"], result["images"], result["network"]) == (mode, 360, "digits_mlp")
            errors[mode, file] = result["errors"]
    assert len({errors[mode, file] for mode in ("fixed", "packed") for file in (model, packed)}) == 1
    assert abs(errors["float", packed] - errors["float", model]) <= 1
    assert abs(errors["fixed", packed] - errors["float", model]) <= 2


def test_scores_are_those_of_the_simulation_of_the_weights(model, packed):
    digits = data.load("digits")
    simulated = quantize(trained_network(model), digits.train.images)
    wanted = simulate(simulated, digits.test.images)
    loaded, _ = load_packed(packed)
    np.testing.assert_array_equal(simulate(loaded, digits.test.images), wanted)
    np.testing.assert_array_equal(Engine(loaded).run(digits.test.images), wanted)


def test_weights_are_packed_in_memory_with_the_formats_asked_for(model, tmp_path, capsys):
    coarse = ["--data-bits", 4, "--param-bits", 3, "--input-bits", 2]
    assert pack(model, tmp_path / "m.npz", *coarse, "--calibration-images", 50) == 0
    capsys.readouterr()
    tests = [
        (tmp_path / "m.npz", "packed"),
        (model, "packed", *coarse, "--calibration-images", 50),
        (model, "fixed", *coarse, "--calibration-images", 50),
    ]
    errors = set()
    for file, mode, *options in tests:
        assert run_test(file, "--mode", mode, "--json", *options) == 0
        errors.add(read_json(capsys)["errors"])
    assert len(errors) == 1


@pytest.mark.parametrize("mode", MODES)
def test_a_report_of_a_packed_model(packed, tmp_path, capsys, mode):
    folder = tmp_path / "report"
    assert run_test(packed, "--mode", mode, "--no", 40, "--report", folder, "--json") == 0
    assert set(read_json(capsys)["report"]) == {str(path) for path in folder.iterdir()}
    assert {path.name for path in folder.iterdir()} == {
        *("confusion.png", "confusion.csv", "classes.csv", "mistakes.png")
    }


def test_the_engine_needs_no_network_library(packed):
    program = (
        "import sys; from xnornet.cli import main; "
        f"assert main(['test', 'digits', '--model', {str(packed)!r}, '--mode', 'packed']) == 0; "
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    sentence, loaded = done.stdout.splitlines()
    assert sentence.startswith("error ") and "mode packed" in sentence
    assert "numba" in loaded.split()
    assert not {"theano", "pytensor", "lasagne", "jax", "jaxlib"} & set(loaded.split())


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "options, remedy",
    [
        (["--input-bits", 7], "--input-bits"),
        (["--data-bits", 15], "--data-bits"),
        (["--param-bits", 2], "--param-bits"),
        (["--calibration-images", 2000], "--calibration-images"),
        (["--calibration-images", 5, "--data-bits", 3], "--data-bits, --calibration-images"),
    ],
)
def test_formats_of_a_packed_model_are_chosen_already(packed, capsys, mode, options, remedy):
    assert run_test(packed, "--mode", mode, *options) == 1
    assert f"leave out {remedy}, or pack the weights again" in error_line(capsys)


@pytest.mark.parametrize("threads, status", [(0, 2), (-1, 2), (MOST_THREADS + 1, 1)])
def test_no_thread_or_too_many_are_refused(packed, capsys, threads, status):
    assert run_test(packed, "--mode", "packed", "--threads", threads) == status
    assert "--threads" in error_line(capsys)


def test_one_thread_gives_the_same(packed, capsys):
    errors = []
    for options in ([], ["--threads", 1, "--batch-size", 7]):
        assert run_test(packed, "--mode", "packed", "--json", *options) == 0
        errors.append(read_json(capsys)["errors"])
    assert errors[0] == errors[1]


def listed(folder):
    """Every file under a folder with what it holds."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def refuses(tmp_path, capsys):
    """Pack, and see that it fails with one line that has the given text, and that no file changes."""

    def check(text, model, out, *options, status=1, **where):
        before = listed(tmp_path)
        assert pack(model, out, *options, **where) == status
        assert text in error_line(capsys)
        assert listed(tmp_path) == before

    return check


def test_a_missing_model_and_a_folder_are_refused(tmp_path, refuses):
    refuses("none.npz: not found", tmp_path / "none.npz", tmp_path / "m.npz")
    for folder in (tmp_path, "", "/"):
        refuses("is a folder", folder, tmp_path / "m.npz")


def test_a_damaged_model_is_refused(model, tmp_path, refuses):
    (tmp_path / "cut.npz").write_bytes(model.read_bytes()[:3000])
    refuses("cut short", tmp_path / "cut.npz", tmp_path / "m.npz")


def test_a_packed_model_is_not_packed_again(packed, tmp_path, refuses):
    refuses("is packed already", packed, tmp_path / "m.npz")
    refuses("is packed already", packed, packed)


def test_no_file_of_the_model_is_written_over(copied, refuses, monkeypatch):
    folder = copied.parent
    (folder / "link.npz").symlink_to(copied)
    (folder / "digits.whitening.npz").write_bytes(b"whitening")
    (folder / "digits.checkpoint.npz").write_bytes(b"checkpoint")
    refuses("would take the place of", copied, copied)
    refuses("would take the place of", copied, folder / ".." / folder.name / copied.name)
    refuses("would take the place of", copied, folder / "link.npz")
    refuses("would take the place of", copied, folder / "digits.whitening.npz")
    refuses("is no packed model", copied, folder / "digits.checkpoint.npz")
    refuses("takes the name of an .npz file", copied, folder / "digits.json")
    refuses("takes the name of an .npz file", copied, folder / "digits.packed")
    refuses("takes the name of an .npz file", copied, "")
    monkeypatch.chdir(folder)
    refuses("would take the place of", copied, "digits.npz")
    refuses("would take the place of", "digits.npz", copied)


def test_weights_of_whatever_name_are_not_written_over_by_a_whitening(copied, refuses):
    weights = copied.rename(copied.parent / "m.whitening.npz")
    copied.with_suffix(".json").rename(weights.with_suffix(".json"))
    refuses("would take the place of", weights, copied.parent / "m.npz")


def test_a_packed_model_is_written_over(model, packed, capsys):
    before = packed.read_bytes()
    assert pack(model, packed, "--param-bits", 3) == 0
    assert packed.read_bytes() != before


def test_an_out_that_cannot_be_written_is_refused(model, tmp_path, refuses):
    (tmp_path / "folder.npz").mkdir()
    (tmp_path / "file").write_bytes(b"")
    refuses("is a folder", model, tmp_path / "folder.npz")
    refuses("No such file or directory", model, tmp_path / "none" / "m.npz")
    refuses("cannot be written (Not a directory)", model, tmp_path / "file" / "m.npz")
    refuses("cannot be written (File name too long)", model, tmp_path / f"{'m' * 300}.npz")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="every folder can be written")
def test_a_read_only_folder_is_reported(model, tmp_path, refuses):
    folder = tmp_path / "read-only"
    folder.mkdir(mode=0o555)
    refuses("cannot be written (Permission denied)", model, folder / "m.npz")


def test_another_dataset_is_refused(copied, photographs, tmp_path, refuses):
    refuses("was trained on digits, not cifar10; use it with", copied, tmp_path / "m.npz", dataset="cifar10")
    header = json.loads(copied.with_suffix(".json").read_text())
    copied.with_suffix(".json").write_text(json.dumps({**header, "dataset": "mnist"}))
    refuses("was trained on mnist, not digits; use it with", copied, tmp_path / "m.npz")


def test_weights_that_are_not_finite_are_refused(copied, tmp_path, refuses):
    with np.load(copied) as file:
        arrays = [file[f"arr_{i}"] for i in range(len(file.files))]
    arrays[2][0] = np.nan
    header = json.loads(header_path(copied).read_text())
    del header["md5"]
    header_path(copied).write_text(json.dumps(header))
    np.savez(copied, *arrays)
    refuses("should be finite; found NaN or infinity", copied, tmp_path / "m.npz")


def test_a_network_without_a_fixed_point_form_is_refused(copied, tmp_path, refuses, monkeypatch):
    def squashed(input_var, input_shape, num_classes, num_units=256, dropout=0.0, scale_inputs=True):
        layer = networks.digits_mlp(input_var, input_shape, num_classes, num_units, dropout, scale_inputs)
        return lasagne.layers.NonlinearityLayer(layer, lasagne.nonlinearities.tanh)

    monkeypatch.setitem(networks.NETWORKS, "digits_mlp", squashed)
    refuses(
        "digits.npz: NonlinearityLayer: the nonlinearity tanh has no exact form", copied, tmp_path / "m.npz"
    )


def test_formats_that_no_packed_model_has_are_refused(model, tmp_path, refuses):
    refuses("--calibration-images", model, tmp_path / "m.npz", "--calibration-images", 0, status=2)
    refuses("--data-bits", model, tmp_path / "m.npz", "--data-bits", 16, status=2)


@pytest.fixture
def whitened(photographs, shallow, cheap_whitening, tmp_path, capsys):
    """Weights of a network for whitened photographs."""
    out = tmp_path / "weights" / "net.npz"
    options = ["--set", "width=0.03", "--batch-size", "40", "--epochs", "1", "--whiten"]
    assert main(["train", *options, "--out", str(out)], dataset="cifar10") == 0
    capsys.readouterr()
    return out


def test_a_whitening_goes_with_the_packed_model(whitened, tmp_path, capsys):
    out = tmp_path / "packed" / "p.npz"
    out.parent.mkdir()
    assert pack(whitened, out, "--json", dataset="cifar10") == 0
    beside = out.with_name("p.whitening.npz")
    assert read_json(capsys)["whitening"] == str(beside)
    assert set(out.parent.iterdir()) == {out, beside}

    errors = set()
    for file, mode in ((whitened, "fixed"), (out, "fixed"), (out, "packed")):
        assert run_test(file, "--mode", mode, "--json", dataset="cifar10") == 0
        errors.add(read_json(capsys)["errors"])
    assert len(errors) == 1

    np.savez(beside, **Whitening(np.zeros(3072), np.eye(3072), 0.5).arrays)
    assert run_test(out, "--mode", "packed", dataset="cifar10") == 1
    assert "belongs to another model" in error_line(capsys)
    beside.unlink()
    assert run_test(out, "--mode", "packed", dataset="cifar10") == 1
    assert "needs the p.whitening.npz" in error_line(capsys)


def test_no_packed_model_is_left_without_its_whitening(whitened, tmp_path, refuses):
    (tmp_path / "p.whitening.npz").mkdir()
    refuses("p.whitening.npz: cannot be written", whitened, tmp_path / "p.npz", dataset="cifar10")


def test_a_file_of_the_ancestors_form_is_packed(photographs, tmp_path, capsys):
    weights, out = tmp_path / "ancestor.npz", tmp_path / "p.npz"
    np.savez(weights, *ancestor_arrays())
    assert pack(weights, out, "--json", dataset="cifar10") == 0
    result = read_json(capsys)
    assert (result["network"], result["dataset"], result["images"]) == ("cifar10_convnet", "cifar10", 200)
    errors = set()
    for file, mode in ((weights, "fixed"), (out, "fixed"), (out, "packed")):
        assert run_test(file, "--mode", mode, "--json", dataset="cifar10") == 0
        errors.add(read_json(capsys)["errors"])
    assert len(errors) == 1
    assert run_test(out, "--mode", "packed") == 1
    assert "was trained on cifar10, not digits" in error_line(capsys)


@pytest.mark.filterwarnings("default::xnornet.graph.Saturation")
@pytest.mark.parametrize("mode", ["fixed", "packed"])
def test_images_beyond_the_format_are_one_warning_with_their_share(
    model, tmp_path, monkeypatch, capsys, mode
):
    out, load = tmp_path / "packed.npz", data.load
    assert pack(model, out) == 0

    def brighter(*args, **options):
        digits = load(*args, **options)
        return dataclasses.replace(digits, test=data.Split(digits.test.images * 2, digits.test.labels))

    monkeypatch.setattr(data, "load", brighter)
    capsys.readouterr()
    assert run_test(out, "--mode", mode, "--batch-size", "100") == 0
    (line,) = (li for li in capsys.readouterr().err.splitlines() if "warning" in li)
    share = np.mean(abs(brighter("digits").test.images) > 1)
    assert share > 0 and line.startswith(f"warning: {share:.2%} of the images' numbers lie beyond Q(7, 0)")
