"""The machine that a benchmark runs on: processor, cores, system and GPU."""

import os
import platform
import subprocess
from pathlib import Path

__all__ = ["gpu", "machine"]


def machine():
    """The processor, its cores and the system, for a benchmark to print with its numbers.

    Returns
    -------
    dict
        ``cpu``, ``cores`` and ``system``.
    """
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    cpu = names[0] if names else platform.processor() or platform.machine()
    return {"cpu": cpu, "cores": os.cpu_count(), "system": platform.platform()}


def gpu():
    """Name of the first NVIDIA GPU, or "unknown GPU" where its driver does not say."""
    try:
        command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
        printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return "unknown GPU"
    return (printed.splitlines() or ["unknown GPU"])[0]
