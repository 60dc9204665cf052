"""Theano's settings: ``THEANO_FLAGS``, ``.theanorc`` and ``theano.config``, applied to PyTensor and JAX.

Only the settings that still have a meaning are accepted; others are ignored with a warning. Settings that the
user does not set stay as they are in PyTensor and JAX, which other code in the process may use.
"""

import configparser
import os
import re
import warnings
from contextlib import contextmanager
from pathlib import Path

import jax
import pytensor

__all__ = ["CHOICES", "config"]

_DEFAULTS = {
    "device": "cpu",
    "mode": "JAX",
    "optimizer": "fast_run",
    "compiled_versions": 64,
    "length_buckets": 0,
}
# Of the settings that are numbers.
_SMALLEST = {"compiled_versions": 1, "length_buckets": 0}
# Settings that programs read and that cannot be changed: graphs have no test values here.
_FIXED = {"compute_test_value": "off", "compute_test_value_opt": "off"}
# Settings of PyTensor's that are checked here.
_PYTENSORS = ("floatX", "exception_verbosity", "on_unused_input")
CHOICES = {
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
    "optimizer": ("fast_run", "fast_compile", "merge", "o1", "o2", "o3", "o4", "unsafe", "None"),
    "exception_verbosity": ("low", "medium", "high"),
    "on_unused_input": ("raise", "warn", "ignore"),
}
# Theano's settings with a dot in their name; PyTensor writes the dot as two underscores.
_SECTIONS = (
    *("blas", "cuda", "dnn", "gcc", "gpuarray", "lib", "nvcc", "optdb", "scan", "traceback", "vm", "warn"),
    *("dnn__conv", "DebugMode", "NanGuardMode"),
)


class Config:
    """Settings as attributes.

    Names that Theano does not share with this package are looked up in ``pytensor.config``. What neither
    has is ignored when it is set, with one warning.

    Attributes
    ----------
    floatX : {'float64', 'float32', 'float16'}
        PyTensor's setting, float64 unless changed, as in Theano. Nets train fastest in float32.
    device : str
        ``cpu``, or ``cuda`` for JAX's GPU; ``gpu`` means the same, and a number after either chooses one of
        several. Without a flag JAX chooses, whatever this says. Read once, before JAX starts.
    mode : str
        Default mode of ``theano.function``.
    optimizer : str
        How much graphs are rewritten before they are compiled.
    exception_verbosity : {'low', 'medium', 'high'}
    on_unused_input : {'raise', 'warn', 'ignore'}
        What `theano.function` does about an input that no output depends on, unless its argument says it.
    compiled_versions : int
        For how many sets of input shapes a function keeps its programs.
    length_buckets : int
        Functions with loops share a program among calls whose sequences have up to this many lengths, where
        that changes no more than the order of sums: sequences are padded to a multiple of it. 0: they do not.

    Raises
    ------
    ValueError
        The setting does not have this value.
    """

    def __init__(self, flags):
        super().__setattr__("_values", dict(_DEFAULTS))
        super().__setattr__("_ignored", set())
        super().__setattr__("_given", set(flags))
        known = [name for name in (*_DEFAULTS, *_PYTENSORS) if name in flags]
        for name in known:
            self._set(name, flags[name])
        self._warn_of(set(flags) - set(known))

    def __getattr__(self, name):
        values = object.__getattribute__(self, "_values")
        if name in values:
            return values[name]
        if name in _FIXED:
            return _FIXED[name]
        if name in _SECTIONS:
            return _Section(self, name)
        if not hasattr(pytensor.config, name):
            raise AttributeError(f"theano.config has no {name.replace('__', '.')!r}")
        return getattr(pytensor.config, name)

    def __setattr__(self, name, value):
        if name in _DEFAULTS or name in _PYTENSORS:
            if name == "device" and _checked(name, value) != self.device:
                raise ValueError(
                    f"theano.config.device cannot change from {self.device!r} to {value!r} after import; "
                    f"start with THEANO_FLAGS=device={value}"
                )
            self._set(name, value)
        elif _FIXED.get(name) == value:
            return
        elif hasattr(pytensor.config, name):
            setattr(pytensor.config, name, value)
        else:
            self._warn_of({name})

    def _set(self, name, value):
        value = _checked(name, value)
        if name in _PYTENSORS:
            setattr(pytensor.config, name, value)
            return
        if name == "device" and "device" in self._given:
            _choose_platform(value)
        self._values[name] = value

    def _warn_of(self, names):
        names = {n.replace("__", ".") for n in names} - self._ignored
        self._ignored.update(names)
        if names:
            message = f"Theano flags ignored, no longer in use: {', '.join(sorted(names))}"
            warnings.warn(message, stacklevel=3)

    def set_defaults(self, **values):
        """Set what neither ``THEANO_FLAGS`` nor a ``.theanorc`` gives."""
        for name, value in values.items():
            if name not in self._given:
                setattr(self, name, value)

    @contextmanager
    def change_flags(self, **changes):
        """Context manager: settings changed for the length of a ``with`` block."""
        before = {name: getattr(self, name) for name in changes if hasattr(self, name)}
        try:
            for name, value in changes.items():
                setattr(self, name, value)
            yield
        finally:
            for name, value in before.items():
                setattr(self, name, value)


