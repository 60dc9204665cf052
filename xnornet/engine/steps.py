"""Lower a graph to steps, each computed by one kernel, and choose the forms of their outputs.

``plan`` chooses the kernels and arrays. An operation without a kernel is a separate step, which runs by its
definition.
"""

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from xnornet.engine.kernels import WORD, runs_of
from xnornet.engine.layout import words
from xnornet.fixedpoint import Q
from xnornet.graph import (
    XNOR,
    Add,
    Affine,
    AveragePool,
    Concatenate,
    Flatten,
    Linear,
    MaxPool,
    Rectify,
    Requantize,
    Window,
)
from xnornet.graph.filters import Binary
from xnornet.hints import Shape
from xnornet.vectors import BLOCK

if TYPE_CHECKING:
    from xnornet.graph.graph import Graph

__all__ = ["WHOLE", "Step", "as_image", "folded_chain", "is_sparse", "largest_sum", "steps_of"]

# Words of channels count as sparse if they have more than this many bits for each sign.
MOST_BITS = 1.5

Padding: TypeAlias = tuple[tuple[int, int], tuple[int, int]]

# No padding around an image.
BARE = ((0, 0), (0, 0))

# The window of an operation that reads one pixel at a time.
WHOLE = Window((1, 1), (1, 1), BARE)


@dataclass(eq=False)
class Step:
    """Operations that one kernel computes.

    Attributes
    ----------
    kind : str
        "quantize"; "filter", a layer with weights and a rectifier behind it; "pointwise", pooling, batch
        norm, the sum with further inputs and rectifier in this order, each there or not; "flatten";
        "average"; "concatenate"; or "exact", any other operation.
    shape : tuple of int
        Of the first input, as ``(channels, rows, columns)``.
    inputs : list of Step
    operation : Operation or None
        A filter's, the quantizer's, or what is to be computed exactly.
    shapes : tuple
        Shapes of the inputs, and of the output, as an exact operation takes them.
    pool : MaxPool or None
    affine : Affine or None
    add : Add or None
        Its coefficients are in the order of the inputs.
    rectify : bool
    readers : int
        Steps that read the output; one more of the step that gives the scores.
    ints, signs : pair of (int, int) or None
        The padding around the integers and the signs that it writes; None if no step reads them.
    magnitudes : bool
        Whether it writes the sums of magnitudes beside the signs.
    """

    kind: str
    shape: Shape
    inputs: "list[Step]"
    operation: Any = None
    shapes: tuple[Shape, ...] = ()
    pool: MaxPool | None = None
    affine: Affine | None = None
    add: Add | None = None
    rectify: bool = False
    readers: int = 0
    ints: Padding | None = None
    signs: Padding | None = None
    magnitudes: bool = False

    @property
    def out_shape(self) -> Shape:
        if self.kind == "flatten":
            return (math.prod(self.shape), 1, 1)
        if self.shapes:
            return as_image(self.shapes[-1])
        operation = self.operation if self.kind == "filter" else self.pool
        return as_image(operation.shape(self.shape)) if operation else self.shape

    @property
    def is_binary(self) -> bool:
        return isinstance(self.operation, XNOR)

    @property
    def window(self) -> Window:
        """A filter's window; a dense layer's is its whole input."""
        _, rows, columns = self.shape
        return self.operation.window or replace(WHOLE, size=(rows, columns))

    @property
    def reads(self) -> tuple[bool, Padding]:
        """The form of its inputs: whether signs, and the padding around them."""
        if self.kind == "filter":
            return self.is_binary, self.window.pad
        return self.kind == "concatenate" and self.signs is not None, BARE

    @property
    def scales(self) -> bool:
        """Whether it reads sums of magnitudes."""
        return self.kind == "filter" and self.is_binary and self.operation.scale_inputs


