"""The user's own images: folders and arrays become datasets, and each mistake is named."""

import shutil

import numpy as np
import pytest
from PIL import Image

from xnornet import data
from xnornet.data import Dataset, census, load_images
from xnornet.data.arrays import split_rows
from xnornet.data.folders import list_pictures
from xnornet.errors import DataError


def paint(file, value, size=(4, 6), channels=3):
    file.parent.mkdir(parents=True, exist_ok=True)
    shape = size if channels == 1 else (*size, channels)
    Image.fromarray(np.full(shape, value, np.uint8)).save(file)


@pytest.fixture
def folder(tmp_path):
    """Three classes of 10, 20 and 7 pictures; all pixels of a picture are its number in all."""
    number = 0
    for name, count in (("cat", 10), ("ant", 20), ("bee", 7)):
        for i in range(count):
            paint(tmp_path / "pets" / name / f"{i:02}.png", number)
            number += 1
    return tmp_path / "pets"


def quiet(folder, **options):
    return Dataset.from_folder(folder, report=lambda line: None, **options)


def values_of(split):
    return split.images.bytes[:, 0, 0, 0].tolist()


def test_a_folder_of_classes_is_dealt_out_class_by_class(folder):
    dataset = quiet(folder)
    assert dataset.name == "pets" and dataset.class_names == ("ant", "bee", "cat")
    assert dataset.input_shape == (3, 4, 6)
    counts = [np.bincount(s.labels).tolist() for s in (dataset.train, dataset.valid, dataset.test)]
    assert counts == [[14, 5, 6], [3, 1, 2], [3, 1, 2]]
    everything = [values_of(s) for s in (dataset.train, dataset.valid, dataset.test)]
    assert sorted(sum(everything, [])) == list(range(37))
    for split in (dataset.train, dataset.valid, dataset.test):
        assert [np.digitize(v, [10, 30]) for v in values_of(split)] == [
            {"cat": 0, "ant": 1, "bee": 2}[dataset.class_names[k]] for k in split.labels
        ]
    assert (np.diff(dataset.train.labels) < 0).any()  # Not class after class: calibration takes the first.


def test_the_split_depends_on_the_seed_alone(folder):
    first, again, other = (list_pictures(folder, seed).files for seed in (0, 0, 1))
    assert first == again != other and set(first) == set(other)


def test_splits_that_are_there_are_kept_and_validation_comes_from_training(folder, tmp_path):
    for split in ("train", "test"):
        shutil.copytree(folder, tmp_path / "split" / split)
    dataset = quiet(tmp_path / "split")
    assert [len(s) for s in (dataset.train, dataset.valid, dataset.test)] == [31, 6, 37]
    shutil.copytree(folder, tmp_path / "split" / "valid")
    assert len(quiet(tmp_path / "split").train) == len(quiet(tmp_path / "split").valid) == 37


def test_split_rows_deals_every_row_once():
    labels = np.random.default_rng(0).integers(0, 4, 100)
    parts = split_rows(labels, 3)
    assert sorted(np.concatenate(parts).tolist()) == list(range(100))
    for k in range(4):
        total = (labels == k).sum()
        assert all((labels[part] == k).sum() == round(0.15 * total) for part in parts[1:])


def test_what_is_kept_beside_the_folder_is_used_until_a_file_changes(folder, monkeypatch):
    first = quiet(folder)
    assert (folder.parent / "pets.cache.npz").exists()
    monkeypatch.setattr("xnornet.data.folders.read_picture", None)
    np.testing.assert_array_equal(quiet(folder).train.images.bytes, first.train.images.bytes)
    monkeypatch.undo()
    paint(folder / "cat" / "00.png", 250)
    again = quiet(folder)
    assert 250 in sum((values_of(s) for s in (again.train, again.valid, again.test)), [])
    (folder.parent / "pets.cache.npz").write_bytes(b"damaged")
    assert values_of(quiet(folder).train) == values_of(again.train)


def test_size_and_color_fit_pictures(folder):
    paint(folder / "cat" / "00.png", 99, size=(9, 9))
    with pytest.raises(DataError, match="pixels .height x width., others are .* with --size"):
        quiet(folder)
    assert quiet(folder, size=(5, 5), color="grey").input_shape == (1, 5, 5)
    assert len(list(folder.parent.glob("pets.*.cache.npz"))) == 1


def test_pictures_that_are_all_grey_have_one_channel(tmp_path):
    for k in range(6):
        paint(tmp_path / "g" / "ab"[k % 2] / f"{k}.png", k, channels=1)
    assert quiet(tmp_path / "g").input_shape == (1, 4, 6)


