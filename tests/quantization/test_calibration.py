"""What quantization chooses: formats, integers, and room for every exact result."""

from fractions import Fraction

import lasagne
import numpy as np
import pytest
from extent import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from lasagne.layers import DenseLayer, DropoutLayer, InputLayer, get_all_layers, get_output
from lasagne.nonlinearities import rectify

import theano
from xnornet.fixedpoint import Q
from xnornet.graph import (
    XNOR,
    Affine,
    Flatten,
    Formats,
    Linear,
    MaxPool,
    Quantize,
    Rectify,
    ScaledBias,
    Signs,
)
from xnornet.layers import BatchNormLayer, XNORConv2DLayer, XNORDenseLayer
from xnornet.quantization import quantize
from xnornet.quantization.layers import operations


def drawn(rng, *shape, scale=1.0):
    return (rng.uniform(-1, 1, shape) * scale).astype("float32")


def with_zeros(rng, array):
    array[rng.random(array.shape) < 0.2] = 0
    return array


def fewest_bits(magnitude):
    """Smallest k with ``2**k >= magnitude``, by counting."""
    k = 0
    while Fraction(2) ** k < Fraction(float(magnitude)):
        k += 1
    while magnitude > 0 and Fraction(2) ** (k - 1) >= Fraction(float(magnitude)):
        k -= 1
    return k


@pytest.fixture(scope="module")
def trained():
    """A net of every kind of record, with parameters as training leaves them, and images."""
    rng = np.random.default_rng(0)
    layer = InputLayer((None, 2, 8, 8))
    layer = lasagne.layers.Conv2DLayer(
        layer,
        3,
        3,
        W=drawn(rng, 3, 2, 3, 3, scale=0.3),
        b=np.array([0.01, -0.002, 0.003], "float32"),
        nonlinearity=rectify,
    )
    layer = BatchNormLayer(
        layer,
        gamma=drawn(rng, 3, scale=5),
        beta=drawn(rng, 3),
        mean=drawn(rng, 3, scale=0.2),
        inv_std=np.abs(drawn(rng, 3, scale=9)),
    )
    layer = DropoutLayer(layer)
    layer = XNORConv2DLayer(
        layer, 4, (3, 2), pad=(1, 0), W=with_zeros(rng, drawn(rng, 4, 3, 3, 2)), b=drawn(rng, 4, scale=0.1)
    )
    layer = lasagne.layers.MaxPool2DLayer(layer, 2)
    layer = BatchNormLayer(layer, mean=drawn(rng, 4, scale=0.1), inv_std=np.abs(drawn(rng, 4, scale=3)))
    layer = lasagne.layers.FlattenLayer(layer)
    layer = XNORDenseLayer(layer, 6, W=with_zeros(rng, drawn(rng, 24, 6)), b=None, scale_inputs=False)
    network = DenseLayer(layer, 3, W=drawn(rng, 6, 3), b=drawn(rng, 3, scale=2), nonlinearity=None)
    return network, drawn(rng, 40, 2, 8, 8)


def fitted(layer, q_in, wanted, formats):
    """A layer's first operation in integers."""
    return operations(layer)[0].fit(formats, wanted, q_in)


def parameters(record):
    """Each array of integers of a record with its format."""
    factor = {XNOR: "alpha", ScaledBias: "alpha", Linear: "W", Affine: "scale"}[type(record)]
    yield getattr(record, factor), getattr(record, f"q_{factor}")
    if record.b is not None:
        yield record.b, record.q_b


def weighted(model):
    return [r for r in model.operations if isinstance(r, XNOR | Linear | Affine)]


def merged(layer):
    """The parameters that are rounded, computed from the trained ones in double precision."""
    if isinstance(layer, BatchNormLayer):
        beta, gamma, mean, inv_std = (p.get_value().astype("float64") for p in layer.get_params())
        return gamma * inv_std, beta - mean * gamma * inv_std
    W = layer.W.get_value().astype("float64")
    if W.ndim == 2:
        W = W.T
    elif not isinstance(layer, XNORConv2DLayer):
        W = W[:, :, ::-1, ::-1]
    factor = W
    if isinstance(layer, XNORConv2DLayer | XNORDenseLayer):
        factor = np.array([np.abs(w).sum() / w.size for w in W]) / (W[0].size if layer.scale_inputs else 1)
    return (factor,) if layer.b is None else (factor, layer.b.get_value().astype("float64"))


