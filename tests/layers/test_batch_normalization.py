"""Batch normalization against NumPy, call by call, and its gradient against finite differences."""

import lasagne
import numpy as np
import pytest

import theano
import theano.tensor as T
from xnornet.layers import BatchNormLayer

EPSILON, ALPHA = 1e-4, 0.1


def statistics(x, axes):
    """Mean and ``1 / sqrt(variance + epsilon)`` of every channel, with the axes kept."""
    count = np.prod([x.shape[i] for i in axes])
    mean = x.sum(axis=axes, keepdims=True) / count
    variance = ((x - mean) ** 2).sum(axis=axes, keepdims=True) / count
    return mean, 1 / np.sqrt(variance + EPSILON)


def stored(layer):
    return layer.mean.get_value().ravel(), layer.inv_std.get_value().ravel()


def scrambled(layer, seed=0):
    """Give every parameter of the layer some value, ``gamma`` of either sign."""
    rng = np.random.default_rng(seed)
    for p in layer.get_params():
        p.set_value(rng.uniform(0.5, 1.5, p.get_value().shape).astype(p.dtype))
    if layer.gamma is not None:
        layer.gamma.set_value(-layer.gamma.get_value())
    return layer


def function(layer, **options):
    x = layer.input_layer.input_var
    return theano.function([x], lasagne.layers.get_output(layer, **options))


def batches(shape, number=3):
    rng = np.random.default_rng(1)
    return [(rng.normal(i, 1 + i, shape)).astype("float32") for i in range(number)]


@pytest.mark.parametrize(
    ("shape", "axes"),
    [((6, 3), "auto"), ((4, 3, 5), "auto"), ((4, 3, 5, 2), "auto"), ((6, 3), 0), ((4, 3, 5, 2), (0, 1))],
)
def test_training_normalizes_by_the_batch_and_moves_the_stored_statistics(shape, axes):
    layer = BatchNormLayer(lasagne.layers.InputLayer((None, *shape[1:])), axes=axes, alpha=ALPHA)
    scrambled(layer)
    run = function(layer)
    axes = {"auto": (0, 2, 3)[: len(shape) - 1], 0: (0,)}.get(axes, axes)
    kept = tuple(1 if i in axes else n for i, n in enumerate(shape))
    gamma, beta = (p.get_value().reshape(kept) for p in (layer.gamma, layer.beta))
    mean, inv_std = stored(layer)
    for x in batches(shape):
        batch_mean, batch_inv_std = statistics(x.astype("float64"), axes)
        expected = (x - batch_mean) * batch_inv_std * gamma + beta
        np.testing.assert_allclose(run(x), expected, rtol=1e-4, atol=1e-5)
        mean = (1 - ALPHA) * mean + ALPHA * batch_mean.ravel()
        inv_std = (1 - ALPHA) * inv_std + ALPHA * batch_inv_std.ravel()
        np.testing.assert_allclose(stored(layer), [mean, inv_std], rtol=1e-5)


def test_testing_uses_the_stored_statistics_and_moves_nothing():
    layer = scrambled(BatchNormLayer(lasagne.layers.InputLayer((None, 3, 4, 4))))
    run = function(layer, deterministic=True)
    before = [p.get_value() for p in layer.get_params()]
    beta, gamma, mean, inv_std = (p.get_value().reshape(3, 1, 1) for p in layer.get_params())
    for x in batches((2, 3, 4, 4)):
        np.testing.assert_allclose(run(x), (x - mean) * gamma * inv_std + beta, rtol=1e-4, atol=1e-5)
    for value, p in zip(before, layer.get_params(), strict=True):
        np.testing.assert_array_equal(p.get_value(), value)


