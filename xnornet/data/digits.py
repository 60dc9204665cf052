"""The 8x8 handwritten digits that scikit-learn bundles: the dataset that needs no download."""

import numpy as np

from xnornet.data.dataset import FULL_SCALE, Dataset, Split
from xnornet.hints import StrPath

__all__ = ["LEVELS", "load"]

TRAIN_SIZE, VALID_SIZE = 1197, 240

# What each value of a pixel becomes, from 0 to 16.
LEVELS = ((np.arange(17) / 8 - 1) * FULL_SCALE).astype(np.float32)


def load(path: StrPath | None = None, download: bool = True) -> Dataset:
    """Load the digits: 1,197 training, 240 validation and 360 test images of ``(1, 8, 8)``.

    The split is fixed: the first, next and last rows of
    ``numpy.random.default_rng(0).permutation(1797)``. Values from 0 to 16 become
    ``(x / 8 - 1) * FULL_SCALE``.

    Parameters
    ----------
    path, download
        Not used, since nothing is downloaded; every dataset is loaded with the same arguments.

    Returns
    -------
    Dataset
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = LEVELS[bunch.images[:, np.newaxis].astype(np.uint8)]
    labels = bunch.target.astype(np.int32)
    order = np.random.default_rng(0).permutation(len(labels))
    rows = np.split(order, [TRAIN_SIZE, TRAIN_SIZE + VALID_SIZE])
    train, valid, test = (Split(images[split], labels[split]) for split in rows)
    return Dataset("digits", 10, train, valid, test)
