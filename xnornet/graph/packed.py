"""The packed model file: a graph as bits and 16-bit words, which is what ships and what runs.

The file is an ``.npz`` whose members are stored as they are: ``header.json``, and arrays such as
``node3.alpha.npy``, ``alpha`` of node 3, of 16-bit integers or the bytes of signs.
``docs/reference/packed_file.md`` describes it field by field.

Version 1 had a chain, ``layers``, instead of ``nodes``: without inputs, names, groups and dilations, with
``outputs`` and ``inputs`` or ``channels`` instead of lengths, and members ``layer3.alpha.npy``. A bias that
is scaled as well was array ``c`` of a layer of kind ``xnor``. It is read as the graph that it is.

Files come from anywhere. What a file says of itself is compared with its size before memory is given to it,
and its graph is checked before anybody sees it.
"""

import json
import os
import reprlib
import zipfile
from contextlib import contextmanager
from dataclasses import fields
from typing import Any

import numpy as np

from xnornet.archives import as_model_error, read_array_header, write_atomically
from xnornet.errors import ModelError
from xnornet.fixedpoint import Q
from xnornet.graph.graph import Graph, Node, check_graph
from xnornet.graph.operation import KINDS, kind_of_field
from xnornet.graph.scaled_bias import ScaledBias
from xnornet.graph.signs import Signs
from xnornet.graph.strict_json import MAX_BYTES, integer, parse, sequence, typed, with_keys
from xnornet.graph.window import Window
from xnornet.hints import StrPath

__all__ = ["is_packed", "load_packed", "save_packed"]

FORMAT = "xnornet packed model"
VERSION = 2
HEADER = "header.json"
WINDOW = ("size", "stride", "pad", "dilation")
BYTE, WORD = np.dtype(np.uint8), np.dtype("<i2")

# Header fields of version 1 that give the lengths of arrays.
COUNTS = {"xnor": ("outputs", "inputs"), "linear": ("outputs", "inputs"), "affine": ("channels",)}

# The same model gives the same bytes, whenever it is packed.
DATE = (1980, 1, 1, 0, 0, 0)


def save_packed(path: StrPath, graph: Graph, info: dict[str, Any] | None = None) -> None:
    """Write a graph in integers.

    Parameters
    ----------
    path : str or Path
    graph : Graph
    info : dict, optional
        Description of the model, of JSON types: network, arguments, dataset, preprocessing, ...

    Raises
    ------
    ModelError
        The graph does not pass `check_graph`, or ``info`` is no JSON object or too large.
    WriteError
        As `write_atomically`.
    """
    check_graph(graph)
    header = _dump_header(graph, {} if info is None else info)
    write_atomically(path, lambda file: _write(file, header, graph))


def load_packed(path: StrPath) -> tuple[Graph, dict[str, Any]]:
    """Read a packed model, in memory of about the file's size.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    (Graph, dict)
        The graph, which passes `check_graph`, and what it was saved with.

    Raises
    ------
    ModelError
        The file is missing or damaged, of another version, or not what `save_packed` writes.
    """
    with as_model_error(path), open(path, "rb") as file, zipfile.ZipFile(file) as archive:
        _check_kind(path, archive)
        with _naming_file(path):
            _check_sizes(archive, os.fstat(file.fileno()).st_size)
            header = parse(HEADER, archive.read(HEADER))
        version = _version(path, header)
        with _naming_file(path):
            graph, info = (_read if version == VERSION else _read_version_1)(archive, header)
    with _naming_file(path):
        check_graph(graph)
    return graph, info


def is_packed(path: StrPath) -> bool:
    """Whether a file looks like a packed model, by the names of its members.

    Also False for a missing or damaged file; loading it reports what is wrong.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return HEADER in archive.namelist()
    # zipfile raises almost any exception for damaged files.
    except Exception:
        return False


def _write(file, header, graph):
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo(HEADER, DATE), header)
        for i, operation in enumerate(graph.operations):
            for name, array in _arrays(operation):
                with archive.open(zipfile.ZipInfo(_member(i, name), DATE), "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, array, (1, 0), allow_pickle=False)


def _arrays(operation):
    """Yield the name of each array of an operation, and the array as the file stores it."""
    for field in fields(operation):
        value = getattr(operation, field.name)
        if isinstance(value, Signs):
            yield field.name, np.ascontiguousarray(value.bits)
        elif isinstance(value, np.ndarray):
            yield field.name, np.ascontiguousarray(value.astype(WORD, copy=False))


def _member(index, name):
    return f"node{index}.{name}.npy"


def _dump_header(graph, info):
    """Bytes of the header, which `load_packed` takes."""
    header = {
        "format": FORMAT,
        "version": VERSION,
        "input_shape": _to_json(graph.input_shape),
        "nodes": [_describe(node) for node in graph.nodes],
        "info": info,
    }
    try:
        data = json.dumps(header, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise ModelError(f"a model's header should be made of what JSON has ({error})") from error
    typed("info", parse(HEADER, data)["info"], dict)
    return data


def _describe(node):
    operation = node.operation
    values = {field.name: _to_json(getattr(operation, field.name)) for field in fields(operation)}
    return {"kind": operation.kind, "inputs": list(node.inputs), "name": str(node.name), **values}


def _to_json(value):
    if isinstance(value, Q):
        return [value.bits, value.int_bits]
    if isinstance(value, Window):
        return {name: _to_json(getattr(value, name)) for name in WINDOW}
    if isinstance(value, Signs | np.ndarray):
        return [int(n) for n in value.shape]
    if isinstance(value, tuple):
        return [_to_json(v) for v in value]
    return int(value) if isinstance(value, np.integer) else value


@contextmanager
def _naming_file(path):
    """Add the file's name and the remedy to each :class:`ModelError`."""
    try:
        yield
    except ModelError as error:
        raise ModelError(f"{path}: {error}; pack the network anew") from error


