#!/usr/bin/env python
"""Instructions that an exported network takes on microcontrollers, counted by QEMU, for each layer.

QEMU runs the program with a clock of one nanosecond for each instruction. Cortex-M are read by SysTick, whose
ticks are 40 or 50 instructions there, RISC-V by its counter of instructions. Instructions are no cycles:
loads and multiplications may take several, and flash makes processors wait.

    python benchmarks/microcontroller.py models/mnist_convnet.npz --processor Cortex-M4 Cortex-M3
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/strategies"))

import numpy as np  # noqa: E402
from boards import BOARDS  # noqa: E402

from xnornet.data.dataset import scale_bytes  # noqa: E402
from xnornet.export.c import export_c, pixel_levels, write_folder  # noqa: E402
from xnornet.export.c.golden import as_stored, draw_pixels  # noqa: E402
from xnornet.graph import load_packed  # noqa: E402

# Instructions of a tick where the board's clock is not of 25 MHz.
TICKS = {"Cortex-M33": 50}

PROGRAM = """
#include <stdint.h>

int puts(const char *text);

static uint32_t counts[{layers}], before;

#ifdef __riscv
static uint32_t now(void)
{{
    uint32_t n;
    __asm__ volatile(".option push\\n.option arch, +zicsr\\ncsrr %0, minstret\\n.option pop" : "=r"(n));
    return n;
}}
#define SINCE(n) (now() - (n))
#else
static volatile uint32_t *const systick = (volatile uint32_t *)0xe000e010u;
static uint32_t now(void)
{{
    return systick[2];
}}
#define SINCE(n) ((((n) - now()) & 0xffffffu) * {tick}u)
#endif

static void after(int layer)
{{
    counts[layer] = SINCE(before);
    before = now();
}}

#define {upper}_AFTER_LAYER(layer, y) after(layer)
#include "{name}.c"

static const uint8_t pixels[] = {{{pixels}}};

int main(void)
{{
    static uint32_t arena[{upper}_ARENA / 4];
    int64_t scores[{upper}_SCORES];
    char text[] = "0000000000";
    int i, k;
#ifndef __riscv
    systick[1] = 0xffffffu;
    systick[0] = 5;
#endif
    before = now();
    {name}_run(pixels, scores, arena);
    for (i = 0; i < {layers}; i++) {{
        for (k = 9; k >= 0; k--, counts[i] /= 10)
            text[k] = (char)('0' + counts[i] % 10);
        puts(text);
    }}
    return 0;
}}
"""


def measure(graph, name, processor, level="-O2", extra=()):
    """Rows of a table: layer, binary and real multiply-adds, instructions."""
    export = export_c(graph, name, pixel_levels(graph, scale_bytes(np.arange(256, dtype=np.uint8))))
    pixels = draw_pixels(graph.input_shape, 1)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "c")
        write_folder(folder, export.files(pixels))
        fields = {"layers": len(export.layers), "name": export.name, "upper": export.name.upper()}
        fields["tick"] = TICKS.get(processor, 40)
        numbers = ",".join(map(str, as_stored(pixels)[0]))
        (folder / "count.c").write_text(PROGRAM.format(pixels=numbers, **fields))
        board = BOARDS[processor]
        program = board.build([folder / "count.c", folder / "xnor.c"], folder / "program", level, extra)
        printed = board.run(program, "-icount", "shift=0").split()
    shapes, rows = graph.shapes(), []
    for layer, count in zip(export.layers, printed, strict=True):
        costs = [
            graph.nodes[i].operation.cost(*(shapes[k] for k in graph.nodes[i].inputs))
            for i in range(1, len(graph.nodes))
            if graph.nodes[i].operation is layer.operation
        ]
        binary, real = sum(c.binary_macs for c in costs), sum(c.real_macs for c in costs)
        rows.append({"layer": layer.name, "binary": binary, "real": real, "instructions": int(count)})
    return rows


def table(rows, title):
    """Rows and their total as text."""
    lines = [f"{title:24} {'binary MACs':>12} {'real MACs':>11} {'instructions':>13} {'for each':>9}"]
    keys = ("binary", "real", "instructions")
    total = {"layer": "in all", **{key: sum(row[key] for row in rows) for key in keys}}
    for row in (*rows, total):
        # An XNOR layer has real multiplications for its outputs; what counts is its binary ones.
        macs = row["binary"] + (row["real"] if not row["binary"] or row is total else 0)
        each = f"{row['instructions'] / macs:9.3f}" if macs else ""
        lines.append(
            f"{row['layer']:24} {row['binary']:12} {row['real']:11} {row['instructions']:13} {each:>9}"
        )
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("models", nargs="+", type=Path, metavar="FILE.npz", help="packed models")
    parser.add_argument("--processor", nargs="+", choices=BOARDS, default=["Cortex-M4"])
    parser.add_argument("--level", default="-O2", help="of the compiler's optimization")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
    arguments = parser.parse_args()
    found = {}
    for model in arguments.models:
        graph, _ = load_packed(model)
        for processor in arguments.processor:
            rows = measure(graph, model.stem, processor, arguments.level)
            found[f"{model.stem}, {processor}"] = rows
            if not arguments.json:
                print(table(rows, f"{model.stem}, {processor}"), flush=True)
    if arguments.json:
        print(json.dumps(found))


if __name__ == "__main__":
    main()
