"""Signs with a gradient, and scaling factors; products of signs are in ``convolution``."""

import jax.numpy as jnp
import numpy as np
from pytensor.gradient import disconnected_type

import theano.tensor as T
from theano.compile.channels_last import channels_last, elementwise
from theano.compile.translation import jax_version
from theano.gof import Apply, Op
from theano.tensor import TensorType
from theano.tensor.signal.pool import Pool
from theano.versions import shape_rule
from xnornet.ops import native

__all__ = ["alpha", "beta", "binarize", "box_sum", "channel_mean", "pad_widths"]


class Binarize(Op):
    """``sign(x)`` with ``sign(0) = +1``, and the straight-through gradient ``g * (|x| <= 1)``."""

    __props__ = ()

    def make_node(self, x):
        x = T.as_tensor_variable(x)
        if "float" not in x.dtype:
            raise TypeError(f"binarize takes real numbers; got {x.dtype}")
        return Apply(self, [x], [x.type()])

    def perform(self, node, inputs, output_storage):
        (x,) = inputs
        output_storage[0][0] = np.where(x >= 0, 1, -1).astype(x.dtype)

    @shape_rule
    def infer_shape(self, node, shapes):
        return shapes

    def pullback(self, inputs, outputs, cotangents):
        (x,), (g,) = inputs, cotangents
        return [g * T.le(abs(x), 1).astype(x.dtype)]


@jax_version(Binarize)
def _jax_binarize(op, **kwargs):
    return lambda x: jnp.where(x >= 0, 1, -1).astype(x.dtype)


channels_last.register(Binarize, elementwise)

binarize = Binarize()


def alpha(W, axes):
    """Scaling factor of each output channel: the mean of ``|W|`` over its fan-in.

    Parameters
    ----------
    W : tensor
    axes : tuple of int
        The axes of the fan-in.

    Returns
    -------
    vector, one number per output channel
    """
    (kept,) = set(range(W.ndim)) - {a % W.ndim for a in axes}
    return MeanMagnitude(kept)(W)


class MeanMagnitude(Op):
    """Mean of ``|W|`` over all axes but one.

    Parameters
    ----------
    kept : int
        That axis.
    """

    __props__ = ("kept",)

    def __init__(self, kept):
        self.kept = kept

    def make_node(self, W):
        W = T.as_tensor_variable(W)
        return Apply(self, [W], [TensorType(W.type.dtype, shape=(W.type.shape[self.kept],))()])

    def perform(self, node, inputs, output_storage):
        (W,) = inputs
        output_storage[0][0] = np.abs(W).mean(axis=self.others(W)).astype(W.dtype)

    @shape_rule
    def infer_shape(self, node, shapes):
        return [(shapes[0][self.kept],)]

    def others(self, W):
        """The axes that the mean is over."""
        return tuple(axis for axis in range(W.ndim) if axis != self.kept)

    def pullback(self, inputs, outputs, cotangents):
        (W,), (g,) = inputs, cotangents
        fan_in = T.prod([W.shape[axis] for axis in self.others(W)]).astype(W.dtype)
        return [SignTimes(self.kept)(W, g / fan_in)]


@jax_version(MeanMagnitude)
def _jax_mean_magnitude(op, **kwargs):
    def mean_magnitude(W):
        if op.kept == 0 and native.takes_weights(W):
            return native.mean_magnitude(W.reshape((len(W), -1)), 1)
        if op.kept == 1 and W.ndim == 2 and native.takes_weights(W):
            return native.mean_magnitude(W, 0)
        return jnp.abs(W).mean(axis=op.others(W))

    return mean_magnitude


class SignTimes(Op):
    """``sign(W) * c``, with 0 where ``W`` is 0, for a vector ``c`` along an axis of ``W``.

    Parameters
    ----------
    axis : int
    """

    __props__ = ("axis",)

    def __init__(self, axis):
        self.axis = axis

    def make_node(self, W, c):
        W, c = map(T.as_tensor_variable, (W, c))
        return Apply(self, [W, c], [W.type()])

    def along(self, W, c):
        """``c`` as an array that broadcasts over ``W``."""
        return c.reshape([-1 if axis == self.axis else 1 for axis in range(W.ndim)])

    def perform(self, node, inputs, output_storage):
        W, c = inputs
        output_storage[0][0] = (np.sign(W) * self.along(W, c)).astype(W.dtype)

    @shape_rule
    def infer_shape(self, node, shapes):
        return [shapes[0]]

    def connection_pattern(self, node):
        return [[False], [True]]

    def pullback(self, inputs, outputs, cotangents):
        (W, _), (g,) = inputs, cotangents
        others = [axis for axis in range(W.ndim) if axis != self.axis]
        return [disconnected_type(), (g * T.sgn(W)).sum(axis=others)]


@jax_version(SignTimes)
def _jax_sign_times(op, **kwargs):
    def sign_times(W, c):
        # A product with ``jnp.sign`` XLA would join with the sums that ``c`` is made of, which takes a pass
        # over the weights' gradient of its own.
        c = op.along(W, c)
        return jnp.where(W > 0, c, jnp.where(W < 0, -c, 0))

    return sign_times


def beta(I):
    """Scaling factor of each sample: the mean of ``|I|`` over the last axis, which is kept."""
    return abs(I).mean(axis=-1, keepdims=True)


def channel_mean(I, groups=1):
    """``A``, the mean of ``|I|`` over the channels of each group.

    Parameters
    ----------
    I : tensor, ``(batch, channels, h, w)``
    groups : int

    Returns
    -------
    tensor, ``(batch, groups, h, w)``
    """
    if groups == 1:
        return abs(I).mean(axis=1, keepdims=True)
    batch, channels, h, w = I.shape
    return abs(I).reshape((batch, groups, channels // groups, h, w)).mean(axis=2)


def box_sum(A, window, stride, pad, dilation=(1, 1)):
    """Sum of each window of ``A``, with zeros beyond its border; ``K`` is this over ``kh * kw``.

    Parameters
    ----------
    A : tensor, ``(..., h, w)``
    window, stride, dilation : pair of int
    pad : pair of (int, int)
        Rows and columns of zeros before and after.

    Returns
    -------
    tensor, ``(..., output h, output w)``, of the dtype of ``A``
    """
    return Pool(tuple(window), tuple(stride), tuple(pad), True, "sum", dilation=tuple(dilation))(A)


def pad_widths(pad, window):
    """Lasagne's ``pad`` as zeros before and after each axis.

    Parameters
    ----------
    pad : 'same', 'full', 'valid', int, or tuple of int
        ``'same'`` puts half the window before, rounded down, and the rest of ``window - 1`` after.
    window : tuple of int

    Returns
    -------
    tuple of (int, int)
    """
    if pad == "same":
        return tuple((w // 2, (w - 1) // 2) for w in window)
    if pad == "full":
        return tuple((w - 1, w - 1) for w in window)
    if pad == "valid":
        pad = 0
    sides = (pad,) * len(window) if isinstance(pad, int) else tuple(pad)
    return tuple((p, p) for p in sides)
