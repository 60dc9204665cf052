"""What the room of models loads: no network library, and nothing that only training or data need."""

import subprocess
import sys

import pytest

HEAVY = {
    "JAX": ["jax", "jaxlib"],
    "the network library": ["theano", "pytensor", "lasagne"],
    "compilers": ["numba", "llvmlite"],
    "data and plots": ["scipy", "sklearn", "matplotlib", "requests"],
}


@pytest.fixture(scope="module")
def loaded():
    program = "import sys, xnornet.model; print(*{name.partition('.')[0] for name in sys.modules})"
    return set(subprocess.check_output([sys.executable, "-c", program], text=True).split())


@pytest.mark.parametrize("names", HEAVY.values(), ids=HEAVY)
def test_models_load_without(loaded, names):
    assert "numpy" in loaded
    assert not loaded & set(names)
