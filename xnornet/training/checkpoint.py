"""Checkpoints: everything that a run needs to continue as if it had not been interrupted."""

import dataclasses
import functools
import importlib.metadata
import json
import platform
import zlib
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

import theano
import xnornet
from xnornet.archives import read_arrays, write_atomically
from xnornet.data.dataset import Pixels
from xnornet.data.stored import in_parts
from xnornet.disk import exclusive
from xnornet.errors import ModelError
from xnornet.ops import computed_by, instruction_set

__all__ = [
    "Tally",
    "checkpoint_path",
    "claim",
    "count_and_sum",
    "environment",
    "load_checkpoint",
    "run_identity",
    "save_checkpoint",
]


@dataclass
class Tally:
    """Losses, errors and time of an epoch so far.

    Attributes
    ----------
    losses : list of float
        One for each completed step.
    errors : int
        Misclassified images in these steps.
    seconds : float
        Duration of these steps.
    """

    losses: list = field(default_factory=list)
    errors: int = 0
    seconds: float = 0.0

    def add(self, loss, errors, seconds):
        """Count one more step."""
        self.losses.append(loss)
        self.errors += errors
        self.seconds += seconds


def checkpoint_path(out):
    """Path of the checkpoint of a run that writes to ``out``."""
    return Path(out).with_suffix(".checkpoint.npz")


def run_identity(network, arguments, dataset, recipe, **further):
    """Properties that must not change when a run is resumed, in the types that reading JSON gives."""
    identity = {
        "network": network,
        "arguments": arguments,
        "dataset": dataset.name,
        "images": {name: count_and_sum(getattr(dataset, name)) for name in ("train", "valid")},
        "floatX": theano.config.floatX,
        "computed_by": computed_by(recipe.gradients),
        **dataclasses.asdict(recipe),
        **further,
    }
    return json.loads(json.dumps(identity))


@functools.cache
def environment():
    """Properties that may change when a run is resumed; a change is reported.

    Returns
    -------
    dict
        ``"version"`` of the package, ``"versions"`` of what it is built on, and ``"kernels"``, the name of
        their instruction set or None.
    """
    libraries = ("numpy", "jax", "pytensor", "numba")
    versions = {name: importlib.metadata.version(name) for name in libraries}
    return {
        "version": xnornet.__version__,
        "versions": {"python": platform.python_version(), **versions},
        "kernels": instruction_set(),
    }


def count_and_sum(split):
    """Number of images, and a checksum of them and their labels."""
    checksum = 0
    for part in in_parts(split.images.bytes if isinstance(split.images, Pixels) else split.images):
        checksum = zlib.crc32(np.ascontiguousarray(part), checksum)
    return [len(split), zlib.crc32(np.ascontiguousarray(split.labels), checksum)]


@contextmanager
def claim(out):
    """Prevent a second run from writing to ``out`` at the same time.

    Raises
    ------
    ModelError
        Another run is writing to it.
    """
    with exclusive(out) as alone:
        if not alone:
            raise ModelError(f"{out}: another run is writing there; wait for it, or choose another --out")
        yield


def save_checkpoint(out, identity, history, tally, state):
    """Write the state between two steps.

    Parameters
    ----------
    out : Path
        Where the run writes its weights.
    identity : dict
        From :func:`run_identity`.
    history : list of dict
        One entry for each completed epoch.
    tally : Tally
        Of the next epoch, as far as it was done.
    state : list of shared variables

    Raises
    ------
    WriteError
        It cannot be written; the previous checkpoint still exists.
    """
    header = {
        "identity": identity,
        "environment": environment(),
        "history": history,
        "tally": dataclasses.asdict(tally),
    }
    text = json.dumps(header).encode()
    arrays = [s.get_value(borrow=True) for s in state]
    write_atomically(
        checkpoint_path(out),
        lambda file: np.savez(file, *arrays, header=np.frombuffer(text, np.uint8)),
    )


def load_checkpoint(out, identity, state):
    """Set the state from the last checkpoint.

    Returns
    -------
    list of dict, Tally, dict
        The completed epochs, the tally of the next one, and the :func:`environment` of the checkpoint.

    Raises
    ------
    ModelError
        The checkpoint is missing, damaged or of another run.
    """
    path = checkpoint_path(out)
    header = _read_header(path)
    for key, wanted in identity.items():
        found = header["identity"].get(key)
        if found != wanted and key == "network_md5":
            raise ModelError(
                f"{path}: belongs to a run of another version of {identity['network']}; bring its file back "
                "to what it was, or delete the checkpoint to start over"
            )
        if found != wanted:
            raise ModelError(
                f"{path}: belongs to a run with {key}={found!r}, not {wanted!r}; resume with the options "
                "that it was started with, or delete it to start over"
            )
    for key, found in header["identity"].items():
        # An option that was removed does not matter if it was not used.
        if key not in identity and found:
            raise ModelError(
                f"{path}: belongs to a run with {key}={found!r}, which this version does not have; finish it "
                "with the version that began it, or delete it to start over"
            )
    shapes = [s.get_value(borrow=True).shape for s in state]
    for shared, value in zip(state, read_arrays(path, shapes, also=("header",)), strict=True):
        shared.set_value(value, borrow=True)
    return header["history"], Tally(**header["tally"]), header["environment"]


def _read_header(path):
    try:
        with np.load(path, allow_pickle=False) as file:
            header = json.loads(file["header"].tobytes())
        dicts = all(isinstance(header[name], dict) for name in ("identity", "environment"))
        if dicts and {"losses", "errors", "seconds"} == set(header["tally"]):
            return header
        problem = "its header is of another form"
    except OSError as error:
        raise ModelError(
            f"{path}: cannot be read ({error.strerror or error}); make it readable, and pass --resume again"
        ) from error
    except Exception as error:
        problem = str(error)
    raise ModelError(f"{path}: should be a whole checkpoint ({problem}); delete it to start over")
