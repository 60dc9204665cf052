"""Weights in the layout that kernels read, and corrections for the border of an image."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import DTypeLike, NDArray

from xnornet.engine.kernels import WORD
from xnornet.hints import Shape
from xnornet.vectors import BLOCK

if TYPE_CHECKING:
    from xnornet.graph.signs import Signs
    from xnornet.graph.window import Window

__all__ = ["aligned_zeros", "blocked", "border", "paired", "real_weights", "sign_words", "to_words", "words"]

# A vector's load is fastest from an address that is a multiple of its size.
ALIGNMENT = 64


def words(channels: int) -> int:
    """Words that hold a sign for each channel."""
    return -(-channels // WORD)


def aligned_zeros(shape: Shape, dtype: DTypeLike) -> NDArray:
    """``numpy.zeros``, beginning at a multiple of 64 bytes."""
    count = int(np.prod(shape)) * np.dtype(dtype).itemsize
    memory = np.zeros(count + ALIGNMENT, np.uint8)
    first = -memory.ctypes.data % ALIGNMENT
    return memory[first : first + count].view(dtype).reshape(shape)


def sign_words(signs: "Signs", input_shape: Shape) -> NDArray[np.uint64]:
    """The signs of a layer as words.

    Parameters
    ----------
    signs : Signs
    input_shape : tuple of int
        ``(channels, rows, columns)`` of the input; a dense layer is a filter as large as it.

    Returns
    -------
    uint64 array, ``(outputs, kh, kw, words)``
    """
    bits = signs.bits
    if bits.ndim == 4:
        return to_words(bits, signs.channels)
    channels, *window = input_shape
    if window == [1, 1]:
        return to_words(bits[:, None, None], channels)
    # A few outputs at a time, since a sign takes a byte in between.
    slices = [_by_pixel(bits[i : i + BLOCK], input_shape) for i in range(0, len(bits), BLOCK)]
    return to_words(np.concatenate(slices), channels)


def to_words(bits: NDArray[np.uint8], channels: int) -> NDArray[np.uint64]:
    """Bytes of eight channels along the last axis as words of 64, zeros behind the last channel."""
    whole = np.zeros((*bits.shape[:-1], 8 * words(channels)), np.uint8)
    whole[..., : bits.shape[-1]] = bits
    return whole.view("<u8").astype(np.uint64, copy=False)


def _by_pixel(bits, input_shape):
    """Bits of ``(outputs, features)`` as ``(outputs, rows, columns, channels)``."""
    ones = np.unpackbits(bits, axis=1, count=int(np.prod(input_shape)), bitorder="little")
    ones = ones.reshape(-1, *input_shape).transpose(0, 2, 3, 1)
    return np.packbits(ones, axis=-1, bitorder="little")


def real_weights(W: NDArray, input_shape: Shape) -> NDArray:
    """Weights of a layer as int16, ``(outputs, kh, kw, channels)``; ``input_shape`` as in `sign_words`."""
    if W.ndim == 2:
        W = W.reshape(len(W), *input_shape)
    return W.transpose(0, 2, 3, 1).astype(np.int16)


def paired(w: NDArray, length: int) -> NDArray:
    """Numbers ``(outputs, ...)``, in runs of a length of at least two, as the int32 pairs that a tile takes.

    Of an odd run, the last pair is its last two numbers, of which the first has been in a pair already and
    counts 0.
    """
    w = w.reshape(len(w), -1, length)
    if length % 2:
        w = np.insert(w, length - 1, 0, axis=2)
    return np.ascontiguousarray(w, "<i2").view("<i4").astype(np.int32, copy=False)


def blocked(w: NDArray, multiple: int = BLOCK) -> NDArray:
    """Weights ``(outputs, ...)`` as ``(blocks, taps, BLOCK)``, with zeros up to a multiple of outputs."""
    w = w.reshape(len(w), -1)
    outputs = -(-len(w) // multiple) * multiple
    out = aligned_zeros((outputs // BLOCK, w.shape[1], BLOCK), w.dtype)
    for block in range(len(out)):
        own = w[block * BLOCK : (block + 1) * BLOCK]
        out[block, :, : len(own)] = own.T
    return out


def border(
    w: NDArray, channels: int, window: "Window", lengths: Shape, grid: Shape
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Constants that turn the number of differing signs into the product of signs, at each output pixel.

    A tap on the padding counts 0. In words it is a zero bit, which differs from a weight of +1; so the
    product is ``base`` less twice the differing signs, ``base`` being the number of signs that are on the
    image, and twice that of the weights of +1 that are not.

    Parameters
    ----------
    w : uint64 array, ``(outputs, kh, kw, words)``
    channels : int
        Of a group.
    window : Window
    lengths, grid : pair of int
        Rows and columns of the input without padding, and of the output.

    Returns
    -------
    base : int32 array, ``(classes, outputs)``
    classes : int32 array, ``(output pixels,)``
        Pixels of the same class have the same taps on the padding.
    """
    (rows, row_classes), (columns, column_classes) = (
        _taps_on_image(*axis)
        for axis in zip(lengths, grid, window.size, window.stride, window.dilation, window.pad, strict=True)
    )
    ones = np.bitwise_count(w).sum(axis=-1, dtype=np.int32)
    on_image = _sums_over(_sums_over(ones, rows, 1), columns, 2)
    on_padding = ones.sum(axis=(1, 2), dtype=np.int32)[:, None, None] - on_image
    taps = np.multiply.outer(*(np.diff(ranges)[:, 0] for ranges in (rows, columns)))
    base = (channels * taps + 2 * on_padding).reshape(len(w), -1)
    classes = np.add.outer(row_classes * len(columns), column_classes)
    return np.ascontiguousarray(base.T, np.int32), classes.ravel()


def _taps_on_image(length, count, size, stride, dilation, pad):
    """Along one axis: the distinct ranges of taps that meet the image, and which of them each window has."""
    starts = np.arange(count, dtype=np.int32) * stride - pad[0]
    # Taps before an end, rounded up: those of a dilated window do not meet each pixel.
    first, last = (-((starts - end) // dilation) for end in (0, length))
    first = first.clip(0, size)
    ranges = np.stack([first, last.clip(first, size)], axis=1)
    # No end of a range grows from window to window, so equal ranges follow each other.
    new = np.diff(ranges, axis=0, prepend=-1).any(axis=1)
    return ranges[new], new.cumsum(dtype=np.int32) - 1


def _sums_over(values, ranges, axis):
    """Sums over each of some ranges of an axis."""
    shape = list(values.shape)
    shape[axis] += 1
    sums = np.zeros(shape, values.dtype)
    inner = [slice(None)] * values.ndim
    inner[axis] = slice(1, None)
    values.cumsum(axis=axis, out=sums[tuple(inner)])
    first, last = ranges.T
    return sums.take(last, axis) - sums.take(first, axis)
