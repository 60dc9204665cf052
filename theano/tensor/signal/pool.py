"""Pooling over the trailing axes, with gradients.

A window is walked tap by tap: each tap is one strided slice of the padded input. Sums and maxima of taps fuse
in XLA, and the same lines run in NumPy. Where windows tile the input, JAX spreads the gradient over them at
once, which takes a half to two thirds of the time.
"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytensor.tensor as pt
from pytensor.gradient import disconnected_type, grad_not_implemented
from pytensor.graph.basic import Apply, Variable
from pytensor.graph.op import Op
from pytensor.scalar.basic import discrete_dtypes

from theano.compile.channels_last import Last, channels_last
from theano.compile.translation import jax_version
from theano.tensor.nnet.absent import absent
from theano.versions import shape_rule

__all__ = ["Pool", "PoolGrad", "max_pool_2d_same_size", "pool_2d", "pool_3d"]

max_pool_2d_same_size = absent("pool.max_pool_2d_same_size")

MODES = ("max", "sum", "average_inc_pad", "average_exc_pad")


class Pool(Op):
    """Pool windows over the last ``len(ws)`` axes, or over those before the channels.

    Parameters
    ----------
    ws : tuple of int
        Window lengths.
    stride : tuple of int
    pad : tuple of (int, int)
        Rows added before and after each axis: minus infinity for ``max``, zero otherwise.
    ignore_border : bool
        Leave out windows that reach past the padded input. Otherwise they hold what there is.
    mode : {'max', 'sum', 'average_inc_pad', 'average_exc_pad'}
        Averages divide by the number of elements in the window, padding included or not.
    channels_last : bool
        One more axis follows those that are pooled.
    dilation : tuple of int, optional
        Distance between the elements of a window, 1 if not given.
    """

    __props__ = ("ws", "stride", "pad", "ignore_border", "mode", "channels_last", "dilation")

    def __init__(self, ws, stride, pad, ignore_border, mode, channels_last=False, dilation=None):
        self.ws, self.stride, self.pad = ws, stride, pad
        self.ignore_border, self.mode = ignore_border, mode
        self.channels_last = channels_last
        self.dilation = (1,) * len(ws) if dilation is None else dilation

    def replace(self, **changes):
        """The same Op but for some of its properties."""
        return Pool(**dict(zip(self.__props__, self._props(), strict=True)) | changes)

    def with_channels_last(self):
        """The same Op with its axes before the channels."""
        return self.replace(channels_last=True)

    @property
    def spans(self):
        """Lengths from the first element of a window to the last, both included."""
        return tuple((w - 1) * d + 1 for w, d in zip(self.ws, self.dilation, strict=True))

    def cut(self, axes):
        """Cut a sequence, one item an axis, into those before, of, and after the pooled axes."""
        end = len(axes) - self.channels_last
        begin = end - len(self.ws)
        return axes[:begin], axes[begin:end], axes[end:]

    def make_node(self, x):
        x = pt.as_tensor_variable(x)
        if x.type.ndim < len(self.ws):
            raise TypeError(f"Pooling over {len(self.ws)} axes needs as many; the input has {x.type.ndim}")
        before, lengths, after = self.cut(x.type.shape)
        shape = (*before, *self.output_lengths(lengths), *after)
        return Apply(self, [x], [pt.TensorType(x.type.dtype, shape=shape)()])

    def output_lengths(self, lengths):
        """Number of windows along each pooled axis; None where the input's length is."""
        axes = zip(lengths, self.spans, self.stride, self.pad, strict=True)
        return tuple(
            None if n is None else _num_windows(n + sum(p), w, s, self.ignore_border) for n, w, s, p in axes
        )

    def perform(self, node, inputs, output_storage):
        output_storage[0][0] = self.pool(np, inputs[0])

    def pool(self, xp, x):
        """Pool an array of ``xp``, NumPy or ``jax.numpy``."""
        if self.mode == "max":
            lowest = -np.inf if np.issubdtype(x.dtype, np.floating) else np.iinfo(x.dtype).min
            taps = self.taps(xp, x, lowest)
            out = next(taps)
            for tap in taps:
                out = xp.maximum(out, tap)
            return out
        total = sum(self.taps(xp, x, 0))
        return total if self.mode == "sum" else (total / self.counts(x)).astype(x.dtype)

    def counts(self, x):
        """Elements in each window, of a shape that fits the output's; the divisor of the averages."""
        _, lengths, after = self.cut(x.shape)
        pad = self.pad
        if self.mode == "average_inc_pad":
            lengths = tuple(n + sum(p) for n, p in zip(lengths, pad, strict=True))
            pad = ((0, 0),) * len(pad)
        whole = self.replace(pad=pad, mode="sum", channels_last=False)
        counts = sum(whole.taps(np, np.ones(lengths, x.dtype), 0))
        return counts.reshape(counts.shape + (1,) * len(after))

    def taps(self, xp, x, fill):
        """Yield, for each position in the window, the elements of ``x`` that it meets."""
        before_all, lengths, after_all = self.cut(x.shape)
        out = self.output_lengths(lengths)
        widths = []
        for n, o, w, s, (before, after) in zip(lengths, out, self.spans, self.stride, self.pad, strict=True):
            missing = max(0, (o - 1) * s + w - (n + before + after))
            widths.append((before, after + missing))
        widths = [*[(0, 0) for _ in before_all], *widths, *[(0, 0) for _ in after_all]]
        padded = xp.pad(x, widths, constant_values=np.asarray(fill, x.dtype))
        for offset in itertools.product(*map(range, self.ws)):
            window = tuple(
                slice(i * d, i * d + (o - 1) * s + 1 if o else i * d, s)
                for i, d, o, s in zip(offset, self.dilation, out, self.stride, strict=True)
            )
            yield padded[(..., *window, *[slice(None) for _ in after_all])]

    def tiles(self, x):
        """Whether the windows cover each element of ``x`` once, and nothing else."""
        _, lengths, _ = self.cut(x.shape)
        return (
            self.stride == self.ws == self.spans
            and not any(map(any, self.pad))
            and not any(n % w for n, w in zip(lengths, self.ws, strict=True))
        )

    @shape_rule
    def infer_shape(self, node, shapes):
        before, lengths, after = self.cut(shapes[0])
        axes = zip(lengths, self.spans, self.stride, self.pad, strict=True)
        out = [_num_windows(n + sum(p), w, s, self.ignore_border) for n, w, s, p in axes]
        return [(*before, *out, *after)]

    def pullback(self, inputs, outputs, cotangents):
        return [PoolGrad(self)(inputs[0], outputs[0], cotangents[0])]


