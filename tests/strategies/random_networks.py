"""Random networks of every layer that inference knows, images for them, and what they are quantized to."""

from itertools import pairwise

import lasagne
import numpy as np
from hypothesis import strategies as st
from lasagne.nonlinearities import rectify

import theano
from xnornet.inference import Formats, quantize
from xnornet.inference.floating import chain
from xnornet.layers import BatchNormLayer, XNORConv2DLayer, XNORDenseLayer

# Lasagne 0.2, which has a batch norm, pads by 'same' for odd filters only.
SAME_TAKES_EVEN = not hasattr(lasagne.layers, "BatchNormLayer")

small = st.integers(1, 3)


def convolve(draw, incoming, binary):
    size = tuple(draw(st.integers(1, min(4, n))) for n in incoming.output_shape[2:])
    pads = [0, 1, (2, 0), "full", "valid"]
    if SAME_TAKES_EVEN or all(k % 2 for k in size):
        pads.append("same")
    options = {
        "stride": draw(st.tuples(small, small)),
        "pad": draw(st.sampled_from(pads)),
        "untie_biases": draw(st.booleans()),
        "nonlinearity": draw(st.sampled_from([None, None, rectify])),
    }
    if draw(st.booleans()):
        options["b"] = None
    if binary:
        return XNORConv2DLayer(incoming, draw(small), size, scale_inputs=draw(st.booleans()), **options)
    return lasagne.layers.Conv2DLayer(incoming, draw(small), size, **options)


def connect(draw, incoming, binary):
    options = {"nonlinearity": draw(st.sampled_from([None, None, rectify]))}
    if draw(st.booleans()):
        options["b"] = None
    if binary:
        for option in ("scale_inputs", "scale_bias"):
            options[option] = draw(st.booleans())
        return XNORDenseLayer(incoming, draw(small) + 1, **options)
    return lasagne.layers.DenseLayer(incoming, draw(small) + 1, **options)


def pool(draw, incoming):
    size = tuple(draw(st.integers(1, min(3, n))) for n in incoming.output_shape[2:])
    whole = draw(st.booleans())
    pad = tuple(draw(st.integers(0, w - 1)) for w in size) if whole else (0, 0)
    stride = draw(st.none() | st.tuples(small, small))
    return lasagne.layers.MaxPool2DLayer(incoming, size, stride, pad, ignore_border=whole)


def normalize(draw, incoming):
    left_out = draw(st.sampled_from([{}, {}, {"beta": None}, {"gamma": None}]))
    return BatchNormLayer(incoming, **left_out)


EITHER = {
    "batch norm": normalize,
    "rectify": lambda draw, incoming: lasagne.layers.NonlinearityLayer(incoming, rectify),
    "dropout": lambda draw, incoming: lasagne.layers.DropoutLayer(incoming, 0.5),
}
ON_IMAGES = EITHER | {
    "convolution": lambda draw, incoming: convolve(draw, incoming, False),
    "binary convolution": lambda draw, incoming: convolve(draw, incoming, True),
    "max pooling": pool,
}
ON_VECTORS = EITHER | {
    "dense": lambda draw, incoming: connect(draw, incoming, False),
    "binary dense": lambda draw, incoming: connect(draw, incoming, True),
}


def fill(layer, rng, exponent):
    """Give a layer random parameters of magnitudes up to ``2**exponent``, some weights and biases zero."""
    for p in layer.get_params():
        name = p.name.rsplit(".")[-1]
        value = rng.uniform(-1, 1, p.get_value().shape) * 2.0**exponent
        if name == "inv_std":
            value = abs(value)
        if name == "W":
            value[rng.random(value.shape) < 0.1] = 0
        if name == "b" and rng.random() < 0.3:
            value[...] = 0
        p.set_value(value.astype(p.dtype))


@st.composite
def draw_network(draw, exponents=(0,)):
    """A chain of random layers and images that cover and pass the range of its input."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    shape = (draw(st.integers(1, 2)), draw(st.integers(3, 6)), draw(st.integers(3, 6)))
    layer = lasagne.layers.InputLayer((None, *shape))
    for kind in draw(st.lists(st.sampled_from(list(ON_IMAGES)), max_size=4)):
        layer = ON_IMAGES[kind](draw, layer)
    if draw(st.booleans()):
        layer = lasagne.layers.FlattenLayer(layer)
    layer = connect(draw, layer, draw(st.booleans()))
    for kind in draw(st.lists(st.sampled_from(list(ON_VECTORS)), max_size=3)):
        layer = ON_VECTORS[kind](draw, layer)
    for _, after in pairwise(lasagne.layers.get_all_layers(layer)):
        fill(after, rng, draw(st.sampled_from(exponents)))
    images = rng.integers(-300, 301, (3, *shape)) / 256
    return layer, images.astype(theano.config.floatX)


formats = st.builds(
    Formats,
    st.sampled_from([7, 1, 15]),
    st.sampled_from([15, 3, 8]),
    st.sampled_from([15, 2, 8]),
    st.sampled_from([None, 0, -3, 2]),
)


@st.composite
def draw_model(draw):
    """A quantized model of random layers: magnitudes are drawn, not measured, so that nothing is compiled."""
    network, _ = draw(draw_network(exponents=(-20, -3, 0, 0, 0, 3, 12)))
    count = len(chain(network)) - 1
    magnitudes = draw(st.lists(st.floats(0, 2**30), min_size=count, max_size=count))
    return quantize(network, None, draw(st.just(Formats()) | formats), magnitudes=magnitudes)
