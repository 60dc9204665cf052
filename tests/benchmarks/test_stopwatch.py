"""A contender's process: it writes a file for each cell, and reports calls and memory of its model."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

CONTENDERS = Path(__file__).resolve().parents[2] / "benchmarks" / "contenders"

CONTENDER = f"""
import sys
sys.path.append({str(CONTENDERS)!r})
from stopwatch import compete

def prepare(work, batch, path):
    path.write_text(f"{{len(work.layers)}} {{batch}}")

def load(work, path, threads, images):
    assert images.shape == (int(path.read_text().split()[1]), *work.input_shape)
    assert images.dtype == "float32" and abs(images).max() <= 1
    model = b"1" * (64 << 20)
    return lambda: len(model)

# What the imports of some peers take for a moment is not the model's.
del [b"1" * (256 << 20)][0]
compete(prepare, load, "made up 1.0")
"""


def run(folder, *arguments):
    script = folder / "made_up.py"
    script.write_text(CONTENDER)
    command = [sys.executable, script, arguments[0], folder, *arguments[1:]]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_models_are_made_for_each_work_and_batch(tmp_path):
    run(tmp_path, "prepare", "--work", "cifar10_convnet,conv512_8x8", "--batch", "1,3")
    found = {path.name: path.read_text() for path in tmp_path.glob("*.model")}
    layers = {"cifar10_convnet": 9, "conv512_8x8": 1}
    assert found == {f"made_up_{w}_{b}.model": f"{n} {b}" for w, n in layers.items() for b in (1, 3)}


def test_the_reported_memory_is_that_of_the_model(tmp_path):
    cell = ("--work", "conv512_8x8", "--batch", "3")
    run(tmp_path, "prepare", *cell)
    result = json.loads(run(tmp_path, "measure", *cell, "--threads", "1", "--seconds", "0.01"))
    assert result["version"] == "made up 1.0"
    assert len(result["seconds"]) >= 3 and sum(result["seconds"]) >= 0.01
    if result["memory"] is None:
        pytest.skip("this system does not report a process's peak memory")
    assert 60 << 20 < result["memory"] < 80 << 20
