"""Several hosts, here processes of one: the same training as one does, and what happens when one is lost."""

import csv
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from xnornet import data
from xnornet.cli import main
from xnornet.training.checkpoint import checkpoint_path

ROOT = Path(__file__).resolve().parents[2]
NET = f"{ROOT / 'tests/strategies/small_networks.py'}:digits_net"

# 50 steps and more: 24 an epoch. In float64 the order of sums is too small to turn a sign.
OPTIONS = ["--net", NET, "--set", "num_units=16", "--epochs", "3", "--batch-size", "48", "--augment"]


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def start(options, devices=1, at=("SIGKILL", 0), seconds=120, memory="all"):
    environment = {
        **os.environ,
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}",
        "THEANO_FLAGS": "floatX=float64",
        "PYTHONPATH": str(ROOT),
        "XNORNET_THREADS": "1",
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
    }
    program = [Path(__file__).with_name("host_process.py"), *at, seconds, memory, *options]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, *map(str, program)], env=environment, **pipes)


def ended(process):
    """Exit status, lines of the output, and lines of errors, without what JAX prints."""
    out, errors = process.communicate(timeout=300)
    lines = [line for line in out.splitlines() if not line.startswith("[Gloo]")]
    return process.returncode, lines, [line for line in errors.splitlines() if line.startswith("error: ")]


def run(count, out, *options, at=None, **how):
    """Train on hosts, of which those in ``at`` send themselves a signal after a step."""
    joined, port = [[]], free_port()
    if count > 1:
        joined = [["--coordinator", f"127.0.0.1:{port}", "--hosts", count, "--host", k] for k in range(count)]
    at = at or {}
    processes = [
        # The others have no folder of this name.
        start(
            [
                "digits",
                *OPTIONS,
                "--out",
                out if k == 0 else out.parent / "none" / f"{k}.npz",
                *more,
                *options,
            ],
            at=at.get(k, ("SIGKILL", 0)),
            **how,
        )
        for k, more in enumerate(joined)
    ]
    return [ended(process) for process in processes]


def assert_same_training(out, wanted):
    def losses(path):
        with open(path.with_suffix(".log.csv"), encoding="utf-8") as file:
            return [
                [row[name] for name in ("loss", "train_error", "valid_error")] for row in csv.DictReader(file)
            ]

    assert losses(out) == losses(wanted) and len(losses(out)) == 3
    with np.load(out) as found, np.load(wanted) as alone:
        for name in alone.files:
            np.testing.assert_allclose(found[name], alone[name], rtol=1e-7, atol=1e-9)
    assert not checkpoint_path(out).exists()


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """What one device trains."""
    out = tmp_path_factory.mktemp("alone") / "net.npz"
    ((status, _, errors),) = run(1, out)
    assert status == 0 and not errors
    return out


@pytest.mark.parametrize("count", [2, 4])
@pytest.mark.long
@pytest.mark.only_all
def test_hosts_train_what_one_does_and_the_first_one_reports(count, alone, tmp_path):
    first, *others = run(count, tmp_path / "net.npz")
    assert first[0] == 0 and first[1][-1].startswith("kept ")
    assert f"on {count} devices of {count} hosts, {48 // count} images of each batch on each" in first[1]
    assert others == [(0, [], [])] * (count - 1)
    assert_same_training(tmp_path / "net.npz", alone)
    assert not (tmp_path / "none").exists()


@pytest.mark.long
@pytest.mark.only_all
def test_a_run_is_resumed_on_fewer_hosts_and_devices_however_it_ended(alone, tmp_path):
    """Four hosts, of which one gets Ctrl-C; two, of which one is killed; four devices; and one."""
    out = tmp_path / "net.npz"
    found = run(4, out, at={3: ("SIGINT", 10)})
    line = "error: interrupted in epoch 1 of 3, after step 10; --resume continues from there"
    assert [(status, errors) for status, _, errors in found] == [(130, [line])] * 4

    first, killed = run(2, out, "--resume", at={1: ("SIGKILL", 20)})
    assert killed[0] == -signal.SIGKILL
    assert first[0] == 1 and "resumed in epoch 1 of 3, after step 10" in first[1]
    (line,) = first[2]
    assert line.startswith(
        "error: Another host has stopped or cannot be reached. The last checkpoint is complete"
    )

    ((status, lines, errors),) = run(1, out, "--resume", "--devices", "4", at={0: ("SIGINT", 10)}, devices=4)
    # The last step of the first host may have been whole or not.
    assert {"resumed in epoch 2 of 3, after step 6", "resumed in epoch 2 of 3, after step 5"} & set(lines)
    assert status == 130 and len(errors) == 1
    ((status, lines, errors),) = run(1, out, "--resume")
    assert status == 0 and not errors
    assert_same_training(out, alone)