@contextmanager
def _naming_node(index):
    try:
        yield
    except ModelError as error:
        raise ModelError(f"node {index}: {error}") from error


def _check_kind(path, archive):
    """Refuse archives that are not packed models, such as training weights."""
    if HEADER not in archive.namelist():
        raise ModelError(
            f"{path}: there should be a {HEADER}; found {reprlib.repr(archive.namelist())}. It is no packed "
            "model; if it holds a network's weights, pack them first with python -m xnornet pack"
        )


def _check_sizes(archive, size):
    """Compare the sizes that the archive gives for its members with the size of the file."""
    members, names = archive.infolist(), archive.namelist()
    if len(set(names)) < len(names):
        raise ModelError(f"there should be each member once; found {reprlib.repr(names)}")
    if any(member.compress_type != zipfile.ZIP_STORED for member in members):
        raise ModelError("members should be stored; found a compressed one")
    total = sum(member.file_size for member in members)
    if total > size:
        raise ModelError(f"members should fit into the {size} bytes of the file; found {total} bytes of them")
    if archive.getinfo(HEADER).file_size > MAX_BYTES:
        raise ModelError(
            f"{HEADER} should have at most {MAX_BYTES} bytes; found {archive.getinfo(HEADER).file_size}"
        )


def _version(path, header):
    """Check the version apart from the rest: its error has another remedy than packing again."""
    if header.get("format") != FORMAT:
        raise ModelError(
            f"{path}: {HEADER} should name the format {FORMAT!r}; found "
            f"{reprlib.repr(header.get('format'))}. It is no packed model; pack a network first"
        )
    version = header.get("version")
    if type(version) is not int or not 1 <= version <= VERSION:
        raise ModelError(
            f"{path}: this program reads packed models of version 1 to {VERSION}; found "
            f"{reprlib.repr(version)}. Pack the network anew, or update this program if the file is newer"
        )
    return version


def _read(archive, header):
    """Graph and info of a file; arrays are read once all of them are compared with the header."""
    with_keys(HEADER, header, ("format", "version", "input_shape", "nodes", "info"))
    info = typed("info", header["info"], dict)
    input_shape = _integers("input_shape", header["input_shape"])
    parsed, shapes = [], {}
    for i, description in enumerate(sequence("nodes", header["nodes"])):
        with _naming_node(i):
            parsed.append(_parse_node(description))
        for name, value in parsed[-1][-1].items():
            if isinstance(value, _Stored):
                shapes[_member(i, name)] = value
    present = set(archive.namelist())
    if present != {HEADER, *shapes}:
        more, fewer = (
            reprlib.repr(sorted(s)) for s in (present - {HEADER, *shapes}, shapes.keys() - present)
        )
        raise ModelError(
            f"there should be the arrays that {HEADER} lists; found {more} more, and not {fewer}"
        )
    for member, stored in shapes.items():
        stored.compare(archive, member)
    nodes = []
    for i, (kind, inputs, name, values) in enumerate(parsed):
        for field, value in values.items():
            if isinstance(value, _Stored):
                values[field] = value.read(archive, _member(i, field), field)
        nodes.append(Node(kind(**values), inputs, name))
    return Graph(input_shape, tuple(nodes)), info


