"""The kernels as functions of JAX arrays, on one device or on several, which then compute a share each."""

import warnings
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np

from theano.compile.translation import with_64_bits
from theano.tensor.nnet.abstract_conv import pads_less
from xnornet import vectors
from xnornet.ops import amx, amx_kernels, kernels, scaling_kernels, weight_kernels
from xnornet.ops.custom_calls import CustomCall
from xnornet.ops.shares import count_shares, on_shares, padded_to
from xnornet.vectors import BLOCK, PAIR_BLOCK

__all__ = [
    "adam",
    "available",
    "convolve",
    "filter_gradient",
    "image_gradient",
    "instruction_set",
    "matrix_gradient",
    "mean_magnitude",
    "multiply",
    "prepare_convolution",
    "prepare_product",
    "prepare_scaling",
    "prepare_updates",
    "row_gradient",
    "scale_gradients",
    "takes_convolution",
    "takes_product",
    "takes_scaling",
    "takes_weights",
    "works",
]

_pack_filters = CustomCall(kernels.pack_filters)
_pack_matrix = CustomCall(kernels.pack_matrix)
_correlate = CustomCall(kernels.correlate)
_pair_filters = CustomCall(kernels.pair_filters)
_image_gradient = CustomCall(kernels.image_gradient)
_row_gradient = CustomCall(kernels.row_gradient)
_filter_gradient = CustomCall(kernels.filter_gradient)
_group_filters = CustomCall(amx_kernels.group_filters)
_amx_image_gradient = CustomCall(amx_kernels.image_gradient, "xnornet_amx_image_gradient")
_amx_filter_gradient = CustomCall(amx_kernels.filter_gradient, "xnornet_amx_filter_gradient")
_scale_gradients = CustomCall(scaling_kernels.scale_gradients)
_adam = CustomCall(weight_kernels.adam)
_mean_magnitude = CustomCall(weight_kernels.mean_magnitude)

# Number of products of a sign and a 16-bit number whose sum is sure to fit in 32 bits.
MOST_PRODUCTS = 2**16

# Largest fan-in: sums of signs then fit in 16 bits.
MOST_SIGNS = 2**15 - 1

# Weights from which on it pays to call a kernel for a pass over them.
MANY_WEIGHTS = 2**16

# Rows of a matrix that are summed at once: fewer than MOST_PRODUCTS, so that their pairs stay in a cache.
MATRIX_ROWS = 2**12


def available():
    """Whether JAX computes on the CPU, the only device that the kernels run on."""
    return jax.default_backend() == "cpu"


@cache
def works():
    """Whether XLA can call the kernels. If this version of JAX cannot, one warning gives the reason."""
    try:
        with jax.ensure_compile_time_eval(), with_64_bits():
            packed = _pack_matrix(_shape((1, 1, BLOCK), np.uint64), jnp.ones((1, 1), np.int8))
            return bool(packed[0, 0, 0] == 1)
    except Exception as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        warnings.warn(
            f"Binary layers train without their kernels, which jax {jax.__version__} does not call: {reason}",
            stacklevel=2,
        )
        return False


def instruction_set():
    """Instruction set that the kernels use, or None if they do not run. Results do not depend on it."""
    if not (available() and works()):
        return None
    return vectors.instruction_set() + " AMX" * amx.available()


def takes_convolution(images, filters, pad):
    """Whether the kernels support arrays of these shapes, in :func:`convolve` and its gradients."""
    _, channels, kh, kw = filters
    padded = pads_less(pad, (kh, kw))
    columns = images[2] + sum(pad[1]) - kw + 1
    short = channels * kh * kw <= MOST_SIGNS and max(filters[0] * kh * kw, columns) <= MOST_PRODUCTS
    return available() and min(*images, *filters) > 0 and padded and short and works()


def takes_product(rows, channels, outputs):
    """Whether the kernels support matrices of these lengths, in :func:`multiply` and its gradients."""
    short = channels <= MOST_SIGNS and outputs <= MOST_PRODUCTS
    return available() and min(rows, channels, outputs) > 0 and short and works()


def takes_weights(W):
    """Whether :func:`adam` and :func:`mean_magnitude` take an array. Several devices leave weights to XLA."""
    large = W.dtype == np.float32 and W.size >= MANY_WEIGHTS
    return available() and large and count_shares() == 1 and works()


