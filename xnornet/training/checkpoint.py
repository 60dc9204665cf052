"""Checkpoints: all that a run needs to go on as if it had never stopped."""

import dataclasses
import json
from pathlib import Path

import numpy as np

import xnornet
from xnornet.model import ModelError, read_arrays, write_atomically

__all__ = ["checkpoint_path", "load_checkpoint", "run_identity", "save_checkpoint"]


def checkpoint_path(out):
    """Where the checkpoints of a run that writes to ``out`` lie."""
    return Path(out).with_suffix(".checkpoint.npz")


def run_identity(network, arguments, dataset, recipe):
    """What must be the same for a run to be resumed, in the form in which JSON gives it back."""
    identity = {
        "version": xnornet.__version__,
        "network": network,
        "arguments": arguments,
        "dataset": dataset,
        **dataclasses.asdict(recipe),
    }
    return json.loads(json.dumps(identity))


def save_checkpoint(out, identity, history, state):
    """Write the state after an epoch.

    Parameters
    ----------
    out : Path
        Where the run writes its weights.
    identity : dict
        From :func:`run_identity`.
    history : list of dict
        One entry for each epoch that is done.
    state : list of shared variables
    """
    text = json.dumps({"identity": identity, "history": history}).encode()
    arrays = [s.get_value(borrow=True) for s in state]
    write_atomically(
        checkpoint_path(out),
        lambda file: np.savez(file, *arrays, header=np.frombuffer(text, np.uint8)),
    )


def load_checkpoint(out, identity, state):
    """Set the state from the last checkpoint.

    Returns
    -------
    list of dict
        The run's history so far.

    Raises
    ------
    ModelError
        There is no checkpoint, or it is damaged or of another run.
    """
    path = checkpoint_path(out)
    header = _read_header(path)
    for key, wanted in identity.items():
        found = header["identity"].get(key)
        if found != wanted:
            raise ModelError(
                f"{path}: belongs to a run with {key}={found!r}, not {wanted!r}; resume with the options "
                "that it was started with, or delete it to start over"
            )
    shapes = [s.get_value(borrow=True).shape for s in state]
    for shared, value in zip(state, read_arrays(path, shapes, also=("header",)), strict=True):
        shared.set_value(value, borrow=True)
    return header["history"]


def _read_header(path):
    try:
        with np.load(path, allow_pickle=False) as file:
            header = json.loads(file["header"].tobytes())
        if isinstance(header["identity"], dict) and isinstance(header["history"], list):
            return header
        problem = "its header is of another form"
    except FileNotFoundError as error:
        raise ModelError(
            f"{path}: not found, so there is nothing to resume; the run has finished or never began"
        ) from error
    except Exception as error:
        problem = str(error)
    raise ModelError(f"{path}: should be a whole checkpoint ({problem}); delete it to start over")
