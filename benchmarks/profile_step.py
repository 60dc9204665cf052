"""Where the time of a training step goes: the operations of its compiled program, by kind.

python benchmarks/profile_step.py NETWORK [--batch N] [--width FACTOR] [--gradients ARITHMETIC] [--steps N]
                                  [--json]

JAX's profiler records when each operation of the program ran, and XLA's text says what it computes.
Operations run in parallel where they can, so their times sum up to more than the step's; each of our kernels
uses all cores. The profiler adds a little to every operation.
"""

import argparse
import glob
import gzip
import json
import re
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import jax
import numpy as np

HERE = Path(__file__).resolve().parent
sys.path += [str(HERE.parent), str(HERE / "trainers")]

from nets import NETS, random_data, scaled  # noqa: E402
from ours import build  # noqa: E402

from theano.compile.translation import with_64_bits  # noqa: E402

__all__ = ["kind_of", "kinds", "timed"]


def main():
    arguments = _arguments()
    is_mlp = arguments.network == "mnist_mlp"
    options = {"num_units": scaled(4096, arguments.width)} if is_mlp else {"width": arguments.width}
    choices = {"gradients": arguments.gradients} if arguments.gradients else {}
    images, labels = random_data(NETS[arguments.network](arguments.width))
    steps = build(arguments.network, options, images, labels, **choices)
    random = np.random.RandomState(0)
    rows = [
        random.randint(len(images), size=arguments.batch).astype(np.int32) for _ in range(arguments.steps)
    ]
    for batch in rows[:2]:
        steps.step(batch)
    seconds, events = _profile(steps, rows)
    known = kinds(_program(steps, rows[0]))
    groups = defaultdict(float)
    for name, ms in timed(events, arguments.steps).items():
        groups[known.get(name, "other")] += ms
    result = {
        "network": arguments.network,
        "batch": arguments.batch,
        "ms_per_step": 1e3 * statistics.median(seconds),
        "kinds": dict(sorted(groups.items(), key=lambda item: -item[1])),
    }
    print(json.dumps(result) if arguments.json else _table(result))


def _arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("network", choices=list(NETS))
    parser.add_argument("--batch", type=int, default=50)
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--gradients", help="arithmetic of the binary layers' gradients")
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def _profile(steps, rows):
    """Seconds of each step, and the events that the profiler saw meanwhile."""
    seconds = []
    with tempfile.TemporaryDirectory() as folder:
        jax.profiler.start_trace(folder)
        for batch in rows:
            begun = time.perf_counter()
            steps.step(batch)
            seconds.append(time.perf_counter() - begun)
        jax.profiler.stop_trace()
        (path,) = glob.glob(f"{folder}/plugins/profile/*/*.trace.json.gz")
        with gzip.open(path) as file:
            return seconds, json.load(file)["traceEvents"]


def _program(steps, rows):
    """XLA's text of the compiled step."""
    function = steps._step
    (version,) = function.versions
    fixed, state = ([s.container.storage[0] for s in group] for group in (version.fixed, version.updated))
    with with_64_bits():
        return version.program.lower([rows], fixed, state, state).compile().as_text()


def timed(events, steps):
    """Milliseconds of a step that each operation took."""
    total = defaultdict(float)
    for event in events:
        name = event.get("args", {}).get("hlo_op")
        if event.get("ph") == "X" and name:
            total[name] += event["dur"] / 1e3 / steps
    return total


def kinds(text):
    """What each operation of a program is.

    Parameters
    ----------
    text : str
        XLA's.

    Returns
    -------
    dict
        From names to kinds.
    """
    bodies, operations, body = defaultdict(set), {}, None
    for line in text.splitlines():
        if begun := re.match(r"(?:ENTRY )?%([\w.-]+) .*\{$", line):
            body = begun[1]
        elif found := re.match(r"\s+(?:ROOT )?%([\w.-]+) = .*? ([\w-]+)\(", line):
            called = re.search(r"calls=%([\w.-]+)", line)
            target = re.search(r'custom_call_target="xnornet_(\w+)"', line)
            bodies[body].add(found[2])
            operations[found[1]] = (found[2], called and called[1], target and target[1])
    return {
        name: f"kernel {target}" if target else kind_of(bodies[called] if called else {opcode})
        for name, (opcode, called, target) in operations.items()
    }


def kind_of(opcodes):
    """The kind of an operation that is made of these."""
    for kind, named in {
        "float convolutions and products": {"convolution", "dot"},
        "pooling windows": {"reduce-window", "select-and-scatter"},
        "sums": {"reduce"},
        "gathering images": {"gather"},
    }.items():
        if opcodes & named:
            return kind
    moves = {"transpose", "copy", "bitcast", "parameter", "convert", "reverse", "slice", "pad", "reshape"}
    return "moving numbers" if opcodes <= moves else "elementwise"


def _table(result):
    total = sum(result["kinds"].values())
    lines = [
        f"{result['network']}, batch {result['batch']}: {result['ms_per_step']:.1f} ms a step",
        f"{'':36}{'ms':>9}{'share':>8}",
    ]
    lines += [f"{kind:36}{ms:9.1f}{ms / total:8.1%}" for kind, ms in result["kinds"].items()]
    return "\n".join([*lines, f"{'all, those beside each other twice':36}{total:9.1f}"])


if __name__ == "__main__":
    main()