def steps_of(graph: "Graph") -> list[Step]:
    """Lower a graph to steps.

    Returns
    -------
    list of Step
        In an order in which each comes behind its inputs; the last one gives the scores. Each writes in the
        forms in which others read it.
    """
    shapes, consumers = graph.shapes(), graph.consumers()
    flattens = _flattens(graph, consumers)
    shape = as_image(graph.input_shape)
    if flattens[0]:
        shape = (math.prod(shape), 1, 1)
    first = Step("quantize", shape, [], graph.nodes[0].operation)
    steps = {first: None}
    # Of each node, the step that computes it, and whether nothing but the node's one consumer needs that.
    made, alone = [first], [len(consumers[0]) == 1]
    for i, node in enumerate(graph.nodes[1:], 1):
        operation, inputs = node.operation, [made[k] for k in node.inputs]
        before, free = inputs[0], alone[node.inputs[0]]
        step = None
        if isinstance(operation, Requantize):
            operation = _as_affine(operation, before.out_shape[0])
        if _has_kernel(operation, before.out_shape):
            step = Step("filter", before.out_shape, inputs, operation)
        elif isinstance(operation, MaxPool):
            step = Step("pointwise", before.out_shape, inputs, pool=operation)
        elif isinstance(operation, Affine):
            if free and before.kind == "pointwise" and not _is_full(before):
                before.affine = operation
            else:
                step = Step("pointwise", before.out_shape, inputs, affine=operation)
        elif isinstance(operation, Rectify):
            if free and before.kind in ("pointwise", "filter"):
                before.rectify = True
            else:
                step = Step("pointwise", before.out_shape, inputs, rectify=True)
        elif isinstance(operation, Flatten):
            if before.out_shape[1:] != (1, 1) and not flattens[i]:
                step = Step("flatten", before.out_shape, inputs)
        elif isinstance(operation, Add) and len(inputs) > 1:
            # Behind a batch norm that is read by nothing else, in the same pass.
            order = list(range(len(inputs)))
            fitting = [k for k in order if alone[node.inputs[k]] and _takes_sum(inputs[k])]
            if fitting:
                order.insert(0, order.pop(fitting[0]))
                step = inputs[order[0]]
                # All that it is the sum of comes before it.
                del steps[step]
            else:
                step = Step("pointwise", before.out_shape, [before])
            step.inputs = [*step.inputs, *(inputs[k] for k in order[1:])]
            shifts = tuple(operation.shifts[k] for k in order)
            step.add = replace(operation, coefficients=operation.coefficients[order], shifts=shifts)
        else:
            own = (*(shapes[k] for k in node.inputs), shapes[i])
            kind = {AveragePool: "average", Concatenate: "concatenate"}.get(type(operation), "exact")
            step = Step(kind, before.out_shape, inputs, operation, own)
        if step is not None:
            steps[step] = None
        made.append(before if step is None else step)
        alone.append(len(consumers[i]) == 1 and (free or step is not None))
    return _prepared(list(steps), made[-1])


def _as_affine(operation, channels):
    """A change of formats as a batch norm whose scales are the unit of the finer one."""
    bits = max(0, operation.q_out.f - operation.q_in.f)
    scale, b, q_b = np.full(channels, 1 << bits), np.zeros(channels, np.int64), operation.q_in
    return Affine(scale, Q(15, 15 - bits), b, q_b, operation.q_in, operation.q_out)


def _is_full(step):
    """Whether no batch norm can be added to a pointwise step."""
    return step.affine or step.add or step.rectify


def _takes_sum(step):
    return step.kind == "pointwise" and not step.add and not step.rectify


def _has_kernel(operation, shape):
    """Whether a filter has a kernel: its groups are whole words and blocks, its numbers are at least two."""
    if not isinstance(operation, XNOR | Linear):
        return False
    if operation.b is not None and operation.b.ndim > 1:
        return False
    binary = isinstance(operation, XNOR)
    if operation.groups > 1 and operation.weights[0] // operation.groups % BLOCK:
        return False
    if operation.groups > 1 and binary and (operation.scale_inputs or operation.weights[1] % WORD):
        return False
    return binary or _run(operation, shape) > 1


