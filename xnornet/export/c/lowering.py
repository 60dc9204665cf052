"""Lower a graph to layers in C: choose the kernels, the forms of data and their places in the arena.

A value lies in the arena as signs, a bit each, wherever all that read it read signs, and as numbers of 16
bits elsewhere. Between a layer with weights and the next signs, affine layers, rectifiers and pooling become
one comparison, which is found by the engine's own `fold`. How that looks in C is left to ``layers``.
"""

import math
from dataclasses import dataclass, field, replace

from xnornet.engine.steps import as_image
from xnornet.errors import ModelError
from xnornet.graph import (
    Affine,
    Clip,
    Concatenate,
    Flatten,
    LeakyRectify,
    MaxPool,
    Pad,
    Quantize,
    Rectify,
    Requantize,
    Reshape,
    ScaledBias,
    Slice,
    Upscale,
    Window,
)
from xnornet.graph.filters import Binary, Filter

__all__ = [
    "ALIGNMENT",
    "Layer",
    "Memory",
    "Value",
    "borders_of",
    "is_direct",
    "is_scaled",
    "lower",
    "window_of",
]

# Alignment of the arena and of everything in it.
ALIGNMENT = 4

SCALAR = (Rectify, Clip, LeakyRectify, Requantize)
MOVING = (Flatten, Reshape, Slice, Pad, Upscale, Concatenate)

# Layers whose output may overwrite their input.
IN_PLACE = ("affine", "pointwise")


@dataclass(eq=False)
class Memory:
    """A part of the arena.

    Attributes
    ----------
    bytes : int
    first, last : int
        Layers from which and up to which it is wanted.
    offset : int
        Where it begins.
    """

    bytes: int
    first: int = 0
    last: int = 0
    offset: int = 0


@dataclass(eq=False)
class Value:
    """Output of a layer.

    Attributes
    ----------
    shape : tuple of int
        ``(channels, rows, columns)`` as it lies in the arena, channels last.
    signs : bool
        Whether it lies there as signs, and not as numbers.
    memory : Memory
    node : int or None
        The graph's node whose output it is, if it is one's.
    """

    shape: tuple
    signs: bool
    memory: Memory
    node: int | None = None

    @property
    def count(self):
        return math.prod(self.shape)


@dataclass(eq=False)
class Layer:
    """One function in C.

    Attributes
    ----------
    kind : str
        Its emitter in ``layers``.
    inputs : list of Value
    output : Value
    operation : Operation or None
        What it computes, or None where only the form of numbers changes.
    following : list of Operation
        What is computed along with it, up to the signs or numbers that it gives.
    node : int
        The last node that it computes.
    scratch : Memory or None
    """

    kind: str
    inputs: list
    output: Value
    operation: object = None
    following: list = field(default_factory=list)
    node: int = 0
    scratch: Memory | None = None
    name: str = ""


def lower(graph):
    """Lower a graph in integers.

    Returns
    -------
    layers : list of Layer
    scores : Value
    arena : int
        Bytes.

    Raises
    ------
    ModelError
        An operation has no form in C.
    """
    lowering = _Lowering(graph)
    lowering.ask()
    for i in range(len(graph.nodes)):
        lowering.make(i)
    scores = lowering.numbers[len(graph.nodes) - 1]
    return lowering.layers, scores, _lay_out(lowering.layers, scores)


