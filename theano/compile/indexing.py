"""Slices and indices whose values are known only when a function is called.

XLA needs lengths when it compiles, and replaces an index out of range by the nearest one in range. Theano
programs slice the data set by an index input, ``X[i * b : (i + 1) * b]``, and expect a shorter last batch,
and an ``IndexError`` for a wrong index. So lengths that follow from integer inputs are computed on the host,
before a program is chosen, and indices are checked within the program. Lengths that depend on other values
are left to the fallback.
"""

import jax
import pytensor
import pytensor.tensor as pt
from jax.experimental import checkify
from pytensor.compile.mode import Mode
from pytensor.graph.basic import Apply, Constant
from pytensor.graph.op import Op
from pytensor.graph.replace import clone_replace
from pytensor.graph.traversal import toposort
from pytensor.scan.op import Scan
from pytensor.tensor.basic import Alloc, AllocEmpty, ARange, Eye, Split
from pytensor.tensor.extra_ops import Repeat
from pytensor.tensor.shape import Reshape, Shape, Shape_i, SpecifyShape
from pytensor.tensor.subtensor import (
    AdvancedIncSubtensor,
    AdvancedSubtensor,
    IncSubtensor,
    Subtensor,
    flatten_index_variables,
    unflatten_index_variables,
)
from pytensor.tensor.type import integer_dtypes

from theano.compile.rebuilding import rebuild
from theano.compile.translation import jax_version
from theano.sandbox.rng_mrg import Draw
from theano.versions import ADVANCED_INC_SUBTENSOR1, ADVANCED_SUBTENSOR1, LENGTHS_OF_SPLIT

__all__ = ["Lengths", "must_check_indices", "raise_index_error", "with_checked_indices"]

INTO = (IncSubtensor, AdvancedIncSubtensor)
OUT_OF = (Subtensor, AdvancedSubtensor)
INTO_BY_INDEX = INTO + ADVANCED_INC_SUBTENSOR1
BY_INDEX = INTO_BY_INDEX + OUT_OF + ADVANCED_SUBTENSOR1
# Of these Ops, the inputs that are lengths: the first, and the end.
LENGTHS = {
    Alloc: slice(1, None),
    AllocEmpty: slice(None),
    ARange: slice(None),
    Draw: slice(1, None),
    Eye: slice(None),
    Repeat: slice(1, None),
    Reshape: slice(1, None),
    Scan: slice(0, 1),
    SpecifyShape: slice(1, None),
    Split: slice(LENGTHS_OF_SPLIT, None),
}


class Window(Op):
    """``x[start : start + length]`` along ``axis``, within range."""

    __props__ = ("axis", "length")

    def __init__(self, axis, length):
        self.axis, self.length = axis, length

    def make_node(self, x, start):
        shape = list(x.type.shape)
        shape[self.axis] = self.length
        return Apply(self, [x, start], [pt.TensorType(x.type.dtype, shape=shape)()])

    def perform(self, node, inputs, output_storage):
        x, start = inputs
        output_storage[0][0] = x[(slice(None),) * self.axis + (slice(start, start + self.length),)].copy()


@jax_version(Window)
def _jax_window(op, **kwargs):
    return lambda x, start: jax.lax.dynamic_slice_in_dim(x, start, op.length, op.axis)


class SetWindow(Op):
    """``x`` with ``y`` written to ``x[start : start + len(y)]`` along ``axis``."""

    __props__ = ("axis",)

    def __init__(self, axis):
        self.axis = axis

    def make_node(self, x, y, start):
        return Apply(self, [x, y, start], [x.type()])

    def perform(self, node, inputs, output_storage):
        x, y, start = inputs
        out = output_storage[0][0] = x.copy()
        out[(slice(None),) * self.axis + (slice(start, start + y.shape[self.axis]),)] = y


@jax_version(SetWindow)
def _jax_set_window(op, **kwargs):
    return lambda x, y, start: jax.lax.dynamic_update_slice_in_dim(x, y, start, op.axis)


