"""The versions of PyTensor and JAX that this package is tested with, and names that differ among them.

Everything that differs between their versions is in this file, so that a new version needs changes only here.
"""

import re
import sys
import warnings
from importlib import metadata

__all__ = [
    "ADVANCED_INC_SUBTENSOR1",
    "ADVANCED_SUBTENSOR1",
    "COPY_INNER_GRAPH",
    "COPY_INNER_GRAPHS",
    "LENGTHS_OF_SPLIT",
    "along",
    "axis_and_inputs",
    "check_version",
    "ifelse",
    "shape_rule",
    "x64_of_process",
]

# Least version, and the first that is not tested.
TESTED = {"pytensor": ("3.0.7", "3.4"), "jax": ("0.10", "0.13")}


def check_version(name, tested=TESTED):
    """Compare an installed library with what was tested.

    Parameters
    ----------
    name : str
        Of the distribution.
    tested : dict
        For each, the lowest tested version and the first version that is not tested.

    Raises
    ------
    ImportError
        It is missing or too old. A newer one is a warning.
    """
    least, end = tested[name]
    remedy = f"run `pip install '{name}>={least},<{end}'`"
    try:
        found = metadata.version(name)
    except metadata.PackageNotFoundError:
        raise ImportError(f"{name} is not installed; {remedy}") from None
    numbers = _numbers(found)
    if numbers is not None and numbers < _numbers(least):
        raise ImportError(f"{name} {found} is installed; at least {least} is required: {remedy}")
    if numbers is None or numbers >= _numbers(end):
        warnings.warn(f"{name} {found} has not been tested; if anything fails, {remedy}", stacklevel=3)


def _numbers(version):
    """The leading numbers of a version, without trailing zeros, or None if it does not begin with one."""
    found = re.match(r"\d+(\.\d+)*", version)
    if found is None:
        return None
    numbers = [int(n) for n in found[0].split(".")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return numbers


for _name in TESTED:
    check_version(_name)

if sys.version_info < (3, 12):
    # PyTensor imports it when it first compiles. It then fails if Python's own distutils has been loaded.
    import setuptools  # noqa: F401

import jax  # noqa: E402  (an old one may not even import)
import pytensor.graph.basic  # noqa: E402
from pytensor.graph.basic import Constant  # noqa: E402
from pytensor.graph.op import Op  # noqa: E402
from pytensor.tensor.basic import Join, Split  # noqa: E402

try:
    # Until PyTensor 3.1; from 3.2 on AdvancedSubtensor and AdvancedIncSubtensor do their work.
    from pytensor.tensor.subtensor import AdvancedIncSubtensor1, AdvancedSubtensor1

    ADVANCED_SUBTENSOR1, ADVANCED_INC_SUBTENSOR1 = (AdvancedSubtensor1,), (AdvancedIncSubtensor1,)
except ImportError:
    ADVANCED_SUBTENSOR1 = ADVANCED_INC_SUBTENSOR1 = ()

try:
    # From PyTensor 3.3 on.
    from pytensor.conditional import ifelse
except ImportError:
    from pytensor.ifelse import ifelse


def shape_rule(method):
    """``infer_shape(self, node, shapes)`` of an Op as PyTensor calls it: until 3.2 with the graph first."""
    if "__init_subclass__" in vars(Op):
        return method
    return lambda self, fgraph, node, shapes: method(self, node, shapes)


# From PyTensor 3.3 on Join and Split know their axis themselves; before, it is one of their inputs.
_AXIS_IS_INPUT = "axis" not in Join.__props__

# Which input of Split the lengths are.
LENGTHS_OF_SPLIT = 2 if _AXIS_IS_INPUT else 1


def axis_and_inputs(node):
    """The axis of a Join or Split, or None where it is computed, and its further inputs."""
    if not _AXIS_IS_INPUT:
        return node.op.axis, node.inputs
    inputs = list(node.inputs)
    axis = inputs.pop(0 if isinstance(node.op, Join) else 1)
    return int(axis.data) if isinstance(axis, Constant) else None, inputs


def along(op, axis, *inputs):
    """Outputs of a Join or Split like this one, along another axis."""
    if not _AXIS_IS_INPUT:
        op = Join(axis) if isinstance(op, Join) else Split(op.len_splits, axis)
    elif isinstance(op, Join):
        inputs = axis, *inputs
    else:
        inputs = inputs[0], axis, *inputs[1:]
    return op.make_node(*inputs).outputs


# What to say to copy the graphs inside of an Op as well. From PyTensor 3.3 on these never change and copies
# share them; it warns of whoever asks.
_SHARED = hasattr(pytensor.graph.basic, "_warn_deprecated_clone_inner_graph")
COPY_INNER_GRAPH = {} if _SHARED else {"clone_inner_graph": True}
COPY_INNER_GRAPHS = {} if _SHARED else {"clone_inner_graphs": True}


def x64_of_process():
    """Whether JAX has 64-bit types where no scope says otherwise."""
    return jax.enable_x64.get_global()