def test_a_bad_picture_is_left_out_only_when_asked_for(folder):
    bad = folder / "ant" / "03.png"
    bad.write_bytes(bad.read_bytes()[:45])
    with pytest.raises(DataError, match="ant/03.png: is .*--skip-bad"):
        quiet(folder)
    lines = []
    for _ in range(2):  # Read, and from what is kept.
        dataset = Dataset.from_folder(folder, skip_bad=True, report=lines.append)
        assert sum(map(len, (dataset.train, dataset.valid, dataset.test))) == 36
        for split in (dataset.train, dataset.valid, dataset.test):
            assert all(values_of(split)[i] >= 10 for i in np.flatnonzero(split.labels == 0))
    assert len(lines) == 2 and all("left out: " in line and "03.png" in line for line in lines)
    with pytest.raises(DataError, match="ant/03.png: is "):
        quiet(folder)
    for file in (folder / "bee").iterdir():
        file.write_bytes(b"x")
    with pytest.raises(DataError, match="no .* picture of class 'bee' can be read"):
        quiet(folder, skip_bad=True)


def test_mistakes_of_folders_are_named(folder, tmp_path):
    def refuses(words, path=folder):
        with pytest.raises(DataError, match=words) as raised:
            quiet(path)
        assert "\n" not in str(raised.value)

    refuses("none: cannot be read", tmp_path / "none")
    refuses("cat: expected a folder for each class", folder / "cat")
    (folder / "dog").mkdir()
    (folder / "dog" / "notes.txt").write_text("later")
    refuses("dog: has no pictures")
    paint(folder / "dog" / "a.png", 1)
    refuses("dog: has 1 picture; it takes 3")
    (folder / "dog").rename(folder / "Cat")
    refuses("the classes 'Cat' and 'cat' are equal when case is ignored")
    shutil.rmtree(folder / "Cat")
    shutil.copytree(folder, tmp_path / "split" / "train")
    refuses("has train/ and no test/", tmp_path / "split")
    shutil.copytree(folder / "cat", tmp_path / "split" / "test" / "cat")
    shutil.copytree(folder / "bee", tmp_path / "split" / "test" / "bee")
    refuses("test: has no class 'ant', which train/ has", tmp_path / "split")
    paint(tmp_path / "one" / "cat" / "a.png", 1)
    refuses("at least two classes; found only 'cat'", tmp_path / "one")


X = np.arange(12 * 2 * 3 * 1, dtype=np.uint8).reshape(12, 1, 2, 3)
Y = np.arange(12) % 3
GOOD = {"X_train": X, "y_train": Y, "X_test": X[:3], "y_test": Y[:3]}


def test_arrays_become_a_dataset():
    dataset = Dataset.from_arrays(**GOOD, class_names=["a", "b", "c"], name="mine")
    assert (dataset.name, dataset.num_classes, dataset.class_names) == ("mine", 3, ("a", "b", "c"))
    assert [len(s) for s in (dataset.train, dataset.valid, dataset.test)] == [9, 3, 3]
    np.testing.assert_array_equal(dataset.test.images[:], np.rint((2 * X[:3] / 255 - 1) * 127) / 128)
    given = Dataset.from_arrays(**GOOD, X_valid=X[3:6], y_valid=Y[3:6])
    assert [len(s) for s in (given.train, given.valid)] == [12, 3] and given.class_names == ("0", "1", "2")


@pytest.mark.parametrize(
    "harmless",
    [
        {"X_train": X.astype(np.int64)},
        {"X_train": X[:, 0]},
        {"y_train": Y.astype(np.int64)},
        {"y_train": Y.astype(float)},
        {"y_train": np.eye(3)[Y]},
        {"y_train": Y.tolist()},
    ],
)
def test_what_is_harmless_is_accepted(harmless):
    found, wanted = (Dataset.from_arrays(**{**GOOD, **given}) for given in (harmless, {}))
    np.testing.assert_array_equal(found.train.images.bytes, wanted.train.images.bytes)
    np.testing.assert_array_equal(found.train.labels, wanted.train.labels)


REAL = X / 100 - 0.5


