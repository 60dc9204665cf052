"""The compiled functions of a training run, and the state that they change."""

from functools import cached_property

import jax
import lasagne
import numpy as np

import theano
import theano.tensor as T
from xnornet import devices, hosts, networks
from xnornet.data.dataset import Pixels, scale_bytes
from xnornet.errors import TrainingError
from xnornet.layers import clip_weights, clipped_adam
from xnornet.ops import gradients_in
from xnornet.training.ahead import Ahead, reads_ahead

__all__ = ["Steps", "cross_entropy", "on_device", "squared_hinge"]

# A maximum, so that the progress bar moves and a run can be stopped soon.
MOST_STEPS_PER_CALL = 50


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


def cross_entropy(scores, labels, num_classes, smoothing=0.0):
    """``-mean(sum(t * log(softmax(scores))))``.

    ``t`` is ``smoothing / classes`` for every class, and ``1 - smoothing`` more for the true one.

    Parameters
    ----------
    scores, labels, num_classes : as in `squared_hinge`
    smoothing : float

    Returns
    -------
    scalar
    """
    true = T.eq(labels.dimshuffle(0, "x"), T.arange(num_classes)).astype(scores.dtype)
    t = (1 - smoothing) * true + smoothing / num_classes
    shifted = scores - scores.max(axis=1, keepdims=True)
    logarithms = shifted - T.log(T.exp(shifted).sum(axis=1, keepdims=True))
    return -(t * logarithms).sum(axis=1).mean()


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
    network : str, callable or Source
        As for `xnornet.networks.find`.
    arguments : dict
        Options of the network.
    dataset : Dataset
        Its training split is moved to the device, and steps send indices. If it is too large for that, steps
        send images.
    recipe : Recipe
        Loss, optimizer and their options.
    augmentation : Augmentation, optional
        Applied to the images of each step.
    mesh : jax.sharding.Mesh, optional
        Devices that each batch is divided among. Each has a copy of everything else.

    Attributes
    ----------
    layer : Layer
        Output of the network.
    params : list of shared variables
    """

    def __init__(self, network, arguments, dataset, recipe, augmentation=None, mesh=None):
        lasagne.random.set_rng(np.random.RandomState(recipe.seed))
        images, labels = T.tensor4("images"), T.ivector("labels")
        shape = tuple(dataset.input_shape)
        try:
            self.layer = networks.build(network, images, shape, dataset.num_classes, **arguments)
        except ValueError as error:
            raise TrainingError(f"{networks.find(network).name} on {dataset.name}: {error}") from error
        self.params = lasagne.layers.get_all_params(self.layer)
        self._mesh = mesh
        self._lr = theano.shared(np.asarray(0, theano.config.floatX), name="lr")
        with gradients_in(recipe.gradients):
            self._step = self._compile_step(images, labels, dataset, recipe, augmentation)
        self._images = images

    # Built only when it is needed, so that the first step starts sooner.
    @cached_property
    def _classify(self):
        scores = lasagne.layers.get_output(self.layer, deterministic=True)
        return theano.function(
            [self._images], scores.argmax(axis=1), name="classify", shardings=self._divided(self._images)
        )

    @cached_property
    def _finite(self):
        largest = T.stack([abs(p).max() for p in self.params])
        return theano.function([], T.lt(largest, np.inf).all(), name="finite")

    def _compile_step(self, images, labels, dataset, recipe, augmentation):
        scores = lasagne.layers.get_output(self.layer)
        if recipe.loss == "hinge":
            loss = squared_hinge(scores, labels, dataset.num_classes)
        else:
            loss = cross_entropy(scores, labels, dataset.num_classes, recipe.label_smoothing)
        errors = T.neq(scores.argmax(axis=1), labels).sum()
        updates = self._updates(loss, recipe)
        rows, draws = T.ivector("rows"), T.imatrix("draws")
        inputs = [rows] if augmentation is None else [rows, draws]
        # One program for all hosts, however much memory each of them has.
        ahead = reads_ahead(dataset.train.images)
        ahead = any(hosts.of_all(ahead)) if hosts.count() > 1 else ahead
        self._ahead = Ahead(dataset.train.images, self._mesh) if ahead else None
        if self._ahead is None:
            stored, numbers = on_device(dataset.train.images)
            batch = numbers(rows)
        else:
            stored, batch = self._ahead.shared, self._ahead.numbers
            inputs.append(self._ahead.batch)
        classes = theano.shared(dataset.train.labels, borrow=True)
        if augmentation is not None:
            batch = augmentation.apply(batch, draws)
        self._data = (*stored, classes)
        return theano.function(
            inputs,
            [loss, errors],
            updates=updates,
            givens={images: batch.astype(images.dtype), labels: classes[rows]},
            name="training_step",
            shardings=self._divided(*inputs),
        )

    def _divided(self, *inputs):
        """Shardings for ``theano.function`` of inputs whose first axis is the batch."""
        return None if self._mesh is None else dict.fromkeys(inputs, devices.divided(self._mesh))

    def _updates(self, loss, recipe):
        decay = recipe.weight_decay
        if recipe.optimizer == "adam":
            return clipped_adam(loss, self.layer, self._lr, weight_decay=decay)
        trainable = lasagne.layers.get_all_params(self.layer, trainable=True)
        updates = lasagne.updates.nesterov_momentum(loss, trainable, learning_rate=self._lr)
        if decay:
            for p in lasagne.layers.get_all_params(self.layer, trainable=True, regularizable=True):
                updates[p] = updates[p] - self._lr * np.asarray(decay, p.dtype) * p
        return clip_weights(updates, self.layer)

    def set_lr(self, lr):
        """Set the optimizer's rate."""
        self._lr.set_value(np.asarray(lr, self._lr.dtype))

    def step(self, rows, *draws):
        """Train on the images of these rows, augmented by the draws. Returns loss and number of errors."""
        images = [] if self._ahead is None else [self._ahead.take(rows)]
        loss, errors = self._step(rows.astype(np.int32), *draws, *images)
        return float(loss), int(errors)

    def expect(self, batches):
        """Prepare for steps on these rows, ``(batches, batch)``, in this order. Others only run slower."""
        if self._ahead is not None:
            self._ahead.expect(batches)

    def steps_per_call(self, count):
        """How many of ``count`` steps to do in one call: a GPU waits for the host between two calls.

        If possible a divisor of ``count``, as another number of steps needs another compiled program.
        """
        if jax.default_backend() != "gpu":
            return 1
        most = MOST_STEPS_PER_CALL if self._ahead is None else self._ahead.steps_per_call(MOST_STEPS_PER_CALL)
        size = max(size for size in range(1, most + 1) if count % size == 0)
        return size if size > most // 5 else min(count, most)

    def steps(self, rows, *draws):
        """:meth:`step` for each entry of the arrays, in turn. Returns lists of losses and errors."""
        if len(rows) == 1:
            found = [self.step(rows[0], *(d[0] for d in draws))]
            return [list(column) for column in zip(*found, strict=True)]
        images = [] if self._ahead is None else [np.stack([self._ahead.take(r) for r in rows])]
        losses, errors = self._step.each(rows.astype(np.int32), *draws, *images)
        return losses.tolist(), errors.tolist()

    def finite(self):
        """Whether all weights and statistics are finite numbers."""
        return bool(self._finite())

    def error(self, split, batch_size=500, between=lambda: None):
        """Share of a split that the network, in its deterministic form, misclassifies.

        ``between`` is called after each batch.
        """
        wrong = 0
        for i in range(0, len(split), batch_size):
            rows = np.arange(i, min(i + batch_size, len(split)))
            classes = self._classify(devices.read_share(split.images, rows, self._mesh))
            wrong += int(np.sum(classes != split.labels[rows]))
            between()
        return wrong / len(split)

    @property
    def state(self):
        """Shared variables that steps change: weights, statistics, Adam's moments, random streams."""
        fixed = {id(s.container) for s in (self._lr, *self._data)}
        shared = {id(s.container): s for s in self._step.get_shared()}
        return [s for key, s in shared.items() if key not in fixed]
