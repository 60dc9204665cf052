"""Kernels as XLA calls them: with as many threads as there are, within a program, and not at all."""

import os
import subprocess
import sys

import jax
import numpy as np
import pytest
from processors import PROCESSORS, output_on
from sign_products import Convolution, Product

from xnornet.ops import custom_calls, native


@pytest.mark.parametrize("images", [1, 3])
def test_a_program_gives_the_same_bits_in_every_call_and_by_any_number_of_threads(monkeypatch, images):
    case, flat = Convolution((images, 6, 7, 70), (40, 70, 3, 3), ((1, 1), (0, 2))), Product(5, 280, 140)
    arrays = *case.draw_signs(), *flat.draw_signs()
    rng = np.random.default_rng(1)
    weights = [rng.normal(size=c.output).astype(np.float32) for c in (case, flat)]

    def program(H, B, rows, matrix, g, rows_g):
        out, product = native.convolve(H, B, case.pad, case.flip), native.multiply(rows, matrix)
        return [
            out,
            native.image_gradient(g * out, B, H.shape, case.pad, case.flip),
            native.filter_gradient(H, g * out, B.shape, case.pad, case.flip),
            product,
            native.row_gradient(rows_g * product, matrix),
            native.matrix_gradient(rows, rows_g * product),
        ]

    found = []
    for threads in (1, 2, 3, 7):
        monkeypatch.setattr(custom_calls.THREADS, "value", threads)
        compiled = jax.jit(lambda *arrays: program(*arrays))
        found += [[np.asarray(a).tobytes() for a in compiled(*arrays, *weights)] for _ in range(2)]
    assert found == [found[0]] * 8


STEP = """
import lasagne, numpy as np
import theano, theano.tensor as T
from xnornet.layers import XNORConv2DLayer, XNORDenseLayer
from xnornet.ops import native

lasagne.random.set_rng(np.random.RandomState(0))
x, t = T.tensor4(dtype="float32"), T.matrix(dtype="float32")
net = lasagne.layers.InputLayer((None, 3, 6, 6), x)
net = XNORConv2DLayer(XNORConv2DLayer(net, 70, 3, pad=1), 40, 3)
net = XNORDenseLayer(XNORDenseLayer(net, 1030), 4)
loss = T.sqr(lasagne.layers.get_output(net) - t).mean()
updates = lasagne.updates.sgd(loss, lasagne.layers.get_all_params(net, trainable=True), 0.01)
step = theano.function([x, t], loss, updates=updates)
rng = np.random.default_rng(0)
images, targets = rng.normal(size=(5, 3, 6, 6)).astype("float32"), rng.normal(size=(5, 4)).astype("float32")
print(native.instruction_set(), *(float(step(images, targets)).hex() for _ in range(3)), sep=",")
"""


def run_steps(processor=None):
    return output_on(processor, "-c", STEP).strip().split(",")


@pytest.fixture(scope="module")
def losses():
    return run_steps()[1:]


@pytest.mark.parametrize("processor", PROCESSORS)
def test_every_instruction_set_trains_alike_to_the_last_bit(losses, processor):
    assert run_steps(processor) == [PROCESSORS[processor], *losses]


def test_an_xla_that_does_not_call_the_kernels_is_reported_in_one_warning(monkeypatch):
    def refuse(*arguments, **options):
        raise RuntimeError("FFI handler's API version is too old\nand a long trace")

    monkeypatch.setattr(native, "_pack_matrix", refuse)
    native.works.cache_clear()
    try:
        with pytest.warns(UserWarning, match="train without their kernels.*too old$"):
            assert not native.takes_product(2, 3, 4)
        assert not native.takes_convolution((1, 5, 5, 3), (4, 3, 3, 3), ((1, 1), (1, 1)))
    finally:
        native.works.cache_clear()


