"""Other programs in the process: importing all of ours changes nothing that PyTensor and JAX users see."""

import json
import os
import subprocess
import sys

import pytest

IMPORT_ALL = """
import warnings
warnings.filterwarnings("ignore", message="pkg_resources is deprecated")
import importlib, pkgutil, theano, xnornet
for package in (theano, xnornet):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
"""

# What compiles and runs a function of ours, of whatever needs our ways of translating.
COMPILE_OURS = """
import numpy
x = theano.tensor.matrix(dtype="float32")
W = theano.shared(numpy.ones((3, 2), "float32"))
f = theano.function([x], [theano.tensor.dot(x, W).mean(), W.std()], updates={W: W * 0.5})
f(numpy.ones((4, 3), "float32"))
"""

NEIGHBOURS = """
import json, warnings
import jax, jax.numpy as jnp, numpy as np
import pytensor, pytensor.tensor as pt
from pytensor.graph.basic import Variable

found = {"settings": [jax.config.jax_platforms, jax.config.jax_enable_x64]}
found["precision"] = str(jax.config.jax_default_matmul_precision)
found["pytensor"] = [pytensor.config.floatX, pytensor.config.exception_verbosity, pytensor.config.mode]
found["jax"] = [str(jnp.ones(3).dtype), str(jnp.arange(3).dtype), str(jax.jit(lambda x: x / 3)(1).dtype)]
found["jax"] += [float(jax.grad(lambda x: jnp.sin(x) ** 2)(0.5)), jax.devices()[0].platform]
found["types"] = [pt.matrix().dtype, (pt.fvector() * 0.1).dtype, (pt.ivector() / 2).dtype]

x, y = pt.dmatrix("x"), pt.fvector("y")
s = pytensor.shared(np.arange(3, dtype="float32"), "s")
expressions = [(x.flatten(1) * 2).sum(), x.flatten(2).std(axis=0), pt.exp(y) + s, y.mean(), pt.round(x)]
values = [np.linspace(0, 1, 6).reshape(2, 3), np.ones(3, "float32")]
given = dict(zip([x, y], values))
found["evaluated"] = []
for e in expressions:
    r = e.eval({k: v for k, v in given.items() if k in pytensor.graph.traversal.ancestors([e])})
    found["evaluated"].append((str(r.dtype), np.asarray(r).tolist()))
for mode in ("FAST_COMPILE", "JAX"):
    kept = expressions if mode == "FAST_COMPILE" else expressions[:4]
    f = pytensor.function([x, y], kept, updates=[(s, s + 1)] if mode == "FAST_COMPILE" else [], mode=mode)
    found[mode] = [(str(np.asarray(r).dtype), np.asarray(r).tolist()) for r in f(*values)]
found["jax after pytensor"] = [str(jnp.ones(3).dtype), jax.config.jax_enable_x64]
print(json.dumps(found))
"""


def run(*programs):
    environment = {k: v for k, v in os.environ.items() if k not in ("THEANO_FLAGS", "JAX_PLATFORMS")}
    text = subprocess.check_output([sys.executable, "-c", "\n".join(programs)], text=True, env=environment)
    return json.loads(text.splitlines()[-1])


@pytest.fixture(scope="module")
def alone():
    return run(NEIGHBOURS)


def test_after_all_is_imported_others_run_as_in_a_process_of_their_own(alone):
    assert run(IMPORT_ALL, NEIGHBOURS) == alone


def test_after_a_function_of_ours_has_run_they_still_do(alone):
    assert run(IMPORT_ALL, COMPILE_OURS, NEIGHBOURS) == alone


def test_importing_replaces_nothing_of_pytensor():
    program = """
import json, pytensor
import pytensor.tensor as pt
from pytensor.link.jax.dispatch import jax_funcify, jax_typify
from pytensor.graph.basic import Variable
from pytensor.tensor.variable import TensorVariable

def seen():
    classes = (Variable, TensorVariable, pytensor.tensor.sharedvar.TensorSharedVariable)
    spaces = {c.__name__: c for c in classes} | {"tensor": pt}
    names = [(s, n) for s in spaces for n in dir(spaces[s]) if not n.startswith("__")]
    methods = {f"{s}.{n}": id(getattr(spaces[s], n)) for s, n in names}
    tables = {str(c): id(f) for table in (jax_funcify, jax_typify) for c, f in table.registry.items()}
    return methods | tables

before = seen()
IMPORT
after = seen()
print(json.dumps([name for name, value in before.items() if after.get(name) != value]))
"""
    assert run(program.replace("IMPORT", IMPORT_ALL)) == []


def test_64_bit_numbers_need_no_setting_and_leave_none():
    program = """
import json, numpy as np, jax, theano, theano.tensor as T
n, x = T.lvector(), T.dvector()
total = theano.shared(np.int64(2**40))
f = theano.function([n, x], [n.sum(), x.mean()], updates={total: total + n.sum()})
big, mean = f([2**40, 2**41], [1 / 3, 1 / 3])
print(json.dumps([int(big), float(mean), int(total.get_value()), str(big.dtype), jax.config.jax_enable_x64]))
"""
    assert run(program) == [2**40 + 2**41, 1 / 3, 2**40 + 2**40 + 2**41, "int64", False]
