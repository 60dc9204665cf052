"""Theano's public API as names on PyTensor, compiled by JAX.

What PyTensor has is re-exported under Theano's name; what it dropped (convolution, pooling, counter-based
random streams, a few legacy names) is written here. This package knows nothing of xnornet or Lasagne.
"""

from theano import versions  # isort: skip  (an old PyTensor or JAX is reported before it fails)
from theano.configparser import config  # isort: skip  (settings must be applied before graphs exist)

import importlib.metadata
import warnings

from pytensor.graph.basic import Apply, Constant
from pytensor.graph.op import Op
from pytensor.graph.replace import clone_replace
from pytensor.tensor.type import TensorType

from theano import aliases, compile, gof, gpuarray, gradient, ifelse, printing, scalar, tensor
from theano.compile import In, Mode, Out, SharedVariable, function, shared
from theano.gof import Variable
from theano.gradient import Lop, Rop, grad
from theano.printing import debugprint, pp
from theano.scan_module import foldl, foldr, map, reduce, scan, scan_checkpoints
from theano.updates import OrderedUpdates

__all__ = [
    "Apply",
    "Constant",
    "In",
    "Lop",
    "Mode",
    "Op",
    "OrderedUpdates",
    "Out",
    "Rop",
    "SharedVariable",
    "TensorType",
    "Variable",
    "aliases",
    "clone",
    "compile",
    "config",
    "debugprint",
    "dot",
    "foldl",
    "foldr",
    "function",
    "gof",
    "gpuarray",
    "grad",
    "gradient",
    "ifelse",
    "map",
    "pp",
    "printing",
    "reduce",
    "scalar",
    "scan",
    "scan_checkpoints",
    "shared",
    "tensor",
    "versions",
]

__version__ = "1.1.0+xnornet"

dot = tensor.dot


def clone(output, replace=None, strict=True, share_inputs=True, copy_inputs=None):
    """Copy the graph of ``output``, replacing variables on the way.

    Parameters
    ----------
    output : Variable or list of Variable
    replace : dict or list of pairs, optional
        Variables of the graph and what stands in their place.
    strict : bool
        Require each replacement to have the type of what it replaces.
    share_inputs : bool
        Keep the graph's inputs. Otherwise they are copied; the copy of a shared variable holds the same
        value as the original, and setting either sets both.
    copy_inputs : bool, optional
        The older name of ``share_inputs``.

    Returns
    -------
    Variable or list of Variable
    """
    shared = share_inputs if copy_inputs is None else copy_inputs
    return clone_replace(output, replace=replace, rebuild_strict=strict, copy_inputs_over=shared)


def _warn_of_a_second_theano():
    """Two distributions that both install a folder ``theano`` leave a mixture of files there."""
    for name in ("Theano", "Theano-PyMC"):
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        warnings.warn(
            f"{name} {version} is installed beside xnornet, and both write the folder theano: run "
            f"`pip uninstall {name}`, then `pip install --force-reinstall --no-deps .` in a clone of xnornet",
            stacklevel=3,
        )


_warn_of_a_second_theano()
aliases.let_absent_names_say_so()
