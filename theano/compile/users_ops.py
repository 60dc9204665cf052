"""Ops that users wrote for Theano, in JAX: scalar functions in Python or one line of C, and ``Op.perform``.

PyTensor's own Ops keep PyTensor's translations. For an Op that nothing here can translate, register a JAX
version with :func:`theano.compile.translation.jax_version`.
"""

import itertools
import logging
import math
import operator
import re
from functools import wraps
from types import FunctionType, ModuleType

import jax
import jax.numpy as jnp
import numpy as np
import pytensor.tensor as pt
from pytensor.compile.ops import FromFunctionOp
from pytensor.graph.op import Op
from pytensor.scalar.basic import ScalarOp, get_scalar_type
from pytensor.tensor.basic import get_scalar_constant_value

from theano.compile.translation import refine

__all__ = ["NotOneExpression", "error_of_user", "from_c", "from_impl"]

# Where a Python function and its JAX version must agree.
_SAMPLES = (-100.0, -2.5, -1.5, -1.0, -0.75, -0.5, -0.25, 0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.5, 100.0)


@refine(ScalarOp)
def _jax_scalar_op(original, op, node, **options):
    if _is_pytensors(type(op)):
        return original(op, node=node, **options)
    if not _is_pytensors(_owner(type(op), "impl")):
        return from_impl(op, node)
    if _is_pytensors(_owner(type(op), "c_code")):
        return original(op, node=node, **options)
    scalars = [get_scalar_type(i.type.dtype)() for i in node.inputs]
    names = [f"x{i}" for i in range(len(scalars))]
    try:
        code = op.c_code(op.make_node(*scalars), "f", names, ["z"], {"fail": "return;"})
        return from_c(code, names, "z")
    except NotOneExpression as error:
        decorator = f"theano.compile.translation.jax_version({type(op).__name__})"
        raise ValueError(
            f"The c_code of {op} is more than can be read ({error}); write its JAX version, as in "
            f"{decorator}(lambda op, **options: lambda x: jax.numpy.round(x))"
        ) from None


def _owner(cls, method):
    return next(c for c in cls.__mro__ if method in vars(c))


def _is_pytensors(cls):
    return cls.__module__.partition(".")[0] == "pytensor"


def from_impl(op, node):
    """JAX version of a scalar Op from its ``impl``: the same on arrays, or, failing that, one call a number.

    It is the same where it can be traced with ``jax.numpy`` in NumPy's place, and gives the same on samples.
    """
    dtypes = [i.type.dtype for i in node.inputs]
    dtype = node.outputs[0].type.dtype
    one_by_one = np.vectorize(op.impl, otypes=[dtype])
    traced = _on_jax(op.impl)
    samples = [np.roll(np.array(_SAMPLES), i).astype(d) for i, d in enumerate(dtypes)]
    try:
        with np.errstate(all="ignore"):
            expected = one_by_one(*samples)
        found = np.asarray(jax.jit(traced)(*samples)).astype(dtype)
        if np.allclose(found, expected, rtol=1e-5, atol=1e-7, equal_nan=True):
            return traced
    except Exception:
        # If it fails on arrays, it may still work on single numbers.
        pass

    def call(*inputs):
        inputs = jnp.broadcast_arrays(*inputs)
        result = jax.ShapeDtypeStruct(inputs[0].shape, dtype)
        return jax.pure_callback(_keeping_errors(lambda *a: one_by_one(*map(np.asarray, a))), result, *inputs)

    return call


def _on_jax(function):
    """A method that sees ``jax.numpy`` where it sees NumPy or ``math``."""
    plain = getattr(function, "__func__", function)
    if not isinstance(plain, FunctionType):
        return function
    names = {n: jnp if v in (np, math) else v for n, v in plain.__globals__.items() if _is_hashable(v)}
    on_jax = FunctionType(plain.__code__, names, plain.__name__, plain.__defaults__, plain.__closure__)
    return on_jax.__get__(function.__self__) if hasattr(function, "__self__") else on_jax


def _is_hashable(value):
    return isinstance(value, ModuleType) or getattr(type(value), "__hash__", None) is not None


class NotOneExpression(Exception):
    """C code that is not one assignment of an expression; the message quotes what was in the way."""


def _integers(x):
    """C converts booleans and integers shorter than an int to ints before it computes."""
    if isinstance(x, bool | int | float | np.generic):
        return int(x) if isinstance(x, bool) else x
    is_short = x.dtype == bool or (x.dtype.kind in "iu" and x.dtype.itemsize < 4)
    return x.astype("int32") if is_short else x


