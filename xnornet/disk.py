"""Files on disk: whole or not there, written by one program at a time, and where the user's caches are.

Errors of the operating system are raised unchanged; callers add what to do about them.
"""

import glob
import hashlib
import os
import secrets
import sys
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["exclusive", "lock", "md5_of", "probe", "remove_leftovers", "replacing", "user_cache"]


@contextmanager
def replacing(path):
    """Open a binary file that takes the place of ``path`` once it is whole.

    Whoever else writes there meanwhile has a temporary file of another name, and who is last wins. A process
    that is killed leaves its own behind, for :func:`remove_leftovers`.

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
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with open(temporary, "xb") as file:
            # For remove_leftovers in another process.
            lock(file)
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        # What this cannot remove is not worth hiding why.
        with suppress(OSError):
            temporary.unlink()


def remove_leftovers(path):
    """Remove temporary files of processes that were killed while they wrote to ``path``.

    Files that are still being written are locked, and stay. Where there are no locks (see :func:`lock`),
    their writers find that they are gone, and raise an ``OSError``.
    """
    path = Path(path)
    for temporary in path.parent.glob(f".{glob.escape(path.name)}.{'[0-9a-f]' * 8}.tmp"):
        with suppress(OSError):
            with open(temporary, "ab") as file:
                abandoned = lock(file)
            if abandoned:
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
    # Another program may have probed at the same time.
    beside.unlink(missing_ok=True)


@contextmanager
def exclusive(path):
    """Hold the lock that belongs to ``path`` until the block ends.

    It is on a file beside, which stays. If it were removed, one program could hold the lock of the removed
    file, which it had opened before, and another that of a new one.

    Yields
    ------
    bool
        As :func:`lock`.

    Raises
    ------
    OSError
        The folder does not take a file.
    """
    beside = Path(path).with_name(f".{Path(path).name}.lock")
    try:
        file = open(beside, "a")
    except PermissionError:
        # It is another user's, and need not be written to.
        file = open(beside)
    with file:
        yield lock(file)


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


def md5_of(path):
    """MD5 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


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
