"""Pooling over windows. Global pooling is pooling by a window as large as the image."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from xnornet.errors import ModelError
from xnornet.fixedpoint import Q
from xnornet.graph.checks import check_shape, check_window
from xnornet.graph.formats import fit
from xnornet.graph.operation import Cost, Operation, finish
from xnornet.graph.window import Window, reduce_windows
from xnornet.hints import Array, Namespace, Shape

if TYPE_CHECKING:
    from xnornet.graph.formats import Formats

__all__ = ["AveragePool", "MaxPool"]


class Pool(Operation):
    """Base of pooling: a window, and whether windows that extend past the padded input are left out."""

    window: Window
    ignore_border: bool

    def shape(self, shape: Shape) -> Shape:
        return (shape[0], *self.window.grid(shape[1:], self.ignore_border))

    def title(self) -> str:
        return f"{self.kind} {self.window.label}"

    def taken(self, shape: Shape) -> int:
        return shape[0] * self.window.area(shape[1:], self.window.grid(shape[1:], self.ignore_border))

    def check(self, shapes: Sequence[Shape], formats: Sequence[Q | None]) -> None:
        (shape,), window = shapes, self.window
        check_window(window, shape, self.ignore_border)
        if any(p >= size for size, pad in zip(window.size, window.pad, strict=True) for p in pad):
            raise ModelError(
                f"padding should be smaller than the window, {window.size}, so that no window holds nothing "
                f"else; found {window.pad}"
            )
        if not self.ignore_border and any(map(any, window.pad)):
            raise ModelError(f"only pooling that ignores the border should have padding; found {window.pad}")
        if window.dilation != (1, 1):
            raise ModelError(f"a pooling window should have a dilation of 1; found {window.dilation}")


@dataclass(frozen=True)
class MaxPool(Pool):
    """Largest integer of each window; padding is below every number.

    Attributes
    ----------
    window : Window
    ignore_border : bool
        Leave out windows that reach past the padded input.
    """

    window: Window
    ignore_border: bool
    kind = "max pool"

    def exact(self, xp: Namespace, n: Array) -> Array:
        grid = self.window.grid(n.shape[2:], self.ignore_border)
        lowest = -np.inf if n.dtype.kind == "f" else np.iinfo(n.dtype).min
        return reduce_windows(xp, n, self.window, grid, xp.maximum, lowest)


@dataclass(frozen=True, eq=False)
class AveragePool(Pool):
    """Mean of each window: ``sum(I) * factor``, the factor being the merged ``1/N``.

    Attributes
    ----------
    window, ignore_border : as in MaxPool
    factor : int64 array, ``(1, 1)`` or ``(rows, columns)`` of the output
        In format ``q_factor``. Several where windows hold different numbers of pixels.
    q_in, q_out : Q
    """

    window: Window
    ignore_border: bool
    factor: np.ndarray
    q_factor: Q | None = None
    q_in: Q | None = None
    q_out: Q | None = None
    kind = "average pool"

    @classmethod
    def of(
        cls, window: Window, ignore_border: bool, lengths: Shape, count_padding: bool = True
    ) -> "AveragePool":
        """Pooling of an image of these rows and columns, with real factors.

        ``count_padding`` says whether ``N`` counts padding. Pixels past it are never counted.
        """
        grid, counts = window.grid(lengths, ignore_border), []
        for axis in (0, 1):
            before, after = window.pad[axis]
            low, high = (0, lengths[axis])
            if count_padding:
                low, high = low - before, high + after
            starts = np.arange(grid[axis]) * window.stride[axis] - before
            ends = np.minimum(starts + window.size[axis], high)
            counts.append(ends - np.maximum(starts, low))
        factor = 1.0 / np.multiply.outer(*counts)
        return cls(window, ignore_border, factor[:1, :1] if (factor == factor[0, 0]).all() else factor)

    def fraction_bits(self) -> int | None:
        return self.q_factor.f + self.q_in.f

    def exact(self, xp: Namespace, n: Array) -> Array:
        return finish(self._sums(xp, n) * self.factor, self.fraction_bits(), self.q_out)

    def real(self, xp: Namespace, x: Array) -> Array:
        return self._sums(xp, x) * self.value("factor").astype(x.dtype)

    def _sums(self, xp, x):
        grid = self.shape(x.shape[1:])[1:]
        return reduce_windows(xp, x, self.window, grid, lambda a, b: a + b, 0)

    def bound(self) -> int:
        return math.prod(self.window.size) * self.q_in.limit * int(np.abs(self.factor).max())

    def cost(self, shape: Shape) -> Cost:
        return Cost(real_macs=math.prod(self.shape(shape)))

    def fit(self, formats: "Formats", wanted: Q, q: Q) -> Operation:
        bound = math.prod(self.window.size) * q.limit
        found = fit(self.factor, None, bound, q.f, wanted, formats, keep_powers=True)
        return found.of(self, "factor", q)

    def check(self, shapes: Sequence[Shape], formats: Sequence[Q | None]) -> None:
        super().check(shapes, formats)
        if self.factor.shape != (1, 1):
            check_shape("factor", self.factor, self.shape(shapes[0])[1:])
