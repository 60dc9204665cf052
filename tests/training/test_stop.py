"""Interrupted runs: wherever that happens, a resumed run ends as an uninterrupted one."""

import dataclasses
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import small_networks
from extent import few_or_all
from small_networks import in_place_of_ours

import theano
from xnornet import data
from xnornet.cli import main
from xnornet.errors import ModelError, Stopped, TrainingError
from xnornet.training import Recipe, loop, train
from xnornet.training.checkpoint import checkpoint_path, claim
from xnornet.training.stop import StopRequests

OPTIONS = ["--set", "num_units=32", "--batch-size", "10", "--epochs", "12", "--augment"]
KILLS = few_or_all(3, 20)
RECIPE = Recipe(2, 300, 0.01, 0.001, augment=True)
SMALL = {"num_units": 16}


@pytest.fixture(scope="module", autouse=True)
def small_network():
    with in_place_of_ours():
        yield


def same_weights(first, second):
    with np.load(first) as a, np.load(second) as b:
        return a.files == b.files and all((a[k] == b[k]).all() for k in a.files)


# Processes that have all imported beforehand start in a fraction of the time.
server = multiprocessing.get_context("forkserver")
server.set_forkserver_preload(["xnornet.cli", "xnornet.training", "sklearn.datasets", "matplotlib.figure"])


def run(argv, seconds):
    """Train, with a checkpoint after each epoch if the last one is older than the given seconds."""
    loop.SECONDS_WORTH_A_CHECKPOINT = seconds
    with in_place_of_ours():
        main(argv, "digits")


def start(out, *more, seconds=0):
    argv = ["train", "--out", str(out), "--log", str(out.with_suffix(".log")), *OPTIONS, *more]
    process = server.Process(target=run, args=(argv, seconds))
    process.start()
    return process


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """Weights of a run that nothing stopped, and the seconds it took."""
    out = tmp_path_factory.mktemp("uninterrupted") / "net.npz"
    # The first one waits for the server as well.
    start(out, "--resume").join()
    begun = time.monotonic()
    start(out).join()
    return out, time.monotonic() - begun


@pytest.mark.long
def test_kill_at_random_moments_changes_nothing(uninterrupted, tmp_path):
    reference, seconds = uninterrupted
    rng, kills, runs = random.Random(0), 0, 0
    while kills < KILLS:
        runs += 1
        out = tmp_path / str(runs) / "net.npz"
        out.parent.mkdir()
        while not finished(out):
            more = ["--resume"] if checkpoint_path(out).exists() else []
            # Every other run has checkpoints that are older than its weights.
            process = start(out, *more, seconds=runs % 2)
            process.join(rng.uniform(0, seconds) if kills < KILLS else None)
            if process.is_alive():
                process.kill()
                process.join()
                kills += 1
        assert same_weights(reference, out)
        assert {p.name for p in out.parent.iterdir()} == {
            *("net.npz", "net.json", "net.log", "net.log.csv", "net.curves.png", ".net.npz.lock")
        }
        assert "error" not in [line.split(":")[0] for line in log_of(out)]
    assert kills == KILLS


def log_of(out):
    log = out.with_suffix(".log")
    return log.read_text().splitlines() if log.exists() else []


def finished(out):
    return any(line.startswith("kept ") for line in log_of(out))


# Signals, with a program like train/digits_train.py, but with a small net and a checkpoint after each epoch

PROGRAM = f"""
import sys
sys.path.append({str(Path(small_networks.__file__).parent)!r})
from small_networks import in_place_of_ours
from xnornet.cli import main
from xnornet.training import loop
loop.SECONDS_WORTH_A_CHECKPOINT = 0
with in_place_of_ours():
    sys.exit(main(["train", *sys.argv[1:]], dataset="digits"))
"""


