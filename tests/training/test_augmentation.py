"""Random crops, mirror images and holes against a loop over images, and affine maps against SciPy."""

import numpy as np
import pytest
import scipy.ndimage
from extent import examples
from hypothesis import given, settings
from hypothesis import strategies as st

import theano
import theano.tensor as T
from xnornet import data
from xnornet.catalog import NETWORKS_OF
from xnornet.training.augmentation import AUGMENTATIONS, Augmentation, augmentation_of

SHAPES = st.tuples(*[st.integers(1, 4)] * 2, *[st.integers(2, 6)] * 2)
FILLS = st.sampled_from([0.0, -127 / 128])


def looped(images, draws, padding, fill, hole):
    batch, channels, height, width = images.shape
    result = np.full_like(images, fill)
    for i, (top, left, mirrored, *first) in enumerate(draws):
        for y in range(height):
            for x in range(width):
                row = top + y - padding
                column = left + (width - 1 - x if mirrored else x) - padding
                if 0 <= row < height and 0 <= column < width:
                    result[i, :, y, x] = images[i, :, row, column]
                if hole and first[0] <= y < first[0] + hole and first[1] <= x < first[1] + hole:
                    result[i, :, y, x] = fill
    return result


@settings(max_examples=examples(15))
@given(
    shape=SHAPES,
    padding=st.integers(0, 3),
    fill=FILLS,
    hole=st.sampled_from([0, 1, 2, 5]),
    seed=st.integers(0, 100),
)
def test_images_are_cropped_and_mirrored_and_get_holes_as_drawn(shape, padding, fill, hole, seed):
    rng = np.random.default_rng(seed)
    images = rng.uniform(-1, 1, shape).astype(np.float32)
    augmentation = Augmentation(padding, flip=True, fill=fill, hole=hole)
    draws = augmentation.draw(rng, len(images), shape[2:])
    x, d = T.tensor4(), T.imatrix()
    got = theano.function([x, d], augmentation.apply(x, d))(images, draws)
    np.testing.assert_array_equal(got, looped(images, draws, padding, fill, hole))


def interpolated(images, draws, padding, fill):
    """What SciPy reads at the places that images are mapped to."""
    height, width = images.shape[2:]
    far = height + width
    wide = np.pad(images, ((0, 0), (0, 0), (far, far), (far, far)), constant_values=fill)
    y, x = np.mgrid[:height, :width].astype(float)
    down, right = y - (height - 1) / 2, x - (width - 1) / 2
    result = np.empty_like(images)
    for image, (top, left, mirrored, *_, a, b, c, d) in enumerate(draws):
        at = x[:, ::-1] if mirrored else x
        rows = y + top - padding + (a * down + b * right) / 2**16
        columns = at + left - padding + (c * down + d * right) / 2**16
        for channel in range(images.shape[1]):
            result[image, channel] = scipy.ndimage.map_coordinates(
                wide[image, channel], [rows + far, columns + far], order=1
            )
    return result


@settings(max_examples=examples(15))
@given(
    shape=SHAPES,
    padding=st.integers(1, 3),
    fill=FILLS,
    affine=st.sampled_from([0.01, 0.15, 0.9]),
    seed=st.integers(0, 100),
)
def test_images_are_mapped_as_drawn(shape, padding, fill, affine, seed):
    rng = np.random.default_rng(seed)
    images = rng.uniform(-1, 1, shape).astype(np.float32)
    augmentation = Augmentation(padding, flip=True, fill=fill, affine=affine)
    draws = augmentation.draw(rng, len(images), shape[2:])
    assert abs(draws[:, -4:]).max() <= affine * 2**16
    x, d = T.tensor4(), T.imatrix()
    got = theano.function([x, d], augmentation.apply(x, d))(images, draws)
    np.testing.assert_allclose(got, interpolated(images, draws, padding, fill), atol=1e-5)


def test_affine_maps_take_padding_for_what_lies_beyond_the_image():
    with pytest.raises(ValueError, match="padding is 0; affine maps take at least 1"):
        Augmentation(0, affine=0.1)


def test_a_hole_lies_over_what_was_mapped():
    images = np.ones((50, 1, 6, 6), np.float32)
    augmentation = Augmentation(3, fill=-0.5, hole=3, affine=0.2)
    draws = augmentation.draw(np.random.default_rng(0), 50, (6, 6))
    x, d = T.tensor4(), T.imatrix()
    got = theano.function([x, d], augmentation.apply(x, d))(images, draws)
    for image, (top, left) in zip(got[:, 0], draws[:, 3:5], strict=True):
        assert (image[max(top, 0) : top + 3, max(left, 0) : left + 3] == -0.5).all()


def test_draws_cover_their_range_evenly():
    draws = Augmentation(4, flip=True).draw(np.random.default_rng(0), 90_000, (32, 32))
    for column, values in enumerate((9, 9, 2)):
        counts = np.bincount(draws[:, column], minlength=values)
        assert len(counts) == values
        assert np.abs(counts / 90_000 * values - 1).max() < 0.05
    assert (Augmentation(4).draw(np.random.default_rng(0), 100, (32, 32))[:, 2] == 0).all()


def test_the_middle_of_a_hole_is_anywhere_in_the_image():
    draws = Augmentation(0, hole=3).draw(np.random.default_rng(0), 40_000, (4, 5))
    for column, length in ((3, 4), (4, 5)):
        counts = np.bincount(draws[:, column] + 1, minlength=length)
        assert len(counts) == length
        assert np.abs(counts / 40_000 * length - 1).max() < 0.05


def test_every_dataset_has_one_and_only_photographs_of_things_are_mirrored_and_get_holes():
    assert set(AUGMENTATIONS) == set(NETWORKS_OF)
    assert [name for name, a in AUGMENTATIONS.items() if a.flip] == ["cifar10"]
    assert [name for name, a in AUGMENTATIONS.items() if a.hole] == ["cifar10"]
    assert [name for name, a in AUGMENTATIONS.items() if a.affine] == ["mnist"]


@pytest.mark.parametrize(("height", "width", "padding"), [(48, 64, 4), (8, 5, 1), (96, 96, 8)])
def test_images_of_the_users_own_are_moved_by_a_twelfth_and_not_mirrored(height, width, padding):
    split = data.Split(np.zeros((1, 3, height, width), "float32"), np.zeros(1, "int32"))
    assert augmentation_of(data.Dataset("faces", 1, split, split, split)) == Augmentation(padding)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_padding_is_what_the_images_have_at_their_border(name):
    if name == "digits":
        images = data.load("digits").train.images
        assert np.median(images[:, :, :, 0]) == AUGMENTATIONS[name].fill
    else:
        assert AUGMENTATIONS[name].fill in (0.0, -127 / 128)
