"""Networks to export, with real pixels where the data is there: shipped ones, and one with branches."""

from pathlib import Path

import numpy as np

from xnornet.data import DataError, load
from xnornet.export.c.golden import draw_pixels
from xnornet.graph import (
    XNOR,
    Add,
    Affine,
    AveragePool,
    Graph,
    Linear,
    Node,
    Quantize,
    Signs,
    Window,
    load_packed,
)
from xnornet.quantization import quantize

__all__ = ["SHIPPED", "real_pixels", "residual", "shipped"]

MODELS = Path(__file__).resolve().parents[2] / "models"
SHIPPED = {
    "digits_mlp": "digits",
    "mnist_mlp": "mnist",
    "mnist_convnet": "mnist",
    "cifar10_convnet": "cifar10",
}


def shipped(name):
    """A model that ships."""
    return load_packed(MODELS / f"{name}.npz")[0]


def real_pixels(dataset, count):
    """Test images as bytes, or drawn ones where the data is not there."""
    try:
        images = load(dataset, download=False).test.images
    except DataError:
        shape = (3, 32, 32) if dataset == "cifar10" else (1, 28, 28)
        return draw_pixels(shape, count)
    images = np.asarray(images[:count], np.float64)
    return np.rint((images * 128 / 127 + 1) * 127.5).astype(np.uint8)


def residual(channels=32, lengths=(8, 8), seed=0):
    """A network with a residual block, and average pooling over the image, of random weights."""
    rng = np.random.default_rng(seed)
    window = Window((3, 3), (1, 1), ((1, 1), (1, 1)))

    def filter(inputs):
        signs = Signs.pack(rng.choice([-1, 1], (channels, inputs, 3, 3)).astype(np.int8))
        return XNOR(signs, rng.uniform(0.01, 0.1, channels), None, None, None, False, window, None, None)

    def affine():
        scale, b = rng.uniform(-1, 1, (2, channels))
        return Affine(scale, None, b, None, None, None)

    first = Linear(rng.uniform(-0.3, 0.3, (channels, 1, 3, 3)), None, None, None, window, None, None)
    pool = AveragePool.of(Window(lengths, lengths, ((0, 0), (0, 0))), True, lengths)
    last = Linear(rng.uniform(-1, 1, (10, channels)), None, rng.uniform(-1, 1, 10), None, None, None, None)
    chain = [Quantize(), first, affine(), filter(channels), affine(), filter(channels), Add(np.ones(2))]
    inputs = [(), (0,), (1,), (2,), (3,), (4,), (5, 1)]
    chain += [affine(), filter(channels), Add(np.ones(2)), affine(), pool, last]
    inputs += [(6,), (7,), (8, 6), (9,), (10,), (11,)]
    graph = Graph((1, *lengths), tuple(map(Node, chain, inputs)))
    images = rng.uniform(-1, 1, (20, 1, *lengths)).astype(np.float32)
    values = graph.evaluate(lambda operation, *x: operation.real(np, *x), images)
    return quantize(graph, None, magnitudes=[float(np.abs(v).max()) for v in values])
