"""Exceptions that every package may raise; this module imports nothing.

Each says in one line what is wrong and what to do.
"""

__all__ = [
    "DataError",
    "LostHostError",
    "ModelError",
    "NetworkError",
    "Stopped",
    "ThreadsError",
    "TrainingError",
    "UsageError",
    "WriteError",
    "XnornetError",
]


class XnornetError(Exception):
    """An error that the user can correct: in a file, an option or the environment."""


class DataError(XnornetError):
    """A dataset cannot be downloaded, read or used."""


class ModelError(XnornetError):
    """A model cannot be used."""


class NetworkError(XnornetError):
    """A network's function cannot be found or imported, or raises.

    Attributes
    ----------
    trace : str
        Lines of a traceback, those of the user's own file; may be empty.
    """

    def __init__(self, message, trace=""):
        super().__init__(message)
        self.trace = trace


class WriteError(ModelError):
    """A file cannot be written; an earlier file of that name still exists."""


class ThreadsError(XnornetError, ValueError):
    """``XNORNET_THREADS`` is no number of threads."""


class TrainingError(XnornetError):
    """A run cannot start or continue."""


class LostHostError(XnornetError):
    """Another of the hosts that train together has stopped or cannot be reached."""


class UsageError(XnornetError):
    """An option's value does not fit the data."""


class Stopped(Exception):
    """A run stopped early on request and can be resumed; the message says how far it came.

    Attributes
    ----------
    status : int
        Exit status: 0 if its time was up, else 128 and the signal's number.
    """

    def __init__(self, message, status):
        super().__init__(message)
        self.status = status
