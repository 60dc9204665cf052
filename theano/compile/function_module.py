"""``theano.function``: one JAX program for each set of input shapes.

XLA wants static shapes and Lasagne's graphs do not have them. A function is therefore specialised on first
use of each set of shapes: its graph is cloned onto inputs of static shape, PyTensor folds every shape
expression, and the result is compiled. The versions used last are kept. Graphs that JAX cannot express run
on PyTensor's default backend, with one warning.
"""

import gc
import warnings
from collections import OrderedDict
from collections.abc import Callable
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import cache, cached_property, wraps
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytensor
from pytensor.compile.mode import get_mode, predefined_optimizers
from pytensor.compile.rebuild import UnusedInputError
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.basic import Variable
from pytensor.graph.fg import FunctionGraph
from pytensor.graph.replace import clone_replace
from pytensor.graph.traversal import ancestors, get_var_by_name
from pytensor.graph.utils import MissingInputError
from pytensor.link.basic import Container
from pytensor.scan.op import Scan
from pytensor.tensor.type import DenseTensorType, TensorType

from theano.compile.buckets import Buckets
from theano.compile.channels_last import with_channels_last
from theano.compile.indexing import Lengths, must_check_indices, raise_index_error, with_checked_indices
from theano.compile.rebuilding import with_counted_lengths, with_static_shapes
from theano.compile.sharding import Placement, place
from theano.compile.sharedvalue import (
    TensorSharedVariable,
    store_together,
    to_device,
    to_host,
)
from theano.compile.translation import translate, with_64_bits
from theano.compile.users_ops import error_of_user
from theano.configparser import CHOICES, config
from theano.versions import COPY_INNER_GRAPHS

__all__ = ["Function", "In", "Out", "UnusedInputError", "Version", "function"]

# Arrays of at least this many bytes are reused: malloc gets memory of that size from the kernel, at a cost.
WORTH_KEEPING = 1 << 17
# A function that is compiled for this many sets of shapes warns that it compiles for each set.
MANY_VERSIONS = 8


@dataclass(eq=False)
class In:
    """An input of a function with its options.

    Parameters
    ----------
    variable : Variable
    name : str, optional
        Keyword under which it may be passed; by default the variable's own name.
    value : array_like, optional
        Value used when the caller gives none.
    strict : bool
        Refuse values that need conversion.
    allow_downcast : bool, optional
        Convert to the variable's dtype even where precision is lost.
    update : Variable, optional
        Expression whose result replaces ``value`` after each call.
    borrow, mutable, autoname, implicit : bool, optional
        Accepted as in Theano. Inputs are never changed here.
    """

    variable: Variable
    name: str | None = None
    value: Any = None
    update: Variable | None = None
    mutable: bool | None = None
    strict: bool = False
    allow_downcast: bool | None = None
    autoname: bool = True
    implicit: bool | None = None
    borrow: bool | None = None

    def __post_init__(self):
        self.name = self.name or self.variable.name
        if self.update is not None:
            self.update = self.variable.type.filter_variable(self.update, allow_convert=True)


@dataclass(eq=False)
class Out:
    """An output of a function. ``borrow`` is accepted as in Theano; results are always the caller's own."""

    variable: Variable
    borrow: bool = False


