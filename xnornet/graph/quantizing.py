"""Operations that change the format of numbers and nothing else: of the image, and between operations."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from xnornet.errors import ModelError
from xnornet.fixedpoint import Q, round_shift, saturate
from xnornet.graph.operation import Operation
from xnornet.hints import Array, Namespace, Shape

if TYPE_CHECKING:
    from xnornet.graph.formats import Formats

__all__ = ["Quantize", "Requantize"]

# Numbers below the smallest normal float32, which JAX takes for 0, round to 0 in such a format as well.
MAX_INPUT_F = 100


@dataclass(frozen=True)
class Quantize(Operation):
    """Real input to integers: ``n = clip(round_half_even(x * 2**f))``.

    Attributes
    ----------
    q_out : Q or None
        None in a graph of real parameters, which takes images as they are.
    """

    q_out: Q | None = None
    kind = "quantize"

    def exact(self, xp: Namespace, x: Array) -> Array:
        scaled = xp.rint(x.astype("float64") * 2.0**self.q_out.f)
        # What is no number becomes 0, on every processor.
        limit = float(self.q_out.limit)
        return xp.where(xp.isnan(scaled), 0.0, scaled.clip(-limit, limit)).astype("int64")

    def real(self, xp: Namespace, x: Array) -> Array:
        return x

    def fit(self, formats: "Formats", wanted: Q, *q: Q) -> Operation:
        return Quantize(Q(formats.input_bits, wanted.int_bits))

    def check(self, shapes: Sequence[Shape], formats: Sequence[Q | None]) -> None:
        if self.q_out.f > MAX_INPUT_F:
            raise ModelError(
                f"an image's format should have at most {MAX_INPUT_F} fraction bits; found {self.q_out.f}"
            )


@dataclass(frozen=True)
class Requantize(Operation):
    """The same numbers in another format, rounded half to even.

    Attributes
    ----------
    q_in, q_out : Q
    """

    q_in: Q | None = None
    q_out: Q | None = None
    kind = "requantize"

    def exact(self, xp: Namespace, n: Array) -> Array:
        return saturate(round_shift(n, self.q_in.f - self.q_out.f), self.q_out.bits)

    def real(self, xp: Namespace, x: Array) -> Array:
        return x

    def fit(self, formats: "Formats", wanted: Q, q: Q) -> Operation:
        return replace(self, q_in=q, q_out=wanted)

    def bound(self) -> int:
        return self.q_in.limit << max(0, self.q_out.f - self.q_in.f)
