"""Arrays of the ancestor's form, of random numbers."""

import numpy as np

__all__ = ["ancestor_arrays"]


def ancestor_arrays(filters=2, seed=0):
    """Arrays of the ancestor's CIFAR-10 network in its order, ``filters`` standing for its 128."""
    rng = np.random.default_rng(seed)
    arrays, channels = [], 3
    for i, count in enumerate(filters * np.array([1, 1, 2, 2, 4, 4])):
        arrays += [rng.uniform(-1, 1, (count, channels, 3, 3)), rng.normal(size=count)]
        if i > 0:
            arrays += [np.full((count, channels, 3, 3), 1 / (9 * channels)), rng.uniform(0.1, 1, count)]
        arrays += batch_norm(rng, count)
        channels = count
    inputs, units = channels * 16, 8 * filters
    for _ in range(2):
        arrays += [rng.uniform(-1, 1, (inputs, units)), rng.normal(size=units), rng.uniform(0.1, 1, units)]
        arrays += batch_norm(rng, units)
        inputs = units
    return [a.astype(np.float32) for a in (*arrays, rng.normal(size=(units, 10)), rng.normal(size=10))]


def batch_norm(rng, count):
    return [rng.normal(size=count), rng.uniform(0.5, 2, count), rng.normal(size=count), np.ones(count)]
