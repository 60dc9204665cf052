"""Programs whose kernels are compiled for a processor that has less than this one."""

import os
import platform
import subprocess
import sys

__all__ = ["PROCESSORS", "output_on"]

# LLVM's names of processors, and the instruction set of the kernels there.
PROCESSORS = {
    "x86_64": {"haswell": "AVX2", "generic": "SSE2"},
    "aarch64": {"generic": "NEON"},
}.get(platform.machine(), {})


def output_on(processor, *program):
    """Standard output of what Python is given to run, for this very processor if it is None."""
    folders = [*map(os.path.abspath, ("tests/ops", "tests/strategies", ".")), *sys.path]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, folders))}
    if processor is not None:
        environment |= {"NUMBA_CPU_NAME": processor, "NUMBA_CPU_FEATURES": ""}
    return subprocess.check_output([sys.executable, *program], env=environment, text=True)