def _is_whole(x):
    return isinstance(x, int) or np.dtype(x.dtype).kind in "iu"


def _divide(a, b):
    if not (_is_whole(a) and _is_whole(b)):
        return jnp.true_divide(a, b)
    if isinstance(a, int) and isinstance(b, int):
        return int(a / b)
    return jax.lax.div(*jnp.broadcast_arrays(*_alike(a, b)))


def _remainder(a, b):
    if not (_is_whole(a) and _is_whole(b)):
        raise NotOneExpression("% of numbers that are not integers")
    return jax.lax.rem(*jnp.broadcast_arrays(*_alike(a, b)))


def _alike(a, b):
    dtype = jnp.result_type(a, b)
    return jnp.asarray(a, dtype), jnp.asarray(b, dtype)


def _as_float(function):
    def call(*args):
        return function(*(jnp.asarray(a, "float64") if _is_whole(a) else a for a in args))

    return call


def _round(x):
    whole = jnp.trunc(x)
    return whole + jnp.where(jnp.abs(x - whole) >= 0.5, jnp.sign(x), 0).astype(whole.dtype)


_FUNCTIONS = {
    "round": _round,
    "fabs": jnp.abs,
    "rint": jnp.round,
    "pow": jnp.power,
    "fmax": jnp.fmax,
    "fmin": jnp.fmin,
    "fmod": jnp.fmod,
    "atan2": jnp.arctan2,
    "tgamma": jax.scipy.special.gamma,
    "lgamma": jax.scipy.special.gammaln,
    "erf": jax.scipy.special.erf,
    "erfc": jax.scipy.special.erfc,
    **{f"a{n}": getattr(jnp, f"arc{n}") for n in ("cos", "sin", "tan", "cosh", "sinh", "tanh")},
    **{
        n: getattr(jnp, n)
        for n in "floor ceil trunc sqrt cbrt exp exp2 expm1 log log2 log10 log1p sin cos tan sinh cosh tanh "
        "hypot copysign".split()
    },
}
_FUNCTIONS |= {f"{n}f": f for n, f in _FUNCTIONS.items()}
_CASTS = {"float": "float32", "double": "float64", "int": "int32", "long": "int64", "char": "int8"} | {
    f"npy_{d}": d for d in ("float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16")
}
# From the loosest to the tightest.
_OPERATORS = (
    {"||": lambda a, b: jnp.logical_or(a, b)},
    {"&&": lambda a, b: jnp.logical_and(a, b)},
    {"==": operator.eq, "!=": operator.ne},
    {"<": operator.lt, ">": operator.gt, "<=": operator.le, ">=": operator.ge},
    {"+": operator.add, "-": operator.sub},
    {"*": operator.mul, "/": _divide, "%": _remainder},
)
_TOKEN = re.compile(
    r"\s*((?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?[fFlLuU]*|\w+|\|\||&&|==|!=|<=|>=|[-+*/%<>!?:(),])"
)


def from_c(code, names, result):
    """JAX version of one assignment in C, as ``"z = x0 > 0 ? 1 : -1;"``.

    Parameters
    ----------
    code : str
    names : list of str
        Of the arguments.
    result : str
        Name of what is assigned.

    Raises
    ------
    NotOneExpression
    """
    code = re.sub(r"//[^\n]*|/\*.*?\*/", " ", code, flags=re.DOTALL).strip()
    statement = re.fullmatch(rf"{re.escape(result)}\s*=(?!=)(.*?);[\s;]*", code, re.DOTALL)
    if not statement or ";" in statement[1]:
        raise NotOneExpression(f"not one assignment: {' '.join(code.split())[:60]}")
    parser = _Parser(statement[1], names)
    expression = parser.choice()
    if parser.tokens:
        raise NotOneExpression(f"{parser.tokens[0]!r} at the end of an expression")
    return lambda *inputs: expression(dict(zip(names, inputs, strict=True)))


