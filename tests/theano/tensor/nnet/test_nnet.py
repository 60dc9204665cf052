"""Nonlinearities and cross-entropies against their closed forms, and gradients against differences."""

import functools

import numpy as np
import pytest
import scipy.special
from extent import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import theano
import theano.tensor as T
from theano.tensor import nnet

pytestmark = pytest.mark.filterwarnings("error:.*JAX cannot")

MODES = ["JAX", "FAST_COMPILE"]
ELEMENTWISE = {
    "relu": (nnet.relu, lambda x: np.maximum(x, 0)),
    "leaky relu": (lambda x: nnet.relu(x, 0.1), lambda x: np.where(x > 0, x, 0.1 * x)),
    "relu of alpha > 1": (lambda x: nnet.relu(x, 2), lambda x: np.where(x > 0, x, 2 * x)),
    "softplus": (nnet.softplus, lambda x: np.logaddexp(0, x)),
    "sigmoid": (nnet.sigmoid, scipy.special.expit),
    "ultra_fast_sigmoid": (nnet.ultra_fast_sigmoid, scipy.special.expit),
    "elu": (nnet.elu, lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0)))),
    "elu of alpha": (lambda x: nnet.elu(x, 0.3), lambda x: np.where(x > 0, x, 0.3 * np.expm1(x))),
    "hard_sigmoid": (nnet.hard_sigmoid, lambda x: np.clip(0.2 * x + 0.5, 0, 1)),
    "selu": (
        nnet.selu,
        lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(np.minimum(x, 0))),
    ),
    "softsign": (nnet.softsign, lambda x: x / (1 + abs(x))),
}


