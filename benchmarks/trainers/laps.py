"""The main program of a trainer: build the training step, and measure its time and memory.

A trainer provides one function, and this module the command line. It needs nothing but NumPy, as every
trainer has its own environment. Results are printed on the standard output as one JSON object; comparing is
left to ``benchmarks/training.py``.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from nets import NETS, random_data

sys.path.append(str(Path(__file__).resolve().parents[1]))

from memory import forget_peak, resident  # noqa: E402

__all__ = ["Task", "compete"]

WARM_UPS = 2


class Task(NamedTuple):
    """What a trainer is asked to do.

    Attributes
    ----------
    network : str
        One of ``nets.NETS``.
    width : float
        Factor of its hidden units and filters.
    variant : str
        One of those that the trainer offers.
    device : {"cpu", "cuda"}
    images, labels : array
        ``nets.random_data``'s.
    """

    network: str
    width: float
    variant: str
    device: str
    images: np.ndarray
    labels: np.ndarray


def compete(load, version, variants, peak=None):
    """Run a trainer as the command line says.

    The time to the first step begins where the parent process says that it started this one, and ends with
    that step's loss, or with those of the first chunk: it holds the interpreter's start, imports, the images,
    the graph and its compilation.
    Two more steps are not timed. Memory is the process's peak above what it held after its imports, the
    images and whatever compiles within the process included; on a GPU it is the peak of what was allocated
    there.

    Parameters
    ----------
    load : callable
        ``load(task)`` returns a function from an int32 array of shape ``(steps, batch)``, the rows of the
        images of each step, to the last step's loss. When it returns, all the steps are done.
    version : str
        Of the program that trains.
    variants : iterable of str
    peak : callable, optional
        Returns the peak in bytes of what was allocated on the GPU.
    """
    arguments = _arguments(variants)
    before = forget_peak()
    images, labels = random_data(NETS[arguments.network](arguments.width))
    known = (arguments.network, arguments.width, arguments.variant, arguments.device)
    run = load(Task(*known, images, labels))
    random = np.random.RandomState(1)

    def rows(steps):
        return random.randint(len(images), size=(steps, arguments.batch)).astype(np.int32)

    run(rows(arguments.chunk))
    measured = {"first_step_s": time.time() - arguments.begun, "version": version, "seconds": []}
    for _ in range(WARM_UPS):
        run(rows(arguments.chunk))
    for _ in range(-(-arguments.steps // arguments.chunk)):
        batches = rows(arguments.chunk)
        begun = time.perf_counter()
        measured["loss"] = run(batches)
        measured["seconds"].append((time.perf_counter() - begun) / arguments.chunk)
    if arguments.device == "cuda":
        measured["memory"] = peak() if peak else None
    else:
        measured["memory"] = None if before is None else resident("VmHWM") - before
    print(json.dumps(measured))


def _arguments(variants):
    parser = argparse.ArgumentParser()
    parser.add_argument("network", choices=list(NETS))
    parser.add_argument("variant", choices=list(variants))
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--steps", type=int, default=10, help="timed steps, at the least")
    parser.add_argument("--chunk", type=int, default=1, help="steps in a timed call")
    parser.add_argument("--begun", type=float, default=time.time(), help="when the process was started")
    return parser.parse_args()
