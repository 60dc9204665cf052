"""Products of signs and their gradients in graphs against plain loops, in each way to compute them."""

import contextlib

import numpy as np
import pytest
from extent import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from sign_products import (
    GRADIENTS,
    Convolution,
    Product,
    draw_convolutions,
    draw_products,
    float32_error,
    int16_error,
    tensor_cores_error,
)

import theano
import theano.tensor as T
from xnornet import ops
from xnornet.catalog import ARITHMETICS
from xnornet.ops import convolution, native, tensor_cores

# Each compiles a program, and so do both gradients.
cases = (
    draw_convolutions(widest_pad=1)
    | draw_convolutions(60, 1, strides=(1, 2, 3), dilations=(1, 2, 3), groups=(1, 2, 3, 6))
    | draw_products()
)


@contextlib.contextmanager
def way(name):
    """Compute in JAX with kernels, in JAX without, or in Python; gives the mode."""
    with pytest.MonkeyPatch.context() as patch:
        if name in ("XLA", "tensor cores"):
            patch.setattr(native, "available", lambda: False)
        if name == "tensor cores":
            patch.setattr(tensor_cores, "available", lambda: True)
        yield "FAST_COMPILE" if name == "Python" else "JAX"


WAYS = ("kernels", "XLA", "tensor cores", "Python")


def channels_first(case, images):
    return images.transpose(0, 3, 1, 2) if isinstance(case, Convolution) else images


def channels_last(case, images):
    return images.transpose(0, 2, 3, 1) if isinstance(case, Convolution) else images


def geometry_of(case):
    return ops.Geometry(case.pad, case.stride, case.dilation, case.groups, case.flip)


def multiply(case, H, B):
    if isinstance(case, Convolution):
        return ops.convolve_signs(H, B, geometry_of(case))
    return ops.multiply_signs(H, B)


def compile_case(case, dtype, mode, binarized=False):
    """Function of both operands and ``g`` that gives the product and both gradients, channels last."""
    x, w, g = (T.TensorType(dtype, (None,) * len(case.output))() for _ in range(3))
    H, B = (ops.binarize(x), ops.binarize(w)) if binarized else (x, w)
    out = multiply(case, H, B)
    function = theano.function([x, w, g], [out, *theano.grad((out * g).sum(), [x, w])], mode=mode)

    def call(H, B, g):
        scale = 0.5 if binarized else 1
        arrays = channels_first(case, H) * scale, B * scale, channels_first(case, g)
        found = function(*(a.astype(dtype) for a in arrays))
        assert {a.dtype for a in found} == {np.dtype(dtype)}
        out, left, right = found
        return channels_last(case, out), channels_last(case, left), right

    return call


def assert_as_loops(case, found, H, B, g, errors):
    out, left, right = found
    np.testing.assert_array_equal(out, case.forward(H, B))
    assert (np.abs(left - case.left_gradient(g, B)) <= errors[0]).all()
    assert (np.abs(right - case.right_gradient(H, g)) <= errors[1]).all()


def random_gradient(case, kind="normal", dtype=np.float32):
    return GRADIENTS[kind](np.random.default_rng(case.seed + 1), case.output).astype(dtype)


def errors_of(name, case, g):
    """Bounds of both gradients' errors, in a way to compute them."""
    if name == "kernels":
        return list(map(np.maximum, float32_error(case, g), int16_error(case, g, None)))
    return (tensor_cores_error if name == "tensor cores" else float32_error)(case, g)


@pytest.mark.parametrize("name", WAYS)
def test_products_are_exact_and_gradients_within_their_bounds(name):
    @settings(max_examples=examples(20))
    @given(cases, st.sampled_from(list(GRADIENTS)), st.booleans())
    def check(case, kind, binarized):
        H, B = case.draw_signs()
        g = random_gradient(case, kind)
        with way(name) as mode:
            found = compile_case(case, "float32", mode, binarized)(H, B, g)
        assert_as_loops(case, found, H, B, g, errors_of(name, case, g))

    check()


def test_float32_keeps_its_bounds():
    @settings(max_examples=examples(10))
    @given(cases, st.sampled_from(list(GRADIENTS)))
    def check(case, kind):
        H, B = case.draw_signs()
        g = random_gradient(case, kind)
        with ops.gradients_in("float32"):
            call = compile_case(case, "float32", "JAX")
        assert_as_loops(case, call(H, B, g), H, B, g, float32_error(case, g))

    check()


@pytest.mark.parametrize("mode", ["JAX", "FAST_COMPILE"])
@pytest.mark.parametrize("arithmetic", ARITHMETICS)
def test_float64_is_exact_to_its_rounding(arithmetic, mode):
    @settings(max_examples=examples(4))
    @given(cases)
    def check(case):
        H, B = case.draw_signs()
        g = random_gradient(case, dtype=np.float64)
        with ops.gradients_in(arithmetic):
            call = compile_case(case, "float64", mode)
        errors = [e * 2**-27 for e in float32_error(case, g)]
        assert_as_loops(case, call(H, B, g), H, B, g, errors)

    check()


