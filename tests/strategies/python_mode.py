"""Functions that run in Python, one Op after the other: for tests that compile many functions without JAX."""

import theano

__all__ = ["in_python"]


def in_python():
    """For a ``with`` block or, as a decorator, a test: JAX takes seconds to compile a net, this a tenth."""
    return theano.config.change_flags(mode="FAST_COMPILE", cxx="")
