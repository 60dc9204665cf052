"""Theano-PyMC, the last Theano that runs: the network in its own operations, of ``training_step.py``.

Dropout is left out. As in our own step, the images lie in shared variables, bytes as bytes. All cores take
part in products of matrices, OpenBLAS's; the OpenMP code of this version's other operations does not compile.
"""

import sys
from pathlib import Path

import numpy as np
from laps import compete
from nets import LEVELS

import theano
import theano.tensor as T

sys.path.append(str(Path(__file__).resolve().parents[1]))

from training_step import plain_step  # noqa: E402

__all__ = ["load"]


def load(task):
    images, labels, rows = T.tensor4("images"), T.ivector("labels"), T.ivector("rows")
    loss, updates = plain_step(task.network, images, labels, task.width)
    scale, offset = map(np.float32, LEVELS)
    batch = scale * T.cast(theano.shared(task.images)[rows], "float32") + offset
    givens = {images: batch, labels: theano.shared(task.labels)[rows]}
    step = theano.function([rows], loss, updates=updates, givens=givens)

    def run(batches):
        for rows in batches:
            last = step(rows)
        return float(last)

    return run


if __name__ == "__main__":
    compete(load, f"Theano-PyMC {theano.__version__}", ["default"])
