"""Networks with what the kernels must get right: words that are not full, borders, pooling, any window."""

import lasagne
import numpy as np
import pytest
from hypothesis import strategies as st
from lasagne.layers import DenseLayer, FlattenLayer, InputLayer, MaxPool2DLayer
from lasagne.nonlinearities import rectify

from xnornet.graph import Formats
from xnornet.layers import BatchNormLayer, XNORConv2DLayer, XNORDenseLayer
from xnornet.quantization import quantize, to_graph

CHANNELS = st.sampled_from([1, 3, 31, 32, 33, 63, 64, 65, 96, 130])

# Lasagne 0.2, which has a batch norm, pads by 'same' for odd filters only.
SAME_TAKES_EVEN = not hasattr(lasagne.layers, "BatchNormLayer")


def convolve(draw, layer, binary, scale_inputs):
    size = tuple(draw(st.integers(1, min(7, n + 2))) for n in layer.output_shape[2:])
    pads = ["full", (size[0] // 2 + 1, size[1] // 2 + 1), (size[0] // 2 + 1, size[1] // 2)]
    if SAME_TAKES_EVEN or all(k % 2 for k in size):
        pads += ["same", "same"]
    if all(k <= n for k, n in zip(size, layer.output_shape[2:], strict=True)):
        pads += ["valid", (1, 0)]
    options = {
        "stride": draw(st.sampled_from([1, 1, 2, (1, 3)])),
        "pad": draw(st.sampled_from(pads)),
        "untie_biases": draw(st.booleans()),
        "nonlinearity": draw(st.sampled_from([None, None, rectify])),
    }
    if binary:
        return XNORConv2DLayer(layer, draw(CHANNELS), size, scale_inputs=scale_inputs, **options)
    return lasagne.layers.Conv2DLayer(layer, draw(CHANNELS), size, **options)


def pool(draw, layer):
    size = tuple(draw(st.integers(1, min(3, n))) for n in layer.output_shape[2:])
    whole = draw(st.booleans())
    pad = tuple(draw(st.integers(0, w - 1)) for w in size) if whole else (0, 0)
    stride = draw(st.sampled_from([None, (1, 1), (2, 1)]))
    return MaxPool2DLayer(layer, size, stride, pad, ignore_border=whole)


def behind(draw, layer):
    """Pooling before, after, between or without batch norm."""
    for kind in draw(st.sampled_from(["n", "n", "", "p", "pn", "np", "npn", "nr", "pnr", "f", "fn"])):
        if kind == "n":
            layer = BatchNormLayer(layer)
        elif kind == "r":
            layer = lasagne.layers.NonlinearityLayer(layer, rectify)
        elif kind == "p" and len(layer.output_shape) == 4:
            layer = pool(draw, layer)
        elif kind == "f":
            layer = FlattenLayer(layer)
    return layer


def fill(network, rng):
    for layer in lasagne.layers.get_all_layers(network):
        for p in layer.get_params():
            value = rng.uniform(-1, 1, p.get_value().shape)
            name = p.name.rsplit(".")[-1]
            if name == "inv_std":
                value = abs(value)
            if name == "gamma":
                value[rng.random(value.shape) < 0.1] = 0
            p.set_value(value.astype(p.dtype))


@st.composite
def draw_model(draw):
    """A network, its fixed-point model, whose data may saturate, and images for both."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    shape = (draw(st.sampled_from([1, 2, 3, 65])), draw(st.integers(2, 9)), draw(st.integers(2, 9)))
    layer = InputLayer((None, *shape))
    # Half of the networks have layers that fold, and so have all that is drawn behind these.
    scale_inputs = draw(st.sampled_from([True, False, False, None]))
    for _ in range(draw(st.integers(0, 3))):
        if len(layer.output_shape) != 4:
            break
        scaled = draw(st.booleans()) if scale_inputs is None else scale_inputs
        layer = behind(draw, convolve(draw, layer, draw(st.integers(0, 3)) > 0, scaled))
    for _ in range(draw(st.integers(0, 2))):
        scaled = draw(st.booleans()) if scale_inputs is None else scale_inputs
        layer = XNORDenseLayer(layer, draw(CHANNELS), scale_inputs=scaled)
        layer = behind(draw, layer)
    kind = draw(st.sampled_from([DenseLayer, XNORDenseLayer]))
    network = behind(draw, kind(layer, draw(st.integers(1, 70)), nonlinearity=None))
    fill(network, rng)
    images = (rng.integers(-300, 301, (draw(st.integers(1, 5)), *shape)) / 256).astype("float32")
    formats = Formats(
        draw(st.sampled_from([7, 7, 1, 15])),
        draw(st.sampled_from([15, 15, 6])),
        draw(st.sampled_from([15, 15, 4])),
    )
    share = np.float32(draw(st.sampled_from([1, 1, 0.3])))
    graph = to_graph(network)
    values = graph.evaluate(lambda operation, *x: operation.real(np, *x), images * share)
    magnitudes = [float(np.abs(v).max()) for v in values]
    return network, quantize(graph, None, formats, magnitudes=magnitudes), images


@pytest.fixture(scope="session")
def models():
    """Strategy of triples: network, quantized model and images."""
    return draw_model()


@pytest.fixture(autouse=True)
def _seeded():
    lasagne.random.set_rng(np.random.RandomState(0))
