"""Conversion of the splits of ``xnornet.data`` to pylearn2's sets of images."""

import numpy as np

from xnornet.data import DataError, load
from xnornet.data.dataset import FULL_SCALE

__all__ = ["read"]


def read(name, which_set, start, stop):
    """Bytes of images as float32 rows, ``(n, pixels)`` in 0..255, and their classes, ``(n, 1)``.

    Raises
    ------
    DataError
        The set is neither ``'train'`` nor ``'test'``, it does not have these rows, or files are missing.
    """
    if which_set not in ("train", "test"):
        raise DataError(f"which_set is {which_set!r}; {name} has 'train' and 'test'")
    dataset = load(name)
    splits = [dataset.test] if which_set == "test" else [dataset.train, dataset.valid]
    labels = np.concatenate([s.labels for s in splits])
    start, stop = start or 0, len(labels) if stop is None else stop
    if not 0 <= start < stop <= len(labels):
        raise DataError(
            f"rows {start} to {stop} of the {which_set} set of {name}, which has {len(labels)}; "
            "give 0 <= start < stop <= that"
        )
    bytes = np.concatenate([_bytes(s.images) for s in splits])[start:stop]
    return bytes.reshape(len(bytes), -1).astype("float32"), labels[start:stop, np.newaxis]


def _bytes(images):
    if hasattr(images, "bytes"):
        return images.bytes
    return np.rint((np.asarray(images) / FULL_SCALE + 1) * 127.5).astype("uint8")
