"""From a graph to kernel calls: which kernel computes what, on which arrays.

Operations are grouped into steps, and steps become calls. A plan is made once; :meth:`Plan.bind` lays out its
arrays for a number of images and threads; nothing is decided or allocated after that.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from xnornet.engine.kernels import STRETCH, WORD, runs_of
from xnornet.engine.layout import (
    aligned_zeros,
    blocked,
    border,
    paired,
    real_weights,
    sign_words,
    to_words,
    words,
)
from xnornet.engine.steps import BARE, WHOLE, folded_chain, largest_sum, steps_of
from xnornet.engine.thresholds import aligned_bias, fold
from xnornet.errors import ModelError
from xnornet.graph import Rectify
from xnornet.hints import Shape
from xnornet.vectors import BLOCK

if TYPE_CHECKING:
    from xnornet.graph.graph import Graph

__all__ = ["Buffer", "Call", "Plan", "PerTask"]

# Most bytes of all arrays of a model for one image; a file of a few bytes can ask for any number.
MAX_BYTES = 1 << 30

# Marks buffers whose memory is shared according to liveness.
LIVE = "live"

# Where an operation runs by its definition: bytes of a number, and arrays of that size in use at a time.
EXACT_BYTES, EXACT_ARRAYS = 8, 4

# The kernel that quantizes images of each type.
QUANTIZERS = {"float32": "quantize", "float64": "quantize_double"}

# Tasks of a filter for each thread: with several, the others wait less for a delayed thread.
TASKS_EACH = 4


@dataclass(frozen=True, eq=False)
class Buffer:
    """An array that calls write and read: ``(images, *shape)``, or ``(threads, *shape)`` for scratch.

    Attributes
    ----------
    shape : tuple of int
    dtype : NumPy type
    memory : str or None
        Buffers of the same memory overlap and are not used at the same time. Those of memory ``LIVE`` are
        written completely before they are read, and share memory with buffers that are unused meanwhile.
    scratch : bool
    fill : int
        What it holds before the first call.
    """

    shape: Shape
    dtype: DTypeLike
    memory: str | None = None
    scratch: bool = False
    fill: int = 0


@dataclass(frozen=True)
class PerTask:
    """Blocks of outputs in a task, which depends on how many images and threads there are.

    Attributes
    ----------
    blocks, pixels : int
        Of the layer, for one image.
    multiple : int
        Blocks that stay together.
    """

    blocks: int
    pixels: int
    multiple: int

    def blocks_each(self, images: int, threads: int) -> int:
        stretches = -(-images * self.pixels // STRETCH)
        each = -(-self.blocks // max(1, TASKS_EACH * threads // stretches))
        return -(-each // self.multiple) * self.multiple


@dataclass(frozen=True, eq=False)
class Call:
    """A kernel and its arguments after the number of images.

    :meth:`Plan.bind` replaces buffers and ``PerTask`` by arrays and numbers.
    """

    kernel: str
    arguments: tuple[Any, ...]


@dataclass(frozen=True, eq=False)
class Target:
    """Output arrays of a step: integers, signs and sums of magnitudes, in the forms that others read.

    An output that is not needed is an array without rows. ``corner`` is that of the integers,
    ``signs_corner`` that of signs and magnitudes.
    """

    ints: Any
    signs: Any
    magnitudes: Any
    corner: tuple[int, int]
    signs_corner: tuple[int, int]


NOWHERE = Target(
    ints=np.zeros((0, 0, 0, 0), np.int16),
    signs=np.zeros((0, 0, 0, 0), np.uint64),
    magnitudes=np.zeros((0, 0, 0), np.int64),
    corner=(0, 0),
    signs_corner=(0, 0),
)

# Second input of a pointwise kernel that has only one, by the type of its factors.
ALONE = {np.int32: np.zeros((0, 0, 0, 0), np.int16), np.int64: np.zeros((0, 0, 0, 0), np.int64)}


class Plan:
    """The calls that compute a model's scores.

    Parameters
    ----------
    graph : Graph
        One that passes ``xnornet.graph.check_graph``.
    threads : int

    Raises
    ------
    ModelError
        Running one image takes more than a gigabyte. Raised before the memory is allocated.

    Attributes
    ----------
    input_shape : tuple of int
        ``(channels, rows, columns)`` of the first kernel's input; the images of a network that begins with a
        dense layer are flattened to features.
    output_shape : tuple of int
        Of the scores of an image.
    calls : list of Call
        Those after the quantizer.
    images : dict of str to Buffer
        Input of the quantizer for each type: "float32", "float64".
    invalid : Buffer
        Counts of NaN and of values beyond the input's format, for each thread.
    scores : Buffer
    most_images : int
        Most images, at least one, with which the arrays stay within the gigabyte.
    """

    def __init__(self, graph: "Graph", threads: int = 1) -> None:
        steps = steps_of(graph)
        constant = sum(_constant_bytes(step) for step in steps if step.kind == "filter")
        _check_bytes(constant)
        self.calls = []
        self._threads = threads
        self.input_shape = steps[0].shape
        self.images = {name: Buffer(self.input_shape, np.dtype(name), "images") for name in QUANTIZERS}
        self.invalid = Buffer((2,), np.int64, scratch=True)
        self._targets = {step: _target(step) for step in steps}
        q, first = steps[0].operation.q_out, self._targets[steps[0]]
        self._quantized = (2.0**q.f, float(q.limit), first.ints, first.corner, self.invalid)
        chains = {}
        for step in steps:
            bits_alone = step.signs is not None and step.ints is None and not step.magnitudes
            if bits_alone and (chain := folded_chain(step)):
                chains[chain[0]] = chain
        done = {steps[0], *(step for chain in chains.values() for step in chain[1:])}
        for step in steps:
            if step in chains:
                self._folded(chains[step], self._targets[step.inputs[0]], self._targets[chains[step][-1]])
            elif step not in done:
                values = [self._targets[before] for before in step.inputs]
                getattr(self, f"_{step.kind}")(step, *values, self._targets[step])
        self.scores = self._targets[steps[-1]].ints
        self.output_shape = graph.shapes()[-1]
        self._live = self._share_memory()
        # Operations without a kernel allocate memory while they run.
        exact = max((_exact_numbers(step) for step in steps if step.kind == "exact"), default=0)
        exact *= EXACT_BYTES * EXACT_ARRAYS
        one, two = (constant + n * exact + sum(self._memories(n).values()) for n in (1, 2))
        _check_bytes(one)
        self.most_images = 1 + (MAX_BYTES - one) // (two - one)

    def as_scores(self, ints: NDArray) -> NDArray:
        """The last kernel's output, ``(n, rows, columns, channels)``, in the shape of the scores."""
        return ints.transpose(0, 3, 1, 2).reshape(-1, *self.output_shape)

    def _call(self, kernel, *arguments):
        self.calls.append(Call(kernel, arguments))

    def _filter(self, node, value, target):
        (_xnor if node.is_binary else _product)(self._call, node, value, target)

    def _pointwise(self, node, value, *others_and_target):
        *others, target = others_and_target
        window = node.pool.window if node.pool else WHOLE
        channels, *grid = node.out_shape
        limit, scale, b, shift, is_narrow = 2**15, (), (), 0, True
        if node.affine:
            operation = node.affine
            limit, shift = operation.q_out.limit, _shift(operation)
            scale, b = operation.scale, aligned_bias(operation)
            is_narrow = _fits_32_bits(operation.bound(), shift)
        factors, sum_shift, sum_limit = _sum_of(node.add) if node.add else ([0, 0], 0, limit)
        largest = sum(map(abs, factors)) << 15
        is_narrow = is_narrow and len(factors) == 2 and _fits_32_bits(largest, sum_shift)
        lows = [0 if node.rectify else -limit, 0 if node.rectify else -sum_limit]
        if node.add:
            lows[0] = -limit
        sums = np.int32 if is_narrow else np.int64
        other = ALONE[sums]
        if is_narrow and others:
            other = others[0].ints
        elif others:
            other = Buffer((*grid, channels), np.int64, LIVE)
            for i, (each, factor) in enumerate(zip(others, factors[1:], strict=True)):
                self._call("accumulate", each.ints, factor, min(i, 1), other)
            factors = [factors[0], 1]
        self._call(
            "pointwise" if is_narrow else "pointwise_wide",
            *(value.ints, window.size, window.stride, _corner(window.pad)),
            *(np.array(scale, sums), np.array(b, sums), shift, lows[0], limit),
            *(other, np.array(factors, sums), min(sum_shift, 63), lows[1], sum_limit),
            *(tuple(grid), Buffer((words(channels) * WORD,), np.int16, scratch=True, fill=-1)),
            *(target.ints, target.corner, target.signs, target.magnitudes, target.signs_corner),
        )

    def _flatten(self, step, value, target):
        self._call("flatten", value.ints, target.ints)

    def _concatenate(self, step, *values_and_target):
        *values, target = values_and_target
        place = 0
        for before, value in zip(step.inputs, values, strict=True):
            channels = before.out_shape[0]
            if step.signs is None:
                self._call("concatenate", value.ints, place, target.ints, target.corner)
            else:
                self._call("concatenate_bits", value.signs, place // WORD, target.signs, target.signs_corner)
            place += channels

    def _average(self, step, value, target):
        operation = step.operation
        window, limit = operation.window, operation.q_out.limit
        self._call(
            "average",
            *(value.ints, window.size, window.stride, _corner(window.pad)),
            *(operation.factor, _shift(operation), -limit, limit),
            *(Buffer((step.out_shape[0],), np.int64, scratch=True), target.ints),
        )

    def _exact(self, step, *values_and_target):
        arrays = (value.ints for value in values_and_target)
        self._call("exact", step.operation, step.shapes, *arrays)

    def _folded(self, chain, value, target):
        """A filter and all up to the signs that are read next."""
        node, *between = chain
        following = [Rectify()] if node.rectify else []
        for n in between:
            following += [r for r in (n.pool, n.affine) if r] + [Rectify()] * n.rectify
        t, flips, pooled_flips = fold(node.operation, following, largest_sum(node.operation))
        outputs, *grid = node.out_shape
        if node.is_binary:
            w = sign_words(node.operation.signs, node.shape)
            base, classes = _border(node, w)
            limit, reading = (base - t) // 2, _reading(node, value.signs, w, WORD)
        else:
            # A sum is at least its threshold where that of the weights' opposites is at most the opposite.
            limit, classes = -t[np.newaxis], np.zeros(math.prod(grid), np.int32)
            reading = _reading(node, value.ints, _pairs(node, -1), WORD)
        limits = aligned_zeros((len(limit), words(outputs) * WORD), np.int32)
        limits[:] = -1
        limits[:, :outputs] = limit
        pools = [n for n in between if n.pool]
        unpooled = target
        if pools:
            unpooled = replace(NOWHERE, signs=Buffer((*grid, words(outputs)), np.uint64, LIVE))
        self._call(
            "xnor_bits" if node.is_binary else "product_bits",
            *(*reading, limits, classes, _as_words(flips), tuple(grid)),
            *_scratch(node, np.int32, WORD),
            *(unpooled.signs, unpooled.signs_corner),
        )
        if pools:
            window = pools[0].pool.window
            self._call(
                "pool_bits",
                unpooled.signs,
                *(window.size, window.stride, _corner(window.pad)),
                *(_as_words(pooled_flips), pools[0].out_shape[1:], target.signs, target.signs_corner),
            )

    def kernels(self) -> set[str]:
        """Names of all kernels that may be called."""
        return {*QUANTIZERS.values(), *(call.kernel for call in self.calls)} - {"exact"}

    def bind(self, images: int) -> tuple[dict[Buffer, NDArray], Callable[[int, str], list]]:
        """Allocate the arrays for up to ``images`` images.

        Returns
        -------
        arrays : dict of Buffer to array
        calls : function
            Takes a number of images and their type; returns the kernels' names and arguments.
        """
        arrays = self._allocate(images)

        def bound(argument, count):
            if isinstance(argument, PerTask):
                return argument.blocks_each(count, self._threads)
            return arrays[argument] if isinstance(argument, Buffer) else argument

        def calls(count, dtype):
            quantize = Call(QUANTIZERS[dtype], (self.images[dtype], *self._quantized))
            return [
                (call.kernel, (count, *(bound(a, count) for a in call.arguments)))
                for call in (quantize, *self.calls)
            ]

        return arrays, calls

    def _share_memory(self):
        """Assign each live buffer a memory that no other buffer uses at the same time."""
        first, last = {}, {}
        for i, call in enumerate((Call("quantize", self._quantized), *self.calls)):
            for b in call.arguments:
                if isinstance(b, Buffer) and b.memory == LIVE:
                    first.setdefault(b, i)
                    last[b] = i
        last[self.scores] = math.inf
        memories, wanted_until = {}, []
        for b in first:
            free = [k for k, until in enumerate(wanted_until) if until < first[b]]
            if not free:
                free = [len(wanted_until)]
                wanted_until.append(0)
            memories[b] = f"{LIVE} {free[0]}"
            wanted_until[free[0]] = last[b]
        return memories

    def _memory(self, b):
        return self._live.get(b) or b.memory or b

    def _buffers(self):
        arguments = [*self.images.values(), *self._quantized, *(a for c in self.calls for a in c.arguments)]
        return dict.fromkeys(a for a in arguments if isinstance(a, Buffer))

    def _shapes(self, images):
        """Each buffer with its array's shape."""
        return {b: (self._threads if b.scratch else images, *b.shape) for b in self._buffers()}

    def _memories(self, images):
        """Bytes of each memory: those of its largest buffer."""
        sizes = {}
        for b, shape in self._shapes(images).items():
            memory = self._memory(b)
            sizes[memory] = max(_bytes(shape, b.dtype), sizes.get(memory, 0))
        return sizes

    def _allocate(self, images):
        """Arrays of the buffers; buffers of the same memory share it."""
        memories = {memory: aligned_zeros((n,), np.uint8) for memory, n in self._memories(images).items()}
        arrays = {}
        for b, shape in self._shapes(images).items():
            size = _bytes(shape, b.dtype)
            arrays[b] = memories[self._memory(b)][:size].view(b.dtype).reshape(shape)
            if b.fill:
                arrays[b][:] = b.fill
        return arrays


def _target(step):
    """Buffers for all forms in which a step writes. Those without padding may share memory."""
    channels, *lengths = step.out_shape

    def form(pad, dtype, *depth):
        rows, columns = (n + sum(p) for n, p in zip(lengths, pad, strict=True))
        return Buffer((rows, columns, *depth), dtype, LIVE if pad == BARE else None)

    target = NOWHERE
    if step.ints is not None:
        ints = form(step.ints, np.int16, channels)
        target = replace(target, ints=ints, corner=_corner(step.ints))
    if step.signs is not None:
        signs = form(step.signs, np.uint64, words(channels))
        target = replace(target, signs=signs, signs_corner=_corner(step.signs))
    if step.magnitudes:
        target = replace(target, magnitudes=form(step.signs, np.int64))
    return target


def _corner(pad):
    return tuple(before for before, _ in pad)


def _bytes(shape, dtype):
    return math.prod(shape) * np.dtype(dtype).itemsize


def _check_bytes(taken):
    if taken > MAX_BYTES:
        raise ModelError(
            f"running one image takes {taken / 1e6:.0f} MB; the engine runs models of up to "
            f"{MAX_BYTES / 1e6:.0f} MB"
        )


def _constant_bytes(node):
    """Upper bound of the bytes of a filter's weights, bias and border, as the kernels read them."""
    outputs, *grid = node.out_shape
    pixels, rounded = math.prod(grid), words(outputs) * WORD
    bias = np.dtype(np.int64).itemsize * outputs
    taps = math.prod(node.window.size)
    if not node.is_binary:
        # Each tap has one pair more than half the channels, and each output has a limit.
        return bias + np.dtype(np.int32).itemsize * rounded * (taps * (node.shape[0] // 2 + 1) + 1)
    # Along an axis, the taps on the padding differ wherever a window begins or ends at an edge.
    ranges = (min(n, 2 * size + 1) for n, size in zip(grid, node.window.size, strict=True))
    border = np.dtype(np.int32).itemsize * (pixels + math.prod(ranges) * rounded)
    return bias + border + np.dtype(np.uint64).itemsize * rounded * taps * words(node.shape[0])


def _exact_numbers(step):
    """How many numbers an operation reads, writes and allocates."""
    return sum(map(math.prod, step.shapes)) + step.operation.taken(*step.shapes[:-1])


def _product(call, node, value, target):
    record = node.operation
    is_narrow = _fits_32_bits(record.bound(), _shift(record))
    sums = np.int32 if is_narrow else np.int64
    b, *rounding = _rounding(node)
    call(
        "product" if is_narrow else "product_wide",
        *_reading(node, value.ints, _pairs(node), BLOCK),
        *(b.astype(sums), *rounding),
        *_scratch(node, sums, BLOCK),
        target.ints,
    )


def _xnor(call, node, value, target):
    record = node.operation
    w = sign_words(record.signs, node.shape)
    is_narrow = not record.scale_inputs and _fits_32_bits(record.bound(), _shift(record))
    factors = np.int32 if is_narrow else np.int64
    x, *reading = _reading(node, value.signs, w, BLOCK)
    b, *rounding = _rounding(node)
    call(
        "xnor" if is_narrow else "xnor_wide",
        *(x, value.magnitudes if record.scale_inputs else NOWHERE.magnitudes, *reading),
        *(*_border(node, w), record.alpha.astype(factors)),
        *(b.astype(factors), *rounding),
        *_scratch(node, np.int32, BLOCK),
        target.ints,
    )


def _border(node, w):
    channels = node.shape[0] // node.operation.groups
    return border(w, channels, node.window, node.shape[1:], node.out_shape[1:])


def _pairs(node, sign=1):
    """Weights of a real filter, or their opposites."""
    w, window = real_weights(node.operation.W, node.shape), node.window
    _, length = runs_of.py_func(window.size, window.dilation, node.shape[0], w.shape[3])
    return paired(sign * w, length)


def _reading(node, x, w, multiple):
    """A filter's input and weights, ``(outputs, ...)``, and how its window moves over the one."""
    groups, window = node.operation.groups, node.window
    depth = node.shape[0] // groups
    group = words(depth) if node.is_binary else depth, -(-len(w) // groups // BLOCK)
    return x, blocked(w, multiple), window.stride, window.size, window.dilation, group


def _sum_of(add):
    """Factors of a sum of images, by how far it is shifted to the right, and its largest number."""
    pairs = zip(add.coefficients.tolist(), add.shifts, strict=True)
    factors, shift = [c << s for c, s in pairs], add.fraction_bits() - add.q_out.f
    # What all factors share is taken out of the shift.
    while shift and not any(factor & 1 for factor in factors):
        factors, shift = [factor >> 1 for factor in factors], shift - 1
    return factors, shift, add.q_out.limit


def _rounding(node):
    """Bias of each output, shift and limits of a filter."""
    record = node.operation
    b = np.zeros(node.out_shape[0], np.int64) if record.b is None else aligned_bias(record)
    limit = record.q_out.limit
    return b, _shift(record), 0 if node.rectify else -limit, limit


def _scratch(node, dtype, multiple):
    """Blocks in a task, and a thread's arrays for it."""
    outputs, rows, columns = node.out_shape
    rounded = -(-outputs // multiple) * multiple
    return (
        PerTask(rounded // BLOCK, rows * columns, multiple // BLOCK),
        Buffer((STRETCH,), np.int64, "places", scratch=True),
        Buffer((STRETCH, rounded), dtype, "sums", scratch=True),
    )


def _shift(record):
    """How far the exact result is shifted to the right; whatever is shifted by 63 bits or more is 0."""
    return min(record.fraction_bits() - record.q_out.f, 63)


def _fits_32_bits(largest, shift):
    """Whether exact results up to this magnitude can be rounded in 32 bits."""
    return shift < 31 and largest + (1 << shift) < 1 << 31


def _as_words(flags):
    """A bit for each of some flags."""
    return to_words(np.packbits(flags, bitorder="little"), len(flags))
