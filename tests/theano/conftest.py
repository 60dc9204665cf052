"""Settings for all tests of theano."""

import pytensor
import pytest


@pytest.fixture(autouse=True)
def no_c_compiler():
    """Let mode FAST_COMPILE run Python: with a C compiler, its loops take seconds to compile."""
    with pytensor.config.change_flags(cxx=""):
        yield
