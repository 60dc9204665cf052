"""The numbers of a run: its rates, and what is out of range."""

import numpy as np
import pytest

from xnornet import networks
from xnornet.catalog import SCHEDULES
from xnornet.training import RECIPES, Recipe, recipe_of


def rates(schedule):
    recipe = Recipe(5, 1, lr=0.1, lr_end=0.001, schedule=schedule)
    return [recipe.lr_at(epoch) for epoch in range(5)]


def test_the_exponential_schedule_keeps_its_factor():
    np.testing.assert_allclose(rates("exponential"), np.geomspace(0.1, 0.001, 5))


def test_the_cosine_schedule_is_half_a_wave():
    # cos(0), cos(45 degrees), cos(90), cos(135), cos(180)
    heights = np.array([1, np.sqrt(0.5), 0, -np.sqrt(0.5), -1])
    np.testing.assert_allclose(rates("cosine"), 0.001 + 0.099 * (heights + 1) / 2)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_run_of_one_epoch_takes_the_first_rate(schedule):
    assert Recipe(1, 1, lr=0.1, lr_end=0.001, schedule=schedule).lr_at(0) == pytest.approx(0.1)


def test_every_network_has_a_recipe():
    assert set(RECIPES) == set(networks.NETWORKS)


@pytest.mark.parametrize("field", ["epochs", "batch_size", "lr", "lr_end"])
@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf")])
def test_a_recipe_takes_positive_numbers(field, value):
    numbers = {"epochs": 1, "batch_size": 1, "lr": 1.0, "lr_end": 1.0, field: value}
    with pytest.raises(ValueError, match=field):
        Recipe(**numbers)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"weight_decay": -1}, "weight_decay is -1"),
        ({"patience": -1}, "patience is -1"),
        ({"label_smoothing": 1.0, "loss": "crossentropy"}, "label_smoothing is 1.0"),
        ({"label_smoothing": 0.1}, "label_smoothing is for the loss crossentropy"),
        ({"optimizer": "sgd"}, "'sgd'; it takes adam or momentum"),
        ({"loss": "mse"}, "'mse'; it takes hinge or crossentropy"),
    ],
)
def test_other_choices_are_refused_where_they_are_wrong(wrong, words):
    with pytest.raises(ValueError, match=words):
        Recipe(1, 1, 1.0, 1.0, **wrong)


def test_a_recipe_of_a_module_changes_the_usual_one_and_options_change_that():
    source = networks.Source("mine.py:build", print, recipe={"epochs": 3, "lr": 0.5})
    recipe = recipe_of(source, lr=0.25, batch_size=None)
    assert (recipe.epochs, recipe.lr, recipe.batch_size) == (3, 0.25, 50)
    assert recipe_of(networks.find("mnist_mlp")) == RECIPES["mnist_mlp"]


def test_an_unknown_schedule_is_refused():
    with pytest.raises(ValueError, match="'linear'; it takes exponential or cosine"):
        Recipe(1, 1, 1.0, 1.0, schedule="linear")
