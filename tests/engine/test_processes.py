"""An engine in several processes: forked with it, begun with a copy of it, and at once with their parent.

Each program runs in a process of its own and must end within a time that only one that hangs takes.
"""

import os
import pickle
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from small_models import convolutional

from xnornet.engine import Engine, reference
from xnornet.graph import save_packed

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")

MODEL = convolutional(scale_inputs=False, flattened=False, channels=33)
IMAGES = np.random.default_rng(0).uniform(-1.2, 1.2, (40, *MODEL.input_shape)).astype("float32")

BEGIN = """
import ctypes, json, multiprocessing, os, pickle, signal, socket, sys, threading, time
from concurrent.futures import ProcessPoolExecutor
import numpy as np
import xnornet.engine

images = np.load("images.npy")
expected = np.load("expected.npy").tolist()
threads = map(int, sys.argv[1].split(","))
ran_before = sys.argv[2] == "True"
engines = None


def take(given):
    global engines
    engines = given


def predict(part):
    part = images[part % 4 :: 4]
    scores = [engine.run(part) for engine in engines]
    for engine, own in zip(engines, scores):
        assert (own == scores[0]).all() and (engine.predict(part) == own.argmax(axis=1)).all()
    return scores[0].tolist()


def check(found):
    for part, scores in enumerate(found):
        assert scores == expected[part % 4 :: 4], (part, scores)


def begin():
    take([xnornet.engine.load("model.npz", n) for n in threads])
    if ran_before:
        check(map(predict, range(4)))


class Busy:
    # Runs the engine on another thread meanwhile.

    def __enter__(self):
        self.stop, self.runs, self.error = False, 0, None
        self.thread = threading.Thread(target=self.work)
        self.thread.start()
        while not self.runs and not self.error:
            time.sleep(0.001)

    def work(self):
        try:
            while not self.stop:
                check([predict(0)])
                self.runs += 1
        except BaseException as error:
            self.error = error

    def __exit__(self, *_):
        self.stop = True
        self.thread.join()
        assert not self.error, self.error


def forked(work, fork=os.fork):
    pid = fork()
    if pid == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return pid


def ended(pid):
    assert os.waitpid(pid, 0)[1] == 0
"""


def run(folder, program, *arguments, limit=120):
    """Run a program beside a packed model, images and their scores."""
    save_packed(folder / "model.npz", MODEL, {})
    np.save(folder / "images.npy", IMAGES)
    np.save(folder / "expected.npy", Engine(MODEL, kernels=reference).run(IMAGES))
    (folder / "program.py").write_text(BEGIN + textwrap.dedent(program))
    root = os.path.abspath(".")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [root, *sys.path]))}
    command = [sys.executable, "program.py", *map(str, arguments)]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=limit, check=False
    )
    assert done.returncode == 0 and done.stdout.endswith("done\n"), done.stdout + done.stderr
    return done


@pytest.mark.parametrize("ran_before", [False, True])
@pytest.mark.parametrize("threads", [1, 2])
def test_forked_children_predict(tmp_path, threads, ran_before):
    program = """
    begin()
    for child in [forked(lambda: check(map(predict, range(8)))) for _ in range(4)]:
        ended(child)
    check(map(predict, range(8)))
    print("done")
    """
    run(tmp_path, program, threads, ran_before)


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="threads are listed on Linux only")
def test_a_fork_finds_no_idle_threads(tmp_path):
    """Otherwise Python 3.12 and later warn that the process has several."""
    program = """
    def tasks():
        return set(os.listdir("/proc/self/task"))

    begin()
    before = tasks()
    check(map(predict, range(4)))
    assert tasks() - before
    ended(forked(lambda: check(map(predict, range(4)))))
    while tasks() - before:
        time.sleep(0.01)
    check(map(predict, range(4)))
    assert tasks() - before
    print("done")
    """
    run(tmp_path, program, 3, False)


