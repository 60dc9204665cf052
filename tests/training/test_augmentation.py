"""Random crops and mirror images, against a loop over images."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import theano
import theano.tensor as T
from xnornet import data
from xnornet.training.augmentation import AUGMENTATIONS, Augmentation


def looped(images, draws, padding, fill):
    batch, channels, height, width = images.shape
    result = np.full_like(images, fill)
    for i, (top, left, mirrored) in enumerate(draws):
        for y in range(height):
            for x in range(width):
                row = top + y - padding
                column = left + (width - 1 - x if mirrored else x) - padding
                if 0 <= row < height and 0 <= column < width:
                    result[i, :, y, x] = images[i, :, row, column]
    return result


@settings(max_examples=15)
@given(
    shape=st.tuples(*[st.integers(1, 4)] * 2, *[st.integers(2, 6)] * 2),
    padding=st.integers(0, 3),
    fill=st.sampled_from([0.0, -127 / 128]),
    seed=st.integers(0, 100),
)
def test_images_are_cropped_and_mirrored_as_drawn(shape, padding, fill, seed):
    rng = np.random.default_rng(seed)
    images = rng.uniform(-1, 1, shape).astype(np.float32)
    augmentation = Augmentation(padding, flip=True, fill=fill)
    draws = augmentation.draw(rng, len(images))
    x, d = T.tensor4(), T.imatrix()
    got = theano.function([x, d], augmentation.apply(x, d))(images, draws)
    np.testing.assert_array_equal(got, looped(images, draws, padding, fill))


def test_draws_cover_their_range_evenly():
    draws = Augmentation(4, flip=True).draw(np.random.default_rng(0), 90_000)
    for column, values in enumerate((9, 9, 2)):
        counts = np.bincount(draws[:, column], minlength=values)
        assert len(counts) == values
        assert np.abs(counts / 90_000 * values - 1).max() < 0.05
    assert (Augmentation(4).draw(np.random.default_rng(0), 100)[:, 2] == 0).all()


def test_a_smaller_shift_crops_as_a_smaller_border_does():
    images = np.random.default_rng(1).uniform(-1, 1, (20, 3, 6, 6)).astype(np.float32)
    x, d = T.tensor4(), T.imatrix()
    wide, narrow = Augmentation(4, flip=True), Augmentation(2, flip=True)
    apply_wide = theano.function([x, d], wide.apply(x, d))
    draws = narrow.draw(np.random.default_rng(0), 20)
    expected = looped(images, draws, 2, 0.0)
    np.testing.assert_array_equal(apply_wide(images, wide.draw(np.random.default_rng(0), 20, 2)), expected)


def test_every_dataset_has_one_and_only_photographs_of_things_are_mirrored():
    assert set(AUGMENTATIONS) == set(data.NAMES)
    assert [name for name, a in AUGMENTATIONS.items() if a.flip] == ["cifar10"]


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_padding_is_what_the_images_have_at_their_border(name):
    if name == "digits":
        images = data.load("digits").train.images
        assert np.median(images[:, :, :, 0]) == AUGMENTATIONS[name].fill
    else:
        assert AUGMENTATIONS[name].fill in (0.0, -127 / 128)
