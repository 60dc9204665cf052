"""Requests to stop a run early: Ctrl-C, SIGTERM, or a time limit.

A request is only recorded here. The loop checks for one between two steps, when the state on the device is
consistent, and writes a checkpoint.
"""

import signal
import threading
import time

from xnornet import hosts

__all__ = ["StopRequests"]

# What a run is asked for where it is no signal. Those that are noted have larger numbers.
NOTHING, TIME_IS_UP = 0, 1


class StopRequests:
    """A context in which Ctrl-C and SIGTERM are recorded; a second signal acts as it does elsewhere.

    Of several hosts, all stop after the step in which one of them is asked to.

    Parameters
    ----------
    max_minutes : float, optional
        Time limit of the run.
    started : float, optional
        ``time.monotonic()`` at which the limit begins; by default now.

    Attributes
    ----------
    reason : str or None
        Why the run should stop, or None.
    status : int
        Exit status for that reason.
    """

    def __init__(self, max_minutes=None, started=None):
        started = time.monotonic() if started is None else started
        self._max_minutes = max_minutes
        self._deadline = None if max_minutes is None else started + 60 * max_minutes
        self._signal = self._agreed = None
        self._before = {}

    def __enter__(self):
        # Only the main thread may set handlers. In a background job Ctrl-C is ignored, and stays ignored.
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                before = signal.getsignal(number)
                if before != signal.SIG_IGN:
                    self._before[number] = before
                    signal.signal(number, self._note)
        return self

    def __exit__(self, *error):
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number, frame):
        self._signal = number
        signal.signal(number, self._before[number])

    def agree(self):
        """Let all hosts know what one of them was asked for; all call this after the same step."""
        if hosts.count() > 1:
            self._agreed = int(max(hosts.of_all(self._asked())))

    def _asked(self):
        """Number of the signal, else ``TIME_IS_UP`` or ``NOTHING``."""
        if self._signal is not None:
            return self._signal
        up = self._deadline is not None and time.monotonic() >= self._deadline
        return TIME_IS_UP if up else NOTHING

    @property
    def _code(self):
        return self._asked() if self._agreed is None else self._agreed

    @property
    def signalled(self):
        """Whether the request was a signal, and the run should stop at once."""
        return self._code > TIME_IS_UP

    @property
    def reason(self):
        code = self._code
        if code > TIME_IS_UP:
            return "interrupted" if code == signal.SIGINT else "terminated"
        return f"stopped after {self._max_minutes:g} minutes" if code == TIME_IS_UP else None

    @property
    def status(self):
        code = self._code
        return 128 + code if code > TIME_IS_UP else 0
