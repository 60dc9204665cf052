"""The main program of a contender: write the models' files, or load one and measure its time and memory.

A contender provides two functions, and this module the command line. It needs nothing but NumPy, as every
contender has its own environment. Results are printed on the standard output as one JSON object; comparing is
left to ``benchmarks/inference.py``.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
from work import WORKS

sys.path.append(str(Path(__file__).resolve().parents[1]))

from memory import forget_peak, resident  # noqa: E402

__all__ = ["compete"]

MIN_CALLS = 3


def compete(prepare, load, version, warm=None):
    """Run a contender as the command line says.

    Parameters
    ----------
    prepare : callable
        ``prepare(work, batch, path)`` writes the model of a ``Work``, for ``batch`` images at a time, in
        the file ``path``.
    load : callable
        ``load(work, path, threads, images)`` returns a function without arguments that runs the model once
        on ``images``, float32 of shape ``(batch, channels, rows, columns)``, in [-1, 1].
    version : str
        Of the program that runs the model.
    warm : callable, optional
        ``warm(path)`` loads what the contender's code needs besides its imports, before memory is measured.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("do", choices=("prepare", "measure"))
    parser.add_argument("folder", type=Path, help="of the models' files")
    parser.add_argument("--work", default=",".join(WORKS))
    parser.add_argument("--batch", default="1")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=1.0, help="of timed calls, at the least")
    arguments = parser.parse_args()
    cells = [(work, int(batch)) for work in arguments.work.split(",") for batch in arguments.batch.split(",")]
    for work, batch in cells:
        path = arguments.folder / f"{Path(sys.argv[0]).stem}_{work}_{batch}.model"
        if arguments.do == "prepare":
            prepare(WORKS[work], batch, path)
        else:
            images = 2 * np.random.default_rng(1).random((batch, *WORKS[work].input_shape), np.float32) - 1
            if warm:
                warm(path)
            before = forget_peak()
            seconds = _time(load(WORKS[work], path, arguments.threads, images), arguments.seconds)
            memory = None if before is None else resident("VmHWM") - before
            print(json.dumps({"seconds": seconds, "memory": memory, "version": version}))


def _time(run, enough):
    """Seconds of each call, after calls that let caches, clocks and thread pools settle."""
    begun = time.perf_counter()
    run()
    while time.perf_counter() - begun < enough / 4:
        run()
    seconds, total = [], 0.0
    while len(seconds) < MIN_CALLS or total < enough:
        begun = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - begun)
        total += seconds[-1]
    return seconds
