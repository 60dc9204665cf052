"""The binary fully connected layer."""

import lasagne

from xnornet import ops

__all__ = ["XNORDenseLayer"]


class XNORDenseLayer(lasagne.layers.DenseLayer):
    """Fully connected layer on signs: ``(sign(I) . sign(W)) * beta * alpha + b``, then the nonlinearity.

    ``alpha`` is the mean of ``|W|`` over each unit's inputs, ``beta`` the mean of ``|I|`` over each
    sample's features. Gradients are those of :class:`xnornet.layers.XNORConv2DLayer`.

    Parameters
    ----------
    incoming : Layer or tuple
        Input of shape ``(batch, ...)``; trailing axes are flattened to ``num_inputs``.
    num_units : int
        Output channels.
    W, b : initializer, array or shared variable
        As in Lasagne; ``b=None`` leaves the bias out.
    nonlinearity : callable or None
        The identity by default: batch norm and the next layer's sign usually follow.
    scale_inputs : bool
        Multiply by ``beta``. Without it, a following batch norm and sign become an integer threshold in
        the packed engine.
    scale_weights : bool
        Multiply by ``alpha``.
    **kwargs
        Passed on to ``lasagne.layers.DenseLayer``.

    Attributes
    ----------
    W : shared variable, ``(num_inputs, num_units)``, real, tagged ``binary``
    b : shared variable, ``(num_units,)``, or None

    References
    ----------
    Rastegari et al., XNOR-Net, arXiv 1603.05279, section 3.2.
    """

    def __init__(
        self,
        incoming,
        num_units,
        W=lasagne.init.GlorotUniform(),  # noqa: B008
        b=lasagne.init.Constant(0.0),  # noqa: B008
        nonlinearity=None,
        scale_inputs=True,
        scale_weights=True,
        **kwargs,
    ):
        super().__init__(incoming, num_units, W=W, b=b, nonlinearity=nonlinearity, **kwargs)
        self.scale_inputs = scale_inputs
        self.scale_weights = scale_weights
        self.params[self.W].add("binary")

    @property
    def has_kernels(self):
        """Whether the kernels for the CPU compute this layer and its gradients, and not XLA."""
        return ops.takes_product(1, self.W.get_value(borrow=True).shape[0], self.num_units)

    def get_output_for(self, input, deterministic=False, **kwargs):
        leading = getattr(self, "num_leading_axes", 1) % input.ndim
        if input.ndim > leading + 1:
            input = input.flatten(leading + 1)
        output = ops.multiply_signs(ops.binarize(input), ops.binarize(self.W), training=not deterministic)
        if self.scale_inputs:
            output = output * ops.beta(input)
        if self.scale_weights:
            output = output * ops.alpha(self.W, axes=(0,))
        if self.b is not None:
            output = output + self.b
        return self.nonlinearity(output)
