"""Files of weights that the ancestor of this project wrote, read as graphs.

The ancestor (github.com/gplhegde/theano-xnor-net) saved ``arr_0``, ``arr_1``, ... as we do, but its XNOR
layers keep further arrays: ``xalpha``, the scaling factor of each output, and in convolutions
``beta_filter``, the box that ``K`` is made with.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from xnornet.archives import check_array, read_array_headers, read_arrays
from xnornet.data.dataset import FULL_SCALE
from xnornet.errors import ModelError
from xnornet.graph import XNOR, Affine, Graph, Linear, MaxPool, Quantize, ScaledBias, Signs, Window

__all__ = ["import_ancestor"]

# What each kind of layer saves, in order.
ARRAYS = {
    "XNOR dense": ("W", "b", "xalpha"),
    "XNOR convolution": ("W", "b", "beta_filter", "xalpha"),
    "dense": ("W", "b"),
    "convolution": ("W", "b"),
    "batch norm": ("beta", "gamma", "mean", "inv_std"),
    "pooling": (),
}
NUM_CLASSES = 10
POOLING = Window((2, 2), (2, 2), ((0, 0), (0, 0)))
CONVOLUTION = Window((3, 3), (1, 1), ((1, 1), (1, 1)))
REMEDY = "The file cannot be used; look for another copy of it"


def import_ancestor(path):
    """Read a file of weights if it has the ancestor's form.

    On images in [-127/128, 127/128] the graph gives the scores that the ancestor's network gave at test time
    on the same images in [-1, 1]: parameters of the first layer are divided by 127/128. A negative ``xalpha``
    turns the signs around, as ``alpha`` is not negative.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    (str, Graph) or None
        Name of the network, and its graph with real parameters; None if the arrays are not those of one of
        the ancestor's networks by number and by their number of axes, as those of our own networks are not.

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
            return form.network, Graph.chain(form.input_shape, _read(path, form, shapes))
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

    ``layers`` gives kind and shape of each layer's ``W`` (or the channels; of a pooling nothing) for the size
    of the first layer, which is the length of its ``W`` along ``axis``.
    """

    network: str
    input_shape: tuple
    layers: Callable
    axis: int


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
        if i % 2:
            yield "pooling", ()
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
    _Form("mnist_mlp", (1, 28, 28), _mlp, 1),
    _Form("cifar10_convnet", (3, 32, 32), partial(_convnet, units_per_filter=8, normalizes_scores=False), 0),
    _Form("svhn_convnet", (3, 32, 32), partial(_convnet, units_per_filter=16, normalizes_scores=True), 0),
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
        layers.setdefault(array.layer, {})[array.name] = value.astype(np.float64)
    operations = [Quantize()]
    for number, (kind, _) in enumerate(form.layers(size), 1):
        operation = _operation(kind, layers.get(number), FULL_SCALE if number == 1 else 1)
        for name in operation.arrays():
            check_array(path, f"{name} of layer {number}, {kind}", _single(operation.value(name)), REMEDY)
        operations.append(operation)
    return operations


def _single(value):
    with np.errstate(over="ignore"):
        return value.astype(np.float32)


def _check_box(path, name, value):
    taps = value[0].size
    if not np.allclose(value, 1 / taps, rtol=1e-6, atol=0):
        raise ModelError(
            f"{path}: {name} should be 1/{taps} everywhere, so that K is a mean; found {value.min():g} to "
            f"{value.max():g}. Only models whose beta_filter was never changed can be used"
        )


def _operation(kind, saved, full_scale):
    """A layer's operation; ``full_scale`` is the white of its input, by the ancestor's 1."""
    if kind == "pooling":
        return MaxPool(POOLING, True)
    if kind == "batch norm":
        scale = saved["gamma"] * saved["inv_std"]
        return Affine(scale, None, saved["beta"] - saved["mean"] * scale, None, None, None)
    W, b = saved["W"], saved["b"]
    # As it lies on the image.
    W, window = (W.T, None) if W.ndim == 2 else (W[:, :, ::-1, ::-1], CONVOLUTION)
    if not kind.startswith("XNOR"):
        return Linear(W / full_scale, None, b, None, window, None, None)
    xalpha = saved["xalpha"] / full_scale
    positive = (W >= 0) == (xalpha >= 0).reshape(-1, *[1] * (W.ndim - 1))
    # The mean of magnitudes is a sum here.
    signs, alpha = Signs.pack(np.where(positive, 1, -1)), abs(xalpha) / W[0].size
    if kind == "XNOR dense":
        return ScaledBias(signs, alpha, None, b * xalpha / W[0].size, None, None, None)
    return XNOR(signs, alpha, None, b, None, True, window, None, None)
