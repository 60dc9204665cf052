"""Batch normalization against plain loops over units, gradients against differences, in both modes."""

import numpy as np
import pytest
from extent import examples
from hypothesis import given, settings
from hypothesis import strategies as st

import theano
import theano.tensor as T
from theano.tensor.nnet import bn

pytestmark = pytest.mark.filterwarnings("error:.*JAX cannot")

MODES = ["JAX", "FAST_COMPILE"]
TENSOR = {2: T.dmatrix, 3: T.dtensor3, 4: T.dtensor4}


def normalize_with_loops(x, gamma, beta, axes, epsilon, factor, old_mean, old_var):
    """One unit at a time: output, then statistics of the units in one row each."""
    kept = [a for a in range(x.ndim) if a not in axes]
    out = np.empty_like(x)
    statistics = np.empty((4, *(x.shape[a] for a in kept)))
    for unit in np.ndindex(statistics.shape[1:]):
        place = [slice(None)] * x.ndim
        for a, i in zip(kept, unit, strict=True):
            place[a] = i
        values = x[tuple(place)]
        deviation = np.sqrt(np.var(values) + epsilon)
        out[tuple(place)] = gamma[unit] * (values - np.mean(values)) / deviation + beta[unit]
        statistics[(slice(None), *unit)] = (
            np.mean(values),
            1 / deviation,
            (1 - factor) * old_mean[unit] + factor * np.mean(values),
            (1 - factor) * old_var[unit] + factor * np.var(values, ddof=1),
        )
    return out, statistics


@st.composite
def normalizations(draw):
    shape = tuple(draw(st.lists(st.integers(2, 4), min_size=2, max_size=4)))
    some = st.lists(st.integers(0, len(shape) - 1), min_size=1, max_size=len(shape) - 1, unique=True)
    axes = draw(st.one_of(st.sampled_from(["per-activation", "spatial"]), some.map(sorted).map(tuple)))
    return shape, axes, draw(st.booleans()), draw(st.integers(0, 99))


@pytest.mark.parametrize("mode", MODES)
@given(normalizations())
@settings(max_examples=examples(12), deadline=None)
def test_training_equals_loops_and_its_gradient_differences(mode, case):
    shape, axes, narrow, seed = case
    named = {"per-activation": (0,), "spatial": (0, *range(2, len(shape)))}
    over = named.get(axes, axes)
    units = tuple(n for a, n in enumerate(shape) if a not in over)
    random = np.random.default_rng(seed)
    x = random.normal(2, 3, shape)
    gamma, beta, old_mean, old_var = random.uniform(0.5, 2, (4, *units))
    expected, statistics = normalize_with_loops(x, gamma, beta, over, 1e-3, 0.2, old_mean, old_var)

    wide = units if narrow else tuple(1 if a in over else n for a, n in enumerate(shape))
    given_as = [p.reshape(wide) for p in (gamma, beta, old_mean, old_var)]
    variables = [
        T.TensorType("float64", shape=tuple(1 if n == 1 else None for n in wide))() for _ in range(4)
    ]
    xv = TENSOR[len(shape)]()
    results = bn.batch_normalization_train(
        xv, *variables[:2], axes, 1e-3, 0.2, running_mean=variables[2], running_var=variables[3]
    )
    cotangent = random.normal(size=shape)
    gradients = T.grad(T.sum(results[0] * cotangent), [xv, *variables[:2]])
    f = theano.function([xv, *variables], [*results, *gradients], mode=mode)
    out, *computed, to_x, to_gamma, to_beta = f(x, *given_as)
    np.testing.assert_allclose(out, expected, rtol=1e-9, atol=1e-9)
    for result, statistic in zip(computed, statistics, strict=True):
        np.testing.assert_allclose(result, statistic.reshape(wide), rtol=1e-9)

    def loss(x, gamma, beta):
        return np.sum(normalize_with_loops(x, gamma, beta, over, 1e-3, 0.2, old_mean, old_var)[0] * cotangent)

    step = 1e-5
    for i, gradient in enumerate((to_x, to_gamma, to_beta)):
        point = [x, gamma, beta]
        direction = random.normal(size=point[i].shape)
        ends = []
        for sign in (step, -step):
            moved = list(point)
            moved[i] = point[i] + sign * direction
            ends.append(loss(*moved))
        slope = (ends[0] - ends[1]) / (2 * step)
        np.testing.assert_allclose(np.vdot(gradient, direction), slope, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("axes", ["per-activation", "spatial"])
def test_testing_applies_the_given_statistics(mode, axes):
    random = np.random.default_rng(0)
    x = random.normal(size=(3, 2, 4))
    units = (2, 4) if axes == "per-activation" else (2,)
    gamma, beta, mean, var = random.uniform(0.5, 2, (4, *units))
    xv = T.dtensor3()
    parameters = [T.constant(p) for p in (gamma, beta, mean, var)]
    f = theano.function([xv], bn.batch_normalization_test(xv, *parameters, axes, epsilon=0.1), mode=mode)
    out = f(x)
    for place in np.ndindex(x.shape):
        unit = place[1 : 1 + len(units)]
        expected = gamma[unit] * (x[place] - mean[unit]) / np.sqrt(var[unit] + 0.1) + beta[unit]
        np.testing.assert_allclose(out[place], expected)


def test_the_plain_form_takes_a_standard_deviation():
    x = T.dmatrix()
    f = theano.function([x], bn.batch_normalization(x, 2.0, 1.0, 3.0, 4.0))
    np.testing.assert_allclose(f([[7.0, 3]]), [[3, 1]])


def test_float32_stays_float32():
    x, p = T.fmatrix(), T.fvector()
    out, mean, invstd = T.nnet.batch_normalization_train(x, p, p)
    f = theano.function([x, p], [out, mean, invstd, T.grad(out.sum(), p)])
    assert {r.dtype for r in f(np.eye(3, dtype="f"), np.ones(3, "f"))} == {np.dtype("float32")}


def test_axes_and_parameters_that_do_not_fit_are_refused():
    x, p = T.tensor4(), T.vector()
    for axes in ("per-channel", (4,), (-1,), ()):
        with pytest.raises(ValueError, match="axes"):
            bn.batch_normalization_train(x, p, p, axes)
    with pytest.raises(ValueError, match="4 axes or the 3 .* got 1"):
        bn.batch_normalization_train(x, p, p)
