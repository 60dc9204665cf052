"""A graph as steps that one kernel each computes, so that each filter finds its input in the form it takes.

Which kernel that is, and on which arrays, is left to ``plan``. An operation that no kernel computes is a step
of its own, which runs by its definition.
"""

import math
from dataclasses import dataclass, replace

from xnornet.engine.kernels import WORD
from xnornet.engine.layout import words
from xnornet.graph import XNOR, Add, Affine, AveragePool, Flatten, Linear, MaxPool, Rectify, Window

__all__ = ["WHOLE", "Step", "as_image", "folded_chain", "is_sparse", "steps_of"]

# Words of channels are rather empty from so many bits for each sign on.
MOST_BITS = 1.5

# The window of what looks at one pixel at a time.
WHOLE = Window((1, 1), (1, 1), ((0, 0), (0, 0)))


@dataclass(eq=False)
class Step:
    """Operations that one kernel computes.

    Attributes
    ----------
    kind : str
        "quantize"; "filter", a layer with weights and a rectifier behind it; "pointwise", pooling, batch norm
        and rectifier in this order, each there or not; "flatten"; "add", of two; "average"; or "exact", any
        other operation.
    shape : tuple of int
        Of the first input, as ``(channels, rows, columns)``.
    inputs : list of Step
    operation : Operation or None
        A filter's, the quantizer's, or what is to be computed exactly.
    shapes : tuple
        Shapes of the inputs, and of the output, as an exact operation takes them.
    pool : MaxPool or None
    affine : Affine or None
    rectify : bool
    readers : int
        Steps that read the output; one more of the step that gives the scores.
    """

    kind: str
    shape: tuple
    inputs: list
    operation: object = None
    shapes: tuple = ()
    pool: MaxPool | None = None
    affine: Affine | None = None
    rectify: bool = False
    readers: int = 0

    @property
    def out_shape(self):
        if self.kind == "flatten":
            return (math.prod(self.shape), 1, 1)
        if self.shapes:
            return as_image(self.shapes[-1])
        operation = self.operation if self.kind == "filter" else self.pool
        return as_image(operation.shape(self.shape)) if operation else self.shape

    @property
    def is_binary(self):
        return isinstance(self.operation, XNOR)

    @property
    def window(self):
        """A filter's window; a dense layer's is its whole input."""
        return self.operation.window or replace(WHOLE, size=self.shape[1:])

    @property
    def bare(self):
        """Whether the quantizer, or a pointwise step, may write for its one reader in that one's form."""
        return self.kind in ("quantize", "pointwise") and self.readers == 1


def steps_of(graph):
    """Lower a graph to steps.

    Returns
    -------
    list of Step
        In an order in which each comes behind its inputs; the last one gives the scores. The input of each
        binary filter is a pointwise step that it alone reads, that of a real one may be the quantizer too.
    """
    shapes, consumers = graph.shapes(), _consumers(graph)
    flattens = _flattens(graph, consumers)
    shape = as_image(graph.input_shape)
    if flattens[0]:
        shape = (math.prod(shape), 1, 1)
    steps = [Step("quantize", shape, [], graph.nodes[0].operation)]
    # Of each node, the step that computes it, and whether nothing but the node's one consumer needs that.
    made, alone = [steps[0]], [len(consumers[0]) == 1]
    for i, node in enumerate(graph.nodes[1:], 1):
        operation, inputs = node.operation, [made[k] for k in node.inputs]
        before, free = inputs[0], alone[node.inputs[0]]
        step = None
        if _has_kernel(operation):
            step = Step("filter", before.out_shape, inputs, operation)
        elif isinstance(operation, MaxPool):
            step = Step("pointwise", before.out_shape, inputs, pool=operation)
        elif isinstance(operation, Affine):
            if free and before.kind == "pointwise" and not before.affine and not before.rectify:
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
        else:
            own = (*(shapes[k] for k in node.inputs), shapes[i])
            kind = {Add: "add", AveragePool: "average"}.get(type(operation), "exact")
            if kind == "add" and len(inputs) != 2:
                kind = "exact"
            step = Step(kind, before.out_shape, inputs, operation, own)
        if step is not None:
            steps.append(step)
        made.append(before if step is None else step)
        alone.append(len(consumers[i]) == 1 and (free or step is not None))
    return _prepared(steps, made[-1])


def _has_kernel(operation):
    if not isinstance(operation, XNOR | Linear) or operation.groups != 1:
        return False
    if operation.b is not None and operation.b.ndim > 1:
        return False
    return operation.window is None or operation.window.dilation == (1, 1)


def _consumers(graph):
    """Numbers of the nodes that use each node."""
    consumers = [[] for _ in graph.nodes]
    for i, node in enumerate(graph.nodes):
        for k in node.inputs:
            consumers[k].append(i)
    return consumers


def _flattens(graph, consumers):
    """Of each node, whether all that use it, but for rectifiers, take an image of any shape as features."""
    flattens = [False] * len(graph.nodes)

    def takes_features(k):
        operation = graph.nodes[k].operation
        if isinstance(operation, Rectify):
            return flattens[k]
        dense = _has_kernel(operation) and operation.window is None
        return dense or isinstance(operation, Flatten)

    for i in reversed(range(len(graph.nodes))):
        flattens[i] = bool(consumers[i]) and all(map(takes_features, consumers[i]))
    return flattens


def _prepared(steps, scores):
    """Flatten where signs would leave their words too empty, and put pointwise steps before filters."""
    _count_readers(steps, scores)
    prepared = []

    def put(step):
        prepared.append(step)
        return step

    for step in steps:
        if step.kind == "filter":
            (before,) = step.inputs
            dense = step.is_binary and step.operation.window is None and step.shape[1:] != (1, 1)
            if dense and is_sparse(step.shape) and not folded_chain(step):
                before = put(Step("flatten", step.shape, [before], readers=1))
                step.shape = before.out_shape
            if not before.bare or (step.is_binary and before.kind == "quantize"):
                before = put(Step("pointwise", step.shape, [before], readers=1))
            step.inputs = [before]
        prepared.append(step)
    if scores.kind == "quantize":
        scores = put(Step("pointwise", scores.shape, [scores], readers=1))
    # The last step in the list gives the scores, and nothing behind it is needed.
    assert prepared[-1] is scores
    return prepared


def _count_readers(steps, scores):
    for step in steps:
        for before in step.inputs:
            before.readers += 1
    scores.readers += 1


def is_sparse(shape):
    """Whether words of channels would be rather empty."""
    return words(shape[0]) * WORD > MOST_BITS * shape[0]


def folded_chain(step):
    """Steps from another binary filter to this one, if the signs it reads come straight from there.

    Returns
    -------
    list of Step
        That filter and the pointwise steps between, in order; empty if it is not so.
    """
    if not step.is_binary or step.operation.scale_inputs:
        return []
    chain, (before,) = [], step.inputs
    while before.readers == 1 and before.kind in ("pointwise", "filter"):
        chain.insert(0, before)
        if before.kind == "filter":
            between = chain[1:]
            if not before.is_binary or before.operation.scale_inputs:
                return []
            return chain if sum(s.pool is not None for s in between) <= 1 else []
        (before,) = before.inputs
    return []


def as_image(shape):
    """A shape of one to three lengths as that of an image."""
    return (*shape, *[1] * (3 - len(shape)))
