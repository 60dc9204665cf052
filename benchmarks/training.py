"""Time of a training step: ours, PyTorch's, Larq's and Theano-PyMC's, on the same networks.

python benchmarks/training.py [--only NAMES] [--network NAMES] [--batch 50,128] [--width FACTOR]
                              [--device cpu|cuda] [--pages huge|usual] [--rounds N] [--steps N]
                              [--chunk N] [--caches PATH] [--larq-python PATH] [--theano-python PATH]
                              [--json]

Every contender runs in separate processes, which may use all cores and start with empty caches, or with
those that an earlier run left in ``--caches``: that gives the first step of a second start. The contenders
take turns over several rounds, so that other load of the machine falls on all of them, and a median is that
of the steps of all rounds. A step takes random rows of images on the device, and ends with new
weights. Its file under ``trainers/`` describes what a contender computes, and ``trainers/laps.py`` what is
counted as the first step and as memory.

Contenders get the caller's environment, so this imitates a processor that has only AVX2 for all of them:

NUMBA_CPU_NAME=haswell NUMBA_CPU_FEATURES= XLA_FLAGS=--xla_cpu_max_isa=AVX2 ONEDNN_MAX_CPU_ISA=AVX2 \
ATEN_CPU_CAPABILITY=avx2 python benchmarks/training.py

The table's first lines name what kernels were compiled for, and those of these variables that were set.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

HERE = Path(__file__).resolve().parent
sys.path += [str(HERE), str(HERE / "trainers")]

from contest import (  # noqa: E402
    Failed,
    counts,
    environment,
    known_names,
    missing_modules,
    missing_theano,
    output,
    turns,
)
from machine import gpu, machine  # noqa: E402
from nets import NETS  # noqa: E402

__all__ = ["CONTENDERS", "Contender", "format_result", "missing", "summarize"]

COLUMNS = 100
MEBI = 2**20
BATCHES = {"mnist_mlp": [100], "cifar10_convnet": [50, 128]}
OURS = ("xnornet.training.steps",)
BENCH = "pip install 'xnornet[bench]'"
LARQ = (
    "python3.11 -m venv larq && larq/bin/pip install larq==0.14.0 tensorflow-cpu==2.16.1 tf-keras==2.16.0, "
    "then --larq-python larq/bin/python"
)


class Contender(NamedTuple):
    """A way to train.

    Attributes
    ----------
    title : str
        Its name in tables.
    trainer : str
        Name of its file in ``trainers/``.
    variant : str
        Which of that trainer's variants.
    needs : tuple of str
        Modules that its Python must find.
    install : str
        How to get them.
    """

    title: str
    trainer: str
    variant: str = "default"
    needs: tuple = ()
    install: str = ""


def _torch(title, variant):
    return Contender(f"PyTorch {title}", "pytorch", variant, ("torch",), BENCH)


CONTENDERS = {
    "ours": Contender("xnornet", "ours", "default", OURS, "git pull"),
    "ours_float32": Contender("xnornet, float32 gradients", "ours", "float32", OURS, "git pull"),
    "torch_eager": _torch("float32", "eager"),
    "torch_channels_last": _torch("float32, channels last", "channels_last"),
    "torch_compile": _torch("float32, torch.compile", "compile"),
    "torch_bfloat16": _torch("bfloat16", "bfloat16"),
    "torch_compile_bfloat16": _torch("bfloat16, torch.compile", "compile_bfloat16"),
    "larq": Contender("Larq, neither K nor alpha", "larq_keras", needs=("larq", "tf_keras"), install=LARQ),
    "theano": Contender("Theano-PyMC", "theano_pymc"),
}
# Memory of a step's arrays is new each time, and it takes long to get it in pages of 4 KiB.
PAGES = {"huge": "glibc.malloc.hugetlb=1", "usual": ""}
# What leaves a contender fewer instructions than the processor has.
LIMITS = (
    "NUMBA_CPU_NAME",
    "NUMBA_CPU_FEATURES",
    "XLA_FLAGS",
    "ONEDNN_MAX_CPU_ISA",
    "ATEN_CPU_CAPABILITY",
)
# Of their installations above, neither comes with what runs on a GPU of today.
CPU_ONLY = ("larq", "theano")


def main():
    arguments = _arguments()
    pythons = {"larq_keras": arguments.larq_python, "theano_pymc": arguments.theano_python}
    pythons = {name: pythons.get(CONTENDERS[name].trainer, sys.executable) for name in arguments.only}
    skipped = {
        name: line for name in arguments.only if (line := missing(name, pythons[name], arguments.device))
    }
    names = [name for name in arguments.only if name not in skipped]
    runs, failures = _contest(names, pythons, arguments)
    for line in [*skipped.values(), *failures]:
        print(line, file=sys.stderr)
    if not runs:
        sys.exit("Nothing was measured; install a contender as described above")
    options = ("device", "width", "pages", "rounds", "steps", "chunk")
    result = {
        "machine": machine() | ({"gpu": gpu()} if arguments.device == "cuda" else {}),
        **{option: getattr(arguments, option) for option in options},
        "limits": {name: os.environ[name] for name in LIMITS if name in os.environ},
        "skipped": skipped,
        "failures": failures,
        **summarize(runs, arguments.chunk),
    }
    print(json.dumps(result) if arguments.json else format_result(result))


def _arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", type=known_names(CONTENDERS), default=list(CONTENDERS), metavar="NAMES")
    parser.add_argument("--network", type=known_names(NETS), default=list(NETS), metavar="NAMES")
    parser.add_argument(
        "--batch", type=counts, metavar="N,N", help="images in a step; by default 100, convnets 50,128"
    )
    parser.add_argument("--width", type=float, default=1.0, help="factor of hidden units and filters")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument(
        "--pages",
        choices=tuple(PAGES),
        default="huge",
        help="how contenders get memory: in huge pages, as from train/train.sh, or as glibc does by itself",
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=5, help="timed steps in each round, at the least")
    parser.add_argument("--chunk", type=int, default=1, help="steps that are timed, and waited for, together")
    parser.add_argument(
        "--caches",
        type=Path,
        metavar="PATH",
        help="folder of caches that stay; by default each process has empty ones",
    )
    for name, package in (("larq", "Larq"), ("theano", "Theano-PyMC")):
        variable = f"{name.upper()}_PYTHON"
        meaning = f"Python that has {package}; by default the environment's {variable}"
        parser.add_argument(
            f"--{name}-python", default=os.environ.get(variable), metavar="PATH", help=meaning
        )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
    arguments = parser.parse_args()
    if min(arguments.rounds, arguments.steps, arguments.chunk) < 1:
        parser.error("--rounds, --steps and --chunk take 1 or more")
    if not 0 < arguments.width < float("inf"):
        parser.error("--width takes a positive number")
    return arguments


def missing(name, python, device):
    """One line that says what a contender lacks and how to install it, or None if it can run.

    Parameters
    ----------
    name : str
        One of ``CONTENDERS``.
    python : str or None
        The Python that would run it.
    device : {"cpu", "cuda"}
    """
    if device != "cpu" and name in CPU_ONLY:
        return f"{name}: skipped, as it runs on the processor alone here; leave out --device {device}"
    if name == "theano":
        return missing_theano(python)
    return missing_modules(name, CONTENDERS[name], python)


def _contest(names, pythons, arguments):
    """What the contenders' processes printed, and a line for each cell that one of them did not finish."""
    cells = [(network, b) for network in arguments.network for b in arguments.batch or BATCHES[network]]
    runs, failures, failed = {}, [], set()
    order = turns(names, cells, arguments.rounds)
    for _, (network, batch), name in tqdm(order, leave=False, disable=None):
        key = (network, batch, name)
        if key in failed:
            continue
        try:
            printed = _run(name, pythons[name], network, batch, arguments)
        except Failed as failure:
            failures.append(f"{name}: failed on {network}, batch {batch}: {failure}")
            failed.add(key)
            runs.pop(key, None)
        else:
            runs.setdefault(key, []).append(printed)
    return runs, failures


