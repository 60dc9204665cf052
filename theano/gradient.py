"""Theano's gradient functions, as PyTensor has them."""

import warnings

import pytensor.gradient
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
    """Right product ``df/dwrt . eval_points`` (Jacobian times vector)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return pytensor.gradient.pushforward(f, wrt, eval_points)
