"""Random networks for the tests of quantization, and the same initial weights in each."""

import lasagne
import numpy as np
import pytest
from random_networks import draw_network


@pytest.fixture(scope="session")
def networks():
    """Strategy of pairs: a network and a few images. ``exponents`` are those of its parameters."""
    return draw_network


@pytest.fixture(autouse=True)
def _seeded():
    lasagne.random.set_rng(np.random.RandomState(0))
