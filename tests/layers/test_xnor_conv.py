"""The binary convolution against plain loops and finite differences."""

import functools
import itertools

import lasagne
import numpy as np
import pytest
from extent import examples
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import theano
import theano.tensor as T
from xnornet.layers import XNORConv2DLayer

# Lasagne 0.2, which has a batch norm, pads by 'same' for odd filters only.
SAME_TAKES_EVEN = not hasattr(lasagne.layers, "BatchNormLayer")


def zeros_around(pad, size):
    """Zeros before and after one axis, as Lasagne's manual defines them."""
    if pad == "valid":
        return 0, 0
    if pad == "same":
        half = size // 2
        return half, half - 1 if size % 2 == 0 else half
    return (size - 1, size - 1) if pad == "full" else (pad, pad)


class Loops:
    """Output and gradients of the layer, tap by tap, in the letters of the paper."""

    def __init__(
        self, size, stride, pad, scale_inputs=True, scale_weights=True, groups=1, dilation=(1, 1), flips=True
    ):
        self.size, self.stride, self.groups, self.dilation = size, stride, groups, dilation
        self.scale_inputs, self.scale_weights, self.flips = scale_inputs, scale_weights, flips
        pads = pad if isinstance(pad, tuple) else (pad, pad)
        self.spans = [1 + d * (k - 1) for k, d in zip(size, dilation, strict=True)]
        self.pad = [zeros_around(p, s) for p, s in zip(pads, self.spans, strict=True)]

    def positions(self, h, w):
        """Output positions, and for each its taps: where on the filter and where on the image."""
        (kh, kw), (sh, sw), ((top, bottom), (left, right)) = self.size, self.stride, self.pad
        for y in range((h + top + bottom - self.spans[0]) // sh + 1):
            for x in range((w + left + right - self.spans[1]) // sw + 1):
                taps = []
                for i, j in itertools.product(range(kh), range(kw)):
                    u, v = y * sh - top + i * self.dilation[0], x * sw - left + j * self.dilation[1]
                    if 0 <= u < h and 0 <= v < w:
                        # A convolution turns the filter around.
                        taps.append((kh - 1 - i, kw - 1 - j, u, v) if self.flips else (i, j, u, v))
                yield y, x, taps

    def output_lengths(self, h, w):
        ys, xs, _ = zip(*self.positions(h, w), strict=True)
        return max(ys) + 1, max(xs) + 1

    def group_of(self, o, filters, channels):
        """Number and channels of the group of a filter."""
        group = o // (filters // self.groups)
        first = group * (channels // self.groups)
        return group, slice(first, first + channels // self.groups)

    def factors(self, I, W, H, B):
        """``H (*) B``, ``K`` of each filter and ``alpha``."""
        lengths = self.output_lengths(*I.shape[2:])
        product, K = np.zeros((2, len(I), len(W), *lengths))
        for y, x, taps in self.positions(*I.shape[2:]):
            for (i, j, u, v), o in itertools.product(taps, range(len(W))):
                _, own = self.group_of(o, len(W), I.shape[1])
                product[:, o, y, x] += H[:, own, u, v] @ B[o, :, i, j]
                A = np.abs(I[:, own, u, v]).sum(axis=1) / W.shape[1]
                K[:, o, y, x] += A / (self.size[0] * self.size[1])
        if not self.scale_inputs:
            K[...] = 1
        alpha = np.array([np.abs(w).sum() / w.size if self.scale_weights else 1.0 for w in W])
        return product, K, alpha[:, None, None]

    def output(self, I, W, b, H=None, B=None):
        H = np.where(I < 0, -1.0, 1.0) if H is None else H
        B = np.where(W < 0, -1.0, 1.0) if B is None else B
        product, K, alpha = self.factors(I, W, H, B)
        return product * K * alpha + (0 if b is None else b if b.ndim == 3 else b[:, None, None])

    def gradients(self, I, W, G):
        """Gradients of ``sum(G * output)`` to ``I`` and ``W``."""
        H, B = np.where(I < 0, -1.0, 1.0), np.where(W < 0, -1.0, 1.0)
        product, K, alpha = self.factors(I, W, H, B)
        to_H, to_B = np.zeros(I.shape), np.zeros(W.shape)
        to_A = np.zeros((len(I), self.groups, *I.shape[2:]))
        for y, x, taps in self.positions(*I.shape[2:]):
            g, to_K = (G * K * alpha)[:, :, y, x], (G * product * alpha)[:, :, y, x]
            for (i, j, u, v), o in itertools.product(taps, range(len(W))):
                group, own = self.group_of(o, len(W), I.shape[1])
                to_H[:, own, u, v] += np.outer(g[:, o], B[o, :, i, j])
                to_B[o, :, i, j] += g[:, o] @ H[:, own, u, v]
                to_A[:, group, u, v] += to_K[:, o] / (self.size[0] * self.size[1])
        to_I = to_H * (np.abs(I) <= 1)
        if self.scale_inputs:
            to_I += np.repeat(to_A, W.shape[1], axis=1) * np.sign(I) / W.shape[1]
        to_alpha = (G * product * K).sum(axis=(0, 2, 3))
        to_W = to_B * (np.abs(W) <= 1)
        if self.scale_weights:
            to_W += to_alpha[:, None, None, None] * np.sign(W) / W[0].size
        return to_I, to_W


def grid(rng, *shape):
    """Numbers in [-2, 2], of which many are 0, 1 or -1."""
    return rng.integers(-8, 9, shape) / 4


sizes = st.tuples(st.integers(1, 4), st.integers(1, 4))
pads = st.one_of(
    st.integers(0, 2),
    st.tuples(st.integers(0, 2), st.integers(0, 2)),
    st.sampled_from(["same", "full", "valid"]),
)


@settings(deadline=None, max_examples=examples(40))
@given(
    batch=st.integers(1, 3),
    groups=st.sampled_from([1, 1, 2, 3, 6]),
    channels=st.integers(1, 4),
    filters=st.integers(1, 5),
    size=sizes,
    extra=st.tuples(st.integers(0, 4), st.integers(0, 4)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    dilation=st.just((1, 1)) | st.tuples(st.integers(1, 4), st.integers(1, 4)),
    pad=pads,
    scale_inputs=st.booleans(),
    scale_weights=st.booleans(),
    bias=st.sampled_from(["tied", "untied", None]),
    rectified=st.booleans(),
    seed=st.integers(0, 2**32),
)
def test_output_is_that_of_plain_loops(
    batch,
    groups,
    channels,
    filters,
    size,
    extra,
    stride,
    dilation,
    pad,
    scale_inputs,
    scale_weights,
    bias,
    rectified,
    seed,
):
    assume(pad != "same" or SAME_TAKES_EVEN or (size[0] % 2 and size[1] % 2))
    rng = np.random.default_rng(seed)
    loops = Loops(size, stride, pad, scale_inputs, scale_weights, groups, dilation)
    h, w = (s + e for s, e in zip(loops.spans, extra, strict=True))
    filters *= groups
    I, W = grid(rng, batch, groups * channels, h, w), grid(rng, filters, channels, *size)
    lengths = loops.output_lengths(h, w)
    shape = {"tied": (filters,), "untied": (filters, *lengths), None: ()}[bias]
    b = grid(rng, *shape).astype("float32") if bias else None
    layer = XNORConv2DLayer(
        lasagne.layers.InputLayer((None, groups * channels, h, w)),
        filters,
        size,
        stride=stride,
        pad=pad,
        untie_biases=bias == "untied",
        W=W.astype("float32"),
        b=b,
        nonlinearity=lasagne.nonlinearities.rectify if rectified else None,
        num_groups=groups,
        dilation=dilation,
        scale_inputs=scale_inputs,
        scale_weights=scale_weights,
    )
    assert layer.num_groups == groups
    input_var = layer.input_layer.input_var
    found = theano.function([input_var], lasagne.layers.get_output(layer))(I.astype("float32"))
    expected = loops.output(I, W, b)
    assert found.dtype == np.float32
    assert layer.output_shape == (None, filters, *lengths) == (None, *found.shape[1:])
    np.testing.assert_allclose(
        found, np.maximum(expected, 0) if rectified else expected, rtol=1e-5, atol=1e-5
    )


def geometry(size, stride, pad, *scales_and_bias, groups=1, filters=3, dilation=(1, 1)):
    return size, stride, pad, *scales_and_bias, groups, filters, dilation


# Filter, stride, pad, scale_inputs, scale_weights, untied biases, on images of 6 channels, 5 x 4.
GEOMETRIES = [
    geometry((3, 3), (1, 1), "same", True, True, False),
    geometry((2, 3), (2, 1), (1, 0), True, False, True),
    geometry((4, 1), (1, 2), "full", True, True, False),
    geometry((2, 2), (3, 2), 2, False, True, True),
    geometry((2, 2), (1, 1), (2, 1), True, True, False, dilation=(3, 2)),
    geometry((3, 2), (2, 1), "full", True, True, True, groups=2, filters=4, dilation=(2, 1)),
    geometry((3, 3), (1, 1), "same", True, True, False, groups=6, filters=6),
    geometry((3, 2), (2, 2), 2, True, False, False, groups=6, filters=12, dilation=(1, 2)),
    geometry((3, 3), (1, 1), "same", False, True, False, groups=3, filters=3, dilation=(2, 2)),
    pytest.param(
        geometry((2, 4), (1, 1), "same", False, False, False),
        marks=pytest.mark.skipif(not SAME_TAKES_EVEN, reason="this Lasagne refuses it"),
    ),
]


@functools.cache
def compiled(geometry, dtype):
    """Output and gradients of ``sum(G * output)`` as a function, and the loops to compare with."""
    size, stride, pad, scale_inputs, scale_weights, untied, groups, filters, dilation = geometry
    loops = Loops(size, stride, pad, scale_inputs, scale_weights, groups, dilation)
    I, G = T.tensor4(dtype=dtype), T.tensor4(dtype=dtype)
    shape = (filters, *loops.output_lengths(5, 4)) if untied else (filters,)
    layer = XNORConv2DLayer(
        (None, 6, 5, 4),
        filters,
        size,
        stride=stride,
        pad=pad,
        untie_biases=untied,
        W=np.zeros((filters, 6 // groups, *size), dtype),
        b=np.zeros(shape, dtype),
        num_groups=groups,
        dilation=dilation,
        scale_inputs=scale_inputs,
        scale_weights=scale_weights,
    )
    output = layer.get_output_for(I)
    gradients = theano.grad((G * output).sum(), [I, layer.W, layer.b])
    return loops, layer, theano.function([I, G], [output, *gradients])


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("seed", range(3))
def test_gradients_are_those_of_the_formulas(geometry, seed):
    loops, layer, run = compiled(geometry, "float64")
    rng = np.random.default_rng(seed)
    I, W, b = (
        grid(rng, 2, 6, 5, 4),
        grid(rng, *layer.W.get_value().shape),
        grid(rng, *layer.b.get_value().shape),
    )
    G = rng.normal(size=loops.output(I, W, b).shape)
    layer.W.set_value(W)
    layer.b.set_value(b)
    output, to_I, to_W, to_b = run(I, G)
    expected_I, expected_W = loops.gradients(I, W, G)
    np.testing.assert_allclose(output, loops.output(I, W, b), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(to_I, expected_I, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(to_W, expected_W, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(to_b, G.sum(axis=0 if b.ndim == 3 else (0, 2, 3)), rtol=1e-10, atol=1e-12)


def away_from_kinks(rng, *shape):
    """Numbers in [-2, 2] that keep away from 0, 1 and -1."""
    return rng.choice([-1, 1], shape) * (rng.integers(0, 2, shape) + rng.uniform(0.05, 0.95, shape))


def central_differences(losses, x, step=1e-6):
    """Slopes of losses, a function that takes a stack of arrays in the place of ``x``."""
    steps = step * np.eye(x.size).reshape(-1, *x.shape)
    return ((losses(x + steps) - losses(x - steps)) / (2 * step)).reshape(x.shape)


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_gradients_are_the_slopes_of_signs_made_straight_within_one(geometry):
    loops, layer, run = compiled(geometry, "float64")
    rng = np.random.default_rng(7)
    I, W = away_from_kinks(rng, 2, 6, 5, 4), away_from_kinks(rng, *layer.W.get_value().shape)
    b = rng.normal(size=layer.b.get_value().shape)
    G = rng.normal(size=loops.output(I, W, b).shape)
    layer.W.set_value(W)
    layer.b.set_value(b)

    def straight(x, x0):
        return np.where(x0 < 0, -1, 1) + np.clip(x, -1, 1) - np.clip(x0, -1, 1)

    def losses(i, w, b):
        """Of a stack of batches of images, which the loops take as one batch."""
        H = straight(i, I).reshape(-1, *I.shape[1:])
        outputs = loops.output(i.reshape(H.shape), w, b, H, straight(w, W)).reshape(-1, *G.shape)
        return np.einsum("nboyx,boyx->n", outputs, G)

    _, to_I, to_W, to_b = run(I, G)
    np.testing.assert_allclose(to_I, central_differences(lambda i: losses(i, W, b), I), atol=1e-7)
    of_w = central_differences(lambda ws: np.concatenate([losses(I[None], w, b) for w in ws]), W)
    np.testing.assert_allclose(to_W, of_w, atol=1e-7)
    of_b = central_differences(lambda bs: np.concatenate([losses(I[None], W, b) for b in bs]), b)
    np.testing.assert_allclose(to_b, of_b, atol=1e-7)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_types_stay_as_they_are(dtype):
    _, layer, run = compiled(GEOMETRIES[0], dtype)
    results = run(np.ones((1, 6, 5, 4), dtype), np.ones((1, 3, 5, 4), dtype))
    assert {r.dtype for r in results} == {np.dtype(dtype)}


def test_float64_weights_come_with_floatX():
    with theano.config.change_flags(floatX="float64"):
        layer = XNORConv2DLayer(lasagne.layers.InputLayer((None, 1, 4, 4)), 2, 3)
        assert layer.W.dtype == layer.b.dtype == lasagne.layers.get_output(layer).dtype == "float64"


def test_a_convolution_of_another_kind_is_refused():
    with pytest.raises(TypeError, match="leave `convolution` out"):
        XNORConv2DLayer((None, 2, 4, 4), 2, 3, convolution=T.nnet.conv2d)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"num_groups": 4}, "num_groups is 4; .* divides both the 6 channels and the 8 filters"),
        ({"num_groups": 3}, "num_groups is 3; .* divides both the 6 channels and the 8 filters"),
        ({"num_groups": 0}, "num_groups is 0; it takes a positive whole number"),
        ({"num_groups": 2.0}, "num_groups is 2.0; it takes a positive whole number"),
        ({"num_groups": True}, "num_groups is True; it takes a positive whole number"),
        ({"num_filters": 0}, "num_filters is 0; it takes a positive whole number"),
        ({"dilation": 0}, "dilation is 0; it takes one or two whole numbers from 1 on"),
        ({"dilation": (1, 2, 3)}, "dilation is .1, 2, 3.; it takes one or two whole numbers"),
        ({"dilation": (1, 1.5)}, "dilation is .1, 1.5.; it takes one or two whole numbers"),
        ({"stride": (0, 1)}, "stride is .0, 1.; it takes one or two whole numbers from 1 on"),
        ({"filter_size": -3}, "filter_size is -3; it takes one or two whole numbers from 1 on"),
        ({"pad": -1}, "pad is -1; it takes 'same', 'full', 'valid', or one or two whole numbers from 0 on"),
        ({"pad": "some"}, "pad is 'some'; it takes 'same', 'full', 'valid', or one or two"),
        ({"incoming": (None, 6, 4)}, r"\(batch, channels, rows, columns\), .*; this one's is \(None, 6, 4\)"),
        ({"incoming": (9, None, 5, 4)}, "of a known number of channels; this one's is .9, None, 5, 4"),
        (
            {"dilation": 2, "untie_biases": True},
            r"Filters of \(3, 3\), dilated by \(2, 2\), do not fit on images of \(5, 4\), padded by",
        ),
        ({"filter_size": (2, 5), "untie_biases": True}, r"Filters of \(2, 5\) do not fit on images of"),
    ],
    ids=str,
)
def test_bad_arguments_are_named_with_what_is_expected(arguments, message):
    with pytest.raises(ValueError, match=f"^[^\n]*{message}[^\n]*$"):
        XNORConv2DLayer(**{"incoming": (None, 6, 5, 4), "num_filters": 8, "filter_size": 3} | arguments)


def test_filters_that_do_not_fit_are_refused_by_the_layer_above():
    layer = XNORConv2DLayer((None, 1, 5, 4), 2, 3, dilation=2)
    with pytest.raises(ValueError, match="Filters of .*, dilated by .*, do not fit on images"):
        XNORConv2DLayer(layer, 2, 3)


def test_lengths_may_be_unknown():
    layer = XNORConv2DLayer((None, 4, None, 7), 6, 3, pad="same", num_groups=2, dilation=2)
    assert layer.output_shape == (None, 6, None, 7)
    assert layer.has_kernels
    assert XNORConv2DLayer((None, 4, None, None), 6, 3, dilation=2).has_kernels


@pytest.mark.parametrize(
    "arguments, kernels",
    [
        ({}, True),
        ({"stride": 2, "num_groups": 4}, True),
        ({"dilation": 4, "num_groups": 4}, True),
        ({"stride": 2, "dilation": 3, "num_groups": 4}, False),
        ({"num_groups": 128}, False),
        ({"num_groups": 64}, True),
        ({"dilation": 5, "pad": "same"}, False),
        ({"filter_size": 17, "pad": "same"}, False),
    ],
    ids=str,
)
def test_a_layer_says_whether_kernels_take_it(arguments, kernels):
    layer = XNORConv2DLayer(
        **{"incoming": (None, 128, 20, 20), "num_filters": 128, "filter_size": 3} | arguments
    )
    assert layer.has_kernels is kernels
