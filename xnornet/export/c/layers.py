"""Each layer as a function in C: its arrays, the call of its kernel, and a comment with its formula."""

from dataclasses import dataclass, field

import numpy as np

from xnornet.engine.steps import largest_sum
from xnornet.engine.thresholds import fold
from xnornet.export.c.golden import packed_words
from xnornet.export.c.lowering import borders_of, is_direct, is_scaled, window_of
from xnornet.graph import (
    Affine,
    Clip,
    Concatenate,
    LeakyRectify,
    MaxPool,
    Pad,
    Rectify,
    ScaledBias,
    Slice,
    Upscale,
)
from xnornet.graph.filters import Binary

__all__ = ["Function", "emit"]

FORMULAS = {
    "linear": "I . W + b",
    "quantize": "round(x * 2**f), from a table",
    "affine": "I * scale + b",
    "max pool": "max(I)",
    "average pool": "sum(I) * factor",
    "add": "sum(I * coefficient)",
    "rectify": "max(I, 0)",
    "clip": "min(max(I, low), high)",
    "leaky rectify": "I where it is positive, elsewhere I * slope",
    "requantize": "I in another format",
}

# Name in C of each type of number, and its bytes.
TYPES = {"int16_t": 2, "int32_t": 4, "int64_t": 8, "uint32_t": 4}

COLUMNS = 110

# Exact results below it are rounded in 32 bits.
NARROW = 1 << 31


@dataclass
class Function:
    """A layer in C.

    Attributes
    ----------
    name, comment : str
    arrays : list of str
        Definitions of constants that lie in flash.
    parameters : list of str
        Of the function, inputs first.
    body : list of str
        Lines.
    bytes : int
        Of the arrays.
    """

    name: str
    comment: list = field(default_factory=list)
    arrays: list = field(default_factory=list)
    parameters: list = field(default_factory=list)
    body: list = field(default_factory=list)
    bytes: int = 0

    def array(self, kind, what, values):
        """Define an array; returns its name, or 0 where there is none."""
        if values is None:
            return "0"
        name, values = f"{self.name}_{what}", np.asarray(values).ravel().tolist()
        form = {"uint32_t": "0x{:08x}u", "int64_t": "INT64_C({})"}.get(kind, "{}")
        lines, line = [], "   "
        for text in map(form.format, values):
            if len(line) + len(text) + 2 > COLUMNS:
                lines.append(line)
                line = "   "
            line += f" {text},"
        lines += [line]
        self.arrays.append(f"static const {kind} {name}[{len(values)}] = {{\n" + "\n".join(lines) + "\n};")
        self.bytes += TYPES[kind] * len(values)
        return name

    def constant(self, kind, name, value):
        """Define a structure within the function."""
        self.body.append(f"static const struct {kind} {name} = {value};")

    def takes(self, layer):
        """Parameters for a layer's inputs, x, or x0, x1 and so on, and its output y."""
        several = len(layer.inputs) > 1
        for k, value in enumerate(layer.inputs):
            self.parameters.append(f"const {_type(value)} *x{k if several else ''}")
        self.parameters.append(f"{_type(layer.output)} *y")


def emit(layer, formats, levels, prefix):
    """A layer as a function.

    Parameters
    ----------
    layer : Layer
    formats : list of Q
        Of each node's output.
    levels : int16 array, ``(256,)``
        What becomes of each value of a pixel.
    prefix : str
        Of the names.
    """
    function = Function(f"{prefix}_{layer.name}")
    _describe(function, layer, formats)
    emitter = EMITTERS[layer.kind]
    if layer.kind == "quantize":
        emitter(function, layer, levels)
    else:
        function.takes(layer)
        emitter(function, layer, formats)
    return function


def _type(value):
    return "uint32_t" if value.signs else "int16_t"


def _describe(function, layer, formats):
    names = [r.title() for r in (layer.operation, *layer.following) if r]
    if layer.kind == "max pool" and layer.output.signs:
        names = [layer.operation.title()]
    formula = FORMULAS.get(getattr(layer.operation, "kind", None))
    if isinstance(layer.operation, Binary):
        formula = _binary_formula(layer.operation)
    if layer.output.signs:
        names.append("sign")
    name = function.name
    function.comment = [f"{name}: {', '.join(names)}" + (f"; {formula}" if formula else "")]
    for value in layer.inputs:
        function.comment.append(f"from {_form(value, formats)}")
    function.comment.append(f"to   {_form(layer.output, formats)}")