class _Stored:
    """An array of the file, described by its lengths in the header; for signs, the unpacked lengths."""

    def __init__(self, lengths, signs):
        self.lengths, self.dtype, self._shape = lengths, WORD, lengths
        if signs:
            if len(lengths) < 2:
                raise ModelError(f"signs should have 2 or 4 lengths; found {lengths}")
            outputs, channels, *window = lengths
            self.dtype, self._shape = BYTE, (outputs, *window, -(-channels // 8))

    def compare(self, archive, member):
        """Compare an array's own header with what is wanted, before memory is given to it."""
        found, dtype = read_array_header(archive, member)
        if dtype != self.dtype:
            raise ModelError(
                f"{member} should hold numbers of type {self.dtype.str}; found {reprlib.repr(dtype)}"
            )
        if found != self._shape:
            raise ModelError(f"{member} should have shape {self._shape}; found {reprlib.repr(found)}")

    def read(self, archive, member, name):
        """An array in the type that operations use: ``W`` in 16 bits, the others in 64."""
        with archive.open(member) as file:
            array = np.lib.format.read_array(file, allow_pickle=False)
        if self.dtype == BYTE:
            return Signs(np.ascontiguousarray(array), self.lengths[1])
        return np.ascontiguousarray(array, np.int16 if name == "W" else np.int64)


def _parse_node(description):
    """Operation's class, inputs, name and parameters of a node, each of its type."""
    name = typed("a node", description, dict).get("kind")
    kind = KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise ModelError(f"kind should be one of {', '.join(KINDS)}; found {reprlib.repr(name)}")
    with_keys(name, description, ("kind", "inputs", "name", *(f.name for f in fields(kind))))
    values = {f.name: _parse(f, description[f.name]) for f in fields(kind)}
    return kind, _integers("inputs", description["inputs"]), typed("name", description["name"], str), values


def _parse(field, value):
    kind, optional = kind_of_field(field)
    if value is None and optional:
        return None
    if kind is Q:
        try:
            return Q(*_integers(field.name, value, 2))
        except ValueError as error:
            raise ModelError(f"{field.name}: {error}") from error
    if kind in (np.ndarray, Signs):
        return _Stored(_integers(field.name, value), kind is Signs)
    if kind is Window:
        return _parse_window(value)
    if kind is tuple:
        return _integers(field.name, value)
    return typed(field.name, value, bool) if kind is bool else integer(field.name, value)


def _parse_window(value):
    with_keys("window", value, WINDOW)
    size, stride, dilation = (_integers(name, value[name], 2) for name in ("size", "stride", "dilation"))
    pads = tuple(_integers("pad", pad, 2) for pad in sequence("pad", value["pad"], 2))
    return Window(size, stride, pads, dilation)


def _integers(name, value, length=None):
    return tuple(integer(name, n) for n in sequence(name, value, length))


def _read_version_1(archive, header):
    """As `_read`, of a file that holds a chain."""
    with_keys(HEADER, header, ("format", "version", "input_shape", "layers", "info"))
    archive, nodes = _Renamed(archive), []
    for i, layer in enumerate(sequence("layers", header["layers"])):
        with _naming_node(i):
            nodes.append(_from_layer(archive, i, dict(typed("a layer", layer, dict))))
    return _read(archive, {**{k: header[k] for k in header if k != "layers"}, "nodes": nodes})


def _from_layer(archive, i, layer):
    """A node's description from that of a layer."""
    kind, window = layer.get("kind"), layer.get("window")
    counts = [integer(name, layer.pop(name, None)) for name in COUNTS.get(str(kind), ())]
    size = []
    if isinstance(window, dict):
        size = sequence("size", window.get("size"), 2)
        layer["window"] = {**with_keys("window", window, WINDOW[:3]), "dilation": [1, 1]}
    if kind == "affine":
        layer |= {"scale": counts, "b": counts}
    if kind == "linear":
        layer |= {"W": [*counts, *size], "b": archive.lengths(i, "b"), "groups": 1}
    if kind == "xnor":
        q_c, c = layer.pop("q_c", None), archive.lengths(i, "c")
        layer |= {"signs": [*counts, *size], "alpha": counts[:1], "b": archive.lengths(i, "b"), "groups": 1}
        if c is not None:
            archive.rename(i, "c", "b")
            b, window, scaled, *_ = (layer.pop(k, None) for k in ("b", "window", "scale_inputs", "groups"))
            if b is not None or window is not None or scaled is not True:
                raise ModelError("c should come in a dense layer with scale_inputs and without b")
            layer |= {"kind": ScaledBias.kind, "b": c, "q_b": q_c}
    return {**layer, "inputs": [i - 1] if i else [], "name": ""}


class _Renamed:
    """An archive of version 1 whose members have the names of version 2."""

    def __init__(self, archive):
        self._archive = archive
        self._old = {name.replace("layer", "node", 1): name for name in archive.namelist()}

    def rename(self, i, name, new):
        self._old[_member(i, new)] = self._old.pop(_member(i, name))

    def namelist(self):
        return list(self._old)

    def open(self, member):
        return self._archive.open(self._old[member])

    def getinfo(self, member):
        return self._archive.getinfo(self._old[member])

    def lengths(self, i, name):
        """Lengths of an optional array, None if it is absent."""
        member = _member(i, name)
        return list(read_array_header(self, member)[0]) if member in self._old else None
