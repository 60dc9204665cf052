"""The binary dense layer of theano-xnor-net, the ancestor of this project, which scales its bias as well."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from xnornet.fixedpoint import Q
from xnornet.graph.filters import Binary
from xnornet.graph.formats import check_fan_in, fit
from xnornet.graph.operation import Cost
from xnornet.graph.signs import Signs
from xnornet.hints import Array, Namespace, Shape

if TYPE_CHECKING:
    from xnornet.graph.formats import Formats
    from xnornet.graph.operation import Operation

__all__ = ["ScaledBias"]


@dataclass(frozen=True, eq=False)
class ScaledBias(Binary):
    """``(H . B * alpha + b) * sum|I|``, the sum over all inputs.

    Attributes
    ----------
    signs, alpha, q_in, q_out : as in XNOR
    b : int64 array, ``(outputs,)``
        In format ``q_b``, which has no more fraction bits than ``q_alpha``.
    """

    signs: Signs
    alpha: np.ndarray
    q_alpha: Q | None
    b: np.ndarray
    q_b: Q | None
    q_in: Q | None
    q_out: Q | None
    kind, window, groups = "scaled bias", None, 1

    def fraction_bits(self) -> int | None:
        return self.q_alpha.f + self.q_in.f

    def bias_bits(self) -> int:
        return self.q_alpha.f

    def scaled(self, xp: Namespace, product: Array, magnitudes: Array, alpha: Array, b: Array) -> Array:
        return (product * alpha + b) * magnitudes.reshape(len(magnitudes), -1).sum(axis=1, keepdims=True)

    def bound(self) -> int:
        pairs = zip(self.alpha, self._offsets(), strict=True)
        largest = max(self.fan_in() * abs(int(alpha)) + offset for alpha, offset in pairs)
        return largest * self.fan_in() * self.q_in.limit

    def cost(self, shape: Shape) -> Cost:
        return Cost(self._macs(shape), 2 * math.prod(self.shape(shape)))

    def fit(self, formats: "Formats", wanted: Q, q: Q) -> "Operation":
        check_fan_in(self.fan_in())
        sums = self.fan_in() * q.limit
        found = fit(self.alpha, self.b, self.fan_in(), 0, wanted, formats, sums, q.f)
        return found.of(self, "alpha", q)
