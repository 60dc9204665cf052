"""Small photographs in CIFAR-10's place, and a trained network for digits."""

import lasagne
import numpy as np
import pytest

from xnornet import data, networks
from xnornet.data import Whitening
from xnornet.data.dataset import Dataset, Pixels, Split
from xnornet.layers import BatchNormLayer, XNORDenseLayer
from xnornet.training import Recipe, train


def split(rng, count):
    """Images whose brightness is their class, with noise."""
    labels = rng.permutation(np.arange(count) % 10).astype(np.int32)
    pixels = 12 + 25 * labels[:, None, None, None] + rng.integers(-12, 13, (count, 3, 32, 32))
    return Split(Pixels(pixels.clip(0, 255).astype(np.uint8)), labels)


@pytest.fixture
def photographs(monkeypatch):
    rng = np.random.default_rng(0)
    small = Dataset("cifar10", 10, split(rng, 200), split(rng, 50), split(rng, 60))

    def load(path=None, download=True):
        return small

    monkeypatch.setitem(data._LOADERS, "cifar10", load)
    return small


@pytest.fixture
def shallow(monkeypatch):
    """A network of few layers in the place of CIFAR-10's, whose training takes long to compile."""

    def build(input_var=None, input_shape=(3, 32, 32), num_classes=10, width=1.0):
        layer = lasagne.layers.InputLayer((None, 3, 32, 32), input_var)
        layer = lasagne.layers.Conv2DLayer(layer, round(width * 128), 8, stride=8, nonlinearity=None)
        layer = XNORDenseLayer(BatchNormLayer(layer), round(width * 1024))
        layer = lasagne.layers.DenseLayer(BatchNormLayer(layer), 10, nonlinearity=None)
        return BatchNormLayer(layer)

    monkeypatch.setitem(networks.NETWORKS, "cifar10_convnet", build)


@pytest.fixture
def cheap_whitening(monkeypatch):
    """A real one takes the eigenvectors of 3072 x 3072 numbers."""

    def fit(pixels):
        return Whitening(np.zeros(3072), np.eye(3072), 0.4)

    monkeypatch.setattr(Whitening, "fit", fit)


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    """Weights of a small network for digits, with its header; not to be changed."""
    out = tmp_path_factory.mktemp("model") / "digits.npz"
    recipe = Recipe(epochs=15, batch_size=50, lr=0.01, lr_end=0.001)
    train("digits_mlp", data.load("digits"), out, recipe, {"num_units": 64}, report=lambda line: None)
    return out
