"""Time and memory of our packed engine and of its peers, on a network and on single convolutions.

python benchmarks/inference.py [--only NAMES] [--work NAMES] [--threads 1,2] [--batch 1,64] [--rounds N]
                               [--seconds-per-cell S] [--lce-python PATH] [--json]

Every contender runs in separate processes, one for each number of threads, since thread pools that wait for
work disturb each other within one process. The contenders take turns over several rounds, so that other
load of the machine falls on all of them, and a median is that of the calls of all rounds. Memory is the peak
of what a process holds above what it held after its imports: model, buffers and images. Its file
under ``contenders/`` describes what a contender computes.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
from itertools import product
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

HERE = Path(__file__).resolve().parent
sys.path += [str(HERE), str(HERE / "contenders")]

from contest import Failed, counts, known_names, missing_modules, output, turns  # noqa: E402
from machine import machine  # noqa: E402
from work import WORKS  # noqa: E402

__all__ = ["CONTENDERS", "Contender", "format_result", "missing", "summarize"]

COLUMNS = 100
MEBI = 2**20
OURS = ("xnornet.engine", "xnornet.graph.packed")
BENCH = "pip install 'xnornet[bench]'"
LCE = (
    "python3.11 -m venv lce && lce/bin/pip install larq-compute-engine==0.16.0 tensorflow-cpu==2.16.1 "
    "tf-keras==2.16.0, then --lce-python lce/bin/python"
)
LARQ = ("larq_compute_engine", "larq", "tf_keras")


class Contender(NamedTuple):
    """A program that runs the networks.

    Attributes
    ----------
    title : str
        Its name in tables.
    needs : tuple of str
        Modules that its Python must find.
    install : str
        How to get them.
    singles : bool
        Whether it runs single convolutions only.
    """

    title: str
    needs: tuple
    install: str
    singles: bool = False


CONTENDERS = {
    "ours": Contender("xnornet", OURS, "git pull"),
    "ours_unscaled": Contender("xnornet, scale_inputs=False", OURS, "git pull"),
    "ours_from_floats": Contender("xnornet, from floats", OURS, "git pull", singles=True),
    "ort_exported": Contender("ONNX Runtime, our export", ("onnx", "onnxruntime", *OURS), BENCH),
    "ort_float32": Contender("ONNX Runtime float32", ("onnx", "onnxruntime"), BENCH),
    "ort_int8": Contender("ONNX Runtime int8", ("onnx", "onnxruntime"), BENCH),
    "torch_simulated": Contender("PyTorch simulated XNOR", ("torch",), BENCH),
    "lce": Contender("Larq CE, indirect kernel", LARQ, LCE),
    "lce_default": Contender("Larq CE, default kernel", LARQ, LCE),
}


def main():
    arguments = _arguments()
    pythons = {
        name: arguments.lce_python if CONTENDERS[name].needs == LARQ else sys.executable
        for name in arguments.only
    }
    skipped = {name: line for name in arguments.only if (line := missing(name, pythons[name]))}
    with tempfile.TemporaryDirectory() as folder:
        contest = _Contest(pythons, Path(folder))
        names = [name for name in arguments.only if name not in skipped]
        names = [name for name in names if contest.prepare(name, arguments.work, arguments.batch)]
        for name in tqdm(_turns(names, arguments), leave=False, disable=None):
            contest.measure(*name, arguments.seconds_per_cell)
    for line in [*skipped.values(), *contest.failures]:
        print(line, file=sys.stderr)
    if not contest.runs:
        sys.exit("Nothing was measured; install a contender as described above")
    result = {
        "machine": machine(),
        "rounds": arguments.rounds,
        "seconds_per_cell": arguments.seconds_per_cell,
        "skipped": skipped,
        "failures": contest.failures,
        **summarize(contest.runs),
    }
    print(json.dumps(result) if arguments.json else format_result(result))


def _arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", type=known_names(CONTENDERS), default=list(CONTENDERS), metavar="NAMES")
    parser.add_argument("--work", type=known_names(WORKS), default=list(WORKS), metavar="NAMES")
    parser.add_argument("--threads", type=counts, default=[1, 2], metavar="N,N")
    parser.add_argument("--batch", type=counts, default=[1, 64], metavar="N,N", help="images in a call")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds-per-cell", type=float, default=0.5, help="in each round, at the least")
    parser.add_argument(
        "--lce-python",
        default=os.environ.get("LCE_PYTHON"),
        metavar="PATH",
        help="Python that has Larq Compute Engine; by default the environment's LCE_PYTHON",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
    arguments = parser.parse_args()
    if arguments.rounds < 1 or not 0 <= arguments.seconds_per_cell < float("inf"):
        parser.error("--rounds takes 1 or more, and --seconds-per-cell 0 or more")
    return arguments


def missing(name, python):
    """What ``contest.missing_modules`` returns for one of ``CONTENDERS``."""
    return missing_modules(name, CONTENDERS[name], python)


def _turns(names, arguments):
    """Cells with a contender each, in the order of measuring."""
    cells = list(product(arguments.work, arguments.batch, arguments.threads))
    return [
        (*cell, name)
        for _, cell, name in turns(names, cells, arguments.rounds)
        if len(WORKS[cell[0]].layers) == 1 or not CONTENDERS[name].singles
    ]


class _Contest:
    """Contenders' processes, what they printed and where they failed.

    Attributes
    ----------
    runs : dict
        From ``(work, batch, threads, contender)`` to what the process of each round printed.
    failures : list of str
        One line for each cell that a contender did not finish.
    """

    def __init__(self, pythons, folder):
        self.pythons, self.folder = pythons, folder
        self.runs, self.failures, self.failed = {}, [], set()

    def prepare(self, name, works, batches):
        options = ["--work", ",".join(works), "--batch", ",".join(map(str, batches))]
        return self._run(name, "making its models", "prepare", *options) is not None

    def measure(self, work, batch, threads, name, seconds):
        cell = (work, batch, threads, name)
        if cell in self.failed:
            return
        options = {"work": work, "batch": batch, "threads": threads, "seconds": seconds}
        options = [f"--{option}={value}" for option, value in options.items()]
        printed = self._run(name, f"{work}, batch {batch}, threads {threads}", "measure", *options)
        if printed is None:
            self.failed.add(cell)
            self.runs.pop(cell, None)
        else:
            self.runs.setdefault(cell, []).append(json.loads(printed.splitlines()[-1]))

    def _run(self, name, what, do, *options):
        """Standard output of a contender's process, or None where it failed."""
        script = HERE / "contenders" / f"{name}.py"
        try:
            return output([self.pythons[name], script, do, self.folder, *options])
        except Failed as failure:
            self.failures.append(f"{name}: failed at {what}: {failure}")
            return None


