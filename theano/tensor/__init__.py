"""Symbolic tensors: everything of ``pytensor.tensor``, and Theano's names for what was renamed or dropped."""

from functools import wraps

import numpy as np
import pytensor.tensor
from pytensor.gradient import grad, hessian, jacobian, verify_grad
from pytensor.graph.basic import Constant, Variable
from pytensor.graph.replace import vectorize_graph
from pytensor.scalar.basic import discrete_dtypes, float_types
from pytensor.tensor import *  # noqa: F403
from pytensor.tensor import extra_ops, random
from pytensor.tensor.basic import stack as _stack
from pytensor.tensor.elemwise import DimShuffle, Elemwise
from pytensor.tensor.exceptions import NotScalarConstantError
from pytensor.tensor.math import abs, reciprocal
from pytensor.tensor.sharedvar import TensorSharedVariable
from pytensor.tensor.subtensor import Subtensor

import theano.tensor.signal as signal  # `from theano.tensor` would find PyTensor's
from theano.gradient import Lop, Rop
from theano.tensor import nnet, shared_randomstreams
from theano.tensor.var import TensorConstant, TensorVariable

__all__ = [name for name in dir(pytensor.tensor) if not name.startswith("_")] + [
    "Constant",
    "DimShuffle",
    "Elemwise",
    "Lop",
    "NotScalarConstantError",
    "Rop",
    "Subtensor",
    "TensorConstant",
    "TensorSharedVariable",
    "TensorVariable",
    "Variable",
    "abs_",
    "addbroadcast",
    "batched_dot",
    "batched_tensordot",
    "discrete_dtypes",
    "dot",
    "extra_ops",
    "flatten",
    "float_dtypes",
    "grad",
    "hessian",
    "inv",
    "is_flat",
    "jacobian",
    "mean",
    "nnet",
    "patternbroadcast",
    "random",
    "repeat",
    "sgn",
    "shared_randomstreams",
    "signal",
    "split",
    "stack",
    "tile",
    "unbroadcast",
    "unravel_index",
    "verify_grad",
]

abs_ = abs
inv = reciprocal
sgn = sign  # noqa: F405
float_dtypes = tuple(t.dtype for t in float_types)
# The function, in whose place Python has put the module of that name when it was imported.
var = pytensor.tensor.var


def _taking(function, *names):
    """``function``, which takes what ``names`` say in their order; a name ``a:b`` is ``b`` in PyTensor."""
    pytensors = dict((name.split(":") * 2)[:2] for name in names)

    @wraps(function)
    def call(*args, **options):
        if len(args) > len(pytensors):
            raise TypeError(f"{function.__name__} takes {', '.join(pytensors)}; got {len(args)} arguments")
        options = {pytensors.get(name, name): value for name, value in options.items()}
        return function(**dict(zip(pytensors.values(), args, strict=False)), **options)

    return call


scalar, vector, row, col, matrix, tensor3, tensor4, tensor5, tensor6, tensor7 = (
    _taking(getattr(pytensor.tensor, kind), "name", "dtype")
    for kind in ("scalar", "vector", "row", "col", "matrix", *(f"tensor{n}" for n in range(3, 8)))
)
dot = _taking(pytensor.tensor.dot, "a:l", "b:r")
repeat = _taking(pytensor.tensor.repeat, "x:a", "repeats", "axis")


def mean(input, axis=None, dtype=None, op=False, keepdims=False, acc_dtype=None):
    """Arithmetic mean along axes, by default of all elements. ``op`` is accepted as in Theano."""
    return pytensor.tensor.mean(input, axis, dtype, keepdims, acc_dtype)


def is_flat(var, ndim=None, outdim=None):
    """Whether ``var`` has ``ndim`` axes, by default 1; ``outdim`` is its older name."""
    return var.ndim == next((n for n in (ndim, outdim) if n is not None), 1)


def unravel_index(indices, dims, order="C", ndim=None):
    """Indices of each axis for indices into a flat array; ``ndim`` is the length of ``dims``."""
    if ndim is not None:
        dims = pytensor.tensor.specify_shape(dims, (ndim,))
    return pytensor.tensor.unravel_index(indices, dims, order)


