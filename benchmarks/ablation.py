"""Ablation: test errors of a network with and without each part of an XNOR-Net and of its recipe.

python benchmarks/ablation.py NETWORK [--only NAMES] [--seeds 1,2,3] [--epochs N] [--set OPTION=VALUE]
                              [--out DIR] [--data DIR] [--json]

Every variant is the network and its recipe, but for ``--epochs`` and for what ``VARIANTS`` says, and keeps
the weights that are best on validation images. Runs are stored in DIR: finished ones are not repeated,
interrupted ones are resumed. ``DIR/NETWORK.png`` shows validation errors by epoch, and test errors.
"""

import argparse
import csv
import dataclasses
import json
import statistics
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path += [str(HERE.parent), str(HERE)]

from contest import counts, known_names  # noqa: E402

from xnornet import data, networks  # noqa: E402
from xnornet.archives import write_atomically  # noqa: E402
from xnornet.catalog import DATASET_OF  # noqa: E402
from xnornet.cli.options import add_data_option, add_set_option, in_single_precision, options_of  # noqa: E402
from xnornet.errors import Stopped  # noqa: E402
from xnornet.report.pictures import scale_values  # noqa: E402
from xnornet.training import RECIPES, checkpoint_path, train  # noqa: E402

__all__ = ["VARIANTS", "draw", "format_result"]

# What each is, and what it changes of the network's options and of the recipe.
VARIANTS = {
    "alpha": ("alpha, no K", {}, {}),
    "K_alpha": ("K and alpha", {"scale_inputs": True}, {}),
    "K": ("K, no alpha", {"scale_inputs": True, "scale_weights": False}, {}),
    "neither": ("neither K nor alpha", {"scale_weights": False}, {}),
    "xnor_first": ("first layer XNOR", {"real_first": False}, {}),
    "plain": ("images as they are", {}, {"augment": False}),
    "exponential": ("rate falls exponentially", {}, {"schedule": "exponential"}),
    "crossentropy": ("cross entropy", {}, {"loss": "crossentropy"}),
    "momentum": ("cross entropy, momentum", {}, {"loss": "crossentropy", "optimizer": "momentum", "lr": 0.1}),
}


def main():
    arguments = _arguments()
    in_single_precision()
    dataset = data.load(DATASET_OF[arguments.network], arguments.data)
    recipe = RECIPES[arguments.network]
    if arguments.epochs is not None:
        recipe = dataclasses.replace(recipe, epochs=arguments.epochs)
    given = options_of(arguments)
    arguments.out.mkdir(parents=True, exist_ok=True)
    variants = {}
    # Seeds are the outer loop, so that an interrupted comparison has all variants of some seeds.
    for seed in arguments.seeds:
        for name in arguments.only:
            _, options, changes = VARIANTS[name]
            options = networks.options(arguments.network, **{**options, **given})
            run = _run(arguments, name, options, dataset, dataclasses.replace(recipe, seed=seed, **changes))
            variants.setdefault(name, []).append(run)
    result = {
        "network": arguments.network,
        "options": given,
        "dataset": dataset.name,
        "epochs": recipe.epochs,
        "seeds": arguments.seeds,
        "variants": variants,
    }
    draw(result, arguments.out / f"{arguments.network}.png")
    print(json.dumps(result) if arguments.json else format_result(result))


def _arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("network", choices=DATASET_OF)
    parser.add_argument("--only", type=known_names(VARIANTS), metavar="NAMES")
    parser.add_argument("--seeds", type=counts, default=[1, 2, 3], metavar="N,N")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--out", type=Path, default=Path("runs/ablation"), metavar="DIR")
    parser.add_argument("--json", action="store_true")
    add_set_option(parser)
    add_data_option(parser)
    arguments = parser.parse_args()
    has = networks.options(arguments.network).keys()
    able = [name for name, (_, options, _) in VARIANTS.items() if options.keys() <= has]
    arguments.only = arguments.only or able
    if unable := [name for name in arguments.only if name not in able]:
        parser.error(f"{arguments.network} does not have {', '.join(unable)}; it has {', '.join(able)}")
    return arguments


