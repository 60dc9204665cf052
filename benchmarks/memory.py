"""A process's memory, as the system counts it.

It needs only the standard library, as every contender has its own environment.
"""

from pathlib import Path

__all__ = ["forget_peak", "resident"]


def forget_peak():
    """Reset the peak to what is in memory now, since imports of some contenders use more than their models.

    Returns
    -------
    int or None
        Bytes in memory now; None where the system does not say, or has no such peak.
    """
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return None
    return resident("VmRSS")


def resident(key):
    """Bytes of this process in memory, now (VmRSS) or at most (VmHWM)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key))
