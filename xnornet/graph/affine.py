"""A scale and an offset for each channel: batch norm at test time, and layers that only scale or add."""

import math
from dataclasses import dataclass

import numpy as np

from xnornet.fixedpoint import Q
from xnornet.graph.checks import check_bias, check_shape
from xnornet.graph.formats import fit
from xnornet.graph.operation import Cost, Operation, aligned, finish, per_channel

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

    def fraction_bits(self):
        return self.q_scale.f + self.q_in.f

    def exact(self, xp, n):
        f = self.fraction_bits()
        product = n * per_channel(self.scale, n.ndim) + per_channel(aligned(self.b, self.q_b, f), n.ndim)
        return finish(product, f, self.q_out)

    def real(self, xp, x):
        scale, b = (per_channel(self.value(name).astype(x.dtype), x.ndim) for name in ("scale", "b"))
        return x * scale + b

    def bound(self):
        shift = self.fraction_bits() - self.q_b.f
        pairs = zip(self.scale, self.b, strict=True)
        return max(self.q_in.limit * abs(int(scale)) + (abs(int(b)) << shift) for scale, b in pairs)

    def cost(self, shape):
        return Cost(real_macs=math.prod(shape))

    def fit(self, formats, wanted, q):
        # A scale of 1 is exact, so that a layer that only adds does only that.
        keep = bool((self.scale == 1).all())
        found = fit(self.scale, self.b, q.limit, q.f, wanted, formats, keep_powers=keep)
        return found.of(self, "scale", q)

    def check(self, shapes, formats):
        check_shape("scale", self.scale, shapes[0][:1])
        check_shape("b", self.b, shapes[0][:1])
        check_bias(self, shapes[0], self.fraction_bits())
