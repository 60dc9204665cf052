"""One page that needs nothing else: the network as WebAssembly, and what draws its input and its output."""

import base64
import html
import json
from importlib import resources

from xnornet.errors import ModelError
from xnornet.export.html.webassembly import check_compilers, to_webassembly

__all__ = ["DRAWINGS", "page"]

# How strokes become an image, as the data set's authors made theirs. In pixels of the image: the longer side
# of the drawing is scaled to `box`, its `centre`, of mass or of the box around it, is placed in the middle of
# the image, and lines are `pen` wide.
DRAWINGS = {
    "mnist": {"box": 20, "pen": 2.4, "centre": "mass"},
    "digits": {"box": 8, "pen": 1.4, "centre": "box"},
}


def page(export, dataset=None, white=255):
    """Write an export as a page.

    Parameters
    ----------
    export : xnornet.export.c.Export
    dataset : str, optional
        What the network was trained on. One with a key in `DRAWINGS` is drawn on, others take pictures.
    white : int
        The largest value of a pixel.

    Returns
    -------
    str

    Raises
    ------
    ModelError
        Images are neither gray nor of three colors.
    UsageError
        As `to_webassembly`.
    """
    channels, rows, columns = export.input_shape
    if channels not in (1, 3):
        raise ModelError(
            f"{export.name}: takes images of {channels} channels; a page shows gray ones, of 1, and those in "
            "color, of 3"
        )
    module, kept = to_webassembly(export)
    network = {
        "name": export.name,
        "rows": rows,
        "columns": columns,
        "channels": channels,
        "white": white,
        "drawing": DRAWINGS.get(dataset),
        "fractionBits": export.score_fraction_bits,
        "classes": list(export.classes) or [str(i) for i in range(export.scores_count)],
        "layers": [_described(export, layer, first) for layer, first in kept],
    }
    fields = {
        "title": html.escape(export.name),
        "what": html.escape(export.title),
        "generator": html.escape(f"xnornet {export.version}; {check_compilers()}"),
        # No text in the data may close the script element.
        "network": json.dumps(network, indent=1).replace("<", "\\u003c"),
        "module": base64.b64encode(module).decode(),
    }
    text = resources.files("xnornet.export.html").joinpath("page.html").read_text(encoding="utf-8")
    for name, value in fields.items():
        text = text.replace(f"@{name}@", value)
    return text


def _described(export, layer, first):
    channels, rows, columns = layer.output.shape
    what = export.functions[export.layers.index(layer)].comment[0].partition(": ")[2]
    size = {"rows": rows, "columns": columns, "channels": channels}
    return {"name": layer.name, "what": what, **size, "first": first}
