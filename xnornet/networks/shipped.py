"""The networks that ship: one function each, from an input variable to Lasagne's output layer.

They leave ``K`` and ``beta`` out by default: these make training and the engine slower, and made no network
better that was tried (``docs/measurements/recipes.md``). Losses, optimizers and epochs are left to
``xnornet.training``.

Every function returns the Layer of the scores, ``(batch, num_classes)``, and raises ValueError for a
``width`` that is not a positive number, or for images that are too small. A parameter has the same meaning
wherever it is; those behind the first three are options:

input_var : 4D variable, optional
    Images, ``(batch, channels, rows, columns)``, in [-1, 1].
input_shape : (int, int, int)
    Shape of an image, ``(channels, rows, columns)``.
num_classes : int
num_units : int
    Width of the hidden dense layers that are binary, and of a real one before them.
width : float
    Factor of all filters and units but the classes; the products are rounded, and at least 1.
dropout : float
    Share of the inputs of hidden dense layers that training sets to zero.
scale_inputs, scale_weights : bool
    Passed on to the XNOR layers.
real_first : bool
    Whether the first layer takes the image as it is, and not its signs.
"""

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
)

from xnornet.layers import BatchNormLayer, XNORConv2DLayer, XNORDenseLayer
from xnornet.networks.checks import checked

__all__ = [
    "cifar10_convnet",
    "cifar10_resnet18",
    "digits_mlp",
    "mnist_convnet",
    "mnist_mlp",
    "svhn_convnet",
]


def digits_mlp(
    input_var=None, input_shape=(1, 8, 8), num_classes=10, num_units=256, dropout=0.1, scale_inputs=False
):
    """A small net for the 8x8 digits: real - XNOR - XNOR - real, batch norm after each."""
    layer = InputLayer((None, *input_shape), input_var)
    layer = BatchNormLayer(DenseLayer(layer, num_units, nonlinearity=None))
    for _ in range(2):
        layer = DropoutLayer(layer, dropout)
        layer = BatchNormLayer(XNORDenseLayer(layer, num_units, scale_inputs=scale_inputs))
    return _classifier(layer, num_classes)


def mnist_mlp(
    input_var=None, input_shape=(1, 28, 28), num_classes=10, num_units=4096, dropout=0.0, scale_inputs=False
):
    """Three XNOR layers on MNIST, the first on the signs of the image itself, then a real one.

    Batch norm lies between the XNOR layers and behind the last layer, and dropout, if there is any, behind
    the second and the third, as in the ancestor of this project.
    """
    layer = InputLayer((None, *input_shape), input_var)
    layer = XNORDenseLayer(layer, num_units, scale_inputs=scale_inputs)
    for _ in range(2):
        layer = XNORDenseLayer(BatchNormLayer(layer), num_units, scale_inputs=scale_inputs)
        layer = DropoutLayer(layer, dropout)
    return _classifier(layer, num_classes)


