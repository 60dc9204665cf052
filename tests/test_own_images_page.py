"""The tutorial on own images works as it stands, each command and each line of Python."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import theano
from xnornet.cli import main

PAGE = (Path(__file__).resolve().parents[1] / "docs/tutorials/own_images.md").read_text(encoding="utf-8")
CLASSES = ("zero", "one", "two", "three", "four")


def clutter(rng, digit):
    """A digit of 8x8 values up to 16, three times as large, somewhere in a noisy color picture of 48x48."""
    picture = rng.integers(0, 90, (48, 48, 3)).astype(np.uint8)
    top, left = rng.integers(8, 17, 2)
    large = np.kron(digit, np.ones((3, 3))) * 15
    window = picture[top : top + 24, left : left + 24]
    window[...] = np.maximum(window, large[..., None])
    return Image.fromarray(picture)


@pytest.fixture
def shapes(tmp_path, monkeypatch):
    from sklearn.datasets import load_digits

    monkeypatch.chdir(tmp_path)
    rng, bunch = np.random.default_rng(0), load_digits()
    for k, name in enumerate(CLASSES):
        (tmp_path / "shapes" / name).mkdir(parents=True)
        for i, digit in enumerate(bunch.images[bunch.target == k][:150]):
            clutter(rng, digit).save(tmp_path / "shapes" / name / f"{i:03}.png")
    clutter(rng, bunch.images[bunch.target == 0][-1]).save(tmp_path / "new.png")


def test_the_tutorial_goes_from_pictures_to_a_classified_one(shapes, capsys, monkeypatch):
    net, training, inference = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    Path("shapes_net.py").write_text(net)
    monkeypatch.syspath_prepend(".")
    printed = {}
    with theano.config.change_flags(floatX="float32"):
        for command in re.findall(r"^\$ xnornet (.*)$", PAGE, re.MULTILINE):
            assert main(shlex.split(command)) == 0, capsys.readouterr().err
            printed.setdefault(command.split()[0], []).append(capsys.readouterr().out)
        names = {}
        exec(compile(training, "own_images.md", "exec"), names)
        rows = capsys.readouterr().out.count("'valid_error': ")
    assert "5 classes in shapes" in printed["data"][0] and "750 48x48 rgb" in printed["data"][0]
    errors = [float(re.match(r"error ([\d.]+)%", text)[1]) for text in printed["test"]]
    # Of five classes, chance is wrong on 80%.
    assert max(errors) < 40 and abs(errors[0] - errors[1]) < 10
    best, second = re.fullmatch(r"new.png: (\w+) [-\d.]+, (\w+) [-\d.]+\n", printed["classify"][0]).groups()
    assert "zero" in (best, second) and {best, second} < set(CLASSES)
    assert rows == 1 and 0 <= names["error"] <= 1

    exec(compile(inference, "own_images.md", "exec"), names)
    assert names["name"] == best and names["scores"].shape == (5,)
    pictures = np.stack([np.asarray(Image.open(path)) for path in sorted(Path("shapes/zero").glob("*.png"))])
    # One picture may be taken for another class; most zeros are not.
    assert np.mean(np.array(names["model"].classify(pictures)[0]) == "zero") > 0.5
    assert names["model"].class_names == tuple(sorted(CLASSES))
