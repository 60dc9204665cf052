"""SVHN from small .mat files written here in the published files' form."""

import io
import os
import tempfile
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from extent import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from xnornet import data
from xnornet.data import svhn

NAMES = ["train_32x32.mat", "extra_32x32.mat", "test_32x32.mat"]
COUNTS = {"train_32x32.mat": 60, "extra_32x32.mat": 90, "test_32x32.mat": 25}
VALID = (3, 2)


def content(name, count=None):
    """Images ``(n, y, x, channel)``, each unlike the others, and labels from 1 to 10 in a random order."""
    count = count or COUNTS[name]
    rng = np.random.default_rng(NAMES.index(name))
    labels = rng.permutation(np.arange(count) % 10 + 1)
    return rng.integers(0, 256, (count, 32, 32, 3)).astype(np.uint8), labels.astype(np.uint8)


def mat(images, labels, compressed=True, **others):
    stream = io.BytesIO()
    arrays = {"X": images.transpose(1, 2, 3, 0), "y": labels[:, np.newaxis], **others}
    scipy.io.savemat(stream, {k: v for k, v in arrays.items() if v is not None}, do_compression=compressed)
    return stream.getvalue()


def write(folder, names, compressed=True):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(mat(*content(name), compressed))
    return folder


def load_small(folder, download=False):
    return svhn.load_folder(folder, download, valid_counts=VALID)


def message_of(call, *args, **kwargs):
    with pytest.raises(data.DataError) as caught:
        call(*args, **kwargs)
    message = str(caught.value)
    assert "\n" not in message and len(message) < 500
    return message


def pairs(*splits):
    """Images and labels in a form that can be counted, whatever their order."""
    return sorted(
        (int(label), image.tobytes())
        for split in splits
        for image, label in zip(split.images.bytes, split.labels, strict=True)
    )


def expected_pairs(*names):
    """The same of the files, pixel by pixel, ten being the digit 0."""
    found = []
    for name in names:
        for image, label in zip(*content(name), strict=True):
            planes = [image[y, x, c] for c in range(3) for y in range(32) for x in range(32)]
            found.append((int(label) if label < 10 else 0, bytes(planes)))
    return sorted(found)


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("names", [NAMES, ["train_32x32.mat", "test_32x32.mat"]])
def test_every_image_is_in_one_split_with_its_label(tmp_path, names, compressed):
    dataset = load_small(write(tmp_path, names, compressed))
    assert (dataset.name, dataset.num_classes, dataset.input_shape) == ("svhn", 10, (3, 32, 32))
    assert dataset.class_names == tuple("0123456789")
    assert pairs(dataset.test) == expected_pairs("test_32x32.mat")
    others = [name for name in names if name != "test_32x32.mat"]
    assert pairs(dataset.train, dataset.valid) == expected_pairs(*others)
    for split in (dataset.train, dataset.valid, dataset.test):
        assert (split.images.dtype, split.images.bytes.dtype, split.labels.dtype) == ("f4", "u1", "i4")
        assert split.images.bytes.flags.c_contiguous


def test_validation_takes_as_many_of_each_class_from_each_file(tmp_path):
    valid = load_small(write(tmp_path, NAMES)).valid
    assert list(np.bincount(valid.labels)) == [sum(VALID)] * 10
    for name, count in zip(NAMES, VALID, strict=False):
        of_file = set(expected_pairs(name))
        kept = [label for label, image in pairs(valid) if (label, image) in of_file]
        assert list(np.bincount(kept)) == [count] * 10


def test_the_choice_is_fixed_and_extra_does_not_change_it(tmp_path):
    first = load_small(write(tmp_path / "a", NAMES))
    again = load_small(write(tmp_path / "a", NAMES))
    np.testing.assert_array_equal(first.valid.images.bytes, again.valid.images.bytes)
    without = load_small(write(tmp_path / "b", ["train_32x32.mat", "test_32x32.mat"]))
    assert set(pairs(without.valid)) < set(pairs(first.valid))


def test_load_looks_under_path_and_requires_400_images_a_class(tmp_path):
    folder = write(tmp_path / "SVHN" / "format2", NAMES)
    message = message_of(data.load, "svhn", path=tmp_path, download=False)
    assert f"{folder / 'train_32x32.mat'}: expected 400 images of the digit 0 or more" in message
    assert "found 6" in message


@pytest.mark.parametrize("compressed", [False, True])
def test_memory_holds_little_more_than_the_pixels(tmp_path, compressed):
    write(tmp_path, ["train_32x32.mat", "test_32x32.mat"])
    images, labels = content("extra_32x32.mat", 3000)
    (tmp_path / "extra_32x32.mat").write_bytes(mat(images, labels, compressed))
    load_small(tmp_path)
    total = images.nbytes + (60 + 25) * 3072
    del images
    tracemalloc.start()
    try:
        load_small(tmp_path)
        # The splits, and the largest file beside them.
        assert tracemalloc.get_traced_memory()[1] < 2.2 * total
    finally:
        tracemalloc.stop()


def test_labels_of_any_numeric_type_are_read(tmp_path):
    write(tmp_path, NAMES)
    images, labels = content("test_32x32.mat")
    for kind in (np.int64, np.float64):
        (tmp_path / "test_32x32.mat").write_bytes(mat(images, labels.astype(kind)))
        assert list(load_small(tmp_path).test.labels) == list(labels % 10)


# Files that are not what they should be

IMAGES, LABELS = content("test_32x32.mat")
X, Y = IMAGES.transpose(1, 2, 3, 0), LABELS[:, np.newaxis]


def with_label(value):
    return np.concatenate([Y.astype(type(value)), [[value]]])[1:]


