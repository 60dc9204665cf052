"""An exception at whatever moment leaves shared variables as they were before a call, or after it."""

import subprocess
import sys

import jax
import numpy as np
import pytest

import theano
import theano.tensor as T
from theano.compile.translation import jax_version
from theano.gof import Apply, Op

# Some of them large enough to hand their memory on, others not.
SHAPES = [(3,), (300, 200), (), (400, 100), (2, 2)]

INTERRUPTED = """
import random, sys, threading, time, _thread
import numpy as np, theano, theano.tensor as T

x = T.fscalar()
shared = [theano.shared(np.zeros(shape, "float32")) for shape in SHAPES]
step = theano.function([x], shared[0].sum(), updates=[(s, s + x) for s in shared])
step(1)
begun = time.perf_counter()
for _ in range(20):
    step(1)
length = (time.perf_counter() - begun) / 20

def interrupt():
    time.sleep(random.random() * 2 * length)
    _thread.interrupt_main()

random.seed(0)
count, within = 21, 0
for _ in range(INTERRUPTS):
    thread = threading.Thread(target=interrupt)
    inside = False
    try:
        thread.start()
        while True:
            inside = True
            step(1)
            inside = False
            count += 1
    except KeyboardInterrupt:
        within += inside
    while True:
        try:
            thread.join()
            break
        except KeyboardInterrupt:
            pass
    values = [np.unique(s.get_value()) for s in shared]
    assert all(len(v) == 1 and v == values[0] for v in values), values
    assert values[0] in (count, count + 1), (values[0], count)
    count = int(values[0][0])
print(within)
"""


def interrupt(times):
    """Interrupt a loop of calls at random moments; returns how many of them were within a call."""
    program = INTERRUPTED.replace("SHAPES", repr(SHAPES)).replace("INTERRUPTS", str(times))
    return int(subprocess.check_output([sys.executable, "-c", program], text=True, timeout=300))


def test_interrupts_lose_nothing():
    assert interrupt(100) > 50


@pytest.mark.long
def test_a_thousand_interrupts_lose_nothing():
    assert interrupt(1500) > 1000


def counting(also=0):
    """Shared variables, and a function that adds its input to all of them."""
    x = T.fscalar("x")
    shared = [theano.shared(np.zeros(shape, "float32")) for shape in SHAPES]
    return shared, theano.function([x], shared[0].sum() + also, updates=[(s, s + x) for s in shared])


def values_of(shared):
    """The number that all elements of the variables are."""
    (value,) = {float(v) for s in shared for v in np.unique(s.get_value())}
    return value


def test_a_program_that_fails_when_it_has_run_leaves_the_values_before(monkeypatch):
    shared, step = counting()
    step(1)
    step(1)
    (version,) = step.versions
    program = version.program

    def failing(*arguments):
        jax.block_until_ready(program(*arguments))
        raise RuntimeError("RESOURCE_EXHAUSTED: out of memory")

    for _ in range(2):
        version.program = failing
        with pytest.raises(RuntimeError, match="RESOURCE_EXHAUSTED"):
            step(1)
        assert values_of(shared) == 2
    version.program = program
    step(1)
    assert values_of(shared) == 3


def test_a_device_that_fails_while_it_computes_leaves_the_values_before(monkeypatch):
    shared, step = counting()
    step(1)

    def fail(results):
        raise RuntimeError("INTERNAL: the device is gone")

    with monkeypatch.context() as patch:
        patch.setattr(jax, "block_until_ready", fail)
        with pytest.raises(RuntimeError, match="the device is gone"):
            step(1)
    assert values_of(shared) == 1
    step(1)
    assert values_of(shared) == 2


class Refuse(Op):
    """Hands its input on, and fails on the device for a negative one."""

    __props__ = ()

    def make_node(self, x):
        return Apply(self, [x], [x.type()])

    def perform(self, node, inputs, output_storage):
        output_storage[0][0] = self.check(inputs[0])

    @staticmethod
    def check(x):
        if x < 0:
            raise ValueError("it is negative")
        return np.asarray(x)


@jax_version(Refuse)
def _jax_refuse(op, node, **options):
    return lambda x: jax.pure_callback(op.check, jax.ShapeDtypeStruct(x.shape, x.dtype), x)


def test_an_error_within_a_program_leaves_the_values_before():
    x = T.fscalar("x")
    shared = [theano.shared(np.zeros(shape, "float32")) for shape in SHAPES]
    step = theano.function([], updates=[(s, s + 1) for s in shared])
    add = theano.function([x], updates=[(s, s + Refuse()(x)) for s in shared])
    step()
    for _ in range(3):
        with pytest.raises(Exception, match="it is negative"):
            add(-1)
        assert values_of(shared) == 1
    add(2)
    step()
    assert values_of(shared) == 4


def test_memory_that_runs_out_leaves_the_values_before():
    x = T.fvector("x")
    shared = [theano.shared(np.zeros(shape, "float32")) for shape in SHAPES]
    # Sorting needs all products at once: more than any machine has.
    huge = T.sort(T.outer(x, x).flatten())[0]
    step = theano.function([x], huge, updates=[(s, s + 1) for s in shared])
    for _ in range(2):
        with pytest.raises(Exception, match="(?i)memory|RESOURCE_EXHAUSTED"):
            step(np.ones(2**22, "float32"))
        assert values_of(shared) == 0


def test_values_that_are_the_same_stay_apart():
    """What a variable takes over from another, or from an input, is no memory that others write to."""
    x = T.fmatrix("x")
    a, b, c, d = (theano.shared(np.full((300, 200), i, "float32")) for i in range(4))
    rotate = theano.function([x], updates=[(a, b), (b, c), (c, x), (d, x)])
    add = theano.function([], updates=[(s, s + 10) for s in (a, b, c, d)])
    values = [0, 1, 2, 3]
    for step in range(5):
        given = np.full((300, 200), 100 + step, "float32")
        rotate(given)
        given[:] = -1
        values = [values[1], values[2], 100 + step, 100 + step]
        assert [np.unique(s.get_value()).tolist() for s in (a, b, c, d)] == [[v] for v in values]
        add()
        values = [v + 10 for v in values]
        assert [np.unique(s.get_value()).tolist() for s in (a, b, c, d)] == [[v] for v in values]


def test_large_values_take_turns_in_two_places():
    s = theano.shared(np.zeros((300, 200), "float32"))
    step = theano.function([], updates={s: s + 1})
    places = []
    for _ in range(6):
        step()
        places.append(s.get_value(return_internal_type=True).unsafe_buffer_pointer())
    assert places[2:] == places[:2] * 2 and places[0] != places[1]
