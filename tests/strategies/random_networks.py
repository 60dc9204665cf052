"""Random networks of every layer that becomes operations, and images for them."""

import lasagne
import numpy as np
from hypothesis import strategies as st
from lasagne.nonlinearities import leaky_rectify, rectify, very_leaky_rectify

import theano
import theano.tensor as T
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
        return XNORDenseLayer(incoming, draw(small) + 1, scale_inputs=draw(st.booleans()), **options)
    return lasagne.layers.DenseLayer(incoming, draw(small) + 1, **options)


def pool(draw, incoming):
    size = tuple(draw(st.integers(1, min(3, n))) for n in incoming.output_shape[2:])
    whole = draw(st.booleans())
    pad = tuple(draw(st.integers(0, w - 1)) for w in size) if whole else (0, 0)
    stride = draw(st.none() | st.tuples(small, small))
    mode = draw(st.sampled_from(["max", "average_inc_pad", "average_exc_pad"]))
    return lasagne.layers.Pool2DLayer(incoming, size, stride, pad, ignore_border=whole, mode=mode)


def normalize(draw, incoming):
    left_out = draw(st.sampled_from([{}, {}, {"beta": None}, {"gamma": None}]))
    return BatchNormLayer(incoming, **left_out)


def hard_tanh(x):
    return T.clip(x, -1, 1)


def bend(draw, incoming):
    functions = [rectify, leaky_rectify, very_leaky_rectify, hard_tanh, lambda x: T.maximum(x, 0), None]
    return lasagne.layers.NonlinearityLayer(incoming, draw(st.sampled_from(functions)))


def add(draw, incoming):
    """A shortcut around a few layers that keep the shape, and perhaps coefficients."""
    layer = bend(draw, normalize(draw, incoming))
    if draw(st.booleans()):
        layer = lasagne.layers.DropoutLayer(layer, 0.5)
    coefficients = draw(st.sampled_from([1, [1, -1], [0.75, 2]]))
    return lasagne.layers.ElemwiseSumLayer([incoming, layer], coefficients)


def concatenate(draw, incoming):
    branches = [incoming, bend(draw, incoming), lasagne.layers.NINLayer(incoming, draw(small))]
    return lasagne.layers.ConcatLayer(branches[: draw(st.integers(2, 3))])


def move(draw, incoming):
    shape = incoming.output_shape
    axis = draw(st.integers(1, 3))
    part = draw(st.sampled_from([slice(1, None), slice(None, None, 2), slice(-2, None)]))
    layers = [lasagne.layers.PadLayer(incoming, draw(st.sampled_from([1, (1, 0), ((0, 2), (1, 1))])))]
    # Lengths that a ReshapeLayer found are of NumPy, and another refuses these.
    layers += [lasagne.layers.ReshapeLayer(incoming, ([0], int(shape[3]), int(shape[1]), -1))]
    if shape[axis] > 1:
        layers += [lasagne.layers.SliceLayer(incoming, part, axis)] * 2
    return draw(st.sampled_from(layers))


def finish(draw, incoming):
    """Scores of images: a global pool, or the scores of each pixel."""
    function = draw(st.sampled_from([T.mean, T.max, T.sum]))
    return lasagne.layers.GlobalPoolLayer(incoming, function)


EITHER = {
    "batch norm": normalize,
    "nonlinearity": bend,
    "dropout": lambda draw, incoming: lasagne.layers.DropoutLayer(incoming, 0.5),
    "sum": add,
}
ON_IMAGES = EITHER | {
    "convolution": lambda draw, incoming: convolve(draw, incoming, False),
    "binary convolution": lambda draw, incoming: convolve(draw, incoming, True),
    "pooling": pool,
    "concatenation": concatenate,
    "moving": move,
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
    """Random layers, with branches, and images that cover and pass the range of its input."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    shape = (draw(st.integers(1, 2)), draw(st.integers(3, 6)), draw(st.integers(3, 6)))
    layer = lasagne.layers.InputLayer((None, *shape))
    for kind in draw(st.lists(st.sampled_from(list(ON_IMAGES)), max_size=4)):
        layer = ON_IMAGES[kind](draw, layer)
    end = draw(st.sampled_from(["dense", "flat", "flat", "pooled", "image"]))
    if end == "flat":
        layer = lasagne.layers.FlattenLayer(layer)
    if end == "pooled":
        layer = finish(draw, layer)
    if end != "image":
        layer = connect(draw, layer, draw(st.booleans()))
        for kind in draw(st.lists(st.sampled_from(list(ON_VECTORS)), max_size=3)):
            layer = ON_VECTORS[kind](draw, layer)
    for each in lasagne.layers.get_all_layers(layer)[1:]:
        fill(each, rng, draw(st.sampled_from(exponents)))
    images = rng.integers(-300, 301, (3, *shape)) / 256
    return layer, images.astype(theano.config.floatX)
