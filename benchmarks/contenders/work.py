"""What the contenders compute: the shapes of a network and of single convolutions, the same for all.

It needs only the standard library, as every contender has its own environment.
"""

from typing import NamedTuple

__all__ = ["CLASSES", "WORKS", "Layer", "Work"]

CLASSES = 10


class Layer(NamedTuple):
    """A 3x3 convolution padded by 1, or a dense layer.

    Attributes
    ----------
    kind : {"conv", "dense"}
    inputs, outputs : int
        Channels of a convolution; a dense layer's features.
    binary : bool
        Whether an XNOR-Net computes it on signs.
    pool : bool
        Whether 2x2 max pooling follows, before batch norm.
    """

    kind: str
    inputs: int
    outputs: int
    binary: bool = True
    pool: bool = False


class Work(NamedTuple):
    """What is timed.

    Attributes
    ----------
    input_shape : tuple of int
        ``(channels, rows, columns)`` of one image.
    layers : list of Layer
    batch_norm : bool
        Whether batch norm follows every layer.
    """

    input_shape: tuple
    layers: list
    batch_norm: bool


def _network():
    """``xnornet.networks.cifar10_convnet``."""
    layers, channels, rows = [], 3, 32
    for n in (128, 256, 512):
        layers.append(Layer("conv", channels, n, binary=channels > 3))
        layers.append(Layer("conv", n, n, pool=True))
        channels, rows = n, rows // 2
    features = channels * rows * rows
    layers += [Layer("dense", features, 1024), Layer("dense", 1024, 1024)]
    return Work((3, 32, 32), [*layers, Layer("dense", 1024, CLASSES, binary=False)], batch_norm=True)


def _convolution(channels, rows):
    return Work((channels, rows, rows), [Layer("conv", channels, channels)], batch_norm=False)


WORKS = {
    "cifar10_convnet": _network(),
    "conv128_32x32": _convolution(128, 32),
    "conv256_16x16": _convolution(256, 16),
    "conv512_8x8": _convolution(512, 8),
}