class Lengths:
    """Lengths in a graph that depend on the values of its integer inputs.

    A program depends on the length of a slice, but not on its start. A number on which other lengths depend,
    such as the number of steps of a loop or a shape of zeros, becomes a constant of the program. Numbers are
    scalar inputs, and elements of vector inputs, such as a shape.

    Parameters
    ----------
    inputs, shared : list of Variable
        What the graph is computed from.
    expressions : list of Variable
    """

    def __init__(self, inputs, shared, expressions):
        numbers = _numbers_among(inputs, expressions)
        constants, self._slices = _find(numbers, expressions) if numbers else ((), [])
        self._constants = [v for v in numbers if v in constants]
        self._positions = list(numbers.values())
        self._constant_positions = [numbers[v] for v in self._constants]
        self._measure = _measure(inputs + shared, self._slices) if self._slices else None
        if self._measure is None:
            self._slices = []
        self._known = {}

    def __bool__(self):
        return bool(self._constants or self._slices)

    def __call__(self, shapes, values):
        """The numbers and lengths that select a program, for values of inputs and shapes of shared variables.

        Returns
        -------
        pair of tuple of int
            Numbers that become constants, and lengths of slices.
        """
        key = shapes, tuple([int(values[i][element]) for i, element in self._positions])
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= 10_000:
                self._known.clear()
            constants = tuple(int(values[i][element]) for i, element in self._constant_positions)
            lengths = tuple(map(int, self._measure(*values))) if self._measure else ()
            known = self._known[key] = constants, lengths
        return known

    def describe(self, known):
        """The result of :meth:`__call__`, by name."""
        constants, lengths = known
        named = {str(v): n for v, n in zip(self._constants, constants, strict=True)}
        return named | {
            f"slice {i} of {node.inputs[0]}": n
            for i, ((node, _), n) in enumerate(zip(self._slices, lengths, strict=True))
        }

    def fix(self, expressions, known):
        """Give a graph the lengths that :meth:`__call__` found."""
        constants, lengths = known
        new = dict(zip(self._constants, map(_constant_like, self._constants, constants), strict=True))
        lengths = dict(zip(self._slices, lengths, strict=True))
        axes = {}
        for (node, axis), length in lengths.items():
            axes.setdefault(node, {})[axis] = length

        def windowed(node, inputs):
            return [_through_windows(node.op, inputs, axes[node])] if node in axes else None

        return rebuild(expressions, windowed, new)


def _numbers_among(inputs, expressions):
    """The integers among the inputs of a call, each with the position of its input and its index in that."""
    integers = [v for v in inputs if v.type.dtype in integer_dtypes]
    numbers = {v: (inputs.index(v), ()) for v in integers if v.type.ndim == 0}
    vectors = {v for v in integers if v.type.ndim == 1}
    for node in toposort(expressions) if vectors else ():
        if isinstance(node.op, Subtensor) and node.inputs[0] in vectors and node.outputs[0].type.ndim == 0:
            (index,) = unflatten_index_variables(node.inputs[1:], node.op.idx_list)
            if isinstance(index, Constant):
                numbers[node.outputs[0]] = inputs.index(node.inputs[0]), int(index.data)
    return numbers


def _find(numbers, expressions):
    """Numbers that must be constants, and (node, axis) of each slice whose length must be known."""
    constants, slices = set(), {}
    cache = {}
    for node in toposort(expressions):
        if type(node.op) in LENGTHS:
            lengths = node.inputs[LENGTHS[type(node.op)]]
            constants.update(*(_numbers_behind(v, numbers, cache) or () for v in lengths))
        elif isinstance(node.op, INTO + OUT_OF):
            for axis, bounds in _slices_of(node):
                given = [b for b in (bounds.start, bounds.stop, bounds.step) if b is not None]
                behind = [_numbers_behind(b, numbers, cache) for b in given]
                if None in behind or not any(behind):
                    continue
                if _is_positive(bounds.step):
                    slices[node, axis] = set().union(*behind)
                else:
                    constants.update(*behind)
    return constants, [key for key, behind in slices.items() if not behind <= constants]


def _numbers_behind(variable, numbers, cache):
    """Those of ``numbers`` from which a small variable is computed, and nothing else; None if others are."""
    if variable not in cache:
        node = variable.owner
        if variable in numbers:
            cache[variable] = {variable}
        elif isinstance(variable, Constant) or (node and isinstance(node.op, Shape | Shape_i)):
            cache[variable] = set()
        elif node is None or getattr(variable.type, "ndim", 0) > 1:
            cache[variable] = None
        else:
            behind = [_numbers_behind(i, numbers, cache) for i in node.inputs]
            cache[variable] = None if None in behind else set().union(*behind)
    return cache[variable]


