"""Images that stay on disk are those that NumPy reads from the same file, whatever rows are asked for."""

import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from xnornet.data import Dataset, load_images
from xnornet.data.arrays import load_npz
from xnornet.data.census import census
from xnornet.data.dataset import Pixels
from xnornet.data.folders import list_pictures
from xnornet.data.stored import Stored, is_stored
from xnornet.disk import lock
from xnornet.errors import DataError
from xnornet.training.checkpoint import count_and_sum

RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (40, 3, 4, 6)).astype(np.uint8)
Y = np.arange(40) % 3
ARRAYS = {"X_train": X[:30], "y_train": Y[:30], "X_test": X[30:], "y_test": Y[30:]}
SPLITS = ("train", "valid", "test")


@pytest.fixture
def no_memory(monkeypatch):
    monkeypatch.setattr("xnornet.data.stored.available_memory", lambda: 0)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("stored") / "a.npz"
    np.savez(path, before=np.ones(5), X=X, real=X.astype(">f8"), grey=X[:, 0], after=np.ones(3))
    return path


def same(found, wanted):
    """The same images and labels, of which the first stay on disk and the others do not."""
    for name in SPLITS:
        on_disk, in_memory = getattr(found, name), getattr(wanted, name)
        assert is_stored(on_disk.images) and not is_stored(in_memory.images)
        np.testing.assert_array_equal(on_disk.images[:], in_memory.images[:])
        np.testing.assert_array_equal(on_disk.labels, in_memory.labels)
        assert on_disk.images.shape == in_memory.images.shape
        assert count_and_sum(on_disk) == count_and_sum(in_memory)


rows = st.one_of(
    st.integers(-40, 39),
    st.slices(40),
    st.lists(st.integers(-40, 39), max_size=60).map(lambda own: np.array(own, np.int64)),
    st.lists(st.booleans(), min_size=40, max_size=40).map(np.array),
)


@given(rows)
def test_rows_are_those_of_the_array(file, rows):
    with np.load(file) as arrays:
        for name in ("X", "real"):
            np.testing.assert_array_equal(Stored(file, name)[rows], arrays[name][rows])


def test_it_reads_like_an_array(file):
    images = Stored(file, "X")
    assert (images.shape, images.ndim, images.size, images.nbytes) == (X.shape, 4, X.size, X.nbytes)
    np.testing.assert_array_equal(np.asarray(images), X)
    np.testing.assert_array_equal(np.array(list(images)), X)
    few = images.chosen(np.arange(40) % 2 == 0).chosen([3, 3, -1])
    assert len(few) == 3
    np.testing.assert_array_equal(few[:], X[[6, 6, 38]])
    numbers = Stored(file, "real").astype(np.float32)
    assert numbers[2:5].dtype == numbers.dtype == np.float32
    np.testing.assert_array_equal(Stored(file, "grey")[:], X[:, :1])
    np.testing.assert_array_equal(Pixels(images)[[7, 1]], Pixels(X)[[7, 1]])


@pytest.mark.parametrize(
    "convert",
    [lambda a: a, lambda a: a.astype(np.int64), lambda a: a / 255.0, lambda a: a[:, 0]],
    ids=["bytes", "integers", "real", "grey"],
)
def test_a_file_larger_than_memory_stays_on_disk(tmp_path, monkeypatch, convert):
    path, lines = tmp_path / "mine.npz", []
    arrays = {name: convert(a) if name.startswith("X") else a for name, a in ARRAYS.items()}
    np.savez(path, **arrays)
    in_memory = load_npz(path)
    monkeypatch.setattr("xnornet.data.stored.available_memory", lambda: 0)
    same(load_npz(path, lines.append), in_memory)
    assert not lines and [p.name for p in tmp_path.iterdir()] == ["mine.npz"]
    # What is compressed is unpacked once, and again after it has changed.
    for arrays["y_test"] in (Y[30:], Y[30:][::-1]):
        np.savez_compressed(path, **arrays)
        for _ in range(2):
            found = load_npz(path, lines.append)
        np.testing.assert_array_equal(found.test.labels, arrays["y_test"])
    assert len(lines) == 2 and "is larger than memory and compressed; its images are unpacked" in lines[0]
    same(load_npz(path), Dataset.from_arrays(**arrays))


