"""The scripts for SVHN from end to end, on small .mat files in the published files' form."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from xnornet.cli import main

ROOT = Path(__file__).resolve().parents[2]
# 400 of each class are held out for validation.
COUNTS = {"train_32x32.mat": 4200, "test_32x32.mat": 60}


def write(folder):
    """Images whose brightness is their digit, 10 standing for 0, with noise."""
    rng = np.random.default_rng(0)
    for name, count in COUNTS.items():
        labels = np.arange(count) % 10 + 1
        images = 20 + 22 * labels + rng.integers(-9, 10, (32, 32, 3, count))
        scipy.io.savemat(folder / name, {"X": images.astype(np.uint8), "y": labels.astype(np.uint8)[:, None]})


def run(*command, **environment):
    command = [str(part) for part in command]
    environment = {**os.environ, "PYTHON": sys.executable, **environment}
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.splitlines()


@pytest.mark.long
@pytest.mark.only_all
def test_svhn_is_trained_packed_and_tested_in_every_mode(tmp_path, capsys):
    folder = tmp_path / "SVHN" / "format2"
    folder.mkdir(parents=True)
    write(folder)
    out, packed = tmp_path / "net.npz", tmp_path / "net.packed.npz"
    given = ["--data", str(tmp_path)]
    options = ["--set", "width=0.06", "--epochs", "1", "--batch-size", "20", "--out", out]
    printed = run("bash", ROOT / "train/train_svhn.sh", *options, *given, XNORNET_LOGS=str(tmp_path))
    assert printed[0] == "svhn_convnet on svhn: 200 training, 4000 validation, 60 test images"
    error = printed[-1].split("test error ")[1].split()[0]
    (last,) = run(sys.executable, ROOT / "test/svhn_test.py", "--model", out, *given)
    assert last.startswith(f"error {error} ") and " on 60 images, mode float, " in last

    assert main(["pack", "--model", str(out), "--calibrate", "svhn", "--out", str(packed), *given]) == 0
    for model, mode in ((out, "fixed"), (packed, "packed")):
        assert main(["test", "--model", str(model), "--mode", mode, *given], dataset="svhn") == 0
    *_, fixed, exact = capsys.readouterr().out.splitlines()
    assert fixed.split(",")[0] == exact.split(",")[0]
    assert " on 60 images, mode packed, " in exact
