"""Q formats: the one definition of fixed point, for the simulation, the engine and whoever comes later.

Everything here works on NumPy arrays and on Theano expressions alike, since it uses nothing but integer
arithmetic and ``clip``. Only :meth:`Q.quantize`, which starts from real numbers, wants NumPy.
"""

import math
from dataclasses import dataclass

import numpy as np

__all__ = ["Q", "int_bits_for", "round_shift", "saturate"]


@dataclass(frozen=True)
class Q:
    """A fixed-point format: a sign, and ``bits`` magnitude bits of which ``int_bits`` are integer.

    A real ``x`` becomes ``n = clip(round_half_even(x * 2**f), -(2**bits - 1), 2**bits - 1)`` with
    ``f = bits - int_bits``, and stands for ``n * 2**-f``. ``int_bits`` may be negative (numbers that are
    all small keep their precision) or larger than ``bits`` (numbers that are all large).

    Raises
    ------
    ValueError
        ``bits`` is not between 1 and 31.
    """

    bits: int
    int_bits: int

    def __post_init__(self):
        if not 1 <= self.bits <= 31:
            raise ValueError(f"A Q format has 1 to 31 magnitude bits; got {self.bits}")

    @property
    def f(self):
        """Fraction bits."""
        return self.bits - self.int_bits

    @property
    def limit(self):
        """Largest magnitude, as an integer: ``2**bits - 1``."""
        return (1 << self.bits) - 1

    def quantize(self, x):
        """Nearest integers ``n`` to real numbers, ties to even, saturated. Returns int64 array.

        Raises
        ------
        ValueError
            A number is not finite.
        """
        x = np.asarray(x, dtype=np.float64)
        if not np.isfinite(x).all():
            raise ValueError("Only finite numbers have a fixed-point form; the array holds NaN or infinity")
        with np.errstate(over="ignore"):  # beyond the floats is beyond the limit too
            n = np.rint(np.ldexp(x, self.f))
        return np.clip(n, -self.limit, self.limit).astype(np.int64)

    def dequantize(self, n):
        """Real numbers that the integers ``n`` stand for. Returns float64 array."""
        return np.ldexp(np.asarray(n, dtype=np.float64), -self.f)

    def __str__(self):
        return f"Q({self.bits}, {self.int_bits})"


def int_bits_for(magnitude):
    """Fewest integer bits whose range holds ``magnitude``: ``ceil(log2(magnitude))``; 0 for 0.

    A magnitude that is a power of two saturates by one unit in the last place, as the definition has it.

    Parameters
    ----------
    magnitude : float
        Largest absolute value.

    Raises
    ------
    ValueError
        The magnitude is negative or not finite.
    """
    magnitude = float(magnitude)
    if not math.isfinite(magnitude) or magnitude < 0:
        raise ValueError(f"A largest magnitude is finite and not negative; got {magnitude}")
    fraction, exponent = math.frexp(magnitude)
    return exponent - (fraction == 0.5)


def round_shift(n, shift):
    """``round_half_even(n * 2**-shift)`` for 64-bit integers; a negative ``shift`` multiplies, exactly.

    Parameters
    ----------
    n : int64 array or expression
        Magnitudes below ``2**62``.
    shift : int

    Returns
    -------
    int64 array or expression, as ``n``
    """
    if shift <= 0:
        return n * 2**-shift
    if shift > 62:
        return n * 0
    floor = n // 2**shift
    rest = n - floor * 2**shift
    # Above half, or at half with an odd floor: one comparison decides both.
    return floor + (rest + (floor & 1) > 2 ** (shift - 1))


def saturate(n, bits):
    """Clip integers to the magnitudes that ``bits`` bits hold."""
    limit = (1 << bits) - 1
    return n.clip(-limit, limit)