def with_parameters(network):
    kinds = (lasagne.layers.Conv2DLayer, DenseLayer, BatchNormLayer)
    return [layer for layer in get_all_layers(network) if isinstance(layer, kinds)]


def test_each_layer_becomes_its_record(trained):
    model = quantize(*trained)
    kinds = [Quantize, Linear, Rectify, Affine, XNOR, MaxPool, Affine, Flatten, XNOR, Linear]
    assert [type(r) for r in model.operations] == kinds
    assert model.input_shape == (2, 8, 8)
    assert model.q_out == model.operations[-1].q_out


def test_records_take_the_format_that_the_one_before_gives(trained):
    q = None
    for record in quantize(*trained).operations:
        assert getattr(record, "q_in", q) == q
        q = getattr(record, "q_out", q)


def test_parameters_are_the_merged_ones_rounded(trained):
    network, images = trained
    for layer, record in zip(with_parameters(network), weighted(quantize(network, images)), strict=True):
        for real, (integers, q) in zip(merged(layer), parameters(record), strict=True):
            assert q == Q(15, fewest_bits(np.abs(real.astype("float32")).max()))
            assert integers.dtype == (np.int16 if integers.ndim > 1 else np.int64)
            # The merged numbers pass through float32, which moves a few by one unit at most.
            exact = [round(Fraction(x) * 2**q.f) for x in real.ravel().tolist()]
            exact = np.clip(np.array(exact, float), -q.limit, q.limit).reshape(real.shape)
            assert np.abs(integers - exact).max() <= 1
            assert (integers == exact).mean() > 0.9
            np.testing.assert_array_equal(integers, q.quantize(real.astype("float32")))


def test_small_parameters_have_negative_integer_bits(trained):
    conv, *_ = weighted(quantize(*trained))
    assert (conv.q_W.int_bits, conv.q_b.int_bits) == (-1, -6)


def test_data_formats_come_from_the_largest_outputs(trained):
    network, images = trained
    layers = with_parameters(network)
    x = get_all_layers(network)[0].input_var
    outputs = theano.function([x], get_output(layers, deterministic=True))(images)
    model = quantize(network, images)
    assert model.operations[0].q_out == Q(7, 0)
    for i, (output, record) in enumerate(zip(outputs, weighted(model), strict=True)):
        # The next binary layer reads only the signs of the second batch norm: they keep every fraction bit.
        bits = 15 - record.fraction_bits() if i == 3 else fewest_bits(np.abs(output).max())
        assert record.q_out == Q(15, bits)


@pytest.mark.parametrize("batch_size", [7, 1000])
def test_calibration_does_not_depend_on_the_batch_size(trained, batch_size):
    network, images = trained
    formats = [[r.q_out for r in weighted(quantize(network, images, batch_size=n))] for n in (40, batch_size)]
    assert formats[0] == formats[1]


def test_calibration_takes_images_in_double_precision(trained):
    network, images = trained
    single, double = (quantize(network, i) for i in (images, images.astype("float64")))
    assert [r.q_out for r in weighted(single)] == [r.q_out for r in weighted(double)]


def test_signs_lie_as_the_filters_lie_on_the_image(trained):
    network, images = trained
    _, _, conv, _, dense, _ = with_parameters(network)
    in_conv, in_dense = (r for r in quantize(network, images).operations if isinstance(r, XNOR))
    W = conv.W.get_value()
    assert (W == 0).any() and (dense.W.get_value() == 0).any()
    for o, c, i, j in np.ndindex(in_conv.B.shape):
        assert in_conv.B[o, c, i, j] == (1 if W[o, c, 2 - i, 1 - j] >= 0 else -1)
    assert in_conv.window.pad == ((1, 1), (0, 0))
    assert in_dense.window is None
    np.testing.assert_array_equal(in_dense.B, np.where(dense.W.get_value().T >= 0, 1, -1))
    assert in_conv.B.dtype == in_dense.B.dtype == np.int8


def test_bits_are_those_asked_for(trained):
    model = quantize(*trained, Formats(input_bits=5, data_bits=9, param_bits=11))
    assert model.operations[0].q_out == Q(5, 0)
    for record in weighted(model):
        assert record.q_out.bits == 9
        assert {q.bits for _, q in parameters(record)} == {11}


