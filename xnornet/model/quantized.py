"""A network in fixed point, as a list of records: all that is needed to compute its scores exactly.

Each record is one layer, and each layer's output is the exact value of its formula on its integers, rounded
once. The simulation and the packed engine both run these records. How they come out of a trained network is
told in ``xnornet.inference.quantize``.
"""

from dataclasses import dataclass

import numpy as np

from xnornet.fixedpoint import Q
from xnornet.model.signs import Signs

__all__ = [
    "XNOR",
    "Affine",
    "Flatten",
    "Linear",
    "MaxPool",
    "Quantize",
    "QuantizedModel",
    "Rectify",
    "Window",
    "aligned_bias",
]


@dataclass(frozen=True)
class Window:
    """How a window of rows and columns moves over an image.

    Attributes
    ----------
    size, stride : pair of int
    pad : pair of (int, int)
        Zeros before and after rows and columns.
    """

    size: tuple
    stride: tuple
    pad: tuple


@dataclass(frozen=True)
class Quantize:
    """Real input to integers: ``n = q_out.quantize(x)``."""

    q_out: Q


@dataclass(frozen=True, eq=False)
class XNOR:
    """Binary layer: ``(H . B * alpha + c) * sum|I| + b``, or ``H . B * alpha + b`` if not ``scale_inputs``.

    At most one of ``b`` and ``c`` is there: ``c`` is a bias that the sum scales as well.

    Attributes
    ----------
    signs : Signs
        ``B``, of shape ``(outputs, inputs)`` if ``window`` is None, else ``(outputs, channels, kh, kw)`` as
        they lie on the image.
    alpha : int64 array, ``(outputs,)``
        In format ``q_alpha``, the ``1/N`` of the mean of ``|I|`` included.
    b : int64 array, or None
        ``(outputs,)`` or ``(outputs, rows, columns)``, in format ``q_b``.
    scale_inputs : bool
    window : Window or None
        The convolution's; None for a dense layer, whose input is flattened.
    q_in, q_out : Q
        Formats of input and output.
    c : int64 array, ``(outputs,)``, or None
        In format ``q_c``, which has no more fraction bits than ``q_alpha``.
    q_c : Q or None
    """

    signs: Signs
    alpha: np.ndarray
    q_alpha: Q
    b: np.ndarray | None
    q_b: Q
    scale_inputs: bool
    window: Window | None
    q_in: Q
    q_out: Q
    c: np.ndarray | None = None
    q_c: Q | None = None

    @property
    def B(self):
        """The signs as int8 array of +1 and -1, unpacked anew each time."""
        return self.signs.unpack()

    @property
    def product_f(self):
        """Fraction bits of the product, before the bias is added."""
        return self.q_alpha.f + (self.q_in.f if self.scale_inputs else 0)


@dataclass(frozen=True, eq=False)
class Linear:
    """Real layer: ``I . W + b``.

    Attributes
    ----------
    W : int16 array, of the shape of ``XNOR.B``, in format ``q_W``
    b, q_b, window, q_in, q_out : as in XNOR
    """

    W: np.ndarray
    q_W: Q
    b: np.ndarray | None
    q_b: Q
    window: Window | None
    q_in: Q
    q_out: Q

    @property
    def product_f(self):
        """Fraction bits of the product, before the bias is added."""
        return self.q_W.f + self.q_in.f


@dataclass(frozen=True, eq=False)
class Affine:
    """Merged batch norm: ``I * scale + b``, one of each for every channel.

    Attributes
    ----------
    scale : int64 array, ``(channels,)``, in format ``q_scale``
    b : int64 array, ``(channels,)``, in format ``q_b``
    q_in, q_out : Q
    """

    scale: np.ndarray
    q_scale: Q
    b: np.ndarray
    q_b: Q
    q_in: Q
    q_out: Q

    @property
    def product_f(self):
        """Fraction bits of the product, before the offset is added."""
        return self.q_scale.f + self.q_in.f


@dataclass(frozen=True)
class MaxPool:
    """Largest integer of each window; padding is below every number.

    Attributes
    ----------
    window : Window
    ignore_border : bool
        Leave out windows that reach past the padded input.
    """

    window: Window
    ignore_border: bool


@dataclass(frozen=True)
class Rectify:
    """``max(I, 0)``."""


@dataclass(frozen=True)
class Flatten:
    """``(batch, ...)`` to ``(batch, features)``."""


@dataclass(frozen=True, eq=False)
class QuantizedModel:
    """A network in fixed point.

    Attributes
    ----------
    input_shape : tuple of int
        Shape of one input, ``(channels, height, width)``.
    layers : list of records
        The first is ``Quantize``.
    q_out : Q
        Format of the scores.
    """

    input_shape: tuple
    layers: list
    q_out: Q


def aligned_bias(record):
    """The bias of a record with as many fraction bits as the product that it is added to, an int64 array."""
    return record.b << (record.product_f - record.q_b.f)
