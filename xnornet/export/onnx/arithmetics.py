"""The arithmetic of a model: exact integers, real numbers, or real numbers that QONNX quantizes.

Between operations all are float32, which holds integers of 16 bits exactly. Within one, ``bound`` says what
an exact result needs: float32 below ``2**24``, float64 below ``2**53``, else 64-bit integers.
"""

from dataclasses import replace

import numpy as np

from xnornet.catalog import FORMATS
from xnornet.errors import ModelError
from xnornet.export.onnx.builder import Builder
from xnornet.fixedpoint import Q
from xnornet.graph.filters import Filter
from xnornet.graph.window import correlate

__all__ = ["Exact", "Quantized", "Real"]

FLOAT32, FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)

# Exponents of the powers of two that are normal numbers in float32.
MAX_EXPONENT = 126

# The format of what bytes are scaled to.
PIXELS = Q(FORMATS["input_bits"], 0)

# The domain of QONNX's operators.
QONNX = "qonnx.custom_op.general"


class Real(Builder):
    """The formulas on real numbers, in float32: what ``simulate(real=True)`` computes.

    Parameters
    ----------
    levels : float32 array or None
        The number that the network takes for each value of a pixel, from 0 on; None where images are such
        numbers.

    Attributes
    ----------
    levels : as given
    kind : NumPy dtype
        Type that the results of the operation at hand are computed in.
    """

    kind = FLOAT32

    def __init__(self, levels=None):
        super().__init__()
        self.levels = levels

    def begin(self, operation):
        """Prepare for the form of an operation."""

    def widen(self, x):
        """A value in the type of results."""
        return self.cast(x, self.kind)

    def image(self, operation, x):
        """The numbers that stand for the image."""
        return x if self.levels is None else self.looked_up(self.levels, x)

    def looked_up(self, table, x):
        """What a table has for each pixel, and for larger ones what it has for the largest."""
        table = table[np.minimum(np.arange(256), len(table) - 1)]
        return self.add("Gather", table.astype(FLOAT32), self.cast(x, np.int32), axis=0)

    def parameter(self, operation, name):
        """An array of parameters, in the type of results."""
        return operation.value(name).astype(self.kind)

    def slopes(self, operation):
        """Factors of what is positive and of what is negative."""
        return 1.0, operation.value("slope")[0]

    def largest(self, operation):
        """Largest magnitude of an input."""
        return 0

    def finish(self, operation, y):
        """What the next operation reads of a result."""
        return self.cast(y, FLOAT32)

    def signs(self, x):
        """Signs of numbers, that of 0 being +1."""
        return self.add("Where", self.add("GreaterOrEqual", x, 0), np.float32(1), np.float32(-1))

    def sign_product(self, operation, x, shape):
        """``H (*) B``."""
        B = operation.B
        weights = self.integers(B if B.ndim == 4 else B.T, FLOAT32)
        return self.correlate(self.signs(x), weights, B.shape, operation, shape, operation.fan_in())

    def product(self, operation, x, shape):
        """``I (*) W``."""
        W = self.parameter(operation, "W")
        weights = self.constant(W if W.ndim == 4 else W.T)
        return self.correlate(x, weights, W.shape, operation, shape, 0)

    def ones(self, array):
        """Weights that sum, of a convolution's shape or ``(outputs, inputs)``."""
        return self.constant((array if array.ndim == 4 else array.T).astype(FLOAT32))

    def correlate(self, x, weights, lengths, operation, shape, bound, groups=None, grid=None):
        """``x (*) W``, or ``x . W`` of flattened samples.

        Parameters
        ----------
        x, weights : str
            Of a dense layer, weights are ``(inputs, outputs)``.
        lengths : tuple of int
            ``(outputs, channels / groups, kh, kw)``, or ``(outputs, inputs)`` of a dense layer.
        operation : Operation
            Its ``window`` counts, and its ``groups`` unless others are given.
        shape : tuple of int
            Of the input.
        bound : int
            Largest magnitude of a sum.
        grid : pair of int, optional
            Rows and columns of the output, by default those of whole windows.
        """
        if operation.window is None:
            x = x if len(shape) == 1 else self.reshape(x, lengths[1])
            return self.add("MatMul", x, weights)
        window, groups = operation.window, groups or operation.groups
        grid = grid or window.grid(shape[1:])
        return self.convolve(x, weights, lengths, window, groups, shape, grid, bound)

    def convolve(self, x, weights, lengths, window, groups, shape, grid, bound):
        """ONNX's convolution."""
        return self.add(
            "Conv",
            x,
            weights,
            kernel_shape=window.size,
            strides=window.stride,
            dilations=window.dilation,
            pads=self.pads(window, shape, grid),
            group=groups,
        )

    def pads(self, window, shape, grid):
        """Padding that windows meet, all that comes before and then all that comes after."""
        before = [pad[0] for pad in window.pad]
        after = []
        for axis in (0, 1):
            reached = (grid[axis] - 1) * window.stride[axis] + window.extent[axis]
            after.append(max(window.pad[axis][1], reached - before[axis] - shape[axis + 1]))
        return [*before, *after]


