"""Every public name of Theano 1.0.5 can be imported: it is PyTensor's, ours, or says that it is not here.

``names.json`` lists what real Theano's modules define, module by module.
"""

import importlib
import json
import sys
from pathlib import Path
from types import ModuleType

import pytensor
import pytest

import theano
from theano.absent import ABSENT

NAMES = json.loads(Path(__file__).with_name("names.json").read_text(encoding="utf-8"))


@pytest.mark.filterwarnings("ignore")
def test_every_name_of_every_module_is_here_or_names_what_is_nearest():
    present, absent = [], []
    for module, kinds in NAMES.items():
        home = importlib.import_module(module)
        assert sys.modules[module] is home is importlib.import_module(module)
        for name in (kinds["class"] + " " + kinds["function"]).split():
            found = getattr(home, name)
            # A module of that name must not stand in a function's place, as ``tensor.var`` did.
            assert not isinstance(found, ModuleType), (module, name)
            if getattr(found, "__doc__", None) and found.__doc__.startswith("Not here; nearest is"):
                absent.append((module, name))
                with pytest.raises(NotImplementedError, match=f"{module}.{name} .* nearest is ."):
                    found()
            else:
                present.append((module, name))
    assert len(NAMES) > 170 and len(present) > 1200
    listed = {(m, n) for m, kinds in ABSENT.items() for names in kinds.values() for n in names}
    assert set(absent) <= listed <= {(m, n) for m in NAMES for n in " ".join(NAMES[m].values()).split()}


def test_classes_under_theano_s_names_are_pytensor_s_and_loaded_once():
    from theano.scalar.basic import UnaryScalarOp
    from theano.tensor.elemwise import Elemwise

    assert Elemwise is pytensor.tensor.elemwise.Elemwise is theano.tensor.Elemwise
    assert UnaryScalarOp is pytensor.scalar.basic.UnaryScalarOp
    assert theano.scalar.basic.UnaryScalarOp is UnaryScalarOp


def test_a_name_that_theano_did_not_have_either_is_an_attribute_error():
    for module in (theano.tensor, importlib.import_module("theano.tensor.opt")):
        assert not hasattr(module, "no_such_name")
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("theano.no_such_module")


def test_what_theano_s_packages_showed_of_their_modules_is_there():
    assert theano.OpFromGraph is theano.compile.OpFromGraph is pytensor.compile.builders.OpFromGraph
    assert theano.subgraph_grad is pytensor.gradient.subgraph_grad
    assert theano.tensor.opt.Assert is pytensor.raise_op.Assert
    assert theano.printing.pprint is theano.printing.pp
    assert theano.sparse.basic is importlib.import_module("theano.sparse.basic")


def test_an_absent_class_works_in_isinstance():
    from theano.gpuarray.type import GpuArrayType

    assert not isinstance(theano.tensor.matrix().type, GpuArrayType)


def test_a_module_takes_no_functions_place():
    for module in NAMES:
        importlib.import_module(module)
    from theano.compile.function import function
    from theano.tensor.nnet.ctc import ctc
    from theano.tensor.sort import sort

    assert theano.tensor.sort is sort and theano.compile.function is function is theano.function
    assert theano.tensor.nnet.ctc is ctc
    assert theano.scan_module.scan is theano.scan
    assert callable(theano.scan_module.scan_checkpoints)


def test_a_module_is_the_one_that_its_package_shows():
    for name in NAMES:
        module = importlib.import_module(name)
        package, _, own = name.rpartition(".")
        shown = getattr(importlib.import_module(package or name), own, module)
        assert shown is module or not isinstance(shown, ModuleType), name


def test_constants_are_theano_s():
    """The numbers that Theano 1.0.5 itself defines, and programs may read."""
    for home in (theano.tensor, importlib.import_module("theano.tensor.basic")):
        assert (home.float16_atol, home.float32_atol, home.float64_atol) == (1e-3, 1e-5, 1e-8)
        assert (home.float16_rtol, home.float32_rtol, home.float64_rtol) == (1e-3, 1e-5, 1e-5)
    assert importlib.import_module("theano.misc.pkl_utils").min_recursion == 3000