class _Lowering:
    def __init__(self, graph):
        self.graph, self.shapes = graph, [as_image(shape) for shape in graph.shapes()]
        self.readers = graph.consumers()
        self.free = self._free_to_lie()
        self.wanted = [set() for _ in graph.nodes]
        self.layers, self.numbers, self.signs = [], {}, {}

    def operation(self, i):
        return self.graph.nodes[i].operation

    def _free_to_lie(self):
        """Of each node, whether all that read it take its numbers in any order: weights are put into it."""
        free = [False] * len(self.graph.nodes)
        for i in reversed(range(len(free))):
            free[i] = bool(self.readers[i]) and all(
                free[k]
                if isinstance(self.operation(k), (*SCALAR, Flatten, Reshape))
                else isinstance(self.operation(k), Filter) and self.operation(k).window is None
                for k in self.readers[i]
            )
        return free

    # ---- what is wanted in which form, from the scores to the image

    def ask(self):
        self.wanted[-1].add("numbers")
        for i in reversed(range(len(self.wanted))):
            if self.wanted[i]:
                base, _ = self._start(i)
                for k, forms in self._asks(i, base):
                    self.wanted[k] |= forms

    def _asks(self, i, base):
        operation = self.operation(base)
        inputs = self.graph.nodes[base].inputs
        if self._keeps_signs(i):
            return [(k, {"signs"}) for k in inputs]
        if self.wanted[i] == {"signs"} and not _is_comparable(operation):
            # Numbers that are compared: this node's, or those of the one where comparing begins.
            if base != i:
                return [(base, {"numbers"})]
            self.wanted[i].add("numbers")
        if isinstance(operation, Binary):
            return [(k, {"signs", "numbers"} if is_scaled(operation) else {"signs"}) for k in inputs]
        return [(k, {"numbers"}) for k in inputs]

    def _keeps_signs(self, i):
        return self.wanted[i] == {"signs"} and isinstance(self.operation(i), MOVING)

    def _start(self, i):
        """Where the layer that gives a node begins, and the operations from there on to it."""
        following, k, pools = [], i, 0
        signs = self.wanted[i] == {"signs"}
        while k == i or len(self.readers[k]) == 1:
            operation = self.operation(k)
            if isinstance(operation, Filter) and (_is_comparable(operation) or not signs):
                return k, following
            pool = isinstance(operation, MaxPool)
            pools += pool
            if pools > 1 or not (
                _is_monotone(operation) if signs else isinstance(operation, Rectify | MaxPool)
            ):
                break
            if pool and not signs and _overlaps(operation.window):
                break
            following.insert(0, operation)
            (k,) = self.graph.nodes[k].inputs
        return (k, following) if signs else (i, [])

    # ---- layers, from the image to the scores

    def make(self, i):
        if not self.wanted[i]:
            return
        base, following = self._start(i)
        operation = self.operation(base)
        if self._keeps_signs(i):
            self._move(i, signs=True)
        elif self.wanted[i] == {"signs"} and _is_comparable(operation):
            self._filter(i, base, following, signs=True)
        elif self.wanted[i] == {"signs"}:
            self._pack(i, self.numbers[base], following)
        else:
            if isinstance(operation, Filter):
                self._filter(i, base, following, signs=False)
            else:
                self._numbers(i)
            if "signs" in self.wanted[i]:
                self._pack(i, self.numbers[i], [])

    def _put(self, kind, inputs, i, signs=False, shape=None, **more):
        shape = self.shapes[i] if shape is None else shape
        node = more.pop("of", i)
        size = -(-math.prod(shape) // 32) * 4 if signs else 2 * math.prod(shape)
        value = Value(shape, signs, Memory(size), node)
        self.layers.append(Layer(kind, inputs, value, node=i, **more))
        return value

    def _filter(self, i, base, following, signs):
        operation, (before,) = self.operation(base), self.graph.nodes[base].inputs
        inputs = [self.signs[before] if isinstance(operation, Binary) else self.numbers[before]]
        if is_scaled(operation):
            inputs.append(self.numbers[before])
        scratch = Memory(_scratch(operation, inputs[0].shape))
        more = {"operation": operation, "following": following, "scratch": scratch}
        pools = [r for r in following if isinstance(r, MaxPool)]
        if signs and pools and _overlaps(pools[0].window):
            shape = as_image(operation.shape(self.graph.shapes()[before]))
            unpooled = self._put("filter", inputs, i, True, shape, of=None, **more)
            self.signs[i] = self._put(
                "max pool", [unpooled], i, True, operation=pools[0], following=following
            )
            return
        made = self._put("filter", inputs, i, signs, **more)
        (self.signs if signs else self.numbers)[i] = made

    def _pack(self, i, numbers, following):
        pools = [r for r in following if isinstance(r, MaxPool)]
        if not pools:
            self.signs[i] = self._put("pack", [numbers], i, True, numbers.shape, following=following)
            return
        unpooled = self._put("pack", [numbers], i, True, numbers.shape, following=following, of=None)
        self.signs[i] = self._put("max pool", [unpooled], i, True, operation=pools[0], following=following)

    def _numbers(self, i):
        operation, node = self.operation(i), self.graph.nodes[i]
        inputs = [self.numbers[k] for k in node.inputs]
        if isinstance(operation, MOVING):
            self._move(i, signs=False)
            return
        kinds = {"max pool": "max pool", "average pool": "average pool", "add": "add", "affine": "affine"}
        kind = kinds.get(operation.kind)
        if isinstance(operation, Quantize):
            kind = "quantize"
        elif isinstance(operation, SCALAR):
            kind = "pointwise"
        if kind is None:
            raise ModelError(f"node {i} ({operation.kind}): has no form in C")
        # What is computed number by number lies as its input does.
        shape = inputs[0].shape if kind == "pointwise" else None
        self.numbers[i] = self._put(kind, inputs, i, shape=shape, operation=operation)

    def _move(self, i, signs):
        operation, node = self.operation(i), self.graph.nodes[i]
        values = self.signs if signs else self.numbers
        inputs = [values[k] for k in node.inputs]
        if isinstance(operation, Flatten | Reshape):
            channels, rows, columns = inputs[0].shape
            flat = channels == 1 or rows * columns == 1
            if self.free[i]:
                values[i] = replace(inputs[0], node=i)
                return
            if flat and self.shapes[i][1:] == (1, 1):
                values[i] = replace(inputs[0], node=i, shape=self.shapes[i])
                return
            if not flat and self.shapes[i][1:] != (1, 1):
                inputs = [self._put("move", inputs, i, signs, (inputs[0].count, 1, 1), operation=Flatten())]
        values[i] = self._put("move", inputs, i, signs, operation=operation)


def is_scaled(operation):
    """Whether the product of signs is scaled by the sum of ``|I|``."""
    return isinstance(operation, ScaledBias) or getattr(operation, "scale_inputs", False)


def _is_comparable(operation):
    """Whether what a layer with weights gives can be one comparison of its product."""
    untied = isinstance(operation, Filter) and operation.b is not None and operation.b.ndim > 1
    return isinstance(operation, Filter) and not is_scaled(operation) and not untied


def _is_monotone(operation):
    if isinstance(operation, LeakyRectify):
        return operation.slope[0] >= 0
    return isinstance(operation, Affine | Rectify | Clip | Requantize | MaxPool)


def _overlaps(window):
    return any(stride < size for stride, size in zip(window.stride, window.size, strict=True))


def window_of(operation, shape):
    """A filter's window on an input of this shape; a dense layer's is its whole input."""
    return operation.window or Window(shape[1:], (1, 1), ((0, 0), (0, 0)))


def is_direct(operation, shape):
    """Whether what the window meets lies in one piece in the input, and begins with a word."""
    window, (channels, *lengths) = window_of(operation, shape), shape
    if operation.groups > 1 or any(map(any, window.pad)):
        return False
    if window.size == tuple(lengths) and window.dilation == (1, 1):
        return True
    return window.size == (1, 1) and (channels % 32 == 0 or not isinstance(operation, Binary))


def borders_of(operation, shape):
    """Positions of a binary filter's window beside the left and the right border whose corrections are kept.

    Signs beside the image are counted as zeros; by how much that changes a filter's product is the same in
    all rows of the image.
    """
    window = window_of(operation, shape)
    lengths = [-(-pad // window.dilation[1]) for pad in window.pad[1]]
    kept = isinstance(operation, Binary) and sum(lengths) <= 32 and operation.fan_in() < 1 << 15
    return lengths if kept else [0, 0]


def _scratch(operation, shape):
    """Bytes of a window, and of a mask and corrections for signs."""
    if is_direct(operation, shape):
        return 0
    taps, filters = operation.fan_in(), operation.weights[0] // operation.groups
    if not isinstance(operation, Binary):
        return 4 * -(-taps // 2)
    return 2 * 4 * -(-taps // 32) + 2 * filters * sum(borders_of(operation, shape))


def _lay_out(layers, scores):
    """Give each memory its place; returns the bytes of all."""
    last = {}
    for i, layer in enumerate(layers):
        for value in layer.inputs:
            last[value.memory] = i
    last[scores.memory] = len(layers)
    for i, layer in enumerate(layers):
        memory = layer.output.memory
        if layer.kind in IN_PLACE and last[layer.inputs[0].memory] == i:
            shared = layer.inputs[0].memory
            last[shared] = last.pop(memory, i)
            for value in (scores, *(v for each in layers for v in (each.output, *each.inputs))):
                if value.memory is memory:
                    value.memory = shared
    memories = []
    for i, layer in enumerate(layers):
        if layer.scratch:
            layer.scratch.first = layer.scratch.last = i
            memories.append(layer.scratch)
        memory = layer.output.memory
        if memory not in memories:
            memory.first, memory.last = i, last.get(memory, i)
            memories.append(memory)
    placed = []
    for memory in sorted(memories, key=lambda m: -m.bytes):
        others = sorted(
            (m for m in placed if m.first <= memory.last and memory.first <= m.last), key=lambda m: m.offset
        )
        for other in others:
            if memory.offset + memory.bytes <= other.offset:
                break
            memory.offset = max(memory.offset, -(-(other.offset + other.bytes) // ALIGNMENT) * ALIGNMENT)
        placed.append(memory)
    return max(-(-(m.offset + m.bytes) // ALIGNMENT) * ALIGNMENT for m in memories)
