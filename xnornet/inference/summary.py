"""What a network costs: parameters, memory and multiply-adds of each layer, counted and not measured.

How long a network takes and how it scores is left to the programs that run it.
"""

import math
from dataclasses import asdict, dataclass
from functools import singledispatch

import lasagne

from xnornet.inference.floating import chain
from xnornet.layers import BatchNormLayer, XNORConv2DLayer, XNORDenseLayer

__all__ = ["Row", "format_summary", "summarize", "total"]

FLOAT_BYTES = 4
WORD_BYTES = 2


@dataclass(frozen=True)
class Row:
    """What one layer costs.

    Attributes
    ----------
    name : str
    output_shape : tuple of int
        Of one image.
    binary_params : int
        Weights of which only the sign is used.
    real_params : int
        All other numbers that training saves.
    float_bytes : int
        Of all that training saves, 4 bytes each.
    packed_bytes : int
        Of the arrays in a packed model file: a bit for each sign, the input channels of each filter tap (of
        a dense layer its inputs) rounded up to bytes, and 16-bit words for ``alpha`` (one for each output
        channel), biases, real weights, and the scale and offset (one of each for every channel) that a
        batch norm is merged into.
    binary_macs : int
        Multiply-adds of signs for one image. Taps on the padding are counted, as is usual.
    real_macs : int
        Multiply-adds of real numbers for one image. An XNOR layer has one for each output by ``alpha``, and
        one more by ``K`` or ``beta`` if it scales by its inputs; a batch norm has one for each number.
        Mere additions and comparisons (biases, the sums of ``|I|``, pooling) are not counted.
    """

    name: str
    output_shape: tuple
    binary_params: int
    real_params: int
    float_bytes: int
    packed_bytes: int
    binary_macs: int
    real_macs: int


COUNTED = ("binary_params", "real_params", "float_bytes", "packed_bytes", "binary_macs", "real_macs")


def summarize(layer):
    """Count what each layer of a network costs.

    Parameters
    ----------
    layer : Layer
        Output layer of a chain of layers.

    Returns
    -------
    list of Row
        One for each layer behind the input, dropout left out.

    Raises
    ------
    ValueError
        The network branches, holds a layer that inference does not know, or leaves a length open.
    """
    return [_row(layer) for layer in chain(layer)[1:]]


def total(rows):
    """Sums over the layers, for a program to read.

    Returns
    -------
    dict
        The sum of each count of `Row`, under its name; ``float_to_packed``, the ratio of the two sums of
        bytes, and ``binary_share`` of all multiply-adds, each None where there is nothing to divide by; and
        ``layers``, each row as a dictionary.
    """
    sums = {name: sum(getattr(row, name) for row in rows) for name in COUNTED}
    macs = sums["binary_macs"] + sums["real_macs"]
    return {
        **sums,
        "float_to_packed": sums["float_bytes"] / sums["packed_bytes"] if sums["packed_bytes"] else None,
        "binary_share": sums["binary_macs"] / macs if macs else None,
        "layers": [asdict(row) for row in rows],
    }


def format_summary(rows, title):
    """The rows as a table for people, with their sums.

    Parameters
    ----------
    rows : list of Row
    title : str
        First line.

    Returns
    -------
    str
        Lines of at most 100 columns for the networks that ship, without a last line break. A kB is 1000
        bytes, and a MB is 1000 kB.
    """
    sums = total(rows)
    over = ["", "", "1-bit", "real", "memory", "memory", "1-bit", "real"]
    heads = ["layer", "output", "params", "params", "float", "packed", "mult-adds", "mult-adds"]
    body = [[row.name, "x".join(map(str, row.output_shape)), *_numbers(asdict(row))] for row in rows]
    lines = [over, heads, *body, ["total", "", *_numbers(sums)]]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines = [_line(cells, widths) for cells in lines]
    rule = "-" * max(map(len, lines))
    lines = [title, *lines[:2], rule, *lines[2:-1], rule, lines[-1]]
    if sums["float_to_packed"] is not None and sums["binary_share"] is not None:
        lines.append(
            f"float / packed memory: {sums['float_to_packed']:.1f}; binary multiply-adds: "
            f"{sums['binary_share']:.2%} of all"
        )
    return "\n".join(lines)


