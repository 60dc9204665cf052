"""Convolution over one to three trailing axes, and its two gradients.

One Op computes the correlation of an image with a kernel, two more its transposes. JAX runs them with
channels last, which its CPU convolutions prefer by a factor of two; what lies between them follows, by
``theano.compile.channels_last``. The NumPy versions walk the kernel tap by tap.
"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytensor.tensor as pt
from pytensor.gradient import disconnected_type
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op

from theano.compile.channels_last import Last, channels_last
from theano.compile.translation import jax_version
from theano.tensor.nnet.absent import absent
from theano.versions import shape_rule

__all__ = [
    "AbstractConv2d_gradInputs",
    "AbstractConv2d_gradWeights",
    "AbstractConv3d_gradInputs",
    "AbstractConv3d_gradWeights",
    "Correlation",
    "CorrelationGradInputs",
    "CorrelationGradWeights",
    "bilinear_upsampling",
    "causal_conv1d",
    "conv2d",
    "conv2d_grad_wrt_inputs",
    "conv2d_grad_wrt_weights",
    "conv3d",
    "conv3d_grad_wrt_inputs",
    "conv3d_grad_wrt_weights",
    "get_conv_output_shape",
    "separable_conv2d",
    "separable_conv3d",
]

bilinear_upsampling = absent("abstract_conv.bilinear_upsampling")
causal_conv1d = absent("abstract_conv.causal_conv1d")
separable_conv2d = absent("abstract_conv.separable_conv2d")
separable_conv3d = absent("abstract_conv.separable_conv3d")


class _Geometry(Op):
    """What the three Ops share: padding, strides, dilation and groups.

    Parameters
    ----------
    pad : 'valid', 'half', 'full', or tuple of (int, int)
        Zeros before and after each axis. ``'half'`` is half the kernel, ``'full'`` all but one of it.
    stride, dilation : tuple of int
    groups : int
        Channels and filters are divided into this many groups; filters use the channels of their group.
    channels_last : bool
        Images and their gradients are ``(batch, ..., channels)``, not ``(batch, channels, ...)``. Kernels are
        ``(filters, channels, ...)`` in both cases.
    """

    __props__ = ("pad", "stride", "dilation", "groups", "channels_last")

    def __init__(self, pad, stride, dilation, groups=1, channels_last=False):
        self.pad, self.stride, self.dilation, self.groups = pad, stride, dilation, groups
        self.channels_last = channels_last

    def with_channels_last(self):
        """The same Op on images that are channels last."""
        return type(self)(self.pad, self.stride, self.dilation, self.groups, channels_last=True)

    def to_first(self, lengths):
        """Lengths of an image or of its gradient, those of the channels second."""
        return (lengths[0], lengths[-1], *lengths[1:-1]) if self.channels_last else tuple(lengths)

    def from_first(self, lengths):
        """Inverse of :meth:`to_first`."""
        return (lengths[0], *lengths[2:], lengths[1]) if self.channels_last else tuple(lengths)

    def first(self, image):
        """An image or its gradient, channels first."""
        return image.transpose(self.to_first(range(image.ndim)))

    def unfirst(self, image):
        """Inverse of :meth:`first`."""
        return image.transpose(self.from_first(range(image.ndim)))

    def widths(self, kernel):
        """Zeros before and after each axis, for a kernel of the given lengths."""
        spans = [(k - 1) * d + 1 for k, d in zip(kernel, self.dilation, strict=True)]
        if self.pad == "valid":
            return [(0, 0) for _ in spans]
        if self.pad == "half":
            return [(s // 2, s // 2) for s in spans]
        if self.pad == "full":
            return [(s - 1, s - 1) for s in spans]
        return list(self.pad)

    def output_lengths(self, image, kernel):
        """Output lengths along the trailing axes; None where an input length is."""
        known = [k if k is not None else 1 for k in kernel]
        axes = zip(image, kernel, self.widths(known), self.stride, self.dilation, strict=True)
        lengths = tuple(
            None if n is None or k is None else (n + sum(p) - (k - 1) * d - 1) // s + 1
            for n, k, p, s, d in axes
        )
        if any(n is not None and n < 1 for n in lengths):
            raise ValueError(
                f"A kernel of {tuple(kernel)}, dilated by {self.dilation}, does not fit on an image of "
                f"{tuple(image)} with padding {self.pad!r}"
            )
        return lengths

    def check(self, image, kernel):
        """Raise if image and kernel do not fit together."""
        if image.type.ndim != kernel.type.ndim:
            raise TypeError(
                f"Image and kernel of a convolution have as many axes; got {image.type.ndim} and "
                f"{kernel.type.ndim}"
            )
        channels, (filters, fan_in) = self.to_first(image.type.shape)[1], kernel.type.shape[:2]
        if None not in (channels, fan_in) and channels != fan_in * self.groups:
            raise ValueError(
                f"A convolution of {channels} channels in {self.groups} group(s) needs kernels of "
                f"{channels // self.groups}; these have {fan_in}"
            )
        if filters is not None and filters % self.groups:
            raise ValueError(f"{filters} filters cannot be cut into {self.groups} groups")

    def taps(self, padded, out, kernel):
        """Yield each kernel position and the window of a padded image that it multiplies, channels first."""
        for tap in itertools.product(*map(range, kernel)):
            window = tuple(
                slice(i * d, i * d + (o - 1) * s + 1, s)
                for i, o, s, d in zip(tap, out, self.stride, self.dilation, strict=True)
            )
            yield (..., *tap), padded[(..., *window)]

    def pad_image(self, image, kernel):
        """Image with zeros around it, channels first."""
        return np.pad(image, [(0, 0), (0, 0), *self.widths(kernel)])

    def split(self, array, axis):
        """Cut an axis of channels into groups: ``(..., groups, channels/groups, ...)``."""
        shape = array.shape
        cut = (self.groups, shape[axis] // self.groups)
        return array.reshape(shape[:axis] + cut + shape[axis + 1 :])

    def mixes_channels(self, kernel):
        """Whether this is a product of each pixel's channels with a matrix."""
        ones = set(kernel.shape[2:]) == set(self.stride) == {1} and self.groups == 1
        return ones and not any(map(any, self.widths(kernel.shape[2:])))

    def lax_convolve(self, image, kernel, to_transpose=False):
        """The correlation in XLA, channels last inside. ``to_transpose``: for its gradient to the image."""
        n = kernel.ndim - 2
        names = "DHW"[-n:]
        image = image if self.channels_last else image.transpose(0, *range(2, n + 2), 1)
        spans = [(k - 1) * d + 1 for k, d in zip(kernel.shape[2:], self.dilation, strict=True)]
        widths = self.widths(kernel.shape[2:])
        if to_transpose:
            image, widths = pad_if_long(image, widths, spans)
        if self.mixes_channels(kernel):
            # XLA's convolution would bring the image into another order for the gradient to the kernel.
            out = jnp.tensordot(image, kernel.reshape(kernel.shape[:2]).T, 1, precision="highest")
        else:
            out = jax.lax.conv_general_dilated(
                image,
                kernel.transpose(*range(2, n + 2), 1, 0),
                window_strides=self.stride,
                padding=widths,
                rhs_dilation=self.dilation,
                dimension_numbers=(f"N{names}C", f"{names}IO", f"N{names}C"),
                feature_group_count=self.groups,
                precision=jax.lax.Precision.HIGHEST,
            )
        return out if self.channels_last else out.transpose(0, n + 1, *range(1, n + 1))


