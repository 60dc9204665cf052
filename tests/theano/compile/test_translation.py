"""Inside a compiled program, every value has the dtype that its graph declares."""

import numpy as np
import pytest
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op

import theano
import theano.tensor as T
from theano.compile.translation import jax_version


class Witness(Op):
    """Hands its input on, and notes the dtype in which JAX computes it."""

    __props__ = ()

    def __init__(self):
        self.seen = None

    def make_node(self, x):
        return Apply(self, [x], [x.type()])

    def perform(self, node, inputs, output_storage):
        output_storage[0][0] = inputs[0]


@jax_version(Witness)
def _jax_witness(op, **kwargs):
    def note(x):
        op.seen = str(x.dtype)
        return x

    return note


EXPRESSIONS = {
    "sum": lambda x, n: x.sum(axis=0),
    "mean": lambda x, n: x.mean(),
    "difference from the mean": lambda x, n: x - x.mean(axis=1, keepdims=True),
    "variance": lambda x, n: x.var(axis=0),
    "product": lambda x, n: x.prod(),
    "maximum": lambda x, n: x.max(),
    "times a python number": lambda x, n: 0.1 * x / 3,
    "power": lambda x, n: x**0.5 + x**2,
    "exponential": lambda x, n: T.exp(x),
    "with integers": lambda x, n: x * n.astype("float32"),
    "switch": lambda x, n: T.switch(x > 0.5, x, 0),
    "float64 sum": lambda x, n: x.sum(dtype="float64"),
    "int8 arithmetic": lambda x, n: n * n,
    "int8 sum": lambda x, n: n.sum(axis=0),
    "int8 times a python number": lambda x, n: 0.5 * n,
    "division of integers": lambda x, n: n / 2,
    "comparison": lambda x, n: T.lt(x, 0.5),
    "argmax": lambda x, n: T.argmax(x, axis=1),
    "norm": lambda x, n: T.sqrt(T.sum(T.sqr(x))),
}


@pytest.mark.filterwarnings("error:.*JAX cannot")
@pytest.mark.parametrize("name", EXPRESSIONS)
def test_values_have_their_declared_dtype(name):
    x, n = T.fmatrix(), T.bmatrix()
    expression, witness = EXPRESSIONS[name](x, n), Witness()
    f = theano.function([x, n], witness(expression), on_unused_input="ignore")
    result = f(np.full((2, 3), 0.25, "float32"), np.full((2, 3), 3, "int8"))
    assert witness.seen == expression.dtype == result.dtype
