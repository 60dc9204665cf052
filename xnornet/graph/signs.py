"""Packed signs: the binary weights of a layer, a bit each, eight channels to a byte.

The order of the bits is that of the packed model file and of the integer engine. What the signs are
multiplied with is defined by the operations in ``xnornet.graph.filters``.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xnornet.errors import ModelError
from xnornet.graph.checks import is_count
from xnornet.hints import Shape

__all__ = ["Signs"]


@dataclass(frozen=True, eq=False)
class Signs:
    """Signs as bits: bit ``k`` of byte ``j`` is channel ``8 * j + k``, 1 for +1 and 0 for -1.

    Attributes
    ----------
    bits : uint8 array
        ``(outputs, kh, kw, ceil(channels / 8))`` for a convolution, with the filters as they lie on the
        image; ``(outputs, ceil(channels / 8))`` for a dense layer. Bits past the last channel are 0.
    channels : int
        Of a dense layer its inputs: the features in the order of the flattened ``(channel, row, column)``.
    """

    bits: NDArray[np.uint8]
    channels: int

    @classmethod
    def pack(cls, B: NDArray[np.int8]) -> "Signs":
        """Pack an array of +1 and -1, ``(outputs, channels, kh, kw)`` or ``(outputs, inputs)``."""
        positive = np.moveaxis(B > 0, 1, -1)
        return cls(np.ascontiguousarray(np.packbits(positive, axis=-1, bitorder="little")), B.shape[1])

    def unpack(self) -> NDArray[np.int8]:
        """The signs as int8 array of +1 and -1, of the shape that `pack` takes."""
        ones = np.unpackbits(self.bits, axis=-1, count=self.channels, bitorder="little")
        B = np.ascontiguousarray(np.moveaxis(ones, -1, 1)).view(np.int8)
        B *= 2
        B -= 1
        return B

    @property
    def shape(self) -> Shape:
        """Shape of the unpacked signs."""
        outputs, *window = self.bits.shape[:-1]
        return (outputs, self.channels, *window)

    def check(self) -> None:
        """Raise ModelError unless the bits have the right type and shape for ``channels``."""
        bits = self.bits
        if not isinstance(bits, np.ndarray) or bits.dtype != np.uint8:
            found = getattr(bits, "dtype", type(bits).__name__)
            raise ModelError(f"signs should be an array of uint8; found {found}")
        if not is_count(self.channels) or bits.ndim not in (2, 4) or bits.shape[-1] != -(-self.channels // 8):
            raise ModelError(
                f"signs of {self.channels} channels should be (outputs, bytes) or (outputs, rows, columns, "
                f"bytes), with a byte for every 8 channels; found {bits.shape}"
            )
        unused = 0xFF << (self.channels - 1) % 8 + 1 & 0xFF
        if (bits[..., -1] & unused).any():
            raise ModelError("bits past the last channel should be 0; found 1")
