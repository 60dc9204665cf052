"""Runs: what they leave on disk, and that stopping one changes nothing."""

import csv
import json
import os
import shutil
from pathlib import Path

import extent
import jax
import lasagne
import numpy as np
import pytest
from small_networks import in_place_of_ours

from xnornet import __version__, data, networks
from xnornet.errors import ModelError, Stopped, TrainingError
from xnornet.layers import XNORConv2DLayer, XNORDenseLayer
from xnornet.ops import instruction_set
from xnornet.training import Recipe, loop, train
from xnornet.training.checkpoint import checkpoint_path, run_identity
from xnornet.training.steps import Steps
from xnornet.training.weights import load_header

ROOT = Path(__file__).resolve().parents[2]
SMALL = {"num_units": 32}


@pytest.fixture(scope="module", autouse=True)
def small_network():
    with in_place_of_ours():
        yield


@pytest.fixture(scope="module")
def digits():
    return data.load("digits")


@pytest.fixture(scope="module")
def finished(digits, tmp_path_factory):
    out = tmp_path_factory.mktemp("finished") / "net.npz"
    lines = []
    train("digits_mlp", digits, out, Recipe(3, 50, 0.01, 0.001), SMALL, report=lines.append)
    return out, lines


def test_the_weights_load_into_the_network_and_have_the_error_reported(finished, digits):
    out, lines = finished
    net = networks.build("digits_mlp", **SMALL)
    with np.load(out) as file:
        lasagne.layers.set_all_param_values(net, [file[f"arr_{i}"] for i in range(len(file.files))])
    assert lines[-1].startswith(f"kept {out}: test error ")


def test_the_header_records_what_was_trained(finished):
    out, _ = finished
    header = json.loads(out.with_suffix(".json").read_text())
    assert header["network"] == "digits_mlp" and header["arguments"] == SMALL
    assert header["dataset"] == "digits" and header["seed"] == 0
    assert {"train", "valid"} == set(header["errors"])
    assert {"python", "numpy", "jax", "pytensor", "numba"} == set(header["versions"])


def test_header_and_log_name_what_computed_the_gradients(finished):
    out, lines = finished
    header = json.loads(out.with_suffix(".json").read_text())
    assert header["computed_by"] == "int16 in kernels" and header["kernels"] == instruction_set()
    assert f"gradients of binary layers: int16 in kernels; kernels for {header['kernels']}" in lines


def test_the_log_counts_layers_that_kernels_do_not_take(digits, tmp_path, monkeypatch):
    def build(input_var, input_shape, num_classes):
        layer = XNORConv2DLayer(lasagne.layers.InputLayer((None, 1, 8, 8), input_var), 4, 3)
        layer = XNORConv2DLayer(layer, 4, 3, num_groups=4)
        return XNORDenseLayer(layer, 10)

    monkeypatch.setitem(networks.NETWORKS, "digits_mlp", build)
    lines = []
    train("digits_mlp", digits, tmp_path / "net.npz", Recipe(1, 500, 0.01, 0.001), report=lines.append)
    assert lines[0].startswith("gradients of binary layers: int16 in kernels")
    assert lines[1].startswith("gradients of 1 of 3 binary layers: float32 in XLA, as kernels take")


def test_the_kept_weights_are_those_of_the_epoch_with_the_least_validation_error(finished):
    out, _ = finished
    rows = list(csv.DictReader(open(out.with_suffix(".log.csv"))))
    header = json.loads(out.with_suffix(".json").read_text())
    errors = [float(row["valid_error"]) for row in rows]
    last_best = max(i for i, e in enumerate(errors) if e == min(errors)) + 1
    assert len(rows) == 3 and header["epoch"] == last_best


def test_the_rate_decays_from_its_first_to_its_last_value(finished):
    out, _ = finished
    rates = [float(row["lr"]) for row in csv.DictReader(open(out.with_suffix(".log.csv")))]
    np.testing.assert_allclose(rates, np.geomspace(0.01, 0.001, 3), rtol=1e-4)


def test_the_log_has_the_time_to_the_first_step_once(finished):
    _, lines = finished
    assert sum("first training step" in line for line in lines) == 1
    assert all(len(line) <= 100 for line in lines if line.startswith("epoch"))


def test_curves_are_a_png(finished):
    out, _ = finished
    assert out.with_suffix(".curves.png").read_bytes().startswith(b"\x89PNG")


def test_a_finished_run_cannot_be_resumed(finished, digits):
    out, _ = finished
    with pytest.raises(TrainingError, match="nothing to resume"):
        train("digits_mlp", digits, out, Recipe(3, 50, 0.01, 0.001), SMALL, resume=True)


class Stop(Exception):
    pass


