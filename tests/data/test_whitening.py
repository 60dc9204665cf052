"""Whitening, held to plain loops, to the singular value decomposition, and to what it is for."""

import math
import tracemalloc

import numpy as np
import pytest
import scipy.linalg
from extent import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from xnornet import data
from xnornet.data import whitening as module
from xnornet.data.dataset import FULL_SCALE, Dataset, Pixels, Split
from xnornet.data.whitening import Whitening, normalize_contrast

SHAPE = (3, 4, 5)


def photographs(count, seed=0, shape=SHAPE):
    """Images whose pixels depend on their neighbours', as those of photographs do."""
    rng = np.random.default_rng(seed)
    size = math.prod(shape)
    mixed = rng.normal(size=(count, size)) @ scipy.linalg.toeplitz(0.8 ** np.arange(size))
    return np.clip(128 + 25 * mixed, 0, 255).astype(np.uint8).reshape(count, *shape)


def normalized(pixels):
    """Contrast normalization by the textbook: a loop over images, sums over their pixels."""
    rows = []
    for image in pixels:
        values = [float(p) for p in image.ravel()]
        mean = math.fsum(values) / len(values)
        variance = math.fsum((v - mean) ** 2 for v in values) / (len(values) - 1)
        rows.append([(v - mean) / math.sqrt(10 + variance) for v in values])
    return np.array(rows)


@given(arrays.arrays(np.uint8, (3, 2, 3, 2)))
def test_contrast_normalization_is_the_loop(pixels):
    found = normalize_contrast(pixels)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, normalized(pixels), rtol=1e-5, atol=1e-5)


def unclipped(whitening, pixels):
    """What the whitening gives before clipping, in double precision."""
    rows = normalized(pixels) - whitening.mean.astype(np.float64)
    return rows @ whitening.matrix.astype(np.float64) * whitening.gain


def test_covariance_of_whitened_images_is_the_closed_form():
    pixels = photographs(700)
    whitening = Whitening.fit(pixels)
    rows = normalized(pixels)
    _, singular, directions = scipy.linalg.svd(rows - rows.mean(axis=0))
    # Each direction of variance e is divided by sqrt(e + 0.1).
    variances = singular**2 / len(rows)
    expected = directions.T @ np.diag(variances / (variances + 0.1)) @ directions * whitening.gain**2
    found = unclipped(whitening, pixels)
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(found.T @ found / len(rows), expected, atol=1e-5)


def test_matrix_is_the_inverse_root_of_the_biased_covariance():
    pixels = photographs(300)
    rows = normalized(pixels)
    centered = rows - rows.mean(axis=0)
    covariance = sum(np.outer(row, row) for row in centered) / len(rows)
    whitening = Whitening.fit(pixels)
    np.testing.assert_allclose(whitening.mean, rows.mean(axis=0), atol=1e-6)
    expected = np.linalg.inv(scipy.linalg.sqrtm(covariance + 0.1 * np.eye(len(covariance))))
    np.testing.assert_allclose(whitening.matrix, expected, atol=1e-5)
    np.testing.assert_allclose(whitening.matrix, whitening.matrix.T, atol=1e-6)


def test_images_become_the_clipped_product():
    whitening = Whitening.fit(photographs(300))
    others = photographs(50, seed=1)
    found = whitening(others)
    assert (found.shape, found.dtype) == (others.shape, np.float32)
    expected = np.clip(unclipped(whitening, others), -127 / 128, 127 / 128).reshape(others.shape)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(whitening(others[7]), found[7], atol=1e-5)


def test_one_magnitude_in_a_thousand_is_clipped():
    pixels = photographs(1500)
    magnitudes = np.abs(Whitening.fit(pixels)(pixels))
    assert magnitudes.max() == np.float32(FULL_SCALE)
    assert 0.0008 < np.mean(magnitudes >= np.float32(FULL_SCALE)) < 0.0012


def test_pieces_and_order_of_the_training_images_do_not_matter(monkeypatch):
    pixels = photographs(500)
    whole = Whitening.fit(pixels)
    monkeypatch.setattr(module, "IMAGES_AT_A_TIME", 7)
    pieces = Whitening.fit(pixels[::-1])
    np.testing.assert_allclose(pieces.matrix, whole.matrix, atol=1e-5)
    assert pieces.gain == pytest.approx(whole.gain, rel=1e-5)


def test_fitting_takes_memory_for_matrices_and_not_for_images():
    pixels = photographs(20000, shape=(3, 2, 2)).copy()
    tracemalloc.start()
    try:
        Whitening.fit(pixels)
        assert tracemalloc.get_traced_memory()[1] < 20000 * 12 * 4
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("value", [0, 77, 255])
def test_images_without_contrast_are_whitened_to_finite_numbers(value):
    flat = np.full((5, *SHAPE), value, np.uint8)
    np.testing.assert_array_equal(Whitening.fit(flat)(flat), 0)
    assert np.isfinite(Whitening.fit(photographs(100))(flat)).all()


# Datasets


def dataset(channels=3, images=Pixels):
    splits = [
        Split(images(photographs(n, n, (channels, 4, 5))), np.arange(n, dtype=np.int32) % 10)
        for n in (40, 9, 12)
    ]
    return Dataset("some", 10, *splits, tuple("abcdefghij"))


