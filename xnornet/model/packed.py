"""The packed model file: a quantized model as bits and 16-bit words, which is what ships and what runs.

The file is an ``.npz`` whose members are stored as they are. Member ``header.json``, in UTF-8, has the fields
``format`` ("xnornet packed model"), ``version`` (1), ``input_shape`` (channels, rows, columns), ``layers``,
one object for each record, and ``info``, an object with whatever there is to tell of the model. A layer has
the ``kind`` of its record, the record's fields of the same names, and arrays:

========== ============================================================================= ==================
kind       fields                                                                        arrays
========== ============================================================================= ==================
quantize   q_out
xnor       outputs, inputs, window, scale_inputs, q_alpha, q_b, q_c, q_in, q_out         signs, alpha, b, c
linear     outputs, inputs, window, q_W, q_b, q_in, q_out                                W, b
affine     channels, q_scale, q_b, q_in, q_out                                           scale, b
max pool   window, ignore_border
rectify
flatten
========== ============================================================================= ==================

A format ``Q(bits, int_bits)`` is ``[bits, int_bits]``; a window is an object of ``size`` and ``stride``, both
``[rows, columns]``, and ``pad``, ``[[before, after], [before, after]]``, and null for a dense layer; ``q_c``
is null where there is no ``c``. Array ``alpha`` of layer 3, counted from 0, is member ``layer3.alpha.npy``.
``signs`` holds bytes, in the order told in ``xnornet.model.signs``; all others hold little-endian 16-bit
integers in the shapes of the records. ``b`` and ``c`` of a layer with weights may be left out. The last
``q_out`` is the format of the scores.

Files come from anywhere. What a file says of itself is compared with its size before memory is given to it,
and its records are checked before anybody sees them. The meaning of the records is left to
``xnornet.model.quantized``.
"""

import json
import os
import reprlib
import zipfile
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from xnornet.fixedpoint import Q
from xnornet.model.checks import check_model
from xnornet.model.quantized import (
    XNOR,
    Affine,
    Flatten,
    Linear,
    MaxPool,
    Quantize,
    QuantizedModel,
    Rectify,
    Window,
)
from xnornet.model.signs import Signs
from xnornet.model.strict_json import MAX_BYTES, boolean, integer, json_object, parse, sequence, with_keys
from xnornet.model.weights import ModelError, read_array_header, told_in_one_line, write_atomically

__all__ = ["is_packed", "load_packed", "save_packed"]

FORMAT = "xnornet packed model"
VERSION = 1
HEADER = "header.json"
WINDOW = ("size", "stride", "pad")
BYTE, WORD = np.dtype(np.uint8), np.dtype("<i2")

# The same model gives the same bytes, whenever it is packed.
DATE = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Kind:
    """How records of one class lie in the file: plain fields, counts, arrays that must or may be there."""

    name: str
    record: type
    fields: tuple = ()
    counts: tuple = ()
    arrays: tuple = ()
    optional: tuple = ()


KINDS = (
    Kind("quantize", Quantize, ("q_out",)),
    Kind(
        "xnor",
        XNOR,
        ("window", "scale_inputs", "q_alpha", "q_b", "q_c", "q_in", "q_out"),
        ("outputs", "inputs"),
        ("signs", "alpha"),
        ("b", "c"),
    ),
    Kind("linear", Linear, ("window", "q_W", "q_b", "q_in", "q_out"), ("outputs", "inputs"), ("W",), ("b",)),
    Kind("affine", Affine, ("q_scale", "q_b", "q_in", "q_out"), ("channels",), ("scale", "b")),
    Kind("max pool", MaxPool, ("window", "ignore_border")),
    Kind("rectify", Rectify),
    Kind("flatten", Flatten),
)


def save_packed(path, model, header):
    """Write a quantized model.

    Parameters
    ----------
    path : str or Path
    model : QuantizedModel
    header : dict
        What there is to tell of the model, as JSON has it: network, arguments, dataset, preprocessing, ...

    Raises
    ------
    ModelError
        The model does not pass `check_model`, or the header is no JSON object or too large.
    WriteError
        As `write_atomically`.
    """
    check_model(model)
    text = _dump_header(model, header)
    write_atomically(path, lambda file: _write(file, text, model))


def load_packed(path):
    """Read a packed model, in memory of about the file's size.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    (QuantizedModel, dict)
        The model, which passes `check_model`, and the header that it was saved with.

    Raises
    ------
    ModelError
        The file is missing or damaged, of another version, or not what `save_packed` writes.
    """
    with told_in_one_line(path), open(path, "rb") as file, zipfile.ZipFile(file) as archive:
        _check_kind(path, archive)
        with _told_of(path):
            _check_sizes(archive, os.fstat(file.fileno()).st_size)
            header = parse(HEADER, archive.read(HEADER))
        _check_version(path, header)
        with _told_of(path):
            model, info = _read(archive, header)
    with _told_of(path):
        check_model(model)
    return model, info


