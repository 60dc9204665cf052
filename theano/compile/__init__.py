"""Shared variables and compiled functions."""

from pytensor.compile.mode import Mode, get_mode

from theano.compile.function_module import Function, In, Out, UnusedInputError, function
from theano.compile.sharedvalue import SharedVariable, TensorSharedVariable, shared

# Its older name, in which a module of PyTensor's would be found otherwise.
pfunc = function

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
    "pfunc",
    "shared",
]