@pytest.mark.parametrize("name", WAYS)
@pytest.mark.parametrize("value", [np.inf, np.nan])
@pytest.mark.parametrize("case", [Convolution((2, 5, 4, 3), (3, 3, 3, 3)), Product(3, 4, 5)], ids=str)
def test_gradients_of_what_is_not_finite_are_not(case, value, name):
    H, B = case.draw_signs()
    g = random_gradient(case)
    g.flat[-1] = value
    with way(name) as mode, np.errstate(invalid="ignore"):
        _, left, right = compile_case(case, "float32", mode)(H, B, g)
    assert not np.isfinite(left).all() and not np.isfinite(right).all()


@pytest.mark.parametrize("name", WAYS)
@pytest.mark.parametrize(
    "case",
    [
        Convolution((2, 1, 4, 8), (8, 8, 1, 3), ((0, 0), (4, 1))),
        Convolution((1, 1, 1, 1), (17, 1, 1, 1), ((0, 0), (0, 1)), flip=False),
    ],
    ids=str,
)
def test_padding_may_be_as_long_as_filters(case, name):
    H, B = case.draw_signs()
    g = random_gradient(case)
    with way(name) as mode:
        found = compile_case(case, "float32", mode)(H, B, g)
    assert_as_loops(case, found, H, B, g, errors_of(name, case, g))


@pytest.mark.parametrize(
    "case",
    [
        Convolution((2, 6, 5, 4), (6, 2, 2, 3), ((1, 0), (2, 2)), stride=(2, 1), dilation=(1, 2), groups=2),
        Convolution((2, 6, 5, 4), (8, 1, 3, 2), ((4, 0), (1, 0)), flip=False, groups=4),
    ],
    ids=str,
)
def test_groups_as_a_gpu_computes_them(case, monkeypatch):
    monkeypatch.setattr(convolution, "_one_by_one", lambda geometry: (1, geometry))
    H, B = case.draw_signs()
    g = random_gradient(case)
    with way("tensor cores") as mode:
        found = compile_case(case, "float32", mode)(H, B, g)
    assert_as_loops(case, found, H, B, g, errors_of("tensor cores", case, g))


LONG = [
    Convolution((1, 2, 2, 2**13 + 1), (2, 2**13 + 1, 2, 2)),
    Convolution((1, 2, 2, 1), (2**14 + 1, 1, 2, 2)),
    Convolution((1, 1, 2**16 + 9, 1), (1, 1, 1, 3)),
    Product(1, 2**15, 2),
    Product(2, 3, 2**16 + 1),
    Product(2**16 + 1, 2, 3),
]


@pytest.mark.parametrize("case", LONG, ids=str)
def test_sums_too_long_for_kernels_are_right(case):
    H, B = (np.ones_like(a) for a in case.draw_signs())
    g = np.full(case.output, 0.75, np.float32)
    found = compile_case(case, "float32", "JAX")(H, B, g)
    assert_as_loops(case, found, H, B, g, int16_error(case, g, None))


NOTHING = [
    Convolution((0, 5, 4, 3), (2, 3, 3, 3)),
    Convolution((2, 5, 4, 3), (0, 3, 3, 3)),
    Product(0, 4, 5),
    Product(3, 0, 5),
    Product(3, 4, 0),
]


@pytest.mark.parametrize("name", WAYS)
@pytest.mark.parametrize("case", NOTHING, ids=str)
def test_what_is_empty_gives_zeros(case, name):
    H, B = case.draw_signs()
    with way(name) as mode:
        found = compile_case(case, "float32", mode)(H, B, np.ones(case.output))
    for array, shape in zip(found, (case.output, H.shape, B.shape), strict=True):
        assert array.shape == shape and not array.any()


@pytest.mark.parametrize("name", WAYS)
@settings(max_examples=examples(4))
@given(st.integers(0, 2**32), st.tuples(*[st.integers(1, 9)] * 3), st.integers(1, 70))
def test_rows_may_have_axes(name, seed, shape, outputs):
    rng = np.random.default_rng(seed)
    H, B = rng.choice([-1.0, 1.0], shape), rng.choice([-1.0, 1.0], (shape[-1], outputs))
    x, w, g = T.tensor3(dtype="float32"), T.matrix(dtype="float32"), T.tensor3(dtype="float32")
    out = ops.multiply_signs(x, w)
    assert out.ndim == 3
    weights = rng.integers(-9, 10, (*shape[:2], outputs))
    with way(name) as mode:
        function = theano.function([x, w, g], [out, *theano.grad((out * g).sum(), [x, w])], mode=mode)
        found = function(*(a.astype("float32") for a in (H, B, weights)))
    expected = [np.zeros(a.shape) for a in (weights, H, B)]
    for i, j, c in np.ndindex(shape):
        expected[0][i, j] += H[i, j, c] * B[c]
        expected[1][i, j, c] = sum(weights[i, j] * B[c])
        expected[2][c] += H[i, j, c] * weights[i, j]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-3 * max(1, np.abs(other).max()))


