"""The programs of docs/how_to/theano.md run, and do what it says they do."""

import re
from pathlib import Path

import jax
import numpy as np
import pytest

TEXT = (Path(__file__).resolve().parents[2] / "docs/how_to/theano.md").read_text(encoding="utf-8")


@pytest.mark.filterwarnings("error:.*JAX cannot")
def test_an_old_program_trains_after_five_lines_have_changed(capsys):
    (patch,) = re.findall(r"```diff\n(.*?)```", TEXT, re.DOTALL)
    removed = [line for line in patch.splitlines() if line.startswith("-")]
    assert len(removed) == 5
    program = "\n".join(line[1:] for line in patch.splitlines() if line not in removed)
    exec(compile(program, "docs/how_to/theano.md", "exec"), {})
    losses = [float(line.split()[1]) for line in capsys.readouterr().out.splitlines()]
    assert len(losses) == 10 and losses[-1] < 0.2 < losses[0]


@pytest.fixture(scope="module")
def names():
    """What the two programs about PyTensor and JAX define, each run in turn."""
    names = {}
    for program in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL):
        exec(compile(program, "docs/how_to/theano.md", "exec"), names)
    return names


def test_functions_of_pytensor_and_jax_take_part_in_a_graph(names):
    rows = np.arange(6.0).reshape(2, 3)
    names["W"].set_value(np.eye(3, dtype="float32"))
    expected = np.log(np.exp(rows).sum(axis=1))
    np.testing.assert_allclose(names["smooth_maximum"](names["rows"]), expected, rtol=1e-6)
    sigmoid = 1 / (1 + np.exp(-rows))
    to_product = sigmoid + rows * sigmoid * (1 - sigmoid)
    np.testing.assert_allclose(names["slope"](names["rows"]), rows.T @ to_product, rtol=1e-5)


def test_a_graph_takes_part_in_jax(names):
    w = np.eye(3, dtype="float32")
    rows = np.arange(6.0).reshape(2, 3)
    tanh = np.tanh(rows)
    expected = rows.T @ (2 * tanh * (1 - tanh**2)) / 6
    np.testing.assert_allclose(names["gradient"](w), expected, rtol=1e-4, atol=1e-7)
    assert isinstance(names["on_device"], jax.Array)


def test_a_shared_variable_takes_what_jax_computed(names):
    W = names["W"]
    W.set_value(names["on_device"] + 1)
    np.testing.assert_array_equal(W.get_value(), np.eye(3) + 1)
