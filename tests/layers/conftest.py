"""The same initial weights in every run."""

import lasagne
import numpy as np
import pytest


@pytest.fixture(autouse=True)
def _seeded():
    lasagne.random.set_rng(np.random.RandomState(0))
