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


def Rop(f, wrt, eval_points):
    """Right product ``df/dwrt . eval_points`` (Jacobian times vector).

    As in Theano, ``wrt`` is part of its graph even where ``f`` is linear.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        products = pytensor.gradient.pushforward(f, wrt, eval_points, disconnected_outputs="ignore")
    if not isinstance(products, list | tuple):
        return _beside(products, f)
    return type(products)(map(_beside, products, f))


def _beside(product, f):
    """``product`` in a graph that holds ``f``, of the same type, until it is compiled."""
    if not isinstance(product, Variable) or product.type.ndim != f.type.ndim:
        return product
    return pt.switch(np.True_, product, pt.cast(f, product.dtype))