@pytest.fixture(scope="module")
def stopped(digits, tmp_path_factory):
    """Folder of a run that stopped after its first epoch."""
    folder = tmp_path_factory.mktemp("stopped")

    def stop_after_first(line):
        if line.startswith("epoch"):
            raise Stop

    with pytest.raises(Stop):
        recipe = Recipe(3, 50, 0.01, 0.001)
        train("digits_mlp", digits, folder / "net.npz", recipe, SMALL, report=stop_after_first)
    return folder


@pytest.fixture
def unfinished(stopped, tmp_path):
    """Weights of such a run, beside all that it left."""
    shutil.copytree(stopped, tmp_path, dirs_exist_ok=True)
    assert checkpoint_path(tmp_path / "net.npz").exists()
    return tmp_path / "net.npz"


def test_a_new_run_does_not_overwrite_an_unfinished_one(digits, unfinished):
    before = checkpoint_path(unfinished).read_bytes()
    with pytest.raises(TrainingError, match="--resume"):
        train("digits_mlp", digits, unfinished, Recipe(3, 50, 0.01, 0.001), SMALL)
    assert checkpoint_path(unfinished).read_bytes() == before


@pytest.mark.parametrize(
    ("recipe", "arguments", "named"),
    [
        (Recipe(4, 50, 0.01, 0.001), SMALL, "epochs=3"),
        (Recipe(3, 50, 0.01, 0.001, seed=1), SMALL, "seed=0"),
        (Recipe(3, 50, 0.01, 0.001), {"num_units": 16}, "arguments="),
    ],
)
def test_another_runs_checkpoint_is_refused(digits, unfinished, recipe, arguments, named):
    with pytest.raises(ModelError, match=named):
        train("digits_mlp", digits, unfinished, recipe, arguments, resume=True)
    assert checkpoint_path(unfinished).exists()


def test_options_that_json_has_another_form_for_are_recognised():
    recipe = Recipe(3, 50, 0.01, 0.001)
    identity = run_identity("mnist_convnet", {"num_filters": (2, 3)}, data.load("digits"), recipe)
    assert identity == json.loads(json.dumps(identity))