@pytest.mark.long
@pytest.mark.only_all
def test_the_first_host_may_be_lost_as_well(alone, tmp_path):
    out = tmp_path / "net.npz"
    (first, _, _), (status, lines, errors) = run(2, out, at={0: ("SIGKILL", 30)})
    assert first == -signal.SIGKILL and status == 1 and not lines
    (line,) = errors
    assert line.startswith("error: Another host has stopped or cannot be reached") and "--resume" in line
    ((status, lines, _),) = run(1, out, "--resume")
    assert status == 0 and "resumed after epoch 1 of 3" in lines
    assert_same_training(out, alone)


@pytest.mark.long
@pytest.mark.only_all
def test_images_on_disk_train_the_same_on_devices_and_hosts(tmp_path):
    digits = data.load("digits")
    names = {"train": "X_train", "valid": "X_valid", "test": "X_test"}
    arrays = {
        name: np.round(127.5 * (getattr(digits, split).images + 1)).astype(np.uint8)
        for split, name in names.items()
    }
    arrays |= {name.replace("X", "y"): getattr(digits, split).labels for split, name in names.items()}
    np.savez(tmp_path / "mine.npz", **arrays)

    def go(name, *options, **how):
        options = ["--images", tmp_path / "mine.npz", *OPTIONS, "--out", tmp_path / name, *options]
        return start(options, **how)

    two = {"devices": 2, "memory": "none"}
    joined = ["--coordinator", f"127.0.0.1:{free_port()}", "--hosts", 2, "--host"]
    processes = [
        go("resident.npz", "--devices", "2", devices=2),
        go("streamed.npz", "--devices", "2", **two),
        # One of the hosts has memory for them; each has two devices.
        go("hosts.npz", *joined, 0, devices=2),
        go("none.npz", *joined, 1, **two),
    ]
    assert [ended(process)[::2] for process in processes] == [(0, [])] * 4
    assert (tmp_path / "streamed.npz").read_bytes() == (tmp_path / "resident.npz").read_bytes()
    assert_same_training(tmp_path / "hosts.npz", tmp_path / "resident.npz")


@pytest.mark.long
@pytest.mark.only_all
def test_hosts_that_do_not_fit_together_are_one_line_each(tmp_path):
    alone = start(
        ["digits", "--coordinator", f"127.0.0.1:{free_port()}", "--hosts", 2, "--host", 1], seconds=1
    )
    joined = ["digits", *OPTIONS, "--coordinator", f"127.0.0.1:{free_port()}", "--hosts", 2, "--host"]
    processes = [
        start([*joined, 0, "--out", tmp_path / "net.npz"]),
        start([*joined, 1, "--lr", "0.5"]),
    ]
    status, lines, (line,) = ended(alone)
    assert status == 1 and line.startswith("error: The hosts have not joined within 1 s; ")
    (first, _, (line,)), (second, _, (other,)) = map(ended, processes)
    assert first == second == 1
    assert line.startswith("error: Host 1 has other options or images than this one")
    assert other.endswith("than the first one: lr 0.5 (there 0.005)")
    assert not checkpoint_path(tmp_path / "net.npz").exists()


@pytest.mark.parametrize(
    "options, message",
    [
        ("--hosts 2 --host 0", "go together; add --coordinator"),
        ("--coordinator a:1 --host 0", "go together; add --hosts"),
        ("--coordinator a:1 --hosts 2", "go together; add --host"),
        ("--coordinator a:1 --hosts 2 --host 2", "--host is 2; with --hosts 2 it takes 0 to 1"),
        ("--coordinator a --hosts 2 --host 1", "--coordinator is a; it takes HOST:PORT"),
        ("--coordinator a:66000 --hosts 2 --host 1", "--coordinator is a:66000; it takes HOST:PORT"),
        ("--hosts auto --host 1", "--hosts auto reads the others from the cluster"),
    ],
)
def test_options_of_hosts_that_are_wrong_are_one_line(options, message, capsys):
    assert main(["train", "digits", *options.split()]) == 1
    line = capsys.readouterr().err
    assert line.startswith("error: ") and line.count("\n") == 1 and message in line
