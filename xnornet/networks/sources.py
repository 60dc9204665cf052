"""Where a network comes from: one of ours by its name, or a function of the user's, by file or module.

How it is trained and what its layers compute is left to others.
"""

import importlib
import importlib.util
import inspect
import json
import sys
import traceback
import warnings
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lasagne.layers import InputLayer, Layer, get_all_layers, get_all_params

from xnornet.catalog import DATASET_OF
from xnornet.disk import md5_of
from xnornet.errors import NetworkError
from xnornet.networks import shipped
from xnornet.networks.checks import checked

__all__ = [
    "NETWORKS",
    "Source",
    "build",
    "find",
    "find_recorded",
    "input_shape",
    "options",
    "set_weights",
]

NETWORKS = {name: getattr(shipped, name) for name in DATASET_OF}

# What every function takes besides its options.
GIVEN = ("input_var", "input_shape", "num_classes")
SIGNATURE = "(input_var, input_shape, num_classes, **options)"


@dataclass(frozen=True)
class Source:
    """A network's function, and where it was found.

    Attributes
    ----------
    name : str
        One of ``NETWORKS``, ``FILE.py:FUNCTION`` or ``package.module:function``.
    function : callable
    file : Path or None
        Of a function of the user's.
    recipe : dict, Recipe or None
        ``RECIPE`` of its module.
    """

    name: str
    function: Callable
    file: Path | None = None
    recipe: object = None

    @property
    def is_ours(self):
        return self.name in NETWORKS

    @property
    def short_name(self):
        """A name for files."""
        place, _, function = self.name.rpartition(":")
        return f"{Path(place).stem}_{function}" if place else function

    @property
    def md5(self):
        """Checksum of the file, None for one of ours."""
        return None if self.file is None else md5_of(self.file)


def find(network):
    """Find a network.

    Parameters
    ----------
    network : str, callable or Source
        A name of ``NETWORKS``, ``FILE.py:FUNCTION``, ``package.module:function``, or the function itself.

    Returns
    -------
    Source

    Raises
    ------
    ValueError
        There is none of that name.
    NetworkError
        Its file is missing or raises, or has no such function.
    """
    if isinstance(network, Source):
        return network
    if callable(network):
        return _of_function(network)
    if network in NETWORKS:
        return Source(network, NETWORKS[network])
    place, colon, function = str(network).rpartition(":")
    if not colon or not place or not function:
        raise ValueError(
            f"Network {network!r} is unknown; choose one of {', '.join(NETWORKS)}, or name a function of "
            "yours as FILE.py:FUNCTION or package.module:function"
        )
    if place.endswith(".py"):
        file = Path(place).expanduser()
        if not file.is_file():
            raise NetworkError(f"{file}: not found; name a network as FILE.py:FUNCTION")
        module = _load(network, file)
    else:
        module = _import(network, place)
        file = Path(getattr(module, "__file__", None) or place)
    found = getattr(module, function, None)
    if not callable(found):
        raise NetworkError(f"{place}: has no function {function!r}; name one of its functions")
    return _checked(Source(network, found, file.resolve(), getattr(module, "RECIPE", None)))


def find_recorded(header, path):
    """Find the network of trained weights by what training recorded.

    A file of the user's is looked for where it was, as it was named, and beside the weights. That it has
    changed since is a warning.

    Parameters
    ----------
    header : dict
        Beside the weights; has ``network``.
    path : Path
        The weights.

    Returns
    -------
    Source

    Raises
    ------
    ValueError, NetworkError
        As `find`.
    """
    name = header["network"]
    recorded, _, function = name.rpartition(":")
    if not recorded.endswith(".py"):
        return _unless_changed(find(name), header, path)
    places = [Path(str(header.get("network_path", recorded))), Path(recorded)]
    places.append(Path(path).parent / places[0].name)
    for place in places:
        if place.is_file():
            source = find(f"{place}:{function}")
            return _unless_changed(Source(name, source.function, source.file, source.recipe), header, path)
    raise NetworkError(
        f"{path}: its network was {name}, and {places[0]} is no longer there; name its file with --net "
        f"FILE.py:{function}"
    )


