"""Convolutions against SciPy, and their gradients against the adjoint identity, in both modes.

Convolution is linear in the image and in the filters, so ``<conv(x, w), g> = <x, grad_x> = <w, grad_w>``
holds for every ``x`` and every ``w``, with a gradient that was computed at another one.
"""

import numpy as np
import pytest
import scipy.signal
from extent import examples
from hypothesis import given, settings
from hypothesis import strategies as st

import theano
import theano.tensor as T
from theano.tensor.nnet import (
    abstract_conv,
    conv2d,
    conv2d_grad_wrt_inputs,
    conv2d_grad_wrt_weights,
    conv3d,
)

pytestmark = pytest.mark.filterwarnings("error:.*JAX cannot")

MODES = ["JAX", "FAST_COMPILE"]
CONVOLVE = {2: conv2d, 3: conv3d}
TENSOR = {2: T.dtensor4, 3: T.dtensor5}


def padding(border_mode, kernel, dilation):
    """Zeros before and after each axis, as Theano documents its border modes."""
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    named = {"valid": lambda s: 0, "half": lambda s: s // 2, "full": lambda s: s - 1}
    if isinstance(border_mode, str):
        border_mode = [named[border_mode](s) for s in spans]
    elif isinstance(border_mode, int):
        border_mode = [border_mode] * len(kernel)
    return [(p, p) if isinstance(p, int) else p for p in border_mode]


def scipy_convolution(image, kernel, border_mode, stride, dilation, groups, flip):
    """Pad, insert zeros between the taps, convolve each pair of channels, leave out what strides skip."""
    widths = padding(border_mode, kernel.shape[2:], dilation)
    image = np.pad(image, [(0, 0), (0, 0), *widths])
    spans = [(k - 1) * d + 1 for k, d in zip(kernel.shape[2:], dilation, strict=True)]
    spread = np.zeros((*kernel.shape[:2], *spans))
    spread[(..., *(slice(None, None, d) for d in dilation))] = kernel
    operation = scipy.signal.convolve if flip else scipy.signal.correlate
    fan_in, per_group = kernel.shape[1], len(kernel) // groups
    out = [
        [
            sum(
                operation(sample[o // per_group * fan_in + c], spread[o, c], mode="valid", method="direct")
                for c in range(fan_in)
            )
            for o in range(len(kernel))
        ]
        for sample in image
    ]
    return np.array(out)[(..., *(slice(None, None, s) for s in stride))]


@st.composite
def convolutions(draw, ndim, max_kernel):
    """Images, filters and options; images are as large as a valid convolution needs, and a bit larger."""
    sizes = st.tuples(*[st.integers(1, max_kernel)] * ndim)
    steps = st.tuples(*[st.integers(1, 3)] * ndim)
    small = st.integers(0, 2)
    kernel, stride, dilation = (
        draw(sizes),
        draw(steps),
        draw(st.tuples(*[st.integers(1, 2)] * ndim)),
    )
    border_mode = draw(
        st.one_of(
            st.sampled_from(["valid", "half", "full"]),
            small,
            st.tuples(*[small] * ndim),
            st.tuples(*[st.tuples(small, small)] * ndim),
        )
    )
    extra = draw(st.tuples(*[st.integers(0, 3)] * ndim))
    image = [(k - 1) * d + 1 + e for k, d, e in zip(kernel, dilation, extra, strict=True)]
    groups, batch = draw(st.integers(1, 3)), draw(st.integers(1, 2))
    fan_in, per_group = draw(st.integers(1, 2)), draw(st.integers(1, 2))
    return {
        "image": (batch, groups * fan_in, *image),
        "kernel": (groups * per_group, fan_in, *kernel),
        "border_mode": border_mode,
        "stride": stride,
        "dilation": dilation,
        "groups": groups,
        "flip": draw(st.booleans()),
        "seed": draw(st.integers(0, 99)),
    }


def check_convolution(case, mode):
    """Compare output and gradients with what SciPy's convolution implies."""
    options = {k: case[k] for k in ("border_mode", "stride", "dilation", "groups", "flip")}
    ndim = len(case["image"]) - 2
    random = np.random.default_rng(case["seed"])
    image, other_image = random.normal(size=(2, *case["image"]))
    kernel, other_kernel = random.normal(size=(2, *case["kernel"]))
    expected = scipy_convolution(image, kernel, **options)
    cotangent = random.normal(size=expected.shape)

    x, w, g = (TENSOR[ndim](name) for name in "xwg")
    out = CONVOLVE[ndim](
        x,
        w,
        border_mode=case["border_mode"],
        subsample=case["stride"],
        filter_flip=case["flip"],
        filter_dilation=case["dilation"],
        num_groups=case["groups"],
    )
    to_image, to_kernel = T.grad(None, [x, w], known_grads={out: g})
    f = theano.function([x, w, g], [out, out.shape, to_image, to_kernel], mode=mode)
    out, shape, to_image, to_kernel = f(image, kernel, cotangent)
    np.testing.assert_allclose(out, expected, rtol=1e-12, atol=1e-12)
    assert tuple(shape) == expected.shape
    for product, linear in [
        (np.vdot(to_image, other_image), scipy_convolution(other_image, kernel, **options)),
        (np.vdot(to_kernel, other_kernel), scipy_convolution(image, other_kernel, **options)),
    ]:
        np.testing.assert_allclose(product, np.vdot(linear, cotangent), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("mode", MODES)
@given(convolutions(2, 3))
@settings(max_examples=examples(25), deadline=None)
def test_conv2d_and_gradients_equal_scipy(mode, case):
    check_convolution(case, mode)


@pytest.mark.parametrize("mode", MODES)
@given(convolutions(3, 2))
@settings(max_examples=examples(10), deadline=None)
def test_conv3d_and_gradients_equal_scipy(mode, case):
    check_convolution(case, mode)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("border_mode", ["valid", "half", "full", 2, (1, 2), ((1, 0), (0, 2))], ids=str)
def test_every_border_mode_of_conv2d_equals_scipy(mode, border_mode):
    case = {
        "image": (2, 4, 6, 7),
        "kernel": (6, 2, 3, 4),
        "border_mode": border_mode,
        "stride": (2, 1),
    }
    check_convolution({**case, "dilation": (1, 2), "groups": 2, "flip": True, "seed": 0}, mode)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "change",
    [
        {},
        {"flip": False},
        {"border_mode": "full"},
        {"border_mode": (0, 1)},
        {"stride": (1, 2)},
        {"groups": 2},
    ],
    ids=str,
)
def test_kernels_of_one_element_equal_scipy(mode, change):
    case = {
        "image": (3, 4, 5, 6),
        "border_mode": "valid",
        "stride": (1, 1),
        "groups": 1,
        "flip": True,
    } | change
    kernel = (6, 4 // case["groups"], 1, 1)
    check_convolution({**case, "kernel": kernel, "dilation": (1, 2), "seed": 0}, mode)


@pytest.mark.parametrize("mode", MODES)
def test_padding_longer_than_the_kernel_keeps_gradients_in_single_precision(mode):
    random = np.random.default_rng(0)
    kernel, g = (random.normal(size=s).astype("float32") for s in ((8, 8, 1, 3), (2, 8, 1, 7)))
    x, w, cotangent = (T.tensor4(dtype="float32") for _ in range(3))
    out = conv2d(x, w, border_mode=((0, 0), (4, 1)), filter_flip=False)
    gradient = theano.function([x, w, cotangent], T.grad(None, x, known_grads={out: cotangent}), mode=mode)
    found = gradient(np.zeros((2, 8, 1, 4), "float32"), kernel, g)
    expected = np.zeros((2, 8, 1, 4 + 4 + 1))
    for tap in range(3):
        expected[..., tap : tap + 7] += np.einsum("nohw,oc->nchw", g, kernel[:, :, 0, tap])
    np.testing.assert_allclose(found, expected[..., 4:8], atol=1e-5)


def test_half_padding_of_an_odd_kernel_keeps_the_size():
    x = T.tensor4()
    out = conv2d(x, np.ones((1, 1, 5, 3), "float32"), border_mode="half")
    assert theano.function([x], out)(np.ones((1, 1, 6, 7), "float32")).shape == (1, 1, 6, 7)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("types, expected", [("ff", "float32"), ("fd", "float64"), ("dd", "float64")])
def test_dtypes_follow_the_operands(mode, types, expected):
    dtype = {"f": "float32", "d": "float64"}
    x, w = (T.TensorType(dtype[t], (False,) * 4)() for t in types)
    out = conv2d(x, w, border_mode=1)
    gradients = T.grad(out.sum(), [x, w])
    results = theano.function([x, w], [out, *gradients], mode=mode)(
        np.ones((1, 1, 4, 4), x.dtype), np.ones((1, 1, 3, 3), w.dtype)
    )
    assert [r.dtype for r in results] == [expected, x.dtype, w.dtype]


@pytest.mark.parametrize("mode", MODES)
def test_second_derivatives_are_convolutions_of_the_direction(mode):
    """Differentiating ``<v, grad_x>`` by the filters gives the filters' gradient at image ``v``."""
    random = np.random.default_rng(0)
    x, w, v = T.dtensor4("x"), T.dtensor4("w"), T.dtensor4("v")
    options = {"border_mode": (1, 0), "subsample": (2, 1), "filter_dilation": (1, 2)}
    g = random.normal(size=(2, 3, 4, 4))
    to_x, to_w = T.grad(T.sum(conv2d(x, w, **options) * g), [x, w])
    crossed = T.grad(T.sum(to_x * v), w)
    crossed_back = T.grad(T.sum(to_w * w), x)
    f = theano.function([x, w, v], [crossed, to_w, crossed_back, to_x], mode=mode, on_unused_input="ignore")
    image, direction, kernel = (random.normal(size=s) for s in [(2, 2, 7, 6), (2, 2, 7, 6), (3, 2, 3, 2)])
    np.testing.assert_allclose(f(image, kernel, direction)[0], f(direction, kernel, image)[1], rtol=1e-12)
    _, _, backward, gradient = f(image, kernel, direction)
    np.testing.assert_allclose(backward, gradient, rtol=1e-12)


def test_known_shapes_give_the_output_a_known_shape_and_are_checked():
    x, w = T.tensor4(), T.tensor4()
    out = conv2d(
        x,
        w,
        input_shape=(None, 2, 8, 9),
        filter_shape=(5, 2, 3, 3),
        border_mode="half",
        subsample=(2, 2),
    )
    assert out.type.shape == (None, 5, 4, 5)
    older = conv2d(x, w, image_shape=(4, 2, 8, 9), filter_shape=(5, 2, 3, 3))
    assert older.type.shape == (4, 5, 6, 7)
    f = theano.function([x, w], out)
    assert f(np.ones((1, 2, 8, 9), "float32"), np.ones((5, 2, 3, 3), "float32")).shape == (
        1,
        5,
        4,
        5,
    )
    with pytest.raises(Exception, match="(?i)shape"):
        f(np.ones((1, 2, 9, 9), "float32"), np.ones((5, 2, 3, 3), "float32"))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("flip", [True, False])
@pytest.mark.parametrize("known", [True, False])
def test_grad_wrt_functions_satisfy_the_adjoint_identity(mode, flip, known):
    random = np.random.default_rng(1)
    image, kernel = random.normal(size=(2, 4, 7, 6)), random.normal(size=(6, 2, 3, 2))
    options = {
        "border_mode": "half",
        "stride": (2, 1),
        "dilation": (1, 2),
        "groups": 2,
        "flip": flip,
    }
    expected = scipy_convolution(image, kernel, **options)
    cotangent = random.normal(size=expected.shape)
    named = {
        "border_mode": "half",
        "subsample": (2, 1),
        "filter_dilation": (1, 2),
        "num_groups": 2,
        "filter_flip": flip,
    }
    x, w, g = T.dtensor4(), T.dtensor4(), T.dtensor4()
    input_shape = image.shape if known else (None, None, *(x.shape[i] for i in (2, 3)))
    filter_shape = kernel.shape if known else (None, None, 3, 2)
    to_image = conv2d_grad_wrt_inputs(g, w, input_shape, **named)
    to_kernel = conv2d_grad_wrt_weights(x, g, filter_shape, **named)
    assert (to_image.type.shape == image.shape) == known
    results = theano.function([x, w, g], [to_image, to_kernel], mode=mode)(image, kernel, cotangent)
    for result, operand in zip(results, (image, kernel), strict=True):
        assert result.shape == operand.shape
        np.testing.assert_allclose(np.vdot(result, operand), np.vdot(expected, cotangent), rtol=1e-12)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("lengths", [(7, 6), T.constant([7, 6])], ids=["tuple", "vector"])
def test_ops_under_their_old_names_compute_the_gradients(mode, lengths):
    """The form in which Lasagne 0.2 calls for transposed and dilated convolutions."""
    random = np.random.default_rng(2)
    image, kernel = random.normal(size=(2, 4, 7, 6)), random.normal(size=(6, 4, 3, 2))
    expected = scipy_convolution(image, kernel, "full", (2, 1), (1, 1), 1, False)
    cotangent = random.normal(size=expected.shape)
    options = {"border_mode": "full", "subsample": (2, 1), "filter_flip": False}
    x, w, g = T.dtensor4(), T.dtensor4(), T.dtensor4()
    inputs_op = abstract_conv.AbstractConv2d_gradInputs((None, 4, 7, 6), kernel.shape, **options)
    weights_op = abstract_conv.AbstractConv2d_gradWeights((None, 4, 7, 6), (6, 4, 3, 2), **options)
    kernel_lengths = (3, 2)
    f = theano.function([x, w, g], [inputs_op(w, g, lengths), weights_op(x, g, kernel_lengths)], mode=mode)
    for result, operand in zip(f(image, kernel, cotangent), (image, kernel), strict=True):
        assert result.shape == operand.shape
        np.testing.assert_allclose(np.vdot(result, operand), np.vdot(expected, cotangent), rtol=1e-12)


@st.composite
def transposed(draw):
    """A convolution, and which of its lengths are declared beforehand."""
    ndim = draw(st.sampled_from([2, 3]))
    return draw(convolutions(ndim, 2)), draw(st.booleans())


@pytest.mark.parametrize("mode", MODES)
@given(transposed())
@settings(max_examples=examples(15), deadline=None)
def test_grad_wrt_functions_are_the_adjoint_over_drawn_geometries(mode, case_and_known):
    case, known = case_and_known
    ndim = len(case["image"]) - 2
    random = np.random.default_rng(case["seed"])
    image, kernel = random.normal(size=case["image"]), random.normal(size=case["kernel"])
    options = {k: case[k] for k in ("border_mode", "stride", "dilation", "groups", "flip")}
    expected = scipy_convolution(image, kernel, **options)
    cotangent = random.normal(size=expected.shape)
    named = {
        "border_mode": case["border_mode"],
        "subsample": case["stride"],
        "filter_dilation": case["dilation"],
        "num_groups": case["groups"],
        "filter_flip": case["flip"],
    }
    lengths = [(n if known else (None, None, *n[2:])) for n in (image.shape, kernel.shape)]
    x, w, g = (TENSOR[ndim]() for _ in range(3))
    wrt_inputs = getattr(abstract_conv, f"conv{ndim}d_grad_wrt_inputs")
    wrt_weights = getattr(abstract_conv, f"conv{ndim}d_grad_wrt_weights")
    outputs = [wrt_inputs(g, w, lengths[0], **named), wrt_weights(x, g, lengths[1], **named)]
    results = theano.function([x, w, g], outputs, mode=mode)(image, kernel, cotangent)
    for result, operand in zip(results, (image, kernel), strict=True):
        assert result.shape == operand.shape
        np.testing.assert_allclose(
            np.vdot(result, operand), np.vdot(expected, cotangent), rtol=1e-11, atol=1e-11
        )


def test_the_3d_ops_under_their_old_names_compute_the_gradients():
    random = np.random.default_rng(3)
    image, kernel = random.normal(size=(1, 2, 4, 5, 3)), random.normal(size=(3, 2, 2, 3, 1))
    expected = scipy_convolution(image, kernel, 1, (2, 1, 1), (1, 1, 1), 1, True)
    cotangent = random.normal(size=expected.shape)
    x, w, g = T.dtensor5(), T.dtensor5(), T.dtensor5()
    to_inputs = abstract_conv.AbstractConv3d_gradInputs(border_mode=1, subsample=(2, 1, 1))
    to_weights = abstract_conv.AbstractConv3d_gradWeights(border_mode=1, subsample=(2, 1, 1))
    f = theano.function([x, w, g], [to_inputs(w, g, (4, 5, 3)), to_weights(x, g, (2, 3, 1))])
    for result, operand in zip(f(image, kernel, cotangent), (image, kernel), strict=True):
        np.testing.assert_allclose(np.vdot(result, operand), np.vdot(expected, cotangent), rtol=1e-12)


@pytest.mark.parametrize(
    "options",
    [
        {"border_mode": "same"},
        {"border_mode": -1},
        {"border_mode": (1, 1, 1)},
        {"border_mode": ((1, 0), (-1, 0))},
        {"subsample": (0, 1)},
        {"subsample": (1, 1, 1)},
        {"filter_dilation": (0, 1)},
        {"num_groups": 0},
    ],
    ids=str,
)
def test_options_that_do_not_exist_are_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        conv2d(T.tensor4(), T.tensor4(), **options)


def test_unknown_options_are_not_ignored():
    with pytest.raises(NotImplementedError, match="unshared"):
        conv2d(T.tensor4(), T.tensor4(), unshared=True)
    conv2d(T.tensor4(), T.tensor4(), unshared=False)


def test_operands_of_another_rank_are_refused():
    with pytest.raises(TypeError, match="images of 4 axes; got 3"):
        conv2d(T.tensor3(), T.tensor4())
    with pytest.raises(TypeError, match="filters of 5 axes; got 4"):
        conv3d(T.tensor5(), T.tensor4())


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "image, kernel, groups",
    [
        ((1, 3, 5, 5), (2, 2, 3, 3), 1),
        ((1, 4, 5, 5), (3, 2, 3, 3), 2),
        ((1, 1, 5, 2), (1, 1, 3, 3), 1),
    ],
    ids=["channels", "groups", "image smaller than kernel"],
)
def test_shapes_that_do_not_fit_are_refused(mode, image, kernel, groups):
    x, w = T.tensor4(), T.tensor4()
    f = theano.function([x, w], conv2d(x, w, num_groups=groups), mode=mode)
    with pytest.raises(ValueError):
        f(np.ones(image, "float32"), np.ones(kernel, "float32"))
