"""Programs on threads compute what their plain twin does, and threads come and go as they should."""

import gc
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from share_kernels import MOST, compile_both, in_turn, program

from xnornet.engine import workers
from xnornet.engine.workers import Pool, Team, shared_pool

TASKS = Path("/proc/self/task")
on_linux = pytest.mark.skipif(not TASKS.is_dir(), reason="threads are listed on Linux only")


@pytest.fixture(scope="module")
def kernels():
    return compile_both()


@pytest.fixture
def pool():
    return Pool()


def tasks():
    return {int(path.name) for path in TASKS.iterdir()}


def come_back_to(before):
    """Wait for threads to be gone from the list, on which they are for a moment after they have ended."""
    for _ in range(3000):
        if tasks() <= before:
            return True
        time.sleep(0.01)
    return False


@pytest.mark.parametrize("threads", [1, 2, 3, 7, MOST])
def test_a_program_computes_what_its_twin_does(kernels, pool, threads):
    same, words = program(kernels)
    for _ in range(20):
        pool.run(same, threads)
    np.testing.assert_array_equal(words, in_turn(kernels, threads, runs=20))
    assert len(set(words.tolist())) > threads


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_programs_of_few_steps(kernels, pool, steps):
    same, words = program(kernels, steps)
    pool.run(same, 3)
    np.testing.assert_array_equal(words, in_turn(kernels, 3, steps))


def test_threads_continue_after_sleeping(kernels, pool):
    same, words = program(kernels, 5)
    for _ in range(3):
        pool.run(same, 4)
        time.sleep(0.2)
    np.testing.assert_array_equal(words, in_turn(kernels, 4, 5, runs=3))


def test_threads_of_python_run_programs_at_the_same_time(kernels, pool):
    gate = threading.Barrier(6)

    def work(threads):
        same, words = program(kernels)
        gate.wait()
        for _ in range(50):
            pool.run(same, threads)
        np.testing.assert_array_equal(words, in_turn(kernels, threads, runs=50))

    with ThreadPoolExecutor(6) as callers:
        list(callers.map(work, (1, 2, 2, 3, 3, 8)))


@on_linux
def test_with_one_thread_none_is_begun(kernels, pool):
    before = tasks()
    pool.run(program(kernels)[0], 1)
    assert tasks() == before


@on_linux
def test_threads_are_begun_once_and_end_with_their_pool(kernels):
    pool, before = Pool(), tasks()
    for _ in range(3):
        pool.run(program(kernels)[0], 4)
        assert len(tasks() - before) == 3
    pool.rest()
    assert come_back_to(before)
    pool.run(program(kernels)[0], 4)
    assert len(tasks() - before) == 3
    del pool
    gc.collect()
    assert come_back_to(before)


def test_the_shared_pool_is_one_as_long_as_someone_has_it():
    first = shared_pool()
    assert shared_pool() is first


@on_linux
def test_idle_threads_sleep_and_take_no_processor_time(kernels, pool):
    before = tasks()
    pool.run(program(kernels)[0], 4)
    own = tasks() - before

    def states():
        fields = [(TASKS / f"{task}/stat").read_text().rpartition(")")[2].split() for task in own]
        return [(state, user, system) for state, *_, user, system in (f[:13] for f in fields)]

    for _ in range(1000):
        if all(state == "S" for state, _, _ in states()):
            break
        time.sleep(0.01)
    idle = states()
    time.sleep(0.3)
    assert states() == idle and {state for state, _, _ in idle} == {"S"}


@on_linux
def test_signals_are_left_to_python(kernels):
    before, mask = tasks(), signal.pthread_sigmask(signal.SIG_BLOCK, [])
    team = Team(3)
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == mask
    for task in tasks() - before:
        status = (TASKS / f"{task}/status").read_text()
        blocked = int(status.partition("SigBlk:")[2].split()[0], 16)
        assert blocked >> (signal.SIGINT - 1) & 1 and blocked >> (signal.SIGTERM - 1) & 1
    team.end()


def test_shares_of_threads_that_cannot_begin_are_done_by_the_others(kernels, monkeypatch):
    native = workers._native
    monkeypatch.setattr(workers, "_native", lambda f: (lambda a: 0) if f is workers._begin else native(f))
    same, words = program(kernels)
    Pool().run(same, 5)
    np.testing.assert_array_equal(words, in_turn(kernels, 5))


LITTLE_MEMORY = """
import resource
from pathlib import Path
import numpy as np
from share_kernels import compile_both, in_turn, program
from xnornet.engine.workers import Pool

TASKS = Path("/proc/self/task")
kernels = compile_both()
pool, before = Pool(), len(list(TASKS.iterdir()))
same, words = program(kernels)
taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (taken + (100 << 20), resource.RLIM_INFINITY))
pool.run(same, 64)
begun = len(list(TASKS.iterdir())) - before
assert 0 < begun < 63, begun
assert (words == in_turn(kernels, 64)).all()
print("whole")
"""


@on_linux
def test_fewer_threads_begin_where_memory_has_no_room_for_their_stacks():
    paths = ["tests/strategies", ".", *sys.path]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    done = subprocess.run(
        [sys.executable, "-c", LITTLE_MEMORY], env=environment, capture_output=True, text=True, timeout=120
    )
    assert (done.stdout, done.returncode) == ("whole\n", 0), done.stderr