def _measure(arguments, slices):
    """Compile a Python function from arguments, of which it reads shapes and numbers, to lengths of slices.

    Gives None where a length depends on more than shapes and numbers.
    """
    lengths = []
    for node, axis in slices:
        bounds, whole = dict(_slices_of(node))[axis], node.inputs[0].shape[axis]
        step = 1 if bounds.step is None else bounds.step
        start, stop = _from_front(bounds.start, whole, 0), _from_front(bounds.stop, whole, whole)
        lengths.append(pt.maximum((stop - start + step - 1) // step, 0))
    copies = {a: a.type() for a in arguments}
    lengths = clone_replace(lengths, replace=copies, rebuild_strict=False, no_default_updates=True)
    with pytensor.config.change_flags(cxx=""):
        measure = pytensor.function(
            list(copies.values()), lengths, mode=Mode("py", "fast_compile"), on_unused_input="ignore"
        )
    for node in measure.maker.fgraph.apply_nodes:
        if any(getattr(o.type, "ndim", 0) > 1 for o in node.outputs):
            return None
    # Arrays on the device are let in: only their shapes are read.
    measure.trust_input = True
    return measure


def _through_windows(op, inputs, lengths):
    """``x[indices]``, or ``x`` with it replaced, by way of the part of ``x`` that the slices leave."""
    into = isinstance(op, INTO)
    x, values, indices = inputs[0], inputs[1 : 1 + into], inputs[1 + into :]
    indices = list(unflatten_index_variables(indices, op.idx_list))
    views, starts = [x], []
    for axis, length in lengths.items():
        bounds = indices[axis]
        starts.append(_from_front(bounds.start, views[-1].shape[axis], 0))
        step = 1 if bounds.step is None else int(bounds.step.data)
        indices[axis] = slice(None, None, bounds.step)
        window = Window(axis, max((length - 1) * step + 1, 0))
        views.append(window(views[-1], starts[-1]))
    idx_list, flat = flatten_index_variables(indices)
    rest = type(op)(**{**op._props_dict(), "idx_list": idx_list})
    out = rest(views.pop(), *values, *flat)
    if into:
        for axis, start in zip(reversed(lengths), reversed(starts), strict=True):
            out = SetWindow(axis)(views.pop(), out, start)
    return out


def _from_front(bound, length, default):
    """A bound of a slice as a number from 0 to ``length``."""
    if bound is None:
        return pt.as_tensor_variable(default)
    bound = pt.as_tensor_variable(bound).astype("int64")
    return pt.clip(pt.switch(bound < 0, bound + length, bound), 0, length)


def _slices_of(node):
    """Axis and bounds of each slice among the indices of a node."""
    indices = unflatten_index_variables(node.inputs[1 + isinstance(node.op, INTO) :], node.op.idx_list)
    if any(getattr(i, "dtype", "") == "bool" for i in indices):
        # A mask may take several axes; and JAX has none of unknown length.
        return []
    return [(axis, index) for axis, index in enumerate(indices) if isinstance(index, slice)]


def _is_positive(step):
    return step is None or (isinstance(step, Constant) and step.data > 0)


def _constant_like(variable, value):
    return pt.constant(value, dtype=variable.type.dtype)


def with_checked_indices(program):
    """Make a program for JAX return, after its results, whether its indices were in range."""
    checked = checkify.checkify(program, errors=checkify.index_checks)

    def checking_program(*arguments):
        error, (outputs, new_state, _) = checked(*arguments)
        return outputs, new_state, error

    return checking_program


def must_check_indices(expressions):
    """Whether a graph has indices that may be out of range.

    Raises
    ------
    IndexError
        An index that the graph itself holds is.
    """
    for node in toposort(expressions):
        if isinstance(node.op, Scan) and must_check_indices(node.op.inner_outputs):
            return True
        if isinstance(node.op, BY_INDEX) and not _in_range(node):
            return True
    return False


def _in_range(node):
    """Whether all indices of a node are known to be in range."""
    indices = unflatten_index_variables(
        node.inputs[1 + isinstance(node.op, INTO_BY_INDEX) :], node.op.idx_list
    )
    for axis, (index, length) in enumerate(zip(indices, node.inputs[0].type.shape, strict=False)):
        if isinstance(index, slice):
            continue
        if not isinstance(index, Constant) or index.type.dtype == "bool" or length is None:
            return False
        if index.data.size and not -length <= index.data.min() <= index.data.max() < length:
            raise IndexError(f"Index {index.data} is out of range for axis {axis} of length {length}")
    return True


def raise_index_error(error, function):
    """Raise if a program used an index that is out of range.

    Raises
    ------
    IndexError
    """
    message = error.get()
    if message:
        found = message.strip().splitlines()[0].removeprefix("out-of-bounds indexing for array of ")
        raise IndexError(f"{function} was asked for elements that do not exist: {found}")
