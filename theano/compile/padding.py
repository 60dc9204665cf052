"""One program for many lengths: sequences padded to a multiple of a length, exactly.

A program is traced for three lengths. What differs between the three traces depends on the length: lengths of
axes and numbers, which must lie on a line. The trace of the longest is then run on padded arrays and the
length ``n`` of the call, by rules for JAX's primitives that keep one promise: of each array, the entries
before the lengths that its axes have for ``n`` are those of the program for ``n``, and nothing is known of
those behind them. Loops take as many steps as for ``n``, sums leave out what is behind, and a primitive
without a rule is not padded. So results differ from those of a program for ``n`` by the order of sums alone.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import Literal

__all__ = ["Line", "NotPadded", "Padded", "Trace"]


class NotPadded(Exception):
    """A program cannot be padded; the message says why."""


class Line(NamedTuple):
    """The number ``slope * n + start``."""

    slope: int
    start: int

    def at(self, n):
        return self.slope * n + self.start if self.slope else self.start


class Trace(NamedTuple):
    """A program as JAX traced it for one length.

    Attributes
    ----------
    length : int
    program : ClosedJaxpr
    codes : sequence of int
        Of the errors that it checks for: JAX numbers those of all programs.
    """

    length: int
    program: "jax.extend.core.ClosedJaxpr"
    codes: tuple[int, ...] = ()


class Padded:
    """A program for all lengths up to that of the last of three traces.

    Parameters
    ----------
    traces : sequence of Trace
        Of one program, for three different lengths; the last is the longest.
    n : int or traced integer
        The length of the call.
    """

    def __init__(self, traces, n):
        self.traces, self.n = traces, n
        self.lengths = [trace.length for trace in traces]
        self.longest = self.lengths[-1]

    def __call__(self, *arguments):
        """Results for padded arguments.

        Raises
        ------
        NotPadded
            A primitive has no rule, or the traces differ in more than lengths.
        """
        return self.closed([trace.program for trace in self.traces], arguments)

    def sizes_of_results(self):
        """The line of each axis of each result."""
        return [self.sizes(v) for v in _zip(*(trace.program.jaxpr.outvars for trace in self.traces))]

    # Numbers and lengths

    def line(self, values):
        """The line through one integer for each trace."""
        (x0, x1, x2), (y0, y1, y2) = self.lengths, values
        slope, rest = divmod(y1 - y0, x1 - x0)
        if rest or y2 - y0 != slope * (x2 - x0):
            raise NotPadded(f"a number is {', '.join(map(str, values))} for lengths {self.lengths}")
        return Line(slope, y0 - slope * x0)

    def sizes(self, variables):
        """The line of each axis of a variable."""
        lines = tuple(self.line(lengths) for lengths in _zip(*(v.aval.shape for v in variables)))
        # Its array in the longest program would be too short for others.
        _refuse(any(line.slope < 0 for line in lines), "an array gets shorter as the sequence gets longer")
        return lines

    def at(self, line):
        return line.at(self.n)

    def constant(self, values):
        """An array or number of the program, of which there is one for each trace."""
        *_, last = arrays = [np.asarray(v) for v in values]
        if not last.ndim and self._is_code(arrays):
            return last
        if len({a.shape for a in arrays}) == 1:
            return self._rows(arrays)
        axes = [i for i, n in enumerate(_zip(*(a.shape for a in arrays))) if len({*n}) > 1]
        _refuse(len(axes) != 1, "a constant array depends on the length")
        (axis,) = axes
        rows = [np.moveaxis(a, axis, 0) for a in arrays]
        _refuse(
            min(map(len, rows)) < 2 or last.dtype.kind not in "iuf", "a constant array depends on the length"
        )
        firsts, steps = ([a[i] for a in rows] for i in (0, 1))
        steps = [step - first for step, first in zip(steps, firsts, strict=True)]
        for of_rows, first, step in zip(rows, firsts, steps, strict=True):
            places = np.arange(len(of_rows)).reshape(-1, *[1] * step.ndim)
            regular = _equal(step, steps[-1]) and _equal(of_rows, (first + places * step).astype(last.dtype))
            _refuse(not regular, "a constant array depends on the length")
        return jnp.moveaxis((self._rows(firsts) + places * steps[-1]).astype(last.dtype), 0, axis)

    def _rows(self, arrays):
        """An array of the program that has one shape for all lengths."""
        same = all(_equal(a, arrays[-1]) for a in arrays)
        return arrays[-1] if same else self._number(arrays)

    def _is_code(self, numbers):
        return any(all(map(np.equal, numbers, codes)) for codes in self._codes())

    def _codes(self):
        """The numbers that the traces have for each error."""
        return zip(*(t.codes for t in self.traces), strict=False)

    def has_doubtful_codes(self):
        """Whether an error's numbers could be a number that depends on the length."""
        for codes in self._codes():
            try:
                if self.line(codes).slope:
                    return True
            except NotPadded:
                continue
        return False

    def _number(self, arrays):
        """A number, or each of an array, that is on a line, or a constant over ``n`` and a whole number."""
        dtype, shape = arrays[-1].dtype, arrays[-1].shape
        reason = f"it computes with {', '.join(map(str, arrays))} for lengths {self.lengths}"
        _refuse(dtype.kind not in "iuf" or not all(np.isfinite(a).all() for a in arrays), reason)
        if all(np.array_equal(a, np.rint(a)) for a in arrays):
            lines = [
                self.line([int(n) for n in each]) for each in zip(*(a.flat for a in arrays), strict=True)
            ]
            return jnp.stack([jnp.asarray(self.at(line), dtype) for line in lines]).reshape(shape)
        (x0, x1, x2), (y0, y1, y2) = self.lengths, [a.astype(np.float64) for a in arrays]
        with np.errstate(all="ignore"):
            more = np.rint((x1 - x0) / (y0 / y1 - 1) - x0)
            over = y2 * (x2 + more)
            right = [
                np.isclose(over / (x + more), y, rtol=2 * np.finfo(dtype).eps, atol=0)
                for x, y in ((x0, y0), (x1, y1))
            ]
        same = (y0 == y1) & (y1 == y2)
        if not np.all(same | right[0] & right[1]):
            raise NotPadded(reason)
        return jnp.where(same, y2, over / (self.n + more)).astype(dtype)

    def mask(self, x, sizes, axes, fill):
        """``x`` with ``fill`` behind the lengths of some axes."""
        for axis in axes:
            if sizes[axis].slope:
                x = jnp.where(_before(self.at(sizes[axis]), x, axis), x, jnp.asarray(fill, x.dtype))
        return x

    # Programs

    def closed(self, programs, arguments):
        """Results of a program, of which there is one for each trace."""
        constants = [self.constant(values) for values in _zip(*(p.consts for p in programs))]
        return self.run([p.jaxpr for p in programs], [*constants, *arguments])

    def run(self, programs, arguments):
        """Results of a program, for values of its constants and arguments."""
        values, places = {}, [{}, {}, {}]

        def write(variables, value):
            for known, variable in zip(places, variables, strict=True):
                known[variable] = len(values)
            values[variables[-1]] = value

        def read(variables):
            literals = [isinstance(v, Literal) for v in variables]
            if all(literals):
                return self.constant([np.asarray(v.val, v.aval.dtype) for v in variables])
            if any(literals) or len({p[v] for p, v in zip(places, variables, strict=True)}) != 1:
                raise NotPadded("it is another program for another length")
            return values[variables[-1]]

        inputs = _zip(*((*p.constvars, *p.invars) for p in programs))
        for variables, value in zip(inputs, arguments, strict=True):
            write(variables, value)
        for equations in _zip(*(p.eqns for p in programs)):
            results = self.apply(equations, [read(v) for v in _zip(*(e.invars for e in equations))])
            for variables, value in zip(_zip(*(e.outvars for e in equations)), results, strict=True):
                write(variables, value)
        return [read(v) for v in _zip(*(p.outvars for p in programs))]

    def apply(self, equations, values):
        """Results of one primitive, of which there is one for each trace."""
        primitive, params = equations[-1].primitive, [e.params for e in equations]
        name = primitive.name
        if any(e.primitive is not primitive for e in equations):
            raise NotPadded("it is another program for another length")
        ins = [self.sizes(v) for v in _zip(*(e.invars for e in equations))]
        outs = [self.sizes(v) for v in _zip(*(e.outvars for e in equations))]

        def bind(*values, **changes):
            results = primitive.bind(*values, **{**params[-1], **changes})
            return results if primitive.multiple_results else [results]

        equation = Equation(values, ins, outs, params, bind)
        if name in PROGRAMS:
            return PROGRAMS[name](self, equation)
        padded = any(line.slope for sizes in (*ins, *outs) for line in sizes)
        if not padded and all(_same(p, params[-1]) for p in params):
            return bind(*values)
        others = [{k: v for k, v in p.items() if k not in LENGTHS} for p in params]
        _refuse(not all(_same(p, others[-1]) for p in others), f"{name} depends on the length")
        if name in ENTRY_BY_ENTRY:
            return bind(*values)
        _refuse(name not in RULES, f"{name} has no rule for arrays whose length varies")
        results = RULES[name](self, equation)
        return results if isinstance(results, list | tuple) else [results]


