"""The digits against scikit-learn's own arrays, and what all datasets are loaded through."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from xnornet import data
from xnornet.catalog import NETWORKS_OF
from xnornet.disk import user_cache


@pytest.fixture(scope="module")
def digits():
    return data.load("digits")


def splits(dataset):
    return dataset.train, dataset.valid, dataset.test


def test_shapes_types_and_sizes(digits):
    assert (digits.name, digits.num_classes, digits.input_shape) == ("digits", 10, (1, 8, 8))
    assert [len(split) for split in splits(digits)] == [1197, 240, 360]
    for split in splits(digits):
        assert split.images.shape == (len(split), 1, 8, 8)
        assert split.images.dtype == np.float32
        assert split.labels.shape == (len(split),)
        assert split.labels.dtype == np.int32


def test_splits_hold_every_digit_of_scikit_learn_once(digits):
    raw = load_digits()
    expected = sorted((*row, label) for row, label in zip(raw.data, raw.target, strict=True))
    found = sorted(
        (*(image.ravel() * 1024 / 127 + 8).round(3), label)
        for split in splits(digits)
        for image, label in zip(split.images, split.labels, strict=True)
    )
    assert found == expected


def test_splits_follow_the_documented_permutation(digits):
    raw = load_digits()
    order = np.random.default_rng(0).permutation(1797)
    for split, first in zip(splits(digits), (0, 1197, 1437), strict=True):
        for i in (0, len(split) - 1):
            row = order[first + i]
            assert split.labels[i] == raw.target[row]
            np.testing.assert_array_equal(
                split.images[i, 0], np.float32((raw.images[row] / 8 - 1) * 127 / 128)
            )


def test_every_class_is_in_each_split(digits):
    for split in splits(digits):
        assert set(split.labels) == set(range(10))


def test_the_split_is_the_same_everywhere(digits):
    # Errors quoted for the digits hold for this split: NumPy may change its generators.
    assert list(digits.test.labels[:10]) == [0, 8, 8, 9, 8, 3, 7, 5, 0, 6]


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(data.DataError) as caught:
        data.load("imagenet")
    assert "'imagenet'" in str(caught.value)
    assert all(name in str(caught.value) for name in NETWORKS_OF)


def test_data_path_prefers_the_argument_to_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("PYLEARN2_DATA_PATH", str(tmp_path / "environment"))
    assert data.data_path(tmp_path / "argument") == tmp_path / "argument"
    assert data.data_path(str(tmp_path / "argument")) == tmp_path / "argument"
    assert data.data_path() == tmp_path / "environment"


@pytest.mark.parametrize("value", [None, ""])
def test_data_path_without_environment_is_the_cache(monkeypatch, value):
    monkeypatch.delenv("PYLEARN2_DATA_PATH", raising=False)
    if value is not None:
        monkeypatch.setenv("PYLEARN2_DATA_PATH", value)
    assert data.data_path() == user_cache()


def test_without_any_folder_for_data_the_error_names_the_remedy(monkeypatch):
    def nowhere():
        raise OSError("the home folder is unknown; set HOME")

    monkeypatch.delenv("PYLEARN2_DATA_PATH", raising=False)
    monkeypatch.setattr("xnornet.data.dataset.user_cache", nowhere)
    with pytest.raises(data.DataError, match="home folder is unknown; set HOME, or PYLEARN2_DATA_PATH"):
        data.data_path()


def test_data_path_expands_the_home_folder(monkeypatch):
    monkeypatch.setenv("PYLEARN2_DATA_PATH", "~/data")
    assert data.data_path() == Path.home() / "data"


def test_import_leaves_heavy_packages_alone():
    heavy = {"theano", "lasagne", "jax", "pytensor", "sklearn", "requests"}
    code = f"import sys, xnornet.data; print(*sorted({heavy} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == []
