"""From records to kernel calls: which kernel computes what, on which arrays.

Records are grouped into nodes, and nodes become calls. A plan is made once; :meth:`Plan.bind` lays out its
arrays for a number of images and threads, and then nothing is left to decide or to allocate.
"""

import math
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from xnornet.engine.kernels import STRETCH, WORD
from xnornet.engine.layout import aligned_zeros, blocked, border, real_weights, sign_words, to_words, words
from xnornet.engine.nodes import WHOLE, is_folded, nodes_of
from xnornet.engine.thresholds import fold
from xnornet.model import ModelError, Rectify, output_shapes
from xnornet.model.quantized import aligned_bias
from xnornet.vectors import BLOCK

__all__ = ["Buffer", "Call", "Plan", "PerTask"]

# What a model's arrays may take together for one image: a file of a few bytes can ask for any.
MAX_BYTES = 1 << 30

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
        Buffers of the same memory overlap, and are not wanted at the same time.
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
    model : QuantizedModel
        One that ``xnornet.model.check_model`` takes.
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
        Where it counts what is not a number, for each thread.
    scores : Buffer
    most_images : int
        How many may be run at a time, at least one, for the arrays to stay within the gigabyte.
    """

    def __init__(self, model, threads=1):
        nodes = nodes_of(model)
        constant = sum(_constant_bytes(node) for node in nodes if node.kind == "filter")
        _check_bytes(constant)
        self.calls = []
        self._threads = threads
        self.input_shape = nodes[0].shape
        self.images = {name: Buffer(self.input_shape, np.dtype(name), "images") for name in QUANTIZERS}
        self.lost = Buffer((), np.int64, scratch=True)
        value = self._target(nodes, 0)
        q = nodes[0].record.q_out
        self._quantized = (2.0**q.f, float(q.limit), value.ints, value.corner, self.lost)
        filters = [i for i, node in enumerate(nodes) if node.kind == "filter"]
        next_filter = dict(pairwise(filters))
        i = 1
        while i < len(nodes):
            after = next_filter.get(i)
            if after is not None and is_folded(nodes, after):
                value = self._folded(nodes[i:after], value, self._target(nodes, after - 1))
                i = after
                continue
            target = self._target(nodes, i)
            getattr(self, f"_{nodes[i].kind}")(nodes[i], value, target)
            value = target
            i += 1
        self.scores = value.ints
        self.output_shape = output_shapes(model)[-1]
        one, two = (constant + sum(self._memories(images).values()) for images in (1, 2))
        _check_bytes(one)
        self.most_images = 1 + (MAX_BYTES - one) // (two - one)

    def as_scores(self, ints):
        """The last kernel's output, ``(n, rows, columns, channels)``, in the shape of the scores."""
        return ints.transpose(0, 3, 1, 2).reshape(-1, *self.output_shape)

    def _target(self, nodes, i):
        """Where ``nodes[i]`` writes, which the node behind it decides."""
        channels, rows, columns = nodes[i].out_shape
        if i + 1 == len(nodes):
            return replace(NOWHERE, ints=Buffer((rows, columns, channels), np.int16))
        following = nodes[i + 1]
        if following.kind != "filter" or nodes[i].kind in ("filter", "flatten"):
            # What is read once, by the next call, lies where what the one before read did.
            memory = ("even", "odd")[i % 2]
            return replace(NOWHERE, ints=Buffer((rows, columns, channels), np.int16, memory))
        pad = following.window.pad
        rows, columns = (n + sum(p) for n, p in zip((rows, columns), pad, strict=True))
        corner = (pad[0][0], pad[1][0])
        if not following.is_binary:
            return replace(NOWHERE, ints=Buffer((rows, columns, channels), np.int16), corner=corner)
        signs = Buffer((rows, columns, words(channels)), np.uint64)
        magnitudes = NOWHERE.magnitudes
        if following.record.scale_inputs:
            magnitudes = Buffer((rows, columns), np.int64)
        return Target(NOWHERE.ints, signs, magnitudes, corner)

    def _call(self, kernel, *arguments):
        self.calls.append(Call(kernel, arguments))

    def _filter(self, node, value, target):
        (_xnor if node.is_binary else _product)(self._call, node, value, target)

    def _pointwise(self, node, value, target):
        window = node.pool.window if node.pool else WHOLE
        channels, *grid = node.out_shape
        limit, scale, b, shift = 2**15, np.zeros(0, np.int64), np.zeros(0, np.int64), 0
        if node.affine:
            record = node.affine
            limit, shift = record.q_out.limit, _shift(record)
            scale, b = record.scale.astype(np.int64), aligned_bias(record).astype(np.int64)
        self._call(
            "pointwise",
            value.ints,
            *(window.size, window.stride, _before(window)),
            *(scale, b, shift, 0 if node.rectify else -limit, limit),
            tuple(grid),
            Buffer((words(channels) * WORD,), np.int16, scratch=True, fill=-1),
            *(target.ints, target.signs, target.magnitudes, target.corner),
        )

    def _flatten(self, node, value, target):
        self._call("flatten", value.ints, target.ints)

    def _folded(self, nodes, value, target):
        """A binary filter and all up to the next one's signs."""
        node, *between = nodes
        following = [Rectify()] if node.rectify else []
        for n in between:
            following += [r for r in (n.pool, n.affine) if r] + [Rectify()] * n.rectify
        w = sign_words(node.record.signs, node.shape)
        fan_in = math.prod(node.record.signs.shape[1:])
        t, flips, pooled_flips = fold(node.record, following, fan_in)
        base, classes = border(w, node.shape[0], node.window, node.shape[1:], node.out_shape[1:])
        if len(t) > 1:
            base, classes = base[classes], np.arange(len(t), dtype=np.int32)
        outputs, *grid = node.out_shape
        limits = aligned_zeros((len(base), words(outputs) * WORD), np.int32)
        limits[:] = -1
        limits[:, :outputs] = (base - t) // 2
        pools = [n for n in between if n.pool]
        unpooled = target
        if pools:
            signs = Buffer((*grid, words(outputs)), np.uint64, "signs")
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
        return {*QUANTIZERS.values(), *(call.kernel for call in self.calls)}

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
            memory = b.memory or b
            sizes[memory] = max(_bytes(shape, b.dtype), sizes.get(memory, 0))
        return sizes

    def _allocate(self, images):
        """Arrays of the buffers, those of the same memory from the same."""
        memories = {memory: aligned_zeros((n,), np.uint8) for memory, n in self._memories(images).items()}
        arrays = {}
        for b, shape in self._shapes(images).items():
            size = _bytes(shape, b.dtype)
            arrays[b] = memories[b.memory or b][:size].view(b.dtype).reshape(shape)
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
    untied = node.is_untied
    bias = np.dtype(np.int64).itemsize * outputs * (pixels if untied else 1)
    taps = math.prod(node.window.size)
    if not node.is_binary:
        return bias + np.dtype(np.int16).itemsize * rounded * taps * node.shape[0]
    # Along an axis, a window has taps of its own on the padding wherever its beginning or end meets an edge.
    ranges = (min(n, 2 * size + 1) for n, size in zip(grid, node.window.size, strict=True))
    classes = pixels if untied else math.prod(ranges)
    border = np.dtype(np.int32).itemsize * (pixels + classes * rounded)
    return bias + border + np.dtype(np.uint64).itemsize * rounded * taps * words(node.shape[0])


