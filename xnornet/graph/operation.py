"""The base class of operations, which compute on real numbers and on integers.

Each group of operations has a file beside this one. Code that visits operations (simulation, checks, files,
the engine) calls their methods and depends on no particular one.
"""

from collections.abc import Sequence
from dataclasses import Field, dataclass, fields
from types import UnionType
from typing import TYPE_CHECKING, Any, ClassVar, cast, get_args, get_origin

import numpy as np
from numpy.typing import NDArray

from xnornet.fixedpoint import Q, round_shift, saturate
from xnornet.hints import Array, Namespace, Shape

if TYPE_CHECKING:
    from xnornet.graph.formats import Formats

__all__ = ["KINDS", "Cost", "Operation", "aligned", "finish", "kind_of_field", "per_channel"]

# Each operation's class by its name in files.
KINDS: dict[str, "type[Operation]"] = {}


@dataclass(frozen=True)
class Cost:
    """Multiply-adds of an operation for one image.

    Taps on the padding are counted, as is usual; additions and comparisons alone are not.
    """

    binary_macs: int = 0
    real_macs: int = 0


class Operation:
    """A function of arrays, ``(batch, ...)``, with parameters.

    A subclass is a frozen dataclass with a ``kind``. Its fields are its parameters, and their annotations
    decide how they are checked and how a file stores them: ``Q``, ``Window``, ``Signs``, ``bool``, ``int``,
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

    kind: ClassVar[str] = ""
    takes_many: ClassVar[bool] = False

    # Where it has them, its formats.
    q_in: Q | None
    q_out: Q | None

    def __init_subclass__(cls) -> None:
        if cls.kind:
            KINDS[cls.kind] = cls

    def shape(self, *shapes: Shape) -> Shape:
        """Shape of the output from those of the inputs, all without the batch axis."""
        return shapes[0]

    def q(self, *formats: Q | None) -> Q | None:
        """Format of the output from those of the inputs."""
        return getattr(self, "q_out", formats[0])

    def exact(self, xp: Namespace, *n: Array) -> Array:
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

    def real(self, xp: Namespace, *x: Array) -> Array:
        """The formula on real numbers, with the real values of the parameters."""
        return self.exact(xp, *x)

    def bound(self) -> int:
        """Largest magnitude of an exact result before rounding, as a Python integer."""
        return 0

    def cost(self, *shapes: Shape) -> Cost:
        """:class:`Cost` for inputs of these shapes."""
        return Cost()

    def fit(self, formats: "Formats", wanted: Q, *q: Q) -> "Operation":
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

    def check(self, shapes: Sequence[Shape], formats: Sequence[Q | None]) -> None:
        """Raise ModelError if the operation does not fit inputs of these shapes and formats.

        The types, formats and ranges of parameters have been checked before; the bound is checked after.
        """

    def fraction_bits(self) -> int | None:
        """Fraction bits of the exact result before it is rounded; None where nothing is rounded."""
        return None

    def taken(self, *shapes: Shape) -> int:
        """How many numbers the operation allocates while it runs, besides its output."""
        return 0

    def title(self) -> str:
        """Its name in tables."""
        return self.kind

    def arrays(self) -> list[str]:
        """Names of the array parameters that are not None."""
        return [f.name for f in fields(cast(Any, self)) if isinstance(getattr(self, f.name), np.ndarray)]

    def value(self, name: str) -> NDArray[np.float64]:
        """An array as the real numbers that it stands for, float64."""
        array, q = getattr(self, name), getattr(self, f"q_{name}")
        return np.asarray(array, np.float64) if q is None else q.dequantize(array)


def kind_of_field(field: Field) -> tuple[Any, bool]:
    """Type of a parameter, and whether it may be None.

    Annotations of parameters are read when programs run. So an array is ``np.ndarray`` there: ``NDArray`` is
    a class in some versions of NumPy, and in others it is none.
    """
    kind: Any = field.type
    optional = isinstance(kind, UnionType)
    if optional:
        kind, _ = get_args(kind)
    return get_origin(kind) or kind, optional


def finish(product: Array, f: int, q_out: Q) -> Array:
    """Round an exact result of ``f`` fraction bits to its format."""
    return saturate(round_shift(product, f - q_out.f), q_out.bits)


def per_channel(values: NDArray, ndim: int) -> NDArray:
    """Parameters shaped to go with data: along axis 1, or along all axes but the first.

    A parameter of as many axes as a sample has a number for each of the sample's.
    """
    if values.ndim == ndim - 1:
        return values.reshape(1, *values.shape)
    return values.reshape(1, -1, *[1] * (ndim - 2))


def aligned(array: NDArray, q: Q, f: int) -> NDArray:
    """Integers of format ``q`` with ``f`` fraction bits."""
    return array << (f - q.f)
