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
sys.path += [str(ROOT / "benchmarks"), str(ROOT / "tests/strategies")]

import numpy as np  # noqa: E402
from boards import BOARDS, FOLDER  # noqa: E402
from other_kernels import COMPARED, cbin_nn, cmsis_nn, ticks  # noqa: E402

from xnornet import networks  # noqa: E402
from xnornet.catalog import NETWORKS  # noqa: E402
from xnornet.cli.options import add_set_option, in_single_precision, options_of  # noqa: E402
from xnornet.data.dataset import scale_bytes  # noqa: E402
from xnornet.export.c import arena_of, export_c, identifier, pixel_levels, write_folder  # noqa: E402
from xnornet.export.c.golden import as_stored, draw_pixels  # noqa: E402
from xnornet.graph import load_packed  # noqa: E402
from xnornet.quantization import quantize  # noqa: E402
from xnornet.quantization.layers import to_graph  # noqa: E402

PROGRAM = """
#include "clock.h"

static uint32_t counts[{layers}], before;

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
    int i;
    START_CLOCK();
    before = now();
    {name}_run(pixels, scores, arena);
    for (i = 0; i < {layers}; i++)
        print(counts[i]);
    return 0;
}}
"""


def measure(graph, name, processor, level="-O2", extra=(), cmsis=None, cbin=None):
    """Rows of a table: layer, binary and real multiply-adds, instructions, bytes of the arena.

    Layers that the folders of CMSIS-NN and CBin-NN have kernels for get their figures beside.
    """
    export = export_c(graph, name, pixel_levels(graph, scale_bytes(np.arange(256, dtype=np.uint8))))
    pixels = draw_pixels(graph.input_shape, 1)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "c")
        write_folder(folder, export.files(pixels))
        fields = {"layers": len(export.layers), "name": export.name, "upper": export.name.upper()}
        numbers = ",".join(map(str, as_stored(pixels)[0]))
        (folder / "count.c").write_text(PROGRAM.format(pixels=numbers, **fields))
        board, flags = BOARDS[processor], [f"-I{FOLDER}", ticks(processor), *extra]
        program = board.build([folder / "count.c", folder / "xnor.c"], folder / "program", level, flags)
        printed = board.run(program, "-icount", "shift=0").split()
    others = cmsis_nn(export, processor, cmsis) if cmsis else {}
    in_bits = cbin_nn(export, processor, cbin) if cbin else {}
    shapes, rows = graph.shapes(), []
    for layer, count, taken in zip(export.layers, printed, arena_of(export.layers), strict=True):
        costs = [
            graph.nodes[i].operation.cost(*(shapes[k] for k in graph.nodes[i].inputs))
            for i in range(1, len(graph.nodes))
            if graph.nodes[i].operation is layer.operation
        ]
        binary, real = sum(c.binary_macs for c in costs), sum(c.real_macs for c in costs)
        row = {"layer": layer.name, "binary": binary, "real": real, "instructions": int(count)}
        row["bytes"] = taken
        if layer.name in others:
            row["cmsis_nn"], row["cmsis_nn_bytes"] = others[layer.name]
        if layer.name in in_bits:
            row["cbin_nn"] = in_bits[layer.name]
        rows.append(row)
    return rows


def table(rows, title):
    """Rows and their total as text."""
    compared = any("cmsis_nn" in row or "cbin_nn" in row for row in rows)
    heads = f"{title:24} {'binary MACs':>12} {'real MACs':>11} {'instructions':>13} {'for each':>9}"
    lines = [
        heads + (OTHERS.format("bytes", "CMSIS-NN", "times", "bytes", "CBin-NN", "times") if compared else "")
    ]
    keys = ("binary", "real", "instructions")
    total = {"layer": "in all", **{key: sum(row[key] for row in rows) for key in keys}}
    # Of the layers that the other library has a kernel for.
    for name in ("cmsis_nn", "cbin_nn"):
        same = [row for row in rows if name in row]
        if same:
            total[name], total[f"{name}_ours"] = (sum(row[k] for row in same) for k in (name, "instructions"))
    for name in ("bytes", "cmsis_nn_bytes"):
        total[name] = max((row[name] for row in rows if name in row), default="")
    for row in (*rows, total):
        # An XNOR layer has real multiplications for its outputs; what counts is its binary ones.
        macs = row["binary"] + (row["real"] if not row["binary"] or row is total else 0)
        each = f"{row['instructions'] / macs:9.3f}" if macs else ""
        line = f"{row['layer']:24} {row['binary']:12} {row['real']:11} {row['instructions']:13} {each:>9}"
        lines.append((line + (_others(row) if compared else "")).rstrip())
    return "\n".join(lines)


OTHERS = " {:>8} {:>12} {:>6} {:>8} {:>12} {:>6}"


def _others(row):
    """What other libraries take for a layer, and how many times as many instructions that is."""
    cells = [row.get("bytes", ""), row.get("cmsis_nn", ""), "", row.get("cmsis_nn_bytes", "")]
    cells += [row.get("cbin_nn", ""), ""]
    for name, at in (("cmsis_nn", 2), ("cbin_nn", 5)):
        if name in row:
            cells[at] = f"{row[name] / row.get(f'{name}_ours', row['instructions']):.1f}"
    return OTHERS.format(*cells)


def drawn(network, options):
    """A network of random weights; instructions hardly depend on them."""
    in_single_precision()
    layer = networks.build(network, **options)
    shape = to_graph(layer).input_shape
    return quantize(layer, scale_bytes(draw_pixels(shape)))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("models", nargs="*", type=Path, metavar="FILE.npz", help="packed models")
    parser.add_argument("--network", choices=NETWORKS, help="a network of random weights besides")
    add_set_option(parser)
    parser.add_argument("--processor", nargs="+", choices=BOARDS, default=["Cortex-M4"])
    parser.add_argument("--level", default="-O2", help="of the compiler's optimization")
    for name in ("cmsis-nn", "cbin-nn"):
        meaning = f"folder of a copy of {name.upper()}, to count its kernels too; Cortex-M3, M4, M7"
        parser.add_argument(f"--{name}", type=Path, metavar="DIR", help=meaning)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
    arguments = parser.parse_args()
    if not arguments.models and not arguments.network:
        parser.error("give packed models, or --network")
    others = {"cmsis": arguments.cmsis_nn, "cbin": arguments.cbin_nn}
    if any(others.values()) and not set(arguments.processor) <= set(COMPARED):
        parser.error(f"other libraries are counted on {', '.join(COMPARED)}")
    graphs = {model.stem: load_packed(model)[0] for model in arguments.models}
    if arguments.network:
        options = options_of(arguments)
        name = "_".join([arguments.network, *(f"{key}_{value}" for key, value in options.items())])
        graphs[identifier(name)] = drawn(arguments.network, options)
    found = {}
    for name, graph in graphs.items():
        for processor in arguments.processor:
            rows = measure(graph, name, processor, arguments.level, **others)
            found[f"{name}, {processor}"] = rows
            if not arguments.json:
                print(table(rows, f"{name}, {processor}"), flush=True)
    if arguments.json:
        print(json.dumps(found))


if __name__ == "__main__":
    main()