def mnist_convnet(
    input_var=None,
    input_shape=(1, 28, 28),
    num_classes=10,
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
    layer = _large_enough(InputLayer((None, *input_shape), input_var), 4)
    scales = {"scale_inputs": scale_inputs, "scale_weights": scale_weights}
    for i, n in enumerate(num_filters):
        convolve = _convolution(real=real_first and i == 0, **scales)
        layer = BatchNormLayer(MaxPool2DLayer(convolve(layer, n, 5, pad=2), 2))
    layer = DropoutLayer(layer, dropout)
    layer = BatchNormLayer(XNORDenseLayer(layer, num_units, **scales))
    return _classifier(layer, num_classes)


def cifar10_convnet(
    input_var=None,
    input_shape=(3, 32, 32),
    num_classes=10,
    width=1.0,
    dropout=0.0,
    scale_inputs=False,
    scale_weights=True,
    real_first=True,
):
    """Six 3x3 convolutions and three dense layers on CIFAR-10; all but the first and the last are binary.

    128C3 (real) - 128C3 - MP2 - 256C3 - 256C3 - MP2 - 512C3 - 512C3 - MP2 - 1024FC - 1024FC - 10FC (real),
    as in the ancestor of this project: padded by 1, with batch norm after each layer, and behind the pooling
    where there is one. The ancestor has none behind the last layer, and scales by ``K``.
    """
    layer = InputLayer((None, *input_shape), input_var)
    return _vgg(layer, num_classes, (128, 256, 512), width, dropout, real_first, scale_inputs, scale_weights)


def svhn_convnet(
    input_var=None,
    input_shape=(3, 32, 32),
    num_classes=10,
    width=1.0,
    dropout=0.0,
    scale_inputs=False,
    scale_weights=True,
    real_first=True,
):
    """:func:`cifar10_convnet` with half as many filters, for the digits of SVHN.

    64C3 (real) - 64C3 - MP2 - 128C3 - 128C3 - MP2 - 256C3 - 256C3 - MP2 - 1024FC - 1024FC - 10FC (real), as
    in the ancestor of this project.
    """
    layer = InputLayer((None, *input_shape), input_var)
    return _vgg(layer, num_classes, (64, 128, 256), width, dropout, real_first, scale_inputs, scale_weights)


def cifar10_resnet18(input_var=None, input_shape=(3, 32, 32), num_classes=10, width=1.0, scale_inputs=False):
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
    checked("width", width, 1.0)
    real = {"b": None, "nonlinearity": None}
    filters = [max(1, round(width * n)) for n in (64, 128, 256, 512)]
    layer = _large_enough(InputLayer((None, *input_shape), input_var), 8)
    layer = BatchNormLayer(Conv2DLayer(layer, filters[0], 3, pad=1, **real))
    for i, n in enumerate(filters):
        for halves in (i > 0, False, False, False):
            stride = 2 if halves else 1
            branch = XNORConv2DLayer(layer, n, 3, stride=stride, pad=1, b=None, scale_inputs=scale_inputs)
            if halves:
                layer = Pool2DLayer(layer, 2, mode="average_inc_pad")
                layer = BatchNormLayer(Conv2DLayer(layer, n, 1, **real))
            layer = ElemwiseSumLayer([BatchNormLayer(branch), layer])
    return _classifier(GlobalPoolLayer(layer), num_classes)


def _vgg(
    layer,
    num_classes,
    num_filters,
    width,
    dropout,
    real_first,
    scale_inputs,
    scale_weights,
    num_units=1024,
):
    """Pairs of 3x3 convolutions, each pair followed by pooling, then two binary dense layers."""
    scales = {"scale_inputs": scale_inputs, "scale_weights": scale_weights}
    checked("width", width, 1.0)
    _large_enough(layer, 2 ** len(num_filters))
    *num_filters, num_units = (max(1, round(width * n)) for n in (*num_filters, num_units))
    for i, n in enumerate(num_filters):
        convolve = _convolution(real=real_first and i == 0, **scales)
        layer = BatchNormLayer(convolve(layer, n, 3, pad=1))
        layer = XNORConv2DLayer(layer, n, 3, pad=1, **scales)
        layer = BatchNormLayer(MaxPool2DLayer(layer, 2))
    for _ in range(2):
        layer = XNORDenseLayer(DropoutLayer(layer, dropout), num_units, **scales)
        layer = BatchNormLayer(layer)
    return _classifier(layer, num_classes)


def _convolution(real, **scales):
    """A convolutional layer but for its input and sizes, real or binary."""
    return partial(Conv2DLayer, nonlinearity=None) if real else partial(XNORConv2DLayer, **scales)


def _large_enough(layer, least):
    """The input layer, unless its images have fewer rows or columns than pooling leaves something of."""
    if min(layer.shape[2:]) < least:
        raise ValueError(
            f"images of {layer.shape[2]}x{layer.shape[3]} are too small; it takes {least}x{least}"
        )
    return layer


def _classifier(layer, num_classes):
    return BatchNormLayer(DenseLayer(layer, num_classes, nonlinearity=None))