def largest_sums(record):
    """Largest magnitude of each output's exact sum, in units of the product's, over all inputs."""
    limit = record.q_in.limit
    factors = list(parameters(record))[0][0]
    if isinstance(record, Linear):
        products = [limit * sum(abs(int(w)) for w in row.ravel()) for row in factors]
    elif isinstance(record, Affine):
        products = [limit * abs(int(a)) for a in factors]
    elif isinstance(record, ScaledBias):
        shift = record.q_alpha.f - record.q_b.f
        fan_in = record.B[0].size
        return [
            (fan_in * abs(int(a)) + abs(int(b)) * 2**shift) * fan_in * limit
            for a, b in zip(factors, record.b, strict=True)
        ]
    else:
        fan_in = record.B[0].size
        products = [fan_in * (fan_in * limit if record.scale_inputs else 1) * abs(int(a)) for a in factors]
    if record.b is None:
        return products
    shift = record.fraction_bits() - record.q_b.f
    return [
        p + max(abs(int(n)) for n in b.ravel()) * 2**shift for p, b in zip(products, record.b, strict=True)
    ]


# Of each kind, a layer of some fan-in on an input without values.
LAYERS = {
    "dense": lambda n, **p: DenseLayer((None, n), 2, nonlinearity=None, **p),
    "binary dense": lambda n, **p: XNORDenseLayer((None, n), 2, **p),
    "unscaled binary dense": lambda n, **p: XNORDenseLayer((None, n), 2, scale_inputs=False, **p),
    "convolution": lambda n, **p: lasagne.layers.Conv2DLayer((None, n, 2, 3), 2, 2, nonlinearity=None, **p),
    "binary convolution": lambda n, **p: XNORConv2DLayer((None, n, 2, 3), 2, 2, untie_biases=True, **p),
}


@settings(deadline=None, max_examples=examples(100))
@given(
    kind=st.sampled_from([*LAYERS, "batch norm", "scaled bias"]),
    fan_in=st.sampled_from([1, 9, 4096, 70_000]),
    exponents=st.tuples(*[st.sampled_from([None, -140, -60, -20, 0, 8, 30, 100])] * 2),
    q_in=st.builds(Q, st.sampled_from([7, 15]), st.integers(-70, 70)),
    wanted=st.builds(Q, st.just(15), st.integers(-70, 70)),
    formats=st.builds(Formats, st.just(7), st.just(15), st.integers(1, 15)),
    seed=st.integers(0, 2**32),
)
def test_no_exact_sum_reaches_two_to_the_62(kind, fan_in, exponents, q_in, wanted, formats, seed):
    rng = np.random.default_rng(seed)
    scales = [0.0 if e is None else 2.0**e for e in exponents]

    def some(scale):
        return lambda shape: rng.choice(drawn(rng, 100), shape) * np.float32(scale)

    if kind == "scaled bias":
        record = scaled_bias(fan_in, abs(some(scales[0])(2)), some(scales[1])(2)).fit(formats, wanted, q_in)
    elif kind == "batch norm":
        layer = BatchNormLayer((None, 3), inv_std=some(scales[0]), beta=some(scales[1]))
        record = fitted(layer, q_in, wanted, formats)
    else:
        layer = LAYERS[kind](fan_in, W=some(scales[0]), b=some(scales[1]))
        record = fitted(layer, q_in, wanted, formats)
    assert max(largest_sums(record)) < 2**62
    # Every rounding is a shift to the right, and the bias is shifted within 64 bits.
    product_f = record.q_alpha.f if kind == "scaled bias" else record.fraction_bits()
    assert 0 <= product_f - record.q_b.f < 62
    assert record.q_out.f <= record.fraction_bits()
    assert record.q_out.int_bits >= wanted.int_bits
    for integers, q in parameters(record):
        assert np.abs(integers).max() <= q.limit
        assert q.bits == formats.param_bits


def test_a_bias_of_zeros_costs_the_weights_no_bits():
    layer = XNORDenseLayer((None, 9), 2, W=lasagne.init.Constant(2.0**-100))
    record = fitted(layer, Q(15, -60), Q(15, 0), Formats())
    assert record.q_alpha == Q(15, fewest_bits(2.0**-100 / 9))
    assert record.b.tolist() == [0, 0]


def test_the_bias_has_no_more_fraction_bits_than_the_product():
    layer = DenseLayer((None, 4), 2, W=lasagne.init.Constant(3), b=lasagne.init.Constant(2.0**-12))
    record = fitted(layer, Q(7, 0), Q(15, -20), Formats())
    assert record.fraction_bits() == 7 + 13
    assert record.q_b.f == record.q_out.f == 20
    assert record.b.tolist() == [2**8, 2**8]


