"""The loss and the training step."""

import jax
import numpy as np
import pytest

import theano
import theano.tensor as T
from xnornet import data
from xnornet.training.steps import Steps, squared_hinge


def test_squared_hinge_is_the_mean_over_images_and_classes():
    scores, labels = T.matrix(), T.ivector()
    loss = theano.function([scores, labels], squared_hinge(scores, labels, 3))
    values = np.array([[2.0, -0.5, 0.25], [0.0, 0.5, -3.0]], np.float32)
    total = 0.0
    for row, label in zip(values, (0, 2), strict=True):
        for k, score in enumerate(row):
            total += max(0.0, 1 - (1 if k == label else -1) * float(score)) ** 2
    np.testing.assert_allclose(loss(values, np.array([0, 2], np.int32)), total / 6, rtol=1e-6)


def test_steps_lower_the_loss_and_keep_binary_weights_in_range():
    steps = Steps("digits_mlp", {"num_units": 32}, data.load("digits"), seed=0)
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
    steps = Steps("digits_mlp", {"num_units": 32}, digits, seed=0)
    containers = {id(s.container) for s in steps.state}
    assert containers >= {id(p.container) for p in steps.params}
    assert len(containers) == len(steps.state)
    assert max(s.get_value().size for s in steps.state) < digits.train.images.size


def test_the_same_seed_gives_the_same_weights_and_another_seed_others():
    digits = data.load("digits")
    first, same, other = (
        Steps("digits_mlp", {"num_units": 16}, digits, seed).params[0].get_value() for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, same)
    assert (first != other).any()


def test_what_is_not_finite_is_found_under_signs():
    steps = Steps("digits_mlp", {"num_units": 8}, data.load("digits"), seed=0)
    assert steps.finite()
    W = next(p for p in steps.params if p.name == "W" and p.get_value().shape == (8, 8))
    for bad in (np.nan, np.inf, -np.inf):
        value = W.get_value()
        value[3, 5] = bad
        W.set_value(value)
        assert not steps.finite()
    W.set_value(np.zeros((8, 8), np.float32))
    assert steps.finite()


@pytest.mark.parametrize("count, together", [(450, 50), (351, 39), (353, 50), (23, 23), (1, 1)])
def test_a_gpu_takes_many_steps_together(monkeypatch, count, together):
    steps = Steps("digits_mlp", {"num_units": 8}, data.load("digits"), seed=0)
    assert steps.together(count) == 1
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert steps.together(count) == together
