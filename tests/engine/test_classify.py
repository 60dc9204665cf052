"""Pixels as they are in a picture: scaled as the model says, and answered by name."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from small_models import convolutional

from xnornet import data, engine
from xnornet.data import Whitening, preprocessing_of, save_whitening
from xnornet.engine import Engine
from xnornet.errors import ModelError
from xnornet.graph import Graph, load_packed, save_packed

MODELS = Path(__file__).resolve().parents[2] / "models"
RANGE = {"full_scale": 127 / 128, "whitening": None}
GRAPH = convolutional(scale_inputs=False, flattened=False, channels=33)


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(0).integers(0, 256, (3, *GRAPH.input_shape), np.uint8)


def engine_of(preprocessing=RANGE, **info):
    return Engine(GRAPH, info={"preprocessing": preprocessing, **info})


def test_scores_are_those_of_pixels_scaled_by_hand(pixels):
    model = engine_of(class_names=["a", "b", "c", "d"])
    names, scores = model.classify(pixels)
    wanted = model.run(((2.0 * pixels / 255 - 1) * 127 / 128).astype("float32"))
    np.testing.assert_array_equal(scores, wanted * 2.0**-model.q_out.f)
    assert names == ["abcd"[k] for k in wanted.argmax(axis=1)]


def test_channels_may_be_first_or_last_and_an_image_alone(pixels):
    model = engine_of()
    names, scores = model.classify(pixels)
    for found in (
        model.classify(pixels.transpose(0, 2, 3, 1)),
        pickle.loads(pickle.dumps(model)).classify(pixels),
    ):
        assert found[0] == names
        np.testing.assert_array_equal(found[1], scores)
    for image in (pixels[1], pixels[1].transpose(1, 2, 0)):
        name, own = model.classify(image)
        assert name == names[1] and model.class_names == ("0", "1", "2", "3")
        np.testing.assert_array_equal(own, scores[1])


def test_mean_and_deviation_of_each_channel_are_followed(pixels):
    mean, deviation = [0.4, 0.6], [0.5, 0.25]
    model = engine_of({"mean": mean, "deviation": deviation})
    images = np.stack([(pixels[:, k] / 255 - mean[k]) / deviation[k] for k in (0, 1)], axis=1)
    with pytest.warns(UserWarning, match="lie beyond"):
        wanted = model.run(images.astype("float32"))
        np.testing.assert_array_equal(model.classify(pixels)[1], wanted * 2.0**-model.q_out.f)


def test_a_whitening_beside_the_file_is_applied(tmp_path):
    graph = convolutional(scale_inputs=False, flattened=False, channels=33)
    whitening = Whitening(np.zeros(60), np.eye(60), 0.4)
    pixels = np.random.default_rng(0).integers(0, 256, (2, *graph.input_shape), np.uint8)
    recorded = {**RANGE, "whitening": whitening.checksum}
    save_packed(tmp_path / "m.npz", graph, {"preprocessing": recorded})
    with pytest.raises(ModelError, match="needs the m.whitening.npz"):
        engine.load(tmp_path / "m.npz").classify(pixels)
    save_whitening(tmp_path / "m.npz", whitening)
    model = engine.load(tmp_path / "m.npz")
    wanted = model.run(whitening(pixels)) * 2.0**-model.q_out.f
    np.testing.assert_array_equal(model.classify(pixels)[1], wanted)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (np.zeros((1, 2, 6, 5), "float32"), "classify takes pixels, uint8 from 0 to 255; got float32"),
        (np.zeros((1, 2, 6, 5), "int64"), "got int64. Pass scaled numbers to run or predict"),
        (np.zeros((2, 5, 6), "uint8"), r"an image of shape \(2, 6, 5\) or \(6, 5, 2\), .*; got \(2, 5, 6\)"),
        (np.zeros((6, 5), "uint8"), r"got \(6, 5\)"),
        (np.zeros((1, 3, 6, 5), "uint8"), r"got \(1, 3, 6, 5\)"),
    ],
)
def test_what_are_no_pixels_is_refused_with_the_remedy(wrong, words):
    with pytest.raises(ValueError, match=words):
        engine_of().classify(wrong)


@pytest.mark.parametrize(
    ("info", "words"),
    [
        ({}, "the model does not record how its pixels were scaled; .* call run or predict"),
        ({"preprocessing": {"full_scale": None}}, "does not record"),
        ({"preprocessing": {"full_scale": "x"}}, "full_scale should be a positive number; found 'x'"),
        ({"preprocessing": {"mean": [0.5]}}, "mean and deviation should be lists"),
        ({"preprocessing": {"mean": [0.5], "deviation": [0]}}, "deviations positive"),
        ({"preprocessing": 3}, "preprocessing should be an object"),
        ({"preprocessing": {**RANGE, "whitening": "x"}}, "whitened images; load it from its file"),
        ({"preprocessing": RANGE, "class_names": "abcd"}, "class_names should be a list of text"),
        ({"preprocessing": RANGE, "class_names": ["a"]}, "has 4 scores, and 1 class names"),
    ],
)
def test_an_incomplete_header_is_an_error(pixels, info, words):
    with pytest.raises(ModelError, match=words):
        Engine(GRAPH, info=info).classify(pixels)


def test_scores_that_are_not_one_for_each_class_are_refused(pixels):
    maps = Graph.chain(GRAPH.input_shape, GRAPH.operations[:2])
    with pytest.raises(ModelError, match=r"scores of shape \(\d+, \d+, \d+\) .* not one for each class"):
        Engine(maps, info={"preprocessing": RANGE}).classify(pixels)


@pytest.mark.parametrize("name", ["digits_mlp", "mnist_convnet", "cifar10_convnet"])
def test_models_that_ship_know_their_input(name):
    info = load_packed(MODELS / f"{name}.npz")[1]
    assert info["class_names"] == list(data.class_names(info["dataset"]))
    assert {"size", "color", "full_scale"} <= info["preprocessing"].keys()


def test_the_model_for_digits_classifies_pictures_of_them():
    digits = data.load("digits")
    model = engine.load(MODELS / "digits_mlp.npz")
    assert model.info["preprocessing"] == preprocessing_of(digits)
    # Their values from 0 to 16 as pixels, rounded.
    pixels = np.rint((digits.test.images / (127 / 128) + 1) * 127.5).astype(np.uint8)
    names, _ = model.classify(pixels[:, 0, :, :, np.newaxis])
    assert np.mean([int(name) for name in names] != digits.test.labels) < 0.02
