"""Kernels as XLA calls them: with as many threads as there are, within a program, and not at all."""

import os
import subprocess
import sys

import jax
import numpy as np
import pytest
from sign_products import Convolution, Product

from xnornet.ops import custom_calls, native

has_kernels = pytest.mark.skipif(
    not native.available(), reason="the processor lacks instructions for kernels"
)


@has_kernels
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
net = XNORDenseLayer(XNORConv2DLayer(net, 8, 3, pad=1), 4)
loss = T.sqr(lasagne.layers.get_output(net) - t).mean()
updates = lasagne.updates.sgd(loss, lasagne.layers.get_all_params(net, trainable=True), 0.01)
step = theano.function([x, t], loss, updates=updates)
rng = np.random.default_rng(0)
images, targets = rng.normal(size=(5, 3, 6, 6)).astype("float32"), rng.normal(size=(5, 4)).astype("float32")
print(native.available(), *(float(step(images, targets)) for _ in range(3)))
"""


def run_steps(**settings):
    folders = os.pathsep.join(filter(None, [os.path.abspath("."), *sys.path]))
    environment = os.environ | {"PYTHONPATH": folders} | settings
    available, *losses = subprocess.check_output(
        [sys.executable, "-c", STEP], env=environment, text=True
    ).split()
    return available, [float(loss) for loss in losses]


def test_processors_without_the_instructions_train_as_well():
    available, losses = run_steps(NUMBA_CPU_NAME="haswell", NUMBA_CPU_FEATURES="")
    assert available == "False"
    _, expected = run_steps()
    np.testing.assert_allclose(losses, expected, rtol=1e-3)


def test_an_xla_that_does_not_call_the_kernels_is_told_in_one_warning(monkeypatch):
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
