"""Random crops, flips, affine maps and holes: drawn on the host, a few bytes each, applied on the device.

Draws depend on seed and epoch alone, so a resumed run repeats them. Only training images are augmented.
"""

from dataclasses import dataclass

import numpy as np

import theano
import theano.tensor as T
from xnornet.data.dataset import FULL_SCALE

__all__ = ["AUGMENTATIONS", "Augmentation", "augmentation_of"]

# Unit of the draws of real numbers.
ONE = 2**16


@dataclass(frozen=True)
class Augmentation:
    """Move, mirror, and bend each image at random, and put a hole in it.

    The image is padded and cropped to its own size; it may be turned, stretched and sheared meanwhile.

    Attributes
    ----------
    padding : int
        Rows and columns put around the image before it is cropped.
    flip : bool
        Mirror left and right, with probability one half.
    fill : float
        What the padding and the hole are filled with.
    hole : int
        Side of a square that is filled, in pixels, with its middle anywhere in the image (cutout, DeVries and
        Taylor, arXiv 1708.04552).
    affine : float
        The image is seen through a random matrix, around its middle: each of the four entries differs from
        the unit matrix's by at most this. It turns, stretches and shears (Simard et al., Best Practices for
        Convolutional Neural Networks Applied to Visual Document Analysis, 2003). Numbers between pixels are
        interpolated in both directions. Takes a padding of at least 1.

    Raises
    ------
    ValueError
        ``affine`` without padding.
    """

    padding: int
    flip: bool = False
    fill: float = 0.0
    hole: int = 0
    affine: float = 0.0

    def __post_init__(self):
        if self.affine and self.padding < 1:
            raise ValueError(f"padding is {self.padding}; affine maps take at least 1")

    def draw(self, rng, count, size):
        """Draw for ``count`` images.

        Parameters
        ----------
        rng : numpy.random.Generator
        count : int
        size : (int, int)
            Height and width of the images.

        Returns
        -------
        int32 array, ``(count, 3)``, ``(count, 5)`` with holes, and four columns more with affine maps
            First row and first column of the crop in the padded image, 1 where it is mirrored; first row and
            first column of the hole in what comes out; what is added to the unit matrix, row by row, in
            units of 2**-16.
        """
        places = 2 * self.padding + 1
        draws = [rng.integers(0, [places, places, 2 if self.flip else 1], (count, 3), dtype=np.int32)]
        if self.hole:
            draws.append(rng.integers(0, size, (count, 2), dtype=np.int32) - np.int32(self.hole // 2))
        if self.affine:
            most = round(self.affine * ONE)
            draws.append(rng.integers(-most, most, (count, 4), dtype=np.int32, endpoint=True))
        return np.hstack(draws)

    def apply(self, images, draws):
        """Expression of the augmented images.

        Parameters
        ----------
        images : 4D expression, ``(batch, channels, height, width)``
        draws : integer matrix from :meth:`draw`

        Returns
        -------
        4D expression, of the shape of ``images``
        """
        batch, channels, height, width = (images.shape[i] for i in range(4))
        pad = self.padding
        canvas = T.alloc(
            np.asarray(self.fill, images.dtype), batch, channels, height + 2 * pad, width + 2 * pad
        )
        padded = T.set_subtensor(canvas[:, :, pad : pad + height, pad : pad + width], images)
        columns = T.arange(width)
        mirrored = T.switch(draws[:, 2:3], width - 1 - columns, columns)
        y = (draws[:, 0:1] + T.arange(height)).dimshuffle(0, 1, "x")
        x = (draws[:, 1:2] + mirrored).dimshuffle(0, "x", 1)
        image = T.arange(batch).dimshuffle(0, "x", "x")
        # With a slice between them, indices put their axes first and the channels last.
        if self.affine:
            cropped = self._interpolated(lambda y, x: padded[image, :, y, x], y, x, draws, height, width)
        else:
            cropped = padded[image, :, y, x]
        if self.hole:
            rows, columns = self._in_hole(draws[:, 3:4], height), self._in_hole(draws[:, 4:5], width)
            hole = T.and_(rows.dimshuffle(0, 1, "x", "x"), columns.dimshuffle(0, "x", 1, "x"))
            cropped = T.switch(hole, np.asarray(self.fill, images.dtype), cropped)
        return cropped.dimshuffle(0, 3, 1, 2)

    def _interpolated(self, pixels, y, x, draws, height, width):
        """``pixels``, a function of whole rows and columns, where ``y`` and ``x`` are mapped to."""
        dtype = theano.config.floatX
        matrix = (draws[:, -4:] / np.float32(ONE)).astype(dtype).dimshuffle(0, 1, "x", "x")
        down, right = T.arange(height).astype(dtype), T.arange(width).astype(dtype)
        down = (down - (height - 1) / np.float32(2)).dimshuffle("x", 0, "x")
        right = (right - (width - 1) / np.float32(2)).dimshuffle("x", "x", 0)
        places = []
        for at, row, length in ((y, 0, height), (x, 2, width)):
            at = at + matrix[:, row] * down + matrix[:, row + 1] * right
            at = T.clip(at, 0, length + 2 * self.padding - 1)
            first = T.minimum(T.floor(at).astype("int32"), length + 2 * self.padding - 2)
            places.append((first, (at - first).dimshuffle(0, 1, 2, "x")))
        (y, below), (x, beside) = places
        above, under = (_between(pixels(y + i, x), pixels(y + i, x + 1), beside) for i in (0, 1))
        return _between(above, under, below)

    def _in_hole(self, first, length):
        at = T.arange(length)
        return T.and_(T.ge(at, first), T.lt(at, first + self.hole))


def _between(one, other, share):
    return one + share * (other - one)


# Digits have a black background, and a mirrored digit is no digit. CIFAR-10's augmentation is for long runs:
# short runs reach lower errors with less of it (docs/measurements/recipes.md).
AUGMENTATIONS = {
    "digits": Augmentation(1, fill=-FULL_SCALE),
    "mnist": Augmentation(1, fill=-FULL_SCALE, affine=0.15),
    "cifar10": Augmentation(4, flip=True, hole=10),
    "svhn": Augmentation(2),
}

# A crop moves a user's own images by at most this share of the shorter side. They are not mirrored, as that
# might change their class.
OWN_SHARE = 1 / 12


def augmentation_of(dataset):
    """The augmentation of a dataset's training images."""
    if dataset.name in AUGMENTATIONS:
        return AUGMENTATIONS[dataset.name]
    return Augmentation(max(1, round(OWN_SHARE * min(dataset.input_shape[1:]))))