@pytest.mark.parametrize("deterministic", [True, False])
@pytest.mark.parametrize("use", [True, False])
@pytest.mark.parametrize("update", [True, False])
def test_use_and_update_override_deterministic(deterministic, use, update):
    layer = scrambled(BatchNormLayer(lasagne.layers.InputLayer((None, 3))))
    run = function(
        layer,
        deterministic=deterministic,
        batch_norm_use_averages=use,
        batch_norm_update_averages=update,
    )
    (x,) = batches((5, 3), 1)
    before = stored(layer)
    of_batch = [s.ravel() for s in statistics(x.astype("float64"), (0,))]
    mean, inv_std = before if use else of_batch
    gamma, beta = layer.gamma.get_value(), layer.beta.get_value()
    np.testing.assert_allclose(run(x), (x - mean) * inv_std * gamma + beta, rtol=1e-4, atol=1e-5)
    share = ALPHA if update else 0
    for now, old, batch in zip(stored(layer), before, of_batch, strict=True):
        np.testing.assert_allclose(now, (1 - share) * old + share * batch, rtol=1e-6)


@pytest.mark.parametrize("epsilon", [1e-4, 0.5])
def test_a_constant_batch_has_the_deviation_of_epsilon(epsilon):
    layer = BatchNormLayer(lasagne.layers.InputLayer((None, 2)), epsilon=epsilon, alpha=1)
    np.testing.assert_array_equal(function(layer)(np.full((4, 2), 3, "float32")), 0)
    mean, inv_std = stored(layer)
    np.testing.assert_allclose(mean, 3)
    np.testing.assert_allclose(inv_std, epsilon**-0.5, rtol=1e-6)


@pytest.mark.parametrize("options", [{"beta": None}, {"gamma": None}, {"beta": None, "gamma": None}])
def test_none_leaves_offset_or_scale_out(options):
    layer = scrambled(BatchNormLayer(lasagne.layers.InputLayer((None, 3)), **options))
    assert [p.name for p in layer.get_params(trainable=True)] == [
        n for n in ("beta", "gamma") if n not in options
    ]
    (x,) = batches((5, 3), 1)
    gamma = 1 if layer.gamma is None else layer.gamma.get_value()
    beta = 0 if layer.beta is None else layer.beta.get_value()
    mean, inv_std = stored(layer)
    np.testing.assert_allclose(
        function(layer, deterministic=True)(x), (x - mean) * inv_std * gamma + beta, rtol=1e-4, atol=1e-5
    )


def test_initial_values_may_be_arrays_shared_variables_and_initializers():
    gamma = theano.shared(np.array([2, 3], "float32"))
    layer = BatchNormLayer(
        (None, 2),
        beta=np.array([4, 5], "float32"),
        gamma=gamma,
        mean=lasagne.init.Constant(6),
        inv_std=np.array([7, 8], "float32"),
    )
    assert layer.gamma is gamma
    assert [p.get_value().tolist() for p in layer.get_params()] == [[4, 5], [2, 3], [6, 6], [7, 8]]


def test_parameters_are_tagged_and_named_as_in_lasagne():
    layer = BatchNormLayer((None, 3), name="bn")
    assert [p.name for p in layer.get_params()] == ["bn.beta", "bn.gamma", "bn.mean", "bn.inv_std"]
    assert layer.get_params(trainable=True) == [layer.beta, layer.gamma]
    assert layer.get_params(regularizable=True) == [layer.gamma]
    assert layer.get_params(batch_norm_stat=True) == [layer.mean, layer.inv_std]
    fresh = [p.get_value().tolist() for p in layer.get_params()]
    assert fresh == [[0] * 3, [1] * 3, [0] * 3, [1] * 3]


@pytest.mark.parametrize(("shape", "axes"), [((None, None, 4), "auto"), ((None, 3), 1), ((2, 3, None), 0)])
def test_an_unknown_length_of_a_parameter_is_an_error(shape, axes):
    with pytest.raises(ValueError, match="lengths must be known; the input's shape is"):
        BatchNormLayer(shape, axes=axes)


