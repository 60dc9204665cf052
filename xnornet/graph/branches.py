"""Operations that join branches: their sum, and the concatenation of their channels."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from xnornet.errors import ModelError
from xnornet.fixedpoint import Q
from xnornet.graph.checks import check_shape
from xnornet.graph.formats import ACCUMULATOR_BITS, fit
from xnornet.graph.operation import Cost, Operation, finish
from xnornet.hints import Array, Namespace, Shape

if TYPE_CHECKING:
    from xnornet.graph.formats import Formats

__all__ = ["Add", "Concatenate"]


@dataclass(frozen=True, eq=False)
class Add(Operation):
    """Sum of branches, each with a coefficient: shifted to the finest format, added, rounded once.

    Attributes
    ----------
    coefficients : int64 array, ``(inputs,)``, in format ``q_coefficients``
    shifts : tuple of int
        Bits to the left that bring each input to the finest format.
    q_in : Q
        The finest format.
    q_out : Q
    """

    coefficients: np.ndarray
    q_coefficients: Q | None = None
    shifts: tuple[int, ...] = ()
    q_in: Q | None = None
    q_out: Q | None = None
    kind, takes_many = "add", True

    def fraction_bits(self) -> int | None:
        return self.q_coefficients.f + self.q_in.f

    def exact(self, xp: Namespace, *n: Array) -> Array:
        terms = zip(n, self.coefficients.tolist(), self.shifts, strict=True)
        total = sum(x * (coefficient << shift) for x, coefficient, shift in terms)
        return finish(total, self.fraction_bits(), self.q_out)

    def real(self, xp: Namespace, *x: Array) -> Array:
        values = self.value("coefficients").astype(x[0].dtype)
        return sum(each * value for each, value in zip(x, values, strict=True))

    def bound(self) -> int:
        pairs = zip(self.coefficients.tolist(), self.shifts, strict=True)
        return self.q_in.limit * sum(abs(coefficient) << shift for coefficient, shift in pairs)

    def cost(self, *shapes: Shape) -> Cost:
        plain = (self.value("coefficients") == 1).all()
        return Cost(real_macs=0 if plain else len(shapes) * math.prod(shapes[0]))

    def fit(self, formats: "Formats", wanted: Q, *q: Q) -> Operation:
        finest, bits = max(each.f for each in q), max(each.bits for each in q)
        shifts = tuple(finest - each.f for each in q)
        bound = sum(((1 << bits) - 1) << shift for shift in shifts)
        if bound >= 1 << (ACCUMULATOR_BITS - 16):
            formats_of = ", ".join(map(str, q))
            raise ValueError(f"a sum of inputs in {formats_of} has no exact form; scale them alike")
        found = fit(self.coefficients, None, bound, finest, wanted, formats, keep_powers=True)
        return replace(found.of(self, "coefficients", Q(bits, bits - finest)), shifts=shifts)

    def check(self, shapes: Sequence[Shape], formats: Sequence[Q | None]) -> None:
        check_shape("coefficients", self.coefficients, (len(shapes),))
        if any(shape != shapes[0] for shape in shapes):
            raise ModelError(f"inputs of a sum should have one shape; found {', '.join(map(str, shapes))}")
        expected = tuple(self.q_in.f - q.f for q in formats)
        if self.shifts != expected or not all(0 <= s < ACCUMULATOR_BITS for s in expected):
            raise ModelError(
                f"shifts should bring inputs of {', '.join(map(str, formats))} to {self.q_in}; found "
                f"{self.shifts}"
            )
        if any(q.bits > self.q_in.bits for q in formats):
            raise ModelError(f"q_in should have the most bits of an input; found {self.q_in}")


@dataclass(frozen=True)
class Concatenate(Operation):
    """Channels of the inputs one after another, or features; all have one format."""

    kind, takes_many = "concatenate", True

    def shape(self, *shapes: Shape) -> Shape:
        return (sum(shape[0] for shape in shapes), *shapes[0][1:])

    def exact(self, xp: Namespace, *n: Array) -> Array:
        return xp.concatenate(n, axis=1)

    def check(self, shapes: Sequence[Shape], formats: Sequence[Q | None]) -> None:
        if any(shape[1:] != shapes[0][1:] for shape in shapes):
            raise ModelError(
                "inputs of a concatenation should differ in their first length only; found "
                f"{', '.join(map(str, shapes))}"
            )
        if any(q != formats[0] for q in formats):
            raise ModelError(
                f"inputs of a concatenation should have one format; found {', '.join(map(str, formats))}"
            )
