"""Weights of PyTorch: the same outputs, of real and of binary layers."""

import lasagne
import numpy as np
import pytest
from lasagne.layers import Conv2DLayer, DenseLayer, InputLayer, MaxPool2DLayer

import theano
import xnornet
from xnornet.errors import ModelError
from xnornet.layers import BatchNormLayer, XNORConv2DLayer, XNORDenseLayer


def network():
    net = InputLayer((None, 2, 9, 8))
    net = BatchNormLayer(Conv2DLayer(net, 4, 3, pad=1, nonlinearity=None))
    net = BatchNormLayer(MaxPool2DLayer(XNORConv2DLayer(net, 6, 3, b=None), 2))
    net = BatchNormLayer(XNORDenseLayer(net, 7))
    return DenseLayer(net, 5, nonlinearity=None)


def state(rng):
    """What a module of these layers would save, as arrays; shapes are PyTorch's."""
    shapes = {
        "0": {"weight": (4, 2, 3, 3), "bias": (4,)},
        "2": {"weight": (6, 4, 3, 3)},
        "4": {"weight": (7, 6 * 3 * 3), "bias": (7,)},
        "6": {"weight": (5, 7), "bias": (5,)},
    }
    for place, channels in (("1", 4), ("3", 6), ("5", 7)):
        names = ("weight", "bias", "running_mean", "running_var")
        shapes[place] = {name: (channels,) for name in names}
    found = {}
    for place in sorted(shapes):
        for name, shape in shapes[place].items():
            value = rng.normal(size=shape).astype("float32")
            found[f"{place}.{name}"] = abs(value) + 0.5 if name == "running_var" else value
    found["1.num_batches_tracked"] = np.int64(3)
    return found


def test_outputs_are_those_of_pytorch():
    torch = pytest.importorskip("torch")
    F = torch.nn.functional
    rng = np.random.default_rng(0)
    weights, x = state(rng), rng.normal(size=(3, 2, 9, 8)).astype("float32")
    t = {name: torch.tensor(value) for name, value in weights.items()}

    def norm(x, place):
        names = ("running_mean", "running_var", "weight", "bias")
        return F.batch_norm(x, *(t[f"{place}.{name}"] for name in names))

    def sign(x):
        return torch.where(x >= 0, 1.0, -1.0)

    h = norm(F.conv2d(torch.tensor(x), t["0.weight"], t["0.bias"], padding=1), 1)
    W = t["2.weight"]
    K = F.conv2d(abs(h).mean(1, keepdim=True), torch.full((1, 1, 3, 3), 1 / 9))
    h = F.conv2d(sign(h), sign(W)) * K * abs(W).mean((1, 2, 3))[:, None, None]
    h = norm(F.max_pool2d(h, 2), 3).flatten(1)
    W = t["4.weight"]
    h = sign(h) @ sign(W).T * abs(h).mean(1, keepdim=True) * abs(W).mean(1) + t["4.bias"]
    wanted = F.linear(norm(h, 5), t["6.weight"], t["6.bias"])

    net = xnornet.from_pytorch(t, network())
    images = lasagne.layers.get_all_layers(net)[0].input_var
    scores = theano.function([images], lasagne.layers.get_output(net, deterministic=True))
    np.testing.assert_allclose(scores(x), wanted.numpy(), rtol=1e-3, atol=1e-4)


def test_filters_are_turned_and_matrices_transposed():
    weights = state(np.random.default_rng(1))
    net = xnornet.from_pytorch(weights, network())
    W, b, *_ = (p.get_value() for p in lasagne.layers.get_all_params(net))
    np.testing.assert_allclose(W[3, 1, 0, 2], weights["0.weight"][3, 1, 2, 0])
    np.testing.assert_allclose(b, weights["0.bias"])
    *_, W, b = (p.get_value() for p in lasagne.layers.get_all_params(net))
    np.testing.assert_allclose(W, weights["6.weight"].T)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda w: w.pop("2.weight"), "has 7 layers with weights; PyTorch's has 6"),
        (lambda w: w.pop("0.bias"), "0: Conv2DLayer takes bias, weight; found weight"),
        (lambda w: w.update({"6.weight": np.ones((4, 7))}), r"6: W .* shape \(7, 5\); found \(7, 4\)"),
        (lambda w: w.update({"6.weight": np.ones(7)}), "6: DenseLayer takes weights of 2 axes; found 1"),
        (lambda w: w.pop("3.running_var"), "3: BatchNormLayer takes .*running_var.*; found"),
    ],
)
def test_what_does_not_correspond_is_named_and_changes_nothing(change, words):
    weights, net = state(np.random.default_rng(2)), network()
    change(weights)
    before = lasagne.layers.get_all_param_values(net)
    with pytest.raises(ModelError, match=words):
        xnornet.from_pytorch(weights, net)
    for old, new in zip(before, lasagne.layers.get_all_param_values(net), strict=True):
        np.testing.assert_array_equal(old, new)