class Equation(NamedTuple):
    """A primitive on values: the lines of their axes, of those of the results, and a dict for each trace."""

    values: list
    ins: list
    outs: list
    params: list
    bind: object

    def __getitem__(self, name):
        """A parameter, as it is in the last trace."""
        return self.params[-1][name]

    def lines(self, padded, name):
        """The line of each number in a parameter."""
        return [padded.line(values) for values in _zip(*(p[name] for p in self.params))]


def _zip(*sequences):
    if len({len(s) for s in sequences}) != 1:
        raise NotPadded("it is another program for another length")
    return list(zip(*sequences, strict=True))


def _same(a, b):
    try:
        return bool(a == b)
    except (TypeError, ValueError):
        return False


def _equal(a, b):
    return np.array_equal(a, b, equal_nan=a.dtype.kind in "fc")


def _before(length, x, axis):
    """Which entries of an array are before a length along an axis."""
    return lax.broadcasted_iota(np.int32, x.shape, axis) < length


def _varying(sizes):
    return [axis for axis, line in enumerate(sizes) if line.slope]


def _refuse(condition, reason):
    if condition:
        raise NotPadded(reason)


# Programs within programs


def _call(padded, e):
    key = next(k for k in ("jaxpr", "call_jaxpr", "fun_jaxpr") if k in e.params[-1])
    programs = [p[key] for p in e.params]
    if hasattr(programs[-1], "consts"):
        return padded.closed(programs, e.values)
    return padded.run(programs, e.values)


