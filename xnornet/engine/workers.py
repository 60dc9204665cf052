"""Threads that run lists of kernel calls, with a barrier after each call.

A kernel is machine code, ``kernel(thread, threads, words)``, that does one of ``threads`` shares of its work;
what the shares and the words are is left to the kernel. A :class:`Program` is a list of such calls. A
:class:`Team` is the calling thread and some POSIX threads that wait in machine code, so that Python takes
part only before and after a program. A :class:`Pool` keeps teams between runs.

A thread that waits looks for the others for a moment and then sleeps, so an idle team takes no processor
time. Idle teams end their threads before Python forks and when the process ends; they are begun again when
they are needed. Of a process that forks in another way, the child never touches its parent's teams.
"""

import atexit
import ctypes
import os
import signal
import weakref
from functools import cache
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from xnornet.machine_code import WORDS, address_of, c_function, words_at

__all__ = ["KERNEL", "Pool", "Program", "Team", "run_in_turn", "shared_pool"]

# What a kernel is to the compiler: ``kernel(thread, threads, words)``.
KERNEL = types.void(types.intp, types.intp, WORDS)

# A waiting thread polls SPINS times and then yields the core; it sleeps after YIELDS repetitions. That takes
# some tenths of a millisecond, longer than threads on separate cores wait for each other; waking a sleeping
# thread takes about a tenth.
SPINS, YIELDS = 50, 400

# The processor's instruction for busy-wait loops.
YIELD = ("llvm.aarch64.hint", ir.IntType(32)(1))
HINTS = {"x86_64": ("llvm.x86.sse2.pause",), "aarch64": YIELD, "arm64": YIELD}

# Layout of a team's words. Words that several threads write to are far apart: the number of meetings, how
# many threads have arrived at the next one, and how many sleep. Then the words set between programs, a mutex
# and a condition variable, with room for any system's, and for each further thread the team's address, the
# thread's number and its identity.
MET, CAME, SLEEPING = 0, 16, 32
SIZE, TABLE, STEPS, SHARES = range(48, 52)
MUTEX, CONDITION, FURTHER = 64, 80, 96
OWN = 3


@intrinsic
def _load(typing_context, words, i):
    """A word that other threads write to."""

    def generate(context, builder, signature, arguments):
        return builder.load_atomic(builder.gep(arguments[0], arguments[1:]), "seq_cst", 8)

    return types.intp(WORDS, types.intp), generate


@intrinsic
def _store(typing_context, words, i, value):
    """Write a word that other threads read."""

    def generate(context, builder, signature, arguments):
        builder.store_atomic(arguments[2], builder.gep(arguments[0], arguments[1:2]), "seq_cst", 8)
        return context.get_dummy_value()

    return types.void(WORDS, types.intp, types.intp), generate


@intrinsic
def _add(typing_context, words, i, value):
    """Add to a word that other threads add to; returns the sum."""

    def generate(context, builder, signature, arguments):
        place = builder.gep(arguments[0], arguments[1:2])
        return builder.add(builder.atomic_rmw("add", place, arguments[2], "seq_cst"), arguments[2])

    return types.intp(WORDS, types.intp, types.intp), generate


@intrinsic
def _relax(typing_context):
    """Let the core's other hardware thread work during a busy-wait loop."""

    def generate(context, builder, signature, arguments):
        name, *operands = HINTS.get(builder.module.triple.partition("-")[0], (None,))
        if name:
            kind = ir.FunctionType(ir.VoidType(), [operand.type for operand in operands])
            builder.call(cgutils.get_or_insert_function(builder.module, kind, name), operands)
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def _call(typing_context, kernel, thread, threads, words):
    """Call the kernel at an address."""

    def generate(context, builder, signature, arguments):
        word = ir.IntType(64)
        kind = ir.FunctionType(ir.VoidType(), [word, word, word.as_pointer()])
        builder.call(builder.inttoptr(arguments[0], kind.as_pointer()), arguments[1:])
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, types.intp, WORDS), generate


def _posix(name, arguments):
    """A function that takes addresses and returns 0, or the number of an error."""
    return types.ExternalFunction(name, types.int32(*[types.intp] * arguments))


_create, _join = _posix("pthread_create", 4), _posix("pthread_join", 2)
_new_mutex, _new_condition = _posix("pthread_mutex_init", 2), _posix("pthread_cond_init", 2)
_lock, _unlock = _posix("pthread_mutex_lock", 1), _posix("pthread_mutex_unlock", 1)
_yield = _posix("sched_yield", 0)
_sleep, _wake = _posix("pthread_cond_wait", 2), _posix("pthread_cond_broadcast", 1)


@njit
def _meet(team):
    """Wait until all threads of a team have come here.

    The last to come writes that all have met, then reads whether others sleep; one that wants to sleep writes
    so, then reads whether all have met. So at least one of the two sees the other, and none sleeps forever.
    """
    met = _load(team, MET)
    if _add(team, CAME, 1) == team[SIZE]:
        _store(team, CAME, 0)
        _store(team, MET, met + 1)
        if _load(team, SLEEPING):
            _lock(address_of(team, MUTEX))
            _wake(address_of(team, CONDITION))
            _unlock(address_of(team, MUTEX))
        return
    for _ in range(YIELDS):
        for _ in range(SPINS):
            if _load(team, MET) != met:
                return
            _relax()
        _yield()
    _lock(address_of(team, MUTEX))
    _add(team, SLEEPING, 1)
    while _load(team, MET) == met:
        _sleep(address_of(team, CONDITION), address_of(team, MUTEX))
    _add(team, SLEEPING, -1)
    _unlock(address_of(team, MUTEX))


