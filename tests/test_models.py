"""The models that ship: they load, run in every mode, and have the errors that their table lists."""

import re
from pathlib import Path

import numpy as np
import pytest

from xnornet import data
from xnornet.cli import main
from xnornet.data import DataError
from xnornet.engine import Engine
from xnornet.graph import load_packed, simulate

MODELS = Path(__file__).resolve().parents[1] / "models"
NAMES = ("digits_mlp", "mnist_mlp", "mnist_convnet", "cifar10_convnet")
LARGEST = 6e6

# | [`name`](name.npz) | ... | float | fixed | packed |
ROW = re.compile(r"^\| \[`(\w+)`\]\(\1\.npz\) \|.*\| ([\d.]+)% \| ([\d.]+)% \| ([\d.]+)% \|$", re.MULTILINE)


def listed():
    """Errors in float, fixed and packed mode of each model, in percent, as the table has them."""
    text = (MODELS / "README.md").read_text(encoding="utf-8")
    return {name: errors for name, *errors in ROW.findall(text)}


def test_the_table_lists_the_models_that_are_there():
    assert set(listed()) == set(NAMES) == {path.stem for path in MODELS.glob("*.npz")}


@pytest.mark.parametrize("name", NAMES)
def test_a_model_is_small_and_says_what_it_is(name):
    path = MODELS / f"{name}.npz"
    assert path.stat().st_size < LARGEST
    _, header = load_packed(path)
    assert header["network"] == name
    assert {"arguments", "dataset", "epochs", "epoch", "seed", "errors", "versions"} <= header.keys()


@pytest.mark.parametrize("name", NAMES)
def test_fixed_and_packed_errors_are_close_to_float(name):
    exact, *rounded = map(float, listed()[name])
    assert all(abs(error - exact) <= 0.1 for error in rounded)


@pytest.mark.parametrize("name", NAMES)
def test_fixed_and_packed_errors_are_equal(name):
    _, fixed, packed = listed()[name]
    assert fixed == packed


def loaded(name):
    """A model, and its data set; a test without the images that the table is about is skipped."""
    model, header = load_packed(MODELS / f"{name}.npz")
    try:
        dataset = data.load(header["dataset"], download=False)
    except DataError as error:
        pytest.skip(f"needs the files of {header['dataset']}: {error}")
    if dataset.name != "digits" and not data.check(dataset.name):
        pytest.skip(f"the {header['dataset']} at hand is another copy than that of the table")
    return model, dataset


def classes_of(model, images):
    engine = Engine(model)
    return np.concatenate([engine.predict(images[i : i + 500]) for i in range(0, len(images), 500)])


@pytest.mark.parametrize("name", NAMES)
def test_a_packed_model_has_the_error_that_is_listed(name):
    model, dataset = loaded(name)
    error = np.mean(classes_of(model, dataset.test.images) != dataset.test.labels)
    assert f"{error:.2%}" == listed()[name][2] + "%"


@pytest.mark.parametrize("name", NAMES)
def test_rounding_changes_no_class(name):
    """Signs are those of real numbers, and hardly ever are two scores so close that rounding turns them."""
    model, dataset = loaded(name)
    images = dataset.test.images[:2000]
    in_real_numbers = simulate(model, images, real=True).argmax(axis=1)
    assert np.sum(classes_of(model, images) != in_real_numbers) <= 2


@pytest.mark.parametrize(("place", "mode"), [(0, "float"), (1, "fixed"), (2, "packed")])
def test_the_model_for_digits_has_the_errors_that_are_listed_in_every_mode(place, mode, capsys):
    options = ["test", "--model", str(MODELS / "digits_mlp.npz"), "--mode", mode]
    assert main(options, dataset="digits") == 0
    error = listed()["digits_mlp"][place]
    assert capsys.readouterr().out.startswith(f"error {error}% ")
