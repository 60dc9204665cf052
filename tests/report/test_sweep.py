"""Sweeps: each point is the error of a network quantized on its own."""

import csv
import json

import lasagne
import matplotlib.image
import numpy as np
import pytest

import theano
from xnornet import cli, data, networks
from xnornet.graph import Formats, simulate
from xnornet.quantization import calibrate, quantize
from xnornet.report import Sweep, describe_sweep, sweep_bits, write_report
from xnornet.report import sweep as module
from xnornet.training import Recipe, train
from xnornet.training.weights import load_weights

WIDTHS = [5, 16]


@pytest.fixture(scope="module")
def digits():
    return data.load("digits")


@pytest.fixture(scope="module")
def trained(digits, tmp_path_factory):
    """A small network of the digits, and the file of its weights."""
    out = tmp_path_factory.mktemp("trained") / "net.npz"
    train("digits_mlp", digits, out, Recipe(3, 50, 0.01, 0.001), {"num_units": 32}, report=lambda line: None)
    layer = networks.build("digits_mlp", theano.tensor.tensor4(), num_units=32)
    params = lasagne.layers.get_all_params(layer)
    for param, value in zip(params, load_weights(out, params), strict=True):
        param.set_value(value.astype(param.dtype))
    return layer, out


@pytest.fixture(scope="module")
def sweep(trained, digits):
    test = digits.test
    return sweep_bits(trained[0], digits.train.images, test.images, test.labels, WIDTHS, progress=False)


def error_of(layer, dataset, formats):
    model = quantize(layer, dataset.train.images, formats)
    scores = simulate(model, dataset.test.images)
    return sum(row.tolist().index(max(row)) != k for row, k in zip(scores, dataset.test.labels, strict=True))


def test_each_point_is_a_network_quantized_on_its_own(trained, digits, sweep):
    assert sweep.widths == WIDTHS
    count = len(digits.test)
    for width, data_error, param_error in zip(WIDTHS, sweep.data_errors, sweep.param_errors, strict=True):
        assert data_error == error_of(trained[0], digits, Formats(data_bits=width - 1)) / count
        assert param_error == error_of(trained[0], digits, Formats(param_bits=width - 1)) / count
    assert sweep.data_errors[0] > sweep.data_errors[-1]


def test_the_widths_that_do_not_vary_are_those_of_the_formats(trained, digits):
    formats = Formats(input_bits=3, data_bits=5, param_bits=4)
    few = digits.test.images[:200], digits.test.labels[:200]
    found = sweep_bits(trained[0], digits.train.images, *few, [9], formats, batch_size=60, progress=False)
    split = data.Split(*few)
    cut = data.Dataset("digits", 10, digits.train, digits.valid, split)
    assert found.data_errors == [error_of(trained[0], cut, Formats(3, 8, 4)) / 200]
    assert found.param_errors == [error_of(trained[0], cut, Formats(3, 5, 8)) / 200]
    assert found.formats == formats


def test_at_16_bits_both_errors_are_those_of_the_test_command(trained, sweep, capsys):
    assert cli.main(["test", "--model", str(trained[1]), "--mode", "fixed", "--json"], dataset="digits") == 0
    error = json.loads(capsys.readouterr().out)["error"]
    assert sweep.data_errors[-1] == sweep.param_errors[-1] == error


def test_a_network_is_calibrated_once_and_not_tested_twice(trained, digits, monkeypatch):
    calls = []

    def count(function):
        return lambda *args, **options: calls.append(function.__name__) or function(*args, **options)

    for function in (calibrate, simulate):
        monkeypatch.setattr(module, function.__name__, count(function))
    few = digits.test.images[:20], digits.test.labels[:20]
    sweep_bits(trained[0], digits.train.images[:50], *few, [15, 16], progress=False)
    assert calls == ["calibrate"] + ["simulate"] * 3


@pytest.mark.parametrize(("count", "most"), [(10_000, 500), (360, 500), (26_032, 500), (997, 500), (7, 1)])
def test_batches_leave_no_rest_that_would_be_compiled_again(count, most):
    chosen = module._batch_size(count, most)
    assert most // 2 < chosen <= most
    divisors = [k for k in range(most // 2 + 1, most + 1) if count % k == 0]
    assert chosen == (max(divisors) if divisors else most)


@pytest.mark.parametrize("widths", [[], [1], [4, 17], [0, 8]])
def test_widths_are_2_to_16(trained, digits, widths):
    with pytest.raises(ValueError, match="^A sweep takes widths of 2 to 16 bits, sign incl") as error:
        sweep_bits(trained[0], digits.train.images, digits.test.images, digits.test.labels, widths)
    assert "\n" not in str(error.value)


def test_images_are_wanted(trained, digits):
    with pytest.raises(ValueError, match="at least one image"):
        sweep_bits(trained[0], digits.train.images, digits.test.images[:0], digits.test.labels[:0])
    with pytest.raises(ValueError, match="at least one image"):
        sweep_bits(trained[0], digits.train.images[:0], digits.test.images, digits.test.labels)


SWEEPS = {
    "wide": ([0.9, 0.2, 0.02, 0.015], [0.03, 0.02, 0.015, 0.015], 0.015),
    "narrow": ([0.4, 0.38, 0.37, 0.37], [0.375, 0.37, 0.37, 0.37], 0.37),
    "zero": ([0.5, 0.01, 0, 0], [0.1, 0, 0, 0], 0.0),
    "all zero": ([0.0] * 4, [0.0] * 4, 0.0),
}


@pytest.mark.parametrize("name", SWEEPS)
def test_a_sweep_is_a_table_and_a_picture(tmp_path, name):
    data_errors, param_errors, float_error = SWEEPS[name]
    widths = [4, 8, 12, 16]
    folder = tmp_path / "new" / "folder"
    sweep = Sweep(widths, data_errors, param_errors, Formats())
    paths = write_report(folder, describe_sweep(sweep, float_error, "title"))
    assert [p.name for p in paths] == ["bits.png", "bits.csv"]
    assert sorted(folder.iterdir()) == sorted(paths)
    header, *rows = csv.reader(open(paths[1], encoding="utf-8"))
    assert header == ["width", "data_error", "param_error"]
    np.testing.assert_allclose(
        np.array(rows, float), np.transpose([widths, data_errors, param_errors]), rtol=1e-5
    )
    height, width, _ = matplotlib.image.imread(paths[0]).shape
    assert 400 <= height <= 1000 and 700 <= width <= 1500


def test_the_picture_shows_the_float_error_and_the_widths():
    sweep = Sweep(list(range(4, 17)), [0.5] * 13, [0.4] * 13, Formats(data_bits=11))
    figure = describe_sweep(sweep, 0.0123, "a long title " * 30)["bits.png"]
    (axes,) = figure.axes
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == [
        "width of data, parameters at 16 bits",
        "width of parameters, data at 12 bits",
        "floating point, 1.23%",
    ]
    assert axes.get_xticks().tolist() == list(range(4, 17))
    assert len(figure.get_suptitle().splitlines()) > 1