def _cond(padded, e):
    index, *operands = e.values
    branches = [partial(_listed, padded, programs) for programs in _zip(*(p["branches"] for p in e.params))]
    return lax.switch(index, branches, *operands)


def _listed(padded, programs, *values):
    return padded.closed(programs, values)


def _while(padded, e):
    first, second = e["cond_nconsts"], e["body_nconsts"]
    for_cond, for_body = e.values[:first], e.values[first : first + second]
    state = e.values[first + second :]
    tests, bodies = ([p[key] for p in e.params] for key in ("cond_jaxpr", "body_jaxpr"))
    _refuse(tests[-1].out_avals[0].shape, "a loop with several conditions")
    return lax.while_loop(
        lambda state: padded.closed(tests, [*for_cond, *state])[0],
        lambda state: padded.closed(bodies, [*for_body, *state]),
        list(state),
    )


def _scan(padded, e):
    bodies, length = [p["jaxpr"] for p in e.params], padded.line([p["length"] for p in e.params])
    body, reverse = bodies[-1], e["reverse"]
    # What the steps share comes first. What each step has for itself has an axis more outside.
    num_xs = sum(len(sizes) > aval.ndim for sizes, aval in zip(e.ins, body.in_avals, strict=True))
    num_carry = sum(len(sizes) == aval.ndim for sizes, aval in zip(e.outs, body.out_avals, strict=True))
    num_consts = len(e.values) - num_xs - num_carry
    consts, carry = e.values[:num_consts], e.values[num_consts : num_consts + num_carry]
    xs = e.values[num_consts + num_carry :]

    def step(carry, x):
        results = padded.closed(bodies, [*consts, *carry, *x])
        return results[:num_carry], results[num_carry:]

    if not length.slope:
        carry, ys = lax.scan(step, list(carry), list(xs), length=length.start, reverse=reverse)
        return [*carry, *ys]
    steps = padded.at(length)
    ys = [jnp.zeros((e["length"], *y.shape), y.dtype) for y in body.out_avals[num_carry:]]

    def turn(i, state):
        carry, ys = state
        place = steps - 1 - i if reverse else i
        carry, y = step(carry, [lax.dynamic_index_in_dim(x, place, keepdims=False) for x in xs])
        update = lax.dynamic_update_index_in_dim
        return carry, [update(all_of, one, place, 0) for all_of, one in zip(ys, y, strict=True)]

    carry, ys = lax.fori_loop(0, steps, turn, (list(carry), ys))
    return [*carry, *ys]


