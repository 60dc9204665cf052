"""A packed model as a folder of C."""

import math
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from xnornet.engine.steps import as_image
from xnornet.errors import ModelError
from xnornet.export.c.golden import draw_pixels, expected_outputs, values_of
from xnornet.export.c.layers import emit
from xnornet.export.c.lowering import lower
from xnornet.export.c.sizes import sizes
from xnornet.export.c.writer import (
    check_source,
    golden_source,
    header_source,
    identifier,
    makefile,
    network_source,
    readme,
    runtime,
)
from xnornet.graph import check_graph

__all__ = ["Export", "check_folder", "export_c", "pixel_levels", "write_folder"]


@dataclass
class Export:
    """Everything that is needed to write the files of an exported network.

    Attributes
    ----------
    name : str
        As a C identifier.
    graph : Graph
    layers, functions : lists of Layer and Function
    scores : Value
    arena : int
        Bytes.
    levels : int16 array, ``(256,)``
        What becomes of each value of a pixel.
    """

    name: str
    graph: object
    layers: list
    functions: list
    scores: object
    arena: int
    levels: np.ndarray
    classes: tuple = ()
    title: str = ""
    version: str = ""
    scaling: str = ""

    @property
    def sizes(self):
        """As `sizes`."""
        return sizes(self)

    def sources(self):
        """Texts of the files that compute, by name."""
        return {
            f"{self.name}.h": header_source(self),
            f"{self.name}.c": network_source(self),
            "xnor.h": runtime("xnor.h"),
            "xnor.c": runtime("xnor.c"),
        }

    def files(self, pixels=None):
        """Texts of all files, by name.

        Parameters
        ----------
        pixels : uint8 array, ``(n, *input shape)``, optional
            Images to compare; ten are drawn by default.
        """
        pixels = draw_pixels(self.graph.input_shape) if pixels is None else pixels
        values = values_of(self.graph, pixels, self.levels)
        return {
            **self.sources(),
            "golden.h": golden_source(self, pixels, values, expected_outputs(self.layers, values)),
            "test.c": check_source(self),
            "Makefile": makefile(self),
            "README.md": readme(self),
        }

    @property
    def input_shape(self):
        return as_image(self.graph.input_shape)

    @property
    def input_count(self):
        return math.prod(self.input_shape)

    @property
    def scores_count(self):
        return self.scores.count

    @property
    def score_fraction_bits(self):
        return self.graph.q_out.f

    @property
    def constants(self):
        """Bytes of constants in flash."""
        return sum(function.bytes for function in self.functions)


def pixel_levels(graph, numbers):
    """The number that each value of a pixel becomes.

    Parameters
    ----------
    graph : Graph
    numbers : float32 array
        What the values stand for, from 0 on; larger ones stand for the last.

    Returns
    -------
    int16 array, ``(256,)``
    """
    every = np.concatenate([numbers, np.repeat(numbers[-1:], 256 - len(numbers))])
    return graph.nodes[0].operation.exact(np, every).astype(np.int16)


def export_c(graph, name, levels, title="", version="", scaling="", classes=()):
    """Lower a graph to C.

    Parameters
    ----------
    graph : Graph
        In integers.
    name : str
        Of the functions and files; made a C identifier.
    levels : int16 array, ``(256,)``
        As `pixel_levels`.
    title, version, scaling : str
        For the comments.
    classes : sequence of str
        Names of the scores.

    Returns
    -------
    Export

    Raises
    ------
    ModelError
        The graph is damaged, or an operation has no form in C.
    """
    check_graph(graph)
    name = identifier(name)
    layers, scores, arena = lower(graph)
    _name(graph, layers)
    formats = graph.formats()
    functions = [emit(layer, formats, levels, name) for layer in layers]
    return Export(
        name, graph, layers, functions, scores, arena, levels, tuple(classes), title, version, scaling
    )


def _name(graph, layers):
    """Name each layer as its node, or as what it computes, with the number of the node."""
    taken = set()
    for layer in layers:
        kind = layer.kind if layer.kind in ("pack", "max pool") else (layer.operation or layer).kind
        if kind == "xnor":
            kind = "xnor_dense" if layer.operation.window is None else "xnor_conv"
        elif kind == "linear":
            kind = "dense" if layer.operation.window is None else "conv"
        name = base = identifier(graph.nodes[layer.node].name or f"{kind}_{layer.node}")
        while name in taken:
            name = f"{base}_{layer.kind.replace(' ', '_')}" if name == base else f"{name}_"
        taken.add(name)
        layer.name = name


def check_folder(folder, force=False):
    """Raise ModelError where `write_folder` would not write, since something is there."""
    folder = Path(folder)
    if folder.exists() and not (force and (folder / "xnor.h").exists() and (folder / "golden.h").exists()):
        remedy = "choose another one" if force else "choose another one, or give --force to replace an export"
        what = "is there, and is no export" if force else "is there already"
        raise ModelError(f"{folder}: {what}; {remedy}")


def write_folder(folder, files, force=False):
    """Write files to a folder, all of them or none.

    Parameters
    ----------
    folder : str or Path
    files : dict of str
        Texts by name.
    force : bool
        Replace a folder that was written so.

    Raises
    ------
    ModelError
        The folder is there, or cannot be written.
    """
    check_folder(folder, force)
    folder = Path(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as scratch:
            made = Path(scratch, "new")
            made.mkdir()
            for name, text in files.items():
                (made / name).write_text(text, encoding="utf-8")
            if folder.exists():
                folder.rename(Path(scratch, "old"))
            made.rename(folder)
    except OSError as error:
        raise ModelError(f"{folder}: cannot be written ({error.strerror}); choose another place") from error