@settings(max_examples=examples(10))
@given(cases)
def test_shapes_are_known_before_and_after_compilation(case):
    H, B = case.draw_signs()
    H = channels_first(case, H).astype("float32")
    known = multiply(case, *(T.as_tensor_variable(a.astype("float32")) for a in (H, B)))
    expected = channels_first(case, np.empty(case.output)).shape
    assert known.type.shape == expected
    x, w = (T.TensorType("float32", (None,) * len(case.output))() for _ in range(2))
    found = theano.function([x, w], multiply(case, x, w).shape, mode="FAST_COMPILE")(H, B.astype("float32"))
    assert tuple(found) == expected


@pytest.mark.parametrize(
    "channels, filters, groups, message",
    [
        (4, (6, 4, 1, 1), 2, "Filters of 4 channels in 2 groups take images of 8 channels; these have 4"),
        (4, (6, 3, 1, 1), 1, "Filters of 3 channels in 1 group take images of 3 channels; these have 4"),
        (4, (5, 2, 1, 1), 2, "5 filters cannot be divided into 2 groups"),
    ],
)
def test_groups_that_do_not_fit_are_refused(channels, filters, groups, message):
    H, B = T.TensorType("float32", (1, channels, 4, 2))(), T.TensorType("float32", filters)()
    with pytest.raises(ValueError, match=f"^{message}$"):
        ops.convolve_signs(H, B, ops.Geometry(((0, 0), (0, 0)), groups=groups))


def test_filters_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"Filters of \(3, 5\) do not fit on images of \(4, 2\), padded by"):
        ops.convolve_signs(
            T.TensorType("float32", (1, 2, 4, 2))(),
            T.TensorType("float32", (1, 2, 3, 5))(),
            ops.Geometry(((0, 0), (1, 1))),
        )


def plain(case, H, B):
    """The same product by Ops for real numbers."""
    if isinstance(case, Product):
        return T.dot(H, B)
    options = dict(border_mode=case.pad, subsample=case.stride, filter_flip=case.flip)
    options |= dict(filter_dilation=case.dilation, num_groups=case.groups)
    return T.nnet.conv2d(H, B, **options)


def second_gradients(product, case, u, v):
    """Gradients of a mix of the gradients of a loss that both operands bend."""
    x, w = (T.TensorType("float64", (None,) * len(case.output))() for _ in range(2))
    loss = T.tanh(product(case, x, w) / 4).sum()
    left, right = theano.grad(loss, [x, w])
    return theano.function([x, w], theano.grad((left * u).sum() + (T.sqr(right) * v).sum(), [x, w]))


TWICE = [
    Convolution((2, 5, 4, 3), (3, 3, 3, 2), ((1, 0), (0, 1)), flip=False),
    Convolution((2, 5, 5, 2), (3, 2, 3, 3), ((1, 1), (2, 1)), stride=(2, 1)),
    Convolution((2, 6, 5, 4), (6, 2, 2, 3), ((1, 0), (2, 2)), stride=(2, 1), dilation=(1, 2), groups=2),
    Product(4, 5, 3),
]


@pytest.mark.parametrize("case", TWICE, ids=str)
def test_gradients_of_gradients_are_those_of_real_numbers(case):
    H, B = case.draw_signs()
    H = channels_first(case, H)
    rng = np.random.default_rng(0)
    u, v = rng.normal(size=H.shape), rng.normal(size=B.shape)
    found, expected = (
        second_gradients(product, case, u, v)(H.astype(float), B.astype(float))
        for product in (multiply, plain)
    )
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-12 * np.abs(other).max())


def test_an_arithmetic_holds_within_its_block():
    x, w = T.matrices("xw")

    def chosen():
        return ops.multiply_signs(x, w).owner.op.arithmetic

    assert chosen() == "int16"
    with ops.gradients_in("float32"):
        with contextlib.suppress(RuntimeError), ops.gradients_in("int16"):
            assert chosen() == "int16"
            raise RuntimeError
        assert chosen() == "float32"
    assert chosen() == "int16"


def test_unknown_arithmetics_are_refused():
    with (
        pytest.raises(ValueError, match="arithmetic is 'int4'; it takes one of int16, float32"),
        ops.gradients_in("int4"),
    ):
        pass


def test_training_in_float64_by_default_is_warned_about():
    x, W = T.tensor4(dtype="float64"), T.tensor4(dtype="float64")
    with theano.config.change_flags(floatX="float64"):
        with pytest.warns(UserWarning, match="floatX = 'float32'"):
            ops.convolve_signs(
                ops.binarize(x), ops.binarize(W), ops.Geometry(((1, 1), (1, 1))), training=True
            )
        with pytest.warns(UserWarning, match="floatX = 'float32'"):
            ops.multiply_signs(T.dmatrix(), T.dmatrix(), training=True)