PROGRAMS = {"scan": _scan, "while": _while, "cond": _cond}
PROGRAMS |= dict.fromkeys("jit pjit closed_call core_call custom_jvp_call custom_vjp_call".split(), _call)


# Parameters of primitives that may differ from length to length.
LENGTHS = ("limit_indices", "new_sizes", "padding_config", "shape", "sizes", "slice_sizes", "start_indices")

# Primitives each of whose results depends on the entries of its operands at the same place alone, or which
# give axes other places, or repeat entries.
ENTRY_BY_ENTRY = frozenset(
    """
    abs acos acosh add add_any and asin asinh atan atan2 atanh bessel_i0e bessel_i1e cbrt ceil clamp clz
    complex conj convert_element_type copy copy_p cos cosh digamma div eq erf erf_inv erfc exp exp2 expm1
    floor ge gt igamma igammac imag integer_pow is_finite le lgamma log log1p logistic lt max min mul ne neg
    nextafter not or polygamma population_count pow real reduce_precision regularized_incomplete_beta rem
    round rsqrt select_n shift_left shift_right_arithmetic shift_right_logical sign sin sinh sqrt square
    stop_gradient sub tan tanh threefry2x32 xor zeta
    empty expand_dims iota squeeze transpose
    """.split()
)


# Rules


def _broadcast_in_dim(padded, e):
    (sizes, *_), (out,) = e.ins, e.outs
    for axis, place in enumerate(e["broadcast_dimensions"]):
        _refuse(sizes[axis] not in (out[place], Line(0, 1)), "an axis is repeated that may have length 1")
    return e.bind(*e.values)


def _reshape(padded, e):
    """Entries keep their order, so a length may be multiplied by lengths right of it, but not left of it."""
    (sizes, *_), (out,) = e.ins, e.outs
    before, after = _varying(sizes), _varying(out)
    _refuse(len(before) > 1 or len(after) > 1 or len(before) != len(after), "reshape of several lengths")
    (p,), (q,) = before, after
    shape, new = ([line.start for line in lines] for lines in (sizes, out))
    left = int(np.prod(shape[:p])), int(np.prod(new[:q]))
    right, new_right = int(np.prod(shape[p + 1 :])), int(np.prod(new[q + 1 :]))
    blocks = [Line(line.slope * n, line.start * n) for line, n in ((sizes[p], right), (out[q], new_right))]
    _refuse(
        left[0] != left[1] or blocks[0] != blocks[1], "a reshape that joins a length to an axis before it"
    )
    return e.bind(*e.values)


def _rev(padded, e):
    (x,), (sizes,) = e.values, e.ins
    for axis in e["dimensions"]:
        if sizes[axis].slope:
            places = padded.at(sizes[axis]) - 1 - jnp.arange(x.shape[axis])
            x = jnp.take(x, places % x.shape[axis], axis, mode="clip")
        else:
            x = lax.rev(x, (axis,))
    return x


def _slice(padded, e):
    (x,), (out,) = e.values, e.outs
    starts, strides = e.lines(padded, "start_indices"), e["strides"] or [1] * x.ndim
    limits, strides = list(e["limit_indices"]), list(strides)
    for axis, start in enumerate(starts):
        if start.slope:
            number = out[axis].at(padded.longest)
            places = padded.at(start) + strides[axis] * jnp.arange(number)
            x = jnp.take(x, places, axis, mode="clip")
            starts[axis], limits[axis], strides[axis] = Line(0, 0), number, 1
    return lax.slice(x, [start.start for start in starts], limits, strides)


