"""Networks and images of the user's own in the commands: what is named before anything is trained.

docs/tutorials/own_images.md, which a test runs, goes through the commands when nothing is wrong.
"""

import json

import lasagne
import numpy as np
import pytest
from printed import error_line

from xnornet import networks
from xnornet.cli import main
from xnornet.training.weights import save_weights

NET = """
from lasagne.layers import DenseLayer, InputLayer, NonlinearityLayer
from lasagne.nonlinearities import tanh

RECIPE = {"epochs": 2, "lr": 0.02}


def build(input_var, input_shape, num_classes, units=4):
    net = DenseLayer(InputLayer((None, *input_shape), input_var), units, nonlinearity=None)
    return DenseLayer(net, num_classes, nonlinearity=None)


def squashed(input_var, input_shape, num_classes):
    return NonlinearityLayer(build(input_var, input_shape, num_classes), tanh)


def ten(input_var, input_shape, num_classes):
    return build(input_var, input_shape, 10)


def larger(input_var, input_shape, num_classes):
    return build(input_var, (3, 9, 9), num_classes)


def nothing(input_var, input_shape, num_classes):
    pass


def fails(input_var, input_shape, num_classes):
    return DenseLayer("x", num_classes)


def alone(input_var):
    pass
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with a file of networks, and arrays of three classes."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nets.py").write_text(NET)
    X = np.random.default_rng(0).integers(0, 256, (30, 1, 4, 5), np.uint8)
    y = np.arange(30) % 3
    np.savez("mine.npz", X_train=X, y_train=y, X_test=X[:6], y_test=y[:6], class_names=["a", "b", "c"])
    return tmp_path


def refuses(capsys, *argv):
    assert main([*map(str, argv)]) == 1
    printed = capsys.readouterr()
    (line,) = (line for line in printed.err.splitlines() if line.startswith("error: "))
    return line, printed.err


@pytest.mark.parametrize(
    ("net", "words"),
    [
        (
            "nets.py:ten",
            "nets.py:ten: should give 3 scores, one for each class; its output has shape (None, 10)",
        ),
        ("nets.py:larger", "should have one InputLayer of shape (None, 1, 4, 5); found (None, 3, 9, 9)"),
        ("nets.py:nothing", "returned NoneType; it should return the last Lasagne layer"),
        (
            "nets.py:alone",
            "nets.py:alone: takes (input_var); a network is a function (input_var, input_shape",
        ),
        ("nets.py:none", "nets.py: has no function 'none'"),
        ("none.py:build", "none.py: not found; name a network as FILE.py:FUNCTION"),
        ("no_such_module:build", "there is no module 'no_such_module'"),
        ("resnet", "Network 'resnet' is unknown; choose one of digits_mlp"),
        ("mnist_convnet", "mnist_convnet on mine: images of 4x5 are too small; it takes"),
    ],
)
def test_a_network_that_does_not_fit_is_named_before_training(place, capsys, net, words):
    if net == "mnist_convnet":
        np.savez("mine.npz", **{**np.load("mine.npz"), "X_train": np.zeros((30, 1, 2, 5), np.uint8),
                                "X_test": np.zeros((6, 1, 2, 5), np.uint8)})  # fmt: skip
        words = words.replace("4x5", "2x5")
    line, _ = refuses(capsys, "train", "--images", "mine.npz", "--net", net, "--out", "out/m.npz")
    assert words in line
    assert not list(place.glob("out/*.npz"))


def test_a_file_that_raises_shows_its_own_lines_alone(place, capsys):
    line, errors = refuses(capsys, "summary", "nets.py:fails", "--shape", "1x4x5", "--classes", "3")
    assert line.startswith("error: nets.py:fails: raised ")
    assert 'return DenseLayer("x", num_classes)' in errors and "lasagne/layers" not in errors
    (place / "broken.py").write_text("import lasagne\n\nlasagne.nothing\n")
    line, errors = refuses(capsys, "summary", "broken.py:build")
    assert "broken.py:build: raised AttributeError: " in line and 'broken.py", line 3' in errors
    (place / "broken.py").write_text("def build(:\n")
    line, errors = refuses(capsys, "summary", "broken.py:build")
    assert "raised SyntaxError: " in line and "def build(:" in errors


def test_a_network_that_the_engine_cannot_run_is_reported_before_training(place, capsys):
    argv = ["train", "--images", "mine.npz", "--net", "nets.py:squashed", "--for-engine", "--out", "m.npz"]
    line, _ = refuses(capsys, *argv)
    assert "the packed engine cannot run it: " in line and "tanh has no exact form" in line


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["train"], "expected the name of a dataset, or your own images with --images; neither is given"),
        (["train", "mnist", "--images", "mine.npz"], "with --images; both are given"),
        (["train", "--images", "mine.npz"], "--images needs a network; name one with --net"),
        *(
            (
                ["train", "--images", "mine.npz", "--net", "nets.py:build", *option],
                f"{option[0]} is for folders",
            )
            for option in (["--size", "4x4"], ["--color", "grey"], ["--skip-bad"])
        ),
        (["train", "--images", "none", "--net", "nets.py:build"], "none: not found; images come as a folder"),
        (
            ["train", "--images", "mine.npz", "--net", "nets.py:build", "--set", "depth=3"],
            "no option 'depth'",
        ),
        (["test", "--model", "m.npz"], "neither is given"),
        (["train", "digits", "--label-smoothing", "0.1"], "label_smoothing is for the loss crossentropy"),
        (["summary", "nets.py:build"], "has no default for input_shape; give it with --shape and --classes"),
    ],
)
def test_wrong_options_are_one_line(place, capsys, argv, words):
    line, errors = refuses(capsys, *argv, *(["--out", "m.npz"] if argv[0] == "train" else []))
    assert words in line and "Traceback" not in errors


def test_a_recipe_of_another_form_is_named(place, capsys):
    (place / "nets.py").write_text(NET.replace('"lr"', '"rate"'))
    line, _ = refuses(capsys, "train", "--images", "mine.npz", "--net", "nets.py:build", "--out", "m.npz")
    assert "nets.py:build: RECIPE should be a dictionary of epochs, batch_size" in line


@pytest.fixture
def weights(place):
    """Random weights of a network of the file, with the header that training writes."""
    source = networks.find("nets.py:build")
    layer = networks.build(source, None, (1, 4, 5), 3, units=6)
    header = {
        "network": source.name,
        "arguments": {"units": 6},
        "dataset": "mine",
        "network_md5": source.md5,
        "network_path": str(source.file),
        "class_names": ["a", "b", "c"],
        "preprocessing": {"full_scale": 127 / 128, "whitening": None, "size": [4, 5], "color": "grey"},
    }
    save_weights("m.npz", lasagne.layers.get_all_param_values(layer), header)
    return header


def test_the_network_is_found_again_and_a_change_is_reported(place, weights, capsys, monkeypatch):
    def errors(*more):
        argv = ["test", "--images", str(place / "mine.npz"), "--model", str(place / "m.npz"), "--json", *more]
        status = main(argv)
        printed = capsys.readouterr()
        return json.loads(printed.out)["errors"] if status == 0 else printed.err, printed.err

    wanted, warned = errors()
    assert not warned
    (place / "elsewhere").mkdir()
    monkeypatch.chdir(place / "elsewhere")
    assert errors() == (wanted, "")
    (place / "nets.py").rename(place / "elsewhere" / "moved.py")
    message, _ = errors()
    assert (
        "its network was nets.py:build, and" in message
        and "name its file with --net FILE.py:build" in message
    )
    assert errors("--net", "moved.py:build") == (wanted, "")
    (place / "nets.py").write_text(NET + "\n# More.\n")
    found, warned = errors()
    assert found == wanted and "nets.py has changed since" in warned


def test_a_packed_model_no_longer_needs_the_file_and_classifies(place, weights, capsys):
    from PIL import Image

    assert main(["pack", "--images", "mine.npz", "--model", "m.npz", "--out", "p.npz"]) == 0
    (place / "nets.py").unlink()
    assert main(["test", "--images", "mine.npz", "--model", "p.npz"]) == 0
    Image.new("RGBA", (50, 40), (9, 200, 30, 99)).save("one.png")
    (place / "bad.png").write_bytes(b"no")
    capsys.readouterr()
    assert main(["classify", "--model", "p.npz", "--json", "--skip-bad", "--top", "9", "."]) == 0
    printed = json.loads(capsys.readouterr().out)
    (result,), (bad,) = printed["pictures"], printed["left_out"]
    assert bad.startswith("bad.png: is no picture")
    assert result["file"] == "one.png" and set(result["scores"]) == {"a", "b", "c"}
    assert result["class"] == max(result["scores"], key=result["scores"].get)
    assert main(["classify", "--model", "p.npz", "bad.png"]) == 1
    assert "bad.png: is no picture" in error_line(capsys)
    assert main(["test", "digits", "--model", "p.npz"]) == 1
    assert "was trained on mine, not digits" in error_line(capsys)


def test_a_run_is_not_resumed_with_a_changed_network_file(place, capsys):
    argv = ["train", "--images", "mine.npz", "--net", "nets.py:build", "--out", "m.npz"]
    assert main([*argv, "--max-minutes", "1e-9"]) == 0
    (place / "nets.py").write_text(NET + "# another one\n")
    line, _ = refuses(capsys, *argv, "--resume")
    assert "m.checkpoint.npz: belongs to a run of another version of nets.py:build" in line
    assert (place / "m.checkpoint.npz").exists()


def test_images_of_other_classes_are_refused(place, weights, capsys):
    np.savez("mine.npz", **{**np.load("mine.npz"), "class_names": ["x", "y", "z"]})
    line, _ = refuses(capsys, "test", "--images", "mine.npz", "--model", "m.npz")
    assert "has the classes a, b, c; those of mine are x, y, z" in line


def test_images_on_disk_are_tested_and_packed_as_those_in_memory(place, weights, capsys, monkeypatch):
    def results():
        assert main(["pack", "--images", "mine.npz", "--model", "m.npz", "--out", "p.npz"]) == 0
        with np.load("p.npz") as file:
            yield {name: bytes(file[name]) for name in file.files}
        for model, mode in (("m.npz", "float"), ("m.npz", "fixed"), ("p.npz", "packed")):
            capsys.readouterr()
            argv = ["--mode", mode, "--batch-size", "2", "--no", "5", "--json"]
            assert main(["test", "--images", "mine.npz", "--model", model, *argv]) == 0
            found = json.loads(capsys.readouterr().out)
            yield {name: found[name] for name in ("errors", "images", "mode")}

    in_memory = list(results())
    monkeypatch.setattr("xnornet.data.stored.available_memory", lambda: 0)
    assert list(results()) == in_memory