def test_a_whitened_dataset_reads_whitened_images():
    plain = dataset()
    whitening = Whitening.fit(plain.train.images.bytes)
    whitened = plain.whitened(whitening)
    assert plain.whitening is None and whitened.whitening is whitening
    assert (whitened.name, whitened.class_names, whitened.input_shape) == (
        "some",
        plain.class_names,
        (3, 4, 5),
    )
    for name in ("train", "valid", "test"):
        before, after = getattr(plain, name), getattr(whitened, name)
        np.testing.assert_array_equal(after.labels, before.labels)
        assert after.images.bytes is before.images.bytes
        np.testing.assert_allclose(after.images[3:7], whitening(before.images.bytes[3:7]), atol=1e-6)
        np.testing.assert_allclose(np.asarray(after.images), whitening(before.images.bytes), atol=1e-6)


def message_of(call, *args, **kwargs):
    with pytest.raises(data.DataError) as caught:
        call(*args, **kwargs)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_other_images_are_refused():
    whitening = Whitening.fit(photographs(40))
    gray, real = dataset(channels=1), dataset(images=lambda pixels: pixels / np.float32(255))
    for other in (gray, real):
        assert "whitening is for color images; those of some have shape" in message_of(
            other.whitened, whitening
        )
    larger = Whitening.fit(photographs(40, shape=(3, 5, 5)))
    assert "of 75 pixels, all channels together; those of some have 60" in message_of(
        dataset().whitened, larger
    )


def test_loading_fits_to_the_training_images_or_applies_what_is_given(monkeypatch):
    monkeypatch.setitem(data._LOADERS, "cifar10", lambda path, download: dataset())
    assert data.load("cifar10").whitening is None
    assert data.load("cifar10", whiten=False).whitening is None
    fitted = data.load("cifar10", whiten=True).whitening
    np.testing.assert_array_equal(fitted.matrix, Whitening.fit(photographs(40, 40)).matrix)
    other = Whitening.fit(photographs(30))
    assert data.load("cifar10", whiten=other).whitening is other
    for whiten in (True, other):
        assert "color images; those of digits" in message_of(data.load, "digits", whiten=whiten)


# Files


@settings(max_examples=examples(20))
@given(size=st.integers(1, 9), seed=st.integers(0, 99))
def test_what_was_saved_is_loaded(tmp_path_factory, size, seed):
    rng = np.random.default_rng(seed)
    saved = Whitening(rng.normal(size=size), rng.normal(size=(size, size)), rng.uniform(0.1, 9))
    file = tmp_path_factory.mktemp("whitening") / "a.npz"
    np.savez(file, **saved.arrays)
    loaded = Whitening.load(file)
    np.testing.assert_array_equal(loaded.mean, saved.mean)
    np.testing.assert_array_equal(loaded.matrix, saved.matrix)
    assert loaded.gain == saved.gain
    assert loaded.mean.dtype == loaded.matrix.dtype == np.float32


FAULTS = {
    "no mean": (lambda a: a.pop("mean"), "mean, matrix and gain, found KeyError"),
    "short mean": (lambda a: a.update(mean=a["mean"][1:]), "found mean (59,), matrix (60, 60) and gain ()"),
    "mean as a row": (lambda a: a.update(mean=a["mean"][None]), "found mean (1, 60)"),
    "matrix cut": (lambda a: a.update(matrix=a["matrix"][:, 1:]), "matrix (60, 59)"),
    "two gains": (lambda a: a.update(gain=np.ones(2)), "gain (2,)"),
    "NaN": (lambda a: a["matrix"].__setitem__((3, 4), np.nan), "finite numbers in matrix, found NaN"),
    "infinite gain": (lambda a: a.update(gain=np.inf), "finite numbers in gain"),
    "negative gain": (lambda a: a.update(gain=-1.0), "a positive gain, found -1.0"),
    "text": (lambda a: a.update(gain="large"), "real numbers in gain, found <U5"),
    "objects": (
        lambda a: a.update(matrix=a["matrix"].astype(object)),
        "mean, matrix and gain, found ValueError",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_reported(tmp_path, fault):
    change, found = FAULTS[fault]
    content = Whitening.fit(photographs(30)).arrays
    change(content)
    np.savez(tmp_path / "a.npz", **content)
    message = message_of(Whitening.load, tmp_path / "a.npz")
    assert message.startswith(f"{tmp_path / 'a.npz'}: expected ") and found in message


def test_other_files_are_refused(tmp_path):
    file = tmp_path / "a.npz"
    assert "cannot be read (No such file or directory)" in message_of(Whitening.load, file)
    np.savez(file, **Whitening.fit(photographs(30)).arrays)
    whole = file.read_bytes()
    for content in (b"", b"text", whole[: len(whole) // 2], whole[:-30]):
        file.write_bytes(content)
        assert f"{file}: expected an .npz file" in message_of(Whitening.load, file)
    np.save(tmp_path / "a.npy", np.ones(3))
    assert "expected an .npz file" in message_of(Whitening.load, tmp_path / "a.npy")
