"""Convolutions with strides, dilation and groups as sums of plain ones, which the kernels compute.

Along an axis, output ``y`` and tap ``i`` use row ``y * stride + i * dilation - pad`` of the image. Let
``step`` be the least common multiple of stride and dilation. Then every ``step/stride``-th output and every
``step/dilation``-th tap use every ``step``-th row, as in a convolution without stride and dilation. The
result is the sum of such pieces, each at its place; a plain convolution is a single piece. Outputs that use
only padding belong to no piece, so that no piece has padding as long as its filters.
"""

import math
from dataclasses import dataclass
from itertools import product

import jax.numpy as jnp
from jax import lax

from xnornet.ops import native

__all__ = ["Geometry", "convolve", "filter_gradient", "image_gradient", "in_groups", "takes_convolution"]

# With more pieces the kernels are slower than XLA's own convolution, and compilation takes long.
MOST_PIECES = 16


@dataclass(frozen=True)
class Geometry:
    """Padding, strides, dilation and groups of a convolution.

    Attributes
    ----------
    pad : pair of (int, int)
        Zeros before and after rows and columns.
    stride, dilation : pair of int
    groups : int
        Channels and filters are divided into this many groups; a filter uses the channels of its group.
    flip : bool
        Rotate filters by half a turn, as in a true convolution.
    """

    pad: tuple
    stride: tuple = (1, 1)
    dilation: tuple = (1, 1)
    groups: int = 1
    flip: bool = True

    @property
    def is_dense(self):
        """Whether dilation and groups are 1."""
        return self.dilation == (1, 1) and self.groups == 1

    @property
    def is_plain(self):
        """Whether strides, dilation and groups are 1."""
        return self.is_dense and self.stride == (1, 1)

    def is_depthwise(self, filters):
        """Whether there are several channels, and each group of filters of this shape uses one of them."""
        return self.groups > 1 and filters[1] == 1

    def spans(self, window):
        """Rows and columns from the first tap of a filter to the last, both included."""
        return tuple((k - 1) * d + 1 for k, d in zip(window, self.dilation, strict=True))

    def output_lengths(self, lengths, window):
        """Rows and columns of the output; None where a length is not known."""
        axes = zip(lengths, window, self.pad, self.stride, self.dilation, strict=True)
        return tuple(
            None if n is None or k is None else (n + sum(p) - (k - 1) * d - 1) // s + 1
            for n, k, p, s, d in axes
        )

    def fit(self, lengths, window):
        """As :meth:`output_lengths`, but raise `ValueError` if filters are larger than the padded images."""
        out = self.output_lengths(lengths, window)
        if any(n is not None and n < 1 for n in out):
            dilated = f", dilated by {self.dilation}," if self.dilation != (1, 1) else ""
            raise ValueError(
                f"Filters of {tuple(window)}{dilated} do not fit on images of {tuple(lengths)}, padded by "
                f"{self.pad}"
            )
        return out

    def windows(self, lengths, window):
        """Yield each tap of a filter, and the rows and columns of a padded image that it multiplies."""
        out = self.output_lengths(lengths, window)
        for place in product(*map(range, window)):
            met = tuple(
                slice(i * d, i * d + (n - 1) * s + 1, s)
                for i, n, s, d in zip(place, out, self.stride, self.dilation, strict=True)
            )
            yield tuple(k - 1 - i if self.flip else i for i, k in zip(place, window, strict=True)), met

    def pieces(self, lengths, window):
        """Plain convolutions whose sum is the convolution of a group, for given image and filter lengths.

        Returns
        -------
        list of pair of Axis
        """
        axes = zip(lengths, window, self.pad, self.stride, self.dilation, strict=True)
        return list(product(*(_axis_pieces(*axis, self.flip) for axis in axes)))


@dataclass(frozen=True)
class Axis:
    """A piece along rows or along columns: its part of image, filters and output, and its padding."""

    image: slice
    taps: slice
    output: slice
    pad: tuple


