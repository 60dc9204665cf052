"""Damaged packed model files: bytes, header, arrays or members were changed.

Most of them are made with checksums that fit, so that they come through to what stands behind the archive.
"""

import io
import json
import zipfile

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

__all__ = ["draw_damaged"]

counts = st.integers(-2, 20) | st.sampled_from([1 << k for k in (15, 16, 23, 24, 27, 31, 62, 63, 64)])
scalars = st.none() | st.booleans() | counts | st.floats() | st.text(max_size=3)
values = scalars | st.lists(scalars, max_size=3) | st.dictionaries(st.text(max_size=3), scalars, max_size=3)


def damage_bytes(draw, data):
    """A few bytes of the file flipped, put in or left out, or its end cut off."""
    data = bytearray(data)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data) - 1))
        how = draw(st.sampled_from(["flip", "flip", "insert", "drop"]))
        if how == "flip":
            data[at] ^= draw(st.integers(1, 255))
        elif how == "insert":
            data[at:at] = draw(st.binary(min_size=1, max_size=4))
        else:
            del data[at : at + draw(st.integers(1, 4))]
    if draw(st.integers(0, 9)) == 0:
        del data[draw(st.integers(0, len(data))) :]
    return bytes(data)


def places(value):
    """Each container in a JSON value with each of its keys or indices."""
    keys = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from places(value[key])


def damage_header(draw, members):
    """A few values of the header changed, left out, or exchanged for others of its values."""
    header = json.loads(members["header.json"])
    for _ in range(draw(st.integers(1, 3))):
        found = list(places(header))
        parent, key = draw(st.sampled_from(found))
        how = draw(st.sampled_from(["near", "near", "other", "own", "drop"]))
        if how == "drop":
            del parent[key]
        elif how == "near" and type(parent[key]) is int:
            parent[key] += draw(st.integers(-3, 3))
        elif how == "near" and type(parent[key]) is bool:
            parent[key] = not parent[key]
        elif how == "own":
            other, its_key = draw(st.sampled_from(found))
            parent[key] = json.loads(json.dumps(other[its_key]))
        else:
            parent[key] = draw(values)
        if not list(places(header)):
            break
    members["header.json"] = json.dumps(header).encode()


def damage_array(draw, members):
    """One array with other numbers, of another type or shape, cut short, or exchanged for another."""
    names = [name for name in members if name != "header.json"]
    assume(names)
    name = draw(st.sampled_from(names))
    array = np.lib.format.read_array(io.BytesIO(members[name]))
    how = draw(st.sampled_from(["numbers", "numbers", "type", "shape", "cut", "exchange", "bytes"]))
    if how == "exchange":
        other = draw(st.sampled_from(list(members)))
        members[name], members[other] = members[other], members[name]
    elif how == "bytes":
        members[name] = damage_bytes(draw, members[name])
    else:
        if how == "numbers":
            limits = np.iinfo(array.dtype)
            array.flat[draw(st.integers(0, array.size - 1))] = draw(st.integers(limits.min, limits.max))
        elif how == "type":
            array = array.astype(
                draw(st.sampled_from(["u1", "i1", ">i2", "<u2", "<i4", "<i8", "<f4", "<f8", "S2"]))
            )
        elif how == "shape":
            array = array.reshape(
                draw(st.sampled_from([(-1,), (1, -1), (*array.shape, 1), array.shape[::-1]]))
            )
        else:
            array = array[: draw(st.integers(0, len(array)))]
        members[name] = npy(array)


def damage_layers(draw, members):
    """Two nodes exchanged, one left out or put in twice, with their arrays."""
    header = json.loads(members["header.json"])
    several = "nodes" if "nodes" in header else "layers"
    layers = header[several]
    order = list(range(len(layers)))
    one, other = draw(st.tuples(*[st.sampled_from(order)] * 2))
    how = draw(st.sampled_from(["exchange", "drop", "twice"]))
    if how == "exchange":
        order[one], order[other] = order[other], order[one]
    elif how == "drop":
        order.remove(one)
    else:
        order.insert(other, one)
    header[several] = [layers[i] for i in order]
    changed = {"header.json": json.dumps(header).encode()}
    for new, old in enumerate(order):
        for name, data in members.items():
            layer, _, rest = name.partition(".")
            if layer == f"{several[:-1]}{old}":
                changed[f"{several[:-1]}{new}.{rest}"] = data
    members.clear()
    members.update(changed)


def damage_members(draw, members):
    """A member left out or put in."""
    name = draw(st.sampled_from(list(members)))
    if draw(st.booleans()):
        del members[name]
    else:
        new = draw(
            st.sampled_from([name + ".npy", "../" + name, name.upper(), "node0.b.npy", "layer1.c.npy"])
        )
        members[new] = members[name]


def npy(array):
    file = io.BytesIO()
    np.lib.format.write_array(file, array)
    return file.getvalue()


@st.composite
def draw_damaged(draw, data):
    """Bytes of a file that is almost, or still, the packed model whose file has the bytes ``data``."""
    kinds = [damage_header, damage_header, damage_array, damage_array, damage_layers, damage_members, None]
    damage = draw(st.sampled_from(kinds))
    if damage is None:
        return damage_bytes(draw, data)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    damage(draw, members)
    file = io.BytesIO()
    compression = draw(st.sampled_from([zipfile.ZIP_STORED] * 9 + [zipfile.ZIP_DEFLATED]))
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()
