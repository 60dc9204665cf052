"""Files on disk that are whole or not there, and that one program at a time writes.

What goes wrong is raised as the operating system tells it; those who call know what to advise.
"""

import os
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["lock", "probe", "replacing"]


@contextmanager
def replacing(path):
    """Open a binary file that takes the place of ``path`` once it is whole.

    A process that is killed meanwhile leaves its temporary file behind, which the next one writes over.

    Parameters
    ----------
    path : str or Path

    Yields
    ------
    binary file

    Raises
    ------
    OSError
        The folder or the disk does not take it. What was at ``path`` before is still there.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with open(temporary, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        # What this cannot remove is not worth hiding why.
        with suppress(OSError):
            temporary.unlink()


def probe(path):
    """See that a file can be written at ``path``, beforehand and without touching what is there.

    Raises
    ------
    OSError
        The folder does not take it.
    """
    beside = Path(path).with_name(f".{Path(path).name}.probe")
    beside.touch()
    beside.unlink()


def lock(file):
    """Lock an open file until it is closed.

    Returns
    -------
    bool
        False if another program holds the lock. Where there are no locks, as on some systems and network
        drives, always True.
    """
    try:
        import fcntl
    except ImportError:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True
