"""Modules under Theano's names whose contents are PyTensor's.

A module that is not a file of this package is created when it is first imported. Its names are PyTensor's own
objects, so that no class exists twice. PyTensor's modules are loaded when a name is looked up.
"""

import importlib
import sys
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec
from pathlib import Path
from types import ModuleType

from theano.absent import ABSENT, nearest, stand_in

__all__ = ["MODULES", "let_absent_names_say_so"]

# For each of Theano's modules, the PyTensor modules to search for a name, in this order. Modules that are
# files of this package are listed too if PyTensor has further names of them.
MODULES = {
    "theano": "compile.builders compile.io gradient graph.basic graph.fg graph.op graph.type link.basic "
    "raise_op",
    "theano.compile": "compile.builders compile.io compile.maker compile.mode compile.ops "
    "compile.debug.debugmode compile.debug.monitormode compile.debug.profiling compile.sharedvalue gradient "
    "graph.null_type",
    "theano.compile.builders": "compile.builders",
    "theano.compile.debugmode": "compile.debug.debugmode compile.debug",
    "theano.compile.io": "compile.io",
    "theano.compile.mode": "compile.mode",
    "theano.compile.monitormode": "compile.debug.monitormode",
    "theano.compile.nanguardmode": "compile.debug.nanguardmode",
    "theano.compile.ops": "compile.ops",
    "theano.compile.pfunc": "compile.maker compile.rebuild",
    "theano.compile.profiling": "compile.debug.profiling",
    "theano.gof": "graph.basic graph.fg graph.op graph.type graph.features graph.traversal graph.utils "
    "graph.rewriting.basic graph.rewriting.db graph.destroyhandler link.basic link.c.basic link.c.op "
    "link.c.type",
    "theano.gof.destroyhandler": "graph.destroyhandler",
    "theano.gof.fg": "graph.fg graph.utils",
    "theano.gof.null_type": "graph.null_type",
    "theano.gof.op": "graph.op link.c.op",
    "theano.gof.opt": "graph.rewriting.basic",
    "theano.gof.optdb": "graph.rewriting.db",
    "theano.gof.toolbox": "graph.features",
    "theano.gof.type": "graph.type link.c.type",
    "theano.gof.unify": "graph.rewriting.unify",
    "theano.gof.utils": "graph.utils",
    "theano.gradient": "gradient",
    "theano.misc": "misc",
    "theano.misc.pkl_utils": "misc.pkl_utils",
    "theano.misc.ordered_set": "misc.ordered_set",
    "theano.raise_op": "raise_op",
    "theano.scalar": "scalar",
    "theano.scalar.basic": "scalar.basic scalar.math",
    "theano.scalar.basic_scipy": "scalar.math",
    "theano.scalar.sharedvar": "scalar.sharedvar",
    "theano.scan_module.scan": "scan.basic",
    "theano.scan_module.scan_checkpoints": "scan.checkpoints",
    "theano.scan_module.scan_op": "scan.op",
    "theano.scan_module.scan_opt": "scan.rewriting",
    "theano.scan_module.scan_views": "scan.views",
    "theano.sparse": "sparse sparse.basic sparse.math sparse.variable",
    "theano.sparse.basic": "sparse.basic sparse.math sparse.variable",
    "theano.sparse.sharedvar": "sparse.sharedvar",
    "theano.sparse.type": "sparse.type",
    "theano.sparse.utils": "sparse.utils",
    "theano.tensor": "tensor.basic tensor.math tensor.type tensor.subtensor tensor.extra_ops tensor.sort "
    "raise_op",
    "theano.tensor.basic": "tensor.basic tensor.math tensor.shape tensor.type tensor.subtensor tensor",
    "theano.tensor.blas": "tensor.blas",
    "theano.tensor.elemwise": "tensor.elemwise tensor.math",
    "theano.tensor.extra_ops": "tensor.extra_ops",
    "theano.tensor.fft": "tensor.fft",
    "theano.tensor.fourier": "tensor.fourier",
    "theano.tensor.inplace": "tensor.inplace",
    "theano.tensor.nlinalg": "tensor.nlinalg tensor.linalg",
    "theano.tensor.opt": "tensor.rewriting.basic tensor.rewriting.math tensor.rewriting.shape raise_op",
    "theano.tensor.raw_random": "tensor.random.basic tensor.random.op",
    "theano.tensor.sharedvar": "tensor.sharedvar",
    "theano.tensor.slinalg": "tensor.slinalg tensor.linalg",
    "theano.tensor.sort": "tensor.sort",
    "theano.tensor.subtensor": "tensor.subtensor",
    "theano.tensor.type": "tensor.type",
    "theano.tensor.type_other": "tensor.type_other",
    "theano.tensor.utils": "tensor.utils",
    "theano.tensor.xlogx": "tensor.xlogx",
    "theano.typed_list": "typed_list typed_list.basic",
    "theano.typed_list.basic": "typed_list.basic",
    "theano.typed_list.type": "typed_list.type",
}
# Our versions of these names replace PyTensor's, which take other arguments or do less.
_OURS = {
    "theano.compile.function": {"function": "theano.compile"},
    "theano.compile.io": {"In": "theano.compile", "Out": "theano.compile"},
    "theano.compile.pfunc": {"Param": "theano.compile:In", "pfunc": "theano.compile:function"},
    "theano.scan_module.scan": {"scan": "theano.scan_module"},
    "theano.scan_module.scan_checkpoints": {"scan_checkpoints": "theano.scan_module"},
    **dict.fromkeys(
        ("theano.sparse", "theano.sparse.basic", "theano.sparse.type"),
        {"SparseType": "pytensor.sparse.type:SparseTensorType", "sgn": "pytensor.sparse.math:sign"},
    ),
    "theano.tensor.nnet.ctc": {"ctc": "theano.tensor.nnet"},
    "theano.tensor.basic": dict.fromkeys(
        ("TensorVariable", "abs_", "addbroadcast", "batched_dot", "batched_tensordot")
        + ("col", "dot", "flatten", "inv", "is_flat", "matrix", "mean", "row", "scalar", "sgn", "stack")
        + (*(f"tensor{n}" for n in range(3, 8)), "tile", "vector"),
        "theano.tensor",
    ),
    "theano.tensor.extra_ops": dict.fromkeys(("repeat", "unravel_index"), "theano.tensor"),
    "theano.tensor.blas": {"batched_dot": "theano.tensor"},
}


