"""Lasagne on this theano: layers in JAX mode against FAST_COMPILE, losses and update rules against NumPy."""

import copy
import pickle

import lasagne
import numpy as np
import pytest
from extent import few_or_all
from lasagne import layers as L
from lasagne import objectives, regularization

import theano
import theano.tensor as T

pytestmark = [
    pytest.mark.filterwarnings("error:.*JAX cannot"),
    pytest.mark.filterwarnings("ignore:PyTensor could not link to a BLAS"),
]

MODES = ["JAX", "FAST_COMPILE"]
IMAGES = (2, 3, 8, 7)
SERIES = (2, 3, 6)
FLAT = (4, 6)
REMEMBER = L.Gate(b=lasagne.init.Constant(1))


def conv2d(**options):
    return lambda i: L.Conv2DLayer(i, 4, **{"filter_size": (3, 2), **options})


def encode_and_merge(merge):
    return lambda i: merge([i, L.DenseLayer(i, 6)])


def with_mask(layer):
    """The layer on series of which the second ends early."""
    ends = np.ones(SERIES[:2], "float32")
    ends[1, -1] = 0
    return lambda i: layer(i, L.InputLayer(SERIES[:2], theano.shared(ends)))


def custom_recurrence(i):
    read, carry = (L.DenseLayer(L.InputLayer((None, n)), 3) for n in (6, 3))
    return L.CustomRecurrentLayer(i, read, carry)


LAYERS = {
    "dense": (FLAT, lambda i: L.DenseLayer(i, 4)),
    "dense on images": (IMAGES, lambda i: L.DenseLayer(i, 4)),
    "nin": (IMAGES, lambda i: L.NINLayer(i, 4)),
    "conv1d": (SERIES, lambda i: L.Conv1DLayer(i, 4, 3)),
    "conv1d, same": (SERIES, lambda i: L.Conv1DLayer(i, 4, 3, pad="same", stride=2)),
    "conv2d, valid": (IMAGES, conv2d(pad="valid")),
    "conv2d, same": (IMAGES, conv2d(pad="same", filter_size=3)),
    "conv2d, full": (IMAGES, conv2d(pad="full")),
    "conv2d, int": (IMAGES, conv2d(pad=1)),
    "conv2d, pair": (IMAGES, conv2d(pad=(2, 1), stride=(2, 1))),
    "conv2d, untied biases": (IMAGES, conv2d(untie_biases=True)),
    "maxpool1d": (SERIES, lambda i: L.MaxPool1DLayer(i, 2)),
    "maxpool2d": (IMAGES, lambda i: L.MaxPool2DLayer(i, 2)),
    "maxpool2d, padded": (IMAGES, lambda i: L.MaxPool2DLayer(i, 3, stride=2, pad=1)),
    "maxpool2d, with border": (IMAGES, lambda i: L.MaxPool2DLayer(i, 2, ignore_border=False)),
    "pool2d, inc_pad": (IMAGES, lambda i: L.Pool2DLayer(i, 3, 2, 1, mode="average_inc_pad")),
    "pool2d, exc_pad": (IMAGES, lambda i: L.Pool2DLayer(i, 3, 2, 1, mode="average_exc_pad")),
    "feature pool": (FLAT, lambda i: L.FeaturePoolLayer(i, 2)),
    "feature wta": (FLAT, lambda i: L.FeatureWTALayer(i, 2)),
    "global pool": (IMAGES, L.GlobalPoolLayer),
    "nonlinearity": (FLAT, lambda i: L.NonlinearityLayer(i, lasagne.nonlinearities.tanh)),
    "dropout": (FLAT, L.DropoutLayer),
    "gaussian noise": (IMAGES, L.GaussianNoiseLayer),
    "concat": (FLAT, encode_and_merge(L.ConcatLayer)),
    "elemwise merge": (FLAT, encode_and_merge(lambda pair: L.ElemwiseMergeLayer(pair, T.maximum))),
    "elemwise sum": (FLAT, encode_and_merge(lambda pair: L.ElemwiseSumLayer(pair, coeffs=[1, -2]))),
    "pad": (IMAGES, lambda i: L.PadLayer(i, (1, (0, 2)), val=0.5)),
    "reshape": (IMAGES, lambda i: L.ReshapeLayer(i, ([0], -1, [2]))),
    "flatten": (IMAGES, lambda i: L.FlattenLayer(i, 3)),
    "dimshuffle": (IMAGES, lambda i: L.DimshuffleLayer(i, (1, 0, "x", 3, 2))),
    "slice": (IMAGES, lambda i: L.SliceLayer(L.SliceLayer(i, slice(1, 6), 2), -1, 3)),
    "local response normalization": (IMAGES, L.LocalResponseNormalization2DLayer),
    "recurrent": (SERIES, lambda i: L.RecurrentLayer(i, 3)),
    "recurrent, backwards": (SERIES, lambda i: L.RecurrentLayer(i, 3, backwards=True)),
    "lstm": (SERIES, lambda i: L.LSTMLayer(i, 3, forgetgate=REMEMBER, peepholes=True, learn_init=True)),
    "gru, masked": (SERIES, with_mask(lambda i, mask: L.GRULayer(i, 3, mask_input=mask))),
    "recurrent, masked": (SERIES, with_mask(lambda i, mask: L.RecurrentLayer(i, 3, mask_input=mask))),
    "recurrent, custom": (SERIES, custom_recurrence),
    "recurrent, unrolled": (SERIES, lambda i: L.RecurrentLayer(i, 3, unroll_scan=True)),
}


