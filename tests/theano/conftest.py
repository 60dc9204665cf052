"""Settings for all tests of theano, and the comparison of its two ways to run a graph."""

import numpy as np
import pytensor
import pytest

import theano


@pytest.fixture(autouse=True)
def no_c_compiler():
    """Let mode FAST_COMPILE run Python: with a C compiler, its loops take seconds to compile."""
    with pytensor.config.change_flags(cxx=""):
        yield


@pytest.fixture
def assert_modes_agree():
    """Compare one call of a function in mode JAX with one in FAST_COMPILE, and what each stores.

    Call it with inputs, outputs, updates and values of the inputs; it returns what JAX gave. Shared
    variables, random streams among them, hold the same values before each call, and again afterwards.
    """

    def call(mode, inputs, outputs, updates, values):
        function = theano.function(inputs, outputs, updates=updates, mode=mode)
        before = {shared: shared.get_value() for shared in function.get_shared()}
        results = function(*values) + [shared.get_value() for shared in updates]
        for shared, value in before.items():
            shared.set_value(value)
        return results

    def compare(inputs, outputs, updates, values, rtol=2e-4, atol=1e-6):
        results, expected = (call(mode, inputs, outputs, updates, values) for mode in ("JAX", "FAST_COMPILE"))
        for result, other in zip(results, expected, strict=True):
            assert result.dtype == other.dtype and np.isfinite(result).all()
            np.testing.assert_allclose(result, other, rtol=rtol, atol=atol)
        return results[: len(outputs)]

    return compare
