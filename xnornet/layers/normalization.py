"""Batch normalization with running statistics, which Lasagne 0.1 does not have."""

import lasagne

import theano
import theano.tensor as T

__all__ = ["BatchNormLayer"]


class BatchNormLayer(lasagne.layers.Layer):
    """``(x - mean) * (gamma * inv_std) + beta``, with the names and behaviour of Lasagne 0.2.

    In training (``deterministic=False``) mean and deviation are those of the batch, and each call of the
    training function moves the stored statistics towards them. With ``deterministic=True`` the stored
    ones are used and nothing moves.

    Parameters
    ----------
    incoming : Layer or tuple
    axes : 'auto', int or tuple of int
        Axes to average over; ``'auto'`` is all but the second.
    epsilon : float
        Added to the variance before its root is taken.
    alpha : float
        Share of the batch in each step of the running statistics.
    beta, gamma : initializer, array, shared variable or None
        Offset and scale, one per channel; None fixes them to 0 and 1.
    mean, inv_std : initializer, array or shared variable
        Running mean, and running ``1 / sqrt(variance + epsilon)``.
    **kwargs
        Passed on to ``lasagne.layers.Layer``.

    Attributes
    ----------
    beta, gamma : shared variable or None
        Tagged ``trainable``; only ``gamma`` is ``regularizable``.
    mean, inv_std : shared variable
        Tagged ``batch_norm_stat``, not ``trainable``.

    Raises
    ------
    ValueError
        The input's length is unknown along an axis that is not averaged over.

    References
    ----------
    Ioffe and Szegedy, Batch Normalization, arXiv 1502.03167.
    """

    def __init__(
        self,
        incoming,
        axes="auto",
        epsilon=1e-4,
        alpha=0.1,
        beta=lasagne.init.Constant(0),  # noqa: B008
        gamma=lasagne.init.Constant(1),  # noqa: B008
        mean=lasagne.init.Constant(0),  # noqa: B008
        inv_std=lasagne.init.Constant(1),  # noqa: B008
        **kwargs,
    ):
        super().__init__(incoming, **kwargs)
        if axes == "auto":
            axes = tuple(i for i in range(len(self.input_shape)) if i != 1)
        self.axes = (axes,) if isinstance(axes, int) else tuple(axes)
        self.epsilon, self.alpha = epsilon, alpha
        shape = tuple(n for i, n in enumerate(self.input_shape) if i not in self.axes)
        if None in shape:
            raise ValueError(
                f"BatchNormLayer has parameters along every axis outside axes={self.axes}, so their "
                f"lengths must be known; the input's shape is {self.input_shape}"
            )
        stored = {"trainable": False, "regularizable": False, "batch_norm_stat": True}
        self.beta = self.gamma = None
        if beta is not None:
            self.beta = self.add_param(beta, shape, "beta", regularizable=False)
        if gamma is not None:
            self.gamma = self.add_param(gamma, shape, "gamma")
        self.mean = self.add_param(mean, shape, "mean", **stored)
        self.inv_std = self.add_param(inv_std, shape, "inv_std", **stored)

    def get_output_for(
        self,
        input,
        deterministic=False,
        batch_norm_use_averages=None,
        batch_norm_update_averages=None,
        **kwargs,
    ):
        """Normalize ``input``.

        ``batch_norm_use_averages`` and ``batch_norm_update_averages`` override what ``deterministic``
        says about using the stored statistics and about moving them.
        """
        use = deterministic if batch_norm_use_averages is None else batch_norm_use_averages
        update = not deterministic if batch_norm_update_averages is None else batch_norm_update_averages
        batch_mean = input.mean(self.axes)
        batch_inv_std = T.inv(T.sqrt(input.var(self.axes) + self.epsilon))
        mean, inv_std = (self.mean, self.inv_std) if use else (batch_mean, batch_inv_std)
        if update:
            mean = mean + 0 * self._moving(self.mean, batch_mean)
            inv_std = inv_std + 0 * self._moving(self.inv_std, batch_inv_std)
        lengths = iter(range(input.ndim - len(self.axes)))
        pattern = ["x" if i in self.axes else next(lengths) for i in range(input.ndim)]
        scale = inv_std if self.gamma is None else self.gamma * inv_std
        output = (input - mean.dimshuffle(pattern)) * scale.dimshuffle(pattern)
        return output if self.beta is None else output + self.beta.dimshuffle(pattern)

    def _moving(self, stored, batch):
        # The copy has the same value as the original, and adds the update to every function whose graph
        # contains it. It is multiplied by zero, so it does not change the result.
        copy = theano.clone(stored, share_inputs=False)
        copy.default_update = (1 - self.alpha) * copy + self.alpha * batch
        return copy
