"""From a graph to kernel calls: which kernel computes what, on which arrays.

Operations are grouped into steps, and steps become calls. A plan is made once; :meth:`Plan.bind` lays out its
arrays for a number of images and threads, and then nothing is left to decide or to allocate.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from xnornet.engine.kernels import STRETCH, WORD
from xnornet.engine.layout import aligned_zeros, blocked, border, real_weights, sign_words, to_words, words
from xnornet.engine.steps import WHOLE, folded_chain, steps_of
from xnornet.engine.thresholds import aligned_bias, fold
from xnornet.errors import ModelError
from xnornet.graph import Rectify
from xnornet.vectors import BLOCK

__all__ = ["Buffer", "Call", "Plan", "PerTask"]

# What a model's arrays may take together for one image: a file of a few bytes can ask for any.
MAX_BYTES = 1 << 30

# Memory that is given by liveness.
LIVE = "live"

# Bytes of a number where an operation runs by its definition, and arrays of its size at a time.
EXACT_BYTES, EXACT_ARRAYS = 8, 4

# The kernel that rounds images of a type.
QUANTIZERS = {"float32": "quantize", "float64": "quantize_double"}

# Tasks of a filter for each thread, so that one which is held up leaves less to wait for.
TASKS_EACH = 4


@dataclass(frozen=True, eq=False)
class Buffer:
    """An array that calls write and read: ``(images, *shape)``, or ``(threads, *shape)`` for scratch.

    Attributes
    ----------
    shape : tuple of int
    dtype : NumPy type
    memory : str or None
        Buffers of the same memory overlap, and are not wanted at the same time. Those of memory ``LIVE`` are
        written as a whole before they are read, and share memory with those that are not wanted meanwhile.
    scratch : bool
    fill : int
        What it holds before the first call.
    """

    shape: tuple
    dtype: type
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

    def blocks_each(self, images, threads):
        stretches = -(-images * self.pixels // STRETCH)
        each = -(-self.blocks // max(1, TASKS_EACH * threads // stretches))
        return -(-each // self.multiple) * self.multiple


@dataclass(frozen=True, eq=False)
class Call:
    """A kernel and its arguments behind the number of images; buffers and ``PerTask`` stand for what they
    become.
    """

    kernel: str
    arguments: tuple


@dataclass(frozen=True, eq=False)
class Target:
    """Where a node's output goes: integers, signs, sums of magnitudes, as the next node reads them.

    What is not wanted is an array of no rows.
    """

    ints: object
    signs: object
    magnitudes: object
    corner: tuple


NOWHERE = Target(
    np.zeros((0, 0, 0, 0), np.int16), np.zeros((0, 0, 0, 0), np.uint64), np.zeros((0, 0, 0), np.int64), (0, 0)
)


class Plan:
    """The calls that compute a model's scores.

    Parameters
    ----------
    graph : Graph
        One that ``xnornet.graph.check_graph`` takes.
    threads : int

    Raises
    ------
    ModelError
        Running one image takes more than a gigabyte. It is told before the memory is taken.

    Attributes
    ----------
    input_shape : tuple of int
        ``(channels, rows, columns)`` as the first kernel is to be given the images; those of a net that
        begins with a dense layer are features.
    output_shape : tuple of int
        Of the scores of an image.
    calls : list of Call
        Behind the quantizer.
    images : dict of str to Buffer
        What the quantizer reads, of either type: "float32", "float64".
    lost : Buffer
        Where it counts what is not a number, and what is beyond the input's format, for each thread.
    scores : Buffer
    most_images : int
        How many may be run at a time, at least one, for the arrays to stay within the gigabyte.
    """

    def __init__(self, graph, threads=1):
        steps = steps_of(graph)
        constant = sum(_constant_bytes(step) for step in steps if step.kind == "filter")
        _check_bytes(constant)
        self.calls = []
        self._threads = threads
        self.input_shape = steps[0].shape
        self.images = {name: Buffer(self.input_shape, np.dtype(name), "images") for name in QUANTIZERS}
        self.lost = Buffer((2,), np.int64, scratch=True)
        reader = {before: step for step in steps for before in step.inputs}
        self._targets = {step: self._target(step, reader.get(step)) for step in steps}
        q, first = steps[0].operation.q_out, self._targets[steps[0]]
        self._quantized = (2.0**q.f, float(q.limit), first.ints, first.corner, self.lost)
        chains = {chain[0]: chain for step in steps if step.kind == "filter" if (chain := folded_chain(step))}
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
        # What an operation without a kernel takes while it runs is not laid out beforehand.
        exact = max((_exact_numbers(step) for step in steps if step.kind == "exact"), default=0)
        exact *= EXACT_BYTES * EXACT_ARRAYS
        one, two = (constant + n * exact + sum(self._memories(n).values()) for n in (1, 2))
        _check_bytes(one)
        self.most_images = 1 + (MAX_BYTES - one) // (two - one)

    def as_scores(self, ints):
        """The last kernel's output, ``(n, rows, columns, channels)``, in the shape of the scores."""
        return ints.transpose(0, 3, 1, 2).reshape(-1, *self.output_shape)

    def _target(self, step, reader):
        """Where a step writes: in the form of its one reader, where it can, else integers."""
        channels, rows, columns = step.out_shape
        if not step.bare or reader is None or reader.kind != "filter":
            return replace(NOWHERE, ints=Buffer((rows, columns, channels), np.int16, LIVE))
        pad = reader.window.pad
        rows, columns = (n + sum(p) for n, p in zip((rows, columns), pad, strict=True))
        corner = (pad[0][0], pad[1][0])
        if not reader.is_binary:
            return replace(NOWHERE, ints=Buffer((rows, columns, channels), np.int16), corner=corner)
        signs = Buffer((rows, columns, words(channels)), np.uint64)
        magnitudes = NOWHERE.magnitudes
        if reader.operation.scale_inputs:
            magnitudes = Buffer((rows, columns), np.int64)
        return Target(NOWHERE.ints, signs, magnitudes, corner)

    def _call(self, kernel, *arguments):
        self.calls.append(Call(kernel, arguments))

    def _filter(self, node, value, target):
        (_xnor if node.is_binary else _product)(self._call, node, value, target)

    def _pointwise(self, node, value, target):
        window = node.pool.window if node.pool else WHOLE
        channels, *grid = node.out_shape
        limit, scale, b, shift, is_narrow = 2**15, (), (), 0, True
        if node.affine:
            operation = node.affine
            limit, shift = operation.q_out.limit, _shift(operation)
            scale, b = operation.scale, aligned_bias(operation)
            is_narrow = _fits_32_bits(operation.bound(), shift)
        sums = np.int32 if is_narrow else np.int64
        self._call(
            "pointwise" if is_narrow else "pointwise_wide",
            value.ints,
            *(window.size, window.stride, _before(window)),
            *(np.array(scale, sums), np.array(b, sums), shift, 0 if node.rectify else -limit, limit),
            tuple(grid),
            Buffer((words(channels) * WORD,), np.int16, scratch=True, fill=-1),
            *(target.ints, target.signs, target.magnitudes, target.corner),
        )

    def _flatten(self, step, value, target):
        self._call("flatten", value.ints, target.ints)

    def _add(self, step, x, y, target):
        operation = step.operation
        pairs = zip(operation.coefficients.tolist(), operation.shifts, strict=True)
        factors, shift = [c << s for c, s in pairs], operation.fraction_bits() - operation.q_out.f
        # What all factors share is taken out of the shift.
        while shift and not any(factor & 1 for factor in factors):
            factors, shift = [factor >> 1 for factor in factors], shift - 1
        limit = operation.q_out.limit
        is_narrow = _fits_32_bits((1 << 15) * sum(map(abs, factors)), shift)
        self._call(
            "add" if is_narrow else "add_wide",
            *(x.ints, y.ints, np.array(factors, np.int32 if is_narrow else np.int64)),
            *(min(shift, 63), -limit, limit, target.ints),
        )

    def _average(self, step, value, target):
        operation = step.operation
        window, limit = operation.window, operation.q_out.limit
        self._call(
            "average",
            *(value.ints, window.size, window.stride, _before(window)),
            *(operation.factor, _shift(operation), -limit, limit),
            *(Buffer((step.out_shape[0],), np.int64, scratch=True), target.ints),
        )

    def _exact(self, step, *values_and_target):
        arrays = (value.ints for value in values_and_target)
        self._call("exact", step.operation, step.shapes, *arrays)

    def _folded(self, chain, value, target):
        """A binary filter and all up to the next one's signs."""
        node, *between = chain
        following = [Rectify()] if node.rectify else []
        for n in between:
            following += [r for r in (n.pool, n.affine) if r] + [Rectify()] * n.rectify
        w = sign_words(node.operation.signs, node.shape)
        fan_in = math.prod(node.operation.signs.shape[1:])
        t, flips, pooled_flips = fold(node.operation, following, fan_in)
        base, classes = border(w, node.shape[0], node.window, node.shape[1:], node.out_shape[1:])
        outputs, *grid = node.out_shape
        limits = aligned_zeros((len(base), words(outputs) * WORD), np.int32)
        limits[:] = -1
        limits[:, :outputs] = (base - t) // 2
        pools = [n for n in between if n.pool]
        unpooled = target
        if pools:
            signs = Buffer((*grid, words(outputs)), np.uint64, LIVE)
            unpooled = replace(NOWHERE, signs=signs)
        self._call(
            "xnor_bits",
            *_reading(node, value.signs, w, WORD),
            *(limits, classes, _as_words(flips), tuple(grid)),
            *_scratch(node, np.int32, WORD),
            *(unpooled.signs, unpooled.corner),
        )
        if pools:
            window = pools[0].pool.window
            self._call(
                "pool_bits",
                unpooled.signs,
                *(window.size, window.stride, _before(window)),
                *(_as_words(pooled_flips), pools[0].out_shape[1:], target.signs, target.corner),
            )
        return target

    def kernels(self):
        """Names of all kernels that may be called."""
        return {*QUANTIZERS.values(), *(call.kernel for call in self.calls)} - {"exact"}

    def bind(self, images):
        """Lay out the arrays for up to so many images.

        Returns
        -------
        arrays : dict of Buffer to array
        calls : function
            For a number of images and their type, the kernels' names and arguments.
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
        """A memory for each live buffer, which no other has that is wanted at the same time."""
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
        """Bytes of each memory, which is as large as the largest of its buffers."""
        sizes = {}
        for b, shape in self._shapes(images).items():
            memory = self._memory(b)
            sizes[memory] = max(_bytes(shape, b.dtype), sizes.get(memory, 0))
        return sizes

    def _allocate(self, images):
        """Arrays of the buffers, those of the same memory from the same."""
        memories = {memory: aligned_zeros((n,), np.uint8) for memory, n in self._memories(images).items()}
        arrays = {}
        for b, shape in self._shapes(images).items():
            size = _bytes(shape, b.dtype)
            arrays[b] = memories[self._memory(b)][:size].view(b.dtype).reshape(shape)
            if b.fill:
                arrays[b][:] = b.fill
        return arrays


def _bytes(shape, dtype):
    return math.prod(shape) * np.dtype(dtype).itemsize


def _check_bytes(taken):
    if taken > MAX_BYTES:
        raise ModelError(
            f"running one image takes {taken / 1e6:.0f} MB; the engine runs models of up to "
            f"{MAX_BYTES / 1e6:.0f} MB"
        )


def _constant_bytes(node):
    """At most what a filter's weights, bias and border take as the kernels read them."""
    outputs, *grid = node.out_shape
    pixels, rounded = math.prod(grid), words(outputs) * WORD
    bias = np.dtype(np.int64).itemsize * outputs
    taps = math.prod(node.window.size)
    if not node.is_binary:
        return bias + np.dtype(np.int16).itemsize * rounded * taps * node.shape[0]
    # Along an axis, a window has taps of its own on the padding wherever its beginning or end meets an edge.
    ranges = (min(n, 2 * size + 1) for n, size in zip(grid, node.window.size, strict=True))
    border = np.dtype(np.int32).itemsize * (pixels + math.prod(ranges) * rounded)
    return bias + border + np.dtype(np.uint64).itemsize * rounded * taps * words(node.shape[0])


