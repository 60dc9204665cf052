"""Hosts that train together: processes of the same command, which JAX joins and ends when one is lost.

Here is how they are joined and what they send to each other. Which devices they have is left to
`xnornet.devices`, and arrays that lie on the devices of several hosts to JAX.
"""

import ctypes
import os
import signal
import sys
from contextlib import contextmanager

import jax
import numpy as np
from jax.experimental import multihost_utils

from xnornet.errors import LostHostError, UsageError

__all__ = ["check_count", "count", "end", "from_first", "is_first", "join", "of_all", "this", "watched"]

# How long a host waits for the others at the start.
SECONDS_TO_JOIN = 300

# After as long without a sign of life a host counts as lost, and JAX ends the others.
SECONDS_WITHOUT_HEARTBEAT = 30

# How long a host that has ended waits for the others to end.
SECONDS_TO_END = 10

# In the errors of JAX when the connection to another host breaks.
CONNECTIONS = ("Gloo", "NCCL", "coordination service")

LOST = "Another host has stopped or cannot be reached"

# What C calls must not be freed by Python.
_handlers = []


def join(coordinator, hosts, host, say):
    """Join the hosts of a run, before JAX is used for anything else.

    Parameters
    ----------
    coordinator : str or None
        ``HOST:PORT``, where the first host listens.
    hosts : int, "auto" or None
        How many there are. With ``"auto"`` JAX reads all three from the variables of the cluster (Slurm, Open
        MPI, Kubernetes, TPU). With None this is the only host.
    host : int or None
        Number of this host, from 0.
    say : callable
        Called with a line if JAX ends this process, as it does when hosts do not join, or one of them is
        lost.

    Raises
    ------
    UsageError
        One of the three is missing or wrong, or the hosts cannot be joined.
    """
    given = {"--coordinator": coordinator, "--hosts": hosts, "--host": host}
    if all(value is None for value in given.values()):
        return
    if sys.platform == "win32":
        raise UsageError("Training on several hosts needs Linux or macOS")
    arguments = _arguments(given)
    with_line = _AbortWithLine(say)
    with_line.text = (
        f"The hosts have not joined within {SECONDS_TO_JOIN} s; start every host, each with another --host, "
        "and check that all can reach the first one at --coordinator"
    )
    try:
        jax.config.update("jax_enable_preemption_service", False)
        jax.distributed.initialize(
            **arguments,
            initialization_timeout=SECONDS_TO_JOIN,
            heartbeat_timeout_seconds=SECONDS_WITHOUT_HEARTBEAT,
            shutdown_timeout_seconds=SECONDS_TO_END,
        )
    except (RuntimeError, ValueError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise UsageError(f"The hosts cannot be joined: {reason}") from error
    with_line.text = f"{LOST}; --resume continues from the last checkpoint, also on fewer hosts"


def check_count(hosts):
    """Raise a `UsageError` if this host was given another number of hosts than the first one.

    Like all that is below, this makes JAX find its devices: after Theano's flags have chosen them.
    """
    if hosts not in (None, "auto", count()):
        raise UsageError(f"--hosts is {hosts} here, and {count()} on the first host; pass the same to all")


def _arguments(given):
    """What ``jax.distributed.initialize`` takes for values of options."""
    coordinator, hosts, host = given.values()
    if hosts == "auto":
        if coordinator is not None or host is not None:
            raise UsageError(
                "--hosts auto reads the others from the cluster; leave out --coordinator and --host"
            )
        return {}
    missing = ", ".join(name for name, value in given.items() if value is None)
    if missing:
        raise UsageError(f"--coordinator, --hosts and --host go together; add {missing}")
    name, _, port = coordinator.rpartition(":")
    if not name or not port.isdecimal() or not 0 < int(port) < 1 << 16:
        raise UsageError(f"--coordinator is {coordinator}; it takes HOST:PORT of the first host")
    if host >= hosts:
        raise UsageError(f"--host is {host}; with --hosts {hosts} it takes 0 to {hosts - 1}")
    return {
        "coordinator_address": coordinator,
        "num_processes": hosts,
        "process_id": host,
        "cluster_detection_method": "deactivate",
    }


class _AbortWithLine:
    """From now on, an abort of this process says a line and exits with status 1.

    JAX aborts where another host is lost, from a thread of its own. Python's handlers of signals would run
    too late, so this is one of C.

    Attributes
    ----------
    text : str
        The line.
    """

    def __init__(self, say):
        def at_abort(number):
            try:
                say(self.text)
            finally:
                os._exit(1)

        handler = ctypes.CFUNCTYPE(None, ctypes.c_int)(at_abort)
        _handlers.append(handler)
        set_handler = ctypes.CDLL(None).signal
        set_handler.restype = ctypes.c_void_p
        set_handler(int(signal.SIGABRT), handler)


@contextmanager
def watched():
    """Raise a `LostHostError` for what JAX raises where the connection to another host breaks."""
    try:
        yield
    # Which of the two it is depends on when the error is found.
    except (RuntimeError, ValueError) as error:
        if count() > 1 and any(word in str(error) for word in CONNECTIONS):
            raise LostHostError(LOST) from error
        raise


def end(status):
    """End this process where another host is lost. JAX would wait for that host, and then abort."""
    os._exit(status)


def count():
    """How many hosts run this program together."""
    return jax.process_count()


def this():
    """Number of this host."""
    return jax.process_index()


def is_first():
    """Whether this host is the one that writes files and reports."""
    return this() == 0


def of_all(number):
    """A number of each host, ``(hosts,)``. All hosts call this."""
    return np.asarray(multihost_utils.process_allgather(np.int32(number))).reshape(-1)


def from_first(content):
    """Bytes of the first host. All hosts call this; what the others pass has no effect."""
    if count() == 1:
        return content
    length = of_all(len(content) if is_first() else 0)[0]
    array = np.frombuffer(content, np.uint8) if is_first() else np.zeros(length, np.uint8)
    # JAX adds up what the hosts have, perhaps in a wider type.
    return np.asarray(multihost_utils.broadcast_one_to_all(array)).astype(np.uint8).tobytes()
