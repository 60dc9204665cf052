"""The page on PyTorch works as it stands: the network that it builds has PyTorch's scores."""

import re
from pathlib import Path

import lasagne
import numpy as np
import pytest

import theano

PAGE = (Path(__file__).resolve().parents[1] / "docs/how_to/pytorch.md").read_text(encoding="utf-8")

torch = pytest.importorskip("torch", reason="pip install torch")


def test_the_snippets_take_over_a_network(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    trained, taken_over = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names = {}
    exec(compile(trained, "docs/how_to/pytorch.md, block 0", "exec"), names)
    # Statistics and offsets other than those of a new network, as training leaves.
    images = torch.rand(5, 1, 28, 28)
    for parameter in names["model"].parameters():
        torch.nn.init.uniform_(parameter, -1, 1)
    names["model"](3 * images)
    torch.save(names["model"].eval().state_dict(), "net.pt")
    with theano.config.change_flags(floatX="float32"):
        exec(compile(taken_over, "docs/how_to/pytorch.md, block 1", "exec"), names)
        layers = lasagne.layers.get_all_layers(names["net"])
        scores = lasagne.layers.get_output(names["net"], deterministic=True)
        found = theano.function([layers[0].input_var], scores)(images.numpy())
    with torch.no_grad():
        expected = names["model"](images).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
