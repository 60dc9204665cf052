"""The compiled functions of a training run, and the state that they change."""

import lasagne
import numpy as np

import theano
import theano.tensor as T
from xnornet import networks
from xnornet.layers import clip_weights

__all__ = ["Steps", "squared_hinge"]


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

    Attributes
    ----------
    layer : Layer
        Output of the network.
    params : list of shared variables
    """

    def __init__(self, network, arguments, dataset, seed):
        lasagne.random.set_rng(np.random.RandomState(seed))
        images, labels = T.tensor4("images"), T.ivector("labels")
        self.layer = networks.build(network, images, **arguments)
        self.params = lasagne.layers.get_all_params(self.layer)
        self._lr = theano.shared(np.asarray(0, theano.config.floatX), name="lr")
        self._data = [theano.shared(a, borrow=True) for a in (dataset.train.images, dataset.train.labels)]
        self._step = self._compile_step(images, labels, dataset.num_classes)
        scores = lasagne.layers.get_output(self.layer, deterministic=True)
        self._classify = theano.function([images], scores.argmax(axis=1), name="classify")

    def _compile_step(self, images, labels, num_classes):
        scores = lasagne.layers.get_output(self.layer)
        loss = squared_hinge(scores, labels, num_classes)
        errors = T.neq(scores.argmax(axis=1), labels).sum()
        trainable = lasagne.layers.get_all_params(self.layer, trainable=True)
        updates = lasagne.updates.adam(loss, trainable, learning_rate=self._lr)
        rows = T.ivector("rows")
        return theano.function(
            [rows],
            [loss, errors],
            updates=clip_weights(updates, self.layer),
            givens={images: self._data[0][rows], labels: self._data[1][rows]},
            name="training_step",
        )

    def set_lr(self, lr):
        """Set Adam's rate."""
        self._lr.set_value(np.asarray(lr, self._lr.dtype))

    def step(self, rows):
        """Train on the images of the given rows. Returns loss and number of errors."""
        loss, errors = self._step(rows.astype(np.int32))
        return float(loss), int(errors)

    def error(self, split, batch_size=500):
        """Share of a split that the network, deterministic, gets wrong."""
        classes = [self._classify(split.images[i : i + batch_size]) for i in range(0, len(split), batch_size)]
        return float(np.mean(np.concatenate(classes) != split.labels))

    @property
    def state(self):
        """Shared variables that steps change: weights, statistics, Adam's moments, random streams."""
        fixed = {id(s.container) for s in (self._lr, *self._data)}
        shared = {id(s.container): s for s in self._step.get_shared()}
        return [s for key, s in shared.items() if key not in fixed]
