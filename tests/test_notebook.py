"""The notebook runs from top to bottom, and shows what its text says."""

import json
from pathlib import Path

import matplotlib
import numpy as np

import theano

NOTEBOOK = Path(__file__).resolve().parents[1] / "docs/notebooks/digits.ipynb"


def test_the_notebook_runs(capsys):
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    matplotlib.use("agg")
    names = {}
    with theano.config.change_flags(floatX="float32"):
        for i, cell in enumerate(cells):
            if cell["cell_type"] == "code":
                assert cell["outputs"] == [], "the notebook is kept without outputs"
                exec(compile("".join(cell["source"]), f"digits.ipynb, cell {i}", "exec"), names)
    matplotlib.pyplot.close("all")
    assert capsys.readouterr().out.count("\n") == 2
    # Weights flip, fewer later; alpha is the closest factor; the diagonal holds for most scores.
    assert names["flipped"][0] > names["flipped"][-1] > 0 and names["errors"][-1] < 0.06
    assert abs(names["closest"] - names["alpha"][0]) <= 0.005
    near = abs(names["in_fixed"] - names["in_float"]) < 0.05 * np.ptp(names["in_float"])
    assert near.mean() > 0.9
    assert names["test_errors"][-1] < 0.06 < names["test_errors"][0]