class _Alias(ModuleType):
    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        name_ours = _OURS.get(self.__name__, {}).get(name)
        if name_ours:
            home, _, other = name_ours.partition(":")
            found = getattr(importlib.import_module(home), other or name)
        else:
            found = _find(self.__name__, name)
        setattr(self, name, found)
        return found


def _find(module, name):
    """A name of a module of Theano: PyTensor's object, a submodule, or a stub that raises when called."""
    below = f"{module}.{name}"
    for home in MODULES.get(module, "").split():
        try:
            found = getattr(importlib.import_module(f"pytensor.{home}"), name)
        except (ImportError, AttributeError):
            continue
        # PyTensor's module of that name may lack what Theano's had.
        is_alias = isinstance(found, ModuleType) and below in MODULES
        return importlib.import_module(below) if is_alias else found
    try:
        return stand_in(module, name)
    except AttributeError:
        if below in MODULES or below in ABSENT:
            return importlib.import_module(below)
        raise


class _Finder:
    """Finds the modules of the table that are not files."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name not in MODULES and name not in ABSENT:
            return None
        is_package = any(other.startswith(name + ".") for other in (*MODULES, *ABSENT))
        return ModuleSpec(name, _Finder, is_package=is_package)

    @staticmethod
    def create_module(spec):
        what = (
            "PyTensor's, under Theano's name" if spec.name in MODULES else f"not here; {nearest(spec.name)}"
        )
        return _Alias(spec.name, f"{spec.name}: {what}.")

    @staticmethod
    def exec_module(module):
        pass


def let_absent_names_say_so():
    """Add to the modules that are files here the further names of Theano's modules."""
    root = Path(__file__).parent
    for name in {**MODULES, **ABSENT}:
        file = root.joinpath(*name.split(".")[1:])
        if file.with_suffix(".py").exists() or (file / "__init__.py").exists():
            importlib.import_module(name).__getattr__ = _finder_of(name)
    for name in {*MODULES, *ABSENT} - {*sys.modules}:
        package, _, own = name.rpartition(".")
        there = vars(sys.modules.get(package, object)).get(own)
        if there is not None:
            # Else a module that is loaded later would replace a function of its name, like ``tensor.sort``.
            sys.modules[name] = module_from_spec(_Finder.find_spec(name))
        if isinstance(there, ModuleType):
            setattr(sys.modules[package], own, sys.modules[name])


def _finder_of(module):
    def find(name):
        if name.startswith("__"):
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        return _find(module, name)

    return find


sys.meta_path.append(_Finder)
