"""Arrays of MATLAB files, read with SciPy; whatever is wrong with a file becomes an error of one line.

What the arrays should be is left to the dataset's module.
"""

from contextlib import contextmanager
from pathlib import Path

from numpy.typing import NDArray

from xnornet.data.dataset import mismatch
from xnornet.errors import DataError
from xnornet.hints import Shape

__all__ = ["describe", "read_array"]


def describe(file: Path) -> dict[str, tuple[str, Shape]]:
    """Return the class and the shape of each variable, by name, without reading the numbers.

    Parameters
    ----------
    file : Path

    Returns
    -------
    dict
        ``{name: (class, shape)}``, the class in MATLAB's words, such as ``"uint8"``.

    Raises
    ------
    DataError
        If the file cannot be read or is damaged.
    """
    from scipy.io import whosmat

    with _opened(file) as stream:
        return {name: (kind, shape) for name, shape, kind in whosmat(stream)}


def read_array(file: Path, name: str) -> NDArray:
    """Read one variable, and no other.

    Parameters
    ----------
    file : Path
    name : str
        One of those in `describe`.

    Returns
    -------
    array

    Raises
    ------
    DataError
        As `describe`.
    """
    from scipy.io import loadmat

    with _opened(file) as stream:
        return loadmat(stream, variable_names=[name])[name]


@contextmanager
def _opened(file):
    try:
        with open(file, "rb") as stream:
            yield stream
    # What SciPy raises for a damaged file is not documented, and has many types.
    except Exception as error:
        if isinstance(error, OSError) and error.errno:
            raise DataError(f"{file}: cannot be read ({error.strerror}); make it readable") from error
        reason = f"{type(error).__name__}: {error}".replace("\n", " ")[:100]
        raise mismatch(
            file, "a whole MATLAB file of version 5 to 7", f"another or a damaged one ({reason})"
        ) from error
