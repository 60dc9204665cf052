"""Lasagne's smaller modules, name by name: a small net that uses it takes a step in both modes alike.

What the functions compute is held to NumPy in ``test_lasagne.py``; here no public name is forgotten.
"""

import lasagne
import numpy as np
import pytest
from lasagne import init, nonlinearities, objectives, regularization, updates
from lasagne import layers as L

import theano
import theano.tensor as T

pytestmark = [
    pytest.mark.filterwarnings("error:.*JAX cannot"),
    pytest.mark.filterwarnings("ignore:PyTensor could not link to a BLAS"),
]

FEATURES = np.random.default_rng(1).normal(size=(4, 6)).astype("float32")
TARGETS = np.random.default_rng(2).dirichlet([1, 1, 1], size=4).astype("float32")


class Alternating(init.Initializer):
    """What a user may write."""

    def sample(self, shape):
        return lasagne.utils.floatX(np.resize([0.5, -0.25], shape))


INITIALIZERS = {
    "Initializer": Alternating(),
    "Normal": init.Normal(0.1),
    "Uniform": init.Uniform((-0.5, 0.25)),
    "Glorot": init.Glorot(init.Normal, gain="relu"),
    "GlorotNormal": init.GlorotNormal(),
    "GlorotUniform": init.GlorotUniform(gain=0.5),
    "He": init.He(init.Uniform),
    "HeNormal": init.HeNormal(),
    "HeUniform": init.HeUniform(gain="relu"),
    "Constant": init.Constant(0.3),
    "Sparse": init.Sparse(0.5),
    "Orthogonal": init.Orthogonal(),
}

NONLINEARITIES = {
    "sigmoid": (nonlinearities.sigmoid, lambda x: 1 / (1 + np.exp(-x))),
    "softmax": (nonlinearities.softmax, lambda x: np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)),
    "tanh": (nonlinearities.tanh, np.tanh),
    "rectify": (nonlinearities.rectify, lambda x: np.where(x > 0, x, 0)),
    "LeakyRectify": (nonlinearities.LeakyRectify(0.2), lambda x: np.where(x > 0, x, 0.2 * x)),
    "leaky_rectify": (nonlinearities.leaky_rectify, lambda x: np.where(x > 0, x, 0.01 * x)),
    "very_leaky_rectify": (nonlinearities.very_leaky_rectify, lambda x: np.where(x > 0, x, x / 3)),
    "linear": (nonlinearities.linear, lambda x: x),
    "identity": (nonlinearities.identity, lambda x: x),
}

OBJECTIVES = {
    "binary_crossentropy": objectives.binary_crossentropy,
    "categorical_crossentropy": objectives.categorical_crossentropy,
    "squared_error": objectives.squared_error,
    "aggregate": lambda p, t: objectives.aggregate((p - t) ** 2, t, mode="normalized_sum"),
}

UPDATES = {
    "sgd": lambda loss, params: updates.sgd(loss, params, 0.1),
    "apply_momentum": lambda loss, params: updates.apply_momentum(updates.sgd(loss, params, 0.1)),
    "momentum": lambda loss, params: updates.momentum(loss, params, 0.1),
    "apply_nesterov_momentum": lambda loss, params: updates.apply_nesterov_momentum(
        updates.sgd(loss, params, 0.1)
    ),
    "nesterov_momentum": lambda loss, params: updates.nesterov_momentum(loss, params, 0.1),
    "adagrad": lambda loss, params: updates.adagrad(loss, params, 0.1),
    "rmsprop": lambda loss, params: updates.rmsprop(loss, params, 0.01),
    "adadelta": updates.adadelta,
    "adam": updates.adam,
    "norm_constraint": lambda loss, params: {
        p: updates.norm_constraint(stepped, 0.5) if p.ndim > 1 else stepped
        for p, stepped in updates.sgd(loss, params, 0.1).items()
    },
    "total_norm_constraint": lambda loss, params: updates.sgd(
        updates.total_norm_constraint(T.grad(loss, params), 0.01), params, 1.0
    ),
}

