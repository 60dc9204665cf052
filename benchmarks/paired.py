"""Times of two kinds of one thing, measured in turns."""

import numpy as np

__all__ = ["compared", "lines"]


def compared(seconds, slow, fast):
    """Medians and quartiles in milliseconds, and how much longer one kind takes than the other.

    Parameters
    ----------
    seconds : dict
        Of each kind's name, its times in turn.
    slow, fast : str
        Numerator and denominator of the ratios.

    Returns
    -------
    dict
        Of each name ``median_ms`` and ``quartiles_ms``; besides ``ratio`` of the medians and
        ``paired_ratio``, the median of the ratios of neighbours.
    """
    times = {name: 1e3 * np.array(values) for name, values in seconds.items()}
    result = {
        name: {
            "median_ms": float(np.median(values)),
            "quartiles_ms": np.percentile(values, [25, 75]).round(1).tolist(),
        }
        for name, values in times.items()
    }
    result["ratio"] = result[slow]["median_ms"] / result[fast]["median_ms"]
    result["paired_ratio"] = float(np.median(times[slow] / times[fast]))
    return result


def lines(result, slow, fast):
    """A line for each kind, the faster one first, and one for the ratios."""
    kinds = [
        f"{name:9s} {result[name]['median_ms']:8.1f} ms   quartiles {result[name]['quartiles_ms']}"
        for name in (fast, slow)
    ]
    ratios = f"{result['ratio']:.3f}, of pairs of neighbours: {result['paired_ratio']:.3f}"
    return [*kinds, f"{slow} / {fast}: {ratios}"]
