"""Effect of the arithmetic of gradients on training: losses of the first steps, and final test errors.

python benchmarks/arithmetics.py NETWORK [--only NAMES] [--seeds 1,2,3] [--epochs N] [--batch-size N]
                                 [--set OPTION=VALUE] [--data DIR] [--json]

Every arithmetic trains from the same weights on the same batches, by the network's recipe
except for ``--batch-size`` and ``--epochs``; ``--epochs 0`` compares only the losses of the first steps. In
networks of signs, runs with different rounding diverge, so there is a baseline for that:
``float32, reordered`` has the images of each batch in another order, which changes only the rounding of sums
and, with dropout, which image gets which mask. "apart" is the relative difference of a loss from that of
``float32`` in the first 100 steps.
"""

import argparse
import dataclasses
import json
import statistics
import sys
import tempfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path += [str(HERE.parent), str(HERE)]

from contest import counts, known_names  # noqa: E402

from xnornet import data, networks  # noqa: E402
from xnornet.catalog import ARITHMETICS, DATASET_OF  # noqa: E402
from xnornet.cli.options import add_data_option, add_set_option, in_single_precision, options_of  # noqa: E402
from xnornet.training import RECIPES, train  # noqa: E402
from xnornet.training.steps import Steps  # noqa: E402

__all__ = ["apart", "format_result"]

STEPS = 100
REORDERED = "float32, reordered"


def main():
    arguments = _arguments()
    options = networks.options(arguments.network, **options_of(arguments))
    dataset = data.load(DATASET_OF[arguments.network], arguments.data)
    chosen = {"epochs": arguments.epochs or None, "batch_size": arguments.batch_size}
    chosen = {name: value for name, value in chosen.items() if value is not None}
    recipe = dataclasses.replace(RECIPES[arguments.network], **chosen)
    losses = {name: [] for name in (*arguments.only, REORDERED)}
    errors = {name: [] for name in arguments.only if arguments.epochs != 0}
    for seed in arguments.seeds:
        for name, own in losses.items():
            own.append(_first_losses(name, options, dataset, arguments.network, recipe, seed))
        for name, own in errors.items():
            own.append(_error(name, options, dataset, arguments.network, recipe, seed))
    result = {
        "network": arguments.network,
        "options": options,
        "epochs": recipe.epochs if errors else 0,
        "batch_size": recipe.batch_size,
        "seeds": arguments.seeds,
        "test_errors": errors,
        "apart": {name: apart(own, losses["float32"]) for name, own in losses.items() if name != "float32"},
    }
    print(json.dumps(result) if arguments.json else format_result(result))


def _arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("network", choices=list(networks.NETWORKS))
    parser.add_argument("--only", type=known_names(ARITHMETICS), default=list(ARITHMETICS), metavar="NAMES")
    parser.add_argument("--seeds", type=counts, default=[1, 2, 3], metavar="N,N")
    parser.add_argument("--epochs", type=int, help="0: losses of the first steps only, no errors")
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--json", action="store_true")
    add_set_option(parser)
    add_data_option(parser)
    arguments = parser.parse_args()
    in_single_precision()
    if "float32" not in arguments.only:
        parser.error("--only needs float32, which the others are compared with")
    return arguments


def _first_losses(name, options, dataset, network, recipe, seed):
    random = np.random.default_rng(seed)
    rows = random.integers(0, len(dataset.train), (STEPS, recipe.batch_size))
    if name == REORDERED:
        rows = random.permuted(rows, axis=1)
    gradients = "float32" if name == REORDERED else name
    steps = Steps(network, options, dataset, dataclasses.replace(recipe, seed=seed, gradients=gradients))
    steps.set_lr(recipe.lr)
    return [steps.step(batch)[0] for batch in rows]


def _error(name, options, dataset, network, recipe, seed):
    recipe = dataclasses.replace(recipe, gradients=name, seed=seed)
    with tempfile.TemporaryDirectory() as folder:
        log = print if sys.stderr.isatty() else lambda line: None
        return train(network, dataset, Path(folder) / "weights.npz", recipe, options, report=log)


def apart(losses, reference):
    """Relative differences of losses from those of ``reference``: of each step, and of the mean over seeds.

    Parameters
    ----------
    losses, reference : list of lists of float, of each seed
    """
    losses, reference = np.array(losses), np.array(reference)
    each = np.abs(losses / reference - 1)
    means = np.abs(losses.mean(axis=1) / reference.mean(axis=1) - 1)
    return {"largest": float(each.max()), "mean": float(each.mean()), "of_means": float(means.mean())}


def format_result(result):
    """A table for people of what :func:`main` prints as JSON."""
    lines = [
        f"{result['network']}, {result['epochs']} epochs of batches of {result['batch_size']}, seeds "
        f"{', '.join(map(str, result['seeds']))}",
        f"{'':20}{'test errors':>30}{'mean':>8}{'apart: each':>14}{'largest':>9}{'of means':>10}",
    ]
    for name in result["test_errors"] | result["apart"]:
        errors, distance = result["test_errors"].get(name), result["apart"].get(name)
        cells = (
            f"{' '.join(f'{e:.2%}' for e in errors):>30}{statistics.mean(errors):8.2%}"
            if errors
            else " " * 38
        )
        if distance:
            cells += f"{distance['mean']:14.2%}{distance['largest']:9.2%}{distance['of_means']:10.2%}"
        lines.append(f"{name:20}{cells}".rstrip())
    return "\n".join(lines)


if __name__ == "__main__":
    main()
