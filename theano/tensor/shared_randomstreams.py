"""Theano's other random streams: those of ``MRG_RandomStreams``, and draws of integers and permutations."""

import numpy as np
import pytensor.tensor as pt

from theano.sandbox.rng_mrg import MRG_RandomStreams

__all__ = ["RandomStreams"]


class RandomStreams(MRG_RandomStreams):
    """Symbolic random numbers; see :class:`theano.sandbox.rng_mrg.MRG_RandomStreams`."""

    def random_integers(self, size=None, low=0, high=1, ndim=None, dtype="int64", prob=None):
        """Integers from ``low`` to ``high``, both included, of shape ``size``."""
        low, high = map(pt.as_tensor_variable, (low, high))
        drawn = self._draw("uniform", () if size is None else size, "float64")
        return (pt.floor(drawn * (high - low + 1)) + low).astype(dtype)

    def permutation(self, size=None, n=1, ndim=None, dtype="int64"):
        """Orders of the numbers below ``n``: a vector of them, or as many vectors as ``size`` tells."""
        size = () if size is None else size
        lengths = (size,) if isinstance(size, int | np.integer) else tuple(size)
        return pt.argsort(self._draw("uniform", (*lengths, n), "float64"), axis=-1).astype(dtype)

    def shuffle_row_elements(self, input):
        """``input`` with the elements of each row, its last axis, in another order."""
        input = pt.as_tensor_variable(input)
        order = pt.argsort(self._draw("uniform", input.shape, "float64"), axis=-1)
        return pt.take_along_axis(input, order, axis=-1)

    def poisson(self, *args, **kwargs):
        """Refuse to draw from the Poisson distribution."""
        raise NotImplementedError("RandomStreams.poisson is not supported; nearest is binomial with large n")
