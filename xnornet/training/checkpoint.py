"""Checkpoints: all that a run needs to go on as if it had never stopped."""

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
    """What an epoch has come to so far.

    Attributes
    ----------
    losses : list of float
        One for each step that is done.
    errors : int
        Images that these steps got wrong.
    seconds : float
        That they took.
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
    """Where the checkpoints of a run that writes to ``out`` lie."""
    return Path(out).with_suffix(".checkpoint.npz")


def run_identity(network, arguments, dataset, recipe, **further):
    """What must be the same for a run to be resumed, in the form in which JSON gives it back."""
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
    """What a run need not share with its checkpoint, but is told when it does not.

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
    """Keep a second run from writing to ``out`` meanwhile.

    Raises
    ------
    ModelError
        Another run does.
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
        One entry for each epoch that is done.
    tally : Tally
        Of the epoch after these.
    state : list of shared variables

    Raises
    ------
    WriteError
        The disk does not take it; the checkpoint before it is still there.
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
        The epochs that are done, what there is of the next, and the :func:`environment` of the checkpoint.

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
        # An option that is gone does no harm where it was not used.
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