def _product(call, node, value, target):
    record = node.record
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
    record = node.record
    w = sign_words(record.signs, node.shape)
    base, classes = border(w, node.shape[0], node.window, node.shape[1:], node.out_shape[1:])
    c = np.zeros(len(w), np.int64)
    if record.c is not None:
        c += record.c << (record.q_alpha.f - record.q_c.f)
    x, *reading = _reading(node, value.signs, w, BLOCK)
    call(
        "xnor",
        *(x, value.magnitudes, *reading),
        *(base, classes, record.alpha.astype(np.int64), c),
        *_rounding(node),
        *_scratch(node, np.int32, BLOCK),
        target.ints,
    )


def _reading(node, x, w, multiple):
    return x, blocked(w, multiple), node.window.stride, node.window.size


def _rounding(node):
    """Bias of each pixel and output, shift and limits of a filter."""
    record, (outputs, *_) = node.record, node.out_shape
    b = np.zeros((outputs, 1), np.int64) if record.b is None else aligned_bias(record).reshape(outputs, -1)
    limit = record.q_out.limit
    low = 0 if node.rectify else -limit
    return np.ascontiguousarray(b.T, np.int64), _shift(record), low, limit


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
    return min(record.product_f - record.q_out.f, 63)


def _before(window):
    return tuple(before for before, _ in window.pad)


def _as_words(flags):
    """A bit for each of some flags."""
    return to_words(np.packbits(flags, bitorder="little"), len(flags))
