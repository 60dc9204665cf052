"""Scores of many images, a batch at a time."""

import lasagne
import numpy as np
from tqdm import tqdm

import theano

__all__ = ["compute_scores"]


def compute_scores(layer, images, batch_size=500, progress=False):
    """Run a network on images.

    Parameters
    ----------
    layer : Layer
        Output layer, of the training network or of a twin.
    images : float array, ``(n, channels, height, width)``
    batch_size : int
        Images run at a time.
    progress : bool
        Show a bar on a terminal.

    Returns
    -------
    array, ``(n, classes)``
    """
    input_var = lasagne.layers.get_all_layers(layer)[0].input_var
    output = lasagne.layers.get_output(layer, deterministic=True)
    run = theano.function([input_var], output, allow_input_downcast=True)
    starts = range(0, len(images), batch_size)
    bar = tqdm(starts, unit="batch", leave=False, disable=None if progress else True)
    return np.concatenate([run(images[i : i + batch_size]) for i in bar])
