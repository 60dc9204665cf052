"""The networks that ship: one function each, from an input variable to Lasagne's output layer.

They leave ``K`` and ``beta`` out unless told otherwise: these make training and the engine slower, and made
none better that was tried (docs/recipes.md). Losses, optimizers and epochs are left to ``xnornet.training``.

Every function returns the Layer of the scores of ten classes, ``(batch, 10)``, and raises ValueError for a
``width`` that is not a positive number. An option has the same meaning wherever it is:

input_var : 4D variable, optional
    Images, ``(batch, channels, rows, columns)``, in [-1, 1].
num_units : int
    Width of the hidden dense layers that are binary, and of a real one before them.
width : float
    Factor of all filters and units but the ten classes; the products are rounded, and at least 1.
dropout : float
    Share of the inputs of hidden dense layers that training sets to zero.
scale_inputs, scale_weights : bool
    Passed on to the XNOR layers.
real_first : bool
    Whether the first layer takes the image as it is, and not its signs.
"""

import inspect
import numbers
from functools import partial

from lasagne.layers import (
    Conv2DLayer,
    DenseLayer,
    DropoutLayer,
    ElemwiseSumLayer,
    GlobalPoolLayer,
    InputLayer,
    MaxPool2DLayer,
    Pool2DLayer,
    get_all_layers,
    get_all_params,
)

from xnornet.catalog import DATASET_OF
from xnornet.layers import BatchNormLayer, XNORConv2DLayer, XNORDenseLayer

__all__ = [
    "NETWORKS",
    "build",
    "cifar10_convnet",
    "cifar10_resnet18",
    "digits_mlp",
    "input_shape",
    "mnist_convnet",
    "mnist_mlp",
    "options",
    "set_weights",
    "svhn_convnet",
]


def digits_mlp(input_var=None, num_units=256, dropout=0.1, scale_inputs=False):
    """A small net for the 8x8 digits: real - XNOR - XNOR - real, batch norm after each."""
    layer = InputLayer((None, 1, 8, 8), input_var)
    layer = BatchNormLayer(DenseLayer(layer, num_units, nonlinearity=None))
    for _ in range(2):
        layer = DropoutLayer(layer, dropout)
        layer = BatchNormLayer(XNORDenseLayer(layer, num_units, scale_inputs=scale_inputs))
    return _classifier(layer)


def mnist_mlp(input_var=None, num_units=4096, dropout=0.0, scale_inputs=False):
    """Three XNOR layers on MNIST, the first on the signs of the image itself, then a real one.

    Batch norm lies between the XNOR layers and behind the last layer, and dropout, if there is any, behind
    the second and the third, as in the ancestor of this project.
    """
    layer = InputLayer((None, 1, 28, 28), input_var)
    layer = XNORDenseLayer(layer, num_units, scale_inputs=scale_inputs)
    for _ in range(2):
        layer = XNORDenseLayer(BatchNormLayer(layer), num_units, scale_inputs=scale_inputs)
        layer = DropoutLayer(layer, dropout)
    return _classifier(layer)


def mnist_convnet(
    input_var=None,
    num_filters=(32, 96),
    num_units=1024,
    dropout=0.0,
    scale_inputs=False,
    scale_weights=True,
    real_first=True,
):
    """A LeNet-5-like net on MNIST: real 5x5 - XNOR 5x5 - XNOR dense - real dense.

    ``num_filters`` are those of the two convolutions, each followed by 2x2 max pooling.
    """
    layer = InputLayer((None, 1, 28, 28), input_var)
    scales = {"scale_inputs": scale_inputs, "scale_weights": scale_weights}
    for i, n in enumerate(num_filters):
        convolve = _convolution(real=real_first and i == 0, **scales)
        layer = BatchNormLayer(MaxPool2DLayer(convolve(layer, n, 5, pad=2), 2))
    layer = DropoutLayer(layer, dropout)
    layer = BatchNormLayer(XNORDenseLayer(layer, num_units, **scales))
    return _classifier(layer)


def cifar10_convnet(
    input_var=None, width=1.0, dropout=0.0, scale_inputs=False, scale_weights=True, real_first=True
):
    """Six 3x3 convolutions and three dense layers on CIFAR-10; all but the first and the last are binary.

    128C3 (real) - 128C3 - MP2 - 256C3 - 256C3 - MP2 - 512C3 - 512C3 - MP2 - 1024FC - 1024FC - 10FC (real),
    as in the ancestor of this project: padded by 1, with batch norm after each layer, and behind the pooling
    where there is one. The ancestor has none behind the last layer, and scales by ``K``.
    """
    return _vgg(input_var, (128, 256, 512), width, dropout, real_first, scale_inputs, scale_weights)


def svhn_convnet(
    input_var=None, width=1.0, dropout=0.0, scale_inputs=False, scale_weights=True, real_first=True
):
    """:func:`cifar10_convnet` with half as many filters, for the digits of SVHN.

    64C3 (real) - 64C3 - MP2 - 128C3 - 128C3 - MP2 - 256C3 - 256C3 - MP2 - 1024FC - 1024FC - 10FC (real), as
    in the ancestor of this project.
    """
    return _vgg(input_var, (64, 128, 256), width, dropout, real_first, scale_inputs, scale_weights)


