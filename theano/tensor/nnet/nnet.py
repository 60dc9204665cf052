"""Nonlinearities and cross-entropies, in Theano's forms."""

import numpy as np
import pytensor.tensor as pt
from pytensor.tensor.math import sigmoid, softplus
from pytensor.tensor.special import log_softmax as _log_softmax
from pytensor.tensor.special import softmax as _softmax

__all__ = [
    "binary_crossentropy",
    "categorical_crossentropy",
    "elu",
    "hard_sigmoid",
    "log_softmax",
    "logsoftmax",
    "relu",
    "sigmoid",
    "sigmoid_binary_crossentropy",
    "softmax",
    "softplus",
    "softsign",
    "ultra_fast_sigmoid",
]


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


def _like(value, x):
    """A number in the precision of ``x``; PyTensor would give it that of floatX, be ``x`` finer or not."""
    dtype = str(getattr(x, "dtype", ""))
    return np.asarray(value, dtype) if isinstance(value, float) and "float" in dtype else value
