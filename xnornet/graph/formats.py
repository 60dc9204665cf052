"""Widths of a fixed-point network, and the choice of formats that keeps exact results within 64 bits."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xnornet.catalog import FORMATS, MAX_BITS
from xnornet.fixedpoint import Q, int_bits_for

if TYPE_CHECKING:
    pass

__all__ = ["ACCUMULATOR_BITS", "MAX_FAN_IN", "Fit", "Formats", "check_fan_in", "fit"]

# Exact results stay below this, so that adding half a unit for rounding cannot overflow 64 bits.
ACCUMULATOR_BITS = 62

# Sums of as many signs in float32, and of products of 15-bit integers in float64, are exact.
MAX_FAN_IN = 1 << 23


@dataclass(frozen=True)
class Formats:
    """Bit widths of a fixed-point network; a sign comes on top of each.

    Attributes
    ----------
    input_bits : int
        Of the image; its integer bits come from calibration.
    data_bits : int
        Of the output of each operation; its integer bits come from calibration.
    param_bits : int
        Of ``alpha``, weights, biases, scales and offsets.

    Raises
    ------
    ValueError
        A width outside 1 to 15.
    """

    input_bits: int = FORMATS["input_bits"]
    data_bits: int = FORMATS["data_bits"]
    param_bits: int = FORMATS["param_bits"]

    def __post_init__(self) -> None:
        for name in ("input_bits", "data_bits", "param_bits"):
            if not 1 <= getattr(self, name) <= MAX_BITS:
                raise ValueError(f"{name} is {getattr(self, name)}; it takes 1 to {MAX_BITS}")


@dataclass(frozen=True, eq=False)
class Fit:
    """What `fit` chooses: integers and format of the factor and of the bias, and the output's format."""

    factor: NDArray
    q_factor: Q
    bias: NDArray | None
    q_bias: Q
    q_out: Q

    def of(self, operation: Any, factor: str, q_in: Q) -> Any:
        """An operation in these integers and formats; ``factor`` names its field of the factor."""
        values = {factor: self.factor, f"q_{factor}": self.q_factor, "q_in": q_in, "q_out": self.q_out}
        if hasattr(operation, "b"):
            values |= {"b": self.bias, "q_b": self.q_bias}
        return replace(operation, **values)


def fit(
    factor: NDArray,
    bias: NDArray | None,
    bound: int,
    f_in: int,
    wanted: Q,
    formats: Formats,
    times: int = 1,
    f_times: int = 0,
    keep_powers: bool = False,
) -> Fit:
    """Formats for ``(x * factor + bias) * s``, ``|x|`` at most ``bound`` units of ``2**-f_in``.

    Neither the bias nor the output gets more fraction bits than the product that it belongs to, and the
    factor as many as leave the whole, and one unit of the bias, within the accumulator.

    Parameters
    ----------
    factor : float array
    bias : float array or None
    bound, f_in : int
    wanted : Q
        What calibration asks of the output.
    formats : Formats
    times, f_times : int
        ``|s|`` is at most ``times`` units of ``2**-f_times``.
    keep_powers : bool
        Give the factor a bit more where it is a power of two, which saturates by one unit otherwise.

    Returns
    -------
    Fit
    """
    bits = formats.param_bits
    largest_factor = float(np.abs(factor).max())
    largest_bias = 0.0 if bias is None else float(np.abs(bias).max())
    int_bits = int_bits_for(largest_factor)
    if keep_powers and bits > 1 and largest_factor == 2.0**int_bits:
        int_bits += 1
    while True:
        q_factor = Q(bits, int_bits)
        f = f_in + q_factor.f
        # Zeros fit any format, and the product's own needs no shift.
        q_bias = Q(bits, max(int_bits_for(largest_bias), bits - f) if largest_bias else bits - f)
        largest_product = bound * int(q_factor.quantize(largest_factor))
        largest_offset = max(1, int(q_bias.quantize(largest_bias))) << (f - q_bias.f)
        if (largest_product + largest_offset) * times < 1 << ACCUMULATOR_BITS:
            break
        int_bits += 1
    q_out = Q(wanted.bits, max(wanted.int_bits, wanted.bits - (f + f_times)))
    n_bias = None if bias is None else q_bias.quantize(bias)
    return Fit(q_factor.quantize(factor), q_factor, n_bias, q_bias, q_out)


def check_fan_in(count: int) -> None:
    """Raise ValueError where floats would not hold a sum of ``count`` products exactly."""
    if count >= MAX_FAN_IN:
        raise ValueError(f"{count} inputs of an output have no exact sum; use fewer than {MAX_FAN_IN}")