def function(
    inputs,
    outputs=None,
    mode=None,
    updates=None,
    givens=None,
    no_default_updates=False,
    accept_inplace=False,
    name=None,
    rebuild_strict=True,
    allow_input_downcast=None,
    profile=None,
    on_unused_input=None,
    shardings=None,
):
    """Compile a graph into a callable.

    Parameters
    ----------
    inputs : list of Variable or In
    outputs : Variable, list or dict of Variable, or None
        What a call returns, in the same form, as NumPy arrays.
    mode : str or Mode, optional
        ``'JAX'`` (the default, from ``config.mode``), or one of PyTensor's: ``'FAST_COMPILE'`` runs Python
        code at once, ``'FAST_RUN'`` compiles with PyTensor's default backend.
    updates : dict or list of pairs, optional
        Shared variables and the expressions stored in them after each call.
    givens : dict or list of pairs, optional
        Variables of the graph and what replaces them.
    no_default_updates : bool or list of shared variables
        Leave all, or the listed, default updates out.
    name : str, optional
    rebuild_strict : bool
        Require each of ``givens`` to have the type of what it replaces.
    allow_input_downcast : bool, optional
        Convert inputs to the declared dtype even where precision is lost.
    on_unused_input : {'raise', 'warn', 'ignore'}, optional
        What to do about an input that no output depends on; by default as ``config.on_unused_input`` says,
        which is ``'raise'`` unless changed.
    shardings : dict, optional
        Inputs and shared variables, and the ``jax.sharding.NamedSharding`` of each, all of one mesh: the
        function then runs on all devices of the mesh. Arrays that are not listed, or that the devices cannot
        divide evenly, are copied to each device. Results differ from those of one device only by the order
        of sums.
    accept_inplace, profile
        Accepted as in Theano; without effect.

    Returns
    -------
    Function

    Raises
    ------
    UnusedInputError
        An input is not part of the graph.
    TypeError
        An update does not fit its shared variable, or an argument is not of the form described above.
    MissingInput
        An output depends on a variable that is not an input; also a ``ValueError``.
    ValueError
        One variable has two updates or givens; ``mode`` or ``on_unused_input`` has an unknown value; a
        sharding is of neither an input nor a shared variable, or shardings are of two meshes.
    """
    if not isinstance(inputs, list | tuple):
        raise TypeError(f"The inputs of a function come in a list; got {type(inputs).__name__}")
    inputs = [_input(i, allow_input_downcast) for i in inputs]
    keys, outputs = _flatten_outputs(outputs)
    updates = _check_updates(updates)
    givens = _check_givens(givens)
    given, inputs = inputs, [_cut_off(i, givens) for i in inputs]
    outputs = outputs + [i.update for i in inputs if i.update is not None]
    _add_default_updates(outputs, updates, givens, no_default_updates)
    expressions = outputs + list(updates.values())
    if givens:
        expressions = _clone(expressions, givens, rebuild_strict)
    _check_inputs(inputs, expressions, _choice("on_unused_input", on_unused_input or config.on_unused_input))
    updated, expressions = _join_aliases(list(updates), expressions)
    expressions = with_counted_lengths(expressions)
    _let_variables_evaluate()
    fresh = {old.variable: new.variable for old, new in zip(given, inputs, strict=True)}
    shardings = {fresh.get(v, v): sharding for v, sharding in (shardings or {}).items()}
    return Function(inputs, keys, expressions, updated, mode, name, shardings)


@dataclass(eq=False)
class Version:
    """A function compiled for one set of shapes.

    Attributes
    ----------
    shapes : dict
        Each input and shared variable of the function, and its shape.
    numbers : dict
        Further numbers that the program depends on: values of integer inputs, and lengths of slices.
    fixed, updated : list of shared variables
        Those that the function only reads, and those that it updates.
    program : callable
        ``program(inputs, fixed, state, spare) -> (outputs, new_state, index_error)``, the first two of them
        lists of arrays. ``state`` holds the values of ``updated``, and ``spare`` arrays of the shapes of the
        large ones, whose memory the program takes over for ``new_state``. ``index_error`` says whether an
        index was out of range; None where none can be.
    each : bool
        Whether it is for the stacked inputs of many calls; ``shapes`` are those of one call.
    calls : int
        How often it has run.
    cut : callable, optional
        Where calls of many lengths share the program, ``cut(n, outputs)`` gives its outputs for the length
        ``n``, which it takes before the values of its inputs.
    """

    shapes: dict[Variable, tuple[int, ...]]
    numbers: dict[str, int]
    fixed: list[SharedVariable]
    updated: list[SharedVariable]
    program: Callable
    each: bool = False
    calls: int = 0
    cut: Callable | None = None

    def __str__(self):
        described = {**self.shapes, **self.numbers}
        described = ", ".join(f"{what} {value}" for what, value in described.items())
        return f"{'each of ' * self.each}{described or 'no inputs'}: {self.calls} calls"


