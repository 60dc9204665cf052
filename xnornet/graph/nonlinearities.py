"""Nonlinearities that have an exact form; each is applied to every number by itself."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from xnornet.errors import ModelError
from xnornet.fixedpoint import Q
from xnornet.graph.checks import check_shape
from xnornet.graph.formats import ACCUMULATOR_BITS, fit
from xnornet.graph.operation import Operation, finish
from xnornet.hints import Array, Namespace, Shape

if TYPE_CHECKING:
    from xnornet.graph.formats import Formats

__all__ = ["Clip", "LeakyRectify", "Rectify"]


@dataclass(frozen=True)
class Rectify(Operation):
    """``max(I, 0)``."""

    kind = "rectify"

    def exact(self, xp: Namespace, n: Array) -> Array:
        return xp.maximum(n, 0)


@dataclass(frozen=True, eq=False)
class Clip(Operation):
    """``min(max(I, low), high)``; with -1 and 1, the hard hyperbolic tangent.

    Attributes
    ----------
    limits : int64 array, ``(2,)``
        ``low`` and ``high``, in the format of the input.
    q_limits : Q
    """

    limits: np.ndarray
    q_limits: Q | None = None
    kind = "clip"

    def exact(self, xp: Namespace, n: Array) -> Array:
        return xp.clip(n, int(self.limits[0]), int(self.limits[1]))

    def real(self, xp: Namespace, x: Array) -> Array:
        low, high = self.value("limits").tolist()
        return xp.clip(x, low, high)

    def fit(self, formats: "Formats", wanted: Q, q: Q) -> Operation:
        # A limit beyond the format changes nothing, as data saturates before.
        return replace(self, limits=q.quantize(self.limits), q_limits=q)

    def check(self, shapes: Sequence[Shape], formats: Sequence[Q | None]) -> None:
        check_shape("limits", self.limits, (2,))
        if self.q_limits != formats[0]:
            raise ModelError(f"q_limits should be {formats[0]}, the input's; found {self.q_limits}")
        if self.limits[0] > self.limits[1]:
            raise ModelError(f"limits should be the lower one and the upper one; found {self.limits}")


@dataclass(frozen=True, eq=False)
class LeakyRectify(Operation):
    """``I`` where it is positive, elsewhere ``I * slope``, rounded once.

    Attributes
    ----------
    slope : int64 array, ``(1,)``, in format ``q_slope``
    q_in, q_out : Q
    """

    slope: np.ndarray
    q_slope: Q | None = None
    q_in: Q | None = None
    q_out: Q | None = None
    kind = "leaky rectify"

    def fraction_bits(self) -> int | None:
        return max(0, self.q_slope.f) + self.q_in.f

    def factors(self) -> tuple[int, int]:
        """Factors of positive and of negative numbers."""
        f = self.q_slope.f
        return 1 << max(0, f), int(self.slope[0]) << max(0, -f)

    def exact(self, xp: Namespace, n: Array) -> Array:
        positive, negative = self.factors()
        product = n * xp.where(n >= 0, positive, negative)
        return finish(product, self.fraction_bits(), self.q_out)

    def real(self, xp: Namespace, x: Array) -> Array:
        return xp.where(x >= 0, x, x * self.value("slope").astype(x.dtype))

    def bound(self) -> int:
        return self.q_in.limit * max(map(abs, self.factors()))

    def fit(self, formats: "Formats", wanted: Q, q: Q) -> Operation:
        bits = formats.param_bits
        found = fit(self.slope, None, q.limit, q.f, wanted, formats, keep_powers=True)
        # Positive numbers are multiplied by one unit of the slope's format.
        least = bits - (ACCUMULATOR_BITS - 1 - q.bits)
        q_slope = Q(bits, max(least, found.q_factor.int_bits))
        q_out = Q(wanted.bits, max(wanted.int_bits, wanted.bits - (q.f + max(0, q_slope.f))))
        return replace(self, slope=q_slope.quantize(self.slope), q_slope=q_slope, q_in=q, q_out=q_out)

    def check(self, shapes: Sequence[Shape], formats: Sequence[Q | None]) -> None:
        check_shape("slope", self.slope, (1,))
        if abs(self.q_slope.f) >= ACCUMULATOR_BITS:
            raise ModelError(
                f"q_slope should have fewer than {ACCUMULATOR_BITS} fraction bits; found {self.q_slope.f}"
            )