class _Section:
    """Settings with a dot in their name: ``config.blas.ldflags`` is PyTensor's ``blas__ldflags``."""

    def __init__(self, config, name):
        vars(self).update(_config=config, _name=name)

    def __getattr__(self, name):
        return getattr(self._config, f"{self._name}__{name}")

    def __setattr__(self, name, value):
        setattr(self._config, f"{self._name}__{name}", value)


def _checked(name, value):
    value, choices = str(value), CHOICES.get(name)
    if name in _SMALLEST:
        if not re.fullmatch("[0-9]+", value) or int(value) < _SMALLEST[name]:
            raise ValueError(
                f"theano.config.{name} is {value!r}; it takes a whole number from {_SMALLEST[name]} on"
            )
        return int(value)
    if name == "device" and not re.fullmatch("cpu|(cuda|gpu)[0-9]*", value):
        raise ValueError(f"theano.config.device is {value!r}; it takes cpu, cuda or gpu, as in cuda or cuda0")
    if choices and value not in choices:
        raise ValueError(f"theano.config.{name} is {value!r}; it takes one of {', '.join(choices)}")
    return value


def _choose_platform(device):
    """Let JAX run where a flag says, unless the user has set that for JAX itself."""
    platforms = "cpu" if device == "cpu" else "cuda,cpu"
    if not jax.config.jax_platforms:
        jax.config.update("jax_platforms", platforms)
    if device == "cpu":
        return
    number = device.lstrip("cudagp")
    if number:
        jax.config.update("jax_cuda_visible_devices", number)
    try:
        jax.devices("cuda")
    except RuntimeError as error:
        raise ValueError(
            f"theano.config.device is {device!r}, and JAX finds no such GPU ({str(error).splitlines()[0]}); "
            "install JAX for CUDA, as in pip install 'xnornet[cuda]', or take THEANO_FLAGS=device=cpu"
        ) from None


def _read_flags():
    """Flags from ``.theanorc`` files, overridden by ``THEANO_FLAGS``."""
    flags = {}
    for file in os.environ.get("THEANORC", str(Path.home() / ".theanorc")).split(os.pathsep):
        flags.update(_read_file(os.path.expanduser(file)))
    for item in filter(None, (s.strip() for s in os.environ.get("THEANO_FLAGS", "").split(","))):
        key, equals, value = item.partition("=")
        if equals:
            flags[key.strip()] = value.strip()
        else:
            warnings.warn(f"THEANO_FLAGS: {item!r} is ignored; a flag is name=value", stacklevel=2)
    return flags


def _read_file(file):
    parser = configparser.ConfigParser(
        interpolation=None, strict=False, default_section="", inline_comment_prefixes=("#", ";")
    )
    parser.optionxform = str
    try:
        parser.read([file])
    except (configparser.Error, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(
            f"{file} cannot be read as settings ({reason}); it takes lines of name = value under [global]"
        ) from None
    return {
        key if section == "global" else f"{section}.{key}": value
        for section in parser.sections()
        for key, value in parser.items(section)
    }


config = Config(_read_flags())