def run_until_a_checkpoint(out, stop, delay=0.0):
    options = ["--set", "num_units=32", "--batch-size", "5", "--epochs", "4"]
    command = [sys.executable, "-W", "ignore:pkg_resources", "-c", PROGRAM, "--out", str(out), *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not checkpoint_path(out).exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(delay)
    process.send_signal(stop)
    _, errors = process.communicate(timeout=60)
    return process.returncode, errors, command


def test_ctrl_c_prints_how_to_resume(tmp_path):
    out, rng = tmp_path / "net.npz", random.Random(1)
    code, errors, _ = run_until_a_checkpoint(out, signal.SIGINT, rng.uniform(0, 1))
    assert code == 130
    lines = [line for line in errors.splitlines() if line.startswith("error")]
    assert len(lines) == 1 and "--resume" in lines[0] and "Traceback" not in errors
    assert checkpoint_path(out).exists()


def test_sigterm_leaves_a_checkpoint_and_a_full_disk_leaves_the_last_one(tmp_path):
    out = tmp_path / "net.npz"
    code, errors, command = run_until_a_checkpoint(out, signal.SIGTERM)
    assert code == 128 + signal.SIGTERM
    lines = [line for line in errors.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1 and lines[0].startswith("error: terminated in epoch ")
    assert "--resume" in lines[0] and "Traceback" not in errors

    before = checkpoint_path(out).read_bytes()
    # A limit on the size of files is the full disk that anyone may have; bash counts in kilobytes.
    limited = ["bash", "-c", f'ulimit -f {len(before) // 2048}; exec "$@"', "bash", *command, "--resume"]
    full = subprocess.run(limited, capture_output=True, text=True, timeout=120)
    assert full.returncode == 1
    lines = [line for line in full.stderr.splitlines() if line]
    assert len(lines) == 1 and "cannot be written" in lines[0] and "--resume continues" in lines[0]
    assert checkpoint_path(out).read_bytes() == before
    assert not list(tmp_path.glob(".*.tmp"))

    went_on = subprocess.run([*command, "--resume"], capture_output=True, text=True, timeout=120)
    assert went_on.returncode == 0 and went_on.stdout.startswith("digits_mlp on digits")
    assert "\nresumed in epoch " in went_on.stdout


def test_a_second_signal_acts_as_it_did_before():
    with pytest.raises(KeyboardInterrupt), StopRequests() as stop:
        assert stop.reason is None
        os.kill(os.getpid(), signal.SIGINT)
        assert (stop.reason, stop.status) == ("interrupted", 130)
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_an_ignored_signal_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with StopRequests() as stop:
            os.kill(os.getpid(), signal.SIGINT)
            assert stop.reason is None
    finally:
        signal.signal(signal.SIGINT, before)


def test_another_thread_can_train():
    entered = []

    def enter():
        with StopRequests():
            entered.append(True)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert entered


# Stops between any two steps, in this process


@pytest.fixture(scope="module")
def digits():
    return data.load("digits")


def go(digits, out, resume=False, **options):
    train("digits_mlp", digits, out, RECIPE, SMALL, resume=resume, report=lambda line: None, **options)


def stops(digits, out, resume, **options):
    with pytest.raises(Stopped) as stopped:
        go(digits, out, resume, **options)
    return stopped.value


@pytest.fixture(scope="module")
def whole(digits, tmp_path_factory):
    """Weights of a run that nothing stopped."""
    out = tmp_path_factory.mktemp("whole") / "net.npz"
    go(digits, out)
    return out


def test_a_run_may_stop_after_each_step(digits, whole, tmp_path):
    out = tmp_path / "net.npz"
    # 1197 images are three steps of 300.
    for epoch in few_or_all((0,), (0, 1)):
        for step in (1, 2, 3):
            stop = stops(digits, out, resume=checkpoint_path(out).exists(), max_minutes=1e-9)
            assert stop.status == 0
            assert f" minutes in epoch {epoch + 1} of 2, after step {step}; --resume" in str(stop)
    go(digits, out, resume=True)
    assert same_weights(whole, out)
    rows = [p.with_suffix(".log.csv").read_text().splitlines() for p in (whole, out)]
    kept = [[",".join(row.split(",")[:5]) for row in table] for table in rows]
    assert kept[0] == kept[1] and len(kept[0]) == 3


def test_checkpoints_are_written_during_long_epochs(digits, tmp_path, monkeypatch):
    written = []
    save = loop.save_checkpoint
    monkeypatch.setattr(loop, "SECONDS_BETWEEN_CHECKPOINTS", 0)
    monkeypatch.setattr(loop, "SECONDS_WORTH_A_CHECKPOINT", 0)
    monkeypatch.setattr(
        loop, "save_checkpoint", lambda *args: (written.append(len(args[3].losses)), save(*args))
    )
    go(digits, tmp_path / "net.npz")
    # At the start, after each of three steps, and at the end of the epoch.
    assert written == [0, *[1, 2, 3, 0] * 2]


# Weights to begin with


def test_init_begins_with_given_weights(digits, whole, tmp_path):
    second = tmp_path / "second.npz"
    tiny = Recipe(1, 1197, 1e-12, 1e-12)
    train("digits_mlp", digits, second, tiny, SMALL, report=lambda line: None, init=whole)
    with np.load(whole) as a, np.load(second) as b:
        binary = [k for k in a.files if a[k].shape == (64, 16)]
        assert len(binary) == 1
        for k in binary:
            np.testing.assert_allclose(a[k], b[k], atol=1e-6)


def test_init_begins_with_a_packed_model(digits, whole, tmp_path):
    packed, second = tmp_path / "packed.npz", tmp_path / "second.npz"
    pack = ["pack", "--model", str(whole), "--calibrate", "digits", "--out", str(packed)]
    assert main(pack) == 0
    tiny = Recipe(1, 1197, 1e-12, 1e-12)
    train("digits_mlp", digits, second, tiny, SMALL, report=lambda line: None, init=packed)
    with np.load(whole) as a, np.load(second) as b:
        binary = [k for k in a.files if a[k].shape == (64, 16)]
        assert len(binary) == 1
        for k in binary:
            np.testing.assert_array_equal(a[k] >= 0, b[k] >= 0)
            np.testing.assert_allclose(abs(a[k]).mean(axis=0), abs(b[k]).mean(axis=0), rtol=1e-3)
    with pytest.raises(
        ModelError, match="packed.npz: The model's layers are not those of the network, digits"
    ):
        train("digits_mlp", digits, tmp_path / "m.npz", RECIPE, {"num_units": 8}, init=packed)
    assert not (tmp_path / "m.npz").exists()


def test_init_requires_weights_of_the_same_network(digits, whole, tmp_path):
    with pytest.raises(ModelError, match="another size of it"):
        train("digits_mlp", digits, tmp_path / "m.npz", RECIPE, {"num_units": 8}, init=whole)
    assert not (tmp_path / "m.npz").exists()


def test_a_disk_that_fails_before_the_first_checkpoint_is_reported(digits, tmp_path, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(TrainingError, match="No space left on device.*No checkpoint"):
        go(digits, tmp_path / "net.npz")
    assert [file.name for file in tmp_path.iterdir()] == [".net.npz.lock"]


# Runs that are not the same


@pytest.fixture(scope="module")
def after_a_step(digits, tmp_path_factory):
    """Folder of a run that stopped after its first step."""
    folder = tmp_path_factory.mktemp("begun")
    stops(digits, folder / "net.npz", resume=False, max_minutes=1e-9)
    return folder


@pytest.fixture
def begun(after_a_step, tmp_path):
    """Weights that such a run is about to write, in a folder with what it left."""
    shutil.copytree(after_a_step, tmp_path, dirs_exist_ok=True)
    return tmp_path / "net.npz"


@pytest.mark.parametrize("split", ["train", "valid"])
def test_a_run_is_resumed_on_the_same_images_only(digits, begun, split):
    images = getattr(digits, split).images.copy()
    images[3, 0, 2, 2] += 0.25
    other = dataclasses.replace(digits, **{split: data.Split(images, getattr(digits, split).labels)})
    with pytest.raises(ModelError, match="images="):
        go(other, begun, resume=True)
    go(digits, begun, resume=True)


def test_a_run_is_resumed_in_the_same_precision_only(digits, begun):
    theano.config.floatX = "float64"
    try:
        with pytest.raises(ModelError, match="floatX='float32'"):
            go(digits, begun, resume=True)
    finally:
        theano.config.floatX = "float32"


def test_a_run_may_begin_with_the_weights_that_it_replaces(digits, whole, tmp_path):
    other = tmp_path / "other.npz"
    for suffix in (".npz", ".json"):
        shutil.copy(whole.with_suffix(suffix), tmp_path)
    first = tmp_path / whole.name
    kept = first.read_bytes()
    go(digits, other, init=first)
    # Stopped when the first epoch's weights have taken the place of those it began with.
    for resume in (False, True, True, True):
        stops(digits, first, resume=resume, init=first, max_minutes=1e-9)
    assert first.read_bytes() != kept
    go(digits, first, resume=True, init=first)
    assert same_weights(first, other)


def test_two_runs_do_not_write_to_the_same_place(digits, tmp_path):
    out = tmp_path / "net.npz"
    with claim(out), pytest.raises(ModelError, match="another run is writing there"):
        go(digits, out)
    go(digits, out)
    assert [file.name for file in tmp_path.glob(".*")] == [".net.npz.lock"]


def test_an_unreadable_checkpoint_is_reported_without_advice_to_delete_it(digits, begun, monkeypatch):

    def stale(*args, **options):
        raise OSError(116, "Stale file handle")

    monkeypatch.setattr(np, "load", stale)
    with pytest.raises(ModelError, match="Stale file handle.*--resume again"):
        go(digits, begun, resume=True)
