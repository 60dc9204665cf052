"""The page on ONNX works as it stands."""

import re
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from xnornet import load_packed
from xnornet.data.digits import LEVELS
from xnornet.graph import Operation

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs/how_to/onnx.md").read_text(encoding="utf-8")

for package in ("onnx", "onnxruntime", "qonnx"):
    pytest.importorskip(package, reason="pip install 'xnornet[qonnx]'")


class Absolute(Operation):
    """Of the page that shows how to add it."""


def test_the_snippets_give_what_they_say(tmp_path, monkeypatch, capsys):
    (tmp_path / "models").symlink_to(ROOT / "models")
    monkeypatch.chdir(tmp_path)
    names = {"Absolute": Absolute}
    for i, block in enumerate(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)):
        exec(compile(block, f"docs/how_to/onnx.md, block {i}", "exec"), names)
    assert capsys.readouterr().out.split() == [
        word for line in re.findall(r"print\(.*  # (.*)", PAGE) for word in line.split()
    ]
    graph, _ = load_packed("models/digits_mlp.npz")
    images = LEVELS[names["pixels"]]
    (*_, scores) = graph.evaluate(lambda operation, *n: operation.exact(np, *n), images)
    np.testing.assert_array_equal(names["scores"], scores)
    assert np.mean(np.array(names["classes"], int) == load_digits().target) > 0.98


def test_every_operator_that_is_not_onnx_s_own_is_named():
    text = (ROOT / "xnornet/export/onnx/arithmetics.py").read_text(encoding="utf-8")
    used = set(re.findall(r'self\.add\("(\w+)".*domain=QONNX', text))
    assert used == {"Quant", "BipolarQuant", "MultiThreshold"} and all(f"`{name}`" in PAGE for name in used)
