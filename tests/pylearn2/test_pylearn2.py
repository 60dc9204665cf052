"""What pylearn2 has here, on small datasets in the place of the real ones."""

import pickle

import numpy as np
import pytest

from pylearn2.datasets import pixels, svhn
from pylearn2.datasets.cifar10 import CIFAR10
from pylearn2.datasets.mnist import MNIST
from pylearn2.utils import serial
from pylearn2.utils.string_utils import preprocess
from xnornet.data import DataError, Dataset, Split
from xnornet.data.dataset import Pixels

RANDOM = np.random.default_rng(0)
GRAY = RANDOM.integers(256, size=(9, 1, 28, 28), dtype=np.uint8)
COLOR = RANDOM.integers(256, size=(9, 3, 32, 32), dtype=np.uint8)
LABELS = np.arange(9, dtype="int32")


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Datasets of six images for training, one for validation and two for testing."""

    def load(name):
        images = GRAY if name == "mnist" else COLOR
        rows = [slice(0, 6), slice(6, 7), slice(7, 9)]
        return Dataset(name, 10, *(Split(Pixels(images[r]), LABELS[r]) for r in rows))

    monkeypatch.setattr(pixels, "load", load)


def test_mnist_is_rows_from_0_to_1_with_validation_images_at_the_end_of_the_training_set():
    data = MNIST(which_set="train", start=2, stop=7, center=False)
    np.testing.assert_array_equal(data.X, GRAY[2:7].reshape(5, 784).astype("float32") / 255)
    np.testing.assert_array_equal(data.y, LABELS[2:7, None])
    assert data.X.dtype == "float32" and data.y.dtype.kind == "i" and data.y.shape == (5, 1)
    test = MNIST("test", center=True)
    np.testing.assert_allclose(test.X.mean(axis=0), 0, atol=1e-6)
    data.y = np.float32(np.eye(10))[np.hstack(data.y)]
    assert data.y.shape == (5, 10)


def test_cifar10_is_rows_of_bytes_channel_after_channel():
    data = CIFAR10(which_set="train", start=0, stop=6)
    np.testing.assert_array_equal(data.X.reshape(-1, 3, 32, 32), COLOR[:6])
    assert data.X.dtype == "float32" and data.y.shape == (6, 1)
    np.testing.assert_array_equal(CIFAR10("test", center=True).X, COLOR[7:].reshape(2, -1) - 127.5)


@pytest.mark.parametrize("kind", [MNIST, CIFAR10])
def test_sets_and_rows_that_there_are_not_are_refused(kind):
    with pytest.raises(DataError, match="'valid'; .* has 'train' and 'test'"):
        kind("valid")
    with pytest.raises(DataError, match="rows 0 to 8 of the train set .* has 7"):
        kind("train", start=0, stop=8)


def test_variables_in_paths_are_replaced(monkeypatch, tmp_path):
    monkeypatch.setenv("SOME_FOLDER", str(tmp_path))
    monkeypatch.delenv("NO_FOLDER", raising=False)
    assert preprocess("${SOME_FOLDER}/x") == f"{tmp_path}/x"
    with pytest.raises(ValueError, match="NO_FOLDER; set it"):
        preprocess("${NO_FOLDER}/x")
    (tmp_path / "x.pkl").write_bytes(pickle.dumps({"a": [1, 2]}, protocol=2))
    assert serial.load("${SOME_FOLDER}/x.pkl") == {"a": [1, 2]}
    (tmp_path / "y.pkl").write_bytes(pickle.dumps({"a": print}))
    with pytest.raises(DataError):
        serial.load("${SOME_FOLDER}/y.pkl")


def test_svhn_is_rows_of_bytes_with_one_hot_classes(monkeypatch):
    monkeypatch.setattr(svhn, "load", pixels.load)
    data = svhn.SVHN(which_set="splitted_train", axes=["b", "c", 0, 1])
    np.testing.assert_array_equal(data.X.reshape(-1, 3, 32, 32), COLOR[:6])
    np.testing.assert_array_equal(data.y, np.eye(10)[LABELS[:6]])
    # What BinaryNet makes of them is of floatX, as its inputs must be.
    assert np.subtract(np.multiply(2, data.y), 1.0).dtype == "float32"
    assert len(svhn.SVHN("valid").X) == 1 and len(svhn.SVHN("test").X) == 2
    for wrong in ({"which_set": "train"}, {"which_set": "test", "axes": ("c", 0, 1, "b")}):
        with pytest.raises(DataError, match="svhn has"):
            svhn.SVHN(**wrong)