@njit
def _do_steps(team, thread):
    """A thread's shares of each step; further ones too, where fewer threads than shares could begin."""
    for step in range(team[STEPS]):
        call = words_at(team[TABLE] + 16 * step)
        for share in range(thread, team[SHARES], team[SIZE]):
            _call(call[0], share, team[SHARES], words_at(call[1]))
        _meet(team)


def _work(own):
    """Main loop of a further thread; a program without steps ends it.

    The last step's meeting is what keeps the caller from writing the next program before this one is read.
    """
    team = words_at(own[0])
    while True:
        _meet(team)
        if team[STEPS] == 0:
            return 0
        _do_steps(team, own[1])


def _begin(team):
    """Begin further threads, at the address that stands in the table's place; returns how many there are."""
    _new_mutex(address_of(team, MUTEX), 0)
    _new_condition(address_of(team, CONDITION), 0)
    for thread in range(1, team[SIZE]):
        own = FURTHER + OWN * (thread - 1)
        team[own], team[own + 1] = address_of(team, 0), thread
        if _create(address_of(team, own + 2), 0, team[TABLE], address_of(team, own)) != 0:
            return thread - 1
    return team[SIZE] - 1


def _run(team):
    _meet(team)
    _do_steps(team, 0)
    return 0


def _end(team):
    """End the further threads and wait for them."""
    team[STEPS] = 0
    _meet(team)
    for thread in range(1, team[SIZE]):
        _join(team[FURTHER + OWN * (thread - 1) + 2], 0)
    return 0


@cache
def _code(function):
    return c_function(function, types.intp(WORDS))


@cache
def _native(function):
    """A function of the address of a team's words; Python's lock is open while it runs."""
    return ctypes.CFUNCTYPE(ctypes.c_ssize_t, ctypes.c_void_p)(_code(function).address)


class Program:
    """Kernel calls, in order.

    Parameters
    ----------
    calls : list of (compiled kernel, intp array)
        The words are the kernel's own.
    kept : object
        Keeps the memory that the words point to alive as long as the program.
    """

    def __init__(self, calls: list, kept: Any = None) -> None:
        self.calls, self._kept = calls, kept
        self._table = np.array([(kernel.address, words.ctypes.data) for kernel, words in calls], np.intp)
        self.address = self._table.ctypes.data


class Team:
    """The calling thread and further ones, one fewer than ``threads`` or as many as can be begun.

    It runs one program at a time.
    """

    def __init__(self, threads: int) -> None:
        self.threads, self.process = threads, os.getpid()
        self._words = np.zeros(FURTHER + OWN * (threads - 1), np.intp)
        self._address = self._words.ctypes.data
        self._run = _native(_run)
        self._words[SIZE] = self._words[SHARES] = threads
        if threads > 1:
            self._words[TABLE] = _code(_work).address
            # Signals are Python's: its main thread should wake up for them.
            before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
            try:
                self._words[SIZE] = 1 + _native(_begin)(self._address)
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
        # The threads read the words until they end, which is never if the process ends while they work.
        _keep(self._words)
        self._end = weakref.finalize(self, _end_threads, self._words, self.process)
        self._end.atexit = False

    def run(self, program: Program) -> None:
        """Run a program, each of its calls in as many shares as the team should have threads."""
        if program.calls:
            self._words[TABLE], self._words[STEPS] = program.address, len(program.calls)
            self._run(self._address)

    def end(self) -> None:
        """End the further threads."""
        self._end()


_keep = ctypes.PYFUNCTYPE(None, ctypes.py_object)(("Py_IncRef", ctypes.pythonapi))
_release = ctypes.PYFUNCTYPE(None, ctypes.py_object)(("Py_DecRef", ctypes.pythonapi))


def _end_threads(words, process):
    if process == os.getpid() and words[SIZE] > 1:
        _native(_end)(words.ctypes.data)
    _release(words)


class Pool:
    """Teams, as many as run at a time.

    A team is taken from a list and returned by one atomic operation of Python; a lock could stay closed in a
    forked child.
    """

    def __init__(self) -> None:
        self._idle = {}
        _pools[id(self)] = self
        for function in (_work, _begin, _run, _end):
            _code(function)

    def run(self, program: Program, threads: int) -> None:
        """Run a program on an idle team."""
        idle = self._idle.setdefault(threads, [])
        team = _popped(idle)
        if team is None or team.process != os.getpid():
            team = Team(threads)
        try:
            team.run(program)
        finally:
            idle.append(team)

    def rest(self) -> None:
        """End the threads of idle teams."""
        for idle in list(self._idle.values()):
            while team := _popped(idle):
                team.end()


def _popped(teams):
    try:
        return teams.pop()
    except IndexError:
        return None


_pools = weakref.WeakValueDictionary()


def shared_pool() -> Pool:
    """The pool that all engines share; its threads end with the last reference to it."""
    pool = _pools.get("shared")
    if pool is None:
        pool = _pools["shared"] = Pool()
    return pool


def _rest():
    for reference in _pools.valuerefs():
        if pool := reference():
            pool.rest()


atexit.register(_rest)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_rest)


def run_in_turn(program: Program, threads: int) -> None:
    """The plain twin of :meth:`Pool.run`: one share after the other, in the calling thread."""
    for kernel, words in program.calls:
        call = ctypes.CFUNCTYPE(None, ctypes.c_ssize_t, ctypes.c_ssize_t, ctypes.c_void_p)(kernel.address)
        for share in range(threads):
            call(share, threads, words.ctypes.data)
