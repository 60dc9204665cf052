"""The trainers train the networks that ship: PyTorch's step is ours, in loss, gradients and new weights."""

import runpy
import sys
from functools import partial
from pathlib import Path

import lasagne
import numpy as np
import pytest
from lasagne.layers import Conv2DLayer, DenseLayer, DropoutLayer, MaxPool2DLayer

import theano
import theano.tensor as T
from xnornet import networks
from xnornet.data.dataset import scale_bytes
from xnornet.layers import BatchNormLayer, XNORConv2DLayer, XNORDenseLayer
from xnornet.ops import gradients_in
from xnornet.training.steps import squared_hinge

torch = pytest.importorskip("torch")

TRAINERS = Path(__file__).resolve().parents[2] / "benchmarks" / "trainers"
RATE = 0.001
# Options of our network, and of the same network in nets.py.
CASES = {
    "mnist_mlp": ({"num_units": 123, "dropout": 0.0}, {"width": 0.03, "dropout": 0.0}),
    "cifar10_convnet": ({"width": 0.06}, {"width": 0.06}),
}
# Far above float32's rounding, of activations of about 1 and of weights of about 0.1.
CLEAR, CLEAR_WEIGHT = 3e-6, 1e-8
# Sums of as many positive as negative signs tie within rounding.
TIED = 3e-7
# Rounding of the gradient of an offset: batch norm behind it leaves nearly nothing of a large sum.
NOISE = 1e-6
# Of the loss, of gradients beside the largest of their parameter, and of weights, in each of two steps. The
# second begins with some weights that the first has moved by rounding alone.
TOLERANCES = (
    {"loss": 1e-6, "gradient": 3e-5, "weight": 2e-7},
    {"loss": 5e-6, "gradient": 2e-4, "weight": 5e-6},
)


@pytest.fixture(scope="module")
def trainers():
    path = list(sys.path)
    sys.path.insert(0, str(TRAINERS))
    yield {name: runpy.run_path(str(TRAINERS / f"{name}.py")) for name in ("nets", "ours", "pytorch")}
    sys.path[:] = path


def values_of(variables):
    """Parameters of Lasagne's layers as PyTorch's, whose products are correlations, of transposed weights."""
    return for_torch([variable.get_value() for variable in variables])


def for_torch(values):
    turn = {4: lambda W: W[:, :, ::-1, ::-1], 2: np.transpose, 1: np.asarray}
    return [np.ascontiguousarray(turn[value.ndim](value)) for value in values]


class Peer:
    """PyTorch's network on given weights, and how near its numbers came to a jump."""

    def __init__(self, pytorch, net, weights):
        self.pytorch, self.clearance = pytorch, np.inf
        self.network = pytorch["Network"](net)
        with torch.no_grad():
            for parameter, value in zip(self.network.weights, weights, strict=True):
                parameter.copy_(torch.from_numpy(value))
        self.optimizer = pytorch["Optimizer"](self.network)

    def step(self, images, labels):
        """Train on real numbers. Returns the loss and the gradients."""
        images, labels = torch.from_numpy(images), torch.from_numpy(labels).long()
        loss = self.pytorch["loss_of"](self.network(images), labels)
        loss.backward()
        gradients = [p.grad.numpy().copy() for p in self.network.weights]
        self.optimizer.step()
        return loss.item(), gradients

    def watch(self, monkeypatch):
        """Note how near numbers come to where signs and their gradients jump, and two maxima swap."""
        names = self.pytorch["Network"].forward.__globals__
        sign = names["sign"]

        def note(distances, clear):
            self.clearance = min(self.clearance, distances.min().item() / clear)

        def watched_sign(x):
            clear = CLEAR_WEIGHT if isinstance(x, torch.nn.Parameter) else CLEAR
            note(x.detach().abs(), clear)
            note((x.detach().abs() - 1).abs(), clear)
            return sign(x)

        def watched_pool(x):
            gaps = (spread(largest(x)) - x).detach()
            note(gaps[gaps > TIED], CLEAR)
            return max_pool(x)

        monkeypatch.setitem(names, "sign", watched_sign)
        monkeypatch.setitem(names, "max_pool", watched_pool)


def largest(x):
    return torch.nn.functional.max_pool2d(x, 2)


def spread(x):
    return x.repeat_interleave(2, 2).repeat_interleave(2, 3)


def max_pool(x):
    """The largest of each window, whose gradient passes whole to each of the tied, as Theano's does.

    PyTorch's own passes it to one of them.
    """
    tied = x >= spread(largest(x)).detach() - TIED
    sums = 4 * torch.nn.functional.avg_pool2d(x * tied, 2)
    return largest(x).detach() + sums - sums.detach()


def clear_rows(make_peer, images, labels, monkeypatch):
    """The first two batches of six on which no number of either step is within rounding of a jump.

    Beside a jump, two programs that both round rightly differ.
    """
    for seed in range(100):
        rows = np.random.default_rng(seed).permutation(len(labels))[:12].reshape(2, 6)
        with monkeypatch.context() as patch:
            peer = make_peer()
            peer.watch(patch)
            for batch in rows:
                peer.step(images[batch], labels[batch])
        if peer.clearance > 1:
            return rows
    raise AssertionError("no images keep their distance from the jumps")


def gradients_of(layer):
    """Function from images and labels to the gradients of a network of ours, in PyTorch's form."""
    images, labels = lasagne.layers.get_all_layers(layer)[0].input_var, T.ivector()
    with gradients_in("float32"):
        scores = lasagne.layers.get_output(layer, batch_norm_update_averages=False)
    params = lasagne.layers.get_all_params(layer, trainable=True)
    gradients = theano.function([images, labels], T.grad(squared_hinge(scores, labels, 10), params))
    return lambda *values: for_torch(gradients(*values))


