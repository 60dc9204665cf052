"""How a model's images were prepared, recorded with the model so that it is tested on images prepared alike.

The scale of the pixels, the size and the color of images and the names of the classes are in the model's
header: beside training weights in ``NAME.json``, or within a packed file. A whitening is too large for that:
it lies beside the weights as ``NAME.whitening.npz``, and the header has its checksum.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xnornet import data
from xnornet.archives import write_atomically
from xnornet.catalog import NETWORKS_OF
from xnornet.data.dataset import FULL_SCALE, LEVELS, Dataset, Pixels
from xnornet.data.pictures import channels_of, color_of
from xnornet.data.whitening import Whitening
from xnornet.errors import DataError, ModelError
from xnornet.hints import Shape, StrPath

__all__ = [
    "class_names_of",
    "input_shape_of",
    "load_whitening",
    "pixel_levels",
    "preparation_of",
    "preprocessing_of",
    "save_whitening",
    "whitening_path",
]

DATASETS = tuple(NETWORKS_OF)

# Preprocessing of models whose header has none.
USUAL = {"full_scale": FULL_SCALE, "whitening": None}


def whitening_path(path: StrPath) -> Path:
    """Where the whitening of the weights at ``path`` lies."""
    return Path(path).with_suffix(".whitening.npz")


def save_whitening(path: StrPath, whitening: Whitening) -> None:
    """Write a whitening beside the weights at ``path``.

    Raises
    ------
    WriteError
        As `write_atomically`.
    """
    write_atomically(whitening_path(path), lambda file: np.savez(file, **whitening.arrays))


def preprocessing_of(dataset: Dataset) -> dict[str, Any]:
    """The entry ``preprocessing`` of a header, for a dataset's images.

    Returns
    -------
    dict
        ``full_scale``, the number that stands for white (black is its negative), or None if the images were
        real numbers from the beginning; ``whitening``, a checksum or None; ``size``, height and width; and
        ``color``, ``"grey"``, ``"rgb"`` or None.
    """
    channels, *size = dataset.input_shape
    scaled = isinstance(dataset.train.images, Pixels) or dataset.name in DATASETS
    whitening = dataset.whitening
    return {
        "full_scale": FULL_SCALE if scaled else None,
        "whitening": None if whitening is None else whitening.checksum,
        "size": [int(n) for n in size],
        "color": color_of(channels),
    }


def load_whitening(path: StrPath, header: Mapping[str, Any]) -> Whitening | None:
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
            f"{path}: has a whitening beside it, and no JSON header that says whether they belong together; "
            "put the header there that was written with it"
        )
    recorded = header.get("preprocessing", USUAL)
    if not isinstance(recorded, dict) or recorded.get("full_scale", 0) not in (None, FULL_SCALE):
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


def pixel_levels(header: Mapping[str, Any]) -> NDArray[np.float32] | None:
    """The number that each pixel value becomes at a model's input.

    Parameters
    ----------
    header : dict
        The model's header.

    Returns
    -------
    float32 array or None
        The number for each value of a pixel, from 0 on. None if the images are whitened, channels are scaled
        differently, or the header does not record the scaling.
    """
    recorded = _recorded(header)
    if recorded is None or any(recorded.get(name) != value for name, value in USUAL.items()):
        return None
    return data.levels(header.get("dataset"))


def class_names_of(header: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Names of a model's classes as a tuple, or None if they are not recorded.

    Raises
    ------
    ModelError
        What is recorded is not a list of names.
    """
    names = header.get("class_names")
    if names is None:
        return data.class_names(header["dataset"]) if header.get("dataset") in DATASETS else None
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise ModelError(f"class_names should be a list of text; found {names!r:.100}")
    return tuple(names)


def input_shape_of(header: Mapping[str, Any]) -> Shape | None:
    """Shape of the images that a model was trained on, or None if it is not recorded."""
    recorded = header.get("preprocessing", {})
    size, color = recorded.get("size"), recorded.get("color")
    return None if size is None or color is None else (channels_of(color), *size)


def preparation_of(
    header: Mapping[str, Any], path: StrPath | None = None
) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
    """The function from pixels to a model's input.

    Parameters
    ----------
    header : dict
        The model's header. Its ``preprocessing`` has either ``full_scale``, for
        ``(2 * p / 255 - 1) * full_scale``, and perhaps ``whitening``; or ``mean`` and ``deviation``, a number
        for each channel, for ``(p / 255 - mean) / deviation``.
    path : str or Path, optional
        The model's file, beside which a whitening lies.

    Returns
    -------
    callable
        From uint8 pixels, ``(n, channels, height, width)``, to float32 numbers.

    Raises
    ------
    ModelError
        The header does not record it, or not in the expected form, or a whitening is missing.
    """
    recorded = _recorded(header)
    if recorded is None or recorded.get("full_scale", 0) is None:
        raise ModelError(
            "the model does not record how its pixels were scaled; scale them as the training images were, "
            "and call run or predict"
        )
    if "mean" in recorded or "deviation" in recorded:
        return _normalization(recorded.get("mean"), recorded.get("deviation"))
    if recorded.get("whitening") is not None:
        if path is None:
            raise ModelError("the model takes whitened images; load it from its file, beside its whitening")
        whitening = load_whitening(path, header)
        assert whitening is not None
        return whitening
    scale = recorded.get("full_scale")
    if type(scale) not in (int, float) or not 0 < scale < float("inf"):
        raise ModelError(f"full_scale should be a positive number; found {scale!r:.100}")
    levels = LEVELS if scale == FULL_SCALE else ((2 * np.arange(256) - 255) / 255 * scale).astype(np.float32)
    return lambda pixels: levels[pixels]


def _recorded(header):
    """A header's preprocessing; older headers of published datasets leave the usual one out."""
    usual = USUAL if header.get("dataset") in DATASETS else None
    recorded = header.get("preprocessing", usual)
    if recorded is not None and not isinstance(recorded, dict):
        raise ModelError(f"preprocessing should be an object; found {recorded!r:.100}")
    return recorded


def _normalization(mean, deviation):
    """``(p / 255 - mean) / deviation`` by channel."""
    try:
        mean, deviation = (np.array(value, np.float64).reshape(-1, 1, 1) for value in (mean, deviation))
        fits = mean.shape == deviation.shape and np.isfinite(mean).all() and (deviation > 0).all()
    except (TypeError, ValueError):
        fits = False
    if not fits:
        raise ModelError(
            "mean and deviation should be lists of a number for each channel, deviations positive"
        )
    return lambda pixels: ((pixels / 255 - mean) / deviation).astype(np.float32)