class Exact(Real):
    """Integers, those of the engine: each result is the exact value of its formula, rounded once."""

    def begin(self, operation):
        self.kind = _type_for(operation.bound())

    def image(self, operation, x):
        if self.levels is not None:
            return self.looked_up(operation.exact(np, self.levels), x)
        scaled = self.add("Mul", self.cast(x, FLOAT64), 2.0**operation.q_out.f)
        return self._saturated(self.add("Round", scaled), operation.q_out)

    def parameter(self, operation, name):
        return (getattr(operation, name) << _left_shift(operation, name)).astype(self.kind)

    def slopes(self, operation):
        return operation.factors()

    def largest(self, operation):
        return operation.q_in.limit

    def finish(self, operation, y):
        f = operation.fraction_bits()
        shift = (operation.q_in.f if f is None else f) - operation.q_out.f
        rounded = self._shift_integers if self.kind == np.int64 else self._shift_floats
        return self._saturated(rounded(y, shift), operation.q_out)

    def _saturated(self, y, q):
        return self.cast(self.add("Clip", y, -q.limit, q.limit), FLOAT32)

    def _shift_floats(self, y, shift):
        """ONNX's ``Round`` goes to the even one, too."""
        return self.add("Round", self.add("Mul", y, 2.0**-shift)) if shift else y

    def _shift_integers(self, y, shift):
        """Division cuts off, so magnitudes are rounded."""
        if shift <= 0:
            return self.add("Mul", y, 1 << -shift)
        if shift > 62:
            return self.add("Mul", y, 0)
        magnitude = self.add("Abs", y)
        floor = self.add("Div", magnitude, 1 << shift)
        rest = self.add("Sub", magnitude, self.add("Mul", floor, 1 << shift))
        odd = self.add("Mod", floor, 2)
        up = self.add("Greater", self.add("Add", rest, odd), 1 << (shift - 1))
        return self.add("Mul", self.add("Add", floor, self.cast(up, np.int64)), self.add("Sign", y))

    def product(self, operation, x, shape):
        W = operation.W
        bound = operation.q_in.limit * int(np.abs(W.reshape(len(W), -1)).sum(axis=1, dtype=np.int64).max())
        weights = self.integers(W if W.ndim == 4 else W.T, _type_for(bound))
        return self.correlate(x, weights, W.shape, operation, shape, bound)

    def correlate(self, x, weights, lengths, operation, shape, bound, **options):
        kind = _type_for(bound)
        x, weights = self.cast(x, kind), self.cast(weights, kind)
        return super().correlate(x, weights, lengths, operation, shape, bound, **options)

    def convolve(self, x, weights, lengths, window, groups, shape, grid, bound):
        if _type_for(bound) == FLOAT32:
            return super().convolve(x, weights, lengths, window, groups, shape, grid, bound)
        # ONNX Runtime has no convolution in float64: use a matrix product over the windows.
        outputs, fan_in = lengths[0], int(np.prod(lengths[1:]))
        columns = self._columns(x, window, groups, shape, grid)
        weights = self.add("Reshape", weights, np.array([groups, outputs // groups, fan_in], np.int64))
        return self.reshape(self.add("MatMul", weights, columns), outputs, *grid)

    def _columns(self, x, window, groups, shape, grid):
        """What the windows meet, ``(batch, groups, channels / groups * taps, pixels)``."""
        channels, *lengths = shape
        pads = np.array(self.pads(window, shape, grid))
        if pads.any():
            x = self.add("Pad", x, np.array([0, 0, *pads[:2], 0, 0, *pads[2:]], np.int64), 0)
        rows, columns = lengths + pads[:2] + pads[2:]
        i, j = (
            np.arange(window.size[axis])[:, np.newaxis] * window.dilation[axis]
            + np.arange(grid[axis]) * window.stride[axis]
            for axis in (0, 1)
        )
        met = i[:, np.newaxis, :, np.newaxis] * columns + j[np.newaxis, :, np.newaxis, :]
        taps = window.size[0] * window.size[1]
        x = self.reshape(x, groups, channels // groups, rows * columns)
        x = self.add("Gather", x, met.reshape(taps, -1).astype(np.int64), axis=3)
        return self.reshape(x, groups, channels // groups * taps, grid[0] * grid[1])


class Quantized(Real):
    """Real numbers in float32, rounded to the formats of the integers by QONNX's operators.

    Signs are a ``MultiThreshold`` at 0, of scale 1. Where windows meet padding, the signs there are -1, and a
    constant for each pixel corrects the product: so signs are +1 and -1 everywhere, and their product may be
    counted in bits.
    """

    def image(self, operation, x):
        q, levels = operation.q_out, self.levels
        if levels is not None:
            step, first = (levels[-1] - levels[0]) / np.float32(len(levels) - 1), levels[0]
            found = np.arange(len(levels), dtype=FLOAT32) * step + first
            x = self.add("Add", self.add("Mul", x, step), first)
            if (q.quantize(found) != q.quantize(levels)).any():
                # Bytes are scaled to fewer bits than these.
                if (PIXELS.dequantize(PIXELS.quantize(found)) != levels).any():
                    raise ModelError(f"float32 scales no pixels to {q} exactly; pack with other --input-bits")
                x = self.quant(x, PIXELS)
        return self.quant(x, q)

    def finish(self, operation, y):
        return y if operation.q_out is None else self.quant(y, operation.q_out)

    def quant(self, x, q):
        """Numbers rounded to a format."""
        if abs(q.f) > MAX_EXPONENT:
            raise ModelError(
                f"{q} has a unit of 2**{-q.f}, which QONNX's float32 does not hold; export to onnx, or scale "
                "the layer"
            )
        scale, zero, bits = (np.float32(n) for n in (2.0**-q.f, 0, q.bits + 1))
        options = {"signed": 1, "narrow": 1, "rounding_mode": "ROUND"}
        return self.add("Quant", x, scale, zero, bits, domain=QONNX, **options)

    def signs(self, x):
        options = {"out_dtype": "BIPOLAR", "out_scale": 2.0, "out_bias": -1.0}
        return self.add("MultiThreshold", x, np.zeros((1, 1), np.float32), domain=QONNX, **options)

    def sign_product(self, operation, x, shape):
        B, window = operation.B.astype(np.float32), operation.window
        weights = self.constant(B if B.ndim == 4 else B.T)
        weights = self.add("BipolarQuant", weights, np.float32(1), domain=QONNX)
        if window is None or not any(map(any, window.pad)):
            return self.correlate(self.signs(x), weights, B.shape, operation, shape, 0)
        grid, ones = window.grid(shape[1:]), np.ones((1, *shape), np.float32)
        border = B.sum(axis=(1, 2, 3)).reshape(1, -1, 1, 1) - correlate(np, ones, B, window, operation.groups)
        pads = self.pads(window, shape, grid)
        x = self.add("Pad", x, np.array([0, 0, *pads[:2], 0, 0, *pads[2:]], np.int64), -1)
        lengths = (before + n + after for n, before, after in zip(shape[1:], pads[:2], pads[2:], strict=True))
        bare = replace(operation, window=replace(window, pad=((0, 0), (0, 0))))
        product = self.correlate(self.signs(x), weights, B.shape, bare, (shape[0], *lengths), 0)
        return self.add("Add", product, border)

    def product(self, operation, x, shape):
        W = operation.value("W").astype(FLOAT32)
        weights = self.quant(self.constant(W if W.ndim == 4 else W.T), operation.q_W)
        return self.correlate(x, weights, W.shape, operation, shape, 0)


def _type_for(bound):
    """The narrowest type that holds integers below a bound exactly."""
    if bound < 1 << 24:
        return FLOAT32
    return FLOAT64 if bound < 1 << 53 else np.dtype(np.int64)


def _left_shift(operation, name):
    """Bits by which integers are shifted to the left, to be added to others."""
    if name == "b":
        bits = operation.bias_bits() if isinstance(operation, Filter) else operation.fraction_bits()
        return bits - operation.q_b.f
    return np.array(operation.shifts) if name == "coefficients" else 0
