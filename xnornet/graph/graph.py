"""A network as a graph of operations, and the checks that it must pass before it runs."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from typing import Any

from xnornet.errors import ModelError
from xnornet.fixedpoint import Q
from xnornet.graph.checks import MAX_LENGTH, check_format, check_numbers, is_count
from xnornet.graph.formats import ACCUMULATOR_BITS
from xnornet.graph.operation import Operation, kind_of_field
from xnornet.graph.quantizing import Quantize
from xnornet.hints import Shape

__all__ = ["Graph", "Node", "check_graph"]

# Most numbers that all operations may read and write for one image: 256 MiB of 16-bit words.
MAX_ACTIVATIONS = 1 << 27

# Axes of a value beside the batch.
MAX_AXES = 3


@dataclass(frozen=True)
class Node:
    """An operation and what it works on.

    Attributes
    ----------
    operation : Operation
    inputs : tuple of int
        Nodes that come before. The first node of a graph has none: it takes the image.
    name : str
        A name for people to read.
    """

    operation: Operation
    inputs: tuple[int, ...] = ()
    name: str = ""


@dataclass(frozen=True)
class Graph:
    """A network: nodes in an order in which each comes behind its inputs. The last one gives the scores.

    Attributes
    ----------
    input_shape : tuple of int
        Shape of one image, ``(channels, rows, columns)``, or of one to three lengths.
    nodes : tuple of Node
        The operation of the first is ``Quantize``.
    """

    input_shape: Shape
    nodes: tuple[Node, ...]

    @classmethod
    def chain(cls, input_shape: Shape, operations: Iterable[Operation]) -> "Graph":
        """A graph in which each operation reads the output of the one before."""
        nodes = (Node(each, (i - 1,) if i else ()) for i, each in enumerate(operations))
        return cls(tuple(input_shape), tuple(nodes))

    @property
    def operations(self) -> list[Operation]:
        return [node.operation for node in self.nodes]

    @property
    def q_out(self) -> Q | None:
        """Format of the scores; None in a graph of real parameters."""
        return self.formats()[-1]

    def evaluate(self, visitor: Callable[..., Any], *start: Any) -> list:
        """Compute a value for each node from the values of its inputs.

        Parameters
        ----------
        visitor : function
            ``visitor(operation, *values)``
        *start
            Values of the first node.

        Returns
        -------
        list
            The visitor's result for each node.
        """
        values = []
        for node in self.nodes:
            found = [values[i] for i in node.inputs] if node.inputs else start
            values.append(visitor(node.operation, *found))
        return values

    def consumers(self) -> list[list[int]]:
        """For each node, the indices of the nodes that read it."""
        consumers = [[] for _ in self.nodes]
        for i, node in enumerate(self.nodes):
            for k in node.inputs:
                consumers[k].append(i)
        return consumers

    def shapes(self) -> list[Shape]:
        """Shape of each node's output, without the batch axis."""
        return self.evaluate(lambda operation, *shapes: operation.shape(*shapes), self.input_shape)

    def formats(self) -> list[Q | None]:
        """Format of each node's output."""
        return self.evaluate(lambda operation, *formats: operation.q(*formats), None)


def check_graph(graph: Graph) -> None:
    """Check everything about a graph in integers that running it relies on.

    Each node comes behind its inputs, shapes follow from one another, every number is within its format, each
    operation takes the formats that its inputs have, every rounding is a shift to the right, no exact result
    reaches ``2**62`` whatever the image, every window meets the image, every node but the last is used, and
    one image takes bounded memory. A shift to the right may be larger than 62; its result is 0.

    Parameters
    ----------
    graph : Graph

    Raises
    ------
    ModelError
        One line that names the node, counted from 0, the value found and the value expected.
    """
    _check_input_shape(graph.input_shape)
    _check_order(graph)
    shapes, formats, numbers = [], [], math.prod(graph.input_shape)
    for i, node in enumerate(graph.nodes):
        operation = node.operation
        try:
            own_shapes = [shapes[k] for k in node.inputs] or [graph.input_shape]
            own_formats = [formats[k] for k in node.inputs]
            _check_parameters(operation, own_formats)
            _check_operation(operation, own_shapes, own_formats)
            numbers += operation.taken(*own_shapes)
            shape = operation.shape(*own_shapes)
            numbers += math.prod(shape)
            if numbers > MAX_ACTIVATIONS:
                raise ModelError(
                    f"the nodes up to this one should take and give at most {MAX_ACTIVATIONS} numbers for "
                    f"an image; found {numbers}"
                )
            if not 1 <= len(shape) <= MAX_AXES:
                raise ModelError(f"an output should have 1 to {MAX_AXES} lengths; found {shape}")
        except ModelError as error:
            raise ModelError(f"node {i} ({operation.kind}): {error}") from error
        shapes.append(shape)
        formats.append(operation.q(*own_formats) if own_formats else operation.q_out)


