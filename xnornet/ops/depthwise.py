"""Depthwise convolutions in XLA, tap by tap: a tap adds a product of elements, and XLA fuses the taps.

Packing bits would not help, as a filter uses a single channel. XLA's own convolution takes several times as
long on a CPU.
"""

import jax
import jax.numpy as jnp

__all__ = ["convolve", "filter_gradient", "image_gradient"]


def convolve(H, B, geometry):
    """Depthwise convolution, as ``xnornet.ops.convolution.SignConvolution`` defines it.

    Parameters
    ----------
    H : array, ``(batch, rows, columns, channels)``
    B : array, ``(filters, 1, kh, kw)``
    geometry : Geometry
        Of as many groups as there are channels.

    Returns
    -------
    array, ``(batch, output rows, output columns, filters)``
    """
    grouped = B.reshape(geometry.groups, -1, *B.shape[2:])
    total = sum(met * grouped[:, :, *tap] for tap, met in _windows(H, B.shape[2:], geometry))
    return total.reshape(*total.shape[:3], len(B))


def image_gradient(g, B, shape, geometry):
    """Gradient of :func:`convolve` to images of ``shape``."""
    images = jax.ShapeDtypeStruct(shape, g.dtype)
    return jax.linear_transpose(lambda H: convolve(H, B, geometry), images)(g)[0]


def filter_gradient(H, g, shape, geometry):
    """Gradient of :func:`convolve` to filters of ``shape``."""
    g = g.reshape(*g.shape[:3], geometry.groups, -1)
    sums = {tap: (met * g).sum((0, 1, 2)) for tap, met in _windows(H, shape[2:], geometry)}
    return jnp.stack([sums[tap] for tap in sorted(sums)], -1).reshape(shape)


def _windows(H, window, geometry):
    """Yield each tap and its pixels, ``(batch, output rows, output columns, channels, 1)``."""
    padded = jnp.pad(H, [(0, 0), *geometry.pad, (0, 0)])
    for tap, place in geometry.windows(H.shape[1:3], window):
        yield tap, padded[:, *place, :, None]