def _run(operation, shape):
    """How many numbers of a real filter's window are contiguous."""
    window = operation.window or replace(WHOLE, size=shape[1:])
    return runs_of.py_func(window.size, window.dilation, shape[0], shape[0] // operation.groups)[1]


def largest_sum(operation: Binary | Linear) -> int:
    """Largest magnitude of a filter's product."""
    if isinstance(operation, Binary):
        return operation.fan_in()
    return operation.q_in.limit * int(np.abs(operation.W).reshape(len(operation.W), -1).sum(axis=1).max())


def _flattens(graph, consumers):
    """Of each node, whether all that use it, but for rectifiers, take an image of any shape as features."""
    flattens = [False] * len(graph.nodes)

    def takes_features(k):
        operation = graph.nodes[k].operation
        if isinstance(operation, Rectify):
            return flattens[k]
        dense = isinstance(operation, XNOR | Linear) and operation.window is None
        return dense or isinstance(operation, Flatten)

    for i in reversed(range(len(graph.nodes))):
        flattens[i] = bool(consumers[i]) and all(map(takes_features, consumers[i]))
    return flattens


def _prepared(steps, scores):
    """Flatten where signs would leave their words too empty, and choose the forms in which steps write."""
    _count_readers(steps, scores)
    flattened = []
    for step in steps:
        if step.kind == "filter" and step.is_binary and step.operation.window is None:
            (before,) = step.inputs
            folded = not step.scales and before.readers == 1 and folded_chain(before)
            if step.shape[1:] != (1, 1) and is_sparse(step.shape) and not folded:
                step.inputs = [Step("flatten", step.shape, [before])]
                step.shape = step.inputs[0].out_shape
                flattened += step.inputs
        flattened.append(step)
    if scores.kind == "quantize":
        scores = Step("pointwise", scores.shape, [scores])
        flattened.append(scores)
    # The last step in the list gives the scores, and nothing behind it is needed.
    assert flattened[-1] is scores
    prepared, readers = [], {step: [] for step in flattened}
    # A step's form is chosen before those of its inputs.
    for step in reversed(flattened):
        copies = _choose_forms(step, readers[step], step is scores)
        for reader in (*copies, step):
            prepared.append(reader)
        for before in dict.fromkeys(step.inputs):
            readers[before].append(step)
    prepared.reverse()
    _count_readers(prepared, scores)
    return prepared


def _choose_forms(step, readers, is_scores):
    """Choose the forms in which a step writes; returns additional steps that write the other forms."""
    wanted = {(False, BARE): []} if is_scores else {}
    for reader in readers:
        wanted.setdefault(reader.reads, []).append(reader)
    signs, ints = ([form for form in wanted if form[0] == are_signs] for are_signs in (True, False))
    scaled = any(reader.scales for reader in readers)
    if step.kind == "concatenate" and len(signs) == 1 and not ints and not scaled and _has_words(step):
        step.signs = signs[0][1]
        return []
    if step.kind == "pointwise" and signs:
        own, *signs = signs
        step.signs, step.magnitudes = own[1], any(reader.scales for reader in wanted[own])
    others = [*signs, *(form for form in ints if form[1] != BARE)]
    pads = step.kind in ("pointwise", "quantize")
    if pads and len(ints) == 1 and not signs:
        step.ints, others = ints[0][1], []
    elif ints or signs:
        step.ints = BARE
    copies = []
    for are_signs, pad in others:
        copy = Step("pointwise", step.out_shape, [step])
        if are_signs:
            copy.signs, copy.magnitudes = pad, any(r.scales for r in wanted[are_signs, pad])
        else:
            copy.ints = pad
        for reader in wanted[are_signs, pad]:
            reader.inputs = [copy if before is step else before for before in reader.inputs]
        copies.append(copy)
    return copies


def _has_words(step):
    """Whether the channels of all inputs but the last are whole words."""
    return all(before.out_shape[0] % WORD == 0 for before in step.inputs[:-1])


def _count_readers(steps, scores):
    for step in steps:
        step.readers = 0
    for step in steps:
        for before in step.inputs:
            before.readers += 1
    scores.readers += 1


def is_sparse(shape: Shape) -> bool:
    """Whether words of channels would have many unused bits."""
    return words(shape[0]) * WORD > MOST_BITS * shape[0]


def folded_chain(last: Step) -> list[Step]:
    """Steps from a filter to one of which the signs alone are wanted, if they come straight from there.

    Returns
    -------
    list of Step
        That filter and the pointwise steps behind it, in order; empty if it is not so.
    """
    chain = []
    while last.kind == "pointwise" and not last.add:
        chain.append(last)
        (last,) = last.inputs
        if last.readers != 1:
            return []
    if last.kind != "filter" or sum(s.pool is not None for s in chain) > 1:
        return []
    if last.scales or largest_sum(last.operation) >= 1 << 31:
        return []
    return [last, *reversed(chain)]


def as_image(shape: Shape) -> Shape:
    """A shape of one to three lengths as that of an image."""
    return (*shape, *[1] * (3 - len(shape)))
