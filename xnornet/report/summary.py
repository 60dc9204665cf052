"""What a network costs: parameters, memory and multiply-adds of each layer, counted and not measured.

How long a network takes and how it scores is left to the programs that run it.
"""

import math
from dataclasses import asdict, dataclass

from xnornet.errors import ModelError
from xnornet.export.c import arena_of, lower
from xnornet.graph import Cost, Graph, Quantize

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
    ram_bytes : int
        Of the exported C's arena that are in use while it computes the layer; 0 for a layer that is computed
        along with the one before, and where the network has no form in C. Flash is `packed_bytes` and code.
    """

    name: str
    output_shape: tuple
    binary_params: int
    real_params: int
    float_bytes: int
    packed_bytes: int
    binary_macs: int
    real_macs: int
    ram_bytes: int


COUNTED = ("binary_params", "real_params", "float_bytes", "packed_bytes", "binary_macs", "real_macs")


def summarize(network):
    """Count what each layer of a network, or each node of a graph, costs.

    Parameters
    ----------
    network : Layer or Graph
        Output layer of a network, or a graph, of which training saves what it holds.

    Returns
    -------
    list of Row
        One for each layer behind the input, those left out that only training needs.

    Raises
    ------
    ValueError
        The network holds a layer that has no exact form, or leaves a length open.
    """
    if isinstance(network, Graph):
        graph, params = network, [_params_of(operation) for operation in network.operations]
        owners = list(range(len(graph.nodes)))
    else:
        from xnornet.quantization.layers import convert

        graph, owners = convert(network)
        params = [_params_of_layer(layer) for layer in owners]
    shapes, ram = graph.shapes(), _ram_of_nodes(graph)
    rows = {}
    for i, (node, owner) in enumerate(zip(graph.nodes, owners, strict=True)):
        if not isinstance(node.operation, Quantize):
            inputs = [shapes[k] for k in node.inputs]
            rows.setdefault(owner, []).append((node.operation, inputs, shapes[i], params[i], ram.get(i, 0)))
    return [_row(parts) for parts in rows.values()]


def total(rows):
    """Sums over the layers, for a program to read.

    Returns
    -------
    dict
        The sum of each count of `Row`, under its name, but of ``ram_bytes`` the largest;
        ``float_to_packed``, the ratio of the two sums of bytes, and ``binary_share`` of all multiply-adds,
        each None where there is nothing to divide by; and ``layers``, each row as a dictionary.
    """
    sums = {name: sum(getattr(row, name) for row in rows) for name in COUNTED}
    macs = sums["binary_macs"] + sums["real_macs"]
    return {
        **sums,
        "ram_bytes": max((row.ram_bytes for row in rows), default=0),
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
    over = ["", "", "1-bit", "real", "memory", "memory", "1-bit", "real", "RAM"]
    heads = ["layer", "output", "params", "params", "float", "packed", "mult-adds", "mult-adds", "in C"]
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
    """The counts of a row or of the sums, in the order of `COUNTED`, and the RAM, as text."""
    return [
        _size(counts[name]) if name.endswith("bytes") else f"{counts[name]:,}" if counts[name] else "-"
        for name in (*COUNTED, "ram_bytes")
    ]


def _size(number):
    """Bytes as text: ``640 B``, ``12.3 kB``, ``123 kB``, ``1.25 MB``."""
    if not number:
        return "-"
    if number < 1000:
        return f"{number} B"
    if number < 999_500:
        return f"{number / 1000:.{1 if number < 99_950 else 0}f} kB"
    return f"{number / 1e6:,.2f} MB"


def _row(parts):
    """The row of the operations of one layer, each with its inputs' and its output's shape."""
    operations, inputs, shapes, params, ram = zip(*parts, strict=True)
    costs = [operation.cost(*own) for operation, own in zip(operations, inputs, strict=True)]
    cost = Cost(sum(c.binary_macs for c in costs), sum(c.real_macs for c in costs))
    binary, real = params[0]
    packed = sum(map(_packed_bytes, operations))
    return Row(
        operations[0].title(),
        shapes[-1],
        binary,
        real,
        FLOAT_BYTES * (binary + real),
        packed,
        cost.binary_macs,
        cost.real_macs,
        max(ram),
    )


def _ram_of_nodes(graph):
    """Bytes of the arena in C, by the node where each of its layers begins."""
    try:
        layers, _, _ = lower(graph)
    except ModelError:
        return {}
    places = {id(node.operation): i for i, node in enumerate(graph.nodes)}
    nodes = [places.get(id(layer.operation), layer.node) for layer in layers]
    found = {}
    for node, taken in zip(nodes, arena_of(layers), strict=True):
        found[node] = max(taken, found.get(node, 0))
    return found


def _packed_bytes(operation):
    signs = getattr(operation, "signs", None)
    words = sum(getattr(operation, name).size for name in operation.arrays())
    return WORD_BYTES * words + (0 if signs is None else signs.bits.size)


def _params_of(operation):
    """Binary and real parameters of an operation."""
    signs = getattr(operation, "signs", None)
    real = sum(getattr(operation, name).size for name in operation.arrays())
    return 0 if signs is None else math.prod(signs.shape), real


def _params_of_layer(layer):
    """Binary and real parameters that training saves of a layer."""
    return tuple(
        sum(p.get_value(borrow=True).size for p in layer.get_params(binary=binary))
        for binary in (True, False)
    )