def is_packed(path):
    """Whether a file looks like a packed model, by the names of its members.

    False for a file that is missing or damaged too: what is wrong with it is told by whoever loads it.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return HEADER in archive.namelist()
    # zipfile raises nearly anything at damaged files.
    except Exception:
        return False


def _write(file, header, model):
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo(HEADER, DATE), header)
        for i, record in enumerate(model.layers):
            for name, array in _arrays(record):
                with archive.open(zipfile.ZipInfo(_member(i, name), DATE), "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, array, (1, 0), allow_pickle=False)


def _arrays(record):
    """Name and array, as it lies in the file, of each that a record has."""
    kind = _kind_of(record)
    for name in (*kind.arrays, *kind.optional):
        value = getattr(record, name)
        if value is not None:
            array = value.bits if name == "signs" else value.astype(WORD, copy=False)
            yield name, np.ascontiguousarray(array)


def _kind_of(record):
    return next(kind for kind in KINDS if kind.record is type(record))


def _member(index, name):
    return f"layer{index}.{name}.npy"


def _dump_header(model, info):
    """Bytes of the header, which `load_packed` takes."""
    header = {
        "format": FORMAT,
        "version": VERSION,
        "input_shape": [int(n) for n in model.input_shape],
        "layers": [_describe(record) for record in model.layers],
        "info": info,
    }
    try:
        text = json.dumps(header, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise ModelError(f"a model's header should be made of what JSON has ({error})") from error
    json_object("info", parse(HEADER, text)["info"])
    return text


def _describe(record):
    kind = _kind_of(record)
    counts = dict(zip(kind.counts, _counts(record), strict=True))
    return {"kind": kind.name, **counts, **{name: _to_json(getattr(record, name)) for name in kind.fields}}


def _counts(record):
    if isinstance(record, XNOR):
        return record.signs.shape[:2]
    if isinstance(record, Linear):
        return record.W.shape[:2]
    return record.scale.shape if isinstance(record, Affine) else ()


def _to_json(value):
    if isinstance(value, Q):
        return [value.bits, value.int_bits]
    if isinstance(value, Window):
        return {name: _listed(getattr(value, name)) for name in WINDOW}
    return value


def _listed(value):
    """Nested tuples of integers as lists."""
    return [_listed(v) for v in value] if isinstance(value, tuple) else int(value)


@contextmanager
def _told_of(path):
    """Name the file in each :class:`ModelError`, and what to do."""
    try:
        yield
    except ModelError as error:
        raise ModelError(f"{path}: {error}; pack the network anew") from error


@contextmanager
def _told_of_layer(index):
    try:
        yield
    except ModelError as error:
        raise ModelError(f"layer {index}: {error}") from error


def _check_kind(path, archive):
    """Tell weights, which may be packed, from what is packed."""
    if HEADER not in archive.namelist():
        raise ModelError(
            f"{path}: there should be a {HEADER}; found {reprlib.repr(archive.namelist())}. It is no packed "
            "model; if it holds a network's weights, pack them first with python -m xnornet pack"
        )


def _check_sizes(archive, size):
    """Compare what the archive tells of its members with the bytes that there are."""
    members, names = archive.infolist(), archive.namelist()
    if len(set(names)) < len(names):
        raise ModelError(f"there should be each member once; found {reprlib.repr(names)}")
    if any(member.compress_type != zipfile.ZIP_STORED for member in members):
        raise ModelError("members should be stored; found a compressed one")
    told = sum(member.file_size for member in members)
    if told > size:
        raise ModelError(f"members should fit into the {size} bytes of the file; found {told} bytes of them")
    if archive.getinfo(HEADER).file_size > MAX_BYTES:
        raise ModelError(
            f"{HEADER} should have at most {MAX_BYTES} bytes; found {archive.getinfo(HEADER).file_size}"
        )


def _check_version(path, header):
    """What is packed by another version is told apart, as packing anew is not the only way out."""
    if header.get("format") != FORMAT:
        raise ModelError(
            f"{path}: {HEADER} should tell the format {FORMAT!r}; found "
            f"{reprlib.repr(header.get('format'))}. It is no packed model; pack a network first"
        )
    version = header.get("version")
    if type(version) is not int or version != VERSION:
        raise ModelError(
            f"{path}: this program reads packed models of version {VERSION}; found {reprlib.repr(version)}. "
            "Pack the network anew, or update this program if the file is newer"
        )


def _read(archive, header):
    """Model and info of a file; arrays are read once all of them are compared with the header."""
    with_keys(HEADER, header, ("format", "version", "input_shape", "layers", "info"))
    info = json_object("info", header["info"])
    input_shape = _integers("input_shape", header["input_shape"], 3)
    layers, present, shapes = [], set(archive.namelist()), {}
    for i, description in enumerate(sequence("layers", header["layers"])):
        with _told_of_layer(i):
            kind, counts, fields = _parse_layer(description)
        layers.append((kind, counts, fields))
        for name, shape in _shapes(kind, counts, fields.get("window")).items():
            member = _member(i, name)
            if name not in kind.optional or member in present:
                shapes[member] = shape
    if present != {HEADER, *shapes}:
        more, fewer = (
            reprlib.repr(sorted(s)) for s in (present - {HEADER, *shapes}, shapes.keys() - present)
        )
        raise ModelError(
            f"there should be the arrays that {HEADER} tells; found {more} more, and not {fewer}"
        )
    for member, shape in shapes.items():
        _check_member(archive, member, shape)
    records = [_to_record(archive, shapes.keys(), i, *layer) for i, layer in enumerate(layers)]
    formats = [record.q_out for record in records if hasattr(record, "q_out")]
    return QuantizedModel(input_shape, records, formats[-1] if formats else None), info


def _parse_layer(description):
    """Kind, counts and fields of a layer, each of its type."""
    name = json_object("a layer", description).get("kind")
    kind = next((kind for kind in KINDS if kind.name == name), None)
    if kind is None:
        known = ", ".join(kind.name for kind in KINDS)
        raise ModelError(f"kind should be one of {known}; found {reprlib.repr(name)}")
    with_keys(kind.name, description, ("kind", *kind.counts, *kind.fields))
    counts = tuple(integer(name, description[name]) for name in kind.counts)
    return kind, counts, {name: _parse_field(kind, name, description[name]) for name in kind.fields}


def _parse_field(kind, name, value):
    if name.startswith("q_"):
        return None if name == "q_c" and value is None else _parse_format(name, value)
    if name == "window":
        return None if kind.record is not MaxPool and value is None else _parse_window(value)
    return boolean(name, value)


def _parse_format(name, value):
    try:
        return Q(*_integers(name, value, 2))
    except ValueError as error:
        raise ModelError(f"{name}: {error}") from error


def _parse_window(value):
    with_keys("window", value, WINDOW)
    size, stride = (_integers(name, value[name], 2) for name in ("size", "stride"))
    return Window(size, stride, tuple(_integers("pad", pad, 2) for pad in sequence("pad", value["pad"], 2)))


def _integers(name, value, length):
    return tuple(integer(name, n) for n in sequence(name, value, length))


def _shapes(kind, counts, window):
    """Shape of each array of a layer, as far as its header tells."""
    shapes = dict.fromkeys((*kind.arrays, *kind.optional), counts[:1])
    size = () if window is None else window.size
    if "signs" in shapes:
        shapes["signs"] = (counts[0], *size, -(-counts[1] // 8))
    if "W" in shapes:
        shapes["W"] = (*counts, *size)
    return shapes


def _check_member(archive, member, shape):
    """Compare an array's own header with what is wanted, before memory is given to it."""
    found, dtype = read_array_header(archive, member)
    wanted = BYTE if member.endswith(".signs.npy") else WORD
    if dtype != wanted:
        raise ModelError(f"{member} should hold numbers of type {wanted.str}; found {reprlib.repr(dtype)}")
    # Whether biases that are not tied lie as the output does, is known once all layers are.
    untied = member.endswith(".b.npy") and len(found) == 3 and found[:1] == shape
    if found != shape and not untied:
        raise ModelError(f"{member} should have shape {shape}; found {reprlib.repr(found)}")


def _to_record(archive, present, index, kind, counts, fields):
    arrays = {}
    for name in (*kind.arrays, *kind.optional):
        member = _member(index, name)
        if member in present:
            with archive.open(member) as file:
                array = np.lib.format.read_array(file, allow_pickle=False)
            arrays[name] = _in_memory(name, array, counts)
    if kind.optional:
        arrays.setdefault("b", None)
    return kind.record(**fields, **arrays)


def _in_memory(name, array, counts):
    """An array of the file as records hold it: large ones as they are, the others in 64 bits."""
    if name == "signs":
        return Signs(np.ascontiguousarray(array), counts[1])
    return np.ascontiguousarray(array, np.int16 if name == "W" else np.int64)