@pytest.fixture(autouse=True)
def seeded():
    lasagne.random.set_rng(np.random.RandomState(0))


def batch(shape, seed=1):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def build(name):
    """A layer on inputs of unknown batch size: input variable, layer, and what can be trained.

    A shift of the inputs comes first, so that layers without parameters pass a gradient on as well.
    """
    shape, layer = LAYERS[name]
    x = T.TensorType("float32", (False,) * len(shape))("x")
    shift = theano.shared(np.float32(0.1), "shift")
    # Lasagne 0.1 unrolls its scans, and unties its biases, over lengths that it knows.
    known = shape if "unrolled" in name else (None, *shape[1:])
    layer = layer(L.InputLayer(known, x + shift))
    return x, layer, [shift, *L.get_all_params(layer, trainable=True)]


@pytest.mark.parametrize("name", LAYERS)
def test_outputs_gradients_and_a_step_are_those_of_FAST_COMPILE(name, assert_modes_agree):
    x, layer, params = build(name)
    out = L.get_output(layer)
    to_input, *gradients = T.grad(T.mean(out**2), [x, *params])
    outputs = [out, to_input, *gradients]
    updates = lasagne.updates.sgd(gradients, params, learning_rate=0.1)
    value = batch(LAYERS[name][0])
    results = assert_modes_agree([x], outputs, updates, [value])
    assert results[0].shape == tuple(n or len(value) for n in layer.output_shape), (
        "Lasagne expects another shape"
    )
    assert {result.dtype for result in results} == {np.dtype("float32")}


@pytest.mark.parametrize("name", few_or_all(["dense", "conv2d, same", "dropout", "lstm"], LAYERS))
def test_adam_moves_each_parameter_against_its_gradient(name):
    x, layer, params = build(name)
    loss = T.mean(L.get_output(layer) ** 2)
    gradients = T.grad(loss, params)
    step = theano.function(
        [x], [loss, *gradients], updates=lasagne.updates.adam(gradients, params, learning_rate=1e-3)
    )
    before = [p.get_value() for p in params]
    loss, *gradients = step(batch(LAYERS[name][0]))
    assert loss.dtype == np.float32 and np.isfinite(loss)
    for param, old, gradient in zip(params, before, gradients, strict=True):
        moved = param.get_value() - old
        assert moved.dtype == np.float32
        # Its first step has the same length for every gradient that its epsilon does not drown.
        clear = abs(gradient) > 1e-4
        np.testing.assert_allclose(moved[clear], -1e-3 * np.sign(gradient[clear]), rtol=0.02)
    step(batch(LAYERS[name][0]))
    assert step.compilations == 1


