"""The engine against exported C on this machine: both are timed, and other scores are an error."""

import json
from pathlib import Path

import pytest
from c_programs import compiler

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "benchmarks/exported_c.py"
DIGITS = str(ROOT / "models/digits_mlp.npz")


def test_both_are_timed_on_images_that_have_equal_scores(run):
    compiler("gcc")
    printed = run(DIGITS, "--rounds", "3", "--builds", "gcc -march=native", "--json")
    (result,) = json.loads(printed.out).values()
    assert result["ratio"] == pytest.approx(result["C"]["median_ms"] / result["engine"]["median_ms"])
