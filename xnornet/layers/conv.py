"""The binary convolutional layer."""

import lasagne

from xnornet import ops

__all__ = ["XNORConv2DLayer"]


class XNORConv2DLayer(lasagne.layers.Conv2DLayer):
    """Convolution of signs: ``(sign(I) (*) sign(W)) * K * alpha + b``, then the nonlinearity.

    ``alpha`` is the mean of ``|W|`` over each filter. ``K`` is the mean of ``|I|`` over each window that
    a filter meets, with the layer's own stride and padding. Zeros are padded after binarization: a padded
    tap contributes nothing.

    Gradients pass through both signs where ``|x| <= 1``, and through ``alpha`` and ``K`` by ordinary
    differentiation. Keep ``W`` in [-1, 1] with :func:`xnornet.layers.clip_weights`.

    Parameters
    ----------
    incoming : Layer or tuple
        Input of shape ``(batch, channels, rows, columns)``.
    num_filters : int
        Output channels.
    filter_size, stride : int or pair of int
    pad : int, pair of int, 'same', 'full' or 'valid'
        As in Lasagne.
    untie_biases : bool
        A bias for each position of each channel, not one per channel.
    W, b : initializer, array or shared variable
        As in Lasagne; ``b=None`` leaves the bias out.
    nonlinearity : callable or None
        The identity by default: batch norm and the next layer's sign usually follow.
    scale_inputs : bool
        Multiply by ``K``. Without it, a following batch norm and sign become an integer threshold in the
        packed engine.
    scale_weights : bool
        Multiply by ``alpha``.
    **kwargs
        Passed on to ``lasagne.layers.Conv2DLayer``.

    Attributes
    ----------
    W : shared variable, ``(num_filters, channels, kh, kw)``, real, tagged ``binary``
    b : shared variable, ``(num_filters,)``, or ``(num_filters, rows, columns)`` if untied, or None

    Raises
    ------
    TypeError
        ``convolution`` or ``num_groups`` is given; this layer has its own convolution, of one group.

    References
    ----------
    Rastegari et al., XNOR-Net, arXiv 1603.05279, section 3.2.
    """

    def __init__(
        self,
        incoming,
        num_filters,
        filter_size,
        stride=(1, 1),
        pad=0,
        untie_biases=False,
        W=lasagne.init.GlorotUniform(),  # noqa: B008
        b=lasagne.init.Constant(0.0),  # noqa: B008
        nonlinearity=None,
        scale_inputs=True,
        scale_weights=True,
        **kwargs,
    ):
        for option in ("convolution", "num_groups"):
            if option in kwargs:
                raise TypeError(f"XNORConv2DLayer convolves signs itself; leave `{option}` out")
        super().__init__(
            incoming,
            num_filters,
            filter_size,
            stride=stride,
            pad=pad,
            untie_biases=untie_biases,
            W=W,
            b=b,
            nonlinearity=nonlinearity,
            **kwargs,
        )
        self.scale_inputs = scale_inputs
        self.scale_weights = scale_weights
        self.params[self.W].add("binary")

    @property
    def pad_widths(self):
        """Zeros before and after rows and columns."""
        return ops.pad_widths(self.pad, self.filter_size)

    @property
    def flips(self):
        """Whether filters are turned around, as Lasagne's are unless told otherwise."""
        return getattr(self, "flip_filters", True)

    def get_output_for(self, input, deterministic=False, **kwargs):
        H, B = ops.binarize(input), ops.binarize(self.W)
        stride, training = tuple(self.stride), not deterministic
        output = ops.convolve_signs(H, B, self.pad_widths, stride, self.flips, training)
        if self.scale_inputs:
            kh, kw = self.filter_size
            A = ops.channel_mean(input)
            K = ops.box_sum(A, (kh, kw), self.stride, self.pad_widths) / float(kh * kw)
            output = output * K.dimshuffle(0, "x", 1, 2)
        if self.scale_weights:
            output = output * ops.alpha(self.W, axes=(1, 2, 3)).dimshuffle("x", 0, "x", "x")
        if self.b is not None:
            pattern = ("x", 0, 1, 2) if self.untie_biases else ("x", 0, "x", "x")
            output = output + self.b.dimshuffle(pattern)
        return self.nonlinearity(output)
