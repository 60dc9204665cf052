"""The comparison of arithmetics: its figures, and a run on the digits."""

import json
import re
import runpy
import sys
from pathlib import Path

import pytest
from small_networks import in_place_of_ours

PROGRAM = Path(__file__).resolve().parents[2] / "benchmarks" / "arithmetics.py"


def test_losses_are_compared_step_by_step_and_in_the_mean(monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    apart = runpy.run_path(str(PROGRAM))["apart"]
    found = apart([[1.0, 3.0], [2.0, 2.0]], [[2.0, 2.0], [2.0, 4.0]])
    assert found == pytest.approx({"largest": 0.5, "mean": 0.375, "of_means": (0 + 1 / 3) / 2})


@pytest.mark.only_all
def test_arithmetics_train_the_digits_alike(run):
    names = ["float32", "int16"]
    options = ["--only", ",".join(names), "--seeds", "1", "--epochs", "6", "--json"]
    told = json.loads(run("digits_mlp", *options).out)
    errors = {name: error for name, (error,) in told["test_errors"].items()}
    assert set(errors) == set(names) and max(errors.values()) < 0.08
    # Both part from float32 by what rounding gives rise to.
    assert told["apart"]["int16"]["of_means"] < 0.03
    assert told["apart"]["int16"]["mean"] < 2 * told["apart"]["float32, reordered"]["mean"] + 0.01


@pytest.mark.only_all
def test_no_epochs_leave_the_losses_of_first_steps(run):
    options = ["digits_mlp", "--only", "float32,int16", "--seeds", "1", "--epochs", "0"]
    with in_place_of_ours():
        lines = run(*options).out.splitlines()
    assert lines[0].startswith("digits_mlp, 0 epochs ")
    assert [line[:20].strip() for line in lines[2:]] == ["int16", "float32, reordered"]
    assert all(re.fullmatch(r"( +[\d.]+%){3}", line[20:]) for line in lines[2:])


def test_a_comparison_without_float32_is_refused_in_one_line(run, capsys):
    with pytest.raises(SystemExit):
        run("digits_mlp", "--only", "int16")
    assert re.search("--only needs float32", capsys.readouterr().err.splitlines()[-1])