@pytest.mark.parametrize("network", CASES)
def test_two_steps_of_ours_and_of_pytorch_are_the_same(trainers, network, monkeypatch):
    """In float32, and but for weights whose gradients are hardly more than rounding.

    Adam divides a gradient by its size, and so makes a step of any. Batch norm leaves no gradient to offsets
    before it, but through ties of maxima; a few others are small by chance.
    """
    ours_options, options = CASES[network]
    net = trainers["nets"]["NETS"][network](**options)
    data, labels = trainers["nets"]["random_data"](net)
    images = scale_bytes(data)
    ours = trainers["ours"]["build"](network, ours_options, data, labels, gradients="float32")
    trainable = lasagne.layers.get_all_params(ours.layer, trainable=True)
    make_peer = partial(Peer, trainers["pytorch"], net, values_of(trainable))
    monkeypatch.setitem(trainers["pytorch"]["Network"].forward.__globals__, "max_pool", max_pool)
    rows = clear_rows(make_peer, images, labels, monkeypatch)
    peer, gradients = make_peer(), gradients_of(ours.layer)
    clear = [True] * len(trainable)
    for batch, tolerance in zip(rows, TOLERANCES, strict=True):
        expected = gradients(images[batch], labels[batch])
        loss, found = peer.step(images[batch], labels[batch])
        assert loss == pytest.approx(ours.step(batch)[0], rel=tolerance["loss"])
        for i, weights in enumerate(values_of(trainable)):
            size = np.abs(expected[i]).max()
            noise = NOISE if trainable[i].name in ("b", "beta") else 0.0
            slack = tolerance["gradient"] * size + noise
            np.testing.assert_allclose(found[i], expected[i], rtol=0, atol=slack)
            clear[i] = clear[i] & (np.abs(expected[i]) > max(0.01 * size, 100 * noise))
            off = np.abs(peer.network.weights[i].detach().numpy() - weights)
            assert off[clear[i]].max(initial=0) <= tolerance["weight"]
            assert off.max() <= 4 * RATE
    compared = [np.mean(c) for c, param in zip(clear, trainable, strict=True) if param.name == "W"]
    assert min(compared) > 1 / 3
    means = [param.get_value() for param in ours.params if param.name == "mean"]
    buffers = [value.numpy() for name, value in peer.network.named_buffers() if name.startswith("mean")]
    for found, expected in zip(buffers, means, strict=True):
        np.testing.assert_allclose(found, expected, atol=RATE / 2)


def test_binary_weights_of_pytorch_stay_in_range_and_real_ones_do_not(trainers):
    net = trainers["nets"]["NETS"]["mnist_mlp"](0.01)
    network = trainers["pytorch"]["Network"](net)
    real = [p for p in network.weights if p.ndim == 2 and not any(p is W for W in network.binary)]
    assert len(network.binary) == 3 and len(real) == 1
    for parameter in (*network.binary, *real):
        parameter.data.fill_(1)
        parameter.grad = -torch.ones_like(parameter)
    trainers["pytorch"]["Optimizer"](network).step()
    assert all((W == 1).all() for W in network.binary)
    np.testing.assert_allclose(real[0].detach(), 1 + RATE, rtol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_signs_of_pytorch_and_their_gradients_at_the_jumps(trainers, dtype):
    beyond = 1 + torch.finfo(dtype).eps
    x = torch.tensor([-beyond, -1, -0.5, -0.0, 0.0, 0.5, 1, beyond], dtype=dtype, requires_grad=True)
    signs = trainers["pytorch"]["sign"](x)
    signs.backward(torch.full_like(x, 3))
    assert signs.dtype == dtype and signs.tolist() == [-1, -1, -1, 1, 1, 1, 1, 1]
    assert x.grad.tolist() == [0, 3, 3, 3, 3, 3, 3, 0]


@pytest.mark.parametrize("network", CASES)
@pytest.mark.parametrize("width", [0.02, 0.1])
def test_the_nets_are_those_that_ship(trainers, network, width):
    options = {"num_units": round(4096 * width)} if network == "mnist_mlp" else {"width": width}
    net = trainers["nets"]["NETS"][network](width)
    layers = lasagne.layers.get_all_layers(networks.build(network, **options))
    assert (None, *net.input_shape) == layers[0].shape
    expected = []
    for layer in layers[1:]:
        binary = isinstance(layer, XNORConv2DLayer | XNORDenseLayer)
        if isinstance(layer, DropoutLayer):
            if layer.p:
                expected.append(("dropout", 0, 0, False, layer.p))
            continue
        if isinstance(layer, MaxPool2DLayer):
            expected.append(("pool", 0, 0, False, 0.0))
            continue
        kind = {Conv2DLayer: "conv", DenseLayer: "dense", BatchNormLayer: "batch_norm"}
        name = next(kind[cls] for cls in kind if isinstance(layer, cls))
        inputs = np.prod(layer.input_shape[1:]) if name == "dense" else layer.input_shape[1]
        expected.append((name, inputs, layer.output_shape[1], binary, 0.0))
    assert [tuple(layer) for layer in net.layers] == expected


def test_bytes_become_the_numbers_that_our_data_have(trainers):
    scale, offset = trainers["nets"]["LEVELS"]
    found = np.rint((np.arange(256) * scale + offset) * 128) / 128
    np.testing.assert_array_equal(found, scale_bytes(np.arange(256)))
