"""Two kinds of times, compared."""

import runpy
from pathlib import Path

from printed import assert_numbers

PAIRED = runpy.run_path(str(Path(__file__).resolve().parents[2] / "benchmarks/paired.py"))


def test_medians_quartiles_and_ratios_are_those_counted_by_hand():
    seconds = {"a": [0.001, 0.002, 0.003], "b": [0.004, 0.004, 0.003]}
    result = PAIRED["compared"](seconds, "b", "a")
    assert {name: result[name]["median_ms"] for name in "ab"} == {"a": 2, "b": 4}
    assert result["a"]["quartiles_ms"] == [1.5, 2.5]
    # Of neighbours 4, 2 and 1.
    assert result["ratio"] == 2 and result["paired_ratio"] == 2
    *_, ratios = PAIRED["lines"](result, "b", "a")
    assert_numbers([ratios], [[2, 2]])
