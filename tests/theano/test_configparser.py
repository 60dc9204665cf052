"""Settings from the environment, from files and from Python. Each environment is a process of its own."""

import os
import subprocess
import sys

import numpy as np
import pytest

import theano
import theano.tensor as T


def python(program, **environment):
    """Run a program after ``import theano``; returns exit status, output and errors."""
    kept = {k: v for k, v in os.environ.items() if k not in ("THEANO_FLAGS", "THEANORC")}
    environment = {"THEANORC": os.devnull, **kept, **environment}
    program = f"import theano, numpy as np\nimport theano.tensor as T\n{program}"
    process = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60
    )
    return process.returncode, process.stdout.split("\n"), process.stderr


def test_without_settings_nets_are_float32_on_jax():
    status, output, errors = python("print(theano.config.floatX, theano.config.mode, theano.config.device)")
    assert (status, output[0], errors) == (0, "float32 JAX cpu", "")


def test_floatX_float64_makes_float64_nets_in_jax():
    program = """
x, W = T.matrix(), theano.shared(np.full((2, 1), 1 / 3, theano.config.floatX))
loss = T.nnet.softplus(T.dot(x, W)).sum()
f = theano.function([x], loss, updates={W: W - 0.1 * T.grad(loss, W)})
loss = f(np.ones((3, 2)))
print(theano.config.floatX, loss.dtype, W.get_value().dtype, f.compilations)
print(repr(float(loss)))
"""
    status, output, errors = python(program, THEANO_FLAGS="floatX=float64")
    assert status == 0, errors
    assert output[0] == "float64 float64 float64 1"
    np.testing.assert_allclose(float(output[1]), 3 * np.log1p(np.exp(2 / 3)), rtol=1e-15)


def test_flags_override_files_and_unknown_ones_are_warned_about(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_text("[global]\nfloatX = float64\nexception_verbosity = high\ndevice = cpu\n")
    second.write_text("[global]\nmode = FAST_RUN\n[nvcc]\nfastmath = True\n")
    status, output, errors = python(
        "c = theano.config; print(c.floatX, c.mode, c.exception_verbosity)",
        THEANORC=f"{first}{os.pathsep}{second}",
        THEANO_FLAGS="mode=FAST_COMPILE, lib.cnmem=0.8",
    )
    assert (status, output[0]) == (0, "float64 FAST_COMPILE high")
    assert "flags ignored, no longer in use: lib.cnmem, nvcc.fastmath" in errors


def test_mode_FAST_COMPILE_runs_without_compiling():
    program = """
x = T.scalar()
f = theano.function([x], x + 1)
print(f(1), f.compilations)
"""
    status, output, errors = python(program, THEANO_FLAGS="mode=FAST_COMPILE")
    assert (status, output[0]) == (0, "2.0 0"), errors


@pytest.mark.parametrize("flag", ["floatX=float31", "device=toaster", "mode=SLOW", "optimizer=fastest"])
def test_a_bad_value_is_said_in_one_line(flag):
    status, _, errors = python("", THEANO_FLAGS=flag)
    name, value = flag.split("=")
    assert status != 0
    last = errors.strip().split("\n")[-1]
    assert last.startswith("ValueError: ")
    assert name in last and value in last and "takes" in last


def test_floatX_can_be_assigned():
    assert theano.config.floatX == "float32"
    try:
        theano.config.floatX = "float64"
        assert T.matrix().dtype == "float64"
        x = T.matrix()
        assert theano.function([x], T.exp(x))(np.ones((1, 1))).dtype == np.float64
    finally:
        theano.config.floatX = "float32"
    assert T.matrix().dtype == "float32"


def test_change_flags_lasts_for_a_block():
    with theano.config.change_flags(floatX="float64", mode="FAST_COMPILE"):
        assert (theano.config.floatX, theano.config.mode) == ("float64", "FAST_COMPILE")
        assert T.vector().dtype == "float64"
    assert (theano.config.floatX, theano.config.mode) == ("float32", "JAX")
    with pytest.raises(ZeroDivisionError), theano.config.change_flags(floatX="float64"):
        raise ZeroDivisionError
    assert theano.config.floatX == "float32"


def test_a_bad_assignment_changes_nothing():
    with pytest.raises(ValueError, match="float32"):
        theano.config.floatX = "single"
    with pytest.raises(ValueError, match="THEANO_FLAGS=device=cuda"):
        theano.config.device = "cuda"
    assert (theano.config.floatX, theano.config.device) == ("float32", "cpu")
