"""Theano's gradient functions, as PyTensor has them."""

import warnings

import numpy as np
import pytensor.gradient
import pytensor.tensor as pt
from pytensor.gradient import (
    DisconnectedInputError,
    DisconnectedType,
    NullTypeGradError,
    disconnected_grad,
    grad,
    grad_clip,
    grad_not_implemented,
    grad_scale,
    grad_undefined,
    hessian,
    jacobian,
    verify_grad,
    zero_grad,
)
from pytensor.graph.basic import Variable

from theano.configparser import config

__all__ = [
    "DisconnectedInputError",
    "DisconnectedType",
    "Lop",
    "NullTypeGradError",
    "Rop",
    "consider_constant",
    "disconnected_grad",
    "grad",
    "grad_clip",
    "grad_not_implemented",
    "grad_scale",
    "grad_undefined",
    "hessian",
    "jacobian",
    "verify_grad",
    "zero_grad",
]

consider_constant = disconnected_grad


def Lop(f, wrt, eval_points, consider_constant=None, disconnected_inputs="raise"):
    """Left product ``eval_points . df/dwrt`` (vector times Jacobian)."""
    return pytensor.gradient.pullback(
        f,
        wrt,
        eval_points,
        consider_constant=consider_constant,
        disconnected_inputs=disconnected_inputs,
    )


def Rop(f, wrt, eval_points, disconnected_outputs="raise", return_disconnected="zero"):
    """Right product ``df/dwrt . eval_points`` (Jacobian times vector).

    As in Theano, ``wrt`` is part of its graph even where ``f`` is linear. What does not depend on ``wrt`` has
    zeros, whatever the last two arguments say.
    """
    outputs, inputs, points = (
        [pt.as_tensor_variable(v) for v in (value if isinstance(value, list | tuple) else [value])]
        for value in (f, wrt, eval_points)
    )
    for i, (variable, point) in enumerate(zip(inputs, points, strict=True)):
        if variable.ndim != point.ndim:
            raise ValueError(
                f"Evaluation point {i} of Rop has {point.ndim} axes, and what it belongs to {variable.ndim}"
            )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        products = _push_forward(outputs, inputs, points)
    products = list(map(_beside, products, outputs))
    return type(f)(products) if isinstance(f, list | tuple) else products[0]


def _push_forward(outputs, inputs, points):
    """Jacobian times vector, as the gradient of the left product, which is linear in its vector.

    PyTensor's own loses terms where a variable has two places in it, as the left product of a sum, or an
    output that others are computed from; hence the copies.
    """
    outputs = [pt.tensor_copy(o) for o in outputs]
    vectors = [o.zeros_like(dtype=o.dtype if "float" in o.dtype else config.floatX) for o in outputs]
    left = pytensor.gradient.pullback(
        outputs, inputs, vectors, disconnected_inputs="ignore", return_disconnected="zero"
    )
    left = [pt.tensor_copy(v) for v in left]
    points = [p.astype(v.dtype) for p, v in zip(points, left, strict=True)]
    return pytensor.gradient.pullback(
        left, vectors, points, disconnected_inputs="ignore", return_disconnected="zero"
    )


def _beside(product, f):
    """``product`` in a graph that holds ``f``, of the same type, until it is compiled."""
    if not isinstance(product, Variable) or product.type.ndim != f.type.ndim:
        return product
    return pt.switch(np.True_, product, pt.cast(f, product.dtype))