def pads_less(widths, spans):
    """Whether padding is shorter than what a kernel spans, along all axes."""
    return all(max(p) < s for p, s in zip(widths, spans, strict=True))


def pad_if_long(image, widths, spans):
    """An image, channels last, padded if the padding is as long as a kernel, and the padding that is left.

    XLA would give it a gradient that pads by negative widths, and its CPU code then reads what lies beside
    the array.
    """
    if pads_less(widths, spans):
        return image, widths
    return jnp.pad(image, [(0, 0), *widths, (0, 0)]), [(0, 0)] * len(widths)


class Correlation(_Geometry):
    """``out[b, o, y] = sum_c,k image[b, c, y * stride + k * dilation - pad] * kernel[o, c, k]``.

    With ``channels_last``, ``image[b, ..., c]`` gives ``out[b, y, o]``.
    """

    def make_node(self, image, kernel):
        image, kernel = map(pt.as_tensor_variable, (image, kernel))
        self.check(image, kernel)
        batch, _, *positions = self.to_first(image.type.shape)
        lengths = self.output_lengths(positions, kernel.type.shape[2:])
        shape = self.from_first((batch, kernel.type.shape[0], *lengths))
        dtype = np.result_type(image.type.dtype, kernel.type.dtype)
        return Apply(self, [image, kernel], [pt.TensorType(dtype, shape=shape)()])

    def perform(self, node, inputs, output_storage):
        image, kernel = self.first(inputs[0]), inputs[1]
        if image.shape[1] != kernel.shape[1] * self.groups:
            raise ValueError(
                f"A convolution of {image.shape[1]} channels in {self.groups} group(s) met kernels of "
                f"{kernel.shape[1]}"
            )
        out = self.output_lengths(image.shape[2:], kernel.shape[2:])
        total = np.zeros((len(image), self.groups, len(kernel) // self.groups, *out), node.outputs[0].dtype)
        filters = self.split(kernel, 0)
        for tap, window in self.taps(self.pad_image(image, kernel.shape[2:]), out, kernel.shape[2:]):
            total += np.einsum("bgc...,goc->bgo...", self.split(window, 1), filters[tap])
        output_storage[0][0] = self.unfirst(total.reshape(len(image), len(kernel), *out))

    @shape_rule
    def infer_shape(self, node, shapes):
        image, kernel = self.to_first(shapes[0]), shapes[1]
        widths = self.widths(kernel[2:])
        axes = zip(image[2:], kernel[2:], widths, self.stride, self.dilation, strict=True)
        lengths = [(n + sum(p) - (k - 1) * d - 1) // s + 1 for n, k, p, s, d in axes]
        return [self.from_first((image[0], kernel[0], *lengths))]

    def pullback(self, inputs, outputs, cotangents):
        image, kernel = inputs
        (g,) = cotangents
        props = self._props()
        return [
            CorrelationGradInputs(*props)(image, kernel, g).astype(image.dtype),
            CorrelationGradWeights(*props)(image, kernel, g).astype(kernel.dtype),
        ]


@jax_version(Correlation)
def _jax_correlation(op, node, **kwargs):
    dtype = node.outputs[0].type.dtype
    return lambda image, kernel: op.lax_convolve(image.astype(dtype), kernel.astype(dtype))


@channels_last.register(Correlation)
def _last_correlation(op, node, images):
    image, kernel = node.inputs
    if kernel.ndim != 4:
        return None
    return [Last(op.with_channels_last()(images.last(image), images.first(kernel)))]


class CorrelationGradInputs(_Geometry):
    """Gradient of :class:`Correlation` to the image, of which only the shape is read."""

    def make_node(self, image, kernel, g):
        image, kernel, g = map(pt.as_tensor_variable, (image, kernel, g))
        self.check(image, kernel)
        dtype = np.result_type(kernel.type.dtype, g.type.dtype)
        return Apply(self, [image, kernel, g], [pt.TensorType(dtype, shape=image.type.shape)()])

    def perform(self, node, inputs, output_storage):
        kernel = inputs[1]
        image, g = map(self.first, inputs[::2])
        padded = np.zeros_like(self.pad_image(image, kernel.shape[2:]), node.outputs[0].dtype)
        filters, gradient = self.split(kernel, 0), self.split(g, 1)
        for tap, window in self.taps(padded, g.shape[2:], kernel.shape[2:]):
            window += np.einsum("bgo...,goc->bgc...", gradient, filters[tap]).reshape(window.shape)
        inner = tuple(
            slice(before, before + n)
            for (before, _), n in zip(self.widths(kernel.shape[2:]), image.shape[2:], strict=True)
        )
        output_storage[0][0] = self.unfirst(padded[(..., *inner)]).copy()

    @shape_rule
    def infer_shape(self, node, shapes):
        return [shapes[0]]

    def connection_pattern(self, node):
        return [[False], [True], [True]]

    def pullback(self, inputs, outputs, cotangents):
        _, kernel, g = inputs
        (gg,) = cotangents
        props = self._props()
        to_kernel = CorrelationGradWeights(*props)(gg, kernel, g).astype(kernel.dtype)
        return [disconnected_type(), to_kernel, Correlation(*props)(gg, kernel).astype(g.dtype)]


@jax_version(CorrelationGradInputs)
def _jax_grad_inputs(op, node, **kwargs):
    dtype = node.outputs[0].type.dtype

    def grad_inputs(image, kernel, g):
        kernel = kernel.astype(dtype)
        shape = jax.ShapeDtypeStruct(image.shape, dtype)
        return jax.linear_transpose(lambda i: op.lax_convolve(i, kernel, True), shape)(g.astype(dtype))[0]

    return grad_inputs


@channels_last.register(CorrelationGradInputs)
def _last_grad_inputs(op, node, images):
    image, kernel, g = node.inputs
    if kernel.ndim != 4:
        return None
    return [Last(op.with_channels_last()(images.last(image), images.first(kernel), images.last(g)))]


class CorrelationGradWeights(_Geometry):
    """Gradient of :class:`Correlation` to the kernel, of which only the shape is read."""

    def make_node(self, image, kernel, g):
        image, kernel, g = map(pt.as_tensor_variable, (image, kernel, g))
        self.check(image, kernel)
        dtype = np.result_type(image.type.dtype, g.type.dtype)
        return Apply(self, [image, kernel, g], [pt.TensorType(dtype, shape=kernel.type.shape)()])

    def perform(self, node, inputs, output_storage):
        kernel = inputs[1]
        image, g = map(self.first, inputs[::2])
        out = np.zeros(kernel.shape, node.outputs[0].dtype)
        filters, gradient = self.split(out, 0), self.split(g, 1)
        padded = self.pad_image(image, kernel.shape[2:])
        positions = "xyz"[: g.ndim - 2]
        for tap, window in self.taps(padded, g.shape[2:], kernel.shape[2:]):
            filters[tap] = np.einsum(f"bgc{positions},bgo{positions}->goc", self.split(window, 1), gradient)
        output_storage[0][0] = out

    @shape_rule
    def infer_shape(self, node, shapes):
        return [shapes[1]]

    def connection_pattern(self, node):
        return [[True], [False], [True]]

    def pullback(self, inputs, outputs, cotangents):
        image, _, g = inputs
        (gg,) = cotangents
        props = self._props()
        to_image = CorrelationGradInputs(*props)(image, gg, g).astype(image.dtype)
        return [to_image, disconnected_type(), Correlation(*props)(image, gg).astype(g.dtype)]


@jax_version(CorrelationGradWeights)
def _jax_grad_weights(op, node, **kwargs):
    dtype = node.outputs[0].type.dtype

    def grad_weights(image, kernel, g):
        image = image.astype(dtype)
        shape = jax.ShapeDtypeStruct(kernel.shape, dtype)
        return jax.linear_transpose(lambda k: op.lax_convolve(image, k), shape)(g.astype(dtype))[0]

    return grad_weights


@channels_last.register(CorrelationGradWeights)
def _last_grad_weights(op, node, images):
    image, kernel, g = node.inputs
    if kernel.ndim != 4:
        return None
    return [op.with_channels_last()(images.last(image), images.first(kernel), images.last(g))]


def conv2d(
    input,
    filters,
    input_shape=None,
    filter_shape=None,
    border_mode="valid",
    subsample=(1, 1),
    filter_flip=True,
    image_shape=None,
    filter_dilation=(1, 1),
    num_groups=1,
    **kwargs,
):
    """Convolve images with filters.

    Parameters
    ----------
    input : tensor, ``(batch, channels, rows, columns)``
    filters : tensor, ``(filters, channels / num_groups, rows, columns)``
    input_shape, image_shape, filter_shape : tuple of (int or None), optional
        Lengths known beforehand.
    border_mode : {'valid', 'full', 'half'}, int, pair of int, or pair of pairs of int
        Zeros around the image: none, all but one of the filter, half of it, or as many as given, the
        same on both sides or before and after.
    subsample, filter_dilation : pair of int
        Steps between windows, and between the elements that a filter meets.
    filter_flip : bool
        Turn the filters around, as convolution is defined. ``False`` gives correlation.
    num_groups : int

    Returns
    -------
    tensor, ``(batch, filters, output rows, output columns)``

    Raises
    ------
    ValueError
        A border mode, stride or dilation that does not exist.
    NotImplementedError
        An option that this function does not have.
    """
    return _convolve(
        2,
        input,
        filters,
        image_shape if input_shape is None else input_shape,
        filter_shape,
        _geometry(2, border_mode, subsample, filter_dilation, num_groups, kwargs),
        filter_flip,
    )


def conv3d(
    input,
    filters,
    input_shape=None,
    filter_shape=None,
    border_mode="valid",
    subsample=(1, 1, 1),
    filter_flip=True,
    filter_dilation=(1, 1, 1),
    num_groups=1,
    **kwargs,
):
    """Convolve volumes with filters; see :func:`conv2d`."""
    geometry = _geometry(3, border_mode, subsample, filter_dilation, num_groups, kwargs)
    return _convolve(3, input, filters, input_shape, filter_shape, geometry, filter_flip)


def get_conv_output_shape(image_shape, kernel_shape, border_mode, subsample, filter_dilation=None):
    """Lengths of a convolution's output, None where they are not known: ``(batch, filters, ...)``."""
    ndim = len(image_shape) - 2
    geometry = _geometry(ndim, border_mode, subsample, filter_dilation or (1,) * ndim, 1, {})
    lengths = Correlation(*geometry).output_lengths(image_shape[2:], kernel_shape[2:])
    return (image_shape[0], kernel_shape[0], *lengths)


def conv2d_grad_wrt_inputs(
    output_grad,
    filters,
    input_shape,
    filter_shape=None,
    border_mode="valid",
    subsample=(1, 1),
    filter_flip=True,
    filter_dilation=(1, 1),
    num_groups=1,
):
    """Gradient of :func:`conv2d` to images of shape ``input_shape``: transposed convolution.

    Of ``input_shape``, batch size and channels may be None.
    """
    geometry = _geometry(2, border_mode, subsample, filter_dilation, num_groups, {})
    return _grad_inputs(output_grad, filters, input_shape, filter_shape, geometry, filter_flip)


def conv2d_grad_wrt_weights(
    input,
    output_grad,
    filter_shape,
    input_shape=None,
    border_mode="valid",
    subsample=(1, 1),
    filter_flip=True,
    filter_dilation=(1, 1),
    num_groups=1,
):
    """Gradient of :func:`conv2d` to filters of shape ``filter_shape``.

    Of ``filter_shape``, both numbers of channels may be None.
    """
    geometry = _geometry(2, border_mode, subsample, filter_dilation, num_groups, {})
    return _grad_weights(input, output_grad, filter_shape, input_shape, geometry, filter_flip)


def conv3d_grad_wrt_inputs(
    output_grad,
    filters,
    input_shape,
    filter_shape=None,
    border_mode="valid",
    subsample=(1, 1, 1),
    filter_flip=True,
    filter_dilation=(1, 1, 1),
    num_groups=1,
):
    """Gradient of :func:`conv3d` to volumes; see :func:`conv2d_grad_wrt_inputs`."""
    geometry = _geometry(3, border_mode, subsample, filter_dilation, num_groups, {})
    return _grad_inputs(output_grad, filters, input_shape, filter_shape, geometry, filter_flip)


def conv3d_grad_wrt_weights(
    input,
    output_grad,
    filter_shape,
    input_shape=None,
    border_mode="valid",
    subsample=(1, 1, 1),
    filter_flip=True,
    filter_dilation=(1, 1, 1),
    num_groups=1,
):
    """Gradient of :func:`conv3d` to filters; see :func:`conv2d_grad_wrt_weights`."""
    geometry = _geometry(3, border_mode, subsample, filter_dilation, num_groups, {})
    return _grad_weights(input, output_grad, filter_shape, input_shape, geometry, filter_flip)


def AbstractConv2d_gradInputs(
    imshp=None,
    kshp=None,
    border_mode="valid",
    subsample=(1, 1),
    filter_flip=True,
    filter_dilation=(1, 1),
    num_groups=1,
):
    """:func:`conv2d_grad_wrt_inputs` as Theano's Op: call the result on filters, gradient and lengths."""
    return _inputs_op(2, imshp, kshp, filter_flip, border_mode, subsample, filter_dilation, num_groups)


def AbstractConv3d_gradInputs(
    imshp=None,
    kshp=None,
    border_mode="valid",
    subsample=(1, 1, 1),
    filter_flip=True,
    filter_dilation=(1, 1, 1),
    num_groups=1,
):
    """Like :func:`AbstractConv2d_gradInputs`, for volumes."""
    return _inputs_op(3, imshp, kshp, filter_flip, border_mode, subsample, filter_dilation, num_groups)


def AbstractConv2d_gradWeights(imshp=None, kshp=None, **options):
    """:func:`conv2d_grad_wrt_weights` as Theano's Op: call the result on images, gradient and lengths."""
    return _weights_op(2, conv2d_grad_wrt_weights, imshp, kshp, options)


def AbstractConv3d_gradWeights(imshp=None, kshp=None, **options):
    """Like :func:`AbstractConv2d_gradWeights`, for volumes."""
    return _weights_op(3, conv3d_grad_wrt_weights, imshp, kshp, options)


def _weights_op(ndim, gradient, imshp, kshp, options):
    def op(input, output_grad, lengths):
        shape = (*(kshp or (None, None))[:2], *(lengths[i] for i in range(ndim)))
        return gradient(input, output_grad, shape, imshp, **options)

    return op


def _inputs_op(ndim, imshp, kshp, filter_flip, *options):
    def op(filters, output_grad, lengths):
        shape = (*(imshp or (None, None))[:2], *(lengths[i] for i in range(ndim)))
        geometry = _geometry(ndim, *options, {})
        return _grad_inputs(output_grad, filters, shape, kshp, geometry, filter_flip)

    return op


def _grad_inputs(output_grad, filters, input_shape, filter_shape, geometry, filter_flip):
    filters = _with_shape(pt.as_tensor_variable(filters), filter_shape)
    output_grad = pt.as_tensor_variable(output_grad)
    op = CorrelationGradInputs(*geometry)
    defaults = (output_grad.shape[0], filters.shape[1] * op.groups)
    image = _zeros(input_shape, defaults, output_grad.dtype)
    return op(image, _flip(filters) if filter_flip else filters, output_grad)


def _grad_weights(input, output_grad, filter_shape, input_shape, geometry, filter_flip):
    input = _with_shape(pt.as_tensor_variable(input), input_shape)
    output_grad = pt.as_tensor_variable(output_grad)
    op = CorrelationGradWeights(*geometry)
    defaults = (output_grad.shape[1], input.shape[1] // op.groups)
    gradient = op(input, _zeros(filter_shape, defaults, output_grad.dtype), output_grad)
    return _flip(gradient) if filter_flip else gradient


def _zeros(shape, defaults, dtype):
    shape = [d if n is None else n for n, d in zip(shape, (*defaults, *shape[2:]), strict=True)]
    return pt.zeros(shape, dtype=dtype)


def _convolve(ndim, input, filters, input_shape, filter_shape, geometry, filter_flip):
    input = _with_shape(pt.as_tensor_variable(input), input_shape)
    filters = _with_shape(pt.as_tensor_variable(filters), filter_shape)
    for name, tensor in (("images", input), ("filters", filters)):
        if tensor.ndim != ndim + 2:
            raise TypeError(f"conv{ndim}d takes {name} of {ndim + 2} axes; got {tensor.ndim}")
    return Correlation(*geometry)(input, _flip(filters) if filter_flip else filters)


def _geometry(ndim, border_mode, subsample, dilation, groups, others):
    others = {k: v for k, v in others.items() if v is not None and v is not False}
    if others:
        raise NotImplementedError(
            f"conv{ndim}d has no option {', '.join(others)}; nearest are border_mode, subsample, "
            "filter_flip, filter_dilation and num_groups"
        )
    if isinstance(border_mode, str):
        if border_mode not in ("valid", "half", "full"):
            raise ValueError(f"border_mode is {border_mode!r}; it takes 'valid', 'half', 'full' or integers")
        pad = border_mode
    else:
        sides = (border_mode,) * ndim if np.ndim(border_mode) == 0 else tuple(border_mode)
        pad = tuple(tuple(map(int, p)) if np.ndim(p) else (int(p), int(p)) for p in sides)
        if len(pad) != ndim or min(map(min, pad)) < 0:
            raise ValueError(
                f"border_mode is {border_mode!r}; it takes {ndim} integers that are not negative"
            )
    stride, dilation = tuple(map(int, subsample)), tuple(map(int, dilation))
    for name, value in (("subsample", stride), ("filter_dilation", dilation)):
        if len(value) != ndim or min(value) < 1:
            raise ValueError(f"{name} is {value}; it takes {ndim} positive integers")
    if groups < 1:
        raise ValueError(f"num_groups is {groups}; it takes a positive integer")
    return pad, stride, dilation, int(groups)


def _with_shape(tensor, shape):
    if shape is None:
        return tensor
    known = [int(n) if isinstance(n, int | np.integer) else None for n in shape]
    return pt.specify_shape(tensor, known) if any(n is not None for n in known) else tensor


def _flip(filters):
    return filters[(slice(None), slice(None)) + (slice(None, None, -1),) * (filters.ndim - 2)]
