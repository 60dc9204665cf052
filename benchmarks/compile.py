"""Time from a training step's graph to its first result, of xnornet and of Theano-PyMC.

python benchmarks/compile.py [--only NETWORKS] [--rounds N] [--batch N] [--width FACTOR]
                             [--theano-python PATH] [--json]

Every run is a separate process with empty caches: Theano's compiledir, PyTensor's, Numba's, and none of
JAX's. Contenders take turns, so that other load of the machine falls on all of them. ``training_step.py``
describes what a step computes: Theano-PyMC runs the plain networks, ours run those and the ones that
``xnornet.networks`` ships. "graph" is building network, gradients and updates; "first result" lasts from
there to the end of the first call, "step" is the second call. Medians of all rounds.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

__all__ = ["CONTENDERS", "Contender", "format_result", "summarize"]

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE))

from contest import Failed, environment, missing_theano, output, turns  # noqa: E402
from machine import machine  # noqa: E402

NETWORKS = ("mnist_mlp", "cifar10_convnet")
TIMES = ("graph_s", "first_result_s", "step_s")


class Contender(NamedTuple):
    """A way to run a step: its title, the style of ``training_step.py``, and whether it is ours."""

    title: str
    style: str
    ours: bool


CONTENDERS = {
    "ours": Contender("xnornet, plain operations", "plain", True),
    "ours_networks": Contender("xnornet, xnornet.networks", "xnornet", True),
    "theano": Contender("Theano-PyMC, plain operations", "plain", False),
}


def main():
    arguments = _arguments()
    skipped = [line] if (line := missing_theano(arguments.theano_python)) else []
    names = [name for name, contender in CONTENDERS.items() if contender.ours or not skipped]
    runs, failures = {}, []
    order = turns(names, arguments.only, arguments.rounds)
    for i, network, name in tqdm(order, leave=False, disable=None):
        try:
            printed = run(name, network, arguments)
        except Failed as failure:
            failures.append(f"{name}: failed on {network} in round {i + 1}: {failure}")
        else:
            runs.setdefault((network, name), []).append(printed)
    for line in skipped + failures:
        print(line, file=sys.stderr)
    if not runs:
        sys.exit("Nothing was measured")
    result = {
        "machine": machine(),
        "batch": arguments.batch,
        "width": arguments.width,
        "rounds": arguments.rounds,
        "skipped": skipped,
        "failures": failures,
        "cells": summarize(runs),
    }
    print(json.dumps(result) if arguments.json else format_result(result))


def _arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=NETWORKS, default=NETWORKS, metavar="NETWORK")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=50, help="images in a step")
    parser.add_argument("--width", type=float, default=1.0, help="factor of hidden units and filters")
    parser.add_argument(
        "--theano-python",
        default=os.environ.get("THEANO_PYTHON"),
        metavar="PATH",
        help="Python that has Theano-PyMC; by default the environment's THEANO_PYTHON",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    arguments = parser.parse_args()
    if min(arguments.rounds, arguments.batch) < 1 or not 0 < arguments.width < float("inf"):
        parser.error("--rounds and --batch take 1 or more, and --width a positive number")
    return arguments


def run(name, network, arguments):
    """What a fresh process of a contender prints about one step."""
    contender = CONTENDERS[name]
    python = sys.executable if contender.ours else arguments.theano_python
    options = ["--batch", str(arguments.batch), "--width", str(arguments.width)]
    command = [python, str(HERE / "training_step.py"), network, contender.style, *options]
    with tempfile.TemporaryDirectory() as caches:
        printed = output(command, environment(caches, contender.ours))
    return json.loads(printed.splitlines()[-1])


def summarize(runs):
    """Medians of each cell, and how many times ours the others took to their first result.

    Parameters
    ----------
    runs : dict
        From ``(network, contender)`` to what each round printed.

    Returns
    -------
    list of dict
        ``network``, ``contender``, ``version``, ``rounds``, ``loss`` (of the first step, the same for all
        that run the plain operations), the median times in seconds, and ``ratio``, the time to the first
        result over that of ``ours``; None where ``ours`` was not measured.
    """
    cells = []
    for (network, name), printed in runs.items():
        medians = {key: statistics.median(one[key] for one in printed) for key in TIMES}
        ours = [one["first_result_s"] for one in runs.get((network, "ours"), ())]
        ratio = medians["first_result_s"] / statistics.median(ours) if ours else None
        known = {"network": network, "contender": name, "rounds": len(printed)}
        known.update({key: printed[0][key] for key in ("version", "loss")})
        cells.append({**known, **medians, "ratio": ratio})
    return cells


def format_result(result):
    """A table for people of what :func:`main` prints as JSON."""
    machine = result["machine"]
    lines = [
        f"{machine['cpu']}, {machine['cores']} cores; {result['rounds']} rounds, batch {result['batch']}, "
        f"width {result['width']:g}",
        "seconds: medians; ratio: time to the first result over that of xnornet on the same operations",
        f"{'network':17}{'contender':40}{'graph':>8}{'first result':>14}{'step':>8}{'ratio':>8}",
    ]
    for cell in result["cells"]:
        title = f"{CONTENDERS[cell['contender']].title} ({cell['version']})"
        ratio = "-" if cell["ratio"] is None else f"{cell['ratio']:.2f}"
        times = f"{cell['graph_s']:8.2f}{cell['first_result_s']:14.2f}{cell['step_s']:8.2f}"
        lines.append(f"{cell['network']:17}{title:40}{times} {ratio:>7}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
