"""Exported models against the engine: a result for each build, and an exit status."""

import json
import runpy
from pathlib import Path

import pytest
from c_programs import compiler

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "benchmarks/exactness.py"
DIGITS = str(ROOT / "models/digits_mlp.npz")


def test_all_images_have_the_engines_scores(run):
    compiler("gcc")
    with pytest.raises(SystemExit) as exit:
        run(DIGITS, "--no", "20", "--builds", "gcc -O0")
    assert exit.value.code == 0


def test_other_scores_give_a_failing_exit_status(monkeypatch, capsys):
    program = runpy.run_path(str(PROGRAM))

    def in_c(graph, info, pixels, numbers, builds):
        scores = program["Engine"](graph, threads=1).run(numbers[pixels])
        scores[3, 1] += 1
        yield "mine", scores

    program["FORMS"]["c"] = in_c
    monkeypatch.setattr("sys.argv", ["exactness.py", DIGITS, "--no", "20", "--json"])
    assert program["main"]() == 1
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["images"], row["equal"], row["build"]) == (20, 19, "mine")
