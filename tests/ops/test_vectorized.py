"""Kernels that are bound by memory load vectors, and do not gather their numbers one by one.

Numba lets a place be negative, unless it is that of a range from 0. LLVM then gathers a vector, which takes
several times as long on processors whose gathers are slow, and nothing else shows it.
"""

import os
import subprocess
import sys

import pytest

PROGRAM = """
import sys
from importlib import import_module
from numba import types
from xnornet.machine_code import WORDS, c_function

kernel = getattr(import_module(sys.argv[1]), sys.argv[2])
print(c_function(kernel, types.void(types.intp, types.intp, WORDS)).inspect_llvm())
"""


@pytest.mark.parametrize(
    ("module", "kernel"),
    [
        ("xnornet.ops.weight_kernels", "adam"),
        ("xnornet.ops.weight_kernels", "mean_magnitude"),
        ("xnornet.ops.scaling_kernels", "scale_gradients"),
    ],
)
def test_a_kernel_gathers_nothing(module, kernel, tmp_path):
    setting = {"NUMBA_CPU_NAME": "skylake-avx512", "NUMBA_CPU_FEATURES": "", "NUMBA_CACHE_DIR": str(tmp_path)}
    code = subprocess.run(
        [sys.executable, "-c", PROGRAM, module, kernel],
        env=os.environ | setting,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert " x float>" in code, "not vectorized at all"
    assert "llvm.masked.gather" not in code