class _Parser:
    """Recursive descent; each method parses a rule and returns a function of the arguments."""

    def __init__(self, text, names):
        self.names, self.tokens, end = names, [], 0
        text = text.rstrip()
        while end < len(text):
            match = _TOKEN.match(text, end)
            if not match:
                raise NotOneExpression(repr(text[end:].strip()[:20]))
            self.tokens.append(match[1])
            end = match.end()

    def take(self, *expected):
        token = self.tokens.pop(0) if self.tokens else "the end"
        if expected and token not in expected:
            raise NotOneExpression(f"{token!r} where {expected[0]!r} is due")
        return token

    def next_is(self, *tokens):
        return bool(self.tokens) and self.tokens[0] in tokens

    def choice(self):
        condition = self.binary()
        if not self.next_is("?"):
            return condition
        self.take("?")
        yes = self.choice()
        self.take(":")
        no = self.choice()
        return lambda a: jnp.where(condition(a), *map(jnp.asarray, (yes(a), no(a))))

    def binary(self, level=0):
        if level == len(_OPERATORS):
            return self.unary()
        left = self.binary(level + 1)
        while self.next_is(*_OPERATORS[level]):
            left = self.joined(_OPERATORS[level][self.take()], left, self.binary(level + 1))
        return left

    @staticmethod
    def joined(function, left, right):
        return lambda a: function(_integers(left(a)), _integers(right(a)))

    def unary(self):
        if self.next_is("-", "+", "!"):
            sign, operand = self.take(), self.unary()
            apply = {"-": operator.neg, "+": operator.pos, "!": jnp.logical_not}[sign]
            return lambda a: apply(_integers(operand(a)))
        if len(self.tokens) > 2 and self.tokens[0] == "(" and self.tokens[1] in _CASTS:
            self.take("(")
            dtype = _CASTS[self.take()]
            self.take(")")
            operand = self.unary()
            return lambda a: jnp.asarray(operand(a)).astype(dtype)
        return self.primary()

    def primary(self):
        token = self.take()
        if token == "(":
            inner = self.choice()
            self.take(")")
            return inner
        if token in self.names:
            return lambda a: a[token]
        if token[0].isdigit() or token[0] == ".":
            return self.number(token)
        if self.next_is("(") and token in _FUNCTIONS:
            return self.call(_as_float(_FUNCTIONS[token]))
        raise NotOneExpression(repr(token))

    def call(self, function):
        self.take("(")
        arguments = [self.choice()]
        while self.take(",", ")") == ",":
            arguments.append(self.choice())
        return lambda a: function(*(_integers(e(a)) for e in arguments))

    @staticmethod
    def number(token):
        digits = token.rstrip("fFlLuU")
        if digits.isdigit():
            return lambda a: int(digits)
        value = np.float32(digits) if token[-1] in "fF" else np.float64(digits)
        return lambda a: value


@refine(Op)
def _jax_perform(original, op, node, **options):
    """An Op's ``perform``, called by JAX, where lengths of its outputs follow from those of its inputs."""
    if _is_pytensors(type(op)) and not isinstance(op, FromFunctionOp):
        return original(op, node=node, **options)

    def call(*inputs):
        results = [
            jax.ShapeDtypeStruct(shape, o.type.dtype)
            for shape, o in zip(_lengths(op, node, inputs), node.outputs, strict=True)
        ]

        def perform(*values):
            storage = [[None] for _ in node.outputs]
            op.perform(node, [np.array(v) for v in values], storage)
            return [np.asarray(s[0], o.type.dtype) for s, o in zip(storage, node.outputs, strict=True)]

        results = jax.pure_callback(_keeping_errors(perform), results, *map(jnp.asarray, inputs))
        return results if len(results) > 1 else results[0]

    return call


class _InUsersCode(Exception):
    """Replaces an exception of a user's Op inside JAX, which passes on only the text of exceptions."""


_errors, _numbers = {}, itertools.count()


def _keeping_errors(function):
    @wraps(function)
    def call(*args):
        try:
            return function(*args)
        except Exception as error:
            number = next(_numbers)
            _errors[number] = error
            raise _InUsersCode(f"error {number} of an Op's perform or impl: {error!r}") from None

    return call


def error_of_user(error):
    """The exception of a user's Op that caused JAX's error, or None if something else caused it."""
    number = re.search(r"error (\d+) of an Op's perform or impl", str(error))
    return _errors.pop(int(number[1]), None) if number else None


# JAX would print each of them, besides raising it.
logging.getLogger("jax._src.callback").addFilter(
    lambda record: not (record.exc_info and isinstance(record.exc_info[1], _InUsersCode))
)


def _lengths(op, node, inputs):
    shapes = [o.type.shape for o in node.outputs]
    if not any(None in s for s in shapes):
        return shapes
    given = [tuple(pt.constant(n, dtype="int64") for n in np.shape(i)) for i in inputs]
    # Theano gave two arguments, PyTensor until 3.2 three.
    for arguments in ((node, given), (None, node, given)):
        try:
            inferred = op.infer_shape(*arguments)
            return [tuple(int(get_scalar_constant_value(n)) for n in s) for s in inferred]
        except Exception:
            continue
    raise NotImplementedError(
        f"{op} has no JAX version, and no infer_shape by which JAX could call its perform"
    )
