"""Theano's settings: ``THEANO_FLAGS``, ``.theanorc`` and ``theano.config``, applied to PyTensor and JAX.

Only the settings that still mean something are kept; any other flag is ignored with a warning.
"""

import configparser
import os
import warnings
from contextlib import contextmanager
from pathlib import Path

import jax
import pytensor
import pytensor.link.jax.dispatch  # noqa: F401  (it sets jax_enable_x64 from PyTensor's floatX)

__all__ = ["config"]

_DEFAULTS = {
    "floatX": "float32",
    "device": "cpu",
    "mode": "JAX",
    "optimizer": "fast_run",
    "exception_verbosity": "low",
}
_CHOICES = {
    "floatX": ("float16", "float32", "float64"),
    "mode": (
        "JAX",
        "FAST_COMPILE",
        "FAST_RUN",
        "Mode",
        "DebugMode",
        "NanGuardMode",
        "NUMBA",
        "C",
        "CVM",
    ),
    "optimizer": ("fast_run", "fast_compile", "merge", "None"),
    "exception_verbosity": ("low", "medium", "high"),
}


class Config:
    """Settings as attributes: ``floatX``, ``device``, ``mode``, ``optimizer``, ``exception_verbosity``.

    ``device`` is read once, before JAX starts: ``cpu``, or ``cuda`` (``gpu``) for JAX's GPU. Names that
    Theano does not share with this package are looked up in ``pytensor.config``.

    Raises
    ------
    ValueError
        A value that the setting does not take.
    """

    def __init__(self, flags):
        super().__setattr__("_values", {})
        for name, default in _DEFAULTS.items():
            setattr(self, name, flags.get(name, default))

    def __getattr__(self, name):
        values = object.__getattribute__(self, "_values")
        return values[name] if name in values else getattr(pytensor.config, name)

    def __setattr__(self, name, value):
        if name not in _DEFAULTS:
            setattr(pytensor.config, name, value)
            return
        value = str(value)
        choices = _CHOICES.get(name)
        if choices and value not in choices:
            raise ValueError(f"theano.config.{name} is {value!r}; it takes one of {', '.join(choices)}")
        if name in ("floatX", "exception_verbosity"):
            setattr(pytensor.config, name, value)
            return
        if name == "device":
            _choose_platform(value, self._values.get("device"))
        self._values[name] = value

    @contextmanager
    def change_flags(self, **changes):
        """Context manager: settings changed for the length of a ``with`` block."""
        before = {name: getattr(self, name) for name in changes}
        try:
            for name, value in changes.items():
                setattr(self, name, value)
            yield
        finally:
            for name, value in before.items():
                setattr(self, name, value)


def _choose_platform(device, before):
    if device == before:
        return
    if before is not None:
        raise ValueError(
            f"theano.config.device cannot change from {before!r} to {device!r} after import; "
            f"start with THEANO_FLAGS=device={device}"
        )
    if device.startswith(("cuda", "gpu")):
        jax.config.update("jax_platforms", "cuda,cpu")
    elif device == "cpu":
        jax.config.update("jax_platforms", os.environ.get("JAX_PLATFORMS") or "cpu")
    else:
        raise ValueError(f"theano.config.device is {device!r}; it takes cpu, cuda or gpu")


def _read_flags():
    """Flags from ``.theanorc`` files, overridden by ``THEANO_FLAGS``."""
    flags = {}
    files = os.environ.get("THEANORC", str(Path.home() / ".theanorc")).split(os.pathsep)
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str
    parser.read([os.path.expanduser(f) for f in files])
    for section in parser.sections():
        prefix = "" if section == "global" else f"{section}."
        flags.update({prefix + key: value for key, value in parser.items(section)})
    for item in filter(None, (s.strip() for s in os.environ.get("THEANO_FLAGS", "").split(","))):
        key, _, value = item.partition("=")
        flags[key.strip()] = value.strip()
    unknown = sorted(set(flags) - set(_DEFAULTS))
    if unknown:
        warnings.warn(f"Theano flags ignored, no longer in use: {', '.join(unknown)}", stacklevel=2)
    return flags


config = Config(_read_flags())
jax.config.update("jax_enable_x64", True)
