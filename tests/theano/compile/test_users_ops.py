"""Ops of a user's own: scalar functions in C or Python, and ``perform``, in JAX without a fallback."""

import math

import numpy as np
import pytest
from pytensor.compile.ops import as_op
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op
from pytensor.scalar.basic import UnaryScalarOp, same_out_nocomplex
from pytensor.tensor.elemwise import Elemwise

import theano
import theano.tensor as T
from theano.compile.translation import with_64_bits
from theano.compile.users_ops import NotOneExpression, from_c

pytestmark = [
    pytest.mark.filterwarnings("error:.*JAX cannot"),
    pytest.mark.filterwarnings("ignore:pytensor.as_op is deprecated"),
    pytest.mark.filterwarnings("ignore:.*should implement .pullback."),
]

VALUES = np.array([-2.5, -1.5, -0.75, -0.5, 0, 0.25, 0.5, 1, 1.5, 2.5, 7], "float32")


class Rounded(UnaryScalarOp):
    """A rounding with a straight-through gradient, in C, as BinaryNet has it."""

    def c_code(self, node, name, inputs, outputs, sub):
        (x,), (z,) = inputs, outputs
        return f"{z} = round({x});"

    def grad(self, inputs, gradients):
        return gradients


class Branching(UnaryScalarOp):
    def impl(self, x):
        return math.sqrt(x) if x > 0 else -x


class Smooth(UnaryScalarOp):
    def impl(self, x):
        return 2 * np.tanh(x) + math.cos(x)


class Unreadable(UnaryScalarOp):
    def c_code(self, node, name, inputs, outputs, sub):
        return f"double y = {inputs[0]}; {outputs[0]} = y;"


def apply(scalar_op, x):
    return Elemwise(scalar_op(same_out_nocomplex, name=scalar_op.__name__))(x)


def test_a_rounding_in_c_rounds_half_away_from_zero_and_passes_gradients():
    x = T.fvector()
    y = apply(Rounded, x)
    f = theano.function([x], [y, T.grad(T.sum(3 * y), x)])
    rounded, gradient = f(VALUES)
    np.testing.assert_array_equal(rounded, [-3, -2, -1, -1, 0, 0, 1, 1, 2, 3, 7])
    np.testing.assert_array_equal(gradient, np.full(len(VALUES), 3))
    assert rounded.dtype == "float32"


@pytest.mark.parametrize("scalar_op", [Branching, Smooth])
@pytest.mark.parametrize("shape", [(11,), (11, 1), ()])
def test_an_impl_is_computed_as_it_says(scalar_op, shape):
    x = T.TensorType("float32", (None,) * len(shape))()
    values = VALUES.reshape(shape) if shape else np.float32(2.5)
    result = theano.function([x], apply(scalar_op, x))(values)
    impl = scalar_op(same_out_nocomplex).impl
    np.testing.assert_allclose(result, np.reshape([impl(v) for v in np.ravel(values)], shape), rtol=1e-5)


def test_c_that_cannot_be_read_is_an_error_that_shows_what_to_write():
    x = T.fvector()
    with pytest.raises(ValueError, match=r"double y.*jax_version\(Unreadable\)\(lambda op") as caught:
        theano.function([x], apply(Unreadable, x))(VALUES)
    assert "\n" not in str(caught.value)


# Expressions of C, and what they are in Python on one number.
EXPRESSIONS = {
    "x > 0 ? 1 : -1": lambda x: 1 if x > 0 else -1,
    "(x > 0) - (x < 0)": lambda x: (x > 0) - (x < 0),
    "1 / 2 + x * 0.5f": lambda x: 0.5 * x,
    "7 / -2 * x": lambda x: -3 * x,
    "1.0 / (1.0 + exp(-x))": lambda x: 1 / (1 + math.exp(-x)),
    "x >= -1 && x <= 1 ? x : (npy_float32) 0": lambda x: x if abs(x) <= 1 else 0,
    "x < -1 || !(x < 1) ? fabs(x) : pow(x, 2.)": lambda x: abs(x) if x < -1 or x >= 1 else x * x,
    "(int)x % 2 == 0 ? floorf(x) : -ceil(x) /* odd */": lambda x: (
        math.floor(x) if math.fmod(math.trunc(x), 2) == 0 else -math.ceil(x)
    ),
    "x > 1 ? 2 : x > 0 ? 1.5e0 : .5": lambda x: 2 if x > 1 else 1.5 if x > 0 else 0.5,
    "(int)x / 2": lambda x: int(int(x) / 2),
    "atan2(x, 2) - fmax(x, 0)": lambda x: math.atan2(x, 2) - max(x, 0),
}


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_expressions_are_read_as_c_has_them(expression):
    with with_64_bits():
        found = np.asarray(from_c(f" z = {expression};\n", ["x"], "z")(VALUES))
    np.testing.assert_allclose(found, [EXPRESSIONS[expression](float(v)) for v in VALUES], rtol=1e-6)


