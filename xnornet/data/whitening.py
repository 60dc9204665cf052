"""Contrast normalization and ZCA whitening of color images, as pylearn2 prepared CIFAR-10.

Loading the images is left to the datasets' modules, whitening them when they are read to `Pixels`.
"""

import hashlib
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xnornet.data.dataset import FULL_SCALE
from xnornet.errors import DataError
from xnornet.hints import StrPath

__all__ = ["Whitening", "normalize_contrast"]

CONTRAST_BIAS = 10
FILTER_BIAS = 0.1
# Values beyond this percentile are clipped: scaling by the few largest would cost all others bits of Q(7, 0).
FULL_SCALE_PERCENTILE = 99.9
IMAGES_FOR_GAIN = 2000
IMAGES_AT_A_TIME = 1000


def normalize_contrast(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Give each image zero mean and about unit variance: ``(p - mean(p)) / sqrt(10 + var(p))``.

    Mean and variance (with ``n - 1``) are those of the image's own pixels, all channels together. This is
    pylearn2's ``GlobalContrastNormalization(sqrt_bias=10, use_std=True)`` on pixels from 0 to 255.

    Parameters
    ----------
    pixels : uint8 array, ``(n, ...)``

    Returns
    -------
    float32 array, ``(n, pixels of an image)``
    """
    rows = pixels.reshape(len(pixels), -1).astype(np.float32)
    rows -= rows.mean(axis=1, dtype=np.float64, keepdims=True).astype(np.float32)
    variance = rows.var(axis=1, ddof=1, dtype=np.float64, keepdims=True)
    rows /= np.sqrt(CONTRAST_BIAS + variance).astype(np.float32)
    return rows


class Whitening:
    """``clip(gain * (x - mean) P)``, ``x`` being an image after `normalize_contrast`.

    ``P = V diag(1 / sqrt(e + 0.1)) V'`` for eigenvectors ``V`` and eigenvalues ``e`` of the covariance of the
    training images (Coates, Lee and Ng, AISTATS 2011, section 3.2; pylearn2's ``ZCA`` with its
    ``filter_bias``). ``gain`` makes the 99.9th percentile of magnitudes 127 / 128, the largest number of the
    image's format Q(7, 0), and what is larger is clipped to it.

    Parameters
    ----------
    mean : array, ``(d,)``
        ``d`` is the number of pixels of an image, all channels together: 3072 for CIFAR-10.
    matrix : array, ``(d, d)``
        ``P``, symmetric.
    gain : float

    Attributes
    ----------
    mean, matrix : float32 arrays
    gain : float
    """

    def __init__(self, mean: ArrayLike, matrix: ArrayLike, gain: float) -> None:
        self.mean = np.asarray(mean, np.float32)
        self.matrix = np.asarray(matrix, np.float32)
        self.gain = float(gain)

    @classmethod
    def fit(cls, pixels: NDArray[np.uint8]) -> "Whitening":
        """Fit to training images.

        Takes ``n d**2`` multiplications and, whatever ``n`` is, memory for five matrices of ``(d, d)``.

        Parameters
        ----------
        pixels : uint8 array, ``(n, channels, height, width)``

        Returns
        -------
        Whitening
        """
        mean, covariance = _moments(pixels)
        eigenvalues, vectors = np.linalg.eigh(covariance)
        # Rounding errors can make eigenvalues of 0 slightly negative.
        scales = 1 / np.sqrt(np.maximum(eigenvalues, 0) + FILTER_BIAS)
        whitening = cls(mean, (vectors * scales) @ vectors.T, 1)
        chosen = np.linspace(0, len(pixels) - 1, min(IMAGES_FOR_GAIN, len(pixels))).astype(int)
        magnitude = np.percentile(np.abs(whitening._whiten(pixels[chosen])), FULL_SCALE_PERCENTILE)
        # If all images are equal, the whitened ones are 0.
        whitening.gain = float(FULL_SCALE / magnitude) if magnitude > 0 else 1.0
        return whitening

    def __call__(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Whiten images.

        Parameters
        ----------
        pixels : uint8 array, ``(n, channels, height, width)``, or one image

        Returns
        -------
        float32 array of the same shape, in [-127 / 128, 127 / 128]
        """
        whitened = self._whiten(pixels.reshape(-1, *pixels.shape[-3:]))
        whitened *= np.float32(self.gain)
        return np.clip(whitened, -FULL_SCALE, FULL_SCALE, out=whitened).reshape(pixels.shape)

    def _whiten(self, pixels):
        rows = normalize_contrast(pixels)
        rows -= self.mean
        return rows @ self.matrix

    @property
    def checksum(self) -> str:
        """MD5 of the numbers, in hexadecimal."""
        digest = hashlib.md5(np.float64(self.gain).tobytes(), usedforsecurity=False)
        for array in (self.mean, self.matrix):
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()

    @property
    def arrays(self) -> dict[str, Any]:
        """All numbers by name, as an ``.npz`` file holds them for `load`."""
        return {"mean": self.mean, "matrix": self.matrix, "gain": np.float64(self.gain)}

    @classmethod
    def load(cls, path: StrPath) -> "Whitening":
        """Read an ``.npz`` file of `arrays`.

        Raises
        ------
        DataError
            The file is missing or damaged, or its arrays are not those of a whitening.
        """
        try:
            with np.load(path, allow_pickle=False) as arrays:
                mean, matrix, gain = (arrays[name] for name in ("mean", "matrix", "gain"))
        # Damaged files make NumPy and zipfile raise nearly anything.
        except Exception as error:
            if isinstance(error, OSError) and error.errno:
                raise DataError(f"{path}: cannot be read ({error.strerror}); name another file") from error
            raise _wrong(path, "an .npz file with mean, matrix and gain", type(error).__name__) from error
        shapes = f"mean {mean.shape}, matrix {matrix.shape} and gain {gain.shape}"
        if mean.ndim != 1 or matrix.shape != mean.shape * 2 or gain.shape != ():
            raise _wrong(path, "mean (d,), matrix (d, d) and gain ()", shapes)
        for name, array in (("mean", mean), ("matrix", matrix), ("gain", gain)):
            if array.dtype.kind != "f":
                raise _wrong(path, f"real numbers in {name}", array.dtype)
            if not np.isfinite(array).all():
                raise _wrong(path, f"finite numbers in {name}", "NaN or infinity")
        if gain <= 0:
            raise _wrong(path, "a positive gain", gain)
        return cls(mean, matrix, gain)


def _wrong(path, expected, found):
    return DataError(
        f"{path}: expected {expected}, found {found}; put the file there that was written with the model"
    )


def _moments(pixels):
    """Mean and covariance (with ``n``) of the images after contrast normalization, in float64."""
    from tqdm import tqdm

    size = pixels[0].size
    total, products = np.zeros(size), np.zeros((size, size))
    with tqdm(
        total=len(pixels), desc="whitening", unit="img", delay=1, leave=False, disable=None, ncols=100
    ) as bar:
        for i in range(0, len(pixels), IMAGES_AT_A_TIME):
            rows = normalize_contrast(pixels[i : i + IMAGES_AT_A_TIME])
            total += rows.sum(axis=0, dtype=np.float64)
            products += rows.T @ rows
            bar.update(len(rows))
    mean = total / len(pixels)
    products /= len(pixels)
    products -= np.outer(mean, mean)
    return mean, products
