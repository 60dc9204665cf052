"""Images that are kept as bytes."""

import numpy as np
import pytest

from xnornet.data.dataset import Dataset, Pixels, Split, scale_bytes

BYTES = np.random.default_rng(0).integers(0, 256, (2500, 1, 2, 3)).astype(np.uint8)


def test_pixels_read_as_the_scaled_array():
    images = Pixels(BYTES)
    whole = np.asarray(images)
    assert images.shape == whole.shape == BYTES.shape
    assert images.dtype == whole.dtype == np.float32
    np.testing.assert_array_equal(whole, np.rint((BYTES / 127.5 - 1) * 127) / 128)
    assert len(images) == 2500


@pytest.mark.parametrize("rows", [slice(3, 9), [5, 0, 5], np.arange(2500) % 7 == 0, 4])
def test_rows_are_those_of_the_whole(rows):
    np.testing.assert_array_equal(Pixels(BYTES)[rows], scale_bytes(BYTES)[rows])


def test_another_preprocessing_takes_the_place_of_scaling():
    images = Pixels(BYTES, lambda pixels: pixels.astype(np.float32) / 255)
    np.testing.assert_array_equal(np.asarray(images), BYTES.astype(np.float32) / 255)
    np.testing.assert_array_equal(np.asarray(images, np.float64), (BYTES.astype(np.float32) / 255))


def test_classes_are_named_by_their_numbers_unless_they_have_names():
    split = Split(Pixels(BYTES), np.zeros(2500, np.int32))
    assert Dataset("d", 3, split, split, split).class_names == ("0", "1", "2")
    assert Dataset("d", 2, split, split, split, ("cat", "dog")).class_names == ("cat", "dog")
    assert Dataset("d", 2, split, split, split).input_shape == (1, 2, 3)