def options(network, **given):
    """All options of a network, including defaults, for the header of a file of weights.

    Raises
    ------
    ValueError
        As :func:`find`, an option that it does not have or that is missing, or of our networks, a value of
        another kind than the default.
    """
    source = find(network)
    parameters = list(inspect.signature(source.function).parameters.values())[len(GIVEN) :]
    usual = {p.name: p.default for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    takes_all = any(p.kind == p.VAR_KEYWORD for p in parameters)
    for option in given:
        if option not in usual and not takes_all:
            has = f"it has {', '.join(usual)}" if usual else "it has none"
            raise ValueError(f"{source.name} has no option {option!r}; {has}")
    check = checked if source.is_ours else _as_json_gives_it
    chosen = {**usual, **{name: check(name, value, usual.get(name)) for name, value in given.items()}}
    for name, value in chosen.items():
        if value is inspect.Parameter.empty:
            raise ValueError(f"{source.name} has no default for {name!r}; give it a value")
    return chosen


def build(network, input_var=None, input_shape=None, num_classes=None, **arguments):
    """Build a network.

    Parameters
    ----------
    network : str, callable or Source
        As for :func:`find`.
    input_var : 4D variable, optional
    input_shape : (int, int, int), optional
        Of an image, ``(channels, height, width)``. This and ``num_classes`` may be left out where the
        function has its own defaults.
    num_classes : int, optional
    **arguments
        Options of that network's function.

    Returns
    -------
    Layer
        Of the scores, ``(batch, num_classes)``.

    Raises
    ------
    ValueError
        No network of that name, an option that it does not have, or images that it cannot take.
    NetworkError
        A function of the user's raises, or builds no network of these images and classes.
    """
    source = find(network)
    arguments = options(source, **arguments)
    given = {"input_var": input_var, "input_shape": input_shape, "num_classes": num_classes}
    parameters = dict(zip(GIVEN, inspect.signature(source.function).parameters.values(), strict=False))
    for name in GIVEN[1:]:
        if given[name] is None:
            given[name] = parameters[name].default
            if given[name] is inspect.Parameter.empty:
                raise ValueError(
                    f"{source.name} has no default for {name}; give it with --shape and --classes"
                )
    if source.is_ours:
        return source.function(*given.values(), **arguments)
    with _own_frames(source.name, source.file):
        layer = source.function(*given.values(), **arguments)
    _check_layer(source.name, layer, tuple(given["input_shape"]), given["num_classes"])
    return layer


def input_shape(layer):
    """Shape of one image that a network takes, ``(channels, height, width)``."""
    return tuple(get_all_layers(layer)[0].shape[1:])


def set_weights(layer, values):
    """Set all parameters of a network, in the order of ``lasagne.layers.get_all_params``.

    As ``lasagne.layers.set_all_param_values``, but in the parameters' own dtype.
    """
    for param, value in zip(get_all_params(layer), values, strict=True):
        param.set_value(value.astype(param.dtype))


def _of_function(function):
    module = sys.modules.get(function.__module__)
    name = next((name for name, ours in NETWORKS.items() if ours is function), None)
    if name is not None:
        return Source(name, function)
    file = getattr(module, "__file__", None)
    # A function defined in the running script is found again by the script's file.
    place = file if function.__module__ == "__main__" and file else function.__module__
    recipe = getattr(module, "RECIPE", None)
    return _checked(
        Source(f"{place}:{function.__qualname__}", function, file and Path(file).resolve(), recipe)
    )


def _checked(source):
    """The source, if its function can be called as all are."""
    parameters = list(inspect.signature(source.function).parameters.values())
    places = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if len(places) < len(GIVEN):
        raise NetworkError(
            f"{source.name}: takes ({', '.join(map(str, parameters))}); a network is a function {SIGNATURE}"
        )
    return source


def _load(network, file):
    """Import a file as a module; it may import other files of its folder."""
    folder = str(file.resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    spec = importlib.util.spec_from_file_location(file.stem, file)
    module = importlib.util.module_from_spec(spec)
    with _own_frames(network, file.resolve()):
        spec.loader.exec_module(module)
    return module


def _import(network, name):
    """A module by its name, of an installed package or below the current folder."""
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name not in (name, name.partition(".")[0]):
            raise NetworkError(f"{network}: {error}; install it") from error
        raise NetworkError(
            f"{network}: there is no module {name!r}; name a network as FILE.py:FUNCTION"
        ) from error
    except Exception as error:
        raise NetworkError(f"{network}: raised {_described(error)} when it was imported") from error


@contextmanager
def _own_frames(name, file):
    """Turn what a user's code raises into a :class:`NetworkError` with the lines of that file alone."""
    try:
        yield
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in frames if Path(frame.filename).resolve() == file]
        lines = "".join(traceback.format_list(own))
        if isinstance(error, SyntaxError):
            lines = "".join(traceback.format_exception_only(error)[:-1])
        raise NetworkError(f"{name}: raised {_described(error)}", lines.rstrip()) from error


def _described(error):
    message = " ".join(str(error).split())
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def _check_layer(name, layer, input_shape, num_classes):
    """Raise unless it is a network of these images and classes."""
    if not isinstance(layer, Layer):
        raise NetworkError(
            f"{name}: returned {type(layer).__name__}; it should return the last Lasagne layer"
        )
    inputs = [one for one in get_all_layers(layer) if isinstance(one, InputLayer)]
    if len(inputs) != 1 or tuple(inputs[0].shape[1:]) != input_shape:
        found = ", ".join(str(one.shape) for one in inputs) or "none"
        raise NetworkError(
            f"{name}: should have one InputLayer of shape {(None, *input_shape)}; found {found}. Make it of "
            "input_shape"
        )
    if tuple(layer.output_shape[1:]) != (num_classes,):
        raise NetworkError(
            f"{name}: should give {num_classes} scores, one for each class; its output has shape "
            f"{layer.output_shape}. Make the last layer of num_classes units"
        )


def _as_json_gives_it(name, value, usual):
    """A value of a user's option: anything that JSON has, a tuple where the default is one."""
    try:
        json.dumps(value)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{name} is {value!r}; it takes numbers, text, lists of them, True, False, None"
        ) from error
    return tuple(value) if isinstance(value, list) and isinstance(usual, tuple) else value


def _unless_changed(source, header, path):
    recorded = header.get("network_md5")
    if recorded is not None and source.md5 != recorded:
        warnings.warn(
            f"{source.file} has changed since {path} was trained; if it builds another network now, its "
            "scores are of no use",
            stacklevel=3,
        )
    return source
