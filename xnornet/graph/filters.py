"""Layers with weights, binary and real: convolutions, and dense layers, which have no window."""

import math
from dataclasses import dataclass, replace

import numpy as np

from xnornet.errors import ModelError
from xnornet.fixedpoint import Q
from xnornet.graph.checks import check_bias, check_length, check_shape, check_shift, check_window
from xnornet.graph.formats import MAX_FAN_IN, check_fan_in, fit
from xnornet.graph.operation import Cost, Operation, aligned, finish, per_channel
from xnornet.graph.signs import Signs
from xnornet.graph.window import Window, correlate, reduce_windows

__all__ = ["XNOR", "Filter", "Linear"]


class Filter(Operation):
    """What binary and real layers share: a window, groups, a bias, and ``weights``, the weights' shape."""

    def shape(self, shape):
        outputs = self.weights[0]
        return (outputs,) if self.window is None else (outputs, *self.window.grid(shape[1:]))

    def title(self):
        binary = "XNOR " if self.kind == "xnor" else ""
        return f"{binary}{'dense' if self.window is None else f'conv {self.window.label}'}"

    def fan_in(self):
        """Inputs of each output."""
        return math.prod(self.weights[1:])

    def taken(self, shape):
        if self.window is None:
            return 0
        return shape[0] * self.window.area(shape[1:], self.window.grid(shape[1:]))

    def check(self, shapes, formats):
        (shape,), weights = shapes, self.weights
        if len(weights) < 2 or 0 in weights:
            raise ModelError(
                f"weights should be (outputs, inputs, ...), none of them 0; found shape {weights}"
            )
        check_length("groups", self.groups)
        if self.window is None:
            expected = (weights[0], math.prod(shape))
            if self.groups != 1:
                raise ModelError(f"a dense layer should have one group; found {self.groups}")
        else:
            check_window(self.window, shape)
            if shape[0] % self.groups or weights[0] % self.groups:
                raise ModelError(
                    f"groups should divide the {shape[0]} input channels and the {weights[0]} outputs; "
                    f"found {self.groups}"
                )
            expected = (weights[0], shape[0] // self.groups, *self.window.size)
        if weights != expected:
            raise ModelError(f"weights should have shape {expected} for an input of {shape}; found {weights}")
        if self.fan_in() >= MAX_FAN_IN:
            raise ModelError(
                f"an output should be a sum over fewer than {MAX_FAN_IN} inputs; found {self.fan_in()}"
            )
        check_bias(self, self.shape(shape))

    def _offsets(self):
        """Largest bias of each output, in units of the product."""
        if self.b is None:
            return [0] * self.weights[0]
        shift = self.fraction_bits() - self.q_b.f
        return [int(np.abs(b).max()) << shift for b in self.b]

    def _macs(self, shape):
        return math.prod(self.shape(shape)) * self.fan_in()


@dataclass(frozen=True, eq=False)
class XNOR(Filter):
    """Binary layer: ``(H . B * alpha + c) * sum|I| + b``, or ``H . B * alpha + b`` if not ``scale_inputs``.

    The sum runs over all that a filter meets. At most one of ``b`` and ``c`` is there: ``c`` is a bias that
    the sum scales as well.

    Attributes
    ----------
    signs : Signs
        ``B``, of shape ``(outputs, inputs)`` if ``window`` is None, else ``(outputs, channels / groups, kh,
        kw)`` as they lie on the image.
    alpha : int64 array, ``(outputs,)``
        In format ``q_alpha``, the ``1/N`` of the mean of ``|I|`` included.
    b : int64 array, or None
        ``(outputs,)`` or ``(outputs, rows, columns)``, in format ``q_b``.
    scale_inputs : bool
    window : Window or None
        The convolution's; None for a dense layer, whose input is flattened.
    q_in, q_out : Q
        Formats of input and output.
    c : int64 array, ``(outputs,)``, or None
        In format ``q_c``, which has no more fraction bits than ``q_alpha``.
    q_c : Q or None
    groups : int
        Groups of channels that are convolved apart.
    """

    signs: Signs
    alpha: np.ndarray
    q_alpha: Q | None
    b: np.ndarray | None
    q_b: Q | None
    scale_inputs: bool
    window: Window | None
    q_in: Q | None
    q_out: Q | None
    c: np.ndarray | None = None
    q_c: Q | None = None
    groups: int = 1
    kind = "xnor"

    @property
    def B(self):
        """The signs as int8 array of +1 and -1, unpacked anew each time."""
        return self.signs.unpack()

    @property
    def weights(self):
        return self.signs.shape

    def fraction_bits(self):
        return self.q_alpha.f + (self.q_in.f if self.scale_inputs else 0)

    def exact(self, xp, n):
        f = self.fraction_bits()
        b = None if self.b is None else aligned(self.b, self.q_b, f)
        c = None if self.c is None else aligned(self.c, self.q_c, self.q_alpha.f)
        H = xp.where(n >= 0, 1, -1).astype("float32")
        # A GPU may convolve by a transform, whose results are integers only to the last bit.
        product = xp.rint(self._product(xp, H)).astype("int64")
        return finish(self._scaled(xp, product, n, self.alpha, c, b), f, self.q_out)

    def real(self, xp, x):
        alpha, c, b = (
            None if getattr(self, name) is None else self.value(name).astype(x.dtype)
            for name in ("alpha", "c", "b")
        )
        H = xp.where(x >= 0, 1, -1).astype(x.dtype)
        return self._scaled(xp, self._product(xp, H), x, alpha, c, b)

    def _product(self, xp, H):
        return correlate(xp, H, xp.asarray(self.B.astype(H.dtype)), self.window, self.groups)

    def _scaled(self, xp, product, x, alpha, c, b):
        y = product * per_channel(alpha, product.ndim)
        if self.scale_inputs:
            if c is not None:
                y = y + per_channel(c, y.ndim)
            y = y * self._sums(xp, abs(x))
        return y if b is None else y + per_channel(b, y.ndim)

    def _sums(self, xp, magnitudes):
        """Sum of ``|I|`` over all that each filter meets, shaped to multiply the product."""
        if self.window is None:
            return magnitudes.reshape(len(magnitudes), -1).sum(axis=1, keepdims=True)
        n, channels, *lengths = magnitudes.shape
        by_group = magnitudes.reshape(n, self.groups, channels // self.groups, *lengths).sum(axis=2)
        grid = self.window.grid(lengths)
        sums = reduce_windows(xp, by_group, self.window, grid, lambda a, b: a + b, 0)
        return sums if self.groups == 1 else xp.repeat(sums, self.weights[0] // self.groups, axis=1)

    def bound(self):
        products = [self.fan_in() * abs(int(alpha)) for alpha in self.alpha]
        if self.c is not None:
            shift = self.q_alpha.f - self.q_c.f
            products = [p + (abs(int(c)) << shift) for p, c in zip(products, self.c, strict=True)]
        if self.scale_inputs:
            products = [p * self.fan_in() * self.q_in.limit for p in products]
        return max(p + offset for p, offset in zip(products, self._offsets(), strict=True))

    def cost(self, shape):
        return Cost(self._macs(shape), math.prod(self.shape(shape)) * (2 if self.scale_inputs else 1))

    def fit(self, formats, wanted, q):
        check_fan_in(self.fan_in())
        fan_in, c, q_c = self.fan_in(), None, None
        if self.c is not None:
            found = fit(self.alpha, self.c, fan_in, 0, wanted, formats, fan_in * q.limit, q.f)
            c, q_c, b = found.bias, found.q_bias, None
        else:
            bound, f_in = (fan_in * fan_in * q.limit, q.f) if self.scale_inputs else (fan_in, 0)
            found = fit(self.alpha, self.b, bound, f_in, wanted, formats)
            b = found.bias
        return replace(
            self,
            alpha=found.factor,
            q_alpha=found.q_factor,
            b=b,
            q_b=found.q_bias,
            q_in=q,
            q_out=found.q_out,
            c=c,
            q_c=q_c,
        )

    def check(self, shapes, formats):
        self.signs.check()
        super().check(shapes, formats)
        if self.c is not None:
            if self.b is not None or not self.scale_inputs:
                raise ModelError("c should come without b and with scale_inputs; found it otherwise")
            check_shape("c", self.c, self.weights[:1])
            check_shift("c", self.q_alpha.f, self.q_c)
        check_shape("alpha", self.alpha, self.weights[:1])
        if (self.alpha < 0).any():
            raise ModelError(f"alpha should be at least 0; found {self.alpha.min()}")


@dataclass(frozen=True, eq=False)
class Linear(Filter):
    """Real layer: ``I . W + b``.

    Attributes
    ----------
    W : int16 array, of the shape of ``XNOR.B``, in format ``q_W``
    b, q_b, window, q_in, q_out, groups : as in XNOR
    """

    W: np.ndarray
    q_W: Q | None
    b: np.ndarray | None
    q_b: Q | None
    window: Window | None
    q_in: Q | None
    q_out: Q | None
    groups: int = 1
    kind = "linear"

    @property
    def weights(self):
        return self.W.shape

    def fraction_bits(self):
        return self.q_W.f + self.q_in.f

    def exact(self, xp, n):
        f = self.fraction_bits()
        W = xp.asarray(self.W.astype("float64"))
        product = correlate(xp, n.astype("float64"), W, self.window, self.groups)
        product = xp.rint(product).astype("int64")
        if self.b is not None:
            product = product + per_channel(aligned(self.b, self.q_b, f), product.ndim)
        return finish(product, f, self.q_out)

    def real(self, xp, x):
        y = correlate(xp, x, xp.asarray(self.value("W").astype(x.dtype)), self.window, self.groups)
        return y if self.b is None else y + per_channel(self.value("b").astype(x.dtype), y.ndim)

    def bound(self):
        limit = self.q_in.limit
        products = (limit * int(np.abs(row).sum(dtype=np.int64)) for row in self.W)
        return max(p + offset for p, offset in zip(products, self._offsets(), strict=True))

    def cost(self, shape):
        return Cost(real_macs=self._macs(shape))

    def fit(self, formats, wanted, q):
        check_fan_in(self.fan_in())
        found = fit(self.W, self.b, self.fan_in() * q.limit, q.f, wanted, formats)
        return replace(
            self,
            W=found.factor.astype(np.int16),
            q_W=found.q_factor,
            b=found.bias,
            q_b=found.q_bias,
            q_in=q,
            q_out=found.q_out,
        )
