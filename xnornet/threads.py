"""How many threads the engine and the training kernels take by default.

A thread for each core that the process may use: the cores of its affinity, but no more than the CPU quota of
its container or service allows. The environment variable ``XNORNET_THREADS`` overrides this. The module
imports little but the standard library.
"""

import os
from pathlib import Path, PurePosixPath

from xnornet.errors import ThreadsError

__all__ = ["MOST_THREADS", "available_cores", "control_groups", "default_threads", "file_text"]

# More threads than cores are of use for tests only.
MOST_THREADS = 256

# Where control groups are mounted that may hold a limit: version 2, alone or beside version 1, and version 1.
VERSION_2 = ("sys/fs/cgroup", "sys/fs/cgroup/unified")
VERSION_1 = {
    "cpu": ("sys/fs/cgroup/cpu", "sys/fs/cgroup/cpu,cpuacct"),
    "memory": ("sys/fs/cgroup/memory",),
}


def default_threads(root="/"):
    """Threads to use where the caller gives no number.

    Returns
    -------
    int

    Raises
    ------
    ThreadsError
        ``XNORNET_THREADS`` is not a whole number from 1 to ``MOST_THREADS``.
    """
    value = os.environ.get("XNORNET_THREADS", "")
    if not value:
        return min(available_cores(root), MOST_THREADS)
    try:
        threads = int(value)
    except ValueError:
        threads = 0
    if not 1 <= threads <= MOST_THREADS:
        raise ThreadsError(f"XNORNET_THREADS is {value!r}; it takes a whole number from 1 to {MOST_THREADS}")
    return threads


def available_cores(root="/"):
    """Cores that this process may use at a time, at least one.

    A quota of one and a half cores counts as one: two threads would use it up before its period ends, and
    both wait for the rest. Quotas are read on Linux only, where control groups are mounted at the usual
    places.

    Parameters
    ----------
    root : path
        Where the system's files are.
    """
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    quotas = (quota for group in control_groups(Path(root), "cpu") for quota in _quota(group))
    return max(1, min([cores, *map(int, quotas)]))


def control_groups(root, controller):
    """Folders of the control groups around this process that may limit its ``cpu`` or its ``memory``."""
    for line in file_text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = (line.split(":", 2) + ["", ""])[:3]
        if controllers and controller not in controllers.split(","):
            continue
        for mount in VERSION_1[controller] if controllers else VERSION_2:
            yield from _groups(root / mount, path)


def _groups(mount, path):
    """Folders of a group and of those around it.

    In a container, ``path`` may be the host's, or begin with ``..``, while the mount's root is the
    container's own group. So the root is always among the folders; those that do not exist hold no limit.
    """
    path = PurePosixPath(path.lstrip("/"))
    inner = PurePosixPath() if ".." in path.parts else path
    return [mount / part for part in (inner, *inner.parents)]


def _quota(group):
    """The limit that a group sets, as one number or none."""
    numbers = file_text(group / "cpu.max").split()
    if not numbers:
        files = (group / f"cpu.cfs_{name}_us" for name in ("quota", "period"))
        numbers = [number for file in files for number in file_text(file).split()]
    try:
        quota, period = map(int, numbers)
    except ValueError:
        return
    if quota > 0 and period > 0:
        yield quota / period


def file_text(path):
    """Contents of a file of the system's, empty if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