def tile(x, reps, ndim=None):
    """Repeat ``x`` along its axes.

    Parameters
    ----------
    x : tensor_like
    reps : int, vector of int, or sequence of int
        Repetitions of each axis, the last ones of the result if there are fewer.
    ndim : int, optional
        Axes of the result: by default as many as ``x`` or ``reps`` has. A vector of unknown length needs it.
    """
    x = as_tensor_variable(x)  # noqa: F405
    if ndim is None:
        return pytensor.tensor.tile(x, reps)
    if not isinstance(reps, list | tuple):
        reps = as_tensor_variable(reps)  # noqa: F405
        if reps.ndim == 0:
            reps = [reps]
        elif reps.type.shape[0] is not None:
            reps = [reps[i] for i in range(reps.type.shape[0])]
        else:
            missing = ndim - reps.shape[0]
            reps = [switch(i < missing, 1, reps[maximum(i - missing, 0)]) for i in range(ndim)]  # noqa: F405
    if not x.ndim <= ndim >= len(reps):
        raise ValueError(f"{ndim} axes are fewer than the {x.ndim} of x or the {len(reps)} repetitions")
    return pytensor.tensor.tile(x, [1] * (ndim - len(reps)) + list(reps))


def stack(*tensors, axis=0):
    """Join tensors along a new axis. They come in a list, then maybe the axis, or one by one."""
    if isinstance(tensors[0], list | tuple):
        return _stack(*tensors) if len(tensors) > 1 else _stack(tensors[0], axis)
    return _stack(tensors, axis)


def split(x, splits_size, n_splits, axis=0):
    """Cut ``x`` along an axis into ``n_splits`` parts of lengths ``splits_size``."""
    return pytensor.tensor.split(x, splits_size, n_splits=n_splits, axis=axis)


def flatten(x, ndim=None, outdim=None):
    """Collapse the axes of ``x`` from number ``ndim - 1`` on into one, by default all.

    ``outdim`` is its older name.
    """
    if ndim is not None and outdim is not None:
        raise ValueError("flatten takes ndim or its older name outdim, not both")
    ndim = next((n for n in (ndim, outdim) if n is not None), 1)
    x = as_tensor_variable(x)  # noqa: F405
    if ndim != 1 and not 1 < ndim <= x.ndim:
        raise ValueError(f"{x.ndim} axes cannot be flattened to {ndim}")
    if ndim == x.ndim:
        return x
    kept = [x.shape[i] for i in range(ndim - 1)]
    return x.reshape((*kept, pytensor.tensor.prod(x.shape[ndim - 1 :])))


def batched_dot(a, b):
    """``dot(a[i], b[i])`` for every ``i``, along a first axis; newer PyTensors have it no more."""
    a, b = as_tensor_variable(a), as_tensor_variable(b)  # noqa: F405
    if not a.ndim or not b.ndim:
        raise TypeError("batched_dot takes tensors of at least one axis, which counts the products")
    return _for_each(pytensor.tensor.dot, a, b)


def batched_tensordot(x, y, axes=2):
    """``tensordot(x[i], y[i])`` for every ``i``; axes that are named count from those of ``x`` and ``y``."""
    x, y = as_tensor_variable(x), as_tensor_variable(y)  # noqa: F405
    if not isinstance(axes, int):
        axes = [[a % v.ndim - 1 for a in np.atleast_1d(given)] for given, v in zip(axes, (x, y), strict=True)]
    return _for_each(lambda *one: pytensor.tensor.tensordot(*one, axes=axes), x, y)


def _for_each(function, *tensors):
    """A function of tensors without their first axis, for each entry of it."""
    entries = [tensor[0].type() for tensor in tensors]
    return vectorize_graph(function(*entries), replace=dict(zip(entries, tensors, strict=True)))


def addbroadcast(x, *axes):
    """Declare that the given axes of ``x`` have length 1."""
    return pytensor.tensor.specify_broadcastable(x, *axes) if axes else as_tensor_variable(x)  # noqa: F405


def unbroadcast(x, *axes):
    """Return ``x``: an axis known to have length 1 needs no undoing in PyTensor."""
    return as_tensor_variable(x)  # noqa: F405


def patternbroadcast(x, broadcastable):
    """Declare which axes of ``x`` have length 1: those where ``broadcastable`` is true."""
    return addbroadcast(x, *np.flatnonzero(broadcastable).tolist())
