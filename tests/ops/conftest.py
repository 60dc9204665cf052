"""Mode FAST_COMPILE runs Python: with a C compiler, its loops take seconds to compile."""

import pytensor
import pytest


@pytest.fixture(autouse=True, scope="session")
def _no_c_compiler():
    with pytensor.config.change_flags(cxx=""):
        yield