def takes_scaling(S, K, alpha, g):
    """Whether :func:`scale_gradients` takes arrays of these shapes. Several devices leave it to XLA."""
    fit = (*K.shape, *alpha.shape) == S.shape == g.shape and S.size > 0
    real = all(a.dtype == np.float32 for a in (S, K, alpha, g))
    return available() and fit and real and count_shares() == 1 and works()


def prepare_updates():
    """Begin to compile :func:`adam` and :func:`mean_magnitude`."""
    _prepare(_adam, _mean_magnitude)


def prepare_product(gradients):
    """Start to compile :func:`multiply` in the background, with its gradients if they will be needed."""
    backward = [_row_gradient, _filter_gradient] if gradients else []
    _prepare(_pack_matrix, _correlate, *backward)


def prepare_convolution(gradients):
    """Start to compile :func:`convolve` in the background, with its gradients if they will be needed."""
    backward = [_pair_filters, _image_gradient, _filter_gradient]
    if amx.available():
        backward = [_group_filters, _amx_image_gradient, _amx_filter_gradient]
    _prepare(_pack_filters, _correlate, *(backward if gradients else []))


def prepare_scaling():
    """Start to compile :func:`scale_gradients` in the background."""
    _prepare(_scale_gradients)


def _prepare(*calls):
    if available():
        # The first is what ``works`` calls, while the others are still being compiled.
        for call in (_pack_matrix, *calls):
            call.prepare()


def convolve(H, B, pad, flip):
    """Convolution of signs.

    Parameters
    ----------
    H : int8 array, ``(images, rows, columns, channels)``
    B : int8 array, ``(filters, channels, rows, columns)``
    pad : pair of (int, int)
    flip : bool

    Returns
    -------
    int16 array, ``(images, output rows, output columns, filters)``
    """
    return on_shares(lambda H, B: _convolve(H, B, pad, flip), (H, B), (0, None), 0)