def test_mistakes_in_a_file_larger_than_memory_are_named(tmp_path, no_memory):
    path = tmp_path / "mine.npz"

    def refuses(words, save=np.savez, **arrays):
        save(path, **{**ARRAYS, **arrays})
        with pytest.raises(DataError, match=words) as raised:
            load_images(path, report=lambda line: None)
        assert "\n" not in str(raised.value)

    refuses("X_train: expected pixels from 0 to 255; found 0 to 510", X_train=2 * X[:30].astype(int))
    real = X / 255.0
    real[5, 0, 0, 0] = np.nan
    refuses("X_train: image 5 holds NaN", X_train=real[:30])
    refuses("X_test: expected images of shape", X_test=X[30:, :, :3])
    refuses(
        "X_train is larger than memory and .* in Fortran order; save it", X_train=np.asfortranarray(X[:30])
    )
    (tmp_path / "mine.npz.cache.npz").mkdir()
    refuses("its unpacked images, cannot be written .*; make room there, or save", np.savez_compressed)


def test_a_file_that_is_cut_short_meanwhile_is_named(tmp_path, no_memory):
    path = tmp_path / "mine.npz"
    np.savez(path, **ARRAYS)
    dataset = load_npz(path)
    with zipfile.ZipFile(path) as archive, open(path, "r+b") as file:
        file.truncate(archive.getinfo("X_test.npy").header_offset)
    with pytest.raises(DataError, match="mine.npz: was cut short while it was in use"):
        dataset.test.images[:3]


def test_a_folder_larger_than_memory_is_read_from_what_is_kept(tmp_path, monkeypatch):
    for i, picture in enumerate(X):
        path = tmp_path / "pets" / "abc"[i % 3] / f"{i:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture.transpose(1, 2, 0)).save(path)
    bad = tmp_path / "pets" / "a" / "12.png"
    bad.write_bytes(bad.read_bytes()[:60])

    def load():
        return Dataset.from_folder(tmp_path / "pets", skip_bad=True, report=lambda line: None)

    in_memory = load()
    cache = tmp_path / "pets.cache.npz"
    with np.load(cache) as kept:
        pixels = kept["pixels"]
    assert (
        len(pixels) == 40
        and not pixels[[str(f).endswith("a/12.png") for f in list_pictures(tmp_path / "pets").files]].any()
    )
    monkeypatch.setattr("xnornet.data.stored.available_memory", lambda: 0)
    same(load(), in_memory)
    cache.unlink()
    # As a run leaves them that was killed while it wrote, and one that is writing now.
    left, written = (tmp_path / f".pets.cache.npz.{name * 8}.tmp" for name in "ab")
    left.write_bytes(b"half")
    with open(written, "xb") as file:
        assert lock(file)
        same(load(), in_memory)
    assert not left.exists() and written.exists()
    with np.load(cache) as kept:
        np.testing.assert_array_equal(kept["pixels"], pixels)
    cache.unlink()
    cache.mkdir()
    with pytest.raises(DataError, match="larger than memory, and .*cache.npz .* cannot be written"):
        load()


def test_what_data_check_and_whitening_do_with_images_on_disk(tmp_path, monkeypatch):
    np.savez(tmp_path / "a.npz", **{**ARRAYS, "X_test": X[:10]})
    wanted = census(tmp_path / "a.npz"), load_images(tmp_path / "a.npz", whiten=True)
    monkeypatch.setattr("xnornet.data.stored.available_memory", lambda: 0)
    found = census(tmp_path / "a.npz"), load_images(tmp_path / "a.npz", whiten=True)
    assert str(found[0]) == str(wanted[0]) and len(found[0].duplicates) == 10
    assert is_stored(found[1].train.images) and found[1].whitening.checksum == wanted[1].whitening.checksum
    np.testing.assert_array_equal(found[1].test.images[2:9], wanted[1].test.images[2:9])
