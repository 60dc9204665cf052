"""The examples of docs/concepts/fixed_point.md are right."""

import re
from pathlib import Path

import numpy as np

from xnornet.engine import Engine
from xnornet.fixedpoint import Q
from xnornet.graph import XNOR, Flatten, Graph, Quantize, Signs, Window

TEXT = (Path(__file__).resolve().parents[2] / "docs/concepts/fixed_point.md").read_text(encoding="utf-8")


def row(name):
    """Integers and format of a row of the table."""
    integers, q = re.search(rf"\| {re.escape(name)} \|([-+\d, ]*)\| ((?:Q\(.*?\))?)", TEXT).groups()
    q = Q(*map(int, re.findall(r"-?\d+", q))) if q else None
    return [int(n) for n in re.findall(r"[-+]?\d+", integers)], q


def test_the_worked_layer():
    n, q_in = row("input `n`")
    B, _ = row("`B`")
    alpha, q_alpha = row("`alpha`")
    b, q_b = row("`b`")
    _, q_out = row("output")
    assert (q_alpha.quantize([0.05]).tolist(), q_b.quantize([0.01]).tolist()) == (alpha, b)
    signs = Signs.pack(np.array(B, np.int8).reshape(1, 1, 1, 3))
    window = Window((1, 3), (1, 1), ((0, 0), (1, 1)))
    layer = XNOR(signs, np.array(alpha), q_alpha, np.array(b), q_b, True, window, q_in, q_out)
    model = Graph.chain((1, 1, 3), [Quantize(q_in), layer, Flatten()])
    images = q_in.dequantize(n).reshape(1, 1, 1, 3)
    found = Engine(model).run(images)[0].tolist()
    first = re.search(r"output  = .* =\s+(\d+) ", TEXT)[1]
    others = re.search(r"The other two outputs are (-?\d+) and (-?\d+)", TEXT).groups()
    assert found == [int(first), *map(int, others)]


def test_the_table_of_fixed_point_is_right():
    rows = re.findall(r"\| `Q\((\d+), (-?\d+)\)` \| (\d+) \| 1/(\d+) \|.*\| (\d+).*\| ([\d.]+) \|", TEXT)
    assert len(rows) == 3
    for bits, int_bits, f, steps, n, value in rows:
        q = Q(int(bits), int(int_bits))
        assert (q.f, 2**q.f, int(q.quantize(0.3))) == (int(f), int(steps), int(n))
        assert abs(q.dequantize(int(n)) - float(value)) < 1e-6
