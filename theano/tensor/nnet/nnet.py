"""Nonlinearities and cross-entropies, in Theano's forms."""

import numpy as np
import pytensor.tensor as pt
from pytensor.tensor.math import sigmoid, softplus
from pytensor.tensor.special import log_softmax as _log_softmax
from pytensor.tensor.special import softmax as _softmax

from theano.tensor.nnet.absent import absent

__all__ = [
    "binary_crossentropy",
    "categorical_crossentropy",
    "confusion_matrix",
    "crossentropy_categorical_1hot",
    "crossentropy_softmax_1hot",
    "crossentropy_softmax_1hot_with_bias",
    "crossentropy_softmax_argmax_1hot_with_bias",
    "crossentropy_softmax_max_and_argmax_1hot",
    "crossentropy_softmax_max_and_argmax_1hot_with_bias",
    "ctc",
    "elu",
    "h_softmax",
    "hard_sigmoid",
    "log_softmax",
    "logsoftmax",
    "relu",
    "selu",
    "sigmoid",
    "sigmoid_binary_crossentropy",
    "softmax",
    "softmax_with_bias",
    "softplus",
    "softsign",
    "sparse_block_dot",
    "ultra_fast_sigmoid",
]


ctc = absent("nnet.ctc")
sparse_block_dot = absent("nnet.sparse_block_dot")


def softmax(c):
    """``exp(c) / sum(exp(c))`` over the last axis; a vector counts as one row, as in Theano."""
    c = pt.as_tensor_variable(c)
    return _softmax(pt.shape_padleft(c) if c.ndim == 1 else c, axis=-1)


def logsoftmax(c):
    """``log(softmax(c))``, without overflow."""
    c = pt.as_tensor_variable(c)
    return _log_softmax(pt.shape_padleft(c) if c.ndim == 1 else c, axis=-1)


log_softmax = logsoftmax


def relu(x, alpha=0):
    """``max(x, 0)``, or ``x`` times ``alpha`` where ``x`` is negative.

    Like Theano's, its slope at 0 is the mean of the slopes at both sides, and NumPy arrays stay NumPy.
    """
    if isinstance(alpha, int | float) and alpha == 0:
        return 0.5 * (x + abs(x))
    alpha = _like(alpha, x)
    return 0.5 * (1 + alpha) * x + 0.5 * (1 - alpha) * abs(x)


def elu(x, alpha=1):
    """``x`` where positive, ``alpha * (exp(x) - 1)`` elsewhere."""
    return pt.switch(x > 0, x, _like(alpha, x) * pt.expm1(pt.minimum(x, 0)))


def selu(x):
    """``scale * elu(x, alpha)``, with constants that keep mean 0 and variance 1 (Klambauer et al., 2017)."""
    alpha, scale = 1.6732632423543772848, 1.0507009873554804934
    return _like(scale, x) * elu(x, alpha)


def softsign(x):
    """``x / (1 + |x|)``."""
    return x / (1.0 + abs(x))


def hard_sigmoid(x):
    """``clip(0.2 x + 0.5, 0, 1)``."""
    x = pt.as_tensor_variable(x)
    return pt.clip(x * _like(0.2, x) + 0.5, 0, 1)


def ultra_fast_sigmoid(x):
    """The exact sigmoid, under the name of Theano's approximate one."""
    return sigmoid(x)


def binary_crossentropy(output, target):
    """``-(target log(output) + (1 - target) log(1 - output))``, elementwise."""
    return -(target * pt.log(output) + (1.0 - target) * pt.log(1.0 - output))


def sigmoid_binary_crossentropy(output, target):
    """``binary_crossentropy(sigmoid(output), target)``, without overflow."""
    return softplus(output) - target * output


def categorical_crossentropy(coding_dist, true_dist):
    """Cross-entropy of rows of probabilities against true classes.

    Parameters
    ----------
    coding_dist : tensor, ``(batch, classes)``
        Probabilities, as :func:`softmax` gives them.
    true_dist : tensor, ``(batch, classes)`` or integer vector, ``(batch,)``
        Target probabilities, or the index of the true class.

    Returns
    -------
    vector, ``(batch,)``

    Raises
    ------
    TypeError
        Targets of another number of dimensions, or class indices that are not integers.
    """
    coding_dist, true_dist = map(pt.as_tensor_variable, (coding_dist, true_dist))
    if true_dist.ndim == coding_dist.ndim:
        return -pt.sum(true_dist * pt.log(coding_dist), axis=coding_dist.ndim - 1)
    if true_dist.ndim == coding_dist.ndim - 1 and "int" in true_dist.dtype:
        rows = pt.arange(true_dist.shape[0])
        return -pt.log(coding_dist)[rows, true_dist]
    raise TypeError(
        f"Targets of cross-entropy are probabilities with {coding_dist.ndim} axes or integer classes with "
        f"{coding_dist.ndim - 1}; got {true_dist.type}"
    )