def test_gradients_pass_through_the_statistics_of_the_batch():
    x, G = T.dmatrices(2)
    layer = BatchNormLayer((None, 3), **{n: np.ones(3) for n in ("beta", "gamma", "mean", "inv_std")})
    scrambled(layer)
    params = [layer.gamma, layer.beta]
    loss = (G * layer.get_output_for(x)).sum()
    run = theano.function([x, G], [loss, *theano.grad(loss, [x, *params])])
    rng = np.random.default_rng(0)
    values = [rng.normal(size=(4, 3)), *(p.get_value() for p in params)]
    weights = rng.normal(size=(4, 3))

    def expected_loss(x, gamma, beta):
        mean, inv_std = statistics(x, (0,))
        return (weights * ((x - mean) * inv_std * gamma + beta)).sum()

    value, *slopes = run(values[0], weights)
    np.testing.assert_allclose(value, expected_loss(*values), rtol=1e-12)
    for i, slope in enumerate(slopes):
        for index in np.ndindex(slope.shape):
            shifted = [[v.copy() for v in values] for _ in range(2)]
            shifted[0][i][index] += 1e-6
            shifted[1][i][index] -= 1e-6
            difference = (expected_loss(*shifted[0]) - expected_loss(*shifted[1])) / 2e-6
            np.testing.assert_allclose(slope[index], difference, atol=1e-6)


def test_gradients_do_not_reach_the_stored_statistics_by_the_way_they_move():
    layer = BatchNormLayer(lasagne.layers.InputLayer((None, 3)))
    loss = lasagne.layers.get_output(layer).sum()
    slopes = theano.grad(loss, [layer.mean, layer.inv_std], disconnected_inputs="ignore")
    x = layer.input_layer.input_var
    run = theano.function([x], slopes, on_unused_input="ignore")
    for slope in run(*batches((5, 3), 1)):
        np.testing.assert_array_equal(slope, 0)


def test_two_outputs_in_one_function_move_the_statistics_once():
    layer = scrambled(BatchNormLayer(lasagne.layers.InputLayer((None, 3))))
    x, y = T.matrices(2)
    outputs = [lasagne.layers.get_output(layer, v) for v in (x, x, y)]
    first, second = batches((5, 3), 2)
    before = stored(layer)
    a, b = theano.function([x], outputs[:2])(first)
    np.testing.assert_array_equal(a, b)
    moved = [
        (1 - ALPHA) * old + ALPHA * s.ravel() for old, s in zip(before, statistics(first, (0,)), strict=True)
    ]
    np.testing.assert_allclose(stored(layer), moved, rtol=1e-5)

    theano.function([x, y], [outputs[0], outputs[2]])(first, second)
    candidates = [
        [(1 - ALPHA) * old + ALPHA * s.ravel() for old, s in zip(moved, statistics(v, (0,)), strict=True)]
        for v in (first, second)
    ]
    assert any(np.allclose(stored(layer), c, rtol=1e-5) for c in candidates)


def test_training_and_testing_outputs_share_a_function():
    layer = scrambled(BatchNormLayer(lasagne.layers.InputLayer((None, 3))))
    x = layer.input_layer.input_var
    training = lasagne.layers.get_output(layer)
    testing = lasagne.layers.get_output(layer, deterministic=True)
    (batch,) = batches((5, 3), 1)
    mean, inv_std = stored(layer)
    gamma, beta = layer.gamma.get_value(), layer.beta.get_value()
    found_training, found_testing = theano.function([x], [training, testing])(batch)
    np.testing.assert_allclose(found_testing, (batch - mean) * inv_std * gamma + beta, rtol=1e-4, atol=1e-5)
    mean, inv_std = statistics(batch, (0,))
    np.testing.assert_allclose(found_training, (batch - mean) * inv_std * gamma + beta, rtol=1e-4, atol=1e-5)


def test_float64_stays_float64():
    with theano.config.change_flags(floatX="float64"):
        layer = BatchNormLayer(lasagne.layers.InputLayer((None, 3)))
        run = function(layer)
    assert run(np.eye(4, 3)).dtype == np.float64
    assert layer.mean.get_value().dtype == np.float64