@pytest.mark.skipif(lasagne.__version__ != "0.1", reason="later Lasagnes have a suite of their own")
def test_no_public_layer_is_forgotten():
    """Every class is built by a case, or tested by itself below; every function is tested below."""
    cases = [layer for name in LAYERS for layer in L.get_all_layers(build(name)[1])]
    tested = {cls for layer in cases for cls in type(layer).__mro__}
    tested |= {L.EmbeddingLayer, L.Gate}
    tested |= {L.get_all_layers, L.get_output, L.get_output_shape, L.get_all_params}
    tested |= {L.count_params, L.get_all_param_values, L.set_all_param_values}
    public = {
        name: value
        for name, value in vars(L).items()
        if getattr(value, "__module__", "").startswith("lasagne.layers.") and not name.startswith("_")
    }
    assert [name for name, value in public.items() if value not in tested] == []


def test_parameters_are_counted_and_handed_over():
    x = T.matrix()
    nets = [L.DenseLayer(L.DenseLayer(L.InputLayer((None, 6), x), 5), 4) for _ in range(2)]
    assert [L.count_params(net) for net in nets] == 2 * [6 * 5 + 5 + 5 * 4 + 4]
    assert L.get_output_shape(nets[0], {nets[0].input_layer: (3, 5)}) == (3, 4)
    first, second = (theano.function([x], L.get_output(net)) for net in nets)
    assert not np.allclose(first(batch(FLAT)), second(batch(FLAT)))
    L.set_all_param_values(nets[1], L.get_all_param_values(nets[0]))
    np.testing.assert_array_equal(first(batch(FLAT)), second(batch(FLAT)))


@pytest.mark.parametrize("mode", MODES)
def test_embedding_looks_rows_up_and_trains_those_it_read(mode):
    x = T.imatrix()
    layer = L.EmbeddingLayer(L.InputLayer((None, 3), x), 5, 4)
    table = layer.W.get_value()
    out = L.get_output(layer)
    step = theano.function([x], out, updates={layer.W: layer.W - T.grad(out.sum(), layer.W)}, mode=mode)
    words = np.array([[0, 2, 2], [4, 0, 2]], "int32")
    np.testing.assert_array_equal(step(words), table[words])
    counts = np.bincount(words.ravel(), minlength=5)
    np.testing.assert_allclose(layer.W.get_value(), table - counts[:, None], rtol=1e-6)


@pytest.mark.parametrize("mode", MODES)
def test_dropout_zeroes_a_share_and_scales_the_rest(mode):
    x = T.matrix()
    layer = L.DropoutLayer(L.InputLayer((None, 200), x), p=0.2)
    f = theano.function([x], L.get_output(layer), mode=mode)
    value = np.full((100, 200), 2, "float32")
    first, second = f(value), f(value)
    assert set(np.unique(first)) == {0, np.float32(2.5)}
    assert abs(np.mean(first == 0) - 0.2) < 5 * np.sqrt(0.16 / first.size)
    assert 0.3 < np.mean(first != second) < 0.34
    np.testing.assert_array_equal(
        theano.function([x], L.get_output(layer, deterministic=True), mode=mode)(value), value
    )


def test_gaussian_noise_has_its_deviation():
    x = T.matrix()
    layer = L.GaussianNoiseLayer(L.InputLayer((None, 200), x), sigma=0.5)
    noise = theano.function([x], L.get_output(layer))(np.zeros((100, 200), "float32"))
    assert abs(noise.mean()) < 5 * 0.5 / np.sqrt(noise.size)
    assert abs(noise.std() - 0.5) < 0.02


@pytest.mark.parametrize("mode", MODES)
def test_a_step_of_softmax_regression_is_that_of_numpy(mode):
    x, labels = T.matrix(), T.ivector()
    layer = L.DenseLayer(L.InputLayer((None, 6), x), 3, nonlinearity=lasagne.nonlinearities.softmax)
    loss = objectives.categorical_crossentropy(L.get_output(layer), labels).mean()
    params = L.get_all_params(layer, trainable=True)
    step = theano.function([x, labels], loss, updates=lasagne.updates.sgd(loss, params, 0.5), mode=mode)
    W, b = (p.get_value().astype(float) for p in params)
    value, classes = batch(FLAT), np.array([0, 2, 1, 2], "int32")
    for _ in range(3):
        logits = value @ W + b
        p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        np.testing.assert_allclose(step(value, classes), -np.log(p[range(4), classes]).mean(), rtol=1e-5)
        error = (p - np.eye(3)[classes]) / 4
        W, b = W - 0.5 * value.T @ error, b - 0.5 * error.sum(axis=0)
        for param, expected in zip(params, (W, b), strict=True):
            np.testing.assert_allclose(param.get_value(), expected, rtol=1e-4, atol=1e-6)