FAULTS = {
    "no X": ({"X": None}, "the variable X, found only 'y'"),
    "no y": ({"y": None}, "the variable y, found only 'X'"),
    "neither": (
        {"X": None, "y": None, "a": np.zeros(3), "b": np.zeros(3)},
        "the variable X, found only 'a', 'b'",
    ),
    "images first": ({"X": IMAGES}, "found uint8 and (25, 32, 32, 3)"),
    "no images": ({"X": X[..., :0], "y": Y[:0]}, "found uint8 and (32, 32, 3, 0)"),
    "complex labels": ({"y": Y + 1j}, "found complex numbers"),
    "gray": ({"X": X[:, :, 0]}, "found uint8 and (32, 32, 25)"),
    "larger": ({"X": np.repeat(X, 2, axis=0)}, "found uint8 and (64, 32, 3, 25)"),
    "real": ({"X": X / 255}, "found double and (32, 32, 3, 25)"),
    "signed": ({"X": X.astype(np.int8)}, "found int8 and"),
    "text": ({"X": "pixels"}, "found char and"),
    "fewer labels": (
        {"y": Y[1:]},
        "y with numbers and shape (25, 1), as X has 25 images, found uint8 and (24, 1)",
    ),
    "more labels": ({"y": np.concatenate([Y, Y])}, "found uint8 and (50, 1)"),
    "labels in a row": ({"y": Y.T}, "found uint8 and (1, 25)"),
    "a label of 0": ({"y": with_label(np.uint8(0))}, "labels from 1 to 10, found 0"),
    "a label of 11": ({"y": with_label(np.uint8(11))}, "labels from 1 to 10, found 11"),
    "a half": ({"y": with_label(2.5)}, "labels from 1 to 10, found 2.5"),
    "no number": ({"y": with_label(np.nan)}, "labels from 1 to 10, found nan"),
    "labels in cells": ({"y": Y.astype(object)}, "found cell and (25, 1)"),
}


@pytest.mark.parametrize("name", ["train_32x32.mat", "test_32x32.mat"])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_reported(tmp_path, fault, name):
    others, found = FAULTS[fault]
    write(tmp_path, NAMES)
    (tmp_path / name).write_bytes(mat(IMAGES, LABELS, **others))
    message = message_of(load_small, tmp_path)
    assert message.startswith(f"{tmp_path / name}: expected ")
    assert found in message
    assert message.endswith("delete it, and it will be downloaded again")


def test_too_few_images_of_a_class_are_reported(tmp_path):
    write(tmp_path, NAMES)
    (tmp_path / "extra_32x32.mat").write_bytes(mat(IMAGES[LABELS != 7], LABELS[LABELS != 7]))
    message = message_of(load_small, tmp_path)
    assert "extra_32x32.mat: expected 2 images of the digit 7 or more" in message and "found 0" in message


def test_no_mat_is_reported(tmp_path):
    write(tmp_path, NAMES)
    for wrong in (b"", b"<html>404 not found</html>" * 10, bytes(200), b"\x89HDF\r\n\x1a\n" + bytes(600)):
        (tmp_path / "test_32x32.mat").write_bytes(wrong)
        assert "test_32x32.mat: expected " in message_of(load_small, tmp_path)


@pytest.mark.parametrize("compressed", [False, True])
@settings(max_examples=examples(30))
@given(share=st.floats(0, 1, exclude_max=True))
def test_every_truncation_is_reported_or_loses_nothing(compressed, share):
    whole = mat(IMAGES, LABELS, compressed)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "test_32x32.mat"
        file.write_bytes(whole[: int(len(whole) * share)])
        try:
            split = svhn._read_split(file)
        except data.DataError as error:
            assert str(error).startswith(f"{file}: expected ") and "\n" not in str(error)
        else:
            # The last bytes are padding, or a checksum.
            assert share > 0.99 and pairs(split) == expected_pairs("test_32x32.mat")


def test_a_file_that_cannot_be_opened_is_reported(tmp_path):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert "cannot be read" in message_of(svhn._read_split, tmp_path / "loop")


# Downloads


def test_train_and_test_are_downloaded_and_extra_is_not(server, tmp_path, monkeypatch):
    import hashlib

    served, address, requested = server
    write(served, NAMES)
    monkeypatch.setattr(svhn, "MIRRORS", (address,))
    sums = {name: hashlib.md5((served / name).read_bytes()).hexdigest() for name in NAMES}
    monkeypatch.setattr(svhn, "CHECKSUMS", sums)
    dataset = load_small(tmp_path / "new", download=True)
    assert pairs(dataset.train, dataset.valid) == expected_pairs("train_32x32.mat")
    assert requested == ["/train_32x32.mat", "/test_32x32.mat"]


def test_missing_files_without_download_are_reported(tmp_path):
    message = message_of(data.load, "svhn", path=tmp_path, download=False)
    assert f"{tmp_path / 'SVHN' / 'format2' / 'train_32x32.mat'}: not found" in message
    assert "with them in DIR/SVHN/format2" in message and "extra" not in message


# The real files


@pytest.fixture(scope="module")
def real():
    path = Path(os.environ.get("PYLEARN2_DATA_PATH", ""))
    if not os.environ.get("PYLEARN2_DATA_PATH") or not (path / "SVHN" / "format2").is_dir():
        pytest.skip("PYLEARN2_DATA_PATH names no folder with SVHN/format2/ in it")
    return data.load("svhn", path=path, download=False)


def test_real_files_have_the_published_counts(real):
    assert len(real.test) == 26032
    assert [len(real.train), len(real.valid)] in ([69257, 4000], [598388, 6000])
    assert list(np.bincount(real.test.labels)) == [1744, 5099, 4149, 2882, 2523, 2384, 1977, 2019, 1660, 1595]
