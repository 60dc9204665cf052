"""How much memory this process may still take: that of the machine, or less in a container or service."""

import math
import os
import re
from pathlib import Path

from xnornet.threads import control_groups, file_text

__all__ = ["available_memory"]

# The files of a control group of version 2, and of version 1: its limit, what it has taken, and of that the
# part that the system takes back from files when memory is short.
FILES = (
    ("memory.max", "memory.current", "inactive_file"),
    ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)


def available_memory(root="/"):
    """Bytes that can be allocated without swapping.

    Control groups are read on Linux only. On other systems this is half of all memory, as the use by other
    processes is not known, and infinity if the system does not report its memory (Windows).

    Parameters
    ----------
    root : path
        Where the system's files are.

    Returns
    -------
    float
    """
    root = Path(root)
    found = re.search(r"^MemAvailable:\s*(\d+) kB", file_text(root / "proc/meminfo"), re.MULTILINE)
    rest = float(found[1]) * 1024 if found else _half_of_all()
    groups = control_groups(root, "memory")
    return max(0.0, min([rest, *(left for group in groups for left in _left(group))]))


def _half_of_all():
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2
    except (AttributeError, ValueError, OSError):
        return math.inf


def _left(group):
    """What the limit of a group leaves, as one number or none."""
    for limit, usage, files in FILES:
        cached = re.search(rf"^{files} (\d+)$", file_text(group / "memory.stat"), re.MULTILINE)
        try:
            left = int(file_text(group / limit)) - int(file_text(group / usage))
            yield left + int(cached[1] if cached else 0)
        # There is no such file, or its limit is "max".
        except ValueError:
            continue
