#!/usr/bin/env python
"""Cycles of the loops over the filters of usual windows, by llvm-mca's models of Cortex-M4 and Cortex-M7.

The loops are those that gcc makes of the kernels' functions `multiply_9`, `multiply_18` and `multiply_25`,
one pass for each filter; longer windows have loops within. The models know no waiting for flash, and take a
load of two words for one cycle.

    python benchmarks/inner_loops.py
"""

import argparse
import json
import re
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "tests/strategies"))

from c_programs import compiler, run  # noqa: E402

SOURCE = ROOT / "xnornet/export/c/runtime/xnor.c"
WORDS = {9: "3x3 of 32 channels", 18: "3x3 of 64 channels", 25: "5x5 of 32 channels"}
PROCESSORS = {"Cortex-M4": "cortex-m4", "Cortex-M7": "cortex-m7"}
PASSES = 1000


def loop_of(assembly, function):
    """Instructions of a function's only loop."""
    (body,) = re.findall(rf"^{function}[.\w]*:\n(.*?)^\t\.size", assembly, re.M | re.S)
    label, target = re.findall(r"^(\.L\d+):|^\tb\w*\t(\.L\d+)", body, re.M)[:2]
    assert label[0] and label[0] == target[1], f"{function} is no single loop"
    loop = body[body.index(f"{label[0]}:") : body.index(f"\t{label[0]}\n")] + f"\t{label[0]}"
    return [line for line in loop.splitlines() if re.match(r"\t[a-z]", line)]


def measure(processor, level="-O2"):
    """Rows of a table: words of a window, instructions and cycles for a filter, cycles for a multiply-add."""
    name = PROCESSORS[processor]
    flags = [f"-mcpu={name}", "-mthumb", "-mfloat-abi=soft", "-std=c99", level, "-S"]
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        out, part = Path(scratch, "xnor.s"), Path(scratch, "loop.s")
        run(compiler("arm-none-eabi-gcc"), *flags, SOURCE, "-o", out)
        for words, window in WORDS.items():
            lines = loop_of(out.read_text(), f"multiply_{words}")
            part.write_text("\n".join(lines) + "\n")
            options = ["-mtriple=thumbv7em-none-eabi", f"-mcpu={name}", f"-iterations={PASSES}"]
            printed = run(compiler("llvm-mca"), *options, part).decode()
            cycles = int(re.search(r"Total Cycles: +(\d+)", printed)[1]) / PASSES
            row = {"window": window, "instructions": len(lines), "cycles": round(cycles, 1)}
            rows.append({**row, "cycles_each": round(cycles / (32 * words), 3)})
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--processor", nargs="+", choices=PROCESSORS, default=[*PROCESSORS])
    parser.add_argument("--level", default="-O2", help="of the compiler's optimization")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
    arguments = parser.parse_args()
    found = {processor: measure(processor, arguments.level) for processor in arguments.processor}
    if arguments.json:
        print(json.dumps(found))
        return
    for processor, rows in found.items():
        print(f"{processor:24} {'instructions':>13} {'cycles':>8} {'for each':>9}")
        for row in rows:
            print("{window:24} {instructions:13} {cycles:8.1f} {cycles_each:9.3f}".format(**row))


if __name__ == "__main__":
    main()