def scaled_bias(fan_in, alpha, b):
    return ScaledBias(Signs.pack(np.ones((len(alpha), fan_in))), alpha, None, b, None, None, None)


def test_a_small_bias_that_is_scaled_has_no_more_fraction_bits_than_alpha():
    record = scaled_bias(4, np.full(2, 0.25), np.full(2, 2.0**-11)).fit(Formats(), Q(15, -60), Q(7, 0))
    assert record.q_b.f == record.q_alpha.f == 17
    assert record.b.tolist() == [2**6, 2**6]
    assert record.q_out.f == record.fraction_bits() == 17 + 7


@pytest.mark.parametrize("bits", [0, 16, -1])
@pytest.mark.parametrize("name", ["input_bits", "data_bits", "param_bits"])
def test_widths_are_1_to_15(name, bits):
    with pytest.raises(ValueError, match=f"{name} is {bits}; it takes 1 to 15"):
        Formats(**{name: bits})


def test_the_images_format_comes_from_the_images(trained):
    network, images = trained
    for scale, q in ((0.4, Q(7, -1)), (200, Q(7, 8)), (0, Q(7, 0))):
        graph = quantize(network, images * np.float32(scale))
        assert graph.operations[0].q_out == q


def test_branches_that_are_put_side_by_side_have_the_coarsest_format():
    source = InputLayer((None, 1, 2, 2))
    large = lasagne.layers.NINLayer(source, 1, W=lasagne.init.Constant(100), nonlinearity=None)
    layer = lasagne.layers.ConcatLayer([source, large])
    graph = quantize(layer, np.full((1, 1, 2, 2), 0.75, "float32"))
    assert [operation.kind for operation in graph.operations] == [
        "quantize",
        "linear",
        "requantize",
        "concatenate",
    ]
    assert graph.q_out == min(graph.formats(), key=lambda q: q.f)
    *_, last = graph.nodes
    assert {graph.formats()[k] for k in last.inputs} == {graph.q_out}


def test_what_is_far_finer_than_the_rest_of_a_sum_is_rounded_before():
    source = InputLayer((None, 1, 2, 2))
    fine, coarse = (
        lasagne.layers.NINLayer(source, 1, W=lasagne.init.Constant(w), b=None, nonlinearity=None)
        for w in (2.0**-60, 2.0**20)
    )
    graph = quantize(lasagne.layers.ElemwiseSumLayer([fine, coarse]), np.ones((1, 1, 2, 2), "float32"))
    kinds = [operation.kind for operation in graph.operations]
    assert kinds == ["quantize", "linear", "linear", "requantize", "add"]


def test_powers_of_two_are_kept_where_rounding_would_show():
    """A mean of four numbers and a plain sum are exact, in whatever format."""
    source = InputLayer((None, 1, 4, 4))
    pooled = lasagne.layers.Pool2DLayer(source, 2, mode="average_inc_pad")
    graph = quantize(lasagne.layers.ElemwiseSumLayer([pooled, pooled]), np.ones((1, 1, 4, 4), "float32"))
    pool, add = graph.operations[1:]
    assert pool.value("factor").tolist() == [[0.25]]
    assert add.value("coefficients").tolist() == [1, 1]


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("param", ["W", "b"])
def test_parameters_that_are_not_finite_are_refused(param, value):
    layer = DenseLayer(InputLayer((None, 1, 2, 2)), 3, nonlinearity=None)
    p = getattr(layer, param)
    array = p.get_value()
    array.flat[0] = value
    p.set_value(array)
    with pytest.raises(ValueError, match="finite"):
        quantize(layer, np.ones((1, 1, 2, 2), "float32"))


def test_calibration_without_images_is_refused():
    network = DenseLayer(InputLayer((None, 1, 2, 2)), 3)
    with pytest.raises(ValueError, match="at least one image"):
        quantize(network, np.ones((0, 1, 2, 2), "float32"))


def test_a_layer_too_wide_for_exact_sums_is_refused():
    incoming = lasagne.layers.InputLayer((None, 1, 1, 2**23))
    network = XNORDenseLayer(incoming, 1, W=np.ones((2**23, 1), "float32"), b=None)
    with pytest.raises(ValueError, match="use fewer than 8388608"):
        quantize(network, np.ones((1, 1, 1, 2**23), "float32"))
