"""What must hold for the records of a quantized model to have a meaning, and to be safe to run unchecked.

Compiled kernels look at neither indices nor overflow. All that they rely on is compared here, once: with
Python's integers, which do not overflow, and before anything is computed.
"""

import math
from functools import singledispatch

import numpy as np

from xnornet.model.quantized import XNOR, Affine, Flatten, Linear, MaxPool, Quantize, Rectify, Window
from xnornet.model.shapes import output_shape
from xnornet.model.weights import ModelError

__all__ = ["ACCUMULATOR_BITS", "MAX_FAN_IN", "check_model"]

# Numbers of data and of parameters are 16-bit words with their sign.
MAX_BITS = 15

# Within it, every number of a format and its unit are normal doubles, so scaling by a power of two is exact.
MAX_INT_BITS = 1000

# Numbers below the smallest normal float32, which JAX takes for 0, round to 0 in such a format as well.
MAX_INPUT_F = 100

# Exact results stay below this, so that adding half a unit for rounding cannot overflow 64 bits.
ACCUMULATOR_BITS = 62

# Sums of as many signs in float32, and of products of 15-bit integers in float64, are exact.
MAX_FAN_IN = 1 << 23

# No length of an image, window, stride or padding is larger: products of two of them fit 64 bits by far.
MAX_LENGTH = 1 << 24

# Numbers that all layers together take and give for one image: 256 MiB of 16-bit words.
MAX_ACTIVATIONS = 1 << 27


def check_model(model):
    """Compare a quantized model with all that running it relies on.

    Shapes follow from one another, every number is within its format, each layer takes the format that the
    one before gives, every rounding is a shift to the right, no exact sum reaches ``2**62`` whatever the
    image, every window meets the image, and one image takes bounded memory. A shift to the right may be
    larger than 62; its result is 0.

    Parameters
    ----------
    model : QuantizedModel

    Raises
    ------
    ModelError
        One line that names the layer, counted from 0, what it has and what it should have.
    """
    shape = _check_input_shape(model.input_shape)
    kinds = [type(record) for record in model.layers]
    if kinds[:1] != [Quantize] or kinds.count(Quantize) != 1:
        raise ModelError(
            "a model should quantize its input in its first layer and nowhere else; found "
            f"{kinds.count(Quantize)} such layers among {len(kinds)}"
        )
    q, activations = model.layers[0].q_out, math.prod(shape)
    for i, record in enumerate(model.layers):
        try:
            check_record(record, shape, q)
            activations += _taken(record, shape)
            shape = output_shape(record, shape)
            activations += math.prod(shape)
            if activations > MAX_ACTIVATIONS:
                raise ModelError(
                    f"the layers up to this one should take and give at most {MAX_ACTIVATIONS} numbers for "
                    f"an image; found {activations}"
                )
        except ModelError as error:
            raise ModelError(f"layer {i} ({type(record).__name__}): {error}") from error
        q = getattr(record, "q_out", q)
    if len(shape) != 1:
        raise ModelError(
            f"the last layer should give a vector of scores; its output has shape {shape}. End the network "
            "with a dense or a flatten layer"
        )
    if model.q_out != q:
        raise ModelError(f"the scores have format {q}; the model tells {model.q_out}")


@singledispatch
def check_record(record, shape, q):
    """Compare a record with the shape and the format of its input, the batch axis left out."""
    raise ModelError(f"{type(record).__name__} is no record of a quantized model")


@check_record.register
def _(record: Quantize, shape, q):
    _check_format("q_out", record.q_out)
    if record.q_out.f > MAX_INPUT_F:
        raise ModelError(
            f"an image's format should have at most {MAX_INPUT_F} fraction bits; found {record.q_out.f}"
        )