def _binary_formula(operation):
    product, b = "sign(I) . B * alpha", "" if operation.b is None else " + b"
    if isinstance(operation, ScaledBias):
        return f"({product}{b}) * sum(|I|)"
    return f"{product}{' * sum(|I|)' if is_scaled(operation) else ''}{b}"


def _form(value, formats):
    channels, rows, columns = value.shape
    q = f" {formats[value.node]}" if value.node is not None and not value.signs else ""
    return f"{rows} x {columns} x {channels} {'signs' if value.signs else 'numbers'}{q}"


def _shape(shape):
    channels, rows, columns = shape
    return f"{{{rows}, {columns}, {channels}}}"


def _pair(pair):
    return "{{{}, {}}}".format(*pair)


def _window(window):
    before = tuple(p[0] for p in window.pad)
    return "{" + ", ".join(map(_pair, (window.size, window.stride, before, window.dilation))) + "}"


def _rounding(operation, low=None):
    limit = operation.q_out.limit
    shift = min(max(0, _shift(operation)), 63)
    # A filter with scaled inputs rounds products of three numbers.
    narrow = operation.bound() < NARROW and shift <= 30 and not is_scaled(operation)
    return f"{{{shift}, {-limit if low is None else low}, {limit}, {int(narrow)}}}"


def _shift(operation):
    f = operation.fraction_bits()
    return (operation.q_in.f if f is None else f) - operation.q_out.f


# ---- one function for each kind of layer


def _quantize(function, layer, levels):
    function.parameters = ["const uint8_t *pixels", "int16_t *y"]
    table = function.array("int16_t", "levels", levels)
    function.body.append(f"xnor_quantize({table}, {layer.output.count}, pixels, y);")


def _filter(function, layer, formats):
    operation, x, out = layer.operation, layer.inputs[0], layer.output
    binary = isinstance(operation, Binary)
    window = window_of(operation, x.shape)
    grid = (operation.weights[0], *window.grid(x.shape[1:]))
    # Overlapping windows are pooled by a separate layer after this one.
    pools = [r for r in layer.following if isinstance(r, MaxPool)] if out.node is not None else []
    pool = pools[0].window if pools else window.__class__((1, 1), (1, 1), ((0, 0), (0, 0)))
    weights = _weights(operation, x.shape)
    largest = largest_sum(operation)
    wide = not binary and largest >= (1 << 31) - 1
    fields = {
        "in": _shape(x.shape),
        "window": _window(window),
        "grid": _shape(grid),
        "pool": _window(pool),
        "out": _shape(out.shape),
        "groups": operation.groups,
        "direct": int(is_direct(operation, x.shape)),
        "wide": int(wide),
    }
    if any(borders_of(operation, x.shape)):
        fields["borders"] = _pair(borders_of(operation, x.shape))
    if out.signs:
        t, flips, pooled = fold(operation, layer.following, largest)
        # A filter with inverted sign is the filter with negated weights.
        weights = np.where(flips.reshape(-1, *[1] * (weights.ndim - 1)), -weights, weights)
        t = np.where(flips, 1 - t, t)
        bits = 64 if wide else 16 if np.abs(t).max() < 1 << 15 else 32
        fields[f"t{bits}"] = function.array(f"int{bits}_t", "t", t)
        if pools and pooled.any():
            fields["flips"] = function.array("uint32_t", "flips", packed_words(pooled))
    else:
        low = 0 if any(isinstance(r, Rectify) for r in layer.following) else None
        fields["rounding"] = _rounding(operation, low)
        if binary:
            fields["alpha"] = function.array("int16_t", "alpha", operation.alpha)
            fields["scaled"] = int(is_scaled(operation))
        # Zeros may have a format that is far from the product's.
        if operation.b is not None and operation.b.any():
            # A bias that is scaled as well is the kernel's c.
            name = "c" if isinstance(operation, ScaledBias) else "b"
            fields[name] = function.array("int16_t", name, operation.b.reshape(len(operation.b), -1).T)
            fields[f"{name}_shift"] = operation.bias_bits() - operation.q_b.f
            fields["b_each"] = int(operation.b.ndim > 1)
    if binary:
        signs = packed_words(weights.reshape(len(weights), -1) > 0)
        fields["length"], fields["signs"] = signs.shape[1], function.array("uint32_t", "B", signs)
    else:
        fields["length"] = operation.fan_in()
        fields["weights"] = function.array("int16_t", "W", weights)
    lines = ",\n".join(f"    .{name} = {value}" for name, value in fields.items() if value != 0)
    function.constant("xnor_filter", "filter", f"{{\n{lines},\n}}")
    several = len(layer.inputs) > 1
    function.parameters.append("void *scratch")
    magnitudes = "x1" if several else "0"
    function.body.append(f"xnor_filter(&filter, {'x0' if several else 'x'}, {magnitudes}, y, scratch);")


