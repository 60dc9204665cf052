"""Settings from the environment, from files and from Python. Each environment is a process of its own."""

import os
import subprocess
import sys
import warnings

import numpy as np
import pytensor
import pytest
from extent import few_or_all

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


def test_without_settings_nets_are_float64_on_jax_as_in_theano():
    status, output, errors = python("print(theano.config.floatX, theano.config.mode, theano.config.device)")
    assert (status, output[0], errors) == (0, "float64 JAX cpu", "")


def test_defaults_of_a_program_yield_to_flags_and_to_files(tmp_path):
    program = "theano.config.set_defaults(floatX='float32'); print(theano.config.floatX)"
    assert python(program)[1][0] == "float32"
    assert python(program, THEANO_FLAGS="floatX=float16")[1][0] == "float16"
    file = tmp_path / "theanorc"
    file.write_text("[global]\nfloatX = float64\n")
    assert python(program, THEANORC=str(file))[1][0] == "float64"


def test_the_platform_is_left_to_jax_unless_a_flag_chooses_it_and_the_user_has_not():
    program = "import jax; print(jax.config.jax_platforms)"
    kept = {"JAX_PLATFORMS": ""}
    assert python(program, **kept)[1][0] in ("None", "")
    assert python(program, THEANO_FLAGS="device=cpu", **kept)[1][0] == "cpu"
    assert python(program, THEANO_FLAGS="device=cpu", JAX_PLATFORMS="cuda,cpu")[1][0] == "cuda,cpu"


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


def test_a_file_may_hold_comments_repetitions_and_percent_signs(tmp_path):
    file = tmp_path / "theanorc"
    file.write_text("[global]\nfloatX = float32 # for GPUs\nfloatX = float64 ; no\n[nvcc]\nflags = 90%\n")
    status, output, errors = python("print(theano.config.floatX)", THEANORC=str(file))
    assert (status, output[0]) == (0, "float64"), errors
    assert "no longer in use: nvcc.flags" in errors


@pytest.mark.parametrize(
    "content", [b"floatX = float64\n", b"[global]\nfloatX\n", b"[global]\nfloatX = \xff\n"]
)
def test_a_file_without_settings_is_reported_in_one_line(tmp_path, content):
    file = tmp_path / "theanorc"
    file.write_bytes(content)
    status, _, errors = python("", THEANORC=str(file))
    last = errors.strip().split("\n")[-1]
    assert status != 0
    assert last.startswith(f"ValueError: {file} cannot be read as settings (") and "name = value" in last


def test_a_flag_without_a_value_is_warned_about():
    status, output, errors = python("print(theano.config.floatX)", THEANO_FLAGS="floatX,mode=FAST_RUN,")
    assert (status, output[0]) == (0, "float64")
    assert "'floatX' is ignored; a flag is name=value" in errors


@pytest.mark.parametrize("device", few_or_all(["gpu1"], ["cuda", "gpu", "cuda0", "gpu1"]))
def test_a_gpu_is_used_or_reported_missing(device):
    program = "import jax\nprint(theano.config.device, jax.devices()[0].platform, len(jax.devices()))"
    status, output, errors = python(program, THEANO_FLAGS=f"device={device}")
    if status == 0:
        name, platform, count = output[0].split()
        assert (name, platform) == (device, "gpu")
        assert not device[-1].isdigit() or count == "1"
        return
    last = errors.strip().split("\n")[-1]
    assert last.startswith(f"ValueError: theano.config.device is {device!r}, and JAX finds no such GPU")
    assert "THEANO_FLAGS=device=cpu" in last


BAD = [
    "floatX=float31",
    "device=toaster",
    "compiled_versions=many",
    "device=cudaX",
    "mode=SLOW",
    "optimizer=fastest",
    "exception_verbosity=shouting",
    "compiled_versions=0",
    "length_buckets=-1",
    "length_buckets=some",
]


@pytest.mark.parametrize("flag", few_or_all(BAD[:3], BAD))
def test_a_bad_value_is_reported_in_one_line(flag):
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


@pytest.mark.parametrize(
    "name, value",
    [
        ("mode", "FAST_RUN"),
        ("optimizer", "fast_compile"),
        ("optimizer", "o1"),
        ("exception_verbosity", "high"),
        ("on_unused_input", "warn"),
        ("compiled_versions", 3),
        ("length_buckets", 16),
        ("allow_gc", False),
    ],
)
def test_a_setting_holds_what_was_assigned(name, value):
    before = getattr(theano.config, name)
    try:
        setattr(theano.config, name, value)
        assert getattr(theano.config, name) == value
    finally:
        setattr(theano.config, name, before)
    assert getattr(theano.config, name) == before


def test_unknown_settings_are_ignored_with_one_warning_each():
    program = """
for _ in range(3):
    theano.config.compute_test_value = "raise"
    theano.config.lib.cnmem = 0.8
    theano.config.dnn.conv.algo_fwd = "time_once"
    with theano.config.change_flags(compute_test_value="off", floatX="float64"):
        print(theano.config.floatX)
print(hasattr(theano.config, "compute_test_value"), hasattr(theano.config.lib, "cnmem"))
"""
    status, output, errors = python(program, THEANO_FLAGS="lib.cnmem=0.8,dnn.include_path=/usr")
    assert (status, output[:4]) == (0, ["float64"] * 3 + ["True False"]), errors
    ignored = [line.partition("no longer in use: ")[2] for line in errors.split("\n") if "in use" in line]
    assert ignored == ["dnn.include_path, lib.cnmem", "compute_test_value", "dnn.conv.algo_fwd"]


def test_settings_with_a_dot_are_those_of_pytensor():
    before = pytensor.config.traceback__limit
    try:
        theano.config.traceback.limit = 3
        assert theano.config.traceback.limit == pytensor.config.traceback__limit == 3
    finally:
        pytensor.config.traceback__limit = before
    with pytest.raises(AttributeError, match="theano.config has no 'traceback.depth'"):
        theano.config.traceback.depth  # noqa: B018


def test_values_for_tests_are_off_and_cannot_be_switched_on():
    assert theano.config.compute_test_value == "off"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        theano.config.compute_test_value = "off"
    with pytest.warns(UserWarning, match="ignored.*compute_test_value"):
        theano.config.compute_test_value = "raise"
    assert theano.config.compute_test_value == "off"