@check_record.register
def _(record: XNOR, shape, q):
    _check_signs(record.signs)
    outputs = len(record.signs.bits)
    _check_filter(record, record.signs.shape, shape)
    _check_formats(record, q)
    if record.c is not None and (record.b is not None or not record.scale_inputs):
        raise ModelError("c should come without b and with scale_inputs; found it otherwise")
    _check_numbers("alpha", record.alpha, record.q_alpha, (outputs,))
    if (record.alpha < 0).any():
        raise ModelError(f"alpha should be at least 0; found {record.alpha.min()}")
    _check_bias(record, output_shape(record, shape))
    fan_in = math.prod(record.signs.shape[1:])
    products = [fan_in * alpha for alpha in record.alpha.tolist()]
    if record.c is not None:
        _check_format("q_c", record.q_c)
        _check_numbers("c", record.c, record.q_c, (outputs,))
        shift = _bias_shift("c", record.q_alpha.f, record.q_c)
        offsets = (abs(c) << shift for c in record.c.tolist())
        products = [product + offset for product, offset in zip(products, offsets, strict=True)]
    if record.scale_inputs:
        products = [product * fan_in * record.q_in.limit for product in products]
    _check_sums(record, products)


@check_record.register
def _(record: Linear, shape, q):
    _check_array("W", record.W, np.int16)
    _check_filter(record, record.W.shape, shape)
    _check_formats(record, q)
    _check_numbers("W", record.W, record.q_W, record.W.shape, np.int16)
    _check_bias(record, output_shape(record, shape))
    limit = record.q_in.limit
    _check_sums(record, [limit * int(np.abs(row).sum(dtype=np.int64)) for row in record.W])


@check_record.register
def _(record: Affine, shape, q):
    _check_formats(record, q)
    _check_numbers("scale", record.scale, record.q_scale, shape[:1])
    _check_numbers("b", record.b, record.q_b, shape[:1])
    _check_sums(record, [record.q_in.limit * abs(scale) for scale in record.scale.tolist()])


@check_record.register
def _(record: MaxPool, shape, q):
    _check_window(record, shape)
    window = record.window
    if any(p >= size for size, pad in zip(window.size, window.pad, strict=True) for p in pad):
        raise ModelError(
            f"padding should be smaller than the window, {window.size}, so that no window holds nothing "
            f"else; found {window.pad}"
        )
    if not record.ignore_border and any(map(any, window.pad)):
        raise ModelError(f"only pooling that ignores the border should have padding; found {window.pad}")


@check_record.register(Rectify)
@check_record.register(Flatten)
def _(record, shape, q):
    """Works on any input."""


def _check_input_shape(shape):
    if not isinstance(shape, tuple) or len(shape) != 3 or not all(_is_count(n) for n in shape):
        raise ModelError(
            f"an input should have shape (channels, rows, columns), each 1 to {MAX_LENGTH}; found {shape}"
        )
    if math.prod(shape) > MAX_ACTIVATIONS:
        raise ModelError(f"an input should have at most {MAX_ACTIVATIONS} numbers; found shape {shape}")
    return shape