def _convolve(H, B, pad, flip):
    filters, channels, kh, kw = B.shape
    n, h, w, _ = H.shape
    blocks = -(-filters // BLOCK)
    words = _shape((blocks, kh, kw, -(-channels // kernels.WORD), BLOCK), np.uint64)
    packed, sums = _pack_filters((words, _shape((kh * kw, blocks * BLOCK), np.int32)), B, options=(flip,))
    out = _shape((n, h + sum(pad[0]) - kh + 1, w + sum(pad[1]) - kw + 1, filters), np.int16)
    return _correlate(out, H, packed, sums, options=_geometry(B.shape, pad))


def image_gradient(g, B, shape, pad, flip):
    """Gradient of :func:`convolve` to the images.

    Parameters
    ----------
    g : float32 array, ``(images, output rows, output columns, filters)``
    B : int8 array, ``(filters, channels, rows, columns)``
    shape : tuple of int
        Of the images.
    pad : pair of (int, int)
    flip : bool

    Returns
    -------
    float32 array of that shape
    """
    return on_shares(lambda g, B: _gradient_to_images(g, B, shape[1:], pad, flip), (g, B), (0, None), 0)


def _gradient_to_images(g, B, size, pad, flip):
    filters, channels, kh, kw = B.shape
    out, options = _shape((len(g), *size), np.float32), _geometry(B.shape, pad)
    if amx.available():
        blocks = -(-channels // PAIR_BLOCK) * (PAIR_BLOCK // amx.SIDE)
        groups = _shape((blocks, kh * kw, -(-filters // amx.BYTES), amx.SIDE, amx.BYTES), np.int8)
        return _amx_image_gradient(out, g, _group_filters(groups, B, options=(flip,)), options=options)
    pairs = _shape((-(-channels // PAIR_BLOCK), kh, kw, -(-filters // 2), PAIR_BLOCK), np.int32)
    return _image_gradient(out, g, _pair_filters(pairs, B, options=(flip,)), options=options)


def filter_gradient(H, g, shape, pad, flip):
    """Gradient of :func:`convolve` to the filters, a float32 array of their ``shape``."""
    options = (*_geometry(shape, pad), flip, False)
    call = _amx_filter_gradient if amx.available() else _filter_gradient

    def of_share(H, g):
        return call(_shape((g.shape[3], *shape[1:]), np.float32), H, g, options=options)

    shares = count_shares()
    if shares == 1 or len(H) // shares % _images_of_block(g.shape) == 0:
        return on_shares(of_share, (H, g), (0, 0), None)
    # Blocks of several images would differ from those on one device, so the filters are divided.
    g = padded_to(g, 3, shares * PAIR_BLOCK)
    return on_shares(of_share, (H, g), (None, 3), 0)[: shape[0]]


def _images_of_block(shape):
    """How many images ``kernels.filter_gradient`` rounds together, for a gradient of that shape."""
    images, rows, columns, _ = shape
    pairs = -(-columns // 2)
    rows = min(rows, -(-kernels.DEPTH // pairs))
    return min(images, -(-kernels.DEPTH // (pairs * rows)))


def scale_gradients(S, K, alpha, g):
    """Gradients of ``S * K * alpha``, as ``xnornet.ops.scaling`` has them.

    Parameters
    ----------
    S : int16 array, ``(images, rows, columns, filters)``
    K : float32 array, ``(images, rows, columns)``
    alpha : float32 array, ``(filters,)``
    g : float32 array, of the shape of ``S``

    Returns
    -------
    to_S, to_K, to_alpha : float32 array
        Of the shapes of ``S``, ``K`` and ``alpha``.
    """
    shapes = S.shape, K.shape, (len(S), len(alpha))
    results = tuple(_shape(shape, np.float32) for shape in shapes)
    to_S, to_K, to_alpha = _scale_gradients(results, S, K, alpha, g)
    return to_S, to_K, to_alpha.sum(0)


def multiply(H, B):
    """Product of matrices of signs.

    Parameters
    ----------
    H : int8 array, ``(rows, channels)``
    B : int8 array, ``(channels, outputs)``

    Returns
    -------
    int16 array, ``(rows, outputs)``
    """
    return on_shares(_multiply, (H, B), (0, None), 0)


def _multiply(H, B):
    (rows, channels), outputs = H.shape, B.shape[1]
    blocks = -(-outputs // BLOCK)
    packed = _pack_matrix(_shape((blocks, -(-channels // kernels.WORD), BLOCK), np.uint64), B)
    sums = jnp.zeros((1, blocks * BLOCK), np.int32)
    out = _shape((1, 1, rows, outputs), np.int16)
    return _correlate(out, H[None, None], packed, sums, options=_geometry(ONE_TAP, UNPADDED))[0, 0]


def row_gradient(g, B):
    """Gradient of :func:`multiply` to ``H``, for float32 ``g`` of ``(rows, outputs)``."""
    channels = len(B)

    def of_share(g, B):
        return _row_gradient(_shape((len(g), len(B)), np.float32), g, B)

    # All rows are one block.
    B = padded_to(B, 0, count_shares())
    return on_shares(of_share, (g, B), (None, 0), 1)[:, :channels]


def matrix_gradient(H, g):
    """Gradient of :func:`multiply` to ``B``, for float32 ``g`` of ``(rows, outputs)``."""
    outputs = g.shape[1]
    options = (*_geometry(ONE_TAP, UNPADDED), False, True)
    parts = [slice(first, first + MATRIX_ROWS) for first in range(0, len(H), MATRIX_ROWS)]

    def of_share(H, g):
        shape = _shape((H.shape[1], g.shape[1]), np.float32)
        return sum(
            _filter_gradient(shape, H[None, None, p], g[None, None, p], options=options) for p in parts
        )

    # A block is all rows of some outputs.
    if count_shares() > 1:
        g = padded_to(g, 1, count_shares() * PAIR_BLOCK)
    return on_shares(of_share, (H, g), (None, 1), 1)[:, :outputs]


def adam(p, m, v, g, numbers):
    """New weights and moments, as ``xnornet.ops.updates.Adam`` has them.

    Parameters
    ----------
    p, m, v, g : float32 array
        Weights, their moments and their gradient, of one shape.
    numbers : float32 array, ``(8,)``
        As the kernel takes them.

    Returns
    -------
    list of three arrays of that shape
    """
    return _adam((_shape(p.shape, np.float32),) * 3, p, m, v, g, numbers, options=(p.size,))


def mean_magnitude(W, axis):
    """Mean of the magnitudes of a float32 matrix over an axis."""
    if axis == 1:
        return _mean_magnitude(_shape((len(W),), np.float32), W, options=(False,))
    out = _shape((-(-len(W) // weight_kernels.ROWS), W.shape[1]), np.float32)
    return _mean_magnitude(out, W, options=(True,)).sum(0) / np.float32(len(W))


ONE_TAP, UNPADDED = (1, 1, 1, 1), ((0, 0), (0, 0))


def _shape(shape, dtype):
    return jax.ShapeDtypeStruct(shape, dtype)


def _geometry(filters, pad):
    (top, _), (left, _) = pad
    return filters[2], filters[3], left, top