def _check_input_shape(shape):
    lengths = len(shape) if isinstance(shape, tuple) else 0
    if not 1 <= lengths <= MAX_AXES or not all(is_count(n) for n in shape):
        raise ModelError(
            f"an input should have 1 to {MAX_AXES} lengths, such as (channels, rows, columns), each 1 to "
            f"{MAX_LENGTH}; found {shape}"
        )
    if math.prod(shape) > MAX_ACTIVATIONS:
        raise ModelError(f"an input should have at most {MAX_ACTIVATIONS} numbers; found shape {shape}")


def _check_order(graph):
    """Each node has as many inputs as it takes, all before it, and all nodes lead to the scores."""
    for i, node in enumerate(graph.nodes):
        if not isinstance(node.operation, Operation):
            raise ModelError(f"node {i}: {type(node.operation).__name__} is no operation")
    firsts = [i for i, node in enumerate(graph.nodes) if isinstance(node.operation, Quantize)]
    if firsts != [0]:
        raise ModelError(
            "a graph should quantize its input in its first node and nowhere else; found "
            f"{len(firsts)} such nodes among {len(graph.nodes)}"
        )
    used = set()
    for i, node in enumerate(graph.nodes):
        inputs = node.inputs
        many = node.operation.takes_many
        if not isinstance(inputs, tuple) or not (inputs == () if i == 0 else many or len(inputs) == 1):
            raise ModelError(
                f"node {i} ({node.operation.kind}): should have {0 if i == 0 else 1} inputs; found {inputs}"
            )
        for k in inputs:
            if type(k) is not int or not 0 <= k < i:
                raise ModelError(
                    f"node {i} ({node.operation.kind}): inputs should be nodes before it; found {k!r}"
                )
        if i and not inputs:
            raise ModelError(f"node {i} ({node.operation.kind}): should have inputs; found none")
        used.update(inputs)
    unused = sorted(set(range(len(graph.nodes) - 1)) - used)
    if unused:
        raise ModelError(f"each node but the last should be used; node {unused[0]} is not")


def _check_parameters(operation, formats):
    """Types, formats and ranges of an operation's parameters."""
    for field in fields(operation):
        kind, optional = kind_of_field(field)
        value = getattr(operation, field.name)
        if kind is Q:
            # A format of what is not there is None.
            if value is not None or getattr(operation, field.name.removeprefix("q_"), 0) is not None:
                check_format(field.name, value)
        elif value is None:
            if not optional:
                raise ModelError(f"{field.name} should be there; found none")
        elif not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            found = type(value).__name__
            raise ModelError(f"{field.name} should be of type {kind.__name__}; found {found}")
    for name in operation.arrays():
        check_numbers(name, getattr(operation, name), getattr(operation, f"q_{name}"))
    q_in = getattr(operation, "q_in", None)
    if q_in is not None and not operation.takes_many and q_in != formats[0]:
        raise ModelError(f"q_in should be {formats[0]}, which the node before gives; found {q_in}")


def _check_operation(operation, shapes, formats):
    operation.check(shapes, formats)
    f = operation.fraction_bits()
    if f is not None and f < operation.q_out.f:
        raise ModelError(
            f"q_out should have at most the {f} fraction bits of the product, so that it is shifted to the "
            f"right; found {operation.q_out.f}"
        )
    bound = operation.bound()
    if bound >= 1 << ACCUMULATOR_BITS:
        raise ModelError(f"no exact result should reach 2**{ACCUMULATOR_BITS}; this one may reach {bound}")
