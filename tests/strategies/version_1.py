"""Packed files of version 1, made of the bytes of version 2: a chain of layers with counts."""

import io
import json
import zipfile

__all__ = ["as_version_1", "is_chain"]

KINDS = ("quantize", "xnor", "scaled bias", "linear", "affine", "max pool", "rectify", "flatten")
ARRAYS = ("signs", "alpha", "W", "scale", "b")


def is_chain(graph):
    """Whether version 1 could hold a graph."""
    return all(
        node.inputs == ((i - 1,) if i else ())
        and node.operation.kind in KINDS
        and getattr(node.operation, "groups", 1) == 1
        and getattr(getattr(node.operation, "window", None), "dilation", (1, 1)) == (1, 1)
        for i, node in enumerate(graph.nodes)
    )


def as_version_1(data):
    """Bytes of a file of version 1 from those of one of version 2."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    header = json.loads(members.pop("header.json"))
    nodes = header.pop("nodes")
    for i, node in enumerate(nodes):
        if node["kind"] == "scaled bias":
            members[f"node{i}.c.npy"] = members.pop(f"node{i}.b.npy")
    header["version"], header["layers"] = 1, [layer(node) for node in nodes]
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("header.json", json.dumps(header))
        for name, content in members.items():
            archive.writestr(name.replace("node", "layer"), content)
    return file.getvalue()


def layer(node):
    node = dict(node)
    for name in ("inputs", "name", "groups"):
        node.pop(name, None)
    weights = node.get("signs") or node.get("W")
    if weights:
        node["outputs"], node["inputs"] = weights[:2]
    if node["kind"] == "scaled bias":
        node |= {"kind": "xnor", "q_c": node["q_b"], "q_b": None, "scale_inputs": True, "window": None}
    if "scale" in node:
        node["channels"] = node["scale"][0]
    if node.get("window"):
        node["window"] = {k: v for k, v in node["window"].items() if k != "dilation"}
    return {name: value for name, value in node.items() if name not in ARRAYS}