# A kernel that adds its thread's number, from 1 on, to the elements of its share, and a program with it.
SMALL = """
import sys
import jax, numpy as np
from xnornet.ops import custom_calls
from xnornet.ops.custom_calls import CustomCall, argument, argument_shape, option, result
from xnornet.xla_programs import keep_programs

def add_number(thread, threads, frame):
    count = argument_shape(frame, 0)[0]
    x, out = argument(frame, 0, (count,), np.int64), result(frame, 0, (count,), np.int64)
    for i in range(thread, count, threads):
        out[i] = option(frame, 0) * x[i] + thread + 1

jax.config.update("jax_enable_x64", True)
keep_programs()
custom_calls.THREADS.value = int(sys.argv[1])
call = CustomCall(add_number)
program = jax.jit(lambda x: call(jax.ShapeDtypeStruct(x.shape, x.dtype), x, options=(3,)))
x = np.array([10, 20, 30, 40, 50])
print(program.lower(x).as_text())
found = []
jax.monitoring.register_event_listener(lambda name, **_: found.append(name))
print("out", *np.asarray(program(x)), "hit" if "/jax/compilation_cache/cache_hits" in found else "miss")
"""


def run_small(threads, **settings):
    """The program's text, and what it finds."""
    folders = os.pathsep.join(filter(None, [os.path.abspath("."), *sys.path]))
    command = [sys.executable, "-c", SMALL, str(threads)]
    text = subprocess.check_output(command, env=os.environ | {"PYTHONPATH": folders} | settings, text=True)
    text, _, found = text.partition("out ")
    return text, found.split()


def test_a_compiled_program_runs_in_another_process_with_another_number_of_threads(tmp_path):
    settings = {"XDG_CACHE_HOME": str(tmp_path)}
    text, found = run_small(1, **settings)
    assert found == ["31", "61", "91", "121", "151", "miss"]
    other_text, found = run_small(2, **settings)
    assert found == ["31", "62", "91", "122", "151", "hit"]
    assert text == other_text and "xnornet_add_number" in text


def test_a_damaged_program_is_compiled_again(tmp_path):
    settings = {"XDG_CACHE_HOME": str(tmp_path)}
    run_small(1, **settings)
    for file in (tmp_path / "xnornet" / "programs").glob("*-cache"):
        file.write_bytes(file.read_bytes()[:40] + b"damaged")
    assert run_small(1, **settings)[1] == ["31", "61", "91", "121", "151", "miss"]


def test_where_no_folder_can_be_written_programs_are_compiled_in_each_process(tmp_path):
    (tmp_path / "in the way").touch()
    settings = {"XDG_CACHE_HOME": str(tmp_path / "in the way")}
    assert [run_small(1, **settings)[1][-1] for _ in range(2)] == ["miss", "miss"]


def test_the_folder_that_jax_is_given_takes_programs(tmp_path):
    settings = {
        "XDG_CACHE_HOME": str(tmp_path / "users"),
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path / "given"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    assert [run_small(1, **settings)[1][-1] for _ in range(2)] == ["miss", "hit"]
    assert not (tmp_path / "users").exists()


def test_programs_are_kept_for_those_who_ask_for_it():
    program = "import jax, xnornet.training; print(jax.config.jax_compilation_cache_dir)"
    environment = {k: v for k, v in os.environ.items() if k != "JAX_COMPILATION_CACHE_DIR"}
    assert subprocess.check_output([sys.executable, "-c", program], env=environment, text=True) == "None\n"


def test_a_kernel_that_does_not_compile_is_an_error_of_the_program():
    def broken(thread, threads, frame):
        return frame.no_such_thing

    call = custom_calls.CustomCall(broken)
    program = jax.jit(lambda x: call(jax.ShapeDtypeStruct(x.shape, x.dtype), x))
    with pytest.warns(UserWarning, match="could not compile xnornet_broken: "):
        with pytest.raises(RuntimeError, match="could not compile xnornet_broken"):
            jax.block_until_ready(program(np.ones(3, np.float32)))
