"""Convolution and product of signs as Ops, each with its two gradients.

Images are channels last here. The forward results are whole numbers, exact in whatever order they are summed.
In the gradients a sign is multiplied by a real number, in one of two arithmetics, which
:func:`gradients_in` chooses:

``"int16"``
    The default. Real numbers are rounded to 16 bits, with an error of at most 1/65534 of the largest number
    of an image or of a part of one; everything else is exact. Errors of layers' gradients stay below 1e-4 of
    the largest value. If a number is not finite, no result from its image or part is finite. Every processor
    gives the same bits. ``"float32"`` is used instead in float64, and for convolutions that the kernels do
    not support (``plain.takes_convolution``: depthwise, wide dilation, sums of more than ``2**16``). A GPU
    uses the upper 16 bits of each number and sums in float32; with groups or dilation, and in the gradient
    to images with strides or with padding as long as filters, it uses ``"float32"`` too.
``"float32"``
    Only sums are rounded. In float64 it means float64.
"""

import warnings
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
from pytensor.gradient import disconnected_type

import theano
import theano.tensor as T
from theano.compile.translation import jax_version
from theano.gof import Apply, Op
from theano.tensor import TensorType
from theano.tensor.nnet.abstract_conv import pad_if_long, pads_less
from theano.versions import shape_rule
from xnornet.catalog import ARITHMETICS
from xnornet.ops import depthwise, native, plain, tensor_cores

__all__ = ["computed_by", "convolve_signs", "gradients_in", "multiply_signs"]

_arithmetic = ContextVar("arithmetic", default="int16")


@contextmanager
def gradients_in(arithmetic):
    """Choose the arithmetic of the gradients of all layers that are built in this context.

    Parameters
    ----------
    arithmetic : str
        One of ``xnornet.catalog.ARITHMETICS``.

    Raises
    ------
    ValueError
        There is no such arithmetic.
    """
    if arithmetic not in ARITHMETICS:
        raise ValueError(f"arithmetic is {arithmetic!r}; it takes one of {', '.join(ARITHMETICS)}")
    token = _arithmetic.set(arithmetic)
    try:
        yield
    finally:
        _arithmetic.reset(token)


def computed_by(arithmetic):
    """Name of the arithmetic and of its implementation on this machine; equal names give equal gradients.

    Parameters
    ----------
    arithmetic : str
        One of ``xnornet.catalog.ARITHMETICS``.

    Returns
    -------
    str
        The arithmetic, and ``"in kernels"``, ``"on tensor cores"`` or ``"in XLA"``; ``"int16"`` in XLA is
        ``"float32"``. Layers that the kernels do not support are not considered; each layer reports that by
        its ``has_kernels``.
    """
    if theano.config.floatX != "float32":
        return f"{theano.config.floatX} in XLA"
    if arithmetic == "int16" and tensor_cores.available():
        return "int16 on tensor cores"
    if arithmetic == "int16" and native.available() and native.works():
        return "int16 in kernels"
    return "float32 in XLA"


class _Convolution(Op):
    """What the three Ops of a convolution share.

    Parameters
    ----------
    geometry : Geometry
    arithmetic : str
        Of the gradients.
    """

    __props__ = ("geometry", "arithmetic")

    def __init__(self, geometry, arithmetic):
        self.geometry, self.arithmetic = geometry, arithmetic

    def has_kernel(self, H, B, dtype):
        """Whether ``plain`` computes this with kernels."""
        return dtype == np.float32 and plain.takes_convolution(H.shape, B.shape, self.geometry)

    def windows(self, H, window):
        """Yield each tap of a filter and the elements of padded NumPy images that it is multiplied with."""
        padded = np.pad(H, [(0, 0), *self.geometry.pad, (0, 0)])
        for tap, place in self.geometry.windows(H.shape[1:3], window):
            yield tap, padded[:, *place]

    def groups(self, channels, filters):
        """Yield the channels and the filters of each group."""
        count = self.geometry.groups
        c, o = channels // count, filters // count
        for k in range(count):
            yield slice(k * c, (k + 1) * c), slice(k * o, (k + 1) * o)


