"""Products of signs on a GPU's tensor cores: parts of 8 bits times signs, summed in float32.

Each method is the fastest of those that were measured. Forward, signs are multiplied as int8. In the
gradients a sign is a bfloat16, and so is each part of a real number, so that products are exact. Gradients to
filters, and convolutions that cuDNN does not support, are products of matrices, one of which has the elements
of each window in a row.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np

__all__ = ["available", "columns", "convolve", "filter_gradient", "image_gradient", "multiply", "parts"]

# cuDNN convolves short types if the number of channels is a multiple of this.
ALIGNMENT = 16


def available():
    """Whether JAX computes on a GPU."""
    return jax.default_backend() == "gpu"


def parts(x, count):
    """The upper bits of float32, as the sum of ``count`` arrays of bfloat16.

    Parameters
    ----------
    x : float32 array
    count : int
        Each part adds 8 bits; 3 parts are exact.

    Returns
    -------
    list of bfloat16 array
    """
    result = []
    for _ in range(count):
        # Not by conversions there and back, which XLA may leave out.
        part = jax.lax.reduce_precision(x, exponent_bits=8, mantissa_bits=7)
        result.append(part.astype(jnp.bfloat16))
        x = x - part
    return result


def multiply(left, right):
    """Product of two bfloat16 matrices, in float32."""
    return jnp.matmul(left, right, precision="default", preferred_element_type=jnp.float32)


def columns(images, window, pad, stride=(1, 1)):
    """The elements of each window of padded images, in the order of taps, then channels.

    Parameters
    ----------
    images : array, ``(batch, rows, columns, channels)``
    window, stride : pair of int
    pad : pair of (int, int)

    Returns
    -------
    array, ``(batch, output rows, output columns, kh * kw * channels)``
    """
    padded = jnp.pad(images, [(0, 0), *pad, (0, 0)])
    out = [(n - k) // s + 1 for n, k, s in zip(padded.shape[1:3], window, stride, strict=True)]
    taps = []
    for i, j in np.ndindex(*window):
        rows, cols = (slice(t, t + (n - 1) * s + 1, s) for t, n, s in zip((i, j), out, stride, strict=True))
        taps.append(padded[:, rows, cols])
    return jnp.concatenate(taps, axis=-1)


def convolve(H, B, pad, stride, flip):
    """Convolution of signs, as ``xnornet.ops.convolution.SignConvolution`` defines it.

    Parameters
    ----------
    H : array, ``(batch, rows, columns, channels)``
    B : array, ``(filters, channels, kh, kw)``

    Returns
    -------
    float32 array, ``(batch, output rows, output columns, filters)``
    """
    B = _turned(B, flip)
    if not _is_aligned(B):
        windows = columns(H.astype(jnp.bfloat16), B.shape[2:], pad, stride)
        return multiply(windows, _matrix(B.astype(jnp.bfloat16)))
    out = _correlate(H.astype(jnp.int8), B.astype(jnp.int8), pad, stride, jnp.int32)
    return out.astype(jnp.float32)


def image_gradient(g, B, pad, flip):
    """Gradient of :func:`convolve` to the images, for strides of 1 and padding shorter than filters.

    Parameters
    ----------
    g : list of bfloat16 array, ``(batch, output rows, output columns, filters)``
        Parts of the gradient.
    B : array, ``(filters, channels, kh, kw)``

    Returns
    -------
    float32 array, ``(batch, rows, columns, channels)``
    """
    back = [(k - 1 - before, k - 1 - after) for k, (before, after) in zip(B.shape[2:], pad, strict=True)]
    B = _turned(B, not flip).swapaxes(0, 1).astype(jnp.bfloat16)
    if _is_aligned(B):
        return sum(_correlate(part, B, back, (1, 1), jnp.float32) for part in g)
    windows = columns(jnp.concatenate(g, axis=-1), B.shape[2:], back)
    return multiply(windows, _matrix(jnp.concatenate([B] * len(g), axis=1)))


def filter_gradient(H, g, window, pad, stride, flip):
    """Gradient of :func:`convolve` to the filters.

    Parameters
    ----------
    H : array, ``(batch, rows, columns, channels)``
    g : list of bfloat16 array, ``(batch, output rows, output columns, filters)``
        Parts of the gradient.

    Returns
    -------
    float32 array, ``(filters, channels, kh, kw)``
    """
    windows = columns(H.astype(jnp.bfloat16), window, pad, stride)
    *pixels, filters = g[0].shape
    rows = math.prod(pixels)
    g = [part.reshape(rows, filters) for part in g]
    out = multiply(windows.reshape(rows, windows.shape[-1]).T, jnp.concatenate(g, axis=1))
    out = out.reshape(*window, H.shape[-1], len(g), filters).sum(3)
    return _turned(out.transpose(3, 2, 0, 1), flip)


def _correlate(images, filters, pad, stride, dtype):
    return jax.lax.conv_general_dilated(
        images,
        filters.transpose(2, 3, 1, 0),
        stride,
        pad,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        precision="default",
        preferred_element_type=dtype,
    )


def _is_aligned(filters):
    """Whether cuDNN can convolve these filters in short types."""
    return all(channels % ALIGNMENT == 0 for channels in filters.shape[:2])


def _turned(B, flip):
    return B[:, :, ::-1, ::-1] if flip else B


def _matrix(B):
    """Filters as the columns of a matrix, their elements in the order of :func:`columns`."""
    return B.transpose(2, 3, 1, 0).reshape(math.prod(B.shape[1:]), B.shape[0])
