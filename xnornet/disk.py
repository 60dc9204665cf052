"""Files on disk: whole or not there, written by one program at a time, and where the user's caches are.

What goes wrong is raised as the operating system tells it; those who call know what to advise.
"""

import os
import sys
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["lock", "probe", "replacing", "user_cache"]


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


def user_cache():
    """Return the folder of this package among the user's caches, which need not exist yet.

    Returns
    -------
    Path
        ``$XDG_CACHE_HOME/xnornet``, by default ``~/.cache/xnornet``; ``~/Library/Caches/xnornet`` on macOS;
        ``%LOCALAPPDATA%\\xnornet\\xnornet\\Cache`` on Windows.

    Raises
    ------
    OSError
        Neither the environment nor the system knows the user's home folder.
    """
    if sys.platform == "darwin":
        return _home() / "Library/Caches/xnornet"
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return (Path(local) if local else _home() / "AppData/Local") / "xnornet/xnornet/Cache"
    chosen = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG specification has relative paths ignored.
    return (Path(chosen) if os.path.isabs(chosen) else _home() / ".cache") / "xnornet"


def _home():
    try:
        return Path.home()
    except RuntimeError as error:
        raise OSError("the home folder is unknown; set HOME") from error
