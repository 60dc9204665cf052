"""Random crops and flips: drawn on the host, a few bytes an image, and done on the device.

Draws depend on seed and epoch alone, so a resumed run repeats them. They are of the training images; what is
evaluated stays as it is.
"""

from dataclasses import dataclass

import numpy as np

import theano.tensor as T
from xnornet.data.dataset import FULL_SCALE

__all__ = ["AUGMENTATIONS", "Augmentation"]


@dataclass(frozen=True)
class Augmentation:
    """Crop each image, padded, to its own size at a random place, and mirror one in two.

    Attributes
    ----------
    padding : int
        Rows and columns put around the image before it is cropped.
    flip : bool
        Mirror left and right, with probability one half.
    fill : float
        What the padding is filled with.
    """

    padding: int
    flip: bool = False
    fill: float = 0.0

    def draw(self, rng, count, shift=None):
        """Draw for ``count`` images.

        Parameters
        ----------
        rng : numpy.random.Generator
        count : int
        shift : int, optional
            How many rows and columns the crop moves at most, up to `padding`, which is the default.

        Returns
        -------
        int32 array, ``(count, 3)``
            First row and first column of the crop in the padded image, and 1 where it is mirrored.
        """
        shift = self.padding if shift is None else shift
        high = [2 * shift + 1, 2 * shift + 1, 2 if self.flip else 1]
        draws = rng.integers(0, high, (count, 3), dtype=np.int32)
        draws[:, :2] += self.padding - shift
        return draws

    def apply(self, images, draws):
        """Expression of the augmented images.

        Parameters
        ----------
        images : 4D expression, ``(batch, channels, height, width)``
        draws : integer matrix, ``(batch, 3)``, from :meth:`draw`

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
        # Indices apart from each other put their axes first and the channels last.
        cropped = padded[image, :, y.dimshuffle(0, 1, "x"), x.dimshuffle(0, "x", 1)]
        return cropped.dimshuffle(0, 3, 1, 2)


# A digit lies on black, and mirrored it is no digit. Photographs begin with the border that short runs learn
# most with; after a restart it is twice as wide (docs/recipes.md).
AUGMENTATIONS = {
    "digits": Augmentation(1, fill=-FULL_SCALE),
    "mnist": Augmentation(1, fill=-FULL_SCALE),
    "cifar10": Augmentation(2, flip=True),
    "svhn": Augmentation(2),
}
