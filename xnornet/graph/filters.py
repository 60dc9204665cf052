"""Layers with weights, binary and real: convolutions, and dense layers, which have no window."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from xnornet.errors import ModelError
from xnornet.fixedpoint import Q
from xnornet.graph.checks import check_bias, check_length, check_shape, check_window
from xnornet.graph.formats import MAX_FAN_IN, check_fan_in, fit
from xnornet.graph.operation import Cost, Operation, aligned, finish, per_channel
from xnornet.graph.signs import Signs
from xnornet.graph.window import Window, correlate, reduce_windows
from xnornet.hints import Array, Namespace, Shape

if TYPE_CHECKING:
    from xnornet.graph.formats import Formats

__all__ = ["XNOR", "Binary", "Filter", "Linear"]


class Filter(Operation):
    """Base of binary and real layers: a window, groups, a bias, and ``weights``, the weights' shape."""

    window: Window | None
    groups: int
    b: np.ndarray | None
    q_b: Q | None

    @property
    def weights(self) -> Shape:
        raise NotImplementedError

    def shape(self, shape: Shape) -> Shape:
        outputs = self.weights[0]
        return (outputs,) if self.window is None else (outputs, *self.window.grid(shape[1:]))

    def title(self) -> str:
        return "dense" if self.window is None else f"conv {self.window.label}"

    def bias_bits(self) -> int:
        """Fraction bits of the product that the bias is added to."""
        return self.fraction_bits()

    def fan_in(self) -> int:
        """Inputs of each output."""
        return math.prod(self.weights[1:])

    def taken(self, shape: Shape) -> int:
        if self.window is None:
            return 0
        return shape[0] * self.window.area(shape[1:], self.window.grid(shape[1:]))

    def check(self, shapes: Sequence[Shape], formats: Sequence[Q | None]) -> None:
        (shape,), weights = shapes, self.weights
        if len(weights) < 2 or 0 in weights:
            raise ModelError(
                f"weights should be (outputs, inputs, ...), none of them 0; found shape {weights}"
            )
        check_length("groups", self.groups)
        if self.window is None:
            expected: Shape = (weights[0], math.prod(shape))
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
        check_bias(self, self.shape(shape), self.bias_bits())

    def _offsets(self):
        """Largest bias of each output, in units of the product."""
        if self.b is None:
            return [0] * self.weights[0]
        shift = self.bias_bits() - self.q_b.f
        return [int(np.abs(b).max()) << shift for b in self.b]

    def _macs(self, shape):
        return math.prod(self.shape(shape)) * self.fan_in()


class Binary(Filter):
    """Base of binary layers: ``B``, ``alpha``, and a formula of them in :meth:`scaled`."""

    signs: Signs
    alpha: np.ndarray
    q_alpha: Q | None

    @property
    def B(self) -> NDArray[np.int8]:
        """The signs as int8 array of +1 and -1, unpacked anew each time."""
        return self.signs.unpack()

    @property
    def weights(self) -> Shape:
        return self.signs.shape

    def title(self) -> str:
        return f"XNOR {super().title()}"

    def scaled(self, xp: Namespace, product: Array, magnitudes: Array, alpha: Array, b: Array) -> Array:
        """The layer's formula, from ``H . B``, ``|I|``, and parameters that are shaped to go with these."""
        raise NotImplementedError

    def exact(self, xp: Namespace, n: Array) -> Array:
        H = xp.where(n >= 0, 1, -1).astype("float32")
        # A GPU may convolve by a transform, whose results are integers only to the last bit.
        product = xp.rint(self._product(xp, H)).astype("int64")
        b = 0 if self.b is None else per_channel(aligned(self.b, self.q_b, self.bias_bits()), product.ndim)
        exact = self.scaled(xp, product, abs(n), per_channel(self.alpha, product.ndim), b)
        return finish(exact, self.fraction_bits(), self.q_out)

    def real(self, xp: Namespace, x: Array) -> Array:
        product = self._product(xp, xp.where(x >= 0, 1, -1).astype(x.dtype))
        alpha, b = (
            0 if getattr(self, name) is None else per_channel(self.value(name).astype(x.dtype), product.ndim)
            for name in ("alpha", "b")
        )
        return self.scaled(xp, product, abs(x), alpha, b)

    def _product(self, xp, H):
        return correlate(xp, H, xp.asarray(self.B.astype(H.dtype)), self.window, self.groups)

    def check(self, shapes: Sequence[Shape], formats: Sequence[Q | None]) -> None:
        self.signs.check()
        super().check(shapes, formats)
        check_shape("alpha", self.alpha, self.weights[:1])
        if (self.alpha < 0).any():
            raise ModelError(f"alpha should be at least 0; found {self.alpha.min()}")


