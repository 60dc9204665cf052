"""Cycles of the inner loops by llvm-mca's models: no more than the guide says."""

import json
from pathlib import Path

from c_programs import compiler

PROGRAM = Path(__file__).resolve().parents[2] / "benchmarks/inner_loops.py"


def test_loops_over_filters_take_a_third_of_a_cycle_for_each_multiply_add(run):
    for needed in ("arm-none-eabi-gcc", "llvm-mca"):
        compiler(needed)
    found = json.loads(run("--json").out)
    for processor, most in (("Cortex-M4", 0.36), ("Cortex-M7", 0.25)):
        for row in found[processor]:
            # One instruction for a load of two words, four for an adder of three.
            assert 0.15 < row["cycles_each"] < most
            assert 0.25 < row["instructions"] / row["cycles"] <= 2