def _run(name, python, network, batch, arguments):
    contender = CONTENDERS[name]
    options = [f"--{key}={getattr(arguments, key)}" for key in ("width", "device", "steps", "chunk")]
    command = [python, HERE / "trainers" / f"{contender.trainer}.py", network, contender.variant]
    ours = contender.trainer == "ours"
    with nullcontext(arguments.caches) if arguments.caches else tempfile.TemporaryDirectory() as caches:
        surroundings = environment(caches, ours, **({"device": arguments.device} if ours else {}))
        surroundings["GLIBC_TUNABLES"] = PAGES[arguments.pages]
        printed = output([*command, *options, f"--batch={batch}", f"--begun={time.time()}"], surroundings)
    return json.loads(printed.splitlines()[-1])


def summarize(runs, chunk):
    """Medians, ratios and memory of what the contenders' processes printed.

    Parameters
    ----------
    runs : dict
        From ``(network, batch, contender)`` to a list of ``{"seconds": [...], "first_step_s": seconds,
        "memory": bytes or None, "loss": number, "version": str}``, one for each round; ``"seconds"`` are
        those of a step, each the mean of ``chunk``.
    chunk : int

    Returns
    -------
    dict
        ``"versions"`` of the contenders, and ``"cells"``: a dict for each key of ``runs``. ``"ratio"`` is
        the time of a step over that of ``ours`` in the same cell, or None; ``"loss"`` that of the last step.
    """
    cells = []
    timed = {key: [s for r in rounds for s in r["seconds"]] for key, rounds in runs.items()}
    medians = {key: statistics.median(seconds) for key, seconds in timed.items()}
    for key, rounds in runs.items():
        network, batch, name = key
        step, ours = medians[key], medians.get((network, batch, "ours"))
        memory = [r["memory"] / MEBI for r in rounds if r["memory"] is not None]
        cells.append(
            {
                "network": network,
                "batch": batch,
                "contender": name,
                "ms_per_step": 1e3 * step,
                "images_per_s": batch / step,
                "ratio": step / ours if ours else None,
                "round_medians": [1e3 * statistics.median(r["seconds"]) for r in rounds],
                "fastest": 1e3 * min(timed[key]),
                "steps": chunk * len(timed[key]),
                "first_step_s": statistics.median(r["first_step_s"] for r in rounds),
                "memory_mib": statistics.median(memory) if memory else None,
                "loss": rounds[-1]["loss"],
            }
        )
    return {"versions": {key[-1]: rounds[-1]["version"] for key, rounds in runs.items()}, "cells": cells}


