"""Requests to stop a run early: Ctrl-C, SIGTERM, or a time limit.

A request is only recorded here. The loop checks for one between two steps, when the state on the device is
consistent, and writes a checkpoint.
"""

import signal
import threading
import time

__all__ = ["StopRequests"]


class StopRequests:
    """A context in which Ctrl-C and SIGTERM are recorded; a second signal acts as it does elsewhere.

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
        self._signal = None
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

    @property
    def signalled(self):
        """Whether the request was a signal, and the run should stop at once."""
        return self._signal is not None

    @property
    def reason(self):
        if self.signalled:
            return "interrupted" if self._signal == signal.SIGINT else "terminated"
        if self._deadline is not None and time.monotonic() >= self._deadline:
            return f"stopped after {self._max_minutes:g} minutes"
        return None

    @property
    def status(self):
        return 128 + self._signal if self.signalled else 0
