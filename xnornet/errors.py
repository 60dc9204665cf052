"""Exceptions that every room may raise; this module imports nothing.

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
    """What a person can mend: a file, an option, the environment."""


class DataError(XnornetError):
    """A dataset cannot be had."""


class ModelError(XnornetError):
    """A model cannot be used."""


class NetworkError(XnornetError):
    """A network's function cannot be had, or raises.

    Attributes
    ----------
    trace : str
        Lines of a traceback, those of the user's own file; may be empty.
    """

    def __init__(self, message, trace=""):
        super().__init__(message)
        self.trace = trace


class WriteError(ModelError):
    """A file cannot be written; what was at its place before is still there."""


class ThreadsError(XnornetError, ValueError):
    """``XNORNET_THREADS`` is no number of threads."""


class TrainingError(XnornetError):
    """A run cannot go on."""


class LostHostError(XnornetError):
    """Another of the hosts that train together has stopped or cannot be reached."""


class UsageError(XnornetError):
    """An option's value does not fit the data."""


class Stopped(Exception):
    """A run ended early, as it was asked to, and can go on; one line says where it stands.

    Attributes
    ----------
    status : int
        Exit status: 0 if its time was up, else 128 and the signal's number.
    """

    def __init__(self, message, status):
        super().__init__(message)
        self.status = status
