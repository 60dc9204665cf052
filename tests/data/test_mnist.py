"""MNIST from small idx files packed here byte by byte, from a local server, and the real ones."""

import gzip
import hashlib
import os
import struct
import tempfile
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import requests
from extent import examples
from hypothesis import example, given, settings
from hypothesis import strategies as st

from xnornet import data
from xnornet.data import mnist
from xnornet.data.dataset import scale_bytes

COUNTS = (3, 2, 4)
NAMES = [
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
]
TRAIN_IMAGES, TRAIN_LABELS = NAMES[:2]


def idx(shape, elements):
    return struct.pack(f">BBBB{len(shape)}I", 0, 0, 8, len(shape), *shape) + bytes(elements)


def small_files():
    def pixels(count, step):
        return [(i * step) % 256 for i in range(count * 28 * 28)]

    return {
        "train-images-idx3-ubyte": idx((5, 28, 28), pixels(5, 7)),
        "train-labels-idx1-ubyte": idx((5,), [5, 0, 4, 1, 9]),
        "t10k-images-idx3-ubyte": idx((4, 28, 28), pixels(4, 11)),
        "t10k-labels-idx1-ubyte": idx((4,), [7, 2, 1, 0]),
    }


def write(folder, files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)


def load_small(folder, download=False):
    return mnist.load_folder(folder, download, counts=COUNTS)


def message_of(call, *args, **kwargs):
    with pytest.raises(data.DataError) as caught:
        call(*args, **kwargs)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "mnist", small_files())
    return tmp_path / "mnist"


# The form in memory


def test_splits_hold_the_files_in_order(folder):
    files = small_files()
    dataset = load_small(folder)
    assert (dataset.name, dataset.num_classes, dataset.input_shape) == ("mnist", 10, (1, 28, 28))
    assert [len(s) for s in (dataset.train, dataset.valid, dataset.test)] == list(COUNTS)
    places = [("train", dataset.train, 0), ("train", dataset.valid, 3), ("t10k", dataset.test, 0)]
    for prefix, split, first in places:
        assert (split.images.dtype, split.labels.dtype) == (np.float32, np.int32)
        assert split.images.shape == (len(split), 1, 28, 28)
        for i, label in enumerate(split.labels):
            assert label == files[f"{prefix}-labels-idx1-ubyte"][8 + first + i]
            for y, x in ((0, 0), (0, 27), (13, 5), (27, 27)):
                pixel = files[f"{prefix}-images-idx3-ubyte"][16 + (first + i) * 784 + y * 28 + x]
                assert split.images[i, 0, y, x] == round((pixel / 127.5 - 1) * 127) / 128


def test_pixel_values_are_scaled_in_their_order_and_only_the_two_in_the_middle_alike(tmp_path):
    pixels = list(range(256)) * 4
    files = small_files()
    files[TRAIN_IMAGES] = idx((5, 28, 28), (pixels * 4)[: 5 * 784])
    write(tmp_path, files)
    values = np.ravel(load_small(tmp_path).train.images)[:256]
    exact = np.array([round((2 * p / 255 - 1) * 127) / 128 for p in range(256)])
    assert (values[0], values[255]) == (-127 / 128, 127 / 128)
    assert np.flatnonzero(np.diff(values) <= 0).tolist() == [127] and values[127] == values[128] == 0
    np.testing.assert_array_equal(values, exact)


# Where the files may be


@pytest.mark.parametrize("dotted", [False, True])
@pytest.mark.parametrize("zipped", [False, True])
def test_each_spelling_is_found(tmp_path, dotted, zipped):
    for name, content in small_files().items():
        spelled = name.replace("-idx", ".idx") if dotted else name
        if zipped:
            write(tmp_path, {f"{spelled}.gz": gzip.compress(content)})
        else:
            write(tmp_path, {spelled: content})
    assert list(load_small(tmp_path).test.labels) == [7, 2, 1, 0]


def test_plain_file_is_preferred_to_gzipped(folder):
    write(folder, {f"{TRAIN_LABELS}.gz": gzip.compress(idx((5,), [0] * 5))})
    assert list(load_small(folder).train.labels) == [5, 0, 4]


def test_load_looks_under_path_mnist_and_requires_the_full_counts(folder):
    message = message_of(data.load, "mnist", path=folder.parent, download=False)
    assert str(folder / TRAIN_IMAGES) in message
    assert "60000x28x28" in message and "5x28x28" in message


def test_environment_names_the_folder(folder, monkeypatch):
    monkeypatch.setenv("PYLEARN2_DATA_PATH", str(folder.parent))
    assert str(folder / TRAIN_IMAGES) in message_of(data.load, "mnist", download=False)


# Files that are not what they should be


