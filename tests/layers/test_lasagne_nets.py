"""The layers among Lasagne's own, and a net of them in training."""

import lasagne
import numpy as np
import pytest
from lasagne.layers import (
    ConcatLayer,
    DenseLayer,
    DropoutLayer,
    ElemwiseSumLayer,
    InputLayer,
    MaxPool2DLayer,
    NonlinearityLayer,
    get_all_param_values,
    get_all_params,
    get_output,
    set_all_param_values,
)

import theano
import theano.tensor as T
from xnornet.layers import BatchNormLayer, XNORConv2DLayer, XNORDenseLayer, clip_weights


def convnet(input_var=None):
    layer = InputLayer((None, 2, 6, 6), input_var)
    layer = lasagne.layers.Conv2DLayer(layer, 3, 3, pad="same", nonlinearity=None, name="first")
    layer = BatchNormLayer(layer, name="bn")
    layer = XNORConv2DLayer(layer, 4, 3, pad="same", name="conv")
    layer = DropoutLayer(MaxPool2DLayer(layer, 2))
    layer = XNORDenseLayer(layer, 5, b=None, name="dense")
    return DenseLayer(layer, 3, nonlinearity=lasagne.nonlinearities.softmax, name="last")


def images(batch, shape=(2, 6, 6)):
    return np.random.default_rng(0).uniform(-1, 1, (batch, *shape)).astype("float32")


def run(output, *variables):
    return theano.function(list(variables), output)


def names(params):
    return [p.name for p in params]


def test_parameters_are_found_by_their_tags():
    network = convnet()
    assert names(get_all_params(network)) == [
        "first.W",
        "first.b",
        "bn.beta",
        "bn.gamma",
        "bn.mean",
        "bn.inv_std",
        "conv.W",
        "conv.b",
        "dense.W",
        "last.W",
        "last.b",
    ]
    assert names(get_all_params(network, binary=True)) == ["conv.W", "dense.W"]
    assert names(get_all_params(network, trainable=False)) == ["bn.mean", "bn.inv_std"]
    assert names(get_all_params(network, regularizable=True)) == [
        "first.W",
        "bn.gamma",
        "conv.W",
        "dense.W",
        "last.W",
    ]


def test_parameters_are_counted():
    assert lasagne.layers.count_params(convnet(), trainable=True) == (
        (3 * 2 * 9 + 3) + (3 + 3) + (4 * 3 * 9 + 4) + 4 * 9 * 5 + (5 * 3 + 3)
    )


def test_values_round_trip_into_another_net():
    one, other = convnet(), convnet()
    x = images(4)
    expected, before = (
        run(get_output(n, deterministic=True), lasagne.layers.get_all_layers(n)[0].input_var)(x)
        for n in (one, other)
    )
    assert not np.array_equal(expected, before)
    set_all_param_values(other, get_all_param_values(one))
    for a, b in zip(get_all_param_values(one), get_all_param_values(other), strict=True):
        np.testing.assert_array_equal(a, b)
    input_var = lasagne.layers.get_all_layers(other)[0].input_var
    np.testing.assert_array_equal(run(get_output(other, deterministic=True), input_var)(x), expected)


def test_output_shape_is_the_shape_of_the_output():
    network = convnet()
    layers = lasagne.layers.get_all_layers(network)
    outputs = run(get_output(layers), layers[0].input_var)(images(3))
    for layer, output in zip(layers, outputs, strict=True):
        assert layer.output_shape == (None, *output.shape[1:])


def test_deterministic_outputs_repeat_and_random_ones_do_not():
    network = convnet()
    x = lasagne.layers.get_all_layers(network)[0].input_var
    sure, random = run(get_output(network, deterministic=True), x), run(get_output(network), x)
    np.testing.assert_array_equal(sure(images(8)), sure(images(8)))
    assert not np.array_equal(random(images(8)), random(images(8)))


def test_any_expression_can_be_the_input():
    network = convnet()
    input_var = lasagne.layers.get_all_layers(network)[0].input_var
    v = T.tensor4()
    halved = run(get_output(network, v / 2, deterministic=True), v)
    plain = run(get_output(network, deterministic=True), input_var)
    np.testing.assert_allclose(halved(images(3)), plain(images(3) / 2), rtol=1e-5)


@pytest.mark.parametrize("merge", [ConcatLayer, ElemwiseSumLayer])
def test_layers_branch_and_merge(merge):
    source = InputLayer((None, 2, 5, 5))
    branches = [
        XNORConv2DLayer(source, 3, 3, pad="same", scale_inputs=False),
        XNORConv2DLayer(source, 3, 1),
    ]
    network = XNORDenseLayer(merge(branches), 2)
    values = run(get_output([network.input_layer, *branches]), source.input_var)(images(4, (2, 5, 5)))
    expected = np.concatenate(values[1:], axis=1) if merge is ConcatLayer else values[1] + values[2]
    np.testing.assert_allclose(values[0], expected, rtol=1e-5, atol=1e-5)
    gradients = theano.grad(get_output(network).sum(), get_all_params(network, trainable=True))
    for gradient, p in zip(
        run(gradients, source.input_var)(images(4, (2, 5, 5))), get_all_params(network), strict=True
    ):
        assert gradient.shape == p.get_value().shape
        assert np.isfinite(gradient).all()


