"""Training from the first epoch to the last, with all that is left on disk on the way.

For ``--out NAME.npz`` a run writes ``NAME.npz`` and ``NAME.json`` (the weights that were best on the
validation images), ``NAME.log.csv``, ``NAME.curves.png``, and until it ends ``NAME.checkpoint.npz``.
"""

import platform
import time
from pathlib import Path

import numpy as np
from tqdm import tqdm

import xnornet
from xnornet import networks
from xnornet.model import load_weights, save_header, save_weights
from xnornet.training.checkpoint import (
    checkpoint_path,
    load_checkpoint,
    run_identity,
    save_checkpoint,
)
from xnornet.training.curves import write_curves, write_log
from xnornet.training.steps import Steps

__all__ = ["TrainingError", "train"]

# Epochs that are shorter get their picture when the run ends.
SECONDS_WORTH_A_PICTURE = 10


class TrainingError(Exception):
    """A run cannot go on; one line says why and what to do."""


def train(network, dataset, out, recipe, arguments=None, resume=False, report=print, started=None):
    """Train a network and keep the weights that are best on the validation images.

    Parameters
    ----------
    network : str
        Name in ``xnornet.networks.NETWORKS``.
    dataset : Dataset
    out : str or Path
        The ``.npz`` file to write; other files of the run lie beside it.
    recipe : Recipe
    arguments : dict, optional
        Options of the network.
    resume : bool
        Go on from the last checkpoint. The result is bit for bit that of a run that never stopped.
    report : callable
        Called with each line for people to read.
    started : float, optional
        ``time.monotonic()`` when the program started, for the time to the first step.

    Returns
    -------
    float
        Error of the kept weights on the test images.

    Raises
    ------
    TrainingError, ModelError
        The run cannot start or go on.
    """
    started = time.monotonic() if started is None else started
    out = Path(out)
    arguments = networks.options(network, **(arguments or {}))
    _check_out(out, resume)
    steps = Steps(network, arguments, dataset, recipe.seed)
    _check_fit(steps.layer, network, dataset)
    identity = run_identity(network, arguments, dataset.name, recipe)
    history = load_checkpoint(out, identity, steps.state) if resume else []
    if history:
        report(f"resumed after epoch {len(history)} of {recipe.epochs}")
    for epoch in range(len(history), recipe.epochs):
        row = _epoch(steps, dataset, recipe, epoch, report, started)
        history.append(row)
        if row["valid_error"] <= min(r["valid_error"] for r in history):
            save_weights(out, [p.get_value(borrow=True) for p in steps.params])
            save_header(out, _header(identity, row))
        write_log(out.with_suffix(".log.csv"), history)
        save_checkpoint(out, identity, history, steps.state)
        if row["seconds"] > SECONDS_WORTH_A_PICTURE or row["epoch"] == recipe.epochs:
            write_curves(out.with_suffix(".curves.png"), history, f"{network} on {dataset.name}")
        report(_summary(row, history, recipe))
    error = _test(steps, dataset, out)
    checkpoint_path(out).unlink(missing_ok=True)
    report(f"kept {out}: test error {error:.2%} on {len(dataset.test)} images")
    return error


def _epoch(steps, dataset, recipe, epoch, report, started):
    """One pass over the training images, in an order that depends on seed and epoch alone."""
    count = len(dataset.train)
    size = min(recipe.batch_size, count)
    order = np.random.default_rng([recipe.seed, epoch]).permutation(count)
    batches = order[: count // size * size].reshape(-1, size)
    lr = recipe.lr_at(epoch)
    steps.set_lr(lr)
    losses, errors, begun = [], 0, time.monotonic()
    label = f"epoch {epoch + 1}/{recipe.epochs}"
    with tqdm(total=batches.size, desc=label, unit="img", leave=False, disable=None, ncols=100) as bar:
        for rows in batches:
            loss, wrong = steps.step(rows)
            if not losses and started is not None and epoch == 0:
                report(f"first training step {time.monotonic() - started:.1f} s after the start")
            losses.append(loss)
            errors += wrong
            seen = len(losses) * size
            bar.set_postfix_str(f"loss {loss:.4f}, error {errors / seen:.2%}", refresh=False)
            bar.update(size)
    if not np.isfinite(losses).all():
        raise TrainingError(f"The loss is no longer finite in epoch {epoch + 1}; train with a smaller --lr")
    trained = time.monotonic() - begun
    row = {
        "epoch": epoch + 1,
        "lr": lr,
        "loss": float(np.mean(losses)),
        "train_error": errors / batches.size,
        "valid_error": steps.error(dataset.valid),
        "images_per_second": batches.size / trained,
    }
    return {**row, "seconds": time.monotonic() - begun}


def _summary(row, history, recipe):
    best = min(r["valid_error"] for r in history)
    return (
        f"epoch {row['epoch']:3d}/{recipe.epochs}  loss {row['loss']:.4f}  "
        f"train {row['train_error']:6.2%}  valid {row['valid_error']:6.2%}  best {best:6.2%}  "
        f"{row['images_per_second']:6.0f} img/s  {row['seconds']:5.1f} s"
    )


def _header(identity, row):
    import jax
    import pytensor

    versions = {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "jax": jax.__version__,
        "pytensor": pytensor.__version__,
    }
    errors = {"train": row["train_error"], "valid": row["valid_error"]}
    return {
        "format": 1,
        **identity,
        "epoch": row["epoch"],
        "errors": errors,
        "version": xnornet.__version__,
        "versions": versions,
    }


def _test(steps, dataset, out):
    for param, value in zip(steps.params, load_weights(out, steps.params), strict=True):
        param.set_value(value)
    return steps.error(dataset.test)


def _check_out(out, resume):
    """Find out before the first epoch whether the results can be written."""
    if out.suffix != ".npz":
        raise TrainingError(f"--out is {out}; it takes the name of an .npz file")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        probe = out.with_name(f".{out.name}.probe")
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise TrainingError(
            f"--out {out}: cannot be written ({error.strerror}); choose another place"
        ) from error
    if out.is_dir():
        raise TrainingError(f"--out {out}: is a folder; it takes the name of an .npz file")
    checkpoint = checkpoint_path(out)
    if checkpoint.exists() and not resume:
        raise TrainingError(
            f"{checkpoint}: an unfinished run is there; pass --resume to go on with it, or delete it to "
            "start over"
        )


def _check_fit(layer, network, dataset):
    import lasagne

    shape = tuple(lasagne.layers.get_all_layers(layer)[0].shape[1:])
    if shape != tuple(dataset.input_shape):
        raise TrainingError(
            f"{network} takes images of shape {shape}; those of {dataset.name} are "
            f"{tuple(dataset.input_shape)}. Choose another --net"
        )
