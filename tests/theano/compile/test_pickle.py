"""Networks and their parameters as pickles and copies, in this process and in another."""

import copy
import os
import pickle
import subprocess
import sys

import lasagne
import numpy as np
import pytest
from extent import few_or_all
from lasagne import layers

import theano
import theano.tensor as T

DUPLICATES = {
    "deepcopy": copy.deepcopy,
    **{
        f"pickle {p}": lambda thing, p=p: pickle.loads(pickle.dumps(thing, p))
        for p in (0, 2, pickle.HIGHEST_PROTOCOL)
    },
}
BATCH = np.linspace(-1, 1, 2 * 3 * 6 * 6, dtype="float32").reshape(2, 3, 6, 6)
IN_ANOTHER_PROCESS = """
import pickle, sys, warnings
import numpy as np
warnings.simplefilter("ignore")
import theano, lasagne
with open(sys.argv[1], "rb") as file:
    network, batch = pickle.load(file)
inputs = lasagne.layers.get_all_layers(network)[0].input_var
classify = theano.function([inputs], lasagne.layers.get_output(network, deterministic=True))
params = lasagne.layers.get_all_params(network)
np.savez(sys.argv[2], classify(batch), *[p.get_value() for p in params])
print(*[p.name for p in params])
"""


def network():
    """Convolution, pooling, dropout, and two dense layers that share their weights."""
    lasagne.random.set_rng(np.random.RandomState(0))
    net = layers.InputLayer((None, 3, 6, 6))
    net = layers.Conv2DLayer(net, 4, 3, pad="same", name="conv")
    net = layers.dropout(layers.MaxPool2DLayer(net, 2))
    first = layers.DenseLayer(net, 36, name="first")
    second = layers.DenseLayer(first, 36, W=first.W, name="second")
    return layers.DenseLayer(second, 5, nonlinearity=lasagne.nonlinearities.softmax, name="scores")


def training_step(net):
    scores = layers.get_output(net)
    updates = lasagne.updates.adam(T.sqr(scores[:, 0]).mean(), layers.get_all_params(net))
    return theano.function([layers.get_all_layers(net)[0].input_var], scores, updates=updates)


def classifier(net):
    inputs = layers.get_all_layers(net)[0].input_var
    return theano.function([inputs], layers.get_output(net, deterministic=True))


def values(net):
    return {p.name: p.get_value() for p in layers.get_all_params(net)}


def assert_same(found, expected):
    assert list(found) == list(expected)
    for name, value in expected.items():
        assert found[name].dtype == value.dtype
        np.testing.assert_array_equal(found[name], value)


class Trained:
    """A network after a step, its duplicates from then, and what it computed after another step."""

    def __init__(self):
        self.net = network()
        training_step(self.net)(BATCH)
        self.classify = classifier(self.net)
        self.values, self.scores = values(self.net), self.classify(BATCH)
        self.twins = {name: duplicate(self.net) for name, duplicate in DUPLICATES.items()}
        self.drawn = training_step(self.net)(BATCH)
        self.later = values(self.net)


@pytest.fixture(scope="module")
def trained():
    return Trained()


@pytest.mark.parametrize("name", few_or_all(["deepcopy", f"pickle {pickle.HIGHEST_PROTOCOL}"], DUPLICATES))
def test_a_network_survives_with_its_values_names_and_random_numbers(trained, name):
    twin = trained.twins[name]
    assert_same(values(twin), trained.values)
    assert len(trained.values) == len(layers.get_all_params(twin)) == 7
    classify = classifier(twin)
    np.testing.assert_array_equal(classify(BATCH), trained.scores)
    np.testing.assert_array_equal(training_step(twin)(BATCH), trained.drawn)
    assert_same(values(trained.net), trained.later)
    assert not np.array_equal(classify(BATCH), trained.scores)


def test_a_network_survives_in_another_process(trained, tmp_path):
    net, classify = trained.net, trained.classify
    pickled, results = tmp_path / "network.pickle", tmp_path / "results.npz"
    pickled.write_bytes(pickle.dumps((net, BATCH)))
    command = [sys.executable, "-c", IN_ANOTHER_PROCESS, pickled, results]
    path = os.pathsep.join(p for p in sys.path if p)
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == list(values(net))
    with np.load(results) as stored:
        scores, *params = stored.values()
    np.testing.assert_allclose(scores, classify(BATCH), rtol=1e-6)
    for found, expected in zip(params, values(net).values(), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", DUPLICATES)
def test_variables_that_are_one_stay_one(name):
    s = theano.shared(np.float32(1), "s")
    first, second, alias = DUPLICATES[name]([s, s, theano.clone(s, share_inputs=False)])
    assert first is second and first is not s
    first.set_value(5)
    assert alias.get_value() == 5 and s.get_value() == 1


@pytest.mark.parametrize("name", DUPLICATES)
def test_a_graph_survives_the_evaluation_of_its_variables(name):
    x, s = T.scalar("x"), theano.shared(np.float32(3), "s")
    product = x * s
    assert product.eval({x: 2}) == 6
    twin = DUPLICATES[name](product)
    s.set_value(7)
    assert twin.eval({"x": 2}) == 6
    assert product.eval({x: 2}) == 14
