"""Files of weights that the ancestor of this project wrote, turned into the parameters of our networks.

The ancestor (github.com/gplhegde/theano-xnor-net) saved ``arr_0``, ``arr_1``, ... as we do, but its XNOR
layers keep further arrays: ``xalpha``, the scaling factor of each output, and in convolutions
``beta_filter``, the box that ``K`` is made with. Building the network is left to
``xnornet.ancestor``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from xnornet.archives import read_array_headers
from xnornet.data.dataset import FULL_SCALE
from xnornet.errors import ModelError
from xnornet.model.weights import check_array, read_arrays

__all__ = ["Ancestor", "recognise"]

# What each kind of layer saves, in order.
ARRAYS = {
    "XNOR dense": ("W", "b", "xalpha"),
    "XNOR convolution": ("W", "b", "beta_filter", "xalpha"),
    "dense": ("W", "b"),
    "convolution": ("W", "b"),
    "batch norm": ("beta", "gamma", "mean", "inv_std"),
}
NUM_CLASSES = 10
REMEDY = "The file cannot be used; look for another copy of it"


@dataclass(frozen=True, eq=False)
class Ancestor:
    """Weights of the ancestor's, as parameters of a network of ours.

    Attributes
    ----------
    network : str
        Name of our network.
    arguments : dict
        Options that it is built with.
    values : list of float32 arrays
        Its parameters, in the order of ``lasagne.layers.get_all_params``.
    scale_bias : bool
        What the binary dense layers' option of that name must be. The ancestor adds their bias before it
        scales, and so the numbers mean something else without it.
    """

    network: str
    arguments: dict
    values: list
    scale_bias: bool = True


def recognise(path):
    """Read a file of weights if it has the ancestor's form.

    With the parameters returned, our network on images in [-127/128, 127/128] gives the scores that the
    ancestor's gave at test time on the same images in [-1, 1]:

    - ``W`` of a binary layer is ``sign(W) * xalpha``, so that the mean of its magnitudes is ``xalpha`` as
      the file has it, whatever the mean of the file's ``W``. A negative ``xalpha`` turns the signs around,
      and in dense layers, where the bias is scaled as well, that of the bias too.
    - The first layer is divided by 127/128: a real one its ``W``, a binary one its ``xalpha``.
    - The ancestor's CIFAR-10 network ends in a real layer, where ours has a batch norm behind it; that one
      gets parameters that change nothing.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    Ancestor or None
        None if the arrays are not those of one of the ancestor's networks by number and by their number of
        axes, as those of our own networks are not.

    Raises
    ------
    ModelError
        The file is missing or damaged, or it has the ancestor's form and lengths that do not fit together,
        numbers that are not real or not finite, or a ``beta_filter`` that does not take the mean.
    """
    found = read_array_headers(path)
    names = [f"arr_{i}" for i in range(len(found))]
    if set(found) != set(names) or None in found.values():
        return None
    shapes = [found[name][0] for name in names]
    for form in FORMS:
        wanted = _arrays(form.layers(1), shapes)
        if [len(array.shape) for array in wanted] == [len(shape) for shape in shapes]:
            return _read(path, form, shapes)
    return None


@dataclass(frozen=True)
class _Array:
    """An array that a file should hold: of which layer, counted from 1, and with which shape."""

    layer: int
    kind: str
    name: str
    shape: tuple

    def __str__(self):
        return f"{self.name} of layer {self.layer}, {self.kind}"


@dataclass(frozen=True)
class _Form:
    """One of the ancestor's networks.

    ``layers`` gives kind and shape of each layer's ``W`` (or the channels) for the size of the first layer,
    which is the length of its ``W`` along ``axis``; ``arguments`` are those of our network of that size.
    """

    network: str
    layers: Callable
    axis: int
    arguments: Callable


def _mlp(num_units):
    inputs = 28 * 28
    for i in range(3):
        if i > 0:
            yield "batch norm", (num_units,)
        yield "XNOR dense", (inputs, num_units)
        inputs = num_units
    yield "dense", (num_units, NUM_CLASSES)
    yield "batch norm", (NUM_CLASSES,)


def _convnet(num_filters, units_per_filter, normalizes_scores):
    channels = 3
    for i, factor in enumerate((1, 1, 2, 2, 4, 4)):
        filters = factor * num_filters
        yield "convolution" if i == 0 else "XNOR convolution", (filters, channels, 3, 3)
        yield "batch norm", (filters,)
        channels = filters
    inputs, num_units = channels * 4 * 4, units_per_filter * num_filters
    for _ in range(2):
        yield "XNOR dense", (inputs, num_units)
        yield "batch norm", (num_units,)
        inputs = num_units
    yield "dense", (num_units, NUM_CLASSES)
    if normalizes_scores:
        yield "batch norm", (NUM_CLASSES,)


FORMS = (
    _Form("mnist_mlp", _mlp, 1, lambda n: {"num_units": n}),
    _Form(
        "cifar10_convnet",
        partial(_convnet, units_per_filter=8, normalizes_scores=False),
        0,
        lambda n: {"width": n / 128},
    ),
    _Form(
        "svhn_convnet",
        partial(_convnet, units_per_filter=16, normalizes_scores=True),
        0,
        lambda n: {"width": n / 64},
    ),
)


def _arrays(layers, shapes):
    """The arrays that layers save, the last two of a binary convolution in the order that ``shapes`` has."""
    arrays = []
    for i, (kind, shape) in enumerate(layers, 1):
        names = ARRAYS[kind]
        start = len(arrays)
        if kind == "XNOR convolution" and [len(s) for s in shapes[start + 2 : start + 4]] == [1, 4]:
            names = ("W", "b", "xalpha", "beta_filter")
        outputs = shape[1:] if len(shape) == 2 else shape[:1]
        for name in names:
            arrays.append(_Array(i, kind, name, shape if name in ("W", "beta_filter") else outputs))
    return arrays


def _read(path, form, shapes):
    """Read a file that has the form, and convert it."""
    size = max(1, shapes[0][form.axis])
    arrays = _arrays(form.layers(size), shapes)
    for i, (array, shape) in enumerate(zip(arrays, shapes, strict=True)):
        if shape != array.shape:
            raise ModelError(
                f"{path}: arr_{i} ({array}) should have shape {array.shape}; found {shape}. The file has the "
                f"form of a theano-xnor-net model, {form.network}, but not its sizes"
            )
    layers = {}
    values = read_arrays(path, shapes)
    for i, (array, value) in enumerate(zip(arrays, values, strict=True)):
        check_array(path, f"arr_{i} ({array})", value, REMEDY)
        if array.name == "beta_filter":
            _check_box(path, f"arr_{i} ({array})", value)
        layers.setdefault((array.layer, array.kind), {})[array.name] = value
    converted = []
    for (number, kind), saved in layers.items():
        converted += _convert(kind, saved, FULL_SCALE if number == 1 else 1)
    if kind != "batch norm":
        converted += [np.full(NUM_CLASSES, x) for x in (0, 1, 0, 1)]
    arguments = {**form.arguments(size), "scale_inputs": True}
    return Ancestor(form.network, arguments, [_single(path, value) for value in converted])


def _check_box(path, name, value):
    taps = value[0].size
    if not np.allclose(value, 1 / taps, rtol=1e-6, atol=0):
        raise ModelError(
            f"{path}: {name} should be 1/{taps} everywhere, so that K is a mean; found {value.min():g} to "
            f"{value.max():g}. Only models whose beta_filter was never changed can be used"
        )


def _convert(kind, saved, full_scale):
    """Parameters of our layer, in order; ``full_scale`` is the white of its input, by the ancestor's 1."""
    if kind == "batch norm":
        return [saved[name] for name in ARRAYS[kind]]
    W, b = saved["W"], saved["b"]
    if not kind.startswith("XNOR"):
        return [W / np.float64(full_scale), b]
    alpha = saved["xalpha"] / np.float64(full_scale)
    if kind == "XNOR dense":
        return [np.where(W >= 0, alpha, -alpha), np.where(alpha < 0, -b, b)]
    alpha = alpha.reshape(-1, 1, 1, 1)
    return [np.where(W >= 0, alpha, -alpha), b]


def _single(path, value):
    with np.errstate(over="ignore"):
        value = value.astype(np.float32)
    check_array(path, "a parameter in single precision", value, REMEDY)
    return value
