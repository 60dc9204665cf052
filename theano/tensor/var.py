"""Variables of a tensor's type, and their truth value in a condition."""

import sys
from types import ModuleType

from pytensor.compile.sharedvalue import SharedVariable
from pytensor.scalar.basic import GE, GT, LE, LT
from pytensor.tensor.elemwise import Elemwise
from pytensor.tensor.variable import TensorConstant, TensorConstantSignature
from pytensor.tensor.variable import TensorVariable as _TensorVariable

__all__ = ["TensorConstant", "TensorConstantSignature", "TensorVariable"]


class _Symbolic(_TensorVariable.__class__):
    """Leaves shared variables out of a class, to whose instances PyTensor counts them."""

    def __instancecheck__(cls, instance):
        return isinstance(instance, _TensorVariable) and not isinstance(instance, SharedVariable)


class TensorVariable(_TensorVariable, metaclass=_Symbolic):
    """A tensor of a graph. As in Theano, and as Lasagne 0.1 relies on, no shared variable is one."""


def _let_code_for_theano_ask_for_truth():
    """Let ``if W:`` mean "if W is not None" in modules that import theano, as it did in Theano.

    In all others, PyTensor refuses it as before. A comparison is refused everywhere: ``a < b < c`` would
    silently lose its first half.
    """
    (home,) = (c for c in _TensorVariable.__mro__ if "__bool__" in vars(c))
    pytensors = home.__bool__

    def is_there(variable):
        if not _is_for_theano(sys._getframe(1).f_globals) or _is_comparison(variable):
            return pytensors(variable)
        return True

    home.__bool__ = is_there


def _is_for_theano(names):
    """Whether the globals of a module show that it imports theano or something of it."""
    for value in list(names.values()):
        home = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
        if isinstance(home, str) and home.partition(".")[0] == "theano":
            return True
    return False


def _is_comparison(variable):
    op = getattr(variable.owner, "op", None)
    return isinstance(op, Elemwise) and isinstance(op.scalar_op, LT | GT | LE | GE)


_let_code_for_theano_ask_for_truth()