def _dynamic_slice(padded, e):
    (x, *starts), sizes = e.values, e.ins[0]
    lengths = e.lines(padded, "slice_sizes")
    return e.bind(x, *_within(padded, starts, sizes, lengths))


def _within(padded, starts, sizes, lengths):
    """Starts of a slice of some lengths, moved into the array as XLA moves them."""
    starts = [jnp.asarray(s, np.int64) for s in starts]
    for axis in {*_varying(sizes), *_varying(lengths)}:
        starts[axis] = jnp.clip(starts[axis], 0, _last(padded, sizes[axis], lengths[axis]))
    return starts


def _last(padded, size, length):
    """The last start of a slice of some length in an axis."""
    _refuse(length.slope not in (0, size.slope), "a slice of another slope")
    return padded.at(size) - padded.at(length)


def _dynamic_update_slice(padded, e):
    (x, update, *starts), (sizes, of_update, *_) = e.values, e.ins
    starts = _within(padded, starts, sizes, of_update)
    new = lax.dynamic_update_slice(x, update, starts)
    for axis in _varying(of_update):
        new = jnp.where(_before(starts[axis] + padded.at(of_update[axis]), x, axis), new, x)
    return new


def _gather(padded, e):
    (x, indices), (sizes, _) = e.values, e.ins
    indices = indices.astype(np.int64)
    numbers, lengths = e["dimension_numbers"], e.lines(padded, "slice_sizes")
    _refuse(set(_varying(sizes)) & set(numbers.operand_batching_dims), "a gather of batches")
    for place, axis in enumerate(numbers.start_index_map):
        if sizes[axis].slope:
            last = _last(padded, sizes[axis], lengths[axis])
            if e["mode"] == lax.GatherScatterMode.FILL_OR_DROP:
                indices = _beyond(indices, place, last, x.shape[axis])
            else:
                indices = indices.at[..., place].set(jnp.clip(indices[..., place], 0, last))
    others = set(_varying(sizes)) - set(numbers.start_index_map)
    _refuse(any(lengths[axis] != sizes[axis] for axis in others), "a gather of a part")
    return e.bind(x, indices)


def _beyond(indices, place, last, length):
    """Indices in which those beyond the last that is possible are beyond the padded array too."""
    index = indices[..., place]
    return indices.at[..., place].set(jnp.where(index > last, length, index))


def _scatter(padded, e, fill=None):
    (x, indices, updates), (sizes, _, of_updates) = e.values, e.ins
    indices = indices.astype(np.int64)
    # Indices of rows behind the length are alike.
    bind = partial(e.bind, unique_indices=False, indices_are_sorted=False)
    numbers = e["dimension_numbers"]
    _refuse(set(_varying(sizes)) & set(numbers.operand_batching_dims), "a scatter of batches")
    hidden = {*numbers.inserted_window_dims, *numbers.operand_batching_dims}
    shown = [axis for axis in range(len(sizes)) if axis not in hidden]
    windows = [Line(0, 1)] * len(sizes)
    for axis, place in zip(shown, numbers.update_window_dims, strict=True):
        windows[axis] = of_updates[place]
        _refuse(of_updates[place].slope not in (0, sizes[axis].slope), "a scatter of another slope")
    for place, axis in enumerate(numbers.scatter_dims_to_operand_dims):
        if sizes[axis].slope:
            _refuse(e["mode"] == lax.GatherScatterMode.CLIP, "a scatter that clips its indices")
            last = _last(padded, sizes[axis], windows[axis])
            indices = _beyond(indices, place, last, x.shape[axis])
    axes = _varying(of_updates)
    if fill is not None:
        return bind(x, indices, padded.mask(updates, of_updates, axes, fill))
    _refuse(set(axes) - set(numbers.update_window_dims), "rows of varying number that are written by index")
    new = bind(x, indices, updates)
    if axes:
        written = padded.mask(jnp.ones_like(updates), of_updates, axes, 0)
        written = bind(jnp.zeros_like(x), indices, written)[0]
        new = jnp.where(written == 1, new[0], x)
    return new


