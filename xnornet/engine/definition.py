"""Run an operation that has no kernel by its definition, on NumPy."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from xnornet.hints import Shape

if TYPE_CHECKING:
    from xnornet.graph.operation import Operation

__all__ = ["exact"]


def exact(count: int, operation: "Operation", shapes: Sequence[Shape], *arrays: NDArray) -> None:
    """Compute an operation's output by its definition.

    Parameters
    ----------
    count : int
        Images of the batch.
    operation : Operation
    shapes : tuple of tuple of int
        Of each input and of the output, without the batch axis.
    *arrays : int16 arrays, ``(n, rows, columns, channels)``
        Inputs, and the output.
    """
    *inputs, out = arrays
    n = [
        x[:count].transpose(0, 3, 1, 2).reshape(count, *shape).astype(np.int64)
        for x, shape in zip(inputs, shapes, strict=False)
    ]
    _, rows, columns, channels = out.shape
    images = operation.exact(np, *n).reshape(count, channels, rows, columns)
    out[:count] = images.transpose(0, 2, 3, 1)
