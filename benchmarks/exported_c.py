#!/usr/bin/env python
"""Time of an exported network on this machine, compiled from C, against the engine's, both on one thread.

    python benchmarks/exported_c.py models/cifar10_convnet.npz

Both take one image at a time, in turns, and have to give the same scores.
"""

import argparse
import ctypes
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from paired import compared, lines  # noqa: E402

from xnornet import data  # noqa: E402
from xnornet.engine import Engine  # noqa: E402
from xnornet.export.c import export_c, pixel_levels, write_folder  # noqa: E402
from xnornet.export.c.golden import as_stored  # noqa: E402
from xnornet.graph import load_packed  # noqa: E402

BUILDS = {
    f"{compiler} {flag}": (compiler, "-std=c99", "-O3", flag)
    for compiler in ("gcc", "clang")
    for flag in ("-march=native", "-mpopcnt")
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model", type=Path, metavar="FILE.npz", help="packed model")
    parser.add_argument("--builds", nargs="+", choices=BUILDS, default=[*BUILDS])
    parser.add_argument("--rounds", type=int, default=50, help="timed images of each kind")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of lines")
    arguments = parser.parse_args()
    results = {build: measure(arguments.model, build, arguments.rounds) for build in arguments.builds}
    if arguments.json:
        print(json.dumps(results))
        return
    for build, result in results.items():
        print(f"{arguments.model.stem}, {build}")
        print(*lines(result, "C", "engine"), sep="\n")


def measure(path, build, rounds):
    """Median times in milliseconds, and their ratio."""
    graph, info = load_packed(path)
    numbers = data.levels(info["dataset"])
    engine = Engine(graph, threads=1, batch_size=1)
    random = np.random.default_rng(0)
    pixels = random.integers(0, len(numbers), (rounds + 3, *graph.input_shape)).astype(np.uint8)
    seconds = {"C": [], "engine": []}
    with tempfile.TemporaryDirectory() as folder:
        run = compile_network(graph, numbers, Path(folder), build)
        kinds = {"C": (run, as_stored(pixels)), "engine": (engine.run, numbers[pixels][:, None])}
        for turn in range(len(pixels)):
            scores = {}
            for name in sorted(kinds, reverse=bool(turn % 2)):
                function, images = kinds[name]
                begun = time.perf_counter()
                scores[name] = function(images[turn])
                if turn >= 3:
                    seconds[name].append(time.perf_counter() - begun)
            if not np.array_equal(scores["C"], scores["engine"].ravel()):
                raise RuntimeError(f"image {turn} has other scores in C")
    return compared(seconds, "C", "engine")


def compile_network(graph, numbers, folder, build):
    """The exported network as a function from pixels to scores."""
    export = export_c(graph, "net", pixel_levels(graph, numbers))
    write_folder(folder / "net", export.files())
    compiler, *flags = BUILDS[build]
    library, sources = folder / "net.so", [folder / "net/net.c", folder / "net/xnor.c"]
    subprocess.run([compiler, *flags, "-shared", "-fPIC", *sources, "-o", library], check=True)
    net_run = ctypes.CDLL(str(library)).net_run
    arena, scores = np.zeros(export.arena // 8 + 1, np.int64), np.zeros(export.scores_count, np.int64)

    def run(pixels):
        addresses = (ctypes.c_void_p(a.ctypes.data) for a in (pixels, scores, arena))
        if net_run(*addresses) != 0:
            raise RuntimeError("the exported network refuses its arena")
        return scores

    return run


if __name__ == "__main__":
    main()