@settings(deadline=None, max_examples=examples(50))
@given(
    shape=st.lists(st.integers(1, 5), min_size=1, max_size=4),
    zipped=st.booleans(),
    seed=st.integers(0, 99),
)
def test_read_idx_gives_what_was_packed(shape, zipped, seed):
    elements = np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)
    content = idx(shape, elements.tobytes())
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / ("packed.gz" if zipped else "packed")
        file.write_bytes(gzip.compress(content) if zipped else content)
        found = mnist.read_idx(file, tuple(shape))
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, elements)


@settings(deadline=None, max_examples=examples(100))
@given(cut=st.integers(0, 31), zipped=st.sampled_from(["no", "cut then zipped", "zipped then cut"]))
def test_read_idx_refuses_every_truncation(cut, zipped):
    content = idx((2, 3, 4), range(24))
    shortened = content[: len(content) * cut // 32]
    if zipped == "cut then zipped":
        shortened = gzip.compress(shortened)
    elif zipped == "zipped then cut":
        whole = gzip.compress(content)
        shortened = whole[: len(whole) * cut // 32]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / ("packed" if zipped == "no" else "packed.gz")
        file.write_bytes(shortened)
        assert str(file) in message_of(mnist.read_idx, file, (2, 3, 4))


@settings(deadline=None, max_examples=examples(100))
@given(position=st.integers(0, 10_000), flip=st.integers(1, 255))
@example(position=0, flip=2)  # the block type that deflate has not
def test_read_idx_refuses_a_damaged_gzip_body(position, flip):
    elements = np.random.default_rng(0).integers(0, 10, 600).astype(np.uint8)
    damaged = bytearray(gzip.compress(idx((600,), elements.tobytes())))
    damaged[10 + position % (len(damaged) - 10)] ^= flip
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "packed.gz"
        file.write_bytes(damaged)
        assert str(file) in message_of(mnist.read_idx, file, (600,))


FAULTS = {
    "magic of a float file": (TRAIN_LABELS, b"\0\0\x0d\1" + idx((5,), [0] * 5)[4:], "0x00000d01"),
    "labels for images": (TRAIN_IMAGES, idx((5 * 784,), [0] * 5 * 784), "0x00000801"),
    "first bytes not zero": (TRAIN_LABELS, b"\1" + idx((5,), [0] * 5)[1:], "0x01000801"),
    "fewer labels than images": (TRAIN_LABELS, idx((4,), [0] * 4), "4"),
    "more labels than images": (TRAIN_LABELS, idx((6,), [0] * 6), "6"),
    "images of another size": (TRAIN_IMAGES, idx((5, 27, 28), [0] * 5 * 27 * 28), "5x27x28"),
    "huge dimensions": (TRAIN_IMAGES, idx((2**32 - 1,) * 3, [0] * 784), "4294967295x"),
    "one byte short": (TRAIN_LABELS, idx((5,), [0] * 4), "found 12"),
    "one byte over": (TRAIN_LABELS, idx((5,), [0] * 6), "found more"),
    "no bytes": (TRAIN_LABELS, b"", "found 0"),
    "label out of range": (TRAIN_LABELS, idx((5,), [0, 9, 10, 0, 0]), "found 10"),
}


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_names_file_found_and_remedy(folder, fault, zipped):
    name, content, found = FAULTS[fault]
    file = folder / name
    if zipped:
        file.unlink()
        file = folder / f"{name}.gz"
        content = gzip.compress(content)
    file.write_bytes(content)
    message = message_of(load_small, folder)
    assert message.startswith(f"{file}: expected ")
    assert found in message
    assert message.endswith("delete it, and it will be downloaded again")


def test_a_file_that_is_not_gzip_or_has_more_behind_is_refused(folder):
    whole = gzip.compress(small_files()[TRAIN_LABELS])
    (folder / TRAIN_LABELS).unlink()
    for content in (b"<html>404</html>", whole + b"more", whole + whole):
        write(folder, {f"{TRAIN_LABELS}.gz": content})
        assert f"{TRAIN_LABELS}.gz: expected" in message_of(load_small, folder)


def test_a_gzip_bomb_is_not_unpacked(tmp_path):
    file = tmp_path / "bomb.gz"
    file.write_bytes(gzip.compress(idx((64 << 20,), b"") + bytes(64 << 20)))
    tracemalloc.start()
    try:
        message_of(mnist.read_idx, file, (5,))
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


def test_a_file_that_cannot_be_opened_is_a_data_error(tmp_path):
    assert "cannot be read" in message_of(mnist.read_idx, tmp_path / "absent", (5,))


# Downloads


def test_missing_file_without_download_says_what_to_do(tmp_path):
    message = message_of(load_small, tmp_path / "mnist")
    assert str(tmp_path / "mnist" / TRAIN_IMAGES) in message
    assert "export PYLEARN2_DATA_PATH=" in message
    assert all(name in message for name in NAMES)
    assert not (tmp_path / "mnist").exists()


def test_offline_tries_each_mirror_and_says_what_to_do(tmp_path, monkeypatch):
    tried = []

    def offline(url, **kwargs):
        tried.append(url)
        raise requests.exceptions.ConnectionError("HTTPSConnectionPool:\nMax retries exceeded")

    monkeypatch.setattr(requests, "get", offline)
    message = message_of(load_small, tmp_path / "mnist", download=True)
    assert tried == [
        f"https://ossci-datasets.s3.amazonaws.com/mnist/{TRAIN_IMAGES}.gz",
        f"https://storage.googleapis.com/cvdf-datasets/mnist/{TRAIN_IMAGES}.gz",
    ]
    assert str(tmp_path / "mnist" / TRAIN_IMAGES) in message
    assert "storage.googleapis.com: ConnectionError" in message
    assert "export PYLEARN2_DATA_PATH=" in message


def test_files_already_there_are_not_downloaded(folder, monkeypatch):
    monkeypatch.setattr(requests, "get", lambda *args, **kwargs: pytest.fail("downloaded"))
    load_small(folder, download=True)


@pytest.fixture
def mirrors(server, monkeypatch):
    """Put the small files on the second of two mirrors, and their checksums in MNIST's place."""
    served, address, _ = server
    files = {f"{name}.gz": gzip.compress(content) for name, content in small_files().items()}
    write(served / "second", files)
    checksums = {name: hashlib.md5(content).hexdigest() for name, content in files.items()}
    monkeypatch.setattr(mnist, "MIRRORS", (f"{address}first/", f"{address}second/"))
    monkeypatch.setattr(mnist, "CHECKSUMS", checksums)
    return served


def test_missing_files_come_from_the_first_mirror_that_has_them(mirrors, server, tmp_path):
    folder = tmp_path / "new" / "mnist"
    dataset = load_small(folder, download=True)
    assert list(dataset.test.labels) == [7, 2, 1, 0]
    names = {file.name for file in folder.iterdir()}
    assert names - {".download.lock"} == set(mnist.CHECKSUMS)
    requested = list(server[2])
    assert requested == [f"/{mirror}/{name}.gz" for name in NAMES for mirror in ("first", "second")]
    load_small(folder, download=True)
    assert server[2] == requested


def test_a_corrupt_download_leaves_nothing_behind(mirrors, tmp_path):
    fname = f"{TRAIN_IMAGES}.gz"
    write(mirrors / "second", {fname: (mirrors / "second" / fname).read_bytes()[:-1]})
    folder = tmp_path / "new" / "mnist"
    message = message_of(load_small, folder, download=True)
    assert "wrong checksum" in message
    assert {file.name for file in folder.iterdir()} <= {".download.lock"}


def test_a_corrupt_download_gives_way_to_the_next_mirror(mirrors, tmp_path):
    write(mirrors / "first", {f"{TRAIN_IMAGES}.gz": b"<html>"})
    assert len(load_small(tmp_path / "new" / "mnist", download=True).train) == 3


# The real files

PUBLISHED_MD5 = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
PUBLISHED_CLASS_COUNTS = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]


@pytest.fixture(scope="module")
def real_folder():
    folder = Path(os.environ.get("PYLEARN2_DATA_PATH", "")) / "mnist"
    if not os.environ.get("PYLEARN2_DATA_PATH") or not folder.is_dir():
        pytest.skip("PYLEARN2_DATA_PATH names no folder with mnist/ in it")
    return folder


def test_real_files_are_the_published_ones(real_folder):
    for name, md5 in PUBLISHED_MD5.items():
        plain, zipped = real_folder / name, real_folder / f"{name}.gz"
        content = plain.read_bytes() if plain.exists() else gzip.decompress(zipped.read_bytes())
        assert hashlib.md5(content).hexdigest() == md5


def test_real_files_load_as_published(real_folder):
    dataset = data.load("mnist", path=real_folder.parent, download=False)
    assert [len(s) for s in (dataset.train, dataset.valid, dataset.test)] == [50000, 10000, 10000]
    labels = np.concatenate([dataset.train.labels, dataset.valid.labels])
    assert list(np.bincount(labels)) == PUBLISHED_CLASS_COUNTS
    assert list(labels[:5]) == [5, 0, 4, 1, 9]
    assert list(dataset.test.labels[:5]) == [7, 2, 1, 0, 4]
    # The mean and standard deviation that everyone normalises MNIST with, on [0, 1].
    pixels = np.concatenate([dataset.train.images.bytes, dataset.valid.images.bytes]) / 255
    assert pixels.mean(dtype=np.float64) == pytest.approx(0.1307, abs=5e-5)
    assert pixels.std(dtype=np.float64) == pytest.approx(0.3081, abs=5e-5)


def test_every_pixel_is_exact_in_the_images_fixed_point_format():
    from xnornet.fixedpoint import Q

    values = scale_bytes(np.arange(256))
    np.testing.assert_array_equal(Q(7, 0).dequantize(Q(7, 0).quantize(values)), values)