class Function:
    """A compiled graph; made by :func:`function`.

    Of its compiled versions, the ``config.compiled_versions`` used last are kept.

    Attributes
    ----------
    name : str or None
    compilations : int
        How many versions have been compiled so far, those no longer kept included.
    evictions : int
        How many of them are no longer kept.
    maker : Maker
        What the function was made from, with its graph.
    trust_input : bool
        Accepted as in Theano. Inputs are checked in any case.
    input_storage, output_storage : list
        The containers that ``fn`` reads, of inputs and shared variables, and those that it fills.
    """

    def __init__(self, inputs, keys, expressions, updated, mode, name, shardings=None):
        self.inputs = inputs
        self.name = name
        self.trust_input = False
        self.maker = Maker(self, mode)
        self._updated_inputs = [i for i, option in enumerate(inputs) if option.update is not None]
        self._keys = keys
        self._num_outputs = len(expressions) - len(updated)
        self._expressions = expressions
        self._updated = updated
        self._shared = _shared_variables(expressions, updated)
        self._fixed = [s for s in self._shared if s not in updated]
        self._placement = self._find_placement(shardings or {})
        self._filters = [(i.variable.type.filter, i.strict, i.allow_downcast, i.name) for i in inputs]
        self._buckets = Buckets(self)
        self.compilations = self.evictions = 0
        self._versions = OrderedDict()
        self._fallback = None
        self._one_by_one = False
        # Shapes of the updated variables, which of them are large, and the values of these before the last
        # call.
        self._spare = None, None, None
        self._storages = [s.container.storage for s in updated]
        self._lengths = None
        mode = config.mode if mode is None else mode
        if not _is_jax(mode):
            self._fallback = self._compile_fallback(_find_mode(mode))
        elif any(map(_is_sparse, ancestors(expressions))):
            # SciPy does the work, and Numba would compile for minutes.
            self._fallback = self._compile_fallback(get_mode("FAST_COMPILE"))
        elif not all(map(_is_tensor, self._variables())):
            self._fallback = self._compile_fallback(get_mode(None))
        else:
            self._lengths = Lengths([i.variable for i in inputs], self._fixed + self._updated, expressions)

    def __call__(self, *args, **kwargs):
        """Run on the given values. Returns NumPy arrays in the form of ``outputs``."""
        if kwargs or len(args) != len(self.inputs):
            args = self._bind(args, kwargs)
        return self._pack(self._feed_back(self._call(self._filtered(args))))

    def _find_placement(self, shardings):
        """Where inputs and shared variables lie, or None for one device."""
        known = {i.variable: i.variable for i in self.inputs}
        # Aliases of a shared variable are one.
        known |= {id(s.container): s for s in self._shared}
        found = {}
        for variable, sharding in shardings.items():
            key = id(variable.container) if isinstance(variable, SharedVariable) else variable
            if key not in known:
                raise ValueError(
                    f"{self} has no input or shared variable {variable!r}; leave its sharding out"
                )
            found[known[key]] = sharding
        return Placement(found) if found else None

    def __getitem__(self, key):
        """Value of a shared variable, or of an input that has one, by the variable or its name."""
        value = self._container(key).value
        return np.array(value) if isinstance(value, jax.Array) else value

    def __setitem__(self, key, value):
        self._container(key).value = value

    @property
    def value(self):
        """The function itself, whose items are values."""
        return self

    @cached_property
    def container(self):
        """Containers of the inputs and shared variables, by variable and by name."""
        named = [(i.variable, i.name) for i in self.inputs] + [(s, s.name) for s in self._shared]
        containers = dict(zip([v for v, _ in named], self.input_storage, strict=True))
        return {n: containers[v] for v, n in reversed(named) if n} | containers

    def _container(self, key):
        try:
            return self.container[key]
        except KeyError:
            raise KeyError(f"{self} has no input or shared variable {key!r}") from None

    @cached_property
    def input_storage(self):
        return [_InputContainer(i) for i in self.inputs] + [s.container for s in self._shared]

    @cached_property
    def output_storage(self):
        return [Container(e, [None]) for e in self._expressions]

    def fn(self):
        """Run on what ``input_storage`` holds. Results go to ``output_storage``, and are returned."""
        values = [c.storage[0] for c in self.input_storage[: len(self.inputs)]]
        results = self._feed_back(self._call(self._filtered(values)))
        for container, result in zip(self.output_storage, results, strict=False):
            container.storage[0] = result
        return results

    def copy(self, share_memory=False, swap=None, delete_updates=False, name=None, profile=None):
        """A function of the same graph, with the same shared variables.

        As in Theano, what the copy returns comes in a list, a single output too.

        Parameters
        ----------
        swap : dict, optional
            Shared variables and those, of the same types, that take their place.
        delete_updates : bool
            Leave out all updates.
        name : str, optional
        share_memory, profile
            Accepted as in Theano; without effect.

        Raises
        ------
        ValueError
            A variable to be swapped is not one of the function's.
        TypeError
            What takes its place is of another type.
        """
        swap = dict(swap or {})
        for old, new in swap.items():
            if old not in self._shared:
                raise ValueError(f"{self} has no shared variable {old} to swap")
            if not isinstance(new, SharedVariable) or new.type != old.type:
                raise TypeError(f"{old} is of type {old.type}, and cannot be swapped for {new!r}")
        expressions, updated = list(self._expressions), self._updated
        if delete_updates:
            expressions, updated = expressions[: self._num_outputs], []
        if swap:
            expressions = _clone(expressions, swap)
        updated = [swap.get(s, s) for s in updated]
        inputs = [replace(i) for i in self.inputs]
        name = name or (self.name and f"{self.name} copy")
        shardings = {} if self._placement is None else self._placement.shardings
        shardings = {swap.get(v, v): s for v, s in shardings.items()}
        keys = None if self._keys == "single" else self._keys
        return Function(inputs, keys, expressions, updated, self.maker.mode, name, shardings)

    def _feed_back(self, outputs):
        """Store the results that replace values of inputs; return the others."""
        if not self._updated_inputs:
            return outputs
        n = len(outputs) - len(self._updated_inputs)
        for i, value in zip(self._updated_inputs, outputs[n:], strict=True):
            self.inputs[i].value = value
        return outputs[:n]

    def each(self, *args):
        """Run on each entry of the given arrays, one after another; where JAX can, in one program.

        Parameters
        ----------
        *args : array
            One for each input, with an axis more, the first, whose entries are what calls would get.

        Returns
        -------
        As calls do, with the results of all of them, which must be of one shape, along a first axis.

        Raises
        ------
        ValueError
            There is no input, or arrays are not of one length, of at least 1.
        IndexError
            An index is out of range in one of the calls; those after it have run as well.
        """
        args = [np.asarray(a) for a in args]
        lengths = {a.shape[:1] for a in args}
        if len(args) != len(self.inputs) or len(lengths) != 1 or lengths & {(), (0,)}:
            shapes = ", ".join(str(a.shape) for a in args) or "none"
            raise ValueError(
                f"{self}.each takes {len(self.inputs)} arrays of one length, at least 1; got shapes {shapes}"
            )
        if self._updated_inputs:
            raise NotImplementedError(
                f"{self}.each with an input that has an update; make it a shared variable"
            )
        calls = [self._filtered(entry) for entry in zip(*args, strict=True)]
        together = self._call_together(calls)
        if together is None:
            together = [np.stack(a) for a in zip(*(self._call(values) for values in calls), strict=True)]
        return self._pack(together)

    def _filtered(self, args):
        return [self._filter(f, a, i) for i, (f, a) in enumerate(zip(self._filters, args, strict=True))]

    def _call(self, values):
        if self._fallback is None:
            try:
                return self._run(values, each=False)
            except _NotForJax as error:
                self._fall_back(error.__cause__)
            except Exception as error:
                raise error_of_user(error) or error from error.__cause__
        return self._run_fallback(values)

    def _call_together(self, calls):
        """Results of many calls, stacked, from one program, or None where JAX has none."""
        if self._fallback is not None or self._lengths or self._one_by_one:
            return None
        try:
            return self._run([np.stack(values) for values in zip(*calls, strict=True)], each=True)
        except _NotForJax:
            # Single calls may still work; if they do not, their error gives the reason.
            self._one_by_one = True
            return None
        except Exception as error:
            raise error_of_user(error) or error from error.__cause__

    def _run(self, values, each):
        """Outputs for values of the inputs; the updated variables change all at once, or not at all.

        The program writes new values into spare memory, that of the values before the current ones. The
        current values do not change until the new ones are complete. So an exception never loses them.
        """
        with with_64_bits():
            fixed = [to_device(s.container, self._sharding(s)) for s in self._fixed]
            state = [to_device(s.container, self._sharding(s)) for s in self._updated]
            shapes = tuple([v.shape for v in state])
            key = tuple([v.shape for v in values] + [v.shape for v in fixed]) + shapes
            lengths = None
            if self._lengths:
                lengths = self._lengths(key, values + fixed + state)
                key = key, lengths
            key = key, each
            if self._placement is not None:
                values = self._placement.values([i.variable for i in self.inputs], values, each)
            version, own, bucket = self._versions.get(key), values, None
            if version is None and self._may_share_lengths(each):
                bucket = self._buckets.find(values, fixed + state)
                if bucket is not None:
                    values = bucket.pad(values)
                    key = bucket, tuple([v.shape for v in values + fixed]) + shapes
                    version = self._versions.get(key)
            # The spare memory belongs to this call until it is over.
            (spare_shapes, large, spare), self._spare = self._spare, (None, None, None)
            if spare_shapes != shapes:
                large = [i for i, v in enumerate(state) if v.nbytes >= WORTH_KEEPING]
                spare = [_empty_like(state[i]) for i in large]
            if version is None:
                try:
                    version, results = self._compile(values, fixed, state, spare, lengths, each, bucket)
                except Exception as error:
                    if bucket is not None:
                        self._buckets.refuse(error)
                        return self._run(own, each)
                    if not _is_for_jax(error):
                        raise
                    raise _NotForJax from error
                self._keep(key, version)
            else:
                self._versions.move_to_end(key)
                results = version.program(values, fixed, state, spare)
            # Wait, so that errors of the device are raised here, and because JAX may read the caller's arrays
            # until everything is computed; the caller may change them afterwards.
            outputs, new_state, index_error = jax.block_until_ready(results)
        version.calls += len(values[0]) if each else 1
        store_together(self._storages, new_state)
        self._spare = shapes, large, [state[i] for i in large]
        if index_error is not None:
            raise_index_error(index_error, self)
        if version.cut is not None:
            outputs = version.cut(values[0], [np.asarray(o) for o in outputs])
        return [np.array(o) for o in outputs]

    def _may_share_lengths(self, each):
        """Whether calls with sequences of many lengths may share a program."""
        if not config.length_buckets or each or self._lengths or self._placement is not None:
            return False
        return self._has_loops

    @cached_property
    def _has_loops(self):
        return any(v.owner and isinstance(v.owner.op, Scan) for v in ancestors(self._expressions))

    def _sharding(self, shared):
        """Where the value of a shared variable lies, or None where one device has it."""
        if self._placement is None:
            return None
        return self._placement.of(shared, np.shape(shared.container.storage[0]))

    @property
    def versions(self):
        """The compiled versions that are kept, a list of :class:`Version`, the one used last at the end."""
        return list(self._versions.values())

    def get_shared(self):
        """Shared variables that the function reads or updates."""
        return list(self._shared)

    def _variables(self):
        return [i.variable for i in self.inputs] + self._shared + self._expressions

    def _bind(self, args, kwargs):
        if len(args) > len(self.inputs):
            raise TypeError(f"{self} takes {len(self.inputs)} inputs; got {len(args)}")
        values = list(args) + [i.value for i in self.inputs[len(args) :]]
        names = [i.name for i in self.inputs]
        for name, value in kwargs.items():
            if name not in names:
                raise TypeError(f"{self} has no input {name!r}; it has {names}")
            values[names.index(name)] = value
        missing = [
            i.name or f"number {n}"
            for n, (i, v) in enumerate(zip(self.inputs, values, strict=True))
            if v is None
        ]
        if missing:
            raise TypeError(f"{self} got no value for input {', '.join(missing)}")
        return values

    def _filter(self, spec, value, index):
        accept, strict, allow_downcast, name = spec
        try:
            return accept(value, strict=strict, allow_downcast=allow_downcast)
        except (TypeError, ValueError, OverflowError) as error:
            # PyTensor ends some of its messages with the array, over many lines.
            reason = " ".join(str(error).partition(" Value: ")[0].split())
            raise TypeError(f"Bad input {index} ({name or 'unnamed'}) to {self}: {reason}") from None

    def _pack(self, outputs):
        if self._keys is None:
            return outputs
        return outputs[0] if self._keys == "single" else dict(zip(self._keys, outputs, strict=True))

    def _compile(self, values, fixed, state, spare, lengths, each, bucket):
        """A new version for arguments of these shapes, and its results for them."""
        variables = [i.variable for i in self.inputs] + self._fixed + self._updated
        given = values if bucket is None else values[1:]
        shapes = [v.shape[1:] if each else v.shape for v in given] + [v.shape for v in fixed + state]
        shapes = dict(zip(variables, shapes, strict=True))
        numbers, cut = self._lengths.describe(lengths) if lengths else {}, None
        with _without_collection():
            program = self._specialise(shapes, lengths, each)
            if bucket is not None:
                numbers = {"lengths up to": bucket.length}
                program, cut = self._buckets.program(bucket, program, given, fixed, state)
            jitted = self._jit(program, shapes)
        version = Version(shapes, numbers, self._fixed, self._updated, jitted, each, cut=cut)
        results = _first_call(jitted, values, fixed, state, spare)
        if bucket is None and self._may_share_lengths(each):
            self._buckets.add(program, given, fixed, state)
        return version, results

    def _specialise(self, shapes, lengths, each):
        """A Python function of arguments of these shapes that JAX can trace."""
        arguments = {v: TensorType(v.type.dtype, shape=s)(name=v.name) for v, s in shapes.items()}
        # Inferring shapes, PyTensor divides by the length of an empty batch.
        with np.errstate(divide="ignore"):
            expressions = self._lengths.fix(self._expressions, lengths) if lengths else self._expressions
            expressions = with_static_shapes(expressions, arguments)
            may_miss = must_check_indices(expressions)
            call = _to_jax(list(arguments.values()), expressions, self.name or "theano_function")
        n = self._num_outputs

        def program(values, fixed, state):
            arguments = [*values, *fixed, *state]
            results = call(*arguments)
            return results[:n], _own_arrays(results[n:], arguments), None

        if each:
            program = _for_each(program)
        return with_checked_indices(program) if may_miss else program

    def _jit(self, program, shapes):
        placement, out = self._placement, None
        if placement is not None:
            whole = placement.replicated
            out = whole, [placement.of(s, shapes[s]) for s in self._updated], whole

        def into_spare(values, fixed, state, spare):
            with nullcontext() if placement is None else placement.in_use():
                return program(values, fixed, state)

        return jax.jit(into_spare, donate_argnums=3, keep_unused=True, out_shardings=out)

    def _keep(self, key, version):
        self._versions[key] = version
        self.compilations += 1
        if self.compilations == MANY_VERSIONS:
            for_loops = "set theano.config.length_buckets to 16, say, or " if self._has_loops else ""
            warnings.warn(
                f"{self} has been compiled for {MANY_VERSIONS} sets of shapes, and each new one takes as "
                f"long as the first; if there are many more, {for_loops}pad its inputs to multiples of a "
                "length, with a mask, or compile it with mode='FAST_RUN', once for all shapes",
                stacklevel=5,
            )
        while len(self._versions) > config.compiled_versions:
            self._versions.popitem(last=False)
            if not self.evictions:
                warnings.warn(
                    f"{self} met more sets of shapes than the {config.compiled_versions} whose programs it "
                    "keeps, and compiles those that it drops again; pad its inputs to fewer shapes, or raise "
                    "theano.config.compiled_versions",
                    stacklevel=5,
                )
            self.evictions += 1

    def _fall_back(self, error):
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        backend = get_mode(None)
        warnings.warn(
            f"{self} runs on PyTensor's {type(backend.linker).__name__}, since JAX cannot: {reason}",
            stacklevel=4,
        )
        self._fallback = self._compile_fallback(backend)
        self._versions.clear()

    def _compile_fallback(self, mode):
        n = self._num_outputs
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            # It says of the same Op that Numba cannot express it either.
            warnings.filterwarnings("ignore", message="Numba will use object mode")
            return pytensor.function(
                [i.variable for i in self.inputs],
                self._expressions[:n],
                updates=dict(zip(self._updated, self._expressions[n:], strict=True)),
                mode=mode,
                name=self.name,
                no_default_updates=True,
                on_unused_input="ignore",
            )

    def _run_fallback(self, values):
        for shared in self._shared:
            to_host(shared.container)
        return self._fallback(*values)

    def __getstate__(self):
        raise TypeError(
            f"{self} holds a compiled program and cannot be pickled or copied; pickle or copy its shared "
            "variables (get_shared) or their values, and compile it again"
        )

    def __str__(self):
        return f"theano.function {self.name!r}" if self.name else "theano.function"