@dataclass(frozen=True, eq=False)
class XNOR(Binary):
    """Binary layer: ``H . B * alpha * sum|I| + b``, or ``H . B * alpha + b`` if not ``scale_inputs``.

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
        Multiply by the sum of ``|I|`` over all that a filter meets.
    window : Window or None
        The convolution's; None for a dense layer, whose input is flattened.
    q_in, q_out : Q
        Formats of input and output.
    groups : int
        Number of groups of channels that are convolved separately.
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
    groups: int = 1
    kind = "xnor"

    def fraction_bits(self) -> int | None:
        return self.q_alpha.f + (self.q_in.f if self.scale_inputs else 0)

    def scaled(self, xp: Namespace, product: Array, magnitudes: Array, alpha: Array, b: Array) -> Array:
        y = product * alpha
        return (y * self._sums(xp, magnitudes) if self.scale_inputs else y) + b

    def _sums(self, xp, magnitudes):
        """Sum of ``|I|`` over all that each filter meets, shaped to multiply the product."""
        if self.window is None:
            return magnitudes.reshape(len(magnitudes), -1).sum(axis=1, keepdims=True)
        n, channels, *lengths = magnitudes.shape
        by_group = magnitudes.reshape(n, self.groups, channels // self.groups, *lengths).sum(axis=2)
        grid = self.window.grid(lengths)
        sums = reduce_windows(xp, by_group, self.window, grid, lambda a, b: a + b, 0)
        return sums if self.groups == 1 else xp.repeat(sums, self.weights[0] // self.groups, axis=1)

    def bound(self) -> int:
        most = self.fan_in() * (self.fan_in() * self.q_in.limit if self.scale_inputs else 1)
        pairs = zip(self.alpha, self._offsets(), strict=True)
        return max(most * abs(int(alpha)) + offset for alpha, offset in pairs)

    def cost(self, shape: Shape) -> Cost:
        return Cost(self._macs(shape), math.prod(self.shape(shape)) * (2 if self.scale_inputs else 1))

    def fit(self, formats: "Formats", wanted: Q, q: Q) -> Operation:
        check_fan_in(self.fan_in())
        bound, f_in = (self.fan_in() ** 2 * q.limit, q.f) if self.scale_inputs else (self.fan_in(), 0)
        # The same power of two for all is exact, so that half a sum of signs has no rounding.
        keep = bool((self.alpha == self.alpha[0]).all())
        found = fit(self.alpha, self.b, bound, f_in, wanted, formats, keep_powers=keep)
        return found.of(self, "alpha", q)


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
    def weights(self) -> Shape:
        return self.W.shape

    def fraction_bits(self) -> int | None:
        return self.q_W.f + self.q_in.f

    def exact(self, xp: Namespace, n: Array) -> Array:
        f = self.fraction_bits()
        W = xp.asarray(self.W.astype("float64"))
        product = correlate(xp, n.astype("float64"), W, self.window, self.groups)
        product = xp.rint(product).astype("int64")
        if self.b is not None:
            product = product + per_channel(aligned(self.b, self.q_b, f), product.ndim)
        return finish(product, f, self.q_out)

    def real(self, xp: Namespace, x: Array) -> Array:
        y = correlate(xp, x, xp.asarray(self.value("W").astype(x.dtype)), self.window, self.groups)
        return y if self.b is None else y + per_channel(self.value("b").astype(x.dtype), y.ndim)

    def bound(self) -> int:
        limit = self.q_in.limit
        products = (limit * int(np.abs(row).sum(dtype=np.int64)) for row in self.W)
        return max(p + offset for p, offset in zip(products, self._offsets(), strict=True))

    def cost(self, shape: Shape) -> Cost:
        return Cost(real_macs=self._macs(shape))

    def fit(self, formats: "Formats", wanted: Q, q: Q) -> Operation:
        check_fan_in(self.fan_in())
        found = fit(self.W, self.b, self.fan_in() * q.limit, q.f, wanted, formats)
        return replace(found.of(self, "W", q), W=found.factor.astype(np.int16))
