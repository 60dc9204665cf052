"""The binary convolutional layer."""

import math

import lasagne
import numpy as np

import theano.tensor as T
from xnornet import ops

__all__ = ["XNORConv2DLayer"]


class XNORConv2DLayer(lasagne.layers.Conv2DLayer):
    """Convolution of signs: ``(sign(I) (*) sign(W)) * K * alpha + b``, then the nonlinearity.

    ``alpha`` is the mean of ``|W|`` over each filter. ``A`` is the mean of ``|I|`` over channels, and ``K``
    the mean of ``A`` over what the taps of a filter meet, with the layer's own stride, dilation and padding.
    Zeros are padded after binarization: a padded tap contributes nothing.

    With groups, a filter sees the channels of its group. As the paper's ``K`` scales each sum by the mean of
    the magnitudes that the sum is made of, each group has a separate ``A`` and ``K``, from its own
    channels. In a depthwise convolution (as many groups as channels) ``A`` is ``|I|`` itself.

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
        As in Lasagne; ``'same'`` and ``'full'`` count the rows and columns that a dilated filter spans.
    untie_biases : bool
        A bias for each position of each channel, not one per channel.
    W, b : initializer, array or shared variable
        As in Lasagne; ``b=None`` leaves the bias out.
    nonlinearity : callable or None
        The identity by default: batch norm and the next layer's sign usually follow.
    num_groups : int
        Groups that channels and filters are divided into.
    dilation : int or pair of int
        Rows from a tap of a filter to the next, and columns.
    scale_inputs : bool
        Multiply by ``K``. Without it, a following batch norm and sign become an integer threshold in the
        packed engine.
    scale_weights : bool
        Multiply by ``alpha``.
    **kwargs
        Passed on to ``lasagne.layers.Conv2DLayer``.

    Attributes
    ----------
    W : shared variable, ``(num_filters, channels / num_groups, kh, kw)``, real, tagged ``binary``
    b : shared variable, ``(num_filters,)``, or ``(num_filters, rows, columns)`` if untied, or None

    Raises
    ------
    TypeError
        ``convolution`` is given; this layer has its own.
    ValueError
        The input's shape, groups or dilation do not fit.

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
        num_groups=1,
        dilation=(1, 1),
        scale_inputs=True,
        scale_weights=True,
        **kwargs,
    ):
        if "convolution" in kwargs:
            raise TypeError("XNORConv2DLayer convolves signs itself; leave `convolution` out")
        _check_groups(num_groups, getattr(incoming, "output_shape", incoming), num_filters)
        filter_size, stride = _pair("filter_size", filter_size), _pair("stride", stride)
        pad = pad if pad in ("same", "full", "valid") else _pair("pad", pad, least=0)
        # Lasagne 0.1 has neither groups nor dilation, and 0.2 no dilation, so shapes are computed here.
        # Their constructors ask for them, and that of 0.2 sets ``num_groups`` to 1.
        self.dilation = _pair("dilation", dilation)
        self._groups = num_groups
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
        self.num_groups = self._groups
        self.scale_inputs = scale_inputs
        self.scale_weights = scale_weights
        self.params[self.W].add("binary")

    def get_W_shape(self):
        return (self.num_filters, self.input_shape[1] // self._groups, *self.filter_size)

    def get_output_shape_for(self, input_shape):
        batch, _, *lengths = input_shape
        return (batch, self.num_filters, *self.geometry.fit(lengths, self.filter_size))

    @property
    def geometry(self):
        """How the filters lie on the images."""
        pad = ops.pad_widths(self.pad, self.spans)
        return ops.Geometry(pad, self.stride, self.dilation, self._groups, self.flips)

    @property
    def spans(self):
        """Rows and columns from the first tap of a filter to the last, both included."""
        return tuple((k - 1) * d + 1 for k, d in zip(self.filter_size, self.dilation, strict=True))

    @property
    def pad_widths(self):
        """Zeros before and after rows and columns."""
        return self.geometry.pad

    @property
    def flips(self):
        """Whether filters are flipped, which is Lasagne's default."""
        return getattr(self, "flip_filters", True)

    @property
    def has_kernels(self):
        """Whether the kernels for the CPU compute this layer and its gradients, and not XLA."""
        lengths = (n or span for n, span in zip(self.input_shape[2:], self.spans, strict=True))
        return ops.takes_convolution((1, *lengths, self.input_shape[1]), self.get_W_shape(), self.geometry)

    def get_output_for(self, input, deterministic=False, **kwargs):
        H, B = ops.binarize(input), ops.binarize(self.W)
        output = ops.convolve_signs(H, B, self.geometry, training=not deterministic)
        if self.scale_weights:
            alpha = ops.alpha(self.W, axes=(1, 2, 3))
        if self.scale_inputs:
            kh, kw = self.filter_size
            A = ops.channel_mean(input, self.num_groups)
            K = ops.box_sum(A, (kh, kw), self.stride, self.pad_widths, self.dilation) / float(kh * kw)
            if self.num_groups > 1:
                K = T.repeat(K, self.num_filters // self.num_groups, axis=1)
        if self.scale_inputs and self.scale_weights and self.num_groups == 1:
            fan_in = math.prod(self.get_W_shape()[1:])
            output = ops.scale(output, K, alpha, fan_in, training=not deterministic)
        else:
            if self.scale_inputs:
                output = output * K
            if self.scale_weights:
                output = output * alpha.dimshuffle("x", 0, "x", "x")
        if self.b is not None:
            pattern = ("x", 0, 1, 2) if self.untie_biases else ("x", 0, "x", "x")
            output = output + self.b.dimshuffle(pattern)
        return self.nonlinearity(output)


def _check_groups(num_groups, shape, num_filters):
    """Raise where channels and filters cannot be divided into groups."""
    if len(shape) != 4 or shape[1] is None:
        raise ValueError(
            "XNORConv2DLayer takes input of shape (batch, channels, rows, columns), of a known number of "
            f"channels; this one's is {tuple(shape)}"
        )
    if not _is_whole(num_filters, 1):
        raise ValueError(f"num_filters is {num_filters!r}; it takes a positive whole number")
    if not _is_whole(num_groups, 1) or shape[1] % num_groups or num_filters % num_groups:
        raise ValueError(
            f"num_groups is {num_groups!r}; it takes a positive whole number that divides both the "
            f"{shape[1]} channels and the {num_filters} filters"
        )


def _pair(name, value, least=1):
    """A number for rows and one for columns."""
    pair = (value, value) if np.ndim(value) == 0 else tuple(value)
    if len(pair) != 2 or not all(_is_whole(n, least) for n in pair):
        words = "'same', 'full', 'valid', or " * (name == "pad")
        raise ValueError(f"{name} is {value!r}; it takes {words}one or two whole numbers from {least} on")
    return tuple(map(int, pair))


def _is_whole(value, least):
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and value >= least
