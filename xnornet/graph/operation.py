"""What an operation is: a class that knows all about itself, on real numbers and on integers.

Each concept has a file beside this one. What runs over operations (simulation, checks, the file, the
engine) asks them, and names none.
"""

from dataclasses import dataclass, fields
from types import UnionType
from typing import get_args

import numpy as np

from xnornet.fixedpoint import round_shift, saturate

__all__ = ["KINDS", "Cost", "Operation", "aligned", "finish", "kind_of_field", "per_channel"]

# Each operation's class by its name in files.
KINDS = {}


@dataclass(frozen=True)
class Cost:
    """Multiply-adds of an operation for one image.

    Taps on the padding are counted, as is usual; mere additions and comparisons are not.
    """

    binary_macs: int = 0
    real_macs: int = 0


class Operation:
    """A function of arrays, ``(batch, ...)``, with parameters.

    A subclass is a frozen dataclass with a ``kind``. Its fields are its parameters, and their annotations
    decide how they are checked and how they lie in a file: ``Q``, ``Window``, ``Signs``, ``bool``, ``int``,
    ``tuple`` of ``int``, or ``np.ndarray``, each also with ``| None``. An array ``name`` holds integers of
    the format in the field ``q_name``, or real numbers where that is None. An operation that changes the
    format of its data has ``q_in`` and ``q_out``.

    Attributes
    ----------
    kind : str
        Its name, in files and tables.
    takes_many : bool
        Whether it takes any number of inputs, and not one.
    """

    kind, takes_many = None, False

    def __init_subclass__(cls):
        if cls.kind is not None:
            KINDS[cls.kind] = cls

    def shape(self, *shapes):
        """Shape of the output from those of the inputs, all without the batch axis."""
        return shapes[0]

    def q(self, *formats):
        """Format of the output from those of the inputs."""
        return getattr(self, "q_out", formats[0])

    def exact(self, xp, *n):
        """The definition: integers from integers, in 64 bits, the exact result rounded once.

        Parameters
        ----------
        xp : module
            NumPy or ``jax.numpy``.
        *n : int64 arrays, ``(batch, ...)``

        Returns
        -------
        int64 array
        """
        raise NotImplementedError

    def real(self, xp, *x):
        """The formula on real numbers, with the parameters as the real numbers that they stand for."""
        return self.exact(xp, *x)

    def bound(self):
        """Largest magnitude of an exact result before it is rounded, an integer of Python's."""
        return 0

    def cost(self, *shapes):
        """:class:`Cost` for inputs of these shapes."""
        return Cost()

    def fit(self, formats, wanted, *q):
        """This operation in integers.

        Parameters
        ----------
        formats : Formats
        wanted : Q
            The format that calibration asks of the output.
        *q : Q
            Formats of the inputs.

        Returns
        -------
        Operation

        Raises
        ------
        ValueError
            It has no exact form.
        """
        return self

    def check(self, shapes, formats):
        """Raise ModelError where the operation does not fit inputs of these shapes and formats.

        Types, formats and the range of each parameter have been checked before, and the bound is after.
        """

    def fraction_bits(self):
        """Fraction bits of the exact result before it is rounded; None where nothing is rounded."""
        return None

    def taken(self, *shapes):
        """Numbers that running the operation lays out beside its output."""
        return 0

    def title(self):
        """Its name in tables."""
        return self.kind

    def arrays(self):
        """Name of each array parameter that is there."""
        return [f.name for f in fields(self) if isinstance(getattr(self, f.name), np.ndarray)]

    def value(self, name):
        """An array as the real numbers that it stands for, float64."""
        array, q = getattr(self, name), getattr(self, f"q_{name}")
        return np.asarray(array, np.float64) if q is None else q.dequantize(array)


def kind_of_field(field):
    """Type of a parameter, and whether it may be None."""
    if isinstance(field.type, UnionType):
        kind, _ = get_args(field.type)
        return kind, True
    return field.type, False


def finish(product, f, q_out):
    """Round an exact result of ``f`` fraction bits to its format."""
    return saturate(round_shift(product, f - q_out.f), q_out.bits)


def per_channel(values, ndim):
    """Parameters shaped to go with data: along axis 1, or along all axes but the first.

    A parameter of as many axes as a sample has a number for each of the sample's.
    """
    if values.ndim == ndim - 1:
        return values.reshape(1, *values.shape)
    return values.reshape(1, -1, *[1] * (ndim - 2))


def aligned(array, q, f):
    """Integers of format ``q`` with ``f`` fraction bits."""
    return array << (f - q.f)
