"""Parts of float32, and products on a GPU where there is one."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from xnornet.ops import tensor_cores


def test_parts_are_the_upper_bits():
    x = np.random.default_rng(0).normal(size=1000).astype(np.float32) * 10.0 ** np.arange(-30, 20, 0.05)
    x = x.astype(np.float32)
    for count, error in ((1, 2.0**-8), (2, 2.0**-16), (3, 0)):
        parts = tensor_cores.parts(x, count)
        assert {str(part.dtype) for part in parts} == {"bfloat16"} and len(parts) == count
        total = sum(np.asarray(part, np.float64) for part in parts)
        assert (np.abs(total - x) <= error * np.abs(x)).all()


def test_columns_hold_what_windows_do():
    images = np.random.default_rng(0).integers(0, 100, (2, 5, 6, 3))
    found = tensor_cores.columns(images, (3, 2), ((1, 0), (0, 2)), (1, 2))
    padded = np.pad(images, ((0, 0), (1, 0), (0, 2), (0, 0)))
    assert found.shape == (2, 4, 4, 18)
    for y, x in np.ndindex(4, 4):
        window = padded[:, y : y + 3, 2 * x : 2 * x + 2]
        np.testing.assert_array_equal(found[:, y, x], window.reshape(2, 18))


@pytest.mark.skipif(shutil.which("nvidia-smi") is None, reason="there is no NVIDIA GPU")
def test_on_a_gpu_products_are_exact_and_gradients_near():
    environment = {k: v for k, v in os.environ.items() if k != "JAX_PLATFORMS"}
    program = Path(__file__).with_name("gpu_products.py")
    run = subprocess.run(
        [sys.executable, "-W", "ignore", program], capture_output=True, text=True, env=environment
    )
    if "finds no such GPU" in run.stderr:
        pytest.skip("JAX finds no GPU; pip install 'xnornet[cuda]' brings what it needs")
    assert run.returncode == 0, run.stderr
    for line in run.stdout.splitlines():
        single, double, _ = line.split(maxsplit=2)
        assert float(single) < 1e-4 and float(double) < 1e-12, line