def test_a_shared_weight_counts_once_and_gathers_both_gradients():
    source = InputLayer((None, 3, 4, 4))
    first = XNORConv2DLayer(source, 3, 3, pad="same", b=None)
    both = XNORConv2DLayer(first, 3, 3, pad="same", W=first.W, b=None)
    assert get_all_params(both) == get_all_params(both, binary=True) == [first.W]
    apart = XNORConv2DLayer(first, 3, 3, pad="same", W=first.W.get_value(), b=None)
    (shared,) = theano.grad(get_output(both).sum(), [first.W])
    separate = theano.grad(get_output(apart).sum(), [first.W, apart.W])
    found, upper, lower = run([shared, *separate], source.input_var)(images(2, (3, 4, 4)))
    np.testing.assert_allclose(found, upper + lower, rtol=1e-4, atol=1e-5)


def test_weights_may_start_as_arrays_shared_variables_and_initializers():
    array = np.full((4, 3), 0.5, "float32")
    shared = theano.shared(array)
    assert XNORDenseLayer((None, 4), 3, W=shared).W is shared
    assert XNORDenseLayer((None, 4), 3, W=array).W.get_value().tolist() == array.tolist()
    layer = XNORConv2DLayer((None, 1, 4, 4), 2, 3, W=lasagne.init.Constant(0.25), b=lasagne.init.Constant(2))
    assert set(layer.W.get_value().ravel()) == {0.25}
    assert layer.b.get_value().tolist() == [2, 2]


def separable(number=64):
    """Points of eight numbers; the class is the sign of a sum of four of them, which keeps off zero."""
    rng = np.random.default_rng(0)
    points = rng.uniform(-1, 1, (10 * number, 8)).astype("float32")
    sums = points[:, :4].sum(axis=1)
    far = np.flatnonzero(np.abs(sums) > 0.5)[:number]
    return points[far], (sums[far] > 0).astype("int32")


def test_training_lowers_the_loss_and_keeps_the_weights_within_one():
    x, t = T.matrix(), T.ivector()
    hidden = XNORDenseLayer(InputLayer((None, 8), x), 16, W=lasagne.init.Uniform(1.5), name="one")
    hidden = XNORDenseLayer(BatchNormLayer(hidden), 16, W=lasagne.init.Uniform(1.5), name="two")
    network = DenseLayer(BatchNormLayer(hidden), 2, nonlinearity=lasagne.nonlinearities.softmax)
    loss = lasagne.objectives.categorical_crossentropy(get_output(network), t).mean()
    params = get_all_params(network, trainable=True)
    updates = lasagne.updates.adam(loss, params, learning_rate=0.02)
    assert clip_weights(updates, network) is updates
    step = theano.function([x, t], loss, updates=updates)
    data = separable()
    losses = []
    for _ in range(60):
        losses.append(float(step(*data)))
        for W in get_all_params(network, binary=True):
            assert np.abs(W.get_value()).max() <= 1
    assert losses[-1] < losses[0] / 4


def test_clipping_leaves_other_parameters_alone():
    network = convnet()
    params = get_all_params(network, trainable=True)
    updates = {p: p + 3 for p in params}
    updates[get_all_params(network)[0]] = updates[get_all_params(network)[0]] * 2
    before = dict(updates)
    clip_weights(updates, network)
    assert list(updates) == list(before)
    binary = get_all_params(network, binary=True)
    for p in params:
        assert (updates[p] is before[p]) == (p not in binary)
    values = run([updates[p] for p in binary])()
    for value, p in zip(values, binary, strict=True):
        np.testing.assert_allclose(value, np.minimum(p.get_value() + 3, 1))


def test_clipping_leaves_out_binary_weights_that_have_no_update():
    network = convnet()
    updates = {}
    assert clip_weights(updates, network) == {}


def test_clipping_takes_several_output_layers():
    source = InputLayer((None, 4))
    heads = [XNORDenseLayer(source, 2), XNORDenseLayer(source, 3)]
    updates = clip_weights({h.W: h.W * 1000 for h in heads}, heads)
    for head in heads:
        np.testing.assert_array_equal(np.abs(run(updates[head.W])()), 1)


def test_a_nonlinearity_can_be_a_layer_of_its_own():
    source = InputLayer((None, 4))
    W = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")
    inside = XNORDenseLayer(source, 3, W=W, nonlinearity=lasagne.nonlinearities.tanh)
    outside = NonlinearityLayer(XNORDenseLayer(source, 3, W=W), lasagne.nonlinearities.tanh)
    a, b = run(get_output([inside, outside]), source.input_var)(images(5, (4,)))
    np.testing.assert_array_equal(a, b)


def test_groups_and_dilation_learn_what_lies_apart():
    """The class is the sign that most pixels of the outer columns of a channel have."""
    rng = np.random.default_rng(0)
    points = rng.choice([-0.5, 0.5], (128, 4, 3, 3)).astype("float32")
    classes = (points[:, 2, :, ::2].sum(axis=(1, 2)) > 0).astype("int32")
    x, t = T.tensor4(), T.ivector()
    layer = InputLayer((None, 4, 3, 3), x)
    layer = BatchNormLayer(XNORConv2DLayer(layer, 64, (1, 2), num_groups=4, dilation=2))
    layer = BatchNormLayer(XNORConv2DLayer(layer, 64, (3, 1), num_groups=64))
    layer = BatchNormLayer(XNORConv2DLayer(layer, 64, 1, num_groups=2))
    network = DenseLayer(layer, 2, nonlinearity=lasagne.nonlinearities.softmax)
    loss = lasagne.objectives.categorical_crossentropy(get_output(network), t).mean()
    params = get_all_params(network, trainable=True)
    updates = clip_weights(lasagne.updates.adam(loss, params, learning_rate=0.02), network)
    step = theano.function([x, t], loss, updates=updates)
    losses = [float(step(points, classes)) for _ in range(80)]
    assert losses[0] > 0.5 and losses[-1] < 0.1
