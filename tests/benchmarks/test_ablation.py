"""The ablation: its table and picture, and runs that are finished, stopped or of other options."""

import json
import runpy
from pathlib import Path

import numpy as np
import pytest
from printed import assert_numbers

from xnornet import data
from xnornet.data.dataset import Dataset, Pixels, Split

PROGRAM = Path(__file__).resolve().parents[2] / "benchmarks" / "ablation.py"
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def stripes(monkeypatch):
    """Ten kinds of digits in MNIST's place: a bright stripe at one of ten heights, with noise."""
    rng = np.random.default_rng(0)

    def split(count):
        labels = rng.permutation(np.arange(count) % 10).astype(np.int32)
        pixels = rng.integers(0, 60, (count, 1, 28, 28))
        pixels[np.arange(count), 0, 4 + 2 * labels] += 180
        return Split(Pixels(pixels.astype(np.uint8)), labels)

    small = Dataset("mnist", 10, split(400), split(100), split(100))
    monkeypatch.setitem(data._LOADERS, "mnist", lambda path=None, download=True: small)


def test_variants_are_trained_once(run, stripes, tmp_path):
    options = ["mnist_convnet", "--only", "alpha,xnor_first,momentum", "--seeds", "1", "--epochs", "2"]
    options += ["--set", "num_filters=(3,4)", "--set", "num_units=8", "--out", str(tmp_path)]
    result = json.loads(run(*options, "--json").out)
    runs = {name: runs[0] for name, runs in result["variants"].items()}
    assert set(runs) == {"alpha", "xnor_first", "momentum"}
    for name, each in runs.items():
        asked = each["asked"]["options"]
        assert asked["real_first"] == (name != "xnor_first")
        assert not asked["scale_inputs"] and asked["scale_weights"]
        assert each["asked"]["recipe"]["optimizer"] == ("momentum" if name == "momentum" else "adam")
        assert len(each["epochs"]) == 2 and 0 <= each["test_error"] <= 1
    assert (tmp_path / "mnist_convnet.png").read_bytes().startswith(PNG)

    again = run(*options)
    assert not again.err
    rows = again.out.splitlines()
    assert rows[0].startswith("mnist_convnet num_filters=(3, 4) num_units=8 on mnist, 2 epochs, seeds 1")
    best = {name: min(epoch["valid_error"] for epoch in each["epochs"]) for name, each in runs.items()}
    assert_numbers(rows, [[each["test_error"]] * 2 + [best[name]] for name, each in runs.items()])

    with pytest.raises(SystemExit, match="is of other options; choose another --out"):
        run(*options, "--epochs", "3")


def test_the_table_has_the_means_of_all_seeds():
    format_result = runpy.run_path(str(PROGRAM))["format_result"]
    runs = [
        {"test_error": test, "epochs": [{"valid_error": first}, {"valid_error": second}]}
        for test, first, second in ((0.1, 0.3, 0.2), (0.2, 0.4, 0.5))
    ]
    result = {
        "network": "cifar10_convnet",
        "options": {"width": 0.25},
        "dataset": "cifar10",
        "epochs": 2,
        "seeds": [1, 2],
        "variants": {"K": runs},
    }
    row = format_result(result).splitlines()[-1]
    assert row.startswith("K, no alpha")
    assert_numbers([row], [[0.1, 0.2, 0.15, 0.3]])


def test_a_part_that_the_network_does_not_have_is_refused_in_one_line(run, capsys):
    with pytest.raises(SystemExit):
        run("mnist_mlp", "--only", "alpha,xnor_first")
    line = capsys.readouterr().err.splitlines()[-1]
    assert "mnist_mlp does not have xnor_first; it has alpha, K_alpha, plain" in line