def _weights(operation, shape):
    """Weights as they meet an input, ``(outputs, rows, columns, channels)``."""
    W = operation.B if isinstance(operation, Binary) else operation.W
    if W.ndim == 2:
        W = W.reshape(len(W), *shape)
    return W.transpose(0, 2, 3, 1)


def _pack(function, layer, formats):
    (x,) = layer.inputs
    t, flips, _ = fold(None, layer.following, formats[x.node].limit, x.shape[0])
    # A threshold that no number reaches does not fit 16 bits; one that all reach is inverted instead.
    never = t > formats[x.node].limit
    t, flips = np.where(never, -formats[x.node].limit, t), flips ^ never
    t = function.array("int16_t", "t", t if t.any() else None)
    flips = function.array("uint32_t", "flips", packed_words(flips) if flips.any() else None)
    function.constant("xnor_shape", "shape", _shape(x.shape))
    function.body.append(f"xnor_pack(&shape, {t}, {flips}, x, y);")


def _max_pool(function, layer, formats):
    (x,) = layer.inputs
    _pooling(function, layer)
    if not x.signs:
        function.body.append("xnor_max_pool(&in, &window, &out, x, y);")
        return
    behind = layer.following[layer.following.index(layer.operation) :]
    flips = np.logical_xor.reduce([r.scale < 0 for r in behind if isinstance(r, Affine)] or [[False]])
    flips = function.array("uint32_t", "flips", packed_words(flips) if flips.any() else None)
    function.body.append(f"xnor_max_pool_signs(&in, &window, &out, {flips}, x, y);")


def _pooling(function, layer):
    function.constant("xnor_shape", "in", _shape(layer.inputs[0].shape))
    function.constant("xnor_window", "window", _window(layer.operation.window))
    function.constant("xnor_shape", "out", _shape(layer.output.shape))


def _average_pool(function, layer, formats):
    _pooling(function, layer)
    factors = function.array("int16_t", "factors", layer.operation.factor)
    function.constant("xnor_rounding", "rounding", _rounding(layer.operation))
    each = int(layer.operation.factor.size > 1)
    function.body.append(f"xnor_average_pool(&in, &window, &out, {factors}, {each}, &rounding, x, y);")


def _affine(function, layer, formats):
    operation = layer.operation
    scale = function.array("int16_t", "scale", operation.scale)
    b = function.array("int16_t", "b", operation.b)
    function.constant("xnor_shape", "shape", _shape(layer.output.shape))
    function.constant("xnor_rounding", "rounding", _rounding(operation))
    shift = operation.fraction_bits() - operation.q_b.f
    function.body.append(f"xnor_affine(&shape, {scale}, {b}, {shift}, &rounding, x, y);")


def _pointwise(function, layer, formats):
    operation, limit = layer.operation, formats[layer.node].limit
    positive, negative, rounding = 1, 1, f"{{0, {-limit}, {limit}, 1}}"
    if isinstance(operation, Rectify):
        negative = 0
    elif isinstance(operation, Clip):
        rounding = "{{0, {}, {}, 1}}".format(*operation.limits)
    elif isinstance(operation, LeakyRectify):
        f = operation.q_slope.f
        positive, negative = 1 << max(0, f), int(operation.slope[0]) << max(0, -f)
        rounding = _rounding(operation)
    else:
        positive = negative = 1 << max(0, -_shift(operation))
        rounding = _rounding(operation)
    function.constant("xnor_rounding", "rounding", rounding)
    factors = f"INT64_C({positive}), INT64_C({negative})"
    function.body.append(f"xnor_pointwise({layer.output.count}, {factors}, &rounding, x, y);")