def summarize(runs):
    """Medians, ratios and memory of what the contenders' processes printed.

    Parameters
    ----------
    runs : dict
        From ``(work, batch, threads, contender)`` to a list of ``{"seconds": [...], "memory": bytes or None,
        "version": str}``, one for each round.

    Returns
    -------
    dict
        ``"versions"`` of the contenders, and ``"cells"``: a dict for each key of ``runs``, its times in
        milliseconds an image. ``"ratio"`` is the time over that of ``ours`` in the same cell, or None.
    """
    cells, medians = [], {}
    for key, rounds in runs.items():
        work, batch, threads, name = key
        per_image = [[1e3 * s / batch for s in r["seconds"]] for r in rounds]
        calls = sorted(ms for r in per_image for ms in r)
        medians[key] = statistics.median(calls)
        memory = [r["memory"] / MEBI for r in rounds if r["memory"] is not None]
        cells.append(
            {
                "work": work,
                "batch": batch,
                "threads": threads,
                "contender": name,
                "ms_per_image": medians[key],
                "round_medians": [statistics.median(r) for r in per_image],
                "fastest": calls[0],
                "calls": len(calls),
                "memory_mib": statistics.median(memory) if memory else None,
            }
        )
    for cell in cells:
        ours = medians.get((cell["work"], cell["batch"], cell["threads"], "ours"))
        cell["ratio"] = cell["ms_per_image"] / ours if ours else None
    return {"versions": {key[-1]: rounds[-1]["version"] for key, rounds in runs.items()}, "cells": cells}


def format_result(result):
    """Tables for people, of at most ``COLUMNS`` columns: one for each work and batch, two threads beside.

    Parameters
    ----------
    result : dict
        ``summarize``'s, with ``"machine"``, ``"rounds"`` and ``"seconds_per_cell"``.

    Returns
    -------
    str
    """
    machine, cells = result["machine"], result["cells"]
    lines = [
        f"{machine['cpu']}, {machine['cores']} cores; rounds: {result['rounds']} of at least "
        f"{result['seconds_per_cell']:g} s",
        "ms: median, an image. ratio: time over that of xnornet. MiB: peak of the process above its imports",
        *(f"{CONTENDERS[name].title}: {version}" for name, version in result["versions"].items()),
    ]
    for work, batch in dict.fromkeys((c["work"], c["batch"]) for c in cells):
        chosen = [c for c in cells if (c["work"], c["batch"]) == (work, batch)]
        threads = list(dict.fromkeys(c["threads"] for c in chosen))
        for i in range(0, len(threads), 2):
            lines += ["", f"{work}, batch {batch}", *_table(chosen, threads[i : i + 2])]
    return "\n".join(line[:COLUMNS] for line in lines)


def _table(cells, threads):
    """Lines of the cells of one work and batch, side by side the numbers of threads."""
    at = {(c["contender"], c["threads"]): c for c in cells}
    yield f"{'':28}" + "".join(f"{f'threads: {n}':>33}" for n in threads)
    yield f"{'':28}" + f"{'ms':>12}{'ratio':>13}{'MiB':>8}" * len(threads)
    for name in (name for name in CONTENDERS if any(c["contender"] == name for c in cells)):
        yield f"{CONTENDERS[name].title:28}" + "".join(_numbers(at.get((name, n))) for n in threads)


def _numbers(cell):
    if cell is None:
        return f"{'-':>12}{'-':>13}{'-':>8}"
    ratio = "-" if cell["ratio"] is None else f"{cell['ratio']:.2f}"
    memory = "-" if cell["memory_mib"] is None else f"{cell['memory_mib']:.1f}"
    return f"{cell['ms_per_image']:12.3f}{ratio:>13}{memory:>8}"


if __name__ == "__main__":
    main()
