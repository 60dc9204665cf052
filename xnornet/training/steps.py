"""The compiled functions of a training run, and the state that they change."""

from functools import cached_property

import jax
import lasagne
import numpy as np

import theano
import theano.tensor as T
from xnornet import networks
from xnornet.data.dataset import Pixels, scale_bytes
from xnornet.layers import clip_weights
from xnornet.ops import gradients_in

__all__ = ["Steps", "on_device", "squared_hinge"]

# At the most, so that the progress bar moves and a run stops soon when it is told to.
STEPS_TOGETHER = 50


def squared_hinge(scores, labels, num_classes):
    """``mean(max(0, 1 - t * score)**2)``, ``t`` being +1 for the true class and -1 for the others.

    Parameters
    ----------
    scores : matrix, ``(batch, classes)``
    labels : integer vector, ``(batch,)``
    num_classes : int

    Returns
    -------
    scalar
    """
    t = 2 * T.eq(labels.dimshuffle(0, "x"), T.arange(num_classes)).astype(scores.dtype) - 1
    return T.sqr(T.maximum(0, 1 - t * scores)).mean()


def on_device(images):
    """Move a split's images to the device, bytes as bytes.

    Parameters
    ----------
    images : array or Pixels

    Returns
    -------
    list of shared variables, and a function from rows to an expression of their real numbers
    """
    if isinstance(images, Pixels) and images.preprocess is scale_bytes:
        pixels = theano.shared(images.bytes, borrow=True)
        levels = theano.shared(scale_bytes(np.arange(256)), borrow=True)
        return [pixels, levels], lambda rows: levels[pixels[rows]]
    numbers = theano.shared(np.asarray(images), borrow=True)
    return [numbers], lambda rows: numbers[rows]


class Steps:
    """A network with its training step and its evaluation.

    Parameters
    ----------
    network : str
        Name in ``xnornet.networks.NETWORKS``.
    arguments : dict
        Options of the network.
    dataset : Dataset
        Its training split is moved to the device, and steps send indices.
    seed : int
        Of initial weights and dropout.
    augmentation : Augmentation, optional
        What is done to the images of a step.
    gradients : str
        Arithmetic of the binary layers' gradients, one of ``xnornet.catalog.ARITHMETICS``.

    Attributes
    ----------
    layer : Layer
        Output of the network.
    params : list of shared variables
    """

    def __init__(self, network, arguments, dataset, seed, augmentation=None, gradients="int16"):
        lasagne.random.set_rng(np.random.RandomState(seed))
        images, labels = T.tensor4("images"), T.ivector("labels")
        self.layer = networks.build(network, images, **arguments)
        self.params = lasagne.layers.get_all_params(self.layer)
        self._lr = theano.shared(np.asarray(0, theano.config.floatX), name="lr")
        with gradients_in(gradients):
            self._step = self._compile_step(images, labels, dataset, augmentation)
        self._images = images

    # Not before it is called for, as the first step waits for all that is built before it.
    @cached_property
    def _classify(self):
        scores = lasagne.layers.get_output(self.layer, deterministic=True)
        return theano.function([self._images], scores.argmax(axis=1), name="classify")

    @cached_property
    def _finite(self):
        largest = T.stack([abs(p).max() for p in self.params])
        return theano.function([], T.lt(largest, np.inf).all(), name="finite")

    def _compile_step(self, images, labels, dataset, augmentation):
        scores = lasagne.layers.get_output(self.layer)
        loss = squared_hinge(scores, labels, dataset.num_classes)
        errors = T.neq(scores.argmax(axis=1), labels).sum()
        trainable = lasagne.layers.get_all_params(self.layer, trainable=True)
        updates = lasagne.updates.adam(loss, trainable, learning_rate=self._lr)
        inputs = rows, draws = T.ivector("rows"), T.imatrix("draws")
        stored, numbers = on_device(dataset.train.images)
        classes = theano.shared(dataset.train.labels, borrow=True)
        batch = numbers(rows)
        if augmentation is None:
            inputs = inputs[:1]
        else:
            batch = augmentation.apply(batch, draws)
        self._data = (*stored, classes)
        return theano.function(
            list(inputs),
            [loss, errors],
            updates=clip_weights(updates, self.layer),
            givens={images: batch.astype(images.dtype), labels: classes[rows]},
            name="training_step",
        )

    def set_lr(self, lr):
        """Set Adam's rate."""
        self._lr.set_value(np.asarray(lr, self._lr.dtype))

    def step(self, rows, *draws):
        """Train on the images of the given rows, changed as drawn. Returns loss and number of errors."""
        loss, errors = self._step(rows.astype(np.int32), *draws)
        return float(loss), int(errors)

    def together(self, count):
        """How many of ``count`` steps a call best takes: a GPU would wait for the host between two calls.

        If it can be, a number that divides ``count``: the rest needs a program of its own.
        """
        if jax.default_backend() != "gpu":
            return 1
        size = max(size for size in range(1, STEPS_TOGETHER + 1) if count % size == 0)
        return size if size > STEPS_TOGETHER // 5 else min(count, STEPS_TOGETHER)

    def steps(self, rows, *draws):
        """:meth:`step` for each entry of the arrays, in turn. Returns lists of losses and errors."""
        if len(rows) == 1:
            found = [self.step(rows[0], *(d[0] for d in draws))]
            return [list(column) for column in zip(*found, strict=True)]
        losses, errors = self._step.each(rows.astype(np.int32), *draws)
        return losses.tolist(), errors.tolist()

    def finite(self):
        """Whether all weights and statistics are finite numbers."""
        return bool(self._finite())

    def error(self, split, batch_size=500, between=lambda: None):
        """Share of a split that the network, deterministic, gets wrong.

        ``between`` is called after each batch.
        """
        wrong = 0
        for i in range(0, len(split), batch_size):
            classes = self._classify(split.images[i : i + batch_size])
            wrong += int(np.sum(classes != split.labels[i : i + batch_size]))
            between()
        return wrong / len(split)

    @property
    def state(self):
        """Shared variables that steps change: weights, statistics, Adam's moments, random streams."""
        fixed = {id(s.container) for s in (self._lr, *self._data)}
        shared = {id(s.container): s for s in self._step.get_shared()}
        return [s for key, s in shared.items() if key not in fixed]
