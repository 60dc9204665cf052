"""What a benchmark's numbers depend on, as far as it is known."""

import os
import platform
from pathlib import Path

__all__ = ["machine"]


def machine():
    """The processor, its cores and the system, for a benchmark to tell beside its numbers.

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
