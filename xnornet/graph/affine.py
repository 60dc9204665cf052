"""A scale and an offset for each channel: batch norm at test time, and layers that only scale or add."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from xnornet.fixedpoint import Q
from xnornet.graph.checks import check_bias, check_shape
from xnornet.graph.formats import fit
from xnornet.graph.operation import Cost, Operation, aligned, finish, per_channel
from xnornet.hints import Array, Namespace, Shape

if TYPE_CHECKING:
    from xnornet.graph.formats import Formats

__all__ = ["Affine"]


@dataclass(frozen=True, eq=False)
class Affine(Operation):
    """Merged batch norm: ``I * scale + b``, one of each for every channel.

    Attributes
    ----------
    scale : int64 array, ``(channels,)``, in format ``q_scale``
    b : int64 array, ``(channels,)``, in format ``q_b``
    q_in, q_out : Q
    """

    scale: np.ndarray
    q_scale: Q | None
    b: np.ndarray
    q_b: Q | None
    q_in: Q | None
    q_out: Q | None
    kind = "affine"

    def fraction_bits(self) -> int | None:
        return self.q_scale.f + self.q_in.f

    def exact(self, xp: Namespace, n: Array) -> Array:
        f = self.fraction_bits()
        product = n * per_channel(self.scale, n.ndim) + per_channel(aligned(self.b, self.q_b, f), n.ndim)
        return finish(product, f, self.q_out)

    def real(self, xp: Namespace, x: Array) -> Array:
        scale, b = (per_channel(self.value(name).astype(x.dtype), x.ndim) for name in ("scale", "b"))
        return x * scale + b

    def bound(self) -> int:
        shift = self.fraction_bits() - self.q_b.f
        pairs = zip(self.scale, self.b, strict=True)
        return max(self.q_in.limit * abs(int(scale)) + (abs(int(b)) << shift) for scale, b in pairs)

    def cost(self, shape: Shape) -> Cost:
        return Cost(real_macs=math.prod(shape))

    def fit(self, formats: "Formats", wanted: Q, q: Q) -> Operation:
        # Scales of 1 and -1 are exact, so that a layer that only adds does only that.
        keep = bool((abs(self.scale) == 1).all())
        found = fit(self.scale, self.b, q.limit, q.f, wanted, formats, keep_powers=keep)
        return found.of(self, "scale", q)

    def check(self, shapes: Sequence[Shape], formats: Sequence[Q | None]) -> None:
        check_shape("scale", self.scale, shapes[0][:1])
        check_shape("b", self.b, shapes[0][:1])
        check_bias(self, shapes[0], self.fraction_bits())