def with_value(array, place, value):
    array = array.copy()
    array[place] = value
    return array


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"X_train": with_value(REAL, (7, 0, 1, 1), np.nan)}, "X_train: image 7 holds NaN"),
        ({"X_train": REAL * 200}, r"X_train: expected real numbers in \[-1, 1\]; image 0 has"),
        (
            {"X_train": X.transpose(0, 2, 3, 1)},
            r"has the channels last. Pass X_train.transpose\(0, 3, 1, 2\)",
        ),
        ({"X_train": X.astype(int) * 9}, "pixels from 0 to 255; found 0 to 639"),
        ({"X_train": X > 3}, "bytes or real numbers; found bool"),
        ({"X_train": X[:0], "y_train": Y[:0]}, "X_train: expected images; found none"),
        ({"X_test": X[:0], "y_test": Y[:0]}, "X_test: expected images; found none"),
        ({"X_train": X.reshape(12, 6)}, r"expected shape \(n, channels, height, width\); found \(12, 6\)"),
        ({"X_test": X[:3, :, :1]}, r"X_test: expected images of shape \(1, 2, 3\) as in X_train"),
        ({"X_test": REAL[:3]}, "X_test: expected uint8 as in X_train; found float32"),
        ({"y_train": Y[:5]}, "y_train: expected 12 labels"),
        ({"y_train": Y - 1}, "classes from 0 on; found -1 for image 0"),
        ({"y_train": Y + 0.5}, "whole numbers; found 0.5 for image 0"),
        ({"y_train": np.array(["a"] * 12)}, "one whole number for each image"),
        ({"y_train": np.zeros((12, 3))}, "row 0 should hold one 1; found 0"),
        ({"y_train": 2 * Y}, r"y_train: class 1 \('1'\) has no images"),
        ({"y_test": [0, 0, 1]}, r"y_test: class 2 \('2'\) has no images"),
        ({"class_names": ["a", "b"]}, "classes 0 to 1, as there are 2 class names; found 2 for image 2"),
        ({"class_names": ["a", "b", "b"]}, "'b' and 'b' are equal when case is ignored"),
        ({"class_names": ["a", "b", "A"]}, "'a' and 'A' are equal when case is ignored"),
        ({"X_valid": X}, "X_valid and y_valid should come together"),
        ({"X_train": X[:5], "y_train": Y[:5]}, "class '2' has 1 image; it takes 2"),
    ],
)
def test_mistakes_of_arrays_are_named(wrong, words):
    with pytest.raises(DataError, match=words) as raised:
        Dataset.from_arrays(**{**GOOD, **wrong})
    assert "\n" not in str(raised.value)


def test_a_file_of_arrays_is_loaded_and_what_is_wrong_with_it_named(tmp_path):
    file = tmp_path / "mine.npz"

    def refuses(words, **arrays):
        np.savez(file, **arrays)
        with pytest.raises(DataError, match=words):
            load_images(file)

    np.savez(file, **GOOD, class_names=["a", "b", "c"])
    assert load_images(file).class_names == ("a", "b", "c") and load_images(file).name == "mine"
    refuses("there is no y_test", X_train=X, y_train=Y, X_test=X)
    refuses("X_val is none of them", **GOOD, X_val=X)
    refuses("y_train holds objects", **{**GOOD, "y_train": np.array([None] * 12)})
    refuses("mine.npz: y_train: expected 12 labels", **{**GOOD, "y_train": Y[1:]})
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(DataError, match="damaged or cut short"):
        load_images(file)
    with pytest.raises(DataError, match="not found; images come as a folder"):
        load_images(tmp_path / "none")


def test_a_census_counts_and_names_what_is_wrong(folder):
    fine = census(folder)
    assert fine and fine.counts["train"].tolist() == [14, 5, 6] and fine.sizes == {"4x6 rgb": 37}
    listing = list_pictures(folder)
    train, test = listing.files[0], listing.files[-1]
    shutil.copy(test, train)
    paint(listing.files[1], 77, size=(9, 9))
    listing.files[2].write_bytes(b"x")
    found = census(folder)
    assert not found and len(found.bad) == 1 and found.sizes["9x9 rgb"] == 1
    assert [{*names} for names in found.duplicates] == [{str(f.relative_to(folder)) for f in (train, test)}]
    assert "different sizes" in str(found) and "less than half as many" in str(found)


def test_a_census_of_arrays_finds_images_in_two_splits(tmp_path):
    np.savez(tmp_path / "a.npz", **GOOD)
    found = census(tmp_path / "a.npz")
    assert len(found.duplicates) == 3 and found.sizes == {"2x3 grey": 15}


def test_whitening_fits_own_color_images_too(folder):
    dataset = data.load_images(folder, whiten=True, report=lambda line: None)
    assert dataset.whitening is not None and dataset.train.images[:2].shape == (2, 3, 4, 6)