def _concatenate(padded, e):
    axis, (out,) = e["dimension"], e.outs
    if not out[axis].slope:
        return e.bind(*e.values)
    shape = [line.at(padded.longest) for line in out]
    joined, offset = jnp.zeros(shape, e.values[0].dtype), 0
    for x, sizes in zip(e.values, e.ins, strict=True):
        # It overwrites what is behind the lengths of the one before.
        joined = lax.dynamic_update_slice_in_dim(joined, x, offset, axis)
        offset = offset + padded.at(sizes[axis])
    return joined


def _pad(padded, e):
    (x, value), (sizes, _), (out,) = e.values, e.ins, e.outs
    configs = _zip(*(p["padding_config"] for p in e.params))
    varying = {axis for axis, of_axis in enumerate(configs) if len({*of_axis}) > 1}
    varying |= {*_varying(sizes), *_varying(out)}
    usual = [(0, 0, 0) if axis in varying else config[-1] for axis, config in enumerate(configs)]
    x = lax.pad(x, value, usual)
    for axis in varying:
        low, _, inner = (padded.line(n) for n in zip(*configs[axis], strict=True))
        _refuse(inner != Line(0, 0), "a length with padding inside")
        _refuse(min(min(n[:2]) for n in configs[axis]) < 0, "padding that takes away")
        _refuse(low.slope < 0, "padding that gets shorter as the sequence gets longer")
        shape = [*x.shape]
        shape[axis] = out[axis].at(padded.longest)
        start = padded.at(low)
        wide = lax.dynamic_update_slice_in_dim(jnp.full(shape, value, x.dtype), x, start, axis)
        x = jnp.where(_before(start + padded.at(sizes[axis]), wide, axis), wide, value)
    return x


def _reduce(fill):
    def reduce(padded, e):
        (x,), (sizes,) = e.values, e.ins
        return e.bind(padded.mask(x, sizes, e["axes"], fill(x.dtype)))

    return reduce


def _lowest(dtype):
    return -np.inf if jnp.issubdtype(dtype, jnp.inexact) else _info(dtype)[0]


def _highest(dtype):
    return np.inf if jnp.issubdtype(dtype, jnp.inexact) else _info(dtype)[1]


def _info(dtype):
    if dtype == np.bool_:
        return False, True
    return jnp.iinfo(dtype).min, jnp.iinfo(dtype).max


def _cumulative(padded, e):
    (sizes,) = e.ins
    _refuse(e["reverse"] and sizes[e["axis"]].slope, "a sum from the end")
    return e.bind(*e.values)


def _dot_general(padded, e):
    (contracted, _) = e["dimension_numbers"]
    operands = [
        padded.mask(x, sizes, axes, 0) for x, sizes, axes in zip(e.values, e.ins, contracted, strict=True)
    ]
    return e.bind(*operands)


def _other_axes(name):
    """A rule for primitives that treat each entry of all axes but one alike."""

    def rule(padded, e):
        along = any(e[name] in _varying(sizes) for sizes in e.ins)
        _refuse(along, "it goes along an axis whose length varies")
        return e.bind(*e.values)

    return rule


RULES = {
    "argmax": _reduce(_lowest),
    "argmin": _reduce(_highest),
    "broadcast_in_dim": _broadcast_in_dim,
    "concatenate": _concatenate,
    "dot_general": _dot_general,
    "dynamic_slice": _dynamic_slice,
    "dynamic_update_slice": _dynamic_update_slice,
    "gather": _gather,
    "pad": _pad,
    "reduce_and": _reduce(lambda dtype: np.array(-1).astype(dtype)),
    "reduce_max": _reduce(_lowest),
    "reduce_min": _reduce(_highest),
    "reduce_or": _reduce(lambda dtype: 0),
    "reduce_prod": _reduce(lambda dtype: 1),
    "reduce_sum": _reduce(lambda dtype: 0),
    "reshape": _reshape,
    "rev": _rev,
    "scatter": _scatter,
    "scatter-add": partial(_scatter, fill=0),
    "slice": _slice,
    "sort": _other_axes("dimension"),
    "split": _other_axes("axis"),
}
RULES |= dict.fromkeys(("cumlogsumexp", "cummax", "cummin", "cumprod", "cumsum"), _cumulative)
