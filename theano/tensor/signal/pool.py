"""Pooling over the trailing axes, with gradients.

A window is walked tap by tap: each tap is one strided slice of the padded input. Sums and maxima of taps fuse
in XLA, and the same lines run in NumPy.
"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytensor.tensor as pt
from pytensor.gradient import grad_not_implemented
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op
from pytensor.link.jax.dispatch import jax_funcify

from theano.tensor.nnet.absent import absent

__all__ = ["Pool", "PoolGrad", "max_pool_2d_same_size", "pool_2d", "pool_3d"]

max_pool_2d_same_size = absent("pool.max_pool_2d_same_size")

MODES = ("max", "sum", "average_inc_pad", "average_exc_pad")


class Pool(Op):
    """Pool windows over the last ``len(ws)`` axes.

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
    """

    __props__ = ("ws", "stride", "pad", "ignore_border", "mode")

    def __init__(self, ws, stride, pad, ignore_border, mode):
        self.ws, self.stride, self.pad = ws, stride, pad
        self.ignore_border, self.mode = ignore_border, mode

    def make_node(self, x):
        x = pt.as_tensor_variable(x)
        if x.type.ndim < len(self.ws):
            raise TypeError(f"Pooling over {len(self.ws)} axes needs as many; the input has {x.type.ndim}")
        shape = x.type.shape[: -len(self.ws)] + self.output_lengths(x.type.shape[-len(self.ws) :])
        return Apply(self, [x], [pt.TensorType(x.type.dtype, shape=shape)()])

    def output_lengths(self, lengths):
        """Number of windows along each pooled axis; None where the input's length is."""
        axes = zip(lengths, self.ws, self.stride, self.pad, strict=True)
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
        """Elements in each window, of shape ``output_lengths``; the divisor of the averages."""
        lengths = x.shape[-len(self.ws) :]
        if self.mode == "average_inc_pad":
            lengths = tuple(n + sum(p) for n, p in zip(lengths, self.pad, strict=True))
            whole = Pool(self.ws, self.stride, ((0, 0),) * len(self.ws), self.ignore_border, "sum")
        else:
            whole = self
        return sum(whole.taps(np, np.ones(lengths, x.dtype), 0))

    def taps(self, xp, x, fill):
        """Yield, for each position in the window, the elements of ``x`` that it meets."""
        lengths = x.shape[-len(self.ws) :]
        out = self.output_lengths(lengths)
        widths = []
        for n, o, w, s, (before, after) in zip(lengths, out, self.ws, self.stride, self.pad, strict=True):
            missing = max(0, (o - 1) * s + w - (n + before + after))
            widths.append((before, after + missing))
        padded = xp.pad(
            x, [(0, 0)] * (x.ndim - len(widths)) + widths, constant_values=np.asarray(fill, x.dtype)
        )
        for offset in itertools.product(*map(range, self.ws)):
            window = tuple(
                slice(i, i + (o - 1) * s + 1 if o else i, s)
                for i, o, s in zip(offset, out, self.stride, strict=True)
            )
            yield padded[(..., *window)]

    def infer_shape(self, fgraph, node, shapes):
        (shape,) = shapes
        n = len(self.ws)
        out = tuple(
            _num_windows(length + sum(p), w, s, self.ignore_border)
            for length, w, s, p in zip(shape[-n:], self.ws, self.stride, self.pad, strict=True)
        )
        return [shape[:-n] + out]

    def pullback(self, inputs, outputs, cotangents):
        return [PoolGrad(self)(inputs[0], outputs[0], cotangents[0])]


@jax_funcify.register(Pool)
def _jax_pool(op, **kwargs):
    return lambda x: op.pool(jnp, x)


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
        if pool.mode != "sum":
            g = (g / pool.counts(x)).astype(x.dtype)
        return [g] * int(np.prod(pool.ws))

    def infer_shape(self, fgraph, node, shapes):
        return [shapes[0]]

    def pullback(self, inputs, outputs, cotangents):
        x, out, g = inputs
        (gg,) = cotangents
        to_out = out.zeros_like()
        if self.forward.mode == "max":
            return [x.zeros_like(), to_out, grad_not_implemented(self, 2, g)]
        return [x.zeros_like(), to_out, self.forward(gg)]


@jax_funcify.register(PoolGrad)
def _jax_pool_grad(op, **kwargs):
    def pool_grad(x, out, g):
        transpose = jax.linear_transpose(lambda x: list(op.forward.taps(jnp, x, 0)), x)
        return transpose(op.tap_gradients(jnp, x, out, g))[0]

    return pool_grad


def _num_windows(length, window, stride, ignore_border):
    """Number of windows on a padded axis; ``length`` may be symbolic."""
    if ignore_border:
        count = (length - window) // stride + 1
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
    ws : int or pair of int
        Window size (``ds`` in older code).
    ignore_border : bool, optional
        Leave out windows that reach past the padded input; ``False`` if not given, as in Theano.
    stride : int or pair of int, optional
        Distance between windows, by default their size (``st`` in older code).
    pad : int or pair of int
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
    if min(ws) < 1 or min(stride) < 1 or min(pad) < 0:
        raise ValueError(f"Pooling with window {ws}, stride {stride}, padding {pad}: out of range")
    if any(p >= w for p, w in zip(pad, ws, strict=True)):
        raise NotImplementedError(
            f"Pooling with padding {pad}, which must be smaller than the window {ws}; T.concatenate pads more"
        )
    if any(pad) and not ignore_border:
        raise NotImplementedError("Pooling with padding and a partial border; give ignore_border=True")
    return Pool(ws, stride, tuple((p, p) for p in pad), bool(ignore_border), mode)(input)


def _as_tuple(value, length, what):
    values = value if isinstance(value, list | tuple | np.ndarray) else (value,) * length
    if len(values) != length or not all(isinstance(v, int | np.integer) for v in values):
        raise ValueError(f"Pooling over {length} axes takes {length} numbers as {what}; got {value!r}")
    return tuple(map(int, values))
