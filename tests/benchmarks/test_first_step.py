"""The benchmark of the first step: medians of what processes measured, and the table."""

import importlib
import sys
from argparse import Namespace
from pathlib import Path

import pytest
from printed import assert_numbers

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def first_step(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])
    return importlib.import_module("first_step")


def test_medians_and_table_have_every_stage(first_step):
    rounds = [
        {"imports": (1.0, 0.5), "xla": (seconds, None), "all": (10.0 + seconds, 9.0)} for seconds in (3, 1, 2)
    ]
    found = first_step.medians(rounds)
    assert found["imports"] == [1.0, 0.5] and found["xla"][0] == 2 and found["all"] == [12.0, 9.0]
    text = first_step.table(Namespace(network="mnist_mlp", batch=100), {"empty caches": found})
    lines = text.splitlines()
    assert lines[0].startswith("mnist_mlp, batch 100")
    stages = list(first_step.STAGES.values())
    assert all(line.startswith(stage) for line, stage in zip(lines[-len(stages) :], stages, strict=True))
    expected = [found[stage] for stage in first_step.STAGES]
    assert_numbers(lines, [row for each in expected if (row := [s for s in each if s is not None])])


def test_times_of_a_method_add_up_and_what_it_returns_is_returned(first_step):
    class Owner:
        def double(self, x):
            return 2 * x

    times = {}
    first_step.measured(Owner, "double", "stage", times)
    assert [Owner().double(x) for x in (1, 2)] == [2, 4]
    assert times["stage"][0] > 0
