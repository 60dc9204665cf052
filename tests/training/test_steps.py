"""The loss and the training step."""

from dataclasses import replace

import jax
import numpy as np
import pytest

import theano
import theano.tensor as T
from xnornet import data
from xnornet.training import Recipe
from xnornet.training.steps import Steps, cross_entropy, squared_hinge

RECIPE = Recipe(1, 50, lr=0.01, lr_end=0.01)


def test_squared_hinge_is_the_mean_over_images_and_classes():
    scores, labels = T.matrix(), T.ivector()
    loss = theano.function([scores, labels], squared_hinge(scores, labels, 3))
    values = np.array([[2.0, -0.5, 0.25], [0.0, 0.5, -3.0]], np.float32)
    total = 0.0
    for row, label in zip(values, (0, 2), strict=True):
        for k, score in enumerate(row):
            total += max(0.0, 1 - (1 if k == label else -1) * float(score)) ** 2
    np.testing.assert_allclose(loss(values, np.array([0, 2], np.int32)), total / 6, rtol=1e-6)


def test_cross_entropy_is_that_of_a_plain_loop():
    scores, labels = T.matrix(), T.ivector()
    values = np.array([[2.0, -0.5, 0.25], [0.0, 500.0, -3.0]], np.float32)
    for smoothing in (0.0, 0.3):
        loss = theano.function([scores, labels], cross_entropy(scores, labels, 3, smoothing))
        total = 0.0
        for row, label in zip(values.astype(np.float64), (0, 1), strict=True):
            for k, score in enumerate(row):
                target = smoothing / 3 + (1 - smoothing) * (k == label)
                total -= target * (score - row.max() - np.log(np.exp(row - row.max()).sum()))
        np.testing.assert_allclose(loss(values, np.array([0, 1], np.int32)), total / 2, rtol=1e-5)


def test_weight_decay_takes_its_share_of_weights_and_leaves_biases_alone():
    digits, rows = data.load("digits"), np.arange(50)
    after = []
    for decay in (0.0, 0.5):
        recipe = replace(RECIPE, optimizer="momentum", weight_decay=decay, gradients="float32")
        steps = Steps("digits_mlp", {"num_units": 8}, digits, recipe)
        before = [p.get_value() for p in steps.params]
        steps.set_lr(0.1)
        steps.step(rows)
        after.append([p.get_value() for p in steps.params])
    # One step of a rate of 0.1 takes away 5% of what the weights were before it.
    for p, first, plain, decayed in zip(steps.params, before, *after, strict=True):
        if p.name in ("W", "gamma"):
            kept = (
                np.clip(plain - 0.05 * first, -1, 1)
                if p.get_value().shape == (8, 8)
                else plain - 0.05 * first
            )
            np.testing.assert_allclose(decayed, kept, rtol=1e-4, atol=1e-5)
        elif p.name in ("b", "beta"):
            np.testing.assert_array_equal(decayed, plain)


def test_steps_lower_the_loss_and_keep_binary_weights_in_range():
    steps = Steps("digits_mlp", {"num_units": 32}, data.load("digits"), RECIPE)
    steps.set_lr(0.01)
    rows = np.arange(100)
    first, _ = steps.step(rows)
    for _ in range(30):
        last, errors = steps.step(rows)
    assert last < 0.5 * first and errors < 20
    binary = [p for p in steps.params if p.name == "W" and p.get_value().shape == (32, 32)]
    assert len(binary) == 2
    assert all(np.abs(p.get_value()).max() <= 1 for p in binary)


def test_the_state_holds_all_parameters_and_no_data():
    digits = data.load("digits")
    steps = Steps("digits_mlp", {"num_units": 32}, digits, RECIPE)
    containers = {id(s.container) for s in steps.state}
    assert containers >= {id(p.container) for p in steps.params}
    assert len(containers) == len(steps.state)
    assert max(s.get_value().size for s in steps.state) < digits.train.images.size


def test_the_same_seed_gives_the_same_weights_and_another_seed_others():
    digits = data.load("digits")
    first, same, other = (
        Steps("digits_mlp", {"num_units": 16}, digits, replace(RECIPE, seed=seed)).params[0].get_value()
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, same)
    assert (first != other).any()


def test_what_is_not_finite_is_found_under_signs():
    steps = Steps("digits_mlp", {"num_units": 8}, data.load("digits"), RECIPE)
    assert steps.finite()
    W = next(p for p in steps.params if p.name == "W" and p.get_value().shape == (8, 8))
    for bad in (np.nan, np.inf, -np.inf):
        value = W.get_value()
        value[3, 5] = bad
        W.set_value(value)
        assert not steps.finite()
    W.set_value(np.zeros((8, 8), np.float32))
    assert steps.finite()


@pytest.mark.parametrize("count, expected", [(450, 50), (351, 39), (353, 50), (23, 23), (1, 1)])
def test_a_gpu_takes_many_steps_per_call(monkeypatch, count, expected):
    steps = Steps("digits_mlp", {"num_units": 8}, data.load("digits"), RECIPE)
    assert steps.steps_per_call(count) == 1
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert steps.steps_per_call(count) == expected