def rewrite_header(path, part, **changes):
    with np.load(path) as file:
        arrays = dict(file)
    header = json.loads(arrays["header"].tobytes())
    header[part].update(changes)
    arrays["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    np.savez(path, **arrays)


@pytest.mark.parametrize(
    "change", [{"computed_by": "float32 in XLA"}, {"network": "mnist_mlp"}, {"restarts": [1]}]
)
def test_a_checkpoint_of_another_network_or_arithmetic_is_refused(digits, unfinished, change):
    rewrite_header(checkpoint_path(unfinished), "identity", **change)
    with pytest.raises(ModelError, match="belongs to a run with"):
        train("digits_mlp", digits, unfinished, Recipe(3, 50, 0.01, 0.001), SMALL, resume=True)


def test_an_option_that_is_gone_does_no_harm_where_it_was_not_used(digits, unfinished):
    rewrite_header(checkpoint_path(unfinished), "identity", restarts=[])
    train("digits_mlp", digits, unfinished, Recipe(3, 50, 0.01, 0.001), SMALL, resume=True)


class Killed(BaseException):
    pass


@pytest.mark.parametrize(
    "seconds", [0, pytest.param(10, marks=pytest.mark.only_all)], ids=["the epoch before", "the start"]
)
def test_a_run_killed_between_header_and_weights_is_mended_by_resuming_from(
    digits, finished, tmp_path, monkeypatch, seconds
):
    out, recipe, kept = tmp_path / "net.npz", Recipe(3, 50, 0.01, 0.001), []
    monkeypatch.setattr(loop, "SECONDS_WORTH_A_CHECKPOINT", seconds)
    replace = os.replace

    def killed(source, target):
        if target == out:
            kept.append(target)
            if len(kept) == 2:
                raise Killed
        replace(source, target)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr("os.replace", killed)
        train("digits_mlp", digits, out, recipe, SMALL, report=lambda line: None)
    with pytest.raises(ModelError, match="--resume"):
        load_header(out)
    train("digits_mlp", digits, out, recipe, SMALL, report=lambda line: None, resume=True)
    assert load_header(out) == load_header(finished[0])
    assert out.read_bytes() == finished[0].read_bytes()


def test_a_resumed_run_that_finds_no_weights_keeps_some_however_good_those_were(digits, unfinished):
    path = checkpoint_path(unfinished)
    with np.load(path) as file:
        arrays = dict(file)
    header = json.loads(arrays["header"].tobytes())
    header["history"] = [
        {"epoch": 1, "lr": 0.01, "loss": 1.0, "train_error": 0.0, "valid_error": 0.0}
        | {"images_per_second": 1.0, "seconds": 1.0}
    ]
    arrays["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    np.savez(path, **arrays)
    unfinished.unlink()
    train("digits_mlp", digits, unfinished, Recipe(3, 50, 0.01, 0.001), SMALL, resume=True)
    assert load_header(unfinished)["epoch"] in (2, 3)


def test_a_checkpoint_of_other_versions_is_resumed_and_these_are_reported_in_one_line(digits, unfinished):
    rewrite_header(checkpoint_path(unfinished), "environment", version="0.0.1", kernels="MMX")
    recipe, lines = Recipe(3, 50, 0.01, 0.001), []
    with pytest.raises(Stopped):
        train(
            "digits_mlp",
            digits,
            unfinished,
            recipe,
            SMALL,
            resume=True,
            report=lines.append,
            max_minutes=1e-9,
        )
    (line,) = (line for line in lines if line.startswith("resumed "))
    now = instruction_set()
    assert line.endswith(
        f"; the checkpoint was written with xnornet 0.0.1 (now {__version__}), kernels for MMX (now {now})"
    )


@pytest.mark.parametrize("keep", [0, 100, -100])
def test_a_damaged_checkpoint_is_refused(digits, unfinished, keep):
    path = checkpoint_path(unfinished)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ModelError, match="delete it to start over"):
        train("digits_mlp", digits, unfinished, Recipe(3, 50, 0.01, 0.001), SMALL, resume=True)


@pytest.mark.parametrize("out", ["file/net.npz", "folder.npz", "net.txt"])
def test_an_out_that_cannot_be_written_is_refused_before_training(digits, tmp_path, out):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.npz").mkdir()
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(TrainingError, match="--out"):
        train("digits_mlp", digits, tmp_path / out, Recipe(1, 50, 0.01, 0.001), SMALL)
    assert sorted(os.listdir(tmp_path)) == before


def test_a_network_that_does_not_fit_the_images_is_refused(digits, tmp_path):
    split = data.Split(digits.train.images[:, :, :3], digits.train.labels)
    small = data.Dataset("small", 10, split, split, split)
    with pytest.raises(TrainingError, match="mnist_convnet on small: images of 3x8 are too small; .* 4x4"):
        train("mnist_convnet", small, tmp_path / "m.npz", Recipe(1, 50, 0.01, 0.001), {"num_units": 8})


@pytest.fixture
def _optimizations():
    """XLA's usual ones, also in a quick run: without them it rounds a loop's steps unlike single ones."""
    jax.config.update("jax_disable_most_optimizations", False)
    yield
    jax.config.update("jax_disable_most_optimizations", not extent.everything)


@pytest.mark.usefixtures("_optimizations")
def test_steps_that_are_done_together_give_the_same_weights(digits, tmp_path, monkeypatch):
    recipe = Recipe(2, 50, 0.01, 0.001, augment=True)

    def go(out, **options):
        train("digits_mlp", digits, out, recipe, SMALL, report=lambda line: None, **options)
        with np.load(out) as file:
            return [file[name] for name in file.files]

    expected = go(tmp_path / "one.npz")
    # A run that stops after a first step and is resumed where several are done in a call.
    out = tmp_path / "other.npz"
    with pytest.raises(Stopped):
        go(out, max_minutes=1e-9)
    calls = []
    steps = Steps.steps
    # 1197 images are 23 steps of 50.
    monkeypatch.setattr(Steps, "steps_per_call", lambda self, count: {23: 4}[count])
    monkeypatch.setattr(
        Steps, "steps", lambda self, rows, *draws: (calls.append(len(rows)), steps(self, rows, *draws))[1]
    )
    with pytest.raises(Stopped):
        go(out, resume=True, max_minutes=1e-9)
    found = go(out, resume=True)
    assert calls == [1, 1, 1, *[4] * 4, 1, 1, 1, *[4] * 5, 1, 1, 1]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_loss_that_is_not_finite_stops_the_run(digits, tmp_path):
    images = np.full_like(digits.train.images, np.nan)
    bad = data.Dataset("digits", 10, data.Split(images, digits.train.labels), digits.valid, digits.test)
    with pytest.raises(TrainingError, match="smaller --lr"):
        train("digits_mlp", bad, tmp_path / "m.npz", Recipe(1, 50, 0.01, 0.001), SMALL)
    assert not (tmp_path / "m.npz").exists()


def test_a_run_without_patience_left_ends_early_and_each_epoch_is_reported(digits, tmp_path, monkeypatch):
    errors = iter([0.5, 0.4, 0.4, 0.45, 0.3, 0.2])
    monkeypatch.setattr(Steps, "error", lambda *arguments, **options: next(errors))
    lines, rows = [], []
    recipe = Recipe(9, 500, 0.01, 0.001, patience=2)
    train(
        "digits_mlp", digits, tmp_path / "net.npz", recipe, SMALL, report=lines.append, on_epoch=rows.append
    )
    assert [row["valid_error"] for row in rows] == [0.5, 0.4, 0.4, 0.45]
    assert "stopped early: nothing better for 2 epochs" in lines
    assert (tmp_path / "net.curves.png").exists()