def _line(cells, widths):
    name, *others = cells
    name_width, *other_widths = widths
    aligned = [cell.rjust(width) for cell, width in zip(others, other_widths, strict=True)]
    return "  ".join([name.ljust(name_width), *aligned])


def _numbers(counts):
    """The counts of a row or of the sums, in the order of `COUNTED`, as text."""
    return [
        _size(counts[name]) if name.endswith("bytes") else f"{counts[name]:,}" if counts[name] else "-"
        for name in COUNTED
    ]


def _size(number):
    """Bytes as text: ``640 B``, ``12.3 kB``, ``1.25 MB``."""
    if not number:
        return "-"
    if number < 1000:
        return f"{number} B"
    if number < 999_950:
        return f"{number / 1000:.1f} kB"
    return f"{number / 1e6:,.2f} MB"


def _row(layer):
    """The row of a layer: its own costs, and those that all layers reckon alike."""
    shape = tuple(layer.output_shape[1:])
    if None in shape:
        raise ValueError(
            f"{type(layer).__name__} has an output of shape {shape}; give the network's input all its lengths"
        )
    name, packed, binary_macs, real_macs = _costs(layer, math.prod(shape))
    binary, real = (_size_of(layer.get_params(binary=is_binary)) for is_binary in (True, False))
    return Row(name, shape, binary, real, FLOAT_BYTES * (binary + real), packed, binary_macs, real_macs)


def _size_of(params):
    return sum(p.get_value(borrow=True).size for p in params)


@singledispatch
def _costs(layer, outputs):
    """Name, bytes of the packed file, binary and real multiply-adds of a layer of so many output numbers."""
    raise ValueError(
        f"{type(layer).__name__} cannot be summarized; build the network from XNOR, dense, convolutional, "
        "batch norm, pooling, flatten and nonlinearity layers"
    )


@_costs.register
def _(layer: XNORConv2DLayer, outputs):
    _, channels, *window = layer.W.get_value(borrow=True).shape
    return _xnor(f"XNOR conv {_by(window)}", layer, layer.num_filters, channels, math.prod(window), outputs)


@_costs.register
def _(layer: XNORDenseLayer, outputs):
    inputs = len(layer.W.get_value(borrow=True))
    return _xnor("XNOR dense", layer, layer.num_units, inputs, 1, outputs)


def _xnor(name, layer, units, channels, taps, outputs):
    words = units + _size_of(layer.get_params(binary=False))
    packed = units * taps * -(-channels // 8) + WORD_BYTES * words
    return name, packed, outputs * channels * taps, outputs * (2 if layer.scale_inputs else 1)


@_costs.register
def _(layer: lasagne.layers.Conv2DLayer, outputs):
    return _real(f"conv {_by(layer.filter_size)}", layer, layer.W.get_value(borrow=True)[0].size, outputs)


@_costs.register
def _(layer: lasagne.layers.DenseLayer, outputs):
    return _real("dense", layer, len(layer.W.get_value(borrow=True)), outputs)


def _real(name, layer, fan_in, outputs):
    return name, WORD_BYTES * _size_of(layer.get_params()), 0, outputs * fan_in


def _batch_norm(layer, outputs):
    return "batch norm", WORD_BYTES * 2 * _size_of([layer.mean]), 0, outputs


for _class in {BatchNormLayer, getattr(lasagne.layers, "BatchNormLayer", BatchNormLayer)}:
    _costs.register(_class, _batch_norm)


@_costs.register
def _(layer: lasagne.layers.Pool2DLayer, outputs):
    kind = "max" if layer.mode == "max" else "average"
    return f"{kind} pool {_by(layer.pool_size)}", 0, 0, 0


@_costs.register
def _(layer: lasagne.layers.NonlinearityLayer, outputs):
    return getattr(layer.nonlinearity, "__name__", "nonlinearity"), 0, 0, 0


@_costs.register
def _(layer: lasagne.layers.FlattenLayer, outputs):
    return "flatten", 0, 0, 0


def _by(window):
    return "x".join(map(str, window))
