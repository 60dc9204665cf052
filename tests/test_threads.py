"""How many threads there are by default: affinity, quotas of control groups, and a variable over both.

The system's files are written under a folder of each test, in the form that Linux gives them.
"""

import os
import subprocess
import sys

import pytest

from xnornet.errors import ThreadsError
from xnornet.threads import MOST_THREADS, available_cores, default_threads

CORES = 8


@pytest.fixture(autouse=True)
def _eight_cores(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(CORES)), raising=False)
    monkeypatch.delenv("XNORNET_THREADS", raising=False)


def system(root, groups, files=None):
    """Write a system's files; ``groups`` are those that this process is in."""
    for name, text in {"proc/self/cgroup": groups, **(files or {})}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def version_2(root, path, quotas):
    return system(root, f"0::{path}\n", {f"sys/fs/cgroup/{k}cpu.max": v for k, v in quotas.items()})


def version_1(root, path, quotas, mount="cpu,cpuacct"):
    files = {}
    for group, (quota, period) in quotas.items():
        files[f"sys/fs/cgroup/{mount}/{group}cpu.cfs_quota_us"] = f"{quota}\n"
        files[f"sys/fs/cgroup/{mount}/{group}cpu.cfs_period_us"] = f"{period}\n"
    return system(root, f"12:pids:{path}\n4:{mount}:{path}\n3:cpuset:/\n1:name=systemd:/init\n", files)


def test_without_control_groups_it_is_the_affinity(tmp_path):
    assert available_cores(tmp_path) == default_threads(tmp_path) == CORES


def test_where_there_is_no_affinity_it_is_the_number_of_cores(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert available_cores(tmp_path) == 6
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert available_cores(tmp_path) == 1


@pytest.mark.parametrize(
    "text, cores",
    [
        ("max 100000\n", CORES),
        ("200000 100000\n", 2),
        ("150000 100000\n", 1),
        ("50000 100000\n", 1),
        ("1600000 100000\n", CORES),
        ("250000 50000\n", 5),
        ("", CORES),
        ("many\n", CORES),
        ("200000 0\n", CORES),
        ("200000\n", CORES),
    ],
)
def test_a_quota_of_version_2(tmp_path, text, cores):
    """As a container sees it, whose own group is the root of its mount."""
    assert available_cores(version_2(tmp_path, "/", {"": text})) == cores


def test_the_smallest_quota_of_the_groups_around_a_process_counts(tmp_path):
    quotas = {"": "max 100000", "a/": "300000 100000", "a/b/": "max 100000", "a/b/c/": "500000 100000"}
    quotas["other/"] = "100000 100000"
    assert available_cores(version_2(tmp_path, "/a/b/c", quotas)) == 3


@pytest.mark.parametrize("path", ["/docker/0123", "/../../system.slice/x.service"])
def test_the_root_counts_where_the_path_is_the_hosts(tmp_path, path):
    assert available_cores(version_2(tmp_path, path, {"": "200000 100000"})) == 2
    quotas = {"": (200_000, 100_000)}
    assert available_cores(version_1(tmp_path / "v1", path, quotas)) == 2


@pytest.mark.parametrize("mount", ["cpu,cpuacct", "cpu"])
@pytest.mark.parametrize(
    "quota, period, cores",
    [(-1, 100_000, CORES), (400_000, 100_000, 4), (50_000, 20_000, 2), (1_000, 100_000, 1)],
)
def test_a_quota_of_version_1(tmp_path, mount, quota, period, cores):
    root = version_1(tmp_path, "/kube/pod", {"": (-1, 100_000), "kube/pod/": (quota, period)}, mount)
    assert available_cores(root) == cores


def test_version_2_beside_version_1(tmp_path):
    groups = "5:memory:/x\n0::/user.slice\n"
    root = system(tmp_path, groups, {"sys/fs/cgroup/unified/user.slice/cpu.max": "300000 100000\n"})
    assert available_cores(root) == 3


@pytest.mark.parametrize("groups", ["", "\n", "nonsense\n", "0::\n", ":::::\n", "0::/no such\n"])
def test_what_is_no_list_of_groups_sets_no_limit(tmp_path, groups):
    assert available_cores(system(tmp_path, groups)) == CORES


def test_the_variable_overrides_affinity_and_quota(tmp_path, monkeypatch):
    root = version_2(tmp_path, "/", {"": "200000 100000"})
    for value in ("1", "3", str(CORES + 1), str(MOST_THREADS)):
        monkeypatch.setenv("XNORNET_THREADS", value)
        assert default_threads(root) == int(value)
    monkeypatch.setenv("XNORNET_THREADS", "")
    assert default_threads(root) == 2


@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5", "1 2", str(MOST_THREADS + 1), "9" * 5000])
def test_a_variable_that_is_no_number_of_threads_is_one_clear_line(tmp_path, monkeypatch, value):
    monkeypatch.setenv("XNORNET_THREADS", value)
    with pytest.raises(ThreadsError) as caught:
        default_threads(tmp_path)
    assert (
        str(caught.value) == f"XNORNET_THREADS is '{value}'; it takes a whole number from 1 to {MOST_THREADS}"
    )


def test_engine_and_training_take_it():
    program = """
import xnornet.engine, sys
from xnornet.graph import Flatten, Graph, Quantize
from xnornet.fixedpoint import Q
print(xnornet.engine.Engine(Graph.chain((1, 1, 1), [Quantize(Q(7, 0)), Flatten()])).threads)
from xnornet.ops import custom_calls
print(custom_calls.THREADS.value)
"""
    environment = os.environ | {
        "XNORNET_THREADS": "3",
        "PYTHONPATH": os.pathsep.join(filter(None, [".", *sys.path])),
    }
    found = subprocess.check_output([sys.executable, "-c", program], env=environment, text=True, timeout=300)
    assert found.split() == ["3", "3"]


def test_the_module_needs_nothing_heavy():
    program = "import sys, xnornet.threads; print(*sys.modules)"
    loaded = subprocess.check_output([sys.executable, "-c", program], text=True, timeout=60).split()
    assert "xnornet.threads" in loaded and not {"numpy", "numba", "jax"} & set(loaded)
