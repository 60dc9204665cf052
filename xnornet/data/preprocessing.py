"""How a model's images were prepared, recorded with it so that nobody tests it on others.

The scale of the pixels is a number in the model's header. A whitening is too large for that: it lies beside
the weights as ``NAME.whitening.npz``, and the header has its checksum.
"""

from pathlib import Path

import numpy as np

from xnornet import data
from xnornet.archives import write_atomically
from xnornet.catalog import NETWORKS_OF
from xnornet.data.dataset import FULL_SCALE
from xnornet.data.whitening import Whitening
from xnornet.errors import DataError, ModelError

__all__ = [
    "class_names_of",
    "load_whitening",
    "pixel_levels",
    "preprocessing_of",
    "save_whitening",
    "whitening_path",
]

DATASETS = tuple(NETWORKS_OF)

# Of models whose header tells none.
USUAL = {"full_scale": FULL_SCALE, "whitening": None}


def whitening_path(path):
    """Where the whitening of the weights at ``path`` lies."""
    return Path(path).with_suffix(".whitening.npz")


def save_whitening(path, whitening):
    """Write a whitening beside the weights at ``path``.

    Raises
    ------
    WriteError
        As `write_atomically`.
    """
    write_atomically(whitening_path(path), lambda file: np.savez(file, **whitening.arrays))


def preprocessing_of(dataset):
    """What a header says of a dataset's images.

    Returns
    -------
    dict
        ``full_scale``, the number that stands for white, and ``whitening``, a checksum or None.
    """
    whitening = dataset.whitening
    return {"full_scale": FULL_SCALE, "whitening": None if whitening is None else whitening.checksum}


def load_whitening(path, header):
    """Read the whitening that a model's images went through.

    Parameters
    ----------
    path : str or Path
        The model's weights.
    header : dict
        Its header.

    Returns
    -------
    Whitening or None
        None if the images were only scaled.

    Raises
    ------
    ModelError
        The whitening is missing or another one, or pixels were scaled in another way than they are here.
    """
    file = whitening_path(path)
    if not header and file.exists():
        raise ModelError(
            f"{path}: has a whitening beside it, and no JSON header to tell whether that is its own; put the "
            "header there that was written with it"
        )
    recorded = header.get("preprocessing", USUAL)
    if not isinstance(recorded, dict) or recorded.get("full_scale") != FULL_SCALE:
        raise ModelError(
            f"{path}: was trained on pixels prepared as {recorded}; this version scales white to "
            f"{FULL_SCALE}. Test it with the version that trained it, or train again"
        )
    if recorded.get("whitening") is None:
        return None
    try:
        whitening = Whitening.load(file)
    except DataError as error:
        raise ModelError(
            f"{path}: was trained on whitened images, and needs the {file.name} that was written beside it "
            f"({error})"
        ) from error
    if whitening.checksum != recorded["whitening"]:
        raise ModelError(
            f"{file}: belongs to another model (checksum {whitening.checksum}, not {recorded['whitening']}); "
            f"put the one there that was written with {path}"
        )
    return whitening


def pixel_levels(header):
    """What a model takes for pixels.

    Parameters
    ----------
    header : dict
        The model's header.

    Returns
    -------
    float32 array or None
        The number for each value of a pixel, from 0 on. None if the images are whitened, or nothing tells
        how pixels were scaled.
    """
    if header.get("dataset") not in DATASETS or header.get("preprocessing", USUAL) != USUAL:
        return None
    return data.levels(header["dataset"])


def class_names_of(header):
    """Names of a model's classes, or None if nothing tells them."""
    return data.class_names(header["dataset"]) if header.get("dataset") in DATASETS else None