@jax_version(Pool)
def _jax_pool(op, **kwargs):
    return lambda x: op.pool(jnp, x)


@channels_last.register(Pool)
def _last_pool(op, node, images):
    (x,) = node.inputs
    if len(op.ws) != 2 or not images.has_last(x):
        return None
    return [Last(op.with_channels_last()(images.last(x)))]


class PoolGrad(Op):
    """Gradient of :class:`Pool` to its input.

    Every element that equals its window's maximum receives the gradient whole, as in Theano.
    """

    __props__ = ("forward",)

    def __init__(self, forward):
        self.forward = forward

    def make_node(self, x, out, g):
        x, out, g = map(pt.as_tensor_variable, (x, out, g))
        return Apply(self, [x, out, g], [x.type()])

    def perform(self, node, inputs, output_storage):
        x, out, g = inputs
        pool = self.forward
        owners = list(pool.taps(np, np.arange(x.size).reshape(x.shape), -1))
        gx = np.zeros(x.size, x.dtype)
        for owner, gradient in zip(owners, self.tap_gradients(np, x, out, g), strict=True):
            real = owner >= 0
            np.add.at(gx, owner[real], np.broadcast_to(gradient, owner.shape)[real])
        output_storage[0][0] = gx.reshape(x.shape)

    def tap_gradients(self, xp, x, out, g):
        """Gradients to each of ``Pool.taps``, in their order."""
        pool = self.forward
        if pool.mode == "max":
            return [xp.where(tap == out, g, 0) for tap in pool.taps(xp, x, -np.inf)]
        return [self.share(x, g)] * int(np.prod(pool.ws))

    def share(self, x, g):
        """What each element of a window gets of the gradient to its sum or average."""
        return g if self.forward.mode == "sum" else (g / self.forward.counts(x)).astype(x.dtype)

    def spread(self, x, out, g):
        """The gradient in JAX where windows tile ``x``: each axis is cut into windows and what they hold."""
        pool = self.forward
        before, lengths, after = pool.cut(x.shape)
        windows = [(n // w, w) for n, w in zip(lengths, pool.ws, strict=True)]
        tiled = (*before, *itertools.chain(*windows), *after)
        whole = (*before, *itertools.chain(*((n, 1) for n, _ in windows)), *after)
        if pool.mode == "max":
            gx = jnp.where(x.reshape(tiled) == out.reshape(whole), g.reshape(whole), 0)
        else:
            gx = jnp.broadcast_to(self.share(x, g).reshape(whole), tiled)
        return gx.reshape(x.shape)

    @shape_rule
    def infer_shape(self, node, shapes):
        return [shapes[0]]

    def pullback(self, inputs, outputs, cotangents):
        x, out, g = inputs
        (gg,) = cotangents
        to_out = out.zeros_like()
        if self.forward.mode == "max":
            return [x.zeros_like(), to_out, grad_not_implemented(self, 2, g)]
        return [x.zeros_like(), to_out, self.forward(gg)]


@jax_version(PoolGrad)
def _jax_pool_grad(op, **kwargs):
    def pool_grad(x, out, g):
        if op.forward.tiles(x):
            return op.spread(x, out, g)
        transpose = jax.linear_transpose(lambda x: list(op.forward.taps(jnp, x, 0)), x)
        return transpose(op.tap_gradients(jnp, x, out, g))[0]

    return pool_grad


@channels_last.register(PoolGrad)
def _last_pool_grad(op, node, images):
    if len(op.forward.ws) != 2 or not any(map(images.has_last, node.inputs)):
        return None
    return [Last(PoolGrad(op.forward.with_channels_last())(*map(images.last, node.inputs)))]


class PoolByVariables(Op):
    """:class:`Pool`, or its gradient, of a window that the graph computes, as from lengths of the input.

    After the tensors come, as inputs, window lengths, strides and paddings, ``ndim`` numbers each. JAX must
    know them when it compiles: it does where they follow from shapes.
    """

    __props__ = ("ndim", "ignore_border", "mode", "is_gradient")

    def __init__(self, ndim, ignore_border, mode, is_gradient=False):
        self.ndim, self.ignore_border, self.mode = ndim, ignore_border, mode
        self.is_gradient = is_gradient

    def make_node(self, *inputs):
        inputs = list(map(pt.as_tensor_variable, inputs))
        x = inputs[0]
        shape = x.type.shape if self.is_gradient else x.type.shape[: -self.ndim] + (None,) * self.ndim
        return Apply(self, inputs, [pt.TensorType(x.type.dtype, shape=shape)()])

    def split(self, inputs):
        """The tensors among the inputs, and tuples of windows, strides and paddings."""
        n = self.ndim
        return inputs[: -3 * n], inputs[-3 * n : -2 * n], inputs[-2 * n : -n], inputs[-n:]

    def known(self, inputs):
        """The tensors among the inputs, and the Op for the numbers."""
        tensors, *numbers = self.split(inputs)
        ws, stride, pad = (tuple(map(int, n)) for n in numbers)
        op = _checked_pool(ws, stride, pad, self.ignore_border, self.mode)
        return tensors, PoolGrad(op) if self.is_gradient else op

    def perform(self, node, inputs, output_storage):
        tensors, op = self.known(inputs)
        op.perform(node, tensors, output_storage)

    @shape_rule
    def infer_shape(self, node, shapes):
        if self.is_gradient:
            return [shapes[0]]
        _, *numbers = self.split(node.inputs)
        axes = zip(shapes[0][-self.ndim :], *numbers, strict=True)
        out = [_num_windows(n + 2 * p, w, s, self.ignore_border) for n, w, s, p in axes]
        return [(*shapes[0][: -self.ndim], *out)]

    def connection_pattern(self, node):
        tensors = len(node.inputs) - 3 * self.ndim
        return [[True]] * tensors + [[False]] * (3 * self.ndim)

    def pullback(self, inputs, outputs, cotangents):
        tensors = inputs[: -3 * self.ndim]
        unconnected = [disconnected_type() for _ in range(3 * self.ndim)]
        if self.is_gradient:
            return [grad_not_implemented(self, i, v) for i, v in enumerate(tensors)] + unconnected
        gradient = PoolByVariables(self.ndim, self.ignore_border, self.mode, is_gradient=True)
        return [gradient(*tensors, *outputs, *cotangents, *inputs[len(tensors) :]), *unconnected]


@jax_version(PoolByVariables)
def _jax_pool_by_variables(op, **kwargs):
    def pool(*inputs):
        try:
            tensors, known = op.known(inputs)
        except jax.errors.JAXTypeError as error:
            raise NotImplementedError("Pool of a window that depends on values") from error
        return (_jax_pool_grad if op.is_gradient else _jax_pool)(known)(*tensors)

    return pool


def _num_windows(length, window, stride, ignore_border):
    """Number of windows on a padded axis; the numbers may be symbolic."""
    if ignore_border:
        count = (length - window) // stride + 1
    elif isinstance(window, Variable) or isinstance(stride, Variable):
        together = pt.maximum((length - 1 - window + stride) // stride + 1, 1)
        return pt.switch(pt.ge(stride, window), (length - 1) // stride + 1, together)
    elif stride >= window:
        return (length - 1) // stride + 1
    else:
        count = (length - 1 - window + stride) // stride + 1
        return max(1, count) if isinstance(count, int) else pt.maximum(count, 1)
    return max(0, count) if isinstance(count, int) else pt.maximum(count, 0)


def pool_2d(
    input,
    ws=None,
    ignore_border=None,
    stride=None,
    pad=(0, 0),
    mode="max",
    ds=None,
    st=None,
    padding=None,
):
    """Pool the last two axes.

    Parameters
    ----------
    input : tensor, ``(..., rows, columns)``
    ws : int or pair of int, or of scalars, or a vector
        Window size (``ds`` in older code).
    ignore_border : bool, optional
        Leave out windows that reach past the padded input; ``False`` if not given, as in Theano.
    stride : int or pair of int, or of scalars, or a vector, optional
        Distance between windows, by default their size (``st`` in older code).
    pad : int or pair of int, or of scalars, or a vector
        Rows and columns added on both sides (``padding`` in older code).
    mode : {'max', 'sum', 'average_inc_pad', 'average_exc_pad'}

    Raises
    ------
    ValueError
        A window, stride, padding or mode that does not exist.
    NotImplementedError
        Padding with ``ignore_border=False``, or as wide as the window.
    """
    ws, stride, pad = _either(ws, ds), _either(stride, st), _either(padding, pad)
    return _pool(input, 2, ws, ignore_border, stride, pad, mode)


def pool_3d(
    input,
    ws=None,
    ignore_border=None,
    stride=None,
    pad=(0, 0, 0),
    mode="max",
    ds=None,
    st=None,
    padding=None,
):
    """Pool the last three axes; see :func:`pool_2d`."""
    ws, stride, pad = _either(ws, ds), _either(stride, st), _either(padding, pad)
    return _pool(input, 3, ws, ignore_border, stride, pad, mode)


def _either(value, other):
    return other if value is None else value


def _pool(input, ndim, ws, ignore_border, stride, pad, mode):
    ws = _as_tuple(ws, ndim, "window size")
    stride = ws if stride is None else _as_tuple(stride, ndim, "stride")
    pad = _as_tuple(0 if pad is None else pad, ndim, "padding")
    if mode not in MODES:
        raise ValueError(f"Pooling mode {mode!r} does not exist; use one of {', '.join(MODES)}")
    numbers = *ws, *stride, *pad
    if any(isinstance(n, Variable) for n in numbers):
        return PoolByVariables(ndim, bool(ignore_border), mode)(input, *numbers)
    return _checked_pool(ws, stride, pad, bool(ignore_border), mode)(input)


def _checked_pool(ws, stride, pad, ignore_border, mode):
    if min(ws) < 1 or min(stride) < 1 or min(pad) < 0:
        raise ValueError(f"Pooling with window {ws}, stride {stride}, padding {pad}: out of range")
    if any(p >= w for p, w in zip(pad, ws, strict=True)):
        raise NotImplementedError(
            f"Pooling with padding {pad}, which must be smaller than the window {ws}; T.concatenate pads more"
        )
    if any(pad) and not ignore_border:
        raise NotImplementedError("Pooling with padding and a partial border; give ignore_border=True")
    return Pool(ws, stride, tuple((p, p) for p in pad), ignore_border, mode)


def _as_tuple(value, length, what):
    if isinstance(value, Variable) and value.ndim == 1:
        values = [value[i] for i in range(length)]
    else:
        values = value if isinstance(value, list | tuple | np.ndarray) else (value,) * length
    if len(values) != length or not all(map(_is_integer, values)):
        raise ValueError(f"Pooling over {length} axes takes {length} numbers as {what}; got {value!r}")
    return tuple(v if isinstance(v, Variable) else int(v) for v in values)


def _is_integer(value):
    if isinstance(value, Variable):
        return value.ndim == 0 and value.dtype in discrete_dtypes
    return isinstance(value, int | np.integer)