def _check_signs(signs):
    bits = signs.bits
    _check_array("signs", bits, np.uint8)
    if not _is_count(signs.channels) or bits.ndim not in (2, 4) or bits.shape[-1] != -(-signs.channels // 8):
        raise ModelError(
            f"signs of {signs.channels} channels should be (outputs, bytes) or (outputs, rows, columns, "
            f"bytes), with a byte for every 8 channels; found {bits.shape}"
        )
    unused = 0xFF << (signs.channels - 1) % 8 + 1 & 0xFF
    if (bits[..., -1] & unused).any():
        raise ModelError("bits past the last channel should be 0; found 1")


def _check_filter(record, weights, shape):
    """Compare a layer's weights, of shape ``(outputs, inputs, ...)``, with its window and its input."""
    if len(weights) < 2 or 0 in weights:
        raise ModelError(f"weights should be (outputs, inputs, ...), none of them 0; found shape {weights}")
    if record.window is None:
        expected = (weights[0], math.prod(shape))
    else:
        _check_window(record, shape)
        expected = (weights[0], shape[0], *record.window.size)
    if weights != expected:
        raise ModelError(f"weights should have shape {expected} for an input of {shape}; found {weights}")
    if math.prod(weights[1:]) >= MAX_FAN_IN:
        raise ModelError(
            f"an output should be a sum over fewer than {MAX_FAN_IN} inputs; found {math.prod(weights[1:])}"
        )


def _check_window(record, shape):
    window = record.window
    if not isinstance(window, Window) or len(shape) != 3:
        raise ModelError(
            f"a window should move over an input of (channels, rows, columns); found {window} on {shape}"
        )
    pads = window.pad if isinstance(window.pad, tuple) else ()
    pairs = (window.size, window.stride, window.pad, *pads)
    if not all(isinstance(pair, tuple) and len(pair) == 2 for pair in pairs):
        raise ModelError(
            "a window should have two sizes, two strides, and padding before and after rows and columns; "
            f"found {window}"
        )
    if not all(_is_count(n) for n in (*window.size, *window.stride)):
        raise ModelError(f"sizes and strides should be 1 to {MAX_LENGTH}; found {window}")
    if not all(_is_count(n, 0) for pad in pads for n in pad):
        raise ModelError(f"padding should be 0 to {MAX_LENGTH}; found {window.pad}")
    if min(output_shape(record, shape)) < 1:
        raise ModelError(f"a window should fit its padded input; found {window} on {shape}")


def _check_formats(record, q):
    """All formats that a record with parameters has; its input's is ``q``."""
    factor = {XNOR: "q_alpha", Linear: "q_W", Affine: "q_scale"}[type(record)]
    for name in (factor, "q_b", "q_in", "q_out"):
        _check_format(name, getattr(record, name))
    if record.q_in != q:
        raise ModelError(f"q_in should be {q}, which the layer before gives; found {record.q_in}")
    if record.product_f < record.q_out.f:
        raise ModelError(
            f"q_out should have at most the {record.product_f} fraction bits of the product, so that it is "
            f"shifted to the right; found {record.q_out.f}"
        )


def _check_format(name, q):
    if q is None or q.bits > MAX_BITS or abs(q.int_bits) > MAX_INT_BITS:
        raise ModelError(
            f"{name} should have at most {MAX_BITS} bits, of which -{MAX_INT_BITS} to {MAX_INT_BITS} are "
            f"integer; found {q}"
        )


def _check_array(name, array, dtype):
    if not isinstance(array, np.ndarray) or array.dtype != dtype:
        found = getattr(array, "dtype", type(array).__name__)
        raise ModelError(f"{name} should be an array of {np.dtype(dtype)}; found {found}")


def _check_numbers(name, array, q, shape, dtype=np.int64):
    _check_array(name, array, dtype)
    if array.shape != shape:
        raise ModelError(f"{name} should have shape {shape}; found {array.shape}")
    if max(-int(array.min()), int(array.max())) > q.limit:
        raise ModelError(
            f"{name} should lie within {q.limit} of 0 in {q}; found {array.min()} to {array.max()}"
        )


def _check_bias(record, shape):
    """A layer of weights has one bias for each output channel, or for each number of its output, or none."""
    if record.b is not None:
        untied = getattr(record.b, "ndim", 1) > 1
        _check_numbers("b", record.b, record.q_b, shape if untied else shape[:1])


def _bias_shift(name, product_f, q):
    """Bits by which a bias is shifted to the left to be added to the product."""
    shift = product_f - q.f
    if not 0 <= shift <= ACCUMULATOR_BITS:
        raise ModelError(
            f"q_{name} should have at most the {product_f} fraction bits of the product, and at most "
            f"{ACCUMULATOR_BITS} fewer; found {q.f}"
        )
    return shift


def _check_sums(record, products):
    """Compare each output's largest sum with the accumulator; ``products`` are those without the bias."""
    if record.b is not None:
        shift = _bias_shift("b", record.product_f, record.q_b)
        offsets = (int(np.abs(b).max()) << shift for b in record.b)
        products = [product + offset for product, offset in zip(products, offsets, strict=True)]
    if max(products) >= 1 << ACCUMULATOR_BITS:
        raise ModelError(
            f"no sum should reach 2**{ACCUMULATOR_BITS}; output {products.index(max(products))} may reach "
            f"{max(products)}"
        )


def _taken(record, shape):
    """Numbers of the area that a layer's windows move over, padding and all; 0 for a layer without any."""
    window = getattr(record, "window", None)
    if window is None:
        return 0
    lengths = output_shape(record, shape)[1:]
    axes = zip(shape[1:], lengths, window.size, window.stride, window.pad, strict=True)
    return shape[0] * math.prod(
        max(length + sum(pad), (count - 1) * stride + size) for length, count, size, stride, pad in axes
    )


def _is_count(n, least=1):
    return isinstance(n, int | np.integer) and not isinstance(n, bool) and least <= n <= MAX_LENGTH