def _axis_pieces(n, k, pad, stride, dilation, flip):
    count = (n + sum(pad) - (k - 1) * dilation - 1) // stride + 1
    step = math.lcm(stride, dilation)
    each_output, each_tap = step // stride, step // dilation
    pieces = []
    for y, i in product(range(each_output), range(min(each_tap, k))):
        outputs, taps = len(range(y, count, each_output)), len(range(i, k, each_tap))
        # Of the rows that are used, those from ``begin`` to before ``end`` are not padding.
        first = y * stride + i * dilation - pad[0]
        begin, end = max(0, -(first // step)), -((first - n) // step)
        # Output ``o`` of the piece uses ``taps`` rows, from row ``o`` on.
        o, o_end = max(0, begin - taps + 1), min(outputs, end)
        row, row_end = max(begin, o), min(end, o_end + taps - 1)
        if o >= o_end or row >= row_end:
            continue
        first_tap = (k - 1 - i) % each_tap if flip else i
        pieces.append(
            Axis(
                image=slice(first + row * step, first + (row_end - 1) * step + 1, step),
                taps=slice(first_tap, first_tap + (taps - 1) * each_tap + 1, each_tap),
                output=slice(y + o * each_output, y + (o_end - 1) * each_output + 1, each_output),
                pad=(row - o, o_end + taps - 1 - row_end),
            )
        )
    return pieces


def takes_convolution(images, filters, geometry):
    """Whether the kernels compute a convolution of arrays of these shapes, and its gradients."""
    count, h, w, channels = images
    fan_in, window = math.prod(filters[1:]), filters[2:]
    if min(*images, *filters) < 1 or fan_in > native.MOST_SIGNS:
        return False
    if geometry.is_depthwise(filters):
        return False
    pieces = geometry.pieces((h, w), window)
    return 0 < len(pieces) <= MOST_PIECES and all(
        native.takes_convolution(
            (count, *(_length(axis.image) for axis in axes), channels // geometry.groups),
            (filters[0] // geometry.groups, filters[1], *(_length(axis.taps) for axis in axes)),
            [axis.pad for axis in axes],
        )
        for axes in pieces
    )


def convolve(H, B, geometry):
    """Convolution of signs, an int16 array; arguments are those of ``native.convolve``."""
    pieces = geometry.pieces(H.shape[1:3], B.shape[2:])
    lengths = geometry.output_lengths(H.shape[1:3], B.shape[2:])

    def of_group(H, B):
        return sum(
            _spread(
                native.convolve(_pixels(H, axes), _taps(B, axes), [a.pad for a in axes], geometry.flip),
                [axis.output for axis in axes],
                lengths,
                first=1,
            )
            for axes in pieces
        )

    return in_groups(geometry.groups, of_group, (H, B), (3, 0), 3, loop=True)


def image_gradient(g, B, shape, geometry):
    """Gradient of :func:`convolve` to images of ``shape``, for a float32 gradient of its output."""

    def of_group(g, B):
        return sum(
            _spread(
                native.image_gradient(
                    g[:, axes[0].output, axes[1].output],
                    _taps(B, axes),
                    (shape[0], *(_length(axis.image) for axis in axes), B.shape[1]),
                    [axis.pad for axis in axes],
                    geometry.flip,
                ),
                [axis.image for axis in axes],
                shape[1:3],
                first=1,
            )
            for axes in geometry.pieces(shape[1:3], B.shape[2:])
        )

    return in_groups(geometry.groups, of_group, (g, B), (3, 0), 3, loop=True)


def filter_gradient(H, g, shape, geometry):
    """Gradient of :func:`convolve` to filters of ``shape``, for a float32 gradient of its output."""

    def of_group(H, g):
        return sum(
            _spread(
                native.filter_gradient(
                    _pixels(H, axes),
                    g[:, axes[0].output, axes[1].output],
                    (g.shape[-1], H.shape[-1], *(_length(axis.taps) for axis in axes)),
                    [axis.pad for axis in axes],
                    geometry.flip,
                ),
                [axis.taps for axis in axes],
                shape[2:],
                first=2,
            )
            for axes in geometry.pieces(H.shape[1:3], shape[2:])
        )

    return in_groups(geometry.groups, of_group, (H, g), (3, 3), 0, loop=True)


def _length(part):
    return len(range(part.start, part.stop, part.step))


def _pixels(images, axes):
    return images[:, axes[0].image, axes[1].image]


def _taps(filters, axes):
    return filters[:, :, axes[0].taps, axes[1].taps]


def in_groups(count, of_group, arrays, axes, result_axis, loop=False):
    """Apply a function to the parts of two arrays that belong to a group, one group after the other.

    Parameters
    ----------
    count : int
        Groups.
    of_group : function
        From parts of the arrays to the group's part of the result.
    arrays : pair of array
    axes : pair of int
        The axis of each array that is divided among the groups.
    result_axis : int
        The axis along which the results of the groups are concatenated.
    loop : bool
        Compile the function once. Kernels are as fast in a loop; XLA's own convolutions are not.
    """
    if count == 1:
        return of_group(*arrays)
    parts = [
        jnp.moveaxis(a.reshape(*a.shape[:axis], count, -1, *a.shape[axis + 1 :]), axis, 0)
        for a, axis in zip(arrays, axes, strict=True)
    ]
    if loop:
        results = lax.map(lambda operands: of_group(*operands), parts)
    else:
        results = jnp.stack([of_group(*operands) for operands in zip(*parts, strict=True)])
    results = jnp.moveaxis(results, 0, result_axis)
    return results.reshape(*results.shape[:result_axis], -1, *results.shape[result_axis + 2 :])


def _spread(array, parts, lengths, first):
    """An array placed among zeros: two axes, from ``first`` on, get the given lengths."""
    widths = [(0, 0, 0)] * array.ndim
    for axis, (part, length) in enumerate(zip(parts, lengths, strict=True), first):
        last = part.start + (array.shape[axis] - 1) * part.step
        widths[axis] = part.start, length - 1 - last, part.step - 1
    return lax.pad(array, array.dtype.type(0), widths)
