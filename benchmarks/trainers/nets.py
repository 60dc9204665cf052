"""What the trainers train, and on what: the layers of two networks and images, the same for all.

It needs only NumPy, as every trainer has its own environment. The images are random: how long a
step takes does not depend on what they show.
"""

from typing import NamedTuple

import numpy as np

__all__ = ["CLASSES", "LEVELS", "NETS", "RATE", "Layer", "Net", "random_data", "scaled"]

CLASSES = 10
RATE = 0.001
COUNT = 2000
# A byte's real number is ``LEVELS[0] * byte + LEVELS[1]``: that of xnornet.data.scale_bytes, not rounded.
LEVELS = (2 / 255 * 127 / 128, -127 / 128)


class Layer(NamedTuple):
    """One of a network's layers, in their order.

    Attributes
    ----------
    kind : {"conv", "dense", "pool", "dropout", "batch_norm"}
        Filters have 3x3 taps, and their images are padded by 1; windows of a maximum are 2x2.
    inputs, outputs : int
        Channels of a convolution; a dense layer's features; of batch norm, the same number.
    binary : bool
        Whether an XNOR-Net computes it on signs.
    share : float
        Of what dropout sets to zero.
    """

    kind: str
    inputs: int = 0
    outputs: int = 0
    binary: bool = False
    share: float = 0.0


class Net(NamedTuple):
    """A network.

    Attributes
    ----------
    input_shape : tuple of int
        ``(channels, rows, columns)`` of one image.
    layers : list of Layer
    """

    input_shape: tuple
    layers: list


def mnist_mlp(width=1.0, dropout=0.0):
    """``xnornet.networks.mnist_mlp``"""
    units = scaled(4096, width)
    layers = [Layer("dense", 784, units, binary=True)]
    for _ in range(2):
        layers += [_batch_norm(units), Layer("dense", units, units, binary=True)]
        layers += [Layer("dropout", share=dropout)] if dropout else []
    return Net((1, 28, 28), [*layers, Layer("dense", units, CLASSES), _batch_norm(CLASSES)])


def cifar10_convnet(width=1.0):
    """``xnornet.networks.cifar10_convnet``"""
    layers, channels, rows, units = [], 3, 32, scaled(1024, width)
    for filters in (scaled(n, width) for n in (128, 256, 512)):
        layers += [Layer("conv", channels, filters, binary=bool(layers)), _batch_norm(filters)]
        layers += [Layer("conv", filters, filters, binary=True), Layer("pool"), _batch_norm(filters)]
        channels, rows = filters, rows // 2
    for features in (channels * rows * rows, units):
        layers += [Layer("dense", features, units, binary=True), _batch_norm(units)]
    return Net((3, 32, 32), [*layers, Layer("dense", units, CLASSES), _batch_norm(CLASSES)])


NETS = {"mnist_mlp": mnist_mlp, "cifar10_convnet": cifar10_convnet}


def scaled(number, width):
    """A number of units or filters times a factor, and at least 1."""
    return max(1, round(number * width))


def _batch_norm(channels):
    return Layer("batch_norm", channels, channels)


def random_data(net):
    """Images and labels of a ``Net``.

    Returns
    -------
    images : uint8 array, ``(2000, channels, rows, columns)``
    labels : int32 array, ``(2000,)``
    """
    random = np.random.RandomState(0)
    images = random.randint(256, size=(COUNT, *net.input_shape)).astype(np.uint8)
    labels = random.randint(CLASSES, size=COUNT).astype(np.int32)
    return images, labels
