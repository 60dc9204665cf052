"""Everything between two binary layers folded to one comparison of the product of signs.

Where the inputs are not scaled, an output's product of signs ``p`` goes through ``alpha``, bias, rounding,
rectifier, pooling and batch norm, each of which never falls, or never rises, as ``p`` grows. So the sign
behind them is told by one integer: the least ``p`` at which it is the other one. It is found by trying, with
the very arithmetic that is replaced.
"""

import numpy as np

from xnornet.graph import Affine, MaxPool, Rectify
from xnornet.graph.operation import aligned, finish

__all__ = ["aligned_bias", "fold"]


def aligned_bias(operation):
    """An operation's bias with as many fraction bits as the product that it is added to."""
    return aligned(operation.b, operation.q_b, operation.fraction_bits())


def fold(record, following, fan_in):
    """Threshold of each output of a binary layer, and where its sign is turned.

    Parameters
    ----------
    record : XNOR
        Not scaled by its inputs.
    following : list of records
        Up to the next sign; at most one of them is a ``MaxPool``.
    fan_in : int
        Largest magnitude of a product.

    Returns
    -------
    t : int64 array, ``(outputs,)``
        The output's bit is ``p >= t``, from ``-fan_in`` to ``fan_in + 1``, which no product reaches.
    flips, pooled_flips : bool arrays, ``(outputs,)``
        Where that bit is turned: before the largest of a pooling window is taken, and after.
    """
    b = 0 if record.b is None else aligned_bias(record)
    falls, falls_after_pooling = (
        np.logical_xor.reduce([np.zeros(len(record.alpha), bool), *[r.scale < 0 for r in affine]])
        for affine in (_affine(following), _affine(_behind_pooling(following)))
    )

    def turned(p):
        return (_behind(record, b, following, p) >= 0) != falls

    shape = record.alpha.shape
    # Between products that do not reach the threshold and products that do.
    low, high = np.full(shape, -fan_in - 1), np.full(shape, fan_in + 1)
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
    """What the records make of products ``p``, ``(outputs,)``."""
    n = _finished(record, p * record.alpha + b)
    for r in following:
        if isinstance(r, Rectify):
            n = np.maximum(n, 0)
        elif isinstance(r, Affine):
            n = _finished(r, n * r.scale + aligned_bias(r))
    return n


def _finished(record, n):
    return finish(n, record.fraction_bits(), record.q_out)