def _add(function, layer, formats):
    operation, count = layer.operation, len(layer.inputs)
    pairs = zip(operation.coefficients.tolist(), operation.shifts, strict=True)
    factors = function.array("int64_t", "factors", [coefficient << shift for coefficient, shift in pairs])
    function.constant("xnor_rounding", "rounding", _rounding(operation))
    names = [f"x{k}" for k in range(count)] if count > 1 else ["x"]
    function.body += [
        f"const int16_t *x_[{count}];",
        *(f"x_[{k}] = {name};" for k, name in enumerate(names)),
        f"xnor_add({layer.output.count}, {count}, {factors}, &rounding, x_, y);",
    ]


def _move(function, layer, formats):
    operation, out, signs = layer.operation, layer.output, layer.output.signs
    suffix = "_signs" if signs else ""
    fills = isinstance(operation, Pad) or (isinstance(operation, Upscale) and not operation.repeat)
    lines = []
    if signs or fills:
        sign = f"{int(fills)}, " if signs else ""
        lines.append(f"xnor_zero{suffix}({out.count}, {sign}y);")
    names = [f"x{k}" for k in range(len(layer.inputs))] if len(layer.inputs) > 1 else ["x"]
    for k, (x, count, source, to) in enumerate(_moves(layer)):
        name = names[min(x, len(names) - 1)]
        function.body.append(f"static const int32_t count{k}[3] = {{{', '.join(map(str, count))}}};")
        function.constant("xnor_place", f"from{k}", _place(*source))
        function.constant("xnor_place", f"to{k}", _place(*to))
        lines.append(f"xnor_move{suffix}(count{k}, &from{k}, &to{k}, {name}, y);")
    function.body += lines


def _place(offset, steps):
    return f"{{{offset}, {{{', '.join(map(str, steps))}}}}}"


def _steps(shape):
    """From one channel, row and column to the next as they lie in the arena."""
    channels, _, columns = shape
    return [1, columns * channels, channels]


def _flat_steps(shape):
    """The same in a flattened image."""
    _, rows, columns = shape
    return [rows * columns, columns, 1]


def _moves(layer):
    """Copies: number of the input, counts, offset and steps there, offset and steps in the output.

    Axes are in the order of the arena, rows, columns and channels, as what is written lies there.
    """
    moves, operation, out = [], layer.operation, layer.output.shape
    shapes = [value.shape for value in layer.inputs]
    (shape, *_) = shapes
    if isinstance(operation, Slice):
        steps = _steps(shape)
        offset = operation.start * steps[operation.axis]
        steps[operation.axis] *= operation.step
        moves.append((0, out, (offset, steps), (0, _steps(out))))
    elif isinstance(operation, Pad):
        offset = sum(n * step for n, step in zip(operation.before, _steps(out), strict=False))
        moves.append((0, shape, (0, _steps(shape)), (offset, _steps(out))))
    elif isinstance(operation, Upscale):
        (i, j), (channel, row, column) = operation.scale, _steps(out)
        places = [(a, b) for a in range(i) for b in range(j)] if operation.repeat else [(0, 0)]
        for a, b in places:
            to = a * row + b * column, [channel, i * row, j * column]
            moves.append((0, shape, (0, _steps(shape)), to))
    elif isinstance(operation, Concatenate):
        offset = 0
        for k, each in enumerate(shapes):
            moves.append((k, each, (0, _steps(each)), (offset, _steps(out))))
            offset += each[0]
    elif out[1:] == (1, 1):
        moves.append((0, shape, (0, _steps(shape)), (0, _flat_steps(shape))))
    else:
        moves.append((0, out, (0, _flat_steps(out)), (0, _steps(out))))
    order = (1, 2, 0)
    return [
        (k, [count[a] for a in order], (o, [s[a] for a in order]), (p, [t[a] for a in order]))
        for k, count, (o, s), (p, t) in moves
    ]


EMITTERS = {
    "quantize": _quantize,
    "filter": _filter,
    "pack": _pack,
    "max pool": _max_pool,
    "average pool": _average_pool,
    "affine": _affine,
    "pointwise": _pointwise,
    "add": _add,
    "move": _move,
}
