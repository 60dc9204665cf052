"""The product of a convolution's sums with both scaling factors, and all its gradients in one pass.

XLA, which sums along two axes for the gradients of ``K`` and ``alpha``, writes each factor of the summands to
memory first, as large as the whole map.
"""

import jax.numpy as jnp
import numpy as np

import theano
import theano.tensor as T
from theano.compile.translation import jax_version
from theano.gof import Apply, Op
from theano.gradient import DisconnectedType
from theano.versions import shape_rule
from xnornet.ops import native

__all__ = ["scale"]


class _Scaling(Op):
    """What the product and its gradients share.

    Parameters
    ----------
    is_short : bool
        The sums are whole numbers that fit in 16 bits.
    """

    __props__ = ("is_short",)

    def __init__(self, is_short):
        self.is_short = is_short


class Scale(_Scaling):
    """``S * K * alpha``, for sums ``(batch, rows, columns, filters)``, a map for all filters and a vector."""

    def make_node(self, S, K, alpha):
        S, K, alpha = map(T.as_tensor_variable, (S, K, alpha))
        return Apply(self, [S, K, alpha], [S.type()])

    def perform(self, node, inputs, output_storage):
        S, K, alpha = inputs
        output_storage[0][0] = (S * K[..., None] * alpha).astype(S.dtype)

    @shape_rule
    def infer_shape(self, node, shapes):
        return [shapes[0]]

    def pullback(self, inputs, outputs, cotangents):
        return ScaleGradients(self.is_short)(*inputs, *cotangents)


@jax_version(Scale)
def _jax_scale(op, **kwargs):
    def scale(S, K, alpha):
        return S * K[..., None] * alpha

    return scale


class ScaleGradients(_Scaling):
    """Gradients of :class:`Scale` to the sums, to ``K`` and to ``alpha``."""

    def make_node(self, S, K, alpha, g):
        inputs = [T.as_tensor_variable(x) for x in (S, K, alpha, g)]
        return Apply(self, inputs, [x.type() for x in inputs[:3]])

    def perform(self, node, inputs, output_storage):
        for storage, value in zip(output_storage, self.gradients(*inputs), strict=True):
            storage[0] = np.asarray(value, node.inputs[0].dtype)

    @shape_rule
    def infer_shape(self, node, shapes):
        return shapes[:3]

    def gradients(self, S, K, alpha, g):
        """The gradients in arrays of NumPy, or of JAX."""
        products = g * S
        K = K[..., None]
        return g * (K * alpha), (products * alpha).sum(3), (products * K).sum((0, 1, 2))

    def pullback(self, inputs, outputs, cotangents):
        S, K, alpha, g = inputs
        out = S * K.dimshuffle(0, 1, 2, "x") * alpha
        first = theano.grad((out * g).sum(), inputs[:3], consider_constant=[g])
        known = [
            (a, c) for a, c in zip(first, cotangents, strict=True) if not isinstance(c.type, DisconnectedType)
        ]
        total = sum((a * c).sum() for a, c in known)
        constants = [c for _, c in known]
        return theano.grad(total, inputs, consider_constant=constants, disconnected_inputs="ignore")


@jax_version(ScaleGradients)
def _jax_scale_gradients(op, **kwargs):
    def scale_gradients(S, K, alpha, g):
        if not (op.is_short and native.takes_scaling(S, K, alpha, g)):
            return op.gradients(S, K, alpha, g)
        return native.scale_gradients(S.astype(jnp.int16), K, alpha, g)

    return scale_gradients


def scale(S, K, alpha, fan_in, training=False):
    """Multiply the sums of a convolution by both scaling factors.

    Parameters
    ----------
    S : 4D expression, ``(batch, filters, rows, columns)``
        Sums of ``fan_in`` signs.
    K : 4D expression, ``(batch, 1, rows, columns)``
    alpha : vector, ``(filters,)``
    fan_in : int
    training : bool
        Gradients will be needed: start to compile their kernel in the background.

    Returns
    -------
    4D expression, ``(batch, filters, rows, columns)``, of the dtype that holds those of all three
    """
    if training:
        native.prepare_scaling()
    dtype = theano.scalar.upcast(S.dtype, K.dtype, alpha.dtype)
    S, K, alpha = (x.astype(dtype) for x in (S, K, alpha))
    out = Scale(fan_in <= native.MOST_SIGNS)(S.dimshuffle(0, 2, 3, 1), K.dimshuffle(0, 2, 3), alpha)
    return out.dimshuffle(0, 3, 1, 2)
