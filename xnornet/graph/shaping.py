"""Operations that move numbers and change none: flatten, reshape, slice, pad, upscale."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from xnornet.errors import ModelError
from xnornet.fixedpoint import Q
from xnornet.graph.checks import check_length
from xnornet.graph.operation import Operation
from xnornet.hints import Array, Namespace, Shape

__all__ = ["Flatten", "Pad", "Reshape", "Slice", "Upscale"]


@dataclass(frozen=True)
class Flatten(Operation):
    """``(batch, ...)`` to ``(batch, features)``."""

    kind = "flatten"

    def shape(self, shape: Shape) -> Shape:
        return (math.prod(shape),)

    def exact(self, xp: Namespace, n: Array) -> Array:
        return n.reshape(len(n), -1)


@dataclass(frozen=True)
class Reshape(Operation):
    """The same numbers, in the same order, in another shape.

    Attributes
    ----------
    lengths : tuple of int
        Shape of the output, without the batch axis.
    """

    lengths: tuple[int, ...]
    kind = "reshape"

    def shape(self, shape: Shape) -> Shape:
        return self.lengths

    def exact(self, xp: Namespace, n: Array) -> Array:
        return n.reshape(len(n), *self.lengths)

    def check(self, shapes: Sequence[Shape], formats: Sequence[Q | None]) -> None:
        for length in self.lengths:
            check_length("lengths", length)
        if math.prod(self.lengths) != math.prod(shapes[0]):
            raise ModelError(f"lengths should hold an input of {shapes[0]}; found {self.lengths}")


@dataclass(frozen=True)
class Slice(Operation):
    """A part of one axis.

    Attributes
    ----------
    axis : int
        0 for channels, 1 for rows, 2 for columns.
    start, stop, step : int
        ``step`` is not negative.
    """

    axis: int
    start: int
    stop: int
    step: int = 1
    kind = "slice"

    def _range(self):
        return range(self.start, self.stop, self.step)

    def shape(self, shape: Shape) -> Shape:
        return (*shape[: self.axis], len(self._range()), *shape[self.axis + 1 :])

    def exact(self, xp: Namespace, n: Array) -> Array:
        part = slice(self.start, self.stop, self.step)
        return n[(slice(None),) * (self.axis + 1) + (part,)]

    def check(self, shapes: Sequence[Shape], formats: Sequence[Q | None]) -> None:
        (shape,) = shapes
        check_length("step", self.step)
        if not 0 <= self.axis < len(shape) or not 0 <= self.start < self.stop <= shape[self.axis]:
            raise ModelError(f"a slice should lie within an input of {shape}; found {self}")


@dataclass(frozen=True)
class Pad(Operation):
    """Zeros before and after each axis.

    Attributes
    ----------
    before, after : tuple of int
        One of each for every axis.
    """

    before: tuple[int, ...]
    after: tuple[int, ...]
    kind = "pad"

    def shape(self, shape: Shape) -> Shape:
        return tuple(n + b + a for n, b, a in zip(shape, self.before, self.after, strict=True))

    def exact(self, xp: Namespace, n: Array) -> Array:
        return xp.pad(n, [(0, 0), *zip(self.before, self.after, strict=True)])

    def check(self, shapes: Sequence[Shape], formats: Sequence[Q | None]) -> None:
        (shape,) = shapes
        if not len(self.before) == len(self.after) == len(shape):
            raise ModelError(f"padding should have one number for each axis of {shape}; found {self}")
        for width in (*self.before, *self.after):
            check_length("padding", width, 0)


@dataclass(frozen=True)
class Upscale(Operation):
    """Each pixel made a block of pixels: all the same, or zeros behind the first.

    Attributes
    ----------
    scale : tuple of int
        Rows and columns of a block.
    repeat : bool
        False for zeros.
    """

    scale: tuple[int, ...]
    repeat: bool = True
    kind = "upscale"

    def shape(self, shape: Shape) -> Shape:
        channels, *lengths = shape
        return (channels, *(n * k for n, k in zip(lengths, self.scale, strict=True)))

    def exact(self, xp: Namespace, n: Array) -> Array:
        if self.repeat:
            for axis, k in zip((2, 3), self.scale, strict=True):
                n = xp.repeat(n, k, axis=axis)
            return n
        b, c, rows, columns = n.shape
        (i, j) = self.scale
        blocks = n.reshape(b, c, rows, 1, columns, 1)
        padded = xp.pad(blocks, [(0, 0)] * 3 + [(0, i - 1), (0, 0), (0, j - 1)])
        return padded.reshape(b, c, rows * i, columns * j)

    def check(self, shapes: Sequence[Shape], formats: Sequence[Q | None]) -> None:
        (shape,) = shapes
        if len(self.scale) != 2 or len(shape) != 3:
            raise ModelError(f"an image of (channels, rows, columns) is upscaled by two; found {self}")
        for k in self.scale:
            check_length("scale", k)