class SignConvolution(_Convolution):
    """``out[n, y, x, o] = sum_ijc H[n, y * stride + i * dilation - pad, ..., c] * B[o, c, i, j]``, all signs.

    With groups, ``c`` counts the channels of the group that ``o`` belongs to.
    """

    def make_node(self, H, B):
        H, B = map(T.as_tensor_variable, (H, B))
        groups = self.geometry.groups
        channels, (filters, fan_in, *window) = H.type.shape[3], B.type.shape
        if None not in (channels, fan_in) and channels != fan_in * groups:
            raise ValueError(
                f"Filters of {fan_in} channels in {groups} group{'s' * (groups > 1)} take images of "
                f"{fan_in * groups} channels; these have {channels}"
            )
        if filters is not None and filters % groups:
            raise ValueError(f"{filters} filters cannot be divided into {groups} groups")
        lengths = self.geometry.fit(H.type.shape[1:3], window)
        return Apply(self, [H, B], [TensorType(H.type.dtype, shape=(H.type.shape[0], *lengths, filters))()])

    def perform(self, node, inputs, output_storage):
        H, B = inputs
        lengths = self.geometry.output_lengths(H.shape[1:3], B.shape[2:])
        out = np.zeros((len(H), *lengths, len(B)), H.dtype)
        for tap, met in self.windows(H, B.shape[2:]):
            for c, o in self.groups(H.shape[3], len(B)):
                out[..., o] += met[..., c] @ B[o, :, *tap].T
        output_storage[0][0] = out

    @shape_rule
    def infer_shape(self, node, shapes):
        H, B = shapes
        return [(H[0], *self.geometry.output_lengths(H[1:3], B[2:]), B[0])]

    def pullback(self, inputs, outputs, cotangents):
        H, B = inputs
        (g,) = cotangents
        props = self._props()
        return [SignConvolutionGradImages(*props)(H, B, g), SignConvolutionGradFilters(*props)(H, B, g)]


@jax_version(SignConvolution)
def _jax_sign_convolution(op, **kwargs):
    geometry = op.geometry

    def sign_convolution(H, B):
        if op.has_kernel(H, B, H.dtype):
            out = plain.convolve(_int8(H), _int8(B), geometry)
        elif _on_tensor_cores(H) and geometry.is_dense:
            out = tensor_cores.convolve(H, B, geometry.pad, geometry.stride, geometry.flip)
        elif geometry.is_depthwise(B.shape):
            out = depthwise.convolve(H, B, geometry)
        elif jax.default_backend() == "cpu":
            out = correlate(_int8(H), _int8(B), preferred_element_type=jnp.int32)
        else:
            out = correlate(H, B, precision="highest")
        return out.astype(H.dtype)

    def correlate(H, B, **options):
        count, one = _one_by_one(geometry)
        return plain.in_groups(count, lambda H, B: _correlate(one, H, B, **options), (H, B), (3, 0), 3)

    return sign_convolution


class SignConvolutionGradImages(_Convolution):
    """Gradient of :class:`SignConvolution` to the images, of which only the shape is read."""

    def make_node(self, H, B, g):
        H, B, g = map(T.as_tensor_variable, (H, B, g))
        return Apply(self, [H, B, g], [TensorType(g.type.dtype, shape=H.type.shape)()])

    def perform(self, node, inputs, output_storage):
        H, B, g = inputs
        (top, _), (left, _) = pad = self.geometry.pad
        total = np.pad(np.zeros_like(H, g.dtype), [(0, 0), *pad, (0, 0)])
        for tap, place in self.geometry.windows(H.shape[1:3], B.shape[2:]):
            for c, o in self.groups(H.shape[3], len(B)):
                total[:, *place, c] += g[..., o] @ B[o, :, *tap]
        output_storage[0][0] = total[:, top : top + H.shape[1], left : left + H.shape[2]].copy()

    @shape_rule
    def infer_shape(self, node, shapes):
        return [shapes[0]]

    def connection_pattern(self, node):
        return [[False], [True], [True]]

    def pullback(self, inputs, outputs, cotangents):
        H, B, g = inputs
        (gg,) = cotangents
        out = _convolve(gg, B, self)
        return [disconnected_type(), theano.grad((out * g).sum(), B, consider_constant=[g, gg]), out]


