"""Preprocessors against loops, SciPy and closed forms, and the pickles of datasets and preprocessors."""

import pickle
import pickletools

import numpy as np
import pytest
from scipy.signal import convolve2d

from pylearn2.datasets.dense_design_matrix import DenseDesignMatrix
from pylearn2.datasets.preprocessing import ZCA, GlobalContrastNormalization, LeCunLCN, Pipeline
from pylearn2.datasets.zca_dataset import ZCA_Dataset
from pylearn2.utils import serial
from xnornet.data import DataError
from xnornet.data.whitening import normalize_contrast

RANDOM = np.random.default_rng(0)


@pytest.fixture
def data():
    X = RANDOM.integers(256, size=(40, 2 * 6 * 5)).astype("float32")
    return DenseDesignMatrix(X, np.arange(40)[:, None] % 10)


def test_contrast_is_normalized_as_by_a_loop(data):
    X = data.X.copy()
    data.apply_preprocessor(GlobalContrastNormalization(batch_size=7))
    np.testing.assert_allclose(data.X, normalize_contrast(X.astype("uint8")), atol=1e-5)
    data.X = X
    data.apply_preprocessor(GlobalContrastNormalization(sqrt_bias=0, use_std=False, scale=55))
    for row, before in zip(data.X, X, strict=True):
        wanted = 55 * (before - before.mean()) / np.linalg.norm(before - before.mean())
        np.testing.assert_allclose(row, wanted, rtol=1e-4, atol=1e-4)
    data.X = np.ones((2, 4), "float32")
    data.apply_preprocessor(GlobalContrastNormalization(sqrt_bias=0))
    np.testing.assert_array_equal(data.X, 0)


def test_local_contrast_is_normalized_as_by_scipys_convolution(data):
    X, near = data.X.reshape(-1, 2, 6, 5).copy(), np.arange(-3, 4)
    window = np.exp(-(near[:, None] ** 2 + near**2) / 8)
    window /= window.sum()
    data.apply_preprocessor(LeCunLCN((6, 5), channels=1))
    found = data.X.reshape(X.shape)
    np.testing.assert_array_equal(found[:, 0], X[:, 0])
    for image, before in zip(found[:, 1], X[:, 1], strict=True):
        root = np.sqrt(convolve2d(before**2, window, "same"))
        wanted = (before - convolve2d(before, window, "same")) / np.maximum(root, root.mean())
        np.testing.assert_allclose(image, wanted, atol=1e-4)
    data.X = np.zeros((3, 60), "float32")
    data.apply_preprocessor(LeCunLCN((6, 5)))
    np.testing.assert_array_equal(data.X, 0)
    with pytest.raises(ValueError, match="odd"):
        LeCunLCN((6, 5), kernel_size=4)
    with pytest.raises(ValueError, match="no images"):
        data.apply_preprocessor(LeCunLCN((7, 7)))


def test_whitened_images_are_uncorrelated_and_can_be_made_images_again():
    X = (RANDOM.normal(size=(4000, 6)) @ RANDOM.normal(size=(6, 6)) + 3).astype("float32")
    data, other, zca = DenseDesignMatrix(X, None), DenseDesignMatrix(X[:5] + 1, None), ZCA(filter_bias=1e-6)
    with pytest.raises(ValueError, match="can_fit"):
        other.apply_preprocessor(zca)
    data.apply_preprocessor(Pipeline([zca]), can_fit=True)
    assert data.X.dtype == "float32"
    np.testing.assert_allclose(np.cov(data.X.T), np.eye(6), atol=1e-2)
    np.testing.assert_allclose(zca.P_, zca.P_.T)
    other.apply_preprocessor(zca, can_fit=True)
    np.testing.assert_allclose(zca.inverse(other.X), X[:5] + 1, atol=1e-3)


def test_datasets_and_preprocessors_are_saved_and_loaded(data, tmp_path, monkeypatch):
    monkeypatch.setenv("SOME_FOLDER", str(tmp_path))
    zca = ZCA()
    serial.mkdir("${SOME_FOLDER}/white")
    data.apply_preprocessor(preprocessor=Pipeline([GlobalContrastNormalization(), zca]), can_fit=True)
    data.use_design_loc(tmp_path / "white" / "train.npy")
    serial.save("${SOME_FOLDER}/white/train.pkl", data)
    serial.save("${SOME_FOLDER}/white/preprocessor.pkl", Pipeline([zca]))
    assert (tmp_path / "white" / "train.pkl").stat().st_size < data.X.nbytes
    train = serial.load("${SOME_FOLDER}/white/train.pkl")
    (loaded,) = serial.load("${SOME_FOLDER}/white/preprocessor.pkl").items
    np.testing.assert_array_equal(loaded.P_, zca.P_)
    part = ZCA_Dataset(preprocessed_dataset=train, preprocessor=loaded, start=10, stop=20)
    np.testing.assert_array_equal(part.X, data.X[10:20])
    np.testing.assert_array_equal(np.hstack(part.y), np.arange(10))
    assert part.mapback(part.X).shape == part.X.shape
    with pytest.raises(ValueError, match="none"):
        ZCA_Dataset(train, loaded, start=50)
    (tmp_path / "white" / "train.npy").unlink()
    with pytest.raises(DataError, match="images should be in this file"):
        serial.load("${SOME_FOLDER}/white/train.pkl")


# As pylearn2 wrote it with Python 2: an object in protocol 0, with one of a class that is not here, and a
# reference to itself.
OLD = (
    b"ccopy_reg\n_reconstructor\np0\n(cpylearn2.datasets.dense_design_matrix\nDenseDesignMatrix\n"
    b"c__builtin__\nobject\nNtRp1\n(dS'y'\n(lI3\naI4\nasS'X'\nF0.5\nsS'own'\ng1\nsS'space'\n"
    b"ccopy_reg\n_reconstructor\n(cpylearn2.space\nVectorSpace\nc__builtin__\nobject\nNtR"
    b"(dS'dim'\nI7\nsbsb."
)


def test_pickles_of_pylearn2_are_read_without_calling_what_they_name(tmp_path):
    pickletools.dis(OLD, out=open(tmp_path / "dis", "w"))
    (tmp_path / "old.pkl").write_bytes(OLD)
    found = serial.load(tmp_path / "old.pkl")
    assert type(found) is DenseDesignMatrix and found.y == [3, 4] and found.X == 0.5 and found.own is found
    assert not hasattr(found.space, "dim")


class Runs:
    def __reduce__(self):
        return print, ("called",)


@pytest.mark.parametrize(
    "content",
    [
        pickle.dumps({"a": Runs()}),
        pickle.dumps(DenseDesignMatrix(Runs(), None)),
        pickle.dumps(np.array([Runs()], object)),
        OLD[:-9],
        OLD + b"x",
        b"ccopy_reg\n_reconstructor\n(c__builtin__\nobject\nc__builtin__\nobject\nNtR.",
        b"cpylearn2.datasets.preprocessing\nZCA\n(dS'apply'\nI1\nsb.",
    ],
)
def test_nothing_else_is_read(content, tmp_path, capsys):
    (tmp_path / "x.pkl").write_bytes(content)
    with pytest.raises(DataError, match="x.pkl") as error:
        serial.load(tmp_path / "x.pkl")
    assert "\n" not in str(error.value) and "called" not in capsys.readouterr().out
