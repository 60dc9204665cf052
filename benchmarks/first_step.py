"""Where the time to the first training step goes, in a fresh process: with empty caches, and once more.

python benchmarks/first_step.py [--network cifar10_convnet] [--batch N] [--rounds N] [--json]

Seconds by the clock, and CPU seconds of the thread that does it; medians of the rounds. In the line from
start to end, CPU seconds are those of the process. Numba compiles kernels on another thread meanwhile;
if the first step waits for it in the end, that is part of the step's time.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path += [str(HERE), str(HERE / "trainers")]

from contest import environment  # noqa: E402

STAGES = {
    "imports": "interpreter and imports",
    "images": "images",
    "graph": "network, loss and gradients as a graph",
    "rewriting": "rewriting by PyTensor, and translation",
    "tracing": "tracing by JAX",
    "xla": "compilation by XLA, or its programs from disk",
    "step": "the step, what it waits for included",
    "all": "from the start to the first step's end",
    "kernels": "(kernels, by Numba or from disk, meanwhile)",
}
BATCHES = {"mnist_mlp": 100, "cifar10_convnet": 50}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", choices=tuple(BATCHES), default="cifar10_convnet")
    parser.add_argument("--batch", type=int, help="images in a step; by default 50, mnist_mlp 100")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.add_argument("--begun", type=float, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arguments.batch = arguments.batch or BATCHES[arguments.network]
    if arguments.begun:
        print(json.dumps(measure(arguments)))
        return
    first, second = [], []
    for _ in range(arguments.rounds):
        with tempfile.TemporaryDirectory() as caches:
            first.append(run(arguments, caches))
            second.append(run(arguments, caches))
    result = {"empty caches": medians(first), "second start": medians(second)}
    print(json.dumps(result) if arguments.json else table(arguments, result))


def run(arguments, caches):
    """What a fresh process measures."""
    command = [sys.executable, __file__, f"--network={arguments.network}", f"--batch={arguments.batch}"]
    surroundings = environment(caches, ours=True) | {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
    command.append(f"--begun={time.time()}")
    out = subprocess.run(command, env=surroundings, stdout=subprocess.PIPE, text=True, check=True).stdout
    return json.loads(out.splitlines()[-1])


def measure(arguments):
    """The first step of this process, as ``{stage: (seconds, CPU seconds)}``."""
    times = {"imports": (0.0, 0.0)}
    before = [arguments.begun, 0.0]

    def lap(stage):
        now = [time.time(), time.thread_time()]
        times[stage] = tuple(n - b for n, b in zip(now, before, strict=True))
        before[:] = now

    import jax
    import numpy as np
    from nets import NETS, random_data
    from ours import build

    from theano.compile.function_module import Function
    from xnornet.ops.custom_calls import CustomCall
    from xnornet.xla_programs import keep_programs

    keep_programs()
    lap("imports")
    images, labels = random_data(NETS[arguments.network](1.0))
    lap("images")
    measured(Function, "_specialise", "rewriting", times)
    measured(CustomCall, "_compile", "kernels", times)
    compiled = {"tracing": 0.0, "xla": 0.0}
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, seconds, **_: add_compilation(compiled, event, seconds)
    )
    steps = build(arguments.network, {}, images, labels)
    lap("graph")
    random = np.random.RandomState(1)
    steps.step(random.randint(len(images), size=arguments.batch))
    lap("step")
    # JAX reports the clock only.
    times |= {stage: (seconds, None) for stage, seconds in compiled.items()}
    inner = [times.get(stage, (0.0, None))[0] for stage in ("rewriting", "tracing", "xla")]
    times["step"] = max(0.0, times["step"][0] - sum(inner)), None
    times["all"] = time.time() - arguments.begun, time.process_time()
    return times


def measured(owner, name, stage, times):
    """Make a method add its time to a stage."""
    method = getattr(owner, name)

    def timed(*arguments):
        begun = time.time(), time.thread_time()
        try:
            return method(*arguments)
        finally:
            seconds, cpu_seconds = times.get(stage, (0.0, 0.0))
            times[stage] = seconds + time.time() - begun[0], cpu_seconds + time.thread_time() - begun[1]

    setattr(owner, name, timed)


def add_compilation(compiled, event, seconds):
    name = event.rpartition("/")[2]
    if name in ("jaxpr_trace_duration", "jaxpr_to_mlir_module_duration"):
        compiled["tracing"] += seconds
    elif name == "backend_compile_duration":
        compiled["xla"] += seconds


def medians(rounds):
    """Of each stage, the medians of its seconds and CPU seconds; None where it was not measured."""
    found = {}
    for stage in STAGES:
        columns = zip(*(r.get(stage, (0.0, None)) for r in rounds), strict=True)
        found[stage] = [None if None in column else statistics.median(column) for column in columns]
    return found


def table(arguments, result):
    """For people."""
    lines = [f"{arguments.network}, batch {arguments.batch}; seconds, and CPU seconds"]
    lines.append(f"{'':48}" + "".join(f"{name:>20}" for name in result))
    for stage, title in STAGES.items():
        cells = "".join(
            "".join(f"{'' if seconds is None else f'{seconds:.2f}':>10}" for seconds in found[stage])
            for found in result.values()
        )
        lines.append(f"{title:48}{cells}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