def _exact_numbers(step):
    """Numbers that an operation takes and gives, and lays out meanwhile."""
    return sum(map(math.prod, step.shapes)) + step.operation.taken(*step.shapes[:-1])


def _product(call, node, value, target):
    record = node.operation
    w = real_weights(record.W, node.shape)
    largest = record.q_in.limit * int(np.abs(record.W).reshape(len(w), -1).sum(axis=1).max())
    is_wide = largest >= 1 << 31
    call(
        "product_wide" if is_wide else "product",
        *_reading(node, value.ints, w, BLOCK),
        *_rounding(node),
        *_scratch(node, np.int64 if is_wide else np.int32, BLOCK),
        target.ints,
    )


def _xnor(call, node, value, target):
    record = node.operation
    w = sign_words(record.signs, node.shape)
    base, classes = border(w, node.shape[0], node.window, node.shape[1:], node.out_shape[1:])
    x, *reading = _reading(node, value.signs, w, BLOCK)
    call(
        "xnor",
        *(x, value.magnitudes, *reading),
        *(base, classes, record.alpha.astype(np.int64)),
        *_rounding(node),
        *_scratch(node, np.int32, BLOCK),
        target.ints,
    )


def _reading(node, x, w, multiple):
    return x, blocked(w, multiple), node.window.stride, node.window.size


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


def _before(window):
    return tuple(before for before, _ in window.pad)


def _as_words(flags):
    """A bit for each of some flags."""
    return to_words(np.packbits(flags, bitorder="little"), len(flags))
