"""Batch normalization in Theano's three forms.

The statistics' parameters have the input's number of axes, or only those that are not averaged over.
"""

import numpy as np
import pytensor.tensor as pt

__all__ = ["batch_normalization", "batch_normalization_test", "batch_normalization_train"]


def batch_normalization(inputs, gamma, beta, mean, std, mode="low_mem"):
    """``(inputs - mean) * (gamma / std) + beta``, by the usual rules of broadcasting.

    ``mode`` is accepted as in Theano; without effect.
    """
    return (inputs - mean) * (gamma / std) + beta


def batch_normalization_train(
    inputs,
    gamma,
    beta,
    axes="per-activation",
    epsilon=1e-4,
    running_average_factor=0.1,
    running_mean=None,
    running_var=None,
):
    """Normalize with the mean and variance of the batch itself.

    Parameters
    ----------
    inputs : tensor, ``(batch, ...)``
    gamma, beta : tensor
        Scale and offset, of length 1 along ``axes``, or without them.
    axes : {'per-activation', 'spatial'}, int or tuple of int
        Averaged over: the batch, everything but the second axis, or as given.
    epsilon : float
        Added to the variance.
    running_average_factor : float
        Part that this batch has in the new averages.
    running_mean, running_var : tensor, optional
        Averages so far.

    Returns
    -------
    out, mean, invstd : tensor
        ``invstd`` is ``1 / sqrt(variance + epsilon)``.
    new_running_mean, new_running_var : tensor
        Only where the old ones are given. The variance among them is that of a sample, with ``n - 1``.

    Raises
    ------
    ValueError
        Axes that ``inputs`` does not have, or parameters of another number of axes.
    """
    inputs = pt.as_tensor_variable(inputs)
    axes, kept = _axes(axes, inputs.ndim)
    mean = inputs.mean(axes, keepdims=True)
    variance = pt.mean((inputs - mean) ** 2, axes, keepdims=True)
    invstd = 1 / pt.sqrt(variance + _like(epsilon, inputs))
    wide_gamma, wide_beta = (_spread(p, inputs.ndim, axes, kept) for p in (gamma, beta))
    out = (inputs - mean) * (wide_gamma * invstd) + wide_beta
    results = [mean, invstd]
    count = pt.prod([inputs.shape[a] for a in axes]).astype(inputs.dtype)
    sample_variance = variance * (count / (count - 1))
    factor = _like(running_average_factor, inputs)
    for running, statistic in ((running_mean, mean), (running_var, sample_variance)):
        if running is not None:
            results.append(_spread(running, inputs.ndim, axes, kept) * (1 - factor) + statistic * factor)
    is_narrow = pt.as_tensor_variable(gamma).ndim != inputs.ndim
    return [out] + [r.dimshuffle(kept) if is_narrow else r for r in results]


def batch_normalization_test(inputs, gamma, beta, mean, var, axes="per-activation", epsilon=1e-4):
    """Normalize with a mean and variance that are given; see :func:`batch_normalization_train`."""
    inputs = pt.as_tensor_variable(inputs)
    axes, kept = _axes(axes, inputs.ndim)
    gamma, beta, mean, var = (_spread(p, inputs.ndim, axes, kept) for p in (gamma, beta, mean, var))
    return (inputs - mean) * (gamma / pt.sqrt(var + _like(epsilon, inputs))) + beta


def _axes(axes, ndim):
    """Axes to average over, and the others."""
    if axes == "per-activation":
        axes = (0,)
    elif axes == "spatial":
        axes = (0, *range(2, ndim))
    elif isinstance(axes, int | np.integer):
        axes = (axes,)
    if isinstance(axes, str) or not axes or not all(0 <= a < ndim for a in axes):
        raise ValueError(
            f"Batch normalization over axes {axes!r} of an input with {ndim}; "
            "give 'per-activation', 'spatial', or numbers from 0 on"
        )
    axes = tuple(map(int, axes))
    return axes, tuple(a for a in range(ndim) if a not in axes)


def _spread(parameter, ndim, axes, kept):
    """A parameter with all axes of the input, broadcast along those that are averaged over."""
    parameter = pt.as_tensor_variable(parameter)
    if parameter.ndim == ndim:
        return pt.specify_broadcastable(parameter, *axes)
    if parameter.ndim != len(kept):
        raise ValueError(
            f"A parameter of batch normalization has {ndim} axes or the {len(kept)} that are not averaged "
            f"over; got {parameter.ndim}"
        )
    return parameter.dimshuffle([kept.index(a) if a in kept else "x" for a in range(ndim)])


def _like(value, tensor):
    """A number in the precision of ``tensor``; PyTensor would give it that of floatX first."""
    return (
        value.astype(tensor.dtype)
        if isinstance(value, pt.TensorVariable)
        else np.asarray(value, tensor.dtype)
    )
