"""Convolutions in many small groups, in XLA, tap by tap: a tap of all filters meets all pixels at once.

XLA's own convolutions in groups take up to a hundred times as long on a CPU, above all the gradient to the
filters. Where each group has a single channel, a tap adds a product of elements, which XLA fuses.
"""

import jax
import jax.numpy as jnp

__all__ = ["convolve", "filter_gradient", "image_gradient"]


def convolve(H, B, geometry):
    """Correlation, or convolution if ``geometry.flip``, as ``xnornet.ops.convolution.SignConvolution``.

    Parameters
    ----------
    H : array, ``(batch, rows, columns, channels)``
    B : array, ``(filters, channels / groups, kh, kw)``
    geometry : Geometry

    Returns
    -------
    array, ``(batch, output rows, output columns, filters)``
    """
    filters, fan_in, *window = B.shape
    grouped = B.reshape(geometry.groups, -1, fan_in, *window)
    total = 0
    for tap, met in _windows(H, window, geometry):
        weights = grouped[:, :, :, *tap]
        if fan_in == 1:
            total += met * weights[:, :, 0]
        else:
            total += jnp.einsum("nyxgc,goc->nyxgo", met, weights, precision="highest")
    return total.reshape(*total.shape[:3], filters)


def image_gradient(g, B, shape, geometry):
    """Gradient of :func:`convolve` to images of ``shape``."""
    images = jax.ShapeDtypeStruct(shape, g.dtype)
    return jax.linear_transpose(lambda H: convolve(H, B, geometry), images)(g)[0]


def filter_gradient(H, g, shape, geometry):
    """Gradient of :func:`convolve` to filters of ``shape``."""
    g = g.reshape(*g.shape[:3], geometry.groups, -1)
    gradients = {}
    for tap, met in _windows(H, shape[2:], geometry):
        if shape[1] == 1:
            gradients[tap] = (met * g).sum((0, 1, 2))[:, :, None]
        else:
            gradients[tap] = jnp.einsum("nyxgc,nyxgo->goc", met, g, precision="highest")
    stacked = jnp.stack([gradients[tap] for tap in sorted(gradients)], -1)
    return stacked.reshape(shape)


def _windows(H, window, geometry):
    """Yield each tap of a filter and what it meets, ``(batch, output rows, output columns, groups, ...)``."""
    padded = jnp.pad(H, [(0, 0), *geometry.pad, (0, 0)])
    for tap, place in geometry.windows(H.shape[1:3], window):
        met = padded[:, *place]
        yield tap, met.reshape(*met.shape[:3], geometry.groups, -1)