def format_result(result):
    """Tables for people, of at most ``COLUMNS`` columns: one for each network and batch.

    Parameters
    ----------
    result : dict
        ``summarize``'s, with ``"machine"``, ``"device"``, ``"width"``, ``"pages"``, ``"rounds"``,
        ``"steps"``, ``"chunk"`` and ``"limits"``.

    Returns
    -------
    str
    """
    machine, cells, on_gpu = result["machine"], result["cells"], result["device"] == "cuda"
    rounds = f"rounds: {result['rounds']} of at least {result['steps']} steps, {result['chunk']} at a time; "
    rounds += f"{result['pages']} pages"
    where = "allocated on the GPU" if on_gpu else "of the process above its imports"
    lines = [
        f"{machine['cpu']}, {machine['cores']} cores",
        *([f"{machine['gpu']}; PyTorch's float32 may take TF32"] if on_gpu else []),
        rounds + (f"; width {result['width']:g}" if result["width"] != 1 else ""),
        "ms: median, a step. ratio: time over that of xnornet. first step: seconds from the process's start",
        f"MiB: peak {where}",
        *dict.fromkeys(result["versions"].values()),
        *(f"{name}={value}" for name, value in result["limits"].items()),
    ]
    for network, batch in dict.fromkeys((c["network"], c["batch"]) for c in cells):
        chosen = {c["contender"]: c for c in cells if (c["network"], c["batch"]) == (network, batch)}
        titles = f"{'ms':>12}{'images/s':>12}{'ratio':>13}{'first step':>13}{'MiB':>11}"
        lines += ["", f"{f'{network}, batch {batch}':32}{titles}"]
        lines += [_line(chosen[name]) for name in CONTENDERS if name in chosen]
    return "\n".join(line[:COLUMNS] for line in lines)


def _line(cell):
    ratio = "-" if cell["ratio"] is None else f"{cell['ratio']:.2f}"
    memory = "-" if cell["memory_mib"] is None else f"{cell['memory_mib']:.1f}"
    times = f"{cell['ms_per_step']:12.2f}{cell['images_per_s']:12.1f}{ratio:>13}{cell['first_step_s']:13.1f}"
    return f"{CONTENDERS[cell['contender']].title:32}{times}{memory:>11}"


if __name__ == "__main__":
    main()
