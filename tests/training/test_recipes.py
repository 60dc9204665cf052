"""The numbers of a run: its rates, and what is out of range."""

import numpy as np
import pytest

from xnornet import networks
from xnornet.catalog import SCHEDULES
from xnornet.training import RECIPES, Recipe


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


def test_an_unknown_schedule_is_refused():
    with pytest.raises(ValueError, match="'linear'; it takes exponential or cosine"):
        Recipe(1, 1, 1.0, 1.0, schedule="linear")
