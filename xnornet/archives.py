"""Archives of arrays, ``.npz`` files: read without trust, and written whole or not at all."""

import errno
import math
import zipfile
from contextlib import contextmanager

import numpy as np

from xnornet.disk import replacing
from xnornet.errors import ModelError, WriteError

__all__ = [
    "check_array",
    "read_array_header",
    "read_array_headers",
    "read_arrays",
    "read_npy_header",
    "as_model_error",
    "write_atomically",
    "write_rows",
]


def write_atomically(path, write):
    """Call ``write`` with a binary file that takes the place of ``path`` once it is whole.

    Raises
    ------
    WriteError
        The folder or the disk does not take it. What was at ``path`` before is still there.
    """
    try:
        with replacing(path) as file:
            write(file)
    except OSError as error:
        reason = error.strerror or error
        raise WriteError(
            f"{path}: cannot be written ({reason}); make room there, or choose another place with --out"
        ) from error


def read_array_headers(path):
    """Shape and type of each array in a file, without the arrays.

    Returns
    -------
    dict
        ``(shape, dtype)`` under the name of each member; None for a member that is no array.

    Raises
    ------
    ModelError
        The file is missing or damaged.
    """
    with as_model_error(path), zipfile.ZipFile(path) as archive:
        return {
            member.removesuffix(".npy"): read_array_header(archive, member)
            if member.endswith(".npy")
            else None
            for member in archive.namelist()
        }


def check_array(path, name, value, remedy):
    """Raise :class:`ModelError` for an array that does not hold finite real numbers."""
    if value.dtype.kind != "f":
        raise ModelError(f"{path}: {name} should hold real numbers; found {value.dtype}")
    if not np.isfinite(value).all():
        raise ModelError(f"{path}: {name} should be finite; found NaN or infinity. {remedy}")


def read_arrays(path, shapes, also=()):
    """Read ``arr_0``, ``arr_1``, ... after comparing their number and shapes.

    Parameters
    ----------
    path : str or Path
    shapes : list of tuple of int
    also : sequence of str
        Further members that the file has, which are not read.

    Returns
    -------
    list of arrays

    Raises
    ------
    ModelError
        Anything but that is in the file.
    """
    names = [f"arr_{i}" for i in range(len(shapes))]
    with as_model_error(path):
        with zipfile.ZipFile(path) as archive:
            found = sorted(set(archive.namelist()) - {f"{n}.npy" for n in also})
            if found != sorted(f"{n}.npy" for n in names):
                raise ModelError(
                    f"{path}: should hold {len(names)} arrays, arr_0 to arr_{len(names) - 1}; found "
                    f"{len(found)}. It belongs to another network, or is no file of weights"
                )
            for name, shape in zip(names, shapes, strict=True):
                _check_member(path, archive, name, tuple(shape))
        with np.load(path, allow_pickle=False) as file:
            return [file[name] for name in names]


def _check_member(path, archive, name, shape):
    """Compare an array's own header with what is wanted, before memory is given to it."""
    found, dtype = read_array_header(archive, f"{name}.npy")
    if dtype.hasobject:
        raise ModelError(f"{path}: {name} holds pickled objects, which are never loaded; expected numbers")
    if found != shape:
        raise ModelError(
            f"{path}: {name} should have shape {shape}; found {found}. It belongs to another network "
            "or another size of it"
        )


@contextmanager
def as_model_error(path):
    """Turn whatever reading a file raises into a :class:`ModelError`; one that is raised as such stays."""
    try:
        yield
    except ModelError:
        raise
    except FileNotFoundError as error:
        raise ModelError(f"{path}: not found; train first, or name another file") from error
    except IsADirectoryError as error:
        raise ModelError(f"{path}: is a folder; pass the .npz file in it") from error
    # NumPy and zipfile raise nearly anything at damaged files, some of it in several lines.
    except Exception as error:
        # A damaged file may point to before its beginning, which is an invalid argument of a seek.
        if isinstance(error, OSError) and error.errno != errno.EINVAL:
            raise ModelError(f"{path}: cannot be read ({error.strerror or error})") from error
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ModelError(
            f"{path}: should be a whole .npz file; it is damaged or cut short ({reason})"
        ) from error


def read_array_header(archive, member):
    """Shape and type from an array's header, checked against the size of its member."""
    with archive.open(member) as file:
        shape, _, dtype = read_npy_header(file, member)
        nbytes = archive.getinfo(member).file_size - file.tell()
    if not dtype.hasobject and nbytes != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"{member} of shape {shape} has {nbytes} bytes")
    return shape, dtype


def read_npy_header(file, member):
    """Shape, whether it is in Fortran order, and type of the array that begins in an open file.

    An error names the array by ``member``, its name in the archive.
    """
    version = np.lib.format.read_magic(file)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }.get(version)
    if read is None:
        raise ValueError(f"{member} is of .npy version {version}; versions (1, 0) and (2, 0) are read")
    return read(file)


def write_rows(archive, name, shape, dtype, rows):
    """Write an array into an open ``zipfile.ZipFile`` row by row, without ever having it in memory.

    Parameters
    ----------
    archive : zipfile.ZipFile
        Open for writing.
    name : str
    shape : tuple of int
    dtype : dtype
    rows : iterable of arrays
        ``shape[0]`` of them, of that type.
    """
    with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
        header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        for row in rows:
            file.write(np.ascontiguousarray(row, dtype))
