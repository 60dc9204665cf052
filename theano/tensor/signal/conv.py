"""Convolution of single images, without channels."""

import pytensor.tensor as pt

from theano.tensor.nnet.abstract_conv import conv2d as _conv2d

__all__ = ["conv2d"]


def conv2d(
    input, filters, image_shape=None, filter_shape=None, border_mode="valid", subsample=(1, 1), **kwargs
):
    """Convolve every image with every filter.

    Parameters
    ----------
    input : tensor, ``(rows, columns)`` or ``(images, rows, columns)``
    filters : tensor, ``(rows, columns)`` or ``(filters, rows, columns)``
    image_shape, filter_shape : tuple of int, optional
        Accepted as in Theano; without effect.
    border_mode : {'valid', 'full'}
    subsample : pair of int

    Returns
    -------
    tensor, ``(images, filters, rows, columns)``, without an axis that was not given

    Raises
    ------
    TypeError
        Inputs of another number of axes.
    """
    input, filters = map(pt.as_tensor_variable, (input, filters))
    if not {input.ndim, filters.ndim} <= {2, 3}:
        raise TypeError(
            f"signal.conv2d takes images and filters of 2 or 3 axes; got {input.ndim} and {filters.ndim}"
        )
    images = input.dimshuffle(*["x"] * (3 - input.ndim), *range(input.ndim)).dimshuffle(0, "x", 1, 2)
    kernels = filters.dimshuffle(*["x"] * (3 - filters.ndim), *range(filters.ndim)).dimshuffle(0, "x", 1, 2)
    out = _conv2d(images, kernels, border_mode=border_mode, subsample=subsample, **kwargs)
    if filters.ndim == 2:
        out = out[:, 0]
    return out[0] if input.ndim == 2 else out
