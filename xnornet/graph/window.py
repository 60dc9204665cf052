"""Windows of rows and columns that move over an image, for NumPy and JAX alike."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce

from xnornet.hints import Array, Namespace, Shape

__all__ = ["Window", "correlate", "reduce_windows"]


@dataclass(frozen=True)
class Window:
    """How a window of rows and columns moves over an image.

    Attributes
    ----------
    size, stride : pair of int
    pad : pair of (int, int)
        Zeros before and after rows and columns.
    dilation : pair of int
        From one tap to the next.
    """

    size: tuple[int, int]
    stride: tuple[int, int]
    pad: tuple[tuple[int, int], tuple[int, int]]
    dilation: tuple[int, int] = (1, 1)

    @property
    def label(self) -> str:
        """Its size for tables, such as ``3x3``."""
        return "x".join(map(str, self.size))

    @property
    def extent(self) -> tuple[int, int]:
        """Rows and columns from the first tap to the last."""
        rows, columns = ((k - 1) * d + 1 for k, d in zip(self.size, self.dilation, strict=True))
        return rows, columns

    def grid(self, lengths: Shape, whole: bool = True) -> tuple[int, int]:
        """Rows and columns of the output for those of the input; 0 where no window fits.

        With ``whole=False``, windows are added until they cover the axis or the next one would start past its
        end; the last one may extend past the end.
        """
        count = _whole_windows if whole else _covering_windows
        axes = zip(lengths, self.extent, self.stride, self.pad, strict=True)
        rows, columns = (count(length + sum(pad), extent, stride) for length, extent, stride, pad in axes)
        return rows, columns

    def area(self, lengths: Shape, grid: tuple[int, int]) -> int:
        """Pixels that the windows move over, padding included."""
        axes = zip(lengths, grid, self.extent, self.stride, self.pad, strict=True)
        rows, columns = (max(n + sum(p), (count - 1) * s + e) for n, count, e, s, p in axes)
        return rows * columns


def _whole_windows(length, extent, stride):
    return max(0, (length - extent) // stride + 1)


def _covering_windows(length, extent, stride):
    return max(1, -(-(length - max(extent, stride)) // stride) + 1)


def reduce_windows(
    xp: Namespace,
    x: Array,
    window: Window,
    grid: tuple[int, int],
    combine: Callable[[Array, Array], Array],
    fill: float,
) -> Array:
    """Combine the values of each window, axis by axis; padding has the value ``fill``.

    Parameters
    ----------
    xp : module
        NumPy or ``jax.numpy``.
    x : array, ``(..., rows, columns)``
    window : Window
    grid : pair of int
        Rows and columns of the output.
    combine : function of two arrays
    fill : number

    Returns
    -------
    array, ``(..., *grid)``
    """
    for axis in (0, 1):
        x = _padded(xp, x, window, grid, fill, (axis,))
        x = reduce(combine, (x[(..., *place)] for place in _places(window, grid, axis)))
    return x


def correlate(xp: Namespace, x: Array, W: Array, window: Window | None, groups: int) -> Array:
    """``x (*) W`` over the windows, or ``x . W`` of flattened samples where ``window`` is None.

    Parameters
    ----------
    x : float array, ``(batch, channels, rows, columns)``, or any shape for ``x . W``
    W : float array, ``(outputs, channels / groups, kh, kw)`` or ``(outputs, inputs)``

    Returns
    -------
    float array, of the dtype of ``x``
    """
    if window is None:
        return xp.matmul(x.reshape(len(x), -1), W.T)
    if xp.__name__ != "numpy" and x.dtype == "float32":
        from jax import lax

        options = {"rhs_dilation": window.dilation, "feature_group_count": groups}
        return lax.conv_general_dilated(x, W, window.stride, window.pad, precision="highest", **options)
    grid = window.grid(x.shape[2:])
    x = _padded(xp, x, window, grid, 0, (0, 1))
    total: Array = 0
    for i, (rows,) in enumerate(_places(window, grid, 0, whole=True)):
        for j, (columns,) in enumerate(_places(window, grid, 1, whole=True)):
            tap = x[:, :, rows, columns].reshape(len(x), groups, W.shape[1], grid[0] * grid[1])
            total = total + xp.matmul(W[:, :, i, j].reshape(groups, -1, W.shape[1]), tap)
    return total.reshape(len(x), len(W), *grid)


def _padded(xp, x, window, grid, fill, axes):
    """The image, padded along some axes so that it covers all of its windows."""
    widths = [(0, 0)] * x.ndim
    for axis in axes:
        length, (before, after) = x.shape[axis - 2], window.pad[axis]
        reached = (grid[axis] - 1) * window.stride[axis] + window.extent[axis]
        widths[axis - 2] = (before, max(after, reached - before - length))
    return xp.pad(x, widths, constant_values=fill) if any(map(any, widths)) else x


def _places(window, grid, axis, whole=False):
    """For each tap along an axis, the rows or columns that it reads."""
    stride, dilation = window.stride[axis], window.dilation[axis]
    for first in range(0, window.extent[axis], dilation):
        place = slice(first, first + (grid[axis] - 1) * stride + 1, stride)
        yield (place,) if whole or axis == 1 else (place, slice(None))