@pytest.mark.parametrize("threads", [1, 2])
def test_children_that_are_forked_while_the_engine_runs_predict(tmp_path, threads):
    program = """
    begin()
    with Busy():
        for _ in range(5):
            children = [forked(lambda: check(map(predict, range(8)))) for _ in range(2)]
            check(map(predict, range(8)))
            for child in children:
                ended(child)
    print("done")
    """
    run(tmp_path, program, threads, True)


def test_children_of_children_predict(tmp_path):
    program = """
    def child():
        check(map(predict, range(4)))
        ended(forked(lambda: check(map(predict, range(4)))))
        check(map(predict, range(4)))

    begin()
    ended(forked(child))
    print("done")
    """
    run(tmp_path, program, "1,2", True)


def test_a_child_of_a_fork_outside_python_predicts(tmp_path):
    """As uWSGI forks; the parent's threads sleep or look for work meanwhile."""
    program = """
    begin()
    fork = ctypes.PyDLL(None).fork
    for pause in (0, 0.2):
        time.sleep(pause)
        ended(forked(lambda: check(map(predict, range(8))), fork))
        check(map(predict, range(8)))
    print("done")
    """
    run(tmp_path, program, 2, True)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_pools_of_processes_predict_at_once_with_their_parent(tmp_path, method):
    program = """
    if __name__ == "__main__":
        begin()
        context = multiprocessing.get_context(sys.argv[3])
        given = {"initializer": take, "initargs": (engines,)}
        with ProcessPoolExecutor(2, mp_context=context, **given) as pool:
            found = [pool.submit(predict, part) for part in range(12)]
            check(map(predict, range(12)))
            check(f.result() for f in found)
        with context.Pool(2, **given) as pool:
            found = pool.map_async(predict, range(12))
            check(map(predict, range(12)))
            check(found.get())
        print("done")
    """
    run(tmp_path, program, "1,2", True, method)


def test_a_server_that_forks_its_workers_in_advance_answers(tmp_path):
    """Each worker has one connection at a time, so as many connections reach every worker."""
    program = """
    def serve(listener):
        while True:
            connection, _ = listener.accept()
            with connection, connection.makefile("rwb") as file:
                for line in file:
                    file.write(f"{os.getpid()} {predict(int(line))}\\n".encode())
                    file.flush()

    begin()
    listener = socket.create_server(("127.0.0.1", 0), backlog=16)
    workers = [forked(lambda: serve(listener)) for _ in range(3)]
    files = [socket.create_connection(listener.getsockname()).makefile("rwb") for _ in workers]
    seen = set()
    for part in range(20):
        for file in files:
            file.write(f"{part}\\n".encode())
            file.flush()
        check(map(predict, range(4)))
        for file in files:
            pid, scores = file.readline().decode().split(" ", 1)
            seen.add(int(pid))
            assert json.loads(scores) == expected[part % 4 :: 4]
    assert seen == set(workers)
    for worker in workers:
        os.kill(worker, signal.SIGTERM)
        os.waitpid(worker, 0)
    print("done")
    """
    run(tmp_path, program, "1,2", True)


def test_a_process_ends_while_threads_sleep_work_and_look_for_work(tmp_path):
    program = """
    begin()
    if sys.argv[3] == "busy":
        threading.Thread(target=lambda: [predict(0) for _ in range(10**9)], daemon=True).start()
        time.sleep(0.1)
    predict(0)
    print("done")
    """
    for state in ("busy", "idle"):
        run(tmp_path, program, 3, True, state)


@pytest.mark.parametrize("kernels", [None, reference])
def test_a_pickled_engine_is_its_model_and_settings(kernels):
    options = {} if kernels is None else {"kernels": kernels}
    engine = Engine(MODEL, 2, batch_size=7, info={"network": "small"}, **options)
    new = pickle.dumps(engine)
    scores = engine.run(IMAGES)
    used = pickle.dumps(engine)
    assert len(used) == len(new)
    for copy in map(pickle.loads, (new, used)):
        assert (copy.threads, copy.batch_size, copy.info) == (2, 7, {"network": "small"})
        assert (copy.input_shape, copy.q_out) == (engine.input_shape, engine.q_out)
        np.testing.assert_array_equal(copy.run(IMAGES), scores)
