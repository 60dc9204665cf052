"""Random crops, flips and holes: drawn on the host, a few bytes per image, and applied on the device.

Draws depend on seed and epoch alone, so a resumed run repeats them. Only training images are augmented.
"""

from dataclasses import dataclass

import numpy as np

import theano.tensor as T
from xnornet.data.dataset import FULL_SCALE

__all__ = ["AUGMENTATIONS", "Augmentation", "augmentation_of"]


@dataclass(frozen=True)
class Augmentation:
    """Crop each image, padded, to its own size at a random place, mirror one in two, and put a hole in it.

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
    """

    padding: int
    flip: bool = False
    fill: float = 0.0
    hole: int = 0

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
        int32 array, ``(count, 3)``, or ``(count, 5)`` with holes
            First row and first column of the crop in the padded image, 1 where it is mirrored, and first row
            and first column of the hole in what comes out.
        """
        places = 2 * self.padding + 1
        draws = rng.integers(0, [places, places, 2 if self.flip else 1], (count, 3), dtype=np.int32)
        if not self.hole:
            return draws
        middles = rng.integers(0, size, (count, 2), dtype=np.int32)
        return np.hstack([draws, middles - np.int32(self.hole // 2)])

    def apply(self, images, draws):
        """Expression of the augmented images.

        Parameters
        ----------
        images : 4D expression, ``(batch, channels, height, width)``
        draws : integer matrix, ``(batch, 3)`` or ``(batch, 5)``, from :meth:`draw`

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
        y = draws[:, 0:1] + T.arange(height)
        x = draws[:, 1:2] + mirrored
        image = T.arange(batch).dimshuffle(0, "x", "x")
        # With a slice between them, indices put their axes first and the channels last.
        cropped = padded[image, :, y.dimshuffle(0, 1, "x"), x.dimshuffle(0, "x", 1)]
        if self.hole:
            rows, columns = self._in_hole(draws[:, 3:4], height), self._in_hole(draws[:, 4:5], width)
            hole = T.and_(rows.dimshuffle(0, 1, "x", "x"), columns.dimshuffle(0, "x", 1, "x"))
            cropped = T.switch(hole, np.asarray(self.fill, images.dtype), cropped)
        return cropped.dimshuffle(0, 3, 1, 2)

    def _in_hole(self, first, length):
        at = T.arange(length)
        return T.and_(T.ge(at, first), T.lt(at, first + self.hole))


# Digits have a black background, and a mirrored digit is no digit. CIFAR-10's augmentation is for long runs:
# short runs reach lower errors with less of it (docs/measurements/recipes.md).
AUGMENTATIONS = {
    "digits": Augmentation(1, fill=-FULL_SCALE),
    "mnist": Augmentation(1, fill=-FULL_SCALE),
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