def softmax_with_bias(x, b):
    """``softmax(x + b)``."""
    return softmax(x + b)


def crossentropy_categorical_1hot(coding_dist, true_one_of_n):
    """:func:`categorical_crossentropy` of true classes."""
    return categorical_crossentropy(coding_dist, true_one_of_n)


def crossentropy_softmax_1hot(x, y_idx, **kwargs):
    """Cross-entropy of ``softmax(x)`` against classes ``y_idx``, and ``softmax(x)``."""
    return _crossentropy_softmax(x, y_idx)[:2]


def crossentropy_softmax_1hot_with_bias(x, b, y_idx, **kwargs):
    """:func:`crossentropy_softmax_1hot` of ``x + b``."""
    return _crossentropy_softmax(x + b, y_idx)[:2]


def crossentropy_softmax_argmax_1hot_with_bias(x, b, y_idx, **kwargs):
    """Cross-entropy of ``softmax(x + b)`` against classes, ``softmax(x + b)``, and the likeliest classes."""
    loss, probabilities, _, classes = _crossentropy_softmax(x + b, y_idx)
    return loss, probabilities, classes.astype(pt.as_tensor_variable(y_idx).dtype)


def crossentropy_softmax_max_and_argmax_1hot(x, y_idx, **kwargs):
    """Cross-entropy of ``softmax(x)`` against classes, ``softmax(x)``, its maxima, and where they are."""
    return _crossentropy_softmax(x, y_idx)


def crossentropy_softmax_max_and_argmax_1hot_with_bias(x, b, y_idx, **kwargs):
    """:func:`crossentropy_softmax_max_and_argmax_1hot` of ``x + b``."""
    return _crossentropy_softmax(x + b, y_idx)


def _crossentropy_softmax(x, y_idx):
    probabilities = softmax(x)
    loss = -logsoftmax(x)[pt.arange(y_idx.shape[0]), y_idx]
    return loss, probabilities, pt.max(probabilities, axis=-1), pt.argmax(probabilities, axis=-1)


def h_softmax(x, batch_size, n_outputs, n_classes, n_outputs_per_class, W1, b1, W2, b2, target=None):
    """Softmax in two levels: of classes, then of the outputs within a class.

    Parameters
    ----------
    x : tensor, ``(batch_size, features)``
    batch_size, n_outputs, n_classes, n_outputs_per_class : int
        Outputs are numbered class by class; the last class may have some too many, which are left out.
    W1 : tensor, ``(features, n_classes)``
    b1 : tensor, ``(n_classes,)``
    W2 : tensor, ``(n_classes, features, n_outputs_per_class)``
    b2 : tensor, ``(n_classes, n_outputs_per_class)``
    target : integer vector, ``(batch_size,)``, optional

    Returns
    -------
    tensor, ``(batch_size, n_outputs)``, or ``(batch_size,)``
        Probabilities of all outputs, or those of ``target``.
    """
    of_class = softmax(pt.dot(x, W1) + b1)
    if target is None:
        scores = pt.tensordot(x, W2, axes=(1, 1)) + b2
        outputs = of_class[:, :, None] * _softmax(scores, axis=-1)
        return outputs.reshape((batch_size, -1))[:, :n_outputs]
    rows, target = pt.arange(batch_size), target.flatten()
    group, member = target // n_outputs_per_class, target % n_outputs_per_class
    scores = pt.sum(x[:, :, None] * W2[group], axis=1) + b2[group]
    return of_class[rows, group] * softmax(scores)[rows, member]


def confusion_matrix(actual, pred):
    """Count pairs of classes.

    Parameters
    ----------
    actual, pred : integer vector, ``(samples,)``

    Returns
    -------
    counts : tensor, ``(classes, classes)``
        How often the class of a row was taken for that of a column.
    order : vector, ``(classes,)``
        The classes that occur, sorted.

    Raises
    ------
    ValueError
        An argument is no vector.
    """
    actual, pred = map(pt.as_tensor_variable, (actual, pred))
    if (actual.ndim, pred.ndim) != (1, 1):
        raise ValueError(f"confusion_matrix takes two vectors; got {actual.ndim} and {pred.ndim} axes")
    order = pt.unique(pt.concatenate([actual, pred]))
    is_actual, is_pred = (pt.eq(v[:, None], order).astype("int64") for v in (actual, pred))
    return [pt.dot(is_actual.T, is_pred), order]


def _like(value, x):
    """A number in the precision of ``x``; PyTensor would give it that of floatX, be ``x`` finer or not."""
    dtype = str(getattr(x, "dtype", ""))
    return np.asarray(value, dtype) if isinstance(value, float) and "float" in dtype else value
