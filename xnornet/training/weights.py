"""Files of training weights: an ``.npz`` file that Lasagne's usual code loads, and a JSON header beside it.

Files are not trusted: nothing is unpickled, and every array's shape is compared with the network's before it
is read. Files are written under a temporary name and renamed. The header has the checksum of the weights, so
that a header of another epoch is detected.
"""

import json
import os
from pathlib import Path

import numpy as np

from xnornet.archives import as_model_error, check_array, read_arrays, write_atomically
from xnornet.disk import md5_of
from xnornet.errors import ModelError

__all__ = ["header_path", "load_header", "load_weights", "save_weights"]


def save_weights(path, values, header=None):
    """Write arrays as ``arr_0``, ``arr_1``, ..., in order, and the JSON header beside them.

    Both files are complete before either is renamed. If the process is killed between the two renames, the
    new header is beside the old weights, which :func:`load_header` detects.

    Parameters
    ----------
    path : str or Path
    values : list of arrays
    header : dict, optional
        Written with an additional field, ``md5``, the checksum of the file of weights.

    Raises
    ------
    WriteError
        As `write_atomically`.
    """

    def write(file):
        np.savez(file, *values)
        if header is not None:
            file.flush()
            os.fsync(file.fileno())
            text = json.dumps({**header, "md5": md5_of(file.name)}, indent=2) + "\n"
            write_atomically(header_path(path), lambda beside: beside.write(text.encode()))

    write_atomically(path, write)


def load_weights(path, params):
    """Read the weights of a network.

    Parameters
    ----------
    path : str or Path
    params : list of shared variables
        What ``lasagne.layers.get_all_params`` gives; shapes and names are taken from here.

    Returns
    -------
    list of arrays, of floating-point type

    Raises
    ------
    ModelError
        The file is missing or damaged, holds objects, or is of another network.
    """
    wanted = [(p.name or f"parameter {i}", p.get_value(borrow=True).shape) for i, p in enumerate(params)]
    values = read_arrays(path, [shape for _, shape in wanted])
    for i, (value, (name, _)) in enumerate(zip(values, wanted, strict=True)):
        check_array(path, f"arr_{i} ({name})", value, "Train again with a smaller --lr")
    return values


def header_path(path):
    """The JSON file beside a file of weights: ``NAME.json`` for ``NAME.npz``."""
    return Path(path).with_suffix(".json")


def load_header(path):
    """Read the JSON header of the weights at ``path``; an empty dictionary if there is none.

    Raises
    ------
    ModelError
        The header is not a JSON object with the fields it should have, or was written with other weights.
    """
    file = header_path(path)
    try:
        header = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ModelError(f"{file}: should be a JSON header; it cannot be read ({error})") from error
    fields = {"network": str, "arguments": dict}
    for field, kind in fields.items():
        if not isinstance(header, dict) or not isinstance(header.get(field), kind):
            raise ModelError(f"{file}: the field {field!r} is missing or not a {kind.__name__}")
    if "md5" in header:
        with as_model_error(path):
            found = md5_of(path)
        if found != header["md5"]:
            raise ModelError(
                f"{path}: is not the file that {file.name} was written with (MD5 {found}, not "
                f"{header['md5']}). If a run was killed, resume it with --resume; if you changed the weights "
                f"yourself, delete the field 'md5' in {file.name}; else the file is damaged"
            )
    return header