PENALTIES = {
    "l1": lambda layer: regularization.l1(layer.W),
    "l2": lambda layer: regularization.l2(layer.W),
    "apply_penalty": lambda layer: regularization.apply_penalty(layer.get_params(), regularization.l2),
    "regularize_layer_params": lambda layer: regularization.regularize_layer_params(layer, regularization.l1),
    "regularize_layer_params_weighted": lambda layer: regularization.regularize_layer_params_weighted(
        {layer: 0.5}, regularization.l2
    ),
    "regularize_network_params": lambda layer: regularization.regularize_network_params(
        layer, regularization.l2
    ),
}

MODULES = [
    (init, INITIALIZERS),
    (nonlinearities, NONLINEARITIES),
    (objectives, OBJECTIVES),
    (updates, UPDATES),
    (regularization, PENALTIES),
]
INTERNAL = {"get_or_compute_grads"}


@pytest.mark.skipif(lasagne.__version__ != "0.1", reason="later Lasagnes have a suite of their own")
@pytest.mark.parametrize("module, cases", MODULES, ids=lambda m: getattr(m, "__name__", ""))
def test_no_public_name_is_forgotten(module, cases):
    public = {
        name
        for name, value in vars(module).items()
        if getattr(value, "__module__", None) == module.__name__ and not name.startswith("_")
    }
    assert public - INTERNAL == set(cases)


@pytest.fixture(autouse=True)
def seeded():
    lasagne.random.set_rng(np.random.RandomState(0))


def build(W=None, nonlinearity=nonlinearities.softmax):
    """A dense layer of three units on four samples: input variable, layer, parameters."""
    x = T.matrix("x")
    layer = L.DenseLayer(
        L.InputLayer((None, 6), x), 3, W=W or init.GlorotUniform(), nonlinearity=nonlinearity
    )
    return x, layer, L.get_all_params(layer, trainable=True)


@pytest.mark.parametrize("name", INITIALIZERS)
def test_weights_of_each_initializer_are_used_and_trained(name, assert_modes_agree):
    x, layer, params = build(W=INITIALIZERS[name], nonlinearity=None)
    W = layer.W.get_value()
    assert W.dtype == np.float32 and W.shape == (6, 3) and W.any()
    out = L.get_output(layer)
    step = updates.sgd(T.mean(out**2), params, 0.1)
    (result,) = assert_modes_agree([x], [out], step, [FEATURES])
    np.testing.assert_allclose(result, FEATURES.astype(float) @ W, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NONLINEARITIES)
def test_each_nonlinearity_equals_numpy_and_trains(name, assert_modes_agree):
    nonlinearity, reference = NONLINEARITIES[name]
    x, layer, params = build(nonlinearity=nonlinearity)
    out = L.get_output(layer)
    step = updates.sgd(T.mean(out**2), params, 0.1)
    (result,) = assert_modes_agree([x], [out], step, [FEATURES])
    before = FEATURES.astype(float) @ layer.W.get_value()
    np.testing.assert_allclose(result, reference(before), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_each_objective_trains(name, assert_modes_agree):
    x, layer, params = build()
    targets = T.matrix("targets")
    loss = OBJECTIVES[name](L.get_output(layer), targets).mean()
    step = updates.sgd(loss, params, 0.1)
    assert_modes_agree([x, targets], [loss], step, [FEATURES, TARGETS])


@pytest.mark.parametrize("name", UPDATES)
def test_each_update_trains(name, assert_modes_agree):
    x, layer, params = build()
    targets = T.matrix("targets")
    loss = objectives.categorical_crossentropy(L.get_output(layer), targets).mean()
    step = UPDATES[name](loss, params)
    assert set(params) <= set(step)
    (before,) = assert_modes_agree([x, targets], [loss], step, [FEATURES, TARGETS])
    train = theano.function([x, targets], loss, updates=step)
    for _ in range(5):
        train(FEATURES, TARGETS)
    assert train(FEATURES, TARGETS) < before


@pytest.mark.parametrize("name", PENALTIES)
def test_each_penalty_trains(name, assert_modes_agree):
    x, layer, params = build()
    out = L.get_output(layer)
    penalty = PENALTIES[name](layer)
    step = updates.sgd(T.mean(out**2) + 0.1 * penalty, params, 0.1)
    (result,) = assert_modes_agree([x], [penalty], step, [FEATURES])
    assert result > 0