@pytest.mark.parametrize(
    "code",
    ["", "z = x", "z += x;", "z = y;", "z = x; x = z;", "z = x +;", "z = sign(x);", "z = (x;", "z = x #;"],
)
def test_other_code_is_not_guessed_at(code):
    with pytest.raises(NotOneExpression):
        from_c(code, ["x"], "z")


class Doubled(Op):
    """Twice a matrix, and its sums of rows, in NumPy. The signature of its ``infer_shape`` is Theano's."""

    __props__ = ()

    def make_node(self, x):
        x = T.as_tensor_variable(x)
        return Apply(self, [x], [x.type(), T.TensorType(x.dtype, (None,))()])

    def perform(self, node, inputs, output_storage):
        output_storage[0][0] = 2 * inputs[0]
        output_storage[1][0] = inputs[0].sum(axis=1)

    def infer_shape(self, *arguments):
        ((rows, columns),) = arguments[-1]
        return [(rows, columns), (rows,)]


def test_perform_is_called_from_within_a_program_of_jax():
    x, s = T.matrix(), theano.shared(np.float32(1))
    doubled, sums = Doubled()(T.tanh(x))
    f = theano.function([x], [doubled + s, sums], updates={s: s + 1})
    for rows in (2, 3):
        value = np.linspace(-1, 1, rows * 2, dtype="float32").reshape(rows, 2)
        results = f(value)
        np.testing.assert_allclose(results[0], 2 * np.tanh(value) + rows - 1, rtol=1e-5)
        np.testing.assert_allclose(results[1], np.tanh(value).sum(axis=1), atol=1e-6)


def test_a_function_as_an_op_is_called_likewise():
    @as_op(
        itypes=[T.fmatrix, T.fmatrix], otypes=[T.fmatrix], infer_shape=lambda *arguments: [arguments[-1][0]]
    )
    def larger(a, b):
        return np.where(a > b, a, b)

    x, y = T.fmatrix(), T.fmatrix()
    f = theano.function([x, y], larger(x, y) * 2)
    a, b = np.eye(2, dtype="float32"), np.full((2, 2), 0.5, "float32")
    np.testing.assert_array_equal(f(a, b), np.maximum(a, b) * 2)


class Refused(Op):
    """An Op that has an error of its own."""

    __props__ = ()

    def make_node(self, x):
        return Apply(self, [x], [x.type()])

    def perform(self, node, inputs, output_storage):
        if inputs[0].sum() > 0:
            raise KeyError("too large")
        output_storage[0][0] = inputs[0]

    def infer_shape(self, *arguments):
        return arguments[-1]


def test_an_error_in_perform_is_raised_unchanged_and_changes_no_state(capfd):
    x, s = T.fvector(), theano.shared(np.float32(1))
    f = theano.function([x], Refused()(x) + s, updates={s: s + 1})
    good, bad = np.array([-1, 0], "float32"), np.array([1, 2], "float32")
    with pytest.raises(KeyError, match="too large"):
        f(bad)
    np.testing.assert_array_equal(f(good), [0, 1])
    for call in (lambda: f(bad), lambda: f.each(np.stack([good, bad]))):
        with pytest.raises(KeyError, match="too large"):
            call()
    assert s.get_value() == 2 and f.compilations <= 2
    assert "too large" not in capfd.readouterr().err