class Maker:
    """What a function was made from, under the names by which programs look at its graph.

    Attributes
    ----------
    fgraph : FunctionGraph
        Of the function's inputs and shared variables, rewritten as far as shapes that are not known allow.
    inputs : list of In
    outputs : list of Out
    mode : str or Mode
    """

    def __init__(self, function, mode):
        self.function, self.mode = function, mode

    @property
    def inputs(self):
        return self.function.inputs

    @property
    def outputs(self):
        return [Out(e) for e in self.function._expressions[: self.function._num_outputs]]

    @cached_property
    def fgraph(self):
        if self.function._fallback is not None:
            return self.function._fallback.maker.fgraph
        arguments = [i.variable for i in self.function.inputs] + self.function._shared
        new = [v.type(name=v.name) for v in arguments]
        expressions = _clone(self.function._expressions, dict(zip(arguments, new, strict=True)))
        fgraph = FunctionGraph(new, expressions, clone=False)
        with _quietly():
            _rewrite(fgraph)
        return fgraph


class _InputContainer:
    """The value of an input between calls."""

    def __init__(self, option):
        self._option = option

    @property
    def value(self):
        return self._option.value

    @value.setter
    def value(self, value):
        option = self._option
        option.value = option.variable.type.filter(value, option.strict, option.allow_downcast)

    data = value

    @property
    def storage(self):
        """As PyTensor's containers have it: a list with the value."""
        return _Storage(self)


