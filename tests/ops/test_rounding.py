"""Rounding at random: near, on its levels, and right in the mean."""

import numpy as np
import pytest
from extent import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from sign_products import GRADIENTS

from xnornet.ops.rounding import round_at_random


def rounded(g):
    return np.asarray(round_at_random(g.astype(np.float32)), np.float64)


@settings(max_examples=examples(30))
@given(st.sampled_from(list(GRADIENTS)), st.integers(1, 40), st.integers(0, 99))
def test_numbers_become_one_of_their_two_neighbours(kind, count, seed):
    g = GRADIENTS[kind](np.random.default_rng(seed), (count, 3)).astype(np.float32).astype(float)
    found, largest = rounded(g), np.abs(g).max()
    if largest < 2.0**-110:
        assert not found.any()
        return
    levels = found * 127 / largest
    np.testing.assert_allclose(levels, np.rint(levels), atol=1e-4)
    assert (np.abs(found - g) <= largest / 127 * 1.0001).all()
    np.testing.assert_allclose(np.abs(found).max(), largest, rtol=1e-6)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("level", [-3, 0, 2])
def test_the_mean_is_kept(level, share):
    """Of numbers so far above a level that share of them goes up; four deviations of that many coins."""
    count = 40_000
    g = np.full(count + 1, (level + share) / 127)
    g[:count] += np.random.default_rng(0).uniform(-0.05, 0.05, count) / 127
    g[count] = 1
    up = np.mean(rounded(g)[:count] * 127 - level)
    assert abs(up - share) < 4 * np.sqrt(share * (1 - share) / count) + 0.05 / np.sqrt(count)


def test_equal_numbers_are_rounded_apart_and_each_time_alike():
    g = np.full(1000, 0.5 / 127)
    g[0] = 1
    found = rounded(g)
    assert 400 < np.sum(found[1:] > 0) < 600
    np.testing.assert_array_equal(found, rounded(g))
    # Neighbours do not go together either.
    assert abs(np.corrcoef(found[1:-1], found[2:])[0, 1]) < 0.15


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_what_is_not_finite_spreads(value):
    assert np.isnan(rounded(np.array([1.0, value, 0.0]))).all()


def test_nothing_is_rounded_to_nothing():
    assert rounded(np.zeros((0, 3))).shape == (0, 3)