def test_a_small_net_learns_its_batch():
    x, labels = T.tensor4(), T.ivector()
    net = L.InputLayer((None, 1, 8, 8), x)
    net = L.MaxPool2DLayer(L.Conv2DLayer(net, 8, 3, pad="same"), 2)
    net = L.DropoutLayer(L.DenseLayer(net, 16), p=0.1)
    net = L.DenseLayer(net, 4, nonlinearity=lasagne.nonlinearities.softmax)
    loss = objectives.categorical_crossentropy(L.get_output(net), labels).mean()
    updates = lasagne.updates.adam(loss, L.get_all_params(net, trainable=True), 0.01)
    train = theano.function([x, labels], loss, updates=updates)
    predict = theano.function([x], T.argmax(L.get_output(net, deterministic=True), axis=1))
    images, classes = batch((16, 1, 8, 8)), np.arange(16, dtype="int32") % 4
    losses = [train(images, classes) for _ in range(60)]
    assert losses[-1] < 0.2 < losses[0]
    np.testing.assert_array_equal(predict(images), classes)
    np.testing.assert_array_equal(predict(images[:5]), classes[:5])


@pytest.mark.parametrize(
    "duplicate", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))], ids=["deepcopy", "pickle"]
)
def test_a_used_net_can_be_duplicated(duplicate):
    x = T.matrix()
    net = L.DropoutLayer(L.DenseLayer(L.InputLayer((None, 6), x), 3))
    out = L.get_output(net, deterministic=True)
    W = net.input_layer.W
    theano.function([x], L.get_output(net), updates={W: W + 1})(batch(FLAT))
    expected = out.eval({x: batch(FLAT)})
    other = duplicate(net)
    W.set_value(W.get_value() * 0)
    (first, *_) = L.get_all_layers(other)
    out = L.get_output(other, deterministic=True)
    np.testing.assert_array_equal(out.eval({first.input_var: batch(FLAT)}), expected)


# Update rules, as their authors write them: each takes a gradient and its own state to a step.


def sgd(state, g):
    return state, -0.1 * g


def momentum(v, g):
    v = 0.9 * v - 0.1 * g
    return v, v


def nesterov_momentum(v, g):
    v = 0.9 * v - 0.1 * g
    return v, 0.9 * v - 0.1 * g


def adagrad(total, g):
    total = total + g**2
    return total, -0.1 * g / np.sqrt(total + 1e-6)


def rmsprop(mean, g):
    mean = 0.9 * mean + 0.1 * g**2
    return mean, -0.1 * g / np.sqrt(mean + 1e-6)


def adadelta(state, g):
    gradients, steps = state if np.ndim(state) > 1 else (0 * g, 0 * g)
    gradients = 0.95 * gradients + 0.05 * g**2
    step = -g * np.sqrt(steps + 1e-6) / np.sqrt(gradients + 1e-6)
    return np.array([gradients, 0.95 * steps + 0.05 * step**2]), 0.1 * step


def adam(state, g):
    m, v, t = state if np.ndim(state) > 1 else (0 * g, 0 * g, 0 * g)
    m, v, t = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2, t + 1
    step = -0.1 * np.sqrt(1 - 0.999**t) / (1 - 0.9**t) * m / (np.sqrt(v) + 1e-8)
    return np.array([m, v, t]), step


def adamax(state, g):
    m, u, t = state if np.ndim(state) > 1 else (0 * g, 0 * g, 0 * g)
    m, u, t = 0.9 * m + 0.1 * g, np.maximum(0.999 * u, abs(g) + 1e-8), t + 1
    return np.array([m, u, t]), -0.1 / (1 - 0.9**t) * m / u


RULES = [sgd, momentum, nesterov_momentum, adagrad, rmsprop, adadelta, adam, adamax]