def slope(f, x, direction, step=1e-6):
    """Directional derivative by central difference."""
    return (f(x + step * direction) - f(x - step * direction)).sum() / (2 * step)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_nonlinearities_equal_their_closed_forms(mode, name):
    function, closed_form = ELEMENTWISE[name]
    x = T.dmatrix()
    y = function(x)
    f = theano.function([x], [y, T.grad(y.sum(), x)], mode=mode)
    value = np.array([[-30.0, -3.01, -1.3, -0.2], [0.1, 1.7, 2.8, 30]])
    out, gradient = f(value)
    np.testing.assert_allclose(out, closed_form(value), rtol=1e-14, atol=1e-16)
    for direction in np.eye(8).reshape(8, 2, 4):
        expected = slope(closed_form, value, direction)
        np.testing.assert_allclose(np.vdot(gradient, direction), expected, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_nonlinearities_keep_float32(mode, name):
    x = T.fmatrix()
    y = ELEMENTWISE[name][0](x)
    f = theano.function([x], [y, T.grad(y.sum(), x)], mode=mode)
    assert [r.dtype for r in f(np.ones((1, 1), "float32"))] == ["float32", "float32"]


def test_relu_has_half_the_slope_at_zero():
    x = T.dscalar()
    assert theano.function([x], T.grad(nnet.relu(x), x))(0.0) == 0.5
    np.testing.assert_allclose(theano.function([x], T.grad(nnet.relu(x, 0.2), x))(0.0), 0.6)


def test_relu_takes_a_symbolic_slope():
    x, alpha = T.dvector(), T.dvector()
    y = nnet.relu(x, alpha)
    f = theano.function([x, alpha], [y, T.grad(y.sum(), alpha)])
    out, to_alpha = f(np.array([-2.0, 4]), np.array([0.25, 0.5]))
    np.testing.assert_array_equal(out, [-0.5, 4])
    np.testing.assert_array_equal(to_alpha, [-2, 0])


def test_relu_of_numpy_is_numpy():
    np.testing.assert_array_equal(nnet.relu(np.array([-1.0, 2])), [0, 2])


@functools.cache
def softmaxes(mode):
    x = T.dmatrix()
    softmax = nnet.softmax(x)
    return theano.function([x], [softmax, nnet.logsoftmax(x), T.log(softmax)], mode=mode)


@pytest.mark.parametrize("mode", MODES)
@given(arrays("float64", (3, 4), elements=st.floats(-50, 50)))
@settings(max_examples=examples(25), deadline=None)
def test_softmax_and_its_logarithm_equal_scipy(mode, value):
    probabilities, logarithms, of_softmax = softmaxes(mode)(value)
    np.testing.assert_allclose(probabilities, scipy.special.softmax(value, axis=1), rtol=1e-12)
    for result in (logarithms, of_softmax):
        np.testing.assert_allclose(result, scipy.special.log_softmax(value, axis=1), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("mode", MODES)
def test_softmax_of_a_vector_is_one_row(mode):
    x = T.dvector()
    value = np.array([1.0, 2, 4])
    f = theano.function([x], [nnet.softmax(x), nnet.logsoftmax(x)], mode=mode)
    probabilities, logarithms = f(value)
    np.testing.assert_allclose(probabilities, [scipy.special.softmax(value)])
    np.testing.assert_allclose(logarithms, [scipy.special.log_softmax(value)])


@pytest.mark.parametrize("mode", MODES)
def test_softmax_has_its_jacobian_as_gradient(mode):
    x, g = T.dmatrix(), T.dmatrix()
    f = theano.function([x, g], T.grad(T.sum(nnet.softmax(x) * g), x), mode=mode)
    value, cotangent = np.random.default_rng(0).normal(size=(2, 3, 4))
    p = scipy.special.softmax(value, axis=1)
    expected = [(np.diag(row) - np.outer(row, row)) @ up for row, up in zip(p, cotangent, strict=True)]
    np.testing.assert_allclose(f(value, cotangent), expected, rtol=1e-10)


# FAST_COMPILE leaves graphs as they are written; there, only the stable forms are stable.


@pytest.mark.parametrize("mode", MODES)
def test_cross_entropies_of_softmax_survive_big_logits(mode):
    x, labels = T.fmatrix(), T.ivector()
    rows = T.arange(labels.shape[0])
    losses = [-nnet.logsoftmax(x)[rows, labels]]
    if mode == "JAX":
        losses.append(-T.log(nnet.softmax(x))[rows, labels])
        losses.append(nnet.categorical_crossentropy(nnet.softmax(x), labels))
    gradients = [T.grad(loss.sum(), x) for loss in losses]
    f = theano.function([x, labels], losses + gradients, mode=mode)
    value = np.array([[0, 1000, -1000], [500, -500, 0]], "float32")
    results = f(value, np.array([0, 1], "int32"))
    for loss, gradient in zip(results[: len(losses)], results[len(losses) :], strict=True):
        np.testing.assert_allclose(loss, [1000, 1000])
        np.testing.assert_allclose(gradient, [[-1, 1, 0], [1, -1, 0]], atol=1e-6)


@pytest.mark.parametrize("mode", MODES)
def test_cross_entropies_of_sigmoid_survive_big_logits(mode):
    x, target = T.fvector(), T.fvector()
    losses = [nnet.sigmoid_binary_crossentropy(x, target)]
    if mode == "JAX":
        losses.append(nnet.binary_crossentropy(nnet.sigmoid(x), target))
    gradients = [T.grad(loss.sum(), x) for loss in losses]
    f = theano.function([x, target], losses + gradients, mode=mode)
    value = np.array([1000, -1000, 1000, -1000, 0], "float32")
    results = f(value, np.array([0, 1, 1, 0, 0.25], "float32"))
    for loss, gradient in zip(results[: len(losses)], results[len(losses) :], strict=True):
        np.testing.assert_allclose(loss, [1000, 1000, 0, 0, np.log(2)], rtol=1e-6)
        np.testing.assert_allclose(gradient, [1, -1, 0, 0, 0.25], rtol=1e-6)


@pytest.mark.parametrize("mode", MODES)
def test_binary_crossentropies_equal_their_closed_form(mode):
    p, t = T.dmatrix(), T.dmatrix()
    logit = T.log(p / (1 - p))
    losses = [nnet.binary_crossentropy(p, t), nnet.sigmoid_binary_crossentropy(logit, t)]
    f = theano.function([p, t], losses, mode=mode)
    probabilities, targets = np.random.default_rng(0).uniform(0.01, 0.99, (2, 3, 4))
    entropy = -scipy.special.xlogy(targets, probabilities) - scipy.special.xlog1py(
        1 - targets, -probabilities
    )
    for result in f(probabilities, targets):
        np.testing.assert_allclose(result, entropy, rtol=1e-10)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", ["int32", "uint8"])
def test_categorical_crossentropy_of_labels_equals_that_of_one_hot_rows(mode, dtype):
    p, labels, rows = T.dmatrix(), T.TensorType(dtype, (False,))(), T.dmatrix()
    losses = [nnet.categorical_crossentropy(p, t) for t in (labels, rows)]
    f = theano.function([p, labels, rows], losses + [T.grad(loss.sum(), p) for loss in losses], mode=mode)
    probabilities = scipy.special.softmax(np.random.default_rng(0).normal(size=(4, 3)), axis=1)
    classes = np.array([0, 2, 1, 2], dtype)
    one_hot = np.eye(3)[classes]
    *results, first_gradient, second_gradient = f(probabilities, classes, one_hot)
    for result in results:
        np.testing.assert_allclose(
            result, -np.log([p[c] for p, c in zip(probabilities, classes, strict=True)])
        )
    for gradient in (first_gradient, second_gradient):
        np.testing.assert_allclose(gradient, -one_hot / probabilities, atol=1e-15)


@pytest.mark.parametrize("mode", MODES)
def test_categorical_crossentropy_of_distributions_equals_its_closed_form(mode):
    p, t = T.dmatrix(), T.dmatrix()
    f = theano.function([p, t], nnet.categorical_crossentropy(p, t), mode=mode)
    probabilities, targets = scipy.special.softmax(np.random.default_rng(0).normal(size=(2, 4, 3)), axis=2)
    entropy = scipy.special.rel_entr(targets, probabilities) + scipy.special.entr(targets)
    np.testing.assert_allclose(f(probabilities, targets), entropy.sum(axis=1))


def test_targets_that_are_no_classes_are_refused():
    with pytest.raises(TypeError, match="integer classes with 1"):
        nnet.categorical_crossentropy(T.matrix(), T.fvector())
    with pytest.raises(TypeError, match="got"):
        nnet.categorical_crossentropy(T.matrix(), T.tensor3())


@pytest.mark.parametrize("mode", MODES)
def test_the_crossentropies_of_softmax_in_one_call_equal_their_closed_forms(mode):
    random = np.random.default_rng(0)
    value, bias, classes = random.normal(size=(4, 3)), random.normal(size=3), np.array([2, 0, 1, 1])
    x, b, y = T.dmatrix(), T.dvector(), T.lvector()
    calls = {
        "softmax_1hot": (nnet.crossentropy_softmax_1hot(x, y), 0),
        "with_bias": (nnet.crossentropy_softmax_1hot_with_bias(x, b, y), bias),
        "argmax": (nnet.crossentropy_softmax_argmax_1hot_with_bias(x, b, y), bias),
        "max_and_argmax": (nnet.crossentropy_softmax_max_and_argmax_1hot(x, y), 0),
        "all": (nnet.crossentropy_softmax_max_and_argmax_1hot_with_bias(x, b, y), bias),
    }
    for name, (outputs, shift) in calls.items():
        p = scipy.special.softmax(value + shift, axis=1)
        best = [max(range(3), key=row.__getitem__) for row in p]
        loss = [-np.log(row[c]) for row, c in zip(p, classes, strict=True)]
        maxima = [row[i] for row, i in zip(p, best, strict=True)]
        expected = [loss, p, *([maxima] if len(outputs) == 4 else []), best]
        gradient = T.grad(outputs[0].sum(), x)
        f = theano.function([x, b, y], [*outputs, gradient], mode=mode, on_unused_input="ignore")
        *results, gradient = f(value, bias, classes)
        for result, numbers in zip(results, expected, strict=False):
            np.testing.assert_allclose(result, numbers, rtol=1e-10, err_msg=name)
        np.testing.assert_allclose(gradient, p - np.eye(3)[classes], rtol=1e-9)
    of_distribution = nnet.crossentropy_categorical_1hot(nnet.softmax_with_bias(x, b), y)
    f = theano.function([x, b, y], of_distribution, mode=mode)
    np.testing.assert_allclose(f(value, bias, classes), loss, rtol=1e-10)


@pytest.mark.parametrize("mode", MODES)
def test_h_softmax_multiplies_the_probabilities_of_class_and_member(mode):
    random = np.random.default_rng(0)
    x = random.normal(size=(4, 5))
    weights = [random.normal(size=s) for s in [(5, 3), (3,), (3, 5, 2), (3, 2)]]
    target = np.array([0, 4, 3, 1])
    xv, y = T.dmatrix(), T.lvector()
    sizes = dict(batch_size=4, n_outputs=5, n_classes=3, n_outputs_per_class=2)
    parameters = dict(zip(("W1", "b1", "W2", "b2"), map(T.constant, weights), strict=True))
    everything = nnet.h_softmax(xv, **sizes, **parameters)
    of_target = nnet.h_softmax(xv, **sizes, **parameters, target=y)
    loss = -T.log(of_target).mean()
    f = theano.function([xv, y], [everything, of_target, T.grad(loss, xv)], mode=mode)
    w1, b1, w2, b2 = weights

    def probability(row, output):
        of_class = scipy.special.softmax(row @ w1 + b1)[output // 2]
        return of_class * scipy.special.softmax(row @ w2[output // 2] + b2[output // 2])[output % 2]

    def mean_loss(x):
        return -np.mean([np.log(probability(row, t)) for row, t in zip(x, target, strict=True)])

    out, chosen, gradient = f(x, target)
    np.testing.assert_allclose(out, [[probability(row, o) for o in range(5)] for row in x])
    np.testing.assert_allclose(chosen, [probability(row, t) for row, t in zip(x, target, strict=True)])
    direction = random.normal(size=x.shape)
    slope_ = (mean_loss(x + 1e-6 * direction) - mean_loss(x - 1e-6 * direction)) / 2e-6
    np.testing.assert_allclose(np.vdot(gradient, direction), slope_, rtol=1e-7)


def test_a_confusion_matrix_counts_pairs_of_classes():
    actual, pred = T.lvector(), T.lvector()
    f = theano.function([actual, pred], nnet.confusion_matrix(actual, pred), mode="FAST_COMPILE")
    counts, order = f([2, 0, 2, 5, 0], [2, 2, 2, 0, 0])
    np.testing.assert_array_equal(order, [0, 2, 5])
    np.testing.assert_array_equal(counts, [[1, 1, 0], [0, 2, 0], [1, 0, 0]])
    with pytest.raises(ValueError, match="two vectors; got 2 and 1"):
        nnet.confusion_matrix(T.matrix(), pred)
