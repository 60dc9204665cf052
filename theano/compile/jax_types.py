"""PyTensor's dtypes, kept by JAX.

PyTensor translates for a JAX in which 64-bit types are off. Here they are on, and three of its translations
would turn float32 graphs into float64 ones; they are replaced for the whole process. The rounding that Theano
knew, and PyTensor has not for JAX, stands with them.
"""

import jax.numpy as jnp
import numpy as np
from pytensor.link.jax.dispatch import jax_funcify, jax_typify
from pytensor.scalar.basic import RoundHalfAwayFromZero
from pytensor.tensor.elemwise import CAReduce, Elemwise

__all__ = []


@jax_typify.register(np.ndarray)
def _typify(data, dtype=None, **kwargs):
    # A NumPy scalar is as concrete as the Python number that PyTensor gives, so it can still be a shape,
    # and it keeps its dtype.
    return data[()] if data.ndim == 0 and dtype is None else jnp.array(data, dtype=dtype)


def _declared_dtypes(translate):
    """Let a translation of an Op give what the graph declares.

    Elementwise functions follow JAX's promotion otherwise, and reductions give the type in which PyTensor
    would add up.
    """

    def translate_with_dtypes(op, node, **kwargs):
        compute = translate(op, node=node, **kwargs)
        dtypes = [np.dtype(o.type.dtype) for o in node.outputs]

        def typed(*inputs):
            results = compute(*inputs)
            if not isinstance(results, tuple | list):
                return _as_dtype(results, dtypes[0])
            return tuple(_as_dtype(r, d) for r, d in zip(results, dtypes, strict=True))

        return typed

    return translate_with_dtypes


def _as_dtype(value, dtype):
    if isinstance(value, int | float | bool | np.generic):
        return dtype.type(value)
    return value if value.dtype == dtype else value.astype(dtype)


@jax_funcify.register(RoundHalfAwayFromZero)
def _round_half_away_from_zero(op, **kwargs):
    def round_half_away(x):
        whole = jnp.trunc(x)
        return whole + jnp.where(jnp.abs(x - whole) >= 0.5, jnp.sign(x), 0)

    return round_half_away


for _op in (Elemwise, CAReduce):
    jax_funcify.register(_op, _declared_dtypes(jax_funcify.dispatch(_op)))
