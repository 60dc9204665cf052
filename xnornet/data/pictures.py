"""A picture file, of any format, as bytes of a wanted size and color.

A picture is untrusted: it may be cut short, or claim more pixels than there is memory for.
"""

import warnings
from collections.abc import Iterable
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xnornet.catalog import COLORS
from xnornet.errors import DataError
from xnornet.hints import StrPath

__all__ = ["channels_of", "color_of", "is_picture", "measure", "read_picture", "size_text", "unreadable"]

SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}

# Pillow's names of pictures without color; those of 16 bits or more are integers.
GREY = {"1", "L", "LA", "La"}
INTEGER = {"I", "I;16", "I;16B", "I;16L"}
WHITE_16 = 65535

# EXIF's orientations that turn a picture by a quarter.
ORIENTATION, QUARTER_TURNS = 0x0112, range(5, 9)


def channels_of(color: str) -> int:
    """Channels of ``'grey'`` or ``'rgb'`` images."""
    return COLORS[color]


def color_of(channels: int) -> str | None:
    """``'grey'`` or ``'rgb'`` for images of 1 or 3 channels, None for others."""
    return next((color for color, count in COLORS.items() if count == channels), None)


def size_text(size: Iterable[int]) -> str:
    """A size ``(height, width)`` as options have it: ``48x64``."""
    return "x".join(map(str, size))


def is_picture(file: Path) -> bool:
    """Whether a file's name is that of a picture, and not hidden."""
    return file.suffix.lower() in SUFFIXES and not file.name.startswith(".")


def unreadable(problem: object) -> DataError:
    """The error for a picture that cannot be read, where bad pictures are not skipped."""
    return DataError(f"{problem}, or leave it out with --skip-bad")


def measure(file: StrPath) -> tuple[tuple[int, int], str]:
    """Size and color of a picture, from its first bytes.

    Parameters
    ----------
    file : str or Path

    Returns
    -------
    ((int, int), str)
        Height and width after EXIF's rotation, and ``'grey'`` or ``'rgb'``.

    Raises
    ------
    DataError
        The file is no picture, or claims too many pixels.
    """
    with _opened(file) as picture:
        width, height = picture.size
        turned = picture.getexif().get(ORIENTATION) in QUARTER_TURNS
        size = (width, height) if turned else (height, width)
        return size, "grey" if picture.mode in GREY | INTEGER else "rgb"


def read_picture(
    file: StrPath, size: tuple[int, int] | None = None, color: str | None = None
) -> NDArray[np.uint8]:
    """Read a picture.

    EXIF's orientation is applied. Transparent parts become white. Grey of 16 bits is rounded to 8. Of an
    animation, the first picture is read. If the size differs, the picture is scaled to cover the wanted size,
    and its center is cropped.

    Parameters
    ----------
    file : str or Path
    size : (int, int), optional
        Height and width wanted; by default the picture's own.
    color : {'grey', 'rgb'}, optional
        By default the picture's own.

    Returns
    -------
    uint8 array, ``(channels, height, width)``

    Raises
    ------
    DataError
        As `measure`, or the picture is damaged or cut short.
    """
    from PIL import Image, ImageOps

    with _opened(file) as picture:
        grey = color == "grey" or (color is None and picture.mode in GREY | INTEGER)
        picture = ImageOps.exif_transpose(picture)
        picture = _eight_bits(file, picture)
        if picture.has_transparency_data:
            picture = picture.convert("RGBA")
            white = Image.new("RGBA", picture.size, "white")
            picture = Image.alpha_composite(white, picture)
        picture = picture.convert("L" if grey else "RGB")
        if size is not None and picture.size != (size[1], size[0]):
            picture = ImageOps.fit(picture, (size[1], size[0]), Image.Resampling.BILINEAR)
        pixels = np.asarray(picture)
    return np.ascontiguousarray(pixels[np.newaxis] if grey else pixels.transpose(2, 0, 1))


def _eight_bits(file, picture):
    """The picture, its grey of 16 bits rounded to 8."""
    from PIL import Image

    if picture.mode == "F":
        raise DataError(f"{file}: holds real numbers, whose black and white are not known; save it as bytes")
    if picture.mode not in INTEGER:
        return picture
    values = np.asarray(picture).astype(np.int64)
    if values.min() < 0 or values.max() > WHITE_16:
        raise DataError(f"{file}: holds numbers of more than 16 bits; save it with 8 or 16")
    return Image.fromarray(((values * 255 + WHITE_16 // 2) // WHITE_16).astype(np.uint8))


@contextmanager
def _opened(file):
    """An open picture; whatever Pillow raises becomes an error of one line that names the file."""
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            # Pillow's warnings are ignored, except for the one about too many pixels.
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(file) as picture:
                yield picture
    except DataError:
        raise
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise DataError(
            f"{file}: claims more than {Image.MAX_IMAGE_PIXELS:,} pixels; save it smaller"
        ) from error
    except UnidentifiedImageError as error:
        raise DataError(f"{file}: is no picture that can be read; save it as PNG or JPEG") from error
    except FileNotFoundError as error:
        raise DataError(f"{file}: not found; name another file") from error
    except IsADirectoryError as error:
        raise DataError(f"{file}: is a folder; name a picture") from error
    # Pillow's readers raise nearly anything at damaged files.
    except Exception as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{file}: is damaged or cut short ({reason}); replace it") from error
