"""Refuse a Numba that is too old for the kernels, and warn of one that they were not tested with.

``theano/versions.py`` does the same for PyTensor and JAX. Neither can use the other's code: the engine runs
without theano, and theano knows nothing of xnornet.
"""

import re
import warnings
from importlib import metadata

# Least version, and the first that is not tested; those of pyproject.toml.
TESTED = {"numba": ("0.65", "0.69")}


def _check(name, least, end):
    remedy = f"run `pip install '{name}>={least},<{end}'`"
    try:
        found = metadata.version(name)
    except metadata.PackageNotFoundError:
        raise ImportError(f"{name} is not installed; {remedy}") from None
    release = _release(found)
    if release is not None and release < _release(least):
        raise ImportError(f"{name} {found} is older than {least}, the oldest that works; {remedy}")
    # It may well work, so whoever installed it on purpose is not stopped.
    if release is None or release >= _release(end):
        warnings.warn(f"{name} {found} has not been tested; if anything fails, {remedy}", stacklevel=3)


def _release(version):
    """The first two numbers of a version, or None if it does not begin with them."""
    found = re.match(r"(\d+)\.(\d+)", version)
    return found and tuple(map(int, found.groups()))


for _name, _bounds in TESTED.items():
    _check(_name, *_bounds)
