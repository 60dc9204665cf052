"""How much memory may be taken: what is available, or what the limits of control groups leave."""

import math
import os

import pytest

from xnornet.memory import available_memory

MEMINFO = {"proc/meminfo": "MemTotal:       16000 kB\nMemFree:   1 kB\nMemAvailable:    8000 kB\n"}
V2, V1 = "sys/fs/cgroup/", "sys/fs/cgroup/memory/"


def system(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize(
    "files, kilobytes",
    [
        ({}, 8000),
        # A container's own group at the root of the mount, and one inside that sets no limit.
        (
            {
                "proc/self/cgroup": "0::/job\n",
                f"{V2}memory.max": f"{3000 * 1024}\n",
                f"{V2}memory.current": f"{2500 * 1024}\n",
                f"{V2}memory.stat": f"anon 5\ninactive_file {500 * 1024}\nactive_file 9\n",
                f"{V2}job/memory.max": "max\n",
                f"{V2}job/memory.current": "5\n",
            },
            1000,
        ),
        (
            {
                "proc/self/cgroup": "9:cpu:/a\n4:memory:/a\n",
                f"{V1}a/memory.limit_in_bytes": f"{2000 * 1024}\n",
                f"{V1}a/memory.usage_in_bytes": f"{2600 * 1024}\n",
                f"{V1}a/memory.stat": f"inactive_file 1\ntotal_inactive_file {700 * 1024}\n",
            },
            100,
        ),
        (
            {
                "proc/self/cgroup": "0::/\n",
                f"{V2}memory.max": "4096\n",
                f"{V2}memory.current": "999999\n",
            },
            0,
        ),
    ],
    ids=["no groups", "version 2", "version 1", "beyond the limit"],
)
def test_it_is_the_least_of_what_is_left(tmp_path, files, kilobytes):
    assert available_memory(system(tmp_path, {**MEMINFO, **files})) == kilobytes * 1024


def test_other_systems_report_half_of_all_memory_or_none(tmp_path, monkeypatch):
    numbers = {"SC_PHYS_PAGES": 1000, "SC_PAGE_SIZE": 4096}
    monkeypatch.setattr(os, "sysconf", numbers.__getitem__, raising=False)
    assert available_memory(tmp_path) == 500 * 4096
    monkeypatch.delattr(os, "sysconf")
    assert available_memory(tmp_path) == math.inf
