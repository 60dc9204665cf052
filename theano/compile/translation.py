"""From a graph to a function of JAX arrays, by PyTensor's translations of Ops, our own, and refined ones.

PyTensor's own ``mode="JAX"`` and the user's own JAX programs share a process with us, and see nothing of
this: PyTensor's translations are loaded when a function of ours first compiles, those that ours refine are
left as they are for all others, and 64-bit types are switched on in a scope.
"""

from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
from pytensor.graph.fg import AbstractFunctionGraph
from pytensor.scalar.basic import RoundHalfAwayFromZero
from pytensor.tensor.elemwise import CAReduce, Elemwise

from theano.versions import x64_of_process

__all__ = ["jax_version", "refine", "translate", "with_64_bits"]

# Whether it is a graph of ours that is being translated or traced.
_ours = ContextVar("ours", default=False)

_versions, _refinements = {}, {}


def jax_version(op_class):
    """Register the JAX version of an Op, a function ``(op, node=, **options)`` that returns a function.

    It replaces ``jax_funcify.register`` of ``pytensor.link.jax.dispatch`` for a user's Op, and does not load
    PyTensor's translations before they are needed.
    """

    def register(version):
        _versions[op_class] = version
        if _dispatch.cache_info().currsize:
            _dispatch().register(op_class, version)
        return version

    return register


def refine(*op_classes):
    """Register a function ``(translate, op, node=, **options)`` for Ops that PyTensor translates.

    It gets PyTensor's translation and returns another, which is used for our graphs only.
    """

    def register(refinement):
        _refinements.update((c, refinement) for c in op_classes)
        return refinement

    return register


def with_64_bits():
    """A context in which JAX has 64-bit types, in this thread alone."""
    return jax.enable_x64(True)


def translate(fgraph, name):
    """Translate a graph.

    Parameters
    ----------
    fgraph : FunctionGraph
    name : str
        Of the function.

    Returns
    -------
    callable
        From values of the graph's inputs to a sequence of those of its outputs.

    Raises
    ------
    NotImplementedError
        An Op has no JAX version.
    """
    funcify = _dispatch()
    with _as_ours():
        call = funcify(fgraph, fgraph_name=name)

    def traced(*values):
        # float32 means float32, on a GPU too; its tensor cores would round factors to 11 bits.
        with _as_ours(), jax.default_matmul_precision("highest"):
            return call(*values)

    return traced


@contextmanager
def _as_ours():
    token = _ours.set(True)
    try:
        yield
    finally:
        _ours.reset(token)


@cache
def _dispatch():
    """PyTensor's table of translations, with ours in it."""
    before = x64_of_process()
    from pytensor.link.jax.dispatch import jax_funcify, jax_typify

    # Loading it sets JAX's 64-bit types as PyTensor's floatX says, for the process.
    wanted = x64_of_process()
    jax.config.update("jax_enable_x64", before)
    for op_class, version in _versions.items():
        jax_funcify.register(op_class, version)
    for op_class, refinement in _refinements.items():
        _replace(jax_funcify, op_class, refinement)
    _replace(jax_funcify, AbstractFunctionGraph, _set_64_bits_for_pytensor(wanted, before), for_others=True)
    _replace(jax_typify, np.ndarray, _typify)
    return jax_funcify


def _replace(table, kind, refinement, for_others=False):
    """Put a refinement into a table of translations, for our graphs or ``for_others``."""
    original = table.dispatch(kind)

    @table.register(kind)
    def chosen(subject, *arguments, **options):
        if _ours.get() == for_others:
            return original(subject, *arguments, **options)
        return refinement(original, subject, *arguments, **options)


def _set_64_bits_for_pytensor(wanted, before):
    """Apply the side effects of loading PyTensor's translations when PyTensor first uses them itself."""
    todo = [] if wanted == before else [partial(jax.config.update, "jax_enable_x64", wanted)]

    def translate_graph(original, fgraph, **options):
        while todo:
            todo.pop()()
        return original(fgraph, **options)

    return translate_graph


def _typify(original, data, dtype=None, **options):
    # A NumPy scalar can be used as a shape, like the Python number of PyTensor's own, and keeps its dtype.
    return data[()] if data.ndim == 0 and dtype is None else jnp.array(data, dtype=dtype)


@refine(Elemwise, CAReduce)
def _with_declared_dtypes(original, op, node, **options):
    """Make the translation of an Op return the dtypes that the graph declares.

    Elementwise functions follow JAX's promotion otherwise, and reductions give the type in which PyTensor
    would add up: with 64-bit types on, three of PyTensor's translations turn float32 graphs into float64.
    """
    compute = original(op, node=node, **options)
    dtypes = [np.dtype(o.type.dtype) for o in node.outputs]

    def typed(*inputs):
        results = compute(*inputs)
        if not isinstance(results, tuple | list):
            return _as_dtype(results, dtypes[0])
        return tuple(_as_dtype(r, d) for r, d in zip(results, dtypes, strict=True))

    return typed


def _as_dtype(value, dtype):
    if isinstance(value, int | float | bool | np.generic):
        return dtype.type(value)
    return value if value.dtype == dtype else value.astype(dtype)


@refine(RoundHalfAwayFromZero)
def _round_half_away_from_zero(original, op, **options):
    def round_half_away(x):
        whole = jnp.trunc(x)
        return whole + jnp.where(jnp.abs(x - whole) >= 0.5, jnp.sign(x), 0)

    return round_half_away
