"""What every dataset has in common: its form in memory, its folder, and the error for a wrong file.

The format of a dataset's files is left to the module of that dataset, and downloads to
`xnornet.data.mirrors`.
"""

import math
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from xnornet.data.stored import chosen
from xnornet.disk import user_cache
from xnornet.errors import DataError
from xnornet.hints import Shape, StrPath

if TYPE_CHECKING:
    from xnornet.data.stored import Stored
    from xnornet.data.whitening import Whitening

__all__ = [
    "FULL_SCALE",
    "LEVELS",
    "Dataset",
    "Pixels",
    "Split",
    "data_path",
    "mismatch",
    "scale_bytes",
]

# The largest number that the image's fixed-point format Q(7, 0) holds. Black and white saturate at 1, which
# would shrink the scale K of each image by a percent against what the network was trained on.
FULL_SCALE = 127 / 128

# What each value of a byte becomes: numbers that Q(7, 0) holds exactly, so that a network is trained on what
# it gets in fixed point. The two in the middle become 0.
LEVELS = (np.rint((2 * np.arange(256) - 255) / 255 * 127) / 128 + 0.0).astype(np.float32)


class Pixels:
    """Images stored as bytes and converted to float32 when they are read: a quarter of the memory.

    Reads like an array: ``len(images)``, ``images.shape``, ``images[rows]``, ``numpy.asarray(images)``.

    Parameters
    ----------
    bytes : uint8 array or Stored, ``(n, channels, height, width)``
    preprocess : callable, optional
        From some of them to float32 numbers of the same shape, in [-1, 1]; `scale_bytes` by default.

    Attributes
    ----------
    bytes, preprocess : as given
    """

    dtype = np.dtype(np.float32)

    def __init__(
        self,
        bytes: "NDArray[np.uint8] | Stored",
        preprocess: Callable[[NDArray[np.uint8]], NDArray[np.float32]] | None = None,
    ) -> None:
        self.bytes = bytes
        self.preprocess = preprocess or scale_bytes

    @property
    def shape(self) -> Shape:
        return self.bytes.shape

    def __len__(self) -> int:
        return len(self.bytes)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    def chosen(self, rows: Any) -> "Pixels":
        """The images of the given rows, as they are kept."""
        return Pixels(chosen(self.bytes, rows), self.preprocess)

    def __getitem__(self, rows: Any) -> NDArray[np.float32]:
        """Images of the given rows: a slice, indices or a mask."""
        return self.preprocess(self.bytes[rows])

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray:
        images = np.empty(self.shape, self.dtype)
        for i in range(0, len(self), 1000):
            images[i : i + 1000] = self[i : i + 1000]
        return images if dtype is None else images.astype(dtype, copy=False)


@dataclass(frozen=True, eq=False)
class Split:
    """Images and their labels.

    Attributes
    ----------
    images : float32 array, Pixels or Stored, ``(n, channels, height, width)``, in [-1, 1]
    labels : int32 array, ``(n,)``, from 0
    """

    images: "NDArray[np.float32] | Pixels | Stored"
    labels: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, eq=False)
class Dataset:
    """A dataset in its three splits.

    Attributes
    ----------
    name : str
    num_classes : int
    train, valid, test : Split
    class_names : tuple of str
        By default the numbers of the classes.
    whitening : Whitening or None
        What the images are whitened by when they are read.
    """

    name: str
    num_classes: int
    train: Split
    valid: Split
    test: Split
    class_names: tuple[str, ...] = ()
    whitening: "Whitening | None" = None

    def __post_init__(self) -> None:
        if not self.class_names:
            object.__setattr__(self, "class_names", tuple(str(k) for k in range(self.num_classes)))

    @staticmethod
    def from_folder(folder: StrPath, **options: Any) -> "Dataset":
        """A dataset of the pictures of a folder; see `xnornet.data.folders.from_folder`."""
        from xnornet.data.folders import from_folder

        return from_folder(folder, **options)

    @staticmethod
    def from_arrays(
        X_train: ArrayLike, y_train: ArrayLike, X_test: ArrayLike, y_test: ArrayLike, **options: Any
    ) -> "Dataset":
        """A dataset of arrays; see `xnornet.data.arrays.from_arrays`."""
        from xnornet.data.arrays import from_arrays

        return from_arrays(X_train, y_train, X_test, y_test, **options)

    @property
    def input_shape(self) -> Shape:
        """Shape of one image, ``(channels, height, width)``."""
        return self.train.images.shape[1:]

    def whitened(self, whitening: "Whitening") -> "Dataset":
        """Return the same images, to be whitened whenever they are read.

        Parameters
        ----------
        whitening : Whitening
            Fitted to training images of the same size.

        Returns
        -------
        Dataset

        Raises
        ------
        DataError
            If the images are not color images kept as bytes, or are of another size.
        """
        self.check_color()
        if math.prod(self.input_shape) != len(whitening.mean):
            raise DataError(
                f"the whitening is for images of {len(whitening.mean)} pixels, all channels together; "
                f"those of {self.name} have {math.prod(self.input_shape)}. Fit another to them"
            )
        train, valid, test = (
            replace(split, images=Pixels(split.images.bytes, whitening))  # type: ignore[union-attr]
            for split in (self.train, self.valid, self.test)
        )
        return replace(self, whitening=whitening, train=train, valid=valid, test=test)

    def check_color(self) -> None:
        """Raise a `DataError` unless the images are color images kept as bytes, which can be whitened."""
        if not isinstance(self.train.images, Pixels) or self.input_shape[0] != 3:
            raise DataError(
                f"whitening is for color images; those of {self.name} have shape {self.input_shape}. "
                "Use them without it"
            )


def data_path(path: StrPath | None = None) -> Path:
    """Return the folder that holds the datasets' folders.

    Parameters
    ----------
    path : str or Path, optional
        The folder itself; by default ``$PYLEARN2_DATA_PATH``, and without that the user's cache
        folder.

    Returns
    -------
    Path

    Raises
    ------
    DataError
        None is named, and the user's home folder is unknown.
    """
    chosen = path or os.environ.get("PYLEARN2_DATA_PATH")
    if not chosen:
        try:
            chosen = user_cache()
        except OSError as error:
            raise DataError(f"no folder for data: {error}, or PYLEARN2_DATA_PATH") from error
    return Path(chosen).expanduser()


def scale_bytes(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Scale uint8 pixels to [-1, 1]: ``round((2 * p / 255 - 1) * 127) / 128`` in float32, as a new array."""
    return LEVELS[pixels]


def mismatch(
    file: Path, expected: object, found: object, remedy: str = "delete it, and it will be downloaded again"
) -> DataError:
    """Return the `DataError` for a file that is not what it should be."""
    return DataError(f"{file}: expected {expected}, found {found}; {remedy}")
