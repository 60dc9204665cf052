"""The comparison of arithmetics: its figures, and a run on the digits."""

import json
import re
import runpy
from pathlib import Path

import pytest
from printed import assert_numbers
from small_networks import in_place_of_ours

PROGRAM = Path(__file__).resolve().parents[2] / "benchmarks" / "arithmetics.py"


def test_losses_are_compared_step_by_step_and_in_the_mean():
    apart = runpy.run_path(str(PROGRAM))["apart"]
    found = apart([[1.0, 3.0], [2.0, 2.0]], [[2.0, 2.0], [2.0, 4.0]])
    assert found == pytest.approx({"largest": 0.5, "mean": 0.375, "of_means": (0 + 1 / 3) / 2})


@pytest.mark.only_all
def test_arithmetics_train_the_digits_alike(run):
    names = ["float32", "int16"]
    options = ["--only", ",".join(names), "--seeds", "1", "--epochs", "6", "--json"]
    result = json.loads(run("digits_mlp", *options).out)
    errors = {name: error for name, (error,) in result["test_errors"].items()}
    assert set(errors) == set(names) and max(errors.values()) < 0.08
    # Both part from float32 by what rounding gives rise to.
    assert result["apart"]["int16"]["of_means"] < 0.03
    assert result["apart"]["int16"]["mean"] < 2 * result["apart"]["float32, reordered"]["mean"] + 0.01


@pytest.mark.only_all
def test_no_epochs_leave_the_losses_of_first_steps(run):
    options = ["digits_mlp", "--only", "float32,int16", "--seeds", "1", "--epochs", "0", "--json"]
    with in_place_of_ours():
        result = json.loads(run(*options).out)
    assert not result["test_errors"] and set(result["apart"]) == {"int16", "float32, reordered"}
    for distance in result["apart"].values():
        assert 0 <= distance["mean"] <= distance["largest"] < 1 and 0 <= distance["of_means"] < 1


def test_the_table_has_the_numbers_of_the_json():
    result = {
        "network": "digits_mlp",
        "epochs": 2,
        "batch_size": 50,
        "seeds": [1, 2],
        "test_errors": {"float32": [0.1, 0.2], "int16": [0.3, 0.5]},
        "apart": {
            "int16": {"mean": 0.01, "largest": 0.5, "of_means": 0.002},
            "float32, reordered": {"mean": 0.02, "largest": 0.04, "of_means": 0.003},
        },
    }
    lines = runpy.run_path(str(PROGRAM))["format_result"](result).splitlines()
    expected = [[0.1, 0.2, 0.15], [0.3, 0.5, 0.4, 0.01, 0.5, 0.002], [0.02, 0.04, 0.003]]
    assert_numbers(lines, expected)


def test_a_comparison_without_float32_is_refused_in_one_line(run, capsys):
    with pytest.raises(SystemExit):
        run("digits_mlp", "--only", "int16")
    assert re.search("--only needs float32", capsys.readouterr().err.splitlines()[-1])