class _Storage:
    def __init__(self, container):
        self._container = container

    def __getitem__(self, index):
        return [self._container.value][index]

    def __setitem__(self, index, value):
        [None][index]
        self._container._option.value = value


class MissingInput(MissingInputError, ValueError):
    """The graph depends on a variable that is no input of the function."""


def _choice(argument, value):
    if value not in CHOICES[argument]:
        raise ValueError(f"{argument} is {value!r}; it takes one of {', '.join(CHOICES[argument])}")
    return value


def _find_mode(mode):
    return get_mode(_choice("mode", mode) if isinstance(mode, str) else mode)


def _is_jax(mode):
    return mode is pytensor.compile.mode.JAX or str(mode).upper() == "JAX"


def _is_for_jax(error):
    """Whether an error means that JAX cannot express a graph, rather than that the graph is wrong."""
    if isinstance(error, NotImplementedError | jax.errors.JAXTypeError | jax.errors.JAXIndexError):
        return True
    # JAX has no type of its own for a shape or slice that depends on values; but its message shows the value.
    return isinstance(error, TypeError | IndexError) and "Tracer" in str(error)


def _empty_like(value):
    """New memory for an array of the same shape, on the same devices if these are several."""
    empty = np.empty(value.shape, value.dtype)
    return place(empty, value.sharding) if len(value.sharding.device_set) > 1 else jax.device_put(empty)


