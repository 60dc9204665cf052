"""Files of weights that the ancestor of this project wrote, read as graphs.

The ancestor (github.com/gplhegde/theano-xnor-net) saved ``arr_0``, ``arr_1``, ... as we do, but its XNOR
layers keep further arrays: ``xalpha``, the scaling factor of each output, and in convolutions
``beta_filter``, the box that ``K`` is made with.
"""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from xnornet.archives import check_array, read_array_headers, read_arrays
from xnornet.data.dataset import FULL_SCALE
from xnornet.errors import ModelError
from xnornet.graph import XNOR, Affine, Graph, Linear, MaxPool, Quantize, ScaledBias, Signs, Window
from xnornet.hints import Shape, StrPath

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


def import_ancestor(path: StrPath) -> tuple[str, Graph] | None:
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
    for network, (input_shape, layers, axis) in FORMS.items():
        wanted = _arrays(layers(1), shapes)
        if [len(shape) for *_, shape in wanted] == [len(shape) for shape in shapes]:
            of_size = [*layers(max(1, shapes[0][axis]))]
            return network, Graph.chain(input_shape, _read(path, network, of_size, shapes))
    return None


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


# Of each network: an image's shape, its layers by the size of the first one (kind, and the shape of ``W``, or
# the channels), and along which axis of the first ``W`` that size is.
FORMS: dict[str, tuple[Shape, Callable[[int], Iterator[tuple[str, Shape]]], int]] = {
    "mnist_mlp": ((1, 28, 28), _mlp, 1),
    "cifar10_convnet": ((3, 32, 32), partial(_convnet, units_per_filter=8, normalizes_scores=False), 0),
    "svhn_convnet": ((3, 32, 32), partial(_convnet, units_per_filter=16, normalizes_scores=True), 0),
}


def _arrays(layers, shapes):
    """Layer, kind, name and shape of each array that layers save.

    The last two of a binary convolution come in the order that ``shapes`` has.
    """
    arrays = []
    for i, (kind, shape) in enumerate(layers, 1):
        names = ARRAYS[kind]
        start = len(arrays)
        if kind == "XNOR convolution" and [len(s) for s in shapes[start + 2 : start + 4]] == [1, 4]:
            names = ("W", "b", "xalpha", "beta_filter")
        outputs = shape[1:] if len(shape) == 2 else shape[:1]
        arrays += [(i, kind, name, shape if name in ("W", "beta_filter") else outputs) for name in names]
    return arrays


def _read(path, network, layers, shapes):
    """Read a file that has the form of a network, as operations."""
    arrays = _arrays(layers, shapes)
    labels = [f"arr_{i} ({name} of layer {k}, {kind})" for i, (k, kind, name, _) in enumerate(arrays)]
    for label, (*_, wanted), shape in zip(labels, arrays, shapes, strict=True):
        if shape != wanted:
            raise ModelError(
                f"{path}: {label} should have shape {wanted}; found {shape}. The file has the form of a "
                f"theano-xnor-net model, {network}, but not its sizes"
            )
    saved = {}
    for label, (k, _, name, _), value in zip(labels, arrays, read_arrays(path, shapes), strict=True):
        check_array(path, label, value, REMEDY)
        if name == "beta_filter":
            _check_box(path, label, value)
        saved.setdefault(k, {})[name] = value.astype(np.float64)
    operations = [Quantize()]
    for k, (kind, _) in enumerate(layers, 1):
        operation = _operation(kind, saved.get(k), FULL_SCALE if k == 1 else 1)
        for name in operation.arrays():
            with np.errstate(over="ignore"):
                single = operation.value(name).astype(np.float32)
            check_array(path, f"{name} of layer {k}, {kind}", single, REMEDY)
        operations.append(operation)
    return operations


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