@jax_version(SignConvolutionGradImages)
def _jax_grad_images(op, **kwargs):
    geometry = op.geometry

    def grad_images(H, B, g):
        if op.arithmetic == "int16" and op.has_kernel(H, B, g.dtype):
            return plain.image_gradient(g, _int8(B), H.shape, geometry)
        parts = _parts(op.arithmetic, g)
        if parts and geometry.is_plain and pads_less(geometry.pad, B.shape[2:]):
            return tensor_cores.image_gradient(parts, B, geometry.pad, geometry.flip)
        B = B.astype(g.dtype)
        if geometry.is_depthwise(B.shape):
            return depthwise.image_gradient(g, B, H.shape, geometry)
        count, one = _one_by_one(geometry)
        shape = jax.ShapeDtypeStruct((*H.shape[:3], H.shape[3] // count), g.dtype)

        def of_group(g, B):
            return jax.linear_transpose(lambda H: _correlate(one, H, B, True, precision="highest"), shape)(g)[
                0
            ]

        return plain.in_groups(count, of_group, (g, B), (3, 0), 3)

    return grad_images


class SignConvolutionGradFilters(_Convolution):
    """Gradient of :class:`SignConvolution` to the filters, of which only the shape is read."""

    def make_node(self, H, B, g):
        H, B, g = map(T.as_tensor_variable, (H, B, g))
        return Apply(self, [H, B, g], [TensorType(g.type.dtype, shape=B.type.shape)()])

    def perform(self, node, inputs, output_storage):
        H, B, g = inputs
        out = np.zeros_like(B, g.dtype)
        for tap, met in self.windows(H, B.shape[2:]):
            for c, o in self.groups(H.shape[3], len(B)):
                out[o, :, *tap] = np.einsum("nyxc,nyxo->oc", met[..., c], g[..., o])
        output_storage[0][0] = out

    @shape_rule
    def infer_shape(self, node, shapes):
        return [shapes[1]]

    def connection_pattern(self, node):
        return [[True], [False], [True]]

    def pullback(self, inputs, outputs, cotangents):
        H, B, g = inputs
        (gg,) = cotangents
        out = _convolve(H, gg, self)
        return [theano.grad((out * g).sum(), H, consider_constant=[g, gg]), disconnected_type(), out]


@jax_version(SignConvolutionGradFilters)
def _jax_grad_filters(op, **kwargs):
    geometry = op.geometry

    def grad_filters(H, B, g):
        if op.arithmetic == "int16" and op.has_kernel(H, B, g.dtype):
            return plain.filter_gradient(_int8(H), g, B.shape, geometry)
        parts = _parts(op.arithmetic, g)
        if parts and geometry.is_dense:
            window = B.shape[2:]
            return tensor_cores.filter_gradient(
                H, parts, window, geometry.pad, geometry.stride, geometry.flip
            )
        H = H.astype(g.dtype)
        if geometry.is_depthwise(B.shape):
            return depthwise.filter_gradient(H, g, B.shape, geometry)
        count, one = _one_by_one(geometry)
        shape = jax.ShapeDtypeStruct((len(B) // count, *B.shape[1:]), g.dtype)

        def of_group(H, g):
            return jax.linear_transpose(lambda B: _correlate(one, H, B, precision="highest"), shape)(g)[0]

        return plain.in_groups(count, of_group, (H, g), (3, 3), 0)

    return grad_filters


def _one_by_one(geometry):
    """Number of groups to compute one after the other, and the geometry of each.

    On a CPU all of them: XLA's grouped convolutions take up to a hundred times as long, above all for the
    gradient to the filters.
    """
    if jax.default_backend() == "cpu":
        return geometry.groups, replace(geometry, groups=1)
    return 1, geometry


def _correlate(geometry, H, B, to_transpose=False, **options):
    """The convolution in XLA; if ``to_transpose``, for its gradient to the images."""
    B = B[:, :, ::-1, ::-1] if geometry.flip else B
    dims, pad = ("NHWC", "HWIO", "NHWC"), geometry.pad
    if to_transpose:
        H, pad = pad_if_long(H, pad, geometry.spans(B.shape[2:]))
    options |= {"rhs_dilation": geometry.dilation, "feature_group_count": geometry.groups}
    B = B.transpose(2, 3, 1, 0)
    return jax.lax.conv_general_dilated(H, B, geometry.stride, pad, dimension_numbers=dims, **options)


def _convolve(images, filters, op):
    """The convolution of real numbers that second derivatives consist of."""
    out = T.nnet.conv2d(
        images.dimshuffle(0, 3, 1, 2),
        filters,
        border_mode=op.geometry.pad,
        subsample=op.geometry.stride,
        filter_flip=op.geometry.flip,
        filter_dilation=op.geometry.dilation,
        num_groups=op.geometry.groups,
    )
    return out.dimshuffle(0, 2, 3, 1)


class _Product(Op):
    """What the three Ops of a product share: the arithmetic of its gradients."""

    __props__ = ("arithmetic",)

    def __init__(self, arithmetic):
        self.arithmetic = arithmetic

    def has_kernel(self, lengths, dtype):
        """Whether ``native`` computes this, for numbers of rows, channels and outputs."""
        return dtype == np.float32 and native.takes_product(*lengths)


class SignProduct(_Product):
    """``H . B``, matrices of signs."""

    def make_node(self, H, B):
        H, B = map(T.as_tensor_variable, (H, B))
        shape = (H.type.shape[0], B.type.shape[1])
        return Apply(self, [H, B], [TensorType(H.type.dtype, shape=shape)()])

    def perform(self, node, inputs, output_storage):
        H, B = inputs
        output_storage[0][0] = H @ B

    @shape_rule
    def infer_shape(self, node, shapes):
        return [(shapes[0][0], shapes[1][1])]

    def pullback(self, inputs, outputs, cotangents):
        H, B = inputs
        (g,) = cotangents
        return [SignProductGradRows(self.arithmetic)(g, B), SignProductGradMatrix(self.arithmetic)(H, g)]


@jax_version(SignProduct)
def _jax_sign_product(op, **kwargs):
    def sign_product(H, B):
        if op.has_kernel((len(H), *B.shape), H.dtype):
            return native.multiply(_int8(H), _int8(B)).astype(H.dtype)
        if _on_tensor_cores(H):
            return tensor_cores.multiply(_bfloat16(H), _bfloat16(B))
        return jnp.matmul(H, B, precision="highest")

    return sign_product


class SignProductGradRows(_Product):
    """Gradient of :class:`SignProduct` to its left factor, ``g . B'``."""

    def make_node(self, g, B):
        g, B = map(T.as_tensor_variable, (g, B))
        shape = (g.type.shape[0], B.type.shape[0])
        return Apply(self, [g, B], [TensorType(g.type.dtype, shape=shape)()])

    def perform(self, node, inputs, output_storage):
        g, B = inputs
        output_storage[0][0] = g @ B.T

    @shape_rule
    def infer_shape(self, node, shapes):
        return [(shapes[0][0], shapes[1][0])]

    def pullback(self, inputs, outputs, cotangents):
        g, B = inputs
        (gg,) = cotangents
        return [T.dot(gg, B), T.dot(gg.T, g)]


@jax_version(SignProductGradRows)
def _jax_grad_rows(op, **kwargs):
    def grad_rows(g, B):
        if op.arithmetic == "int16" and op.has_kernel((len(g), *B.shape), g.dtype):
            return native.row_gradient(g, _int8(B))
        if parts := _parts(op.arithmetic, g):
            return sum(tensor_cores.multiply(part, _bfloat16(B.T)) for part in parts)
        return jnp.matmul(g, B.T.astype(g.dtype), precision="highest")

    return grad_rows


class SignProductGradMatrix(_Product):
    """Gradient of :class:`SignProduct` to its right factor, ``H' . g``."""

    def make_node(self, H, g):
        H, g = map(T.as_tensor_variable, (H, g))
        shape = (H.type.shape[1], g.type.shape[1])
        return Apply(self, [H, g], [TensorType(g.type.dtype, shape=shape)()])

    def perform(self, node, inputs, output_storage):
        H, g = inputs
        output_storage[0][0] = H.T @ g

    @shape_rule
    def infer_shape(self, node, shapes):
        return [(shapes[0][1], shapes[1][1])]

    def pullback(self, inputs, outputs, cotangents):
        H, g = inputs
        (gg,) = cotangents
        return [T.dot(g, gg.T), T.dot(H, gg)]


@jax_version(SignProductGradMatrix)
def _jax_grad_matrix(op, **kwargs):
    def grad_matrix(H, g):
        if op.arithmetic == "int16" and op.has_kernel((*H.shape, g.shape[1]), g.dtype):
            return native.matrix_gradient(_int8(H), g)
        if parts := _parts(op.arithmetic, g):
            return sum(tensor_cores.multiply(_bfloat16(H.T), part) for part in parts)
        return jnp.matmul(H.T.astype(g.dtype), g, precision="highest")

    return grad_matrix


def _int8(signs):
    return signs.astype(jnp.int8)


def _on_tensor_cores(x):
    return tensor_cores.available() and x.dtype == np.float32


def _parts(arithmetic, g):
    """The parts of ``g`` to multiply on a GPU's tensor cores, or an empty list where these are not used."""
    return tensor_cores.parts(g, 2) if arithmetic == "int16" and _on_tensor_cores(g) else []


def _bfloat16(signs):
    return signs.astype(jnp.bfloat16)


def _warn_of_float64(H, training):
    if training and H.dtype == "float64" and theano.config.floatX == "float64":
        warnings.warn(
            "A binary layer in float64 trains without kernels, many times slower; set theano.config.floatX = "
            "'float32' before you build the network, or THEANO_FLAGS=floatX=float32",
            stacklevel=4,
        )


def convolve_signs(H, B, geometry, training=False):
    """Convolve images with filters; both are signs.

    Parameters
    ----------
    H : 4D expression, ``(batch, channels, rows, columns)``
    B : 4D expression, ``(filters, channels / groups, rows, columns)``
    geometry : Geometry
    training : bool
        Gradients will be needed: start to compile their kernels in the background.

    Returns
    -------
    4D expression, ``(batch, filters, output rows, output columns)``, of whole numbers

    Raises
    ------
    ValueError
        Filters are larger than the padded images, or channels and filters do not match the groups.
    """
    _warn_of_float64(H, training)
    native.prepare_convolution(gradients=training)
    convolution = SignConvolution(geometry, _arithmetic.get())
    return convolution(H.dimshuffle(0, 2, 3, 1), B).dimshuffle(0, 3, 1, 2)


def multiply_signs(H, B, training=False):
    """Product of signs with a matrix of signs.

    Parameters
    ----------
    H : expression, ``(..., channels)``
    B : matrix, ``(channels, outputs)``
    training : bool
        Gradients will be needed: begin to compile their kernels meanwhile.

    Returns
    -------
    expression, ``(..., outputs)``, of whole numbers
    """
    _warn_of_float64(H, training)
    native.prepare_product(gradients=training)
    product = SignProduct(_arithmetic.get())
    if H.ndim == 2:
        return product(H, B)
    rows = product(H.reshape((-1, H.shape[-1])), B)
    return rows.reshape((*(H.shape[i] for i in range(H.ndim - 1)), B.shape[1]), ndim=H.ndim)
