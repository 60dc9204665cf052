"""Adam's update of a parameter as one Op, which a kernel computes in one pass over memory."""

import jax.numpy as jnp
import numpy as np

import theano.tensor as T
from theano.compile.translation import jax_version
from theano.gof import Apply, Op
from theano.versions import shape_rule
from xnornet.ops import native

__all__ = ["Adam"]


class Adam(Op):
    """A step of Adam for one parameter: its new values and those of its moments.

    With ``m' = beta1 * m + (1 - beta1) * g`` and ``v' = beta2 * v + (1 - beta2) * g^2`` the parameter becomes
    ``p - rate * m' / (sqrt(v') + epsilon) - decay * p``, clipped to magnitudes up to ``bound``.

    Parameters
    ----------
    beta1, beta2, epsilon : float
    bound : float
        Infinite where nothing is to be clipped.

    References
    ----------
    Kingma and Ba, Adam, arXiv 1412.6980, the form at the end of section 2, in which ``rate`` holds both
    corrections of the moments.
    """

    __props__ = ("beta1", "beta2", "epsilon", "bound")

    def __init__(self, beta1, beta2, epsilon, bound=np.inf):
        self.beta1, self.beta2, self.epsilon, self.bound = map(float, (beta1, beta2, epsilon, bound))

    def make_node(self, p, m, v, g, rate, decay):
        inputs = [T.as_tensor_variable(x) for x in (p, m, v, g, rate, decay)]
        inputs[4:] = [x.astype(p.dtype) for x in inputs[4:]]
        return Apply(self, inputs, [p.type() for p in inputs[:3]])

    def perform(self, node, inputs, output_storage):
        for storage, value in zip(output_storage, self.step(np, *inputs), strict=True):
            storage[0] = np.asarray(value, node.inputs[0].dtype)

    @shape_rule
    def infer_shape(self, node, shapes):
        return [shapes[0]] * 3

    def numbers(self, dtype):
        """``beta1, 1 - beta1, beta2, 1 - beta2, epsilon, bound`` in a dtype."""
        betas = self.beta1, 1 - self.beta1, self.beta2, 1 - self.beta2
        return [np.asarray(x, dtype)[()] for x in (*betas, self.epsilon, self.bound)]

    def step(self, module, p, m, v, g, rate, decay):
        """The step in arrays of NumPy, or of what has its functions."""
        beta1, rest1, beta2, rest2, epsilon, bound = self.numbers(p.dtype)
        m = beta1 * m + rest1 * g
        v = beta2 * v + rest2 * (g * g)
        p = p - rate * m / (module.sqrt(v) + epsilon) - decay * p
        return (p if np.isinf(bound) else module.clip(p, -bound, bound)), m, v


@jax_version(Adam)
def _jax_adam(op, **kwargs):
    def adam(p, m, v, g, rate, decay):
        if not native.takes_weights(p):
            return op.step(jnp, p, m, v, g, rate, decay)
        return native.adam(p, m, v, g, jnp.stack([rate, decay, *op.numbers(p.dtype)]))

    return adam
