"""Fold everything between a layer and the next signs into one comparison of the layer's product.

Where the inputs are not scaled, an output's product ``p`` goes through ``alpha``, bias, rounding, rectifier,
pooling and batch norm. Each of these is a monotonic function of ``p``, so the sign of the result changes at
one integer, the threshold. It is found by bisection, with the same arithmetic that it replaces.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from xnornet.graph import Affine, Linear, MaxPool
from xnornet.graph.operation import aligned, finish

if TYPE_CHECKING:
    from xnornet.graph.filters import Filter
    from xnornet.graph.operation import Operation

__all__ = ["aligned_bias", "fold"]


def aligned_bias(operation: "Affine | Filter") -> NDArray[np.int64]:
    """An operation's bias with as many fraction bits as the product that it is added to."""
    return aligned(operation.b, operation.q_b, operation.fraction_bits())


def fold(
    record: "Filter", following: "Sequence[Operation]", largest: int, outputs: int | None = None
) -> tuple[NDArray, NDArray, NDArray]:
    """Threshold of each output of a layer, and whether its sign is inverted.

    Parameters
    ----------
    record : XNOR, Linear or None
        Its inputs are not scaled. None to compare ``outputs`` numbers directly.
    following : list of records
        Monotonic operations up to the next sign; at most one of them is a ``MaxPool``.
    largest : int
        Largest magnitude of a product.

    Returns
    -------
    t : int64 array, ``(outputs,)``
        The output's bit is ``p >= t``, from ``-largest`` to ``largest + 1``, which no product reaches.
    flips, pooled_flips : bool arrays, ``(outputs,)``
        Where that bit is inverted: before max pooling, and after it.
    """
    outputs = record.weights[0] if record else outputs
    b = 0 if record is None or record.b is None else aligned_bias(record)
    falls, falls_after_pooling = (
        np.logical_xor.reduce([np.zeros(outputs, bool), *[r.scale < 0 for r in affine]])
        for affine in (_affine(following), _affine(_behind_pooling(following)))
    )

    def turned(p):
        return (_behind(record, b, following, p[np.newaxis])[0] >= 0) != falls

    # Between products that do not reach the threshold and products that do.
    low, high = np.full(outputs, -largest - 1), np.full(outputs, largest + 1)
    while (high - low).max() > 1:
        # Rounded up: where the threshold is found already, it is tried again, and not what lies below.
        middle = (low + high + 1) // 2
        reached = turned(middle)
        low, high = np.where(reached, low, middle), np.where(reached, middle, high)
    if any(isinstance(r, MaxPool) for r in following):
        return high, falls != falls_after_pooling, falls_after_pooling
    return high, falls, np.zeros_like(falls)


def _affine(records):
    return [r for r in records if isinstance(r, Affine)]


def _behind_pooling(records):
    pools = [i for i, r in enumerate(records) if isinstance(r, MaxPool)]
    return records[pools[0] + 1 :] if pools else records


def _behind(record, b, following, p):
    """What the records make of products ``p``, ``(1, outputs)``."""
    if record:
        product = p if isinstance(record, Linear) else p * record.alpha
        p = finish(product + b, record.fraction_bits(), record.q_out)
    for r in following:
        p = p if isinstance(r, MaxPool) else r.exact(np, p)
    return p
