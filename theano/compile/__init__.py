"""Shared variables and compiled functions."""

from pytensor.compile.mode import Mode, get_mode

from theano.compile.function_module import Function, In, Out, UnusedInputError, function
from theano.compile.sharedvalue import SharedVariable, TensorSharedVariable, shared

__all__ = [
    "Function",
    "In",
    "Mode",
    "Out",
    "SharedVariable",
    "TensorSharedVariable",
    "UnusedInputError",
    "function",
    "get_mode",
    "shared",
]