def cifar10_resnet18(input_var=None, width=1.0, scale_inputs=False):
    """ResNet-18 for CIFAR-10 with binary 3x3 convolutions, each with a shortcut around it, as in Bi-Real Net.

    64C3 (real) - 4 x 64 - 4 x 128 - 4 x 256 - 4 x 512 - global average - 10FC (real). The sixteen binary
    convolutions have 3x3 filters, padded by 1, and each adds its batch norm to what it takes: real numbers
    reach every sign without passing through another one. Convolutions have no bias, as batch norm takes it
    out again.

    The first convolutions of 128, 256 and 512 filters have stride 2. The shortcut around such a one averages
    2x2 pixels and mixes channels by a real 1x1 convolution with batch norm. It is real because a binary one
    would put a sign into the only path without; it is 1.5% of all weights, and 1% of all multiply-adds.

    References
    ----------
    Liu et al., Bi-Real Net, arXiv 1808.00278.
    """
    _checked("width", width, 1.0)
    real = {"b": None, "nonlinearity": None}
    filters = [max(1, round(width * n)) for n in (64, 128, 256, 512)]
    layer = InputLayer((None, 3, 32, 32), input_var)
    layer = BatchNormLayer(Conv2DLayer(layer, filters[0], 3, pad=1, **real))
    for i, n in enumerate(filters):
        for halves in (i > 0, False, False, False):
            stride = 2 if halves else 1
            branch = XNORConv2DLayer(layer, n, 3, stride=stride, pad=1, b=None, scale_inputs=scale_inputs)
            if halves:
                layer = Pool2DLayer(layer, 2, mode="average_inc_pad")
                layer = BatchNormLayer(Conv2DLayer(layer, n, 1, **real))
            layer = ElemwiseSumLayer([BatchNormLayer(branch), layer])
    return _classifier(GlobalPoolLayer(layer))


def _vgg(input_var, num_filters, width, dropout, real_first, scale_inputs, scale_weights, num_units=1024):
    """Pairs of 3x3 convolutions, each pair followed by pooling, then two binary dense layers."""
    scales = {"scale_inputs": scale_inputs, "scale_weights": scale_weights}
    _checked("width", width, 1.0)
    *num_filters, num_units = (max(1, round(width * n)) for n in (*num_filters, num_units))
    layer = InputLayer((None, 3, 32, 32), input_var)
    for i, n in enumerate(num_filters):
        convolve = _convolution(real=real_first and i == 0, **scales)
        layer = BatchNormLayer(convolve(layer, n, 3, pad=1))
        layer = XNORConv2DLayer(layer, n, 3, pad=1, **scales)
        layer = BatchNormLayer(MaxPool2DLayer(layer, 2))
    for _ in range(2):
        layer = XNORDenseLayer(DropoutLayer(layer, dropout), num_units, **scales)
        layer = BatchNormLayer(layer)
    return _classifier(layer)


def _convolution(real, **scales):
    """A convolutional layer but for its input and sizes, real or binary."""
    return partial(Conv2DLayer, nonlinearity=None) if real else partial(XNORConv2DLayer, **scales)


def _classifier(layer, num_classes=10):
    return BatchNormLayer(DenseLayer(layer, num_classes, nonlinearity=None))


NETWORKS = {name: globals()[name] for name in DATASET_OF}


def build(name, input_var=None, **arguments):
    """Build a network by name.

    Parameters
    ----------
    name : str
        One of ``NETWORKS``.
    input_var : 4D variable, optional
    **arguments
        Options of that network's function.

    Raises
    ------
    ValueError
        No network of that name, or an option that it does not have.
    """
    arguments = options(name, **arguments)
    return NETWORKS[name](input_var, **arguments)


def options(name, **arguments):
    """All options of a network, those left out at their defaults, so that a file of weights can tell them.

    Raises
    ------
    ValueError
        As :func:`build`, or a value of another kind than the default.
    """
    if name not in NETWORKS:
        raise ValueError(f"Network {name!r} is unknown; choose one of {', '.join(NETWORKS)}")
    parameters = inspect.signature(NETWORKS[name]).parameters
    usual = {p.name: p.default for p in parameters.values() if p.name != "input_var"}
    for option in arguments:
        if option not in usual:
            raise ValueError(f"{name} has no option {option!r}; it has {', '.join(usual)}")
    given = {option: _checked(option, value, usual[option]) for option, value in arguments.items()}
    return {**usual, **given}


def _checked(option, value, usual):
    """A value of an option, if it is of the kind of the usual one and within its range."""
    if isinstance(usual, bool):
        expected, fits = "True or False", isinstance(value, bool)
    elif isinstance(usual, tuple):
        # JSON gives back lists.
        value = tuple(value) if isinstance(value, list) else value
        expected = f"{len(usual)} positive whole numbers, such as {usual}"
        fits = isinstance(value, tuple) and len(value) == len(usual) and all(map(_is_count, value))
    elif isinstance(usual, int):
        expected, fits = "a positive whole number", _is_count(value)
    elif option == "dropout":
        expected, fits = "a number from 0 to less than 1", _is_real(value) and 0 <= value < 1
    else:
        expected = f"a positive number, such as {usual / 2:g}"
        fits = _is_real(value) and 0 < value < float("inf")
    if not fits:
        raise ValueError(f"{option} is {value!r}; it takes {expected}")
    return value


def _is_count(value):
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_real(value):
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def input_shape(layer):
    """Shape of one image that a network takes, ``(channels, height, width)``."""
    return tuple(get_all_layers(layer)[0].shape[1:])


def set_weights(layer, values):
    """Set all parameters of a network, in the order of ``lasagne.layers.get_all_params``.

    As ``lasagne.layers.set_all_param_values``, but in the parameters' own dtype.
    """
    for param, value in zip(get_all_params(layer), values, strict=True):
        param.set_value(value.astype(param.dtype))
