"""Theano's other random streams: those of ``MRG_RandomStreams``, and draws of integers and permutations."""

import numpy as np
import pytensor.tensor as pt

from theano.sandbox.rng_mrg import DrawPoisson, MRG_RandomStreams, _lengths

__all__ = ["RandomStreams"]


class RandomStreams(MRG_RandomStreams):
    """Symbolic random numbers; see :class:`theano.sandbox.rng_mrg.MRG_RandomStreams`."""

    def random_integers(self, size=None, low=0, high=1, ndim=None, dtype="int64", prob=None):
        """Integers from ``low`` to ``high``, both included, of shape ``size``."""
        low, high = map(pt.as_tensor_variable, (low, high))
        drawn = self._draw("uniform", _lengths(size, ndim, low, high), "float64")
        return self._named((pt.floor(drawn * (high - low + 1)) + low).astype(dtype))

    def permutation(self, size=None, n=1, ndim=None, dtype="int64"):
        """Permutations of the numbers below ``n``: one, or an array of them of shape ``size``."""
        size = () if size is None else size
        lengths = (size,) if isinstance(size, int | np.integer) else tuple(size)
        return self._named(pt.argsort(self._draw("uniform", (*lengths, n), "float64"), axis=-1).astype(dtype))

    def shuffle_row_elements(self, input):
        """``input`` with the elements of each row, its last axis, in another order."""
        input = pt.as_tensor_variable(input)
        order = pt.argsort(self._draw("uniform", input.shape, "float64"), axis=-1)
        return self._named(pt.take_along_axis(input, order, axis=-1))

    def choice(self, size=None, a=2, replace=True, p=None, ndim=None, dtype="int64"):
        """Take ``size`` of the numbers below ``a``, or of a vector's entries, by probabilities ``p``."""
        a = pt.as_tensor_variable(a)
        n = a if a.ndim == 0 else a.shape[0]
        p = pt.ones((n,), "float64") / n if p is None else pt.as_tensor_variable(p)
        size = _lengths(() if size is None else size, ndim)
        if replace:
            edges = pt.cumsum(p)[:-1]
            taken = pt.sum(self._draw("uniform", (*size, 1), "float64") >= edges, axis=-1)
        else:
            # Of clocks that ring at the rates p, the first to ring are a sample without replacement.
            times = -pt.log1p(-self._draw("uniform", (n,), "float64")) / p
            taken = pt.argsort(times)[: pt.prod(pt.stack(size)) if size else 1].reshape(size)
        return self._named((taken if a.ndim == 0 else a[taken]).astype(dtype))

    def poisson(self, size=None, lam=1.0, ndim=None, dtype="int64"):
        """Numbers of events where ``lam`` are expected, of shape ``size``."""
        lam = pt.as_tensor_variable(lam).astype("float64")
        rates = pt.broadcast_to(lam, _lengths(size, ndim, lam))
        self._places += 1
        return self._named(DrawPoisson(self._places)(self.state, rates).astype(dtype))

    def multinomial(self, size=None, n=1, pvals=(0.5, 0.5), ndim=None, dtype="int64"):
        """Counts of ``n`` draws from probabilities ``pvals``, of shape ``(*size, classes)``."""
        pvals = pt.as_tensor_variable(pvals)
        rows = list(pvals.shape[:-1]) if size is None else _lengths(size, ndim)
        return self._multinomial(rows, n, pvals, dtype)