def _run(arguments, name, options, dataset, recipe):
    """Train one variant with one seed, unless its run is finished; returns its test error and its epochs."""
    out = arguments.out / f"{arguments.network}-{name}-{recipe.seed}.npz"
    asked = json.loads(json.dumps({"options": options, "recipe": dataclasses.asdict(recipe)}))
    finished = out.with_suffix(".ablation.json")
    if finished.exists():
        run = json.loads(finished.read_text())
        if run["asked"] == asked:
            return run
        raise SystemExit(f"{finished}: is of other options; choose another --out, or delete it")
    resume = checkpoint_path(out).exists()
    try:
        error = train(arguments.network, dataset, out, recipe, options, resume=resume, report=_tell(out.stem))
    except Stopped as stopped:
        raise SystemExit(
            f"{out}: {stopped.args[0].split(';')[0]}; the same command continues from there"
        ) from stopped
    with open(out.with_suffix(".log.csv")) as file:
        epochs = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]
    run = {"asked": asked, "test_error": error, "epochs": epochs}
    write_atomically(finished, lambda file: file.write(json.dumps(run).encode()))
    return run


def _tell(name):
    return lambda line: print(f"{name}: {line}", file=sys.stderr, flush=True)


def _best(run):
    return min(row["valid_error"] for row in run["epochs"])


def format_result(result):
    """A table for people of what :func:`main` prints as JSON."""
    lines = [
        f"{result['network']} {' '.join(f'{k}={v}' for k, v in result['options'].items())}".rstrip()
        + f" on {result['dataset']}, {result['epochs']} epochs, seeds {', '.join(map(str, result['seeds']))}",
        f"{'':26}{'test errors':>28}{'mean':>9}{'validation, mean':>19}",
    ]
    for name, runs in result["variants"].items():
        errors = [run["test_error"] for run in runs]
        each = " ".join(f"{e:.2%}" for e in errors)
        valid = statistics.mean(map(_best, runs))
        lines.append(f"{VARIANTS[name][0]:26}{each:>28}{statistics.mean(errors):9.2%}{valid:19.2%}")
    return "\n".join(lines)


def draw(result, path):
    """Draw validation errors by epoch, and test errors, of what :func:`main` prints as JSON into a PNG."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    figure = Figure(figsize=(11, 4), layout="constrained")
    figure.suptitle(format_result(result).splitlines()[0])
    curves, points = figure.subplots(1, 2, width_ratios=(1.2, 1))
    for place, (name, runs) in enumerate(result["variants"].items()):
        each = [[row["valid_error"] for row in run["epochs"]] for run in runs]
        means = [statistics.mean(errors) for errors in zip(*each, strict=True)]
        curves.plot(range(1, len(means) + 1), means, marker="o", ms=3, label=VARIANTS[name][0])
        errors = [run["test_error"] for run in runs]
        points.plot(errors, [place] * len(errors), "o", color=f"C{place}", alpha=0.6)
        points.plot(statistics.mean(errors), place, "|", color=f"C{place}", ms=24, mew=2)
    curves.set(xlabel="epoch", title="validation error, mean of seeds")
    curves.xaxis.set_major_locator(MaxNLocator(integer=True))
    scale_values(curves, [value for line in curves.lines for value in line.get_ydata()], percent=True)
    curves.legend(fontsize=8)
    points.set_yticks(range(len(result["variants"])), [VARIANTS[name][0] for name in result["variants"]])
    points.set(title="test error, each seed and mean", ylim=(len(result["variants"]) - 0.5, -0.5))
    points.xaxis.set_major_locator(MaxNLocator(5))
    points.xaxis.set_major_formatter(PercentFormatter(1))
    for axes in (curves, points):
        axes.grid(alpha=0.3)
    write_atomically(path, lambda file: figure.savefig(file, format="png", dpi=110))


if __name__ == "__main__":
    main()