@pytest.mark.parametrize("rule", RULES, ids=lambda r: r.__name__)
def test_update_rules_make_their_authors_steps(rule):
    if not hasattr(lasagne.updates, rule.__name__):
        pytest.skip("not in this Lasagne")
    w = theano.shared(np.array([1, -2, 0.5], "float32"), "w")
    scale = np.array([1, 3, 0.2], "float32")
    loss = T.sum(scale * w**2)
    step = theano.function([], loss, updates=getattr(lasagne.updates, rule.__name__)(loss, [w], 0.1))
    expected, state = w.get_value().astype(float), np.zeros(3)
    for _ in range(4):
        np.testing.assert_allclose(step(), np.sum(scale * expected**2), rtol=1e-4)
        state, change = rule(state, 2 * scale * expected)
        expected = expected + change
        np.testing.assert_allclose(w.get_value(), expected, rtol=1e-4, atol=1e-6)
        assert w.get_value().dtype == np.float32
    assert step.compilations == 1


def test_norm_constraints_shorten_what_is_too_long():
    W = batch((6, 4)) * np.array([0.1, 1, 2, 3], "float32")
    w = T.matrix()
    constrained = lasagne.updates.norm_constraint(w, 2.0)
    total = lasagne.updates.total_norm_constraint([w, 2 * w], 2.0)
    f = theano.function([w], [constrained, *total])
    columns, first, second = f(W)
    norms = np.linalg.norm(W, axis=0)
    np.testing.assert_allclose(columns, W * np.minimum(1, 2 / norms), rtol=1e-4)
    np.testing.assert_allclose(np.hypot(np.linalg.norm(first), np.linalg.norm(second)), 2, rtol=1e-4)
    np.testing.assert_allclose(second, 2 * first, rtol=1e-5)


# Objectives and regularization


@pytest.mark.parametrize("mode", MODES)
def test_objectives_equal_numpy(mode):
    p, t, labels, weights = T.matrix(), T.matrix(), T.ivector(), T.vector()
    error = objectives.squared_error(p, t).mean(axis=1)
    losses = [
        objectives.binary_crossentropy(p, t),
        objectives.categorical_crossentropy(p, labels),
        objectives.squared_error(p, t),
        objectives.aggregate(error),
        objectives.aggregate(error, weights, mode="sum"),
        objectives.aggregate(error, weights, mode="normalized_sum"),
    ]
    f = theano.function([p, t, labels, weights], losses, mode=mode)
    random = np.random.default_rng(0)
    P, Q = random.uniform(0.05, 0.95, (2, 4, 3)).astype("float32")
    classes, w = np.array([0, 2, 1, 1], "int32"), np.array([1, 0, 2, 0.5], "float32")
    binary, categorical, squared, mean, weighted, normalized = f(P, Q, classes, w)
    np.testing.assert_allclose(binary, -Q * np.log(P) - (1 - Q) * np.log(1 - P), rtol=1e-5)
    np.testing.assert_allclose(categorical, -np.log(P[range(4), classes]), rtol=1e-5)
    np.testing.assert_allclose(squared, (P - Q) ** 2, rtol=1e-5)
    errors = ((P - Q) ** 2).mean(axis=1)
    np.testing.assert_allclose(mean, errors.mean(), rtol=1e-5)
    np.testing.assert_allclose(weighted, errors @ w, rtol=1e-5)
    np.testing.assert_allclose(normalized, errors @ w / w.sum(), rtol=1e-5)


def test_regularization_equals_numpy():
    first = L.DenseLayer(L.InputLayer((None, 6)), 5)
    second = L.DenseLayer(first, 4)
    V, W = (layer.W.get_value().astype(float) for layer in (first, second))
    penalties = [
        regularization.regularize_layer_params(second, regularization.l1),
        regularization.regularize_layer_params_weighted({first: 0.5, second: 2}, regularization.l2),
        regularization.regularize_network_params(second, regularization.l2),
        T.grad(regularization.regularize_network_params(second, regularization.l2), first.W),
    ]
    l1, weighted, network, gradient = theano.function([], penalties)()
    np.testing.assert_allclose(l1, abs(W).sum(), rtol=1e-5)
    np.testing.assert_allclose(weighted, 0.5 * (V**2).sum() + 2 * (W**2).sum(), rtol=1e-5)
    np.testing.assert_allclose(network, (V**2).sum() + (W**2).sum(), rtol=1e-5)
    np.testing.assert_allclose(gradient, 2 * V, rtol=1e-5)