class _NotForJax(Exception):
    """JAX cannot express a graph; the cause says why."""


def _for_each(program):
    """The program for arguments of many calls, stacked."""

    def run(values, fixed, state):
        def call(state, values):
            outputs, new_state, _ = program(values, fixed, state)
            return new_state, outputs

        first = [v[0] for v in values]
        shapes = [[a.shape for a in arrays] for arrays in (state, jax.eval_shape(call, state, first)[0])]
        if shapes[0] != shapes[1]:
            raise NotImplementedError("a shared variable changes its shape from call to call")
        state, outputs = jax.lax.scan(call, state, values)
        return outputs, state, None

    return run


def _own_arrays(results, arguments):
    """Results, each an array of its own where two of them, or one and an argument, are the same.

    JAX would return one array for both, and no other array may use a buffer that becomes spare.
    """
    seen = {id(a) for a in arguments}
    own = []
    for result in results:
        own.append(jnp.copy(result) if id(result) in seen else result)
        seen.add(id(result))
    return own


@contextmanager
def _without_collection():
    """A context without garbage collection, which a growing graph would start many times."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _first_call(program, *arguments):
    with warnings.catch_warnings():
        # The buffer of a variable that changes its shape cannot hold the new value; this is harmless.
        warnings.filterwarnings("ignore", message="Some donated buffers were not usable")
        return program(*arguments)


def _to_jax(arguments, expressions, name):
    """Rewrite a graph for JAX and translate it. Returns a Python function of its inputs."""
    if not expressions:
        return lambda *values: []
    fgraph = FunctionGraph(arguments, expressions, clone=False)
    with _quietly():
        _rewrite(fgraph)
        # PyTensor would move the transpositions back to where the images come from.
        fgraph = FunctionGraph(fgraph.inputs, with_channels_last(fgraph.outputs), clone=False)
        call = translate(fgraph, name.replace(" ", "_"))
    dtypes = [o.type.dtype for o in expressions]
    return lambda *values: [jnp.asarray(r, d) for r, d in zip(call(*values), dtypes, strict=True)]


def _rewrite(fgraph):
    """Rewrite a graph, in place, as its translation to JAX wants it."""
    query = predefined_optimizers[config.optimizer].including("jax")
    if not any(isinstance(node.op, Scan) for node in fgraph.apply_nodes):
        # If an index and a slice are merged, an index out of range reads elements beside the slice. Scan
        # needs them merged to see which states are read.
        query = query.excluding("local_subtensor_merge_integer")
    pytensor.compile.mode.JAX.clone(optimizer=query).optimizer(fgraph)


@contextmanager
def _quietly():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        # JAX checks by itself what PyTensor would assert about shapes.
        warnings.filterwarnings("ignore", message="Skipping .*Could not broadcast dimensions")
        # Rewriting makes thousands of variables; a stack trace for each would take a sixth of its time.
        with pytensor.config.change_flags(traceback__limit=0):
            yield


def _clone(expressions, replacements, strict=True):
    """Copy graphs with variables replaced. Default updates were collected before, and stay out.

    The graphs inside Ops such as Scan are copied too: rewriting changes them.
    """
    return clone_replace(
        expressions,
        replace=replacements,
        rebuild_strict=strict,
        no_default_updates=True,
        **COPY_INNER_GRAPHS,
    )


def _is_tensor(variable):
    return isinstance(variable.type, TensorType)


def _is_sparse(variable):
    # The type of PyTensor's sparse matrices derives from that of tensors.
    return _is_tensor(variable) and not isinstance(variable.type, DenseTensorType)


def _flatten_outputs(outputs):
    if outputs is None:
        return None, []
    if isinstance(outputs, dict):
        keys, outputs = list(outputs), list(outputs.values())
    elif isinstance(outputs, list | tuple):
        keys = None
    else:
        keys, outputs = "single", [outputs]
    outputs = [o.variable if isinstance(o, Out) else o for o in outputs]
    return keys, [o if isinstance(o, Variable) else pytensor.tensor.as_tensor_variable(o) for o in outputs]


def _input(variable, allow_downcast):
    if isinstance(variable, In):
        # A copy, whose value is the function's own.
        return replace(variable)
    if not isinstance(variable, Variable):
        raise TypeError(f"An input of a function is a variable or an In; got {variable!r}")
    return In(variable, allow_downcast=allow_downcast)


def _pairs(argument, value):
    """A dict, from a dict or a list of pairs."""
    try:
        pairs = list(value.items() if hasattr(value, "items") else (value or ()))
    except TypeError:
        pairs = [value]
    found = OrderedDict()
    for pair in pairs:
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise TypeError(
                f"{argument} takes a dict or a list of pairs (variable, expression); got {pair!r}"
            )
        variable, expression = pair
        if not isinstance(variable, Variable):
            raise TypeError(f"{argument} takes variables on the left; got {variable!r}")
        if variable in found:
            raise ValueError(f"{variable} has two {argument}; give it one")
        found[variable] = expression
    return found


def _check_givens(givens):
    return {
        k: v if isinstance(v, Variable) else k.type.filter_variable(v, allow_convert=True)
        for k, v in _pairs("givens", givens).items()
    }


def _check_updates(updates):
    checked = OrderedDict()
    for variable, expression in _pairs("updates", updates).items():
        if not isinstance(variable, SharedVariable):
            raise TypeError(f"An update stores into a shared variable; got {variable!r}")
        if not isinstance(expression, Variable):
            value = variable.type.filter(expression, allow_downcast=None)
            expression = variable.type.constant_type(type=variable.type, data=value)
        try:
            checked[variable] = variable.type.filter_variable(expression, allow_convert=True)
        except TypeError as error:
            raise TypeError(
                f"The update of {variable} has type {expression.type}, and the variable {variable.type}; "
                f"cast one of them (floatX is {config.floatX})"
            ) from error
    return checked


def _cut_off(option, givens):
    """Replace an input that is computed from other variables by a new variable."""
    variable = option.variable
    if variable.owner is None:
        return option
    givens[variable] = variable.type(name=variable.name)
    return replace(option, variable=givens[variable])


def _add_default_updates(outputs, updates, givens, excluded):
    """Extend ``updates`` by the default updates of every shared variable that the graph reads."""
    if excluded is True:
        return
    skipped = {*(excluded or ()), *givens}
    graphs = [*outputs, *updates.values(), *givens.values()]
    while graphs:
        found = [
            v
            for v in ancestors(graphs, blockers=givens)
            if isinstance(v, SharedVariable)
            and v.default_update is not None
            and v not in updates
            and v not in skipped
        ]
        updates.update((v, v.default_update) for v in found)
        graphs = [v.default_update for v in found]


def _check_inputs(inputs, expressions, on_unused):
    used = set(ancestors(expressions))
    seen = set()
    for i in inputs:
        if isinstance(i.variable, SharedVariable):
            raise TypeError(f"Shared variable {i.variable} cannot be an input; use givens to replace it")
        if i.variable in seen:
            raise UnusedInputError(f"{i.variable} is given twice among the inputs")
        seen.add(i.variable)
        if i.variable not in used and on_unused != "ignore":
            message = (
                f"Input {i.variable} is not part of the graph; leave it out, or pass on_unused_input='ignore'"
            )
            if on_unused == "raise":
                raise UnusedInputError(message)
            warnings.warn(message, stacklevel=3)
    missing = [
        v
        for v in used
        if v.owner is None
        and v not in seen
        and not isinstance(v, SharedVariable)
        and not isinstance(v, pytensor.graph.basic.Constant)
    ]
    if missing:
        raise MissingInput(f"The outputs depend on {missing[0]}, which is neither an input nor shared")


def _join_aliases(updated, expressions):
    """Replace all variables that share a container, such as clones of a shared variable, by one of them.

    Backends would treat two variables with one container as two values. If several aliases have an update,
    the last one counts.
    """
    shared = _shared_variables(expressions, updated)
    first = {id(v.container): v for v in reversed(shared)}
    aliases = {v: first[id(v.container)] for v in shared if v is not first[id(v.container)]}
    if not aliases:
        return updated, expressions
    expressions = _clone(expressions, aliases)
    num_outputs = len(expressions) - len(updated)
    updates = dict(zip((aliases.get(v, v) for v in updated), expressions[num_outputs:], strict=True))
    return list(updates), expressions[:num_outputs] + list(updates.values())


def _shared_variables(expressions, updated):
    found = [v for v in ancestors(expressions) if isinstance(v, SharedVariable)]
    return list(dict.fromkeys(list(updated) + found))


@cache
def _let_variables_evaluate():
    """Make ``variable.eval()`` read shared variables stored in JAX, which PyTensor's method cannot do.

    Graphs without such variables are left to PyTensor's method.
    """
    pytensors = Variable.eval

    @wraps(pytensors)
    def evaluate(variable, inputs_to_values=None, **options):
        if not any(isinstance(v, TensorSharedVariable) for v in ancestors([variable])):
            return pytensors(variable, inputs_to_values, **options)
        values = {_find(variable, k): v for k, v in (inputs_to_values or {}).items()}
        # What PyTensor leaves out of pickles and copies; it keeps its own functions there.
        compiled = {} if options else variable.__dict__.setdefault("_fn_cache", {})
        key = ("theano", *values)
        if key not in compiled:
            compiled[key] = function(list(values), variable, **options)
        return compiled[key](*values.values())

    Variable.eval = evaluate


def _find(variable, key):
    if not isinstance(key, str):
        return key
    found = get_var_by_name([variable], key)
    if len(found) != 1:
        raise ValueError(
            f"{len(found)} variables in the graph of {variable} are named {key!r}; eval needs one"
        )
    return found[0]
