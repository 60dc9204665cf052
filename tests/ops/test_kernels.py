"""The kernels against plain loops, called directly: any shape costs no more than its loops."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from direct_calls import direct_call
from extent import examples
from hypothesis import example, given, settings
from hypothesis import strategies as st
from processors import PROCESSORS, output_on
from sign_products import (
    GRADIENTS,
    Convolution,
    Product,
    draw_convolutions,
    draw_products,
    int16_error,
)

from xnornet.ops import amx, custom_calls, native

UNPADDED = ((0, 0), (0, 0))


@pytest.fixture(scope="module", autouse=True, params=["vectors", "AMX"])
def _direct_calls(request):
    if request.param == "AMX" and not amx.available():
        pytest.skip("this processor has no AMX, or this system does not lend it")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(amx, "available", lambda: request.param == "AMX")
        patch.setattr(custom_calls.CustomCall, "__call__", direct_call())
        yield


def forward(case, H, B):
    if isinstance(case, Product):
        return native.multiply(H, B)
    return native.convolve(H, B, case.pad, case.flip)


def left_gradient(case, g, B):
    if isinstance(case, Product):
        return native.row_gradient(g, B)
    return native.image_gradient(g, B, case.images, case.pad, case.flip)


def right_gradient(case, H, g):
    if isinstance(case, Product):
        return native.matrix_gradient(H, g)
    return native.filter_gradient(H, g, case.filters, case.pad, case.flip)


def random_gradient(case, kind="normal"):
    return GRADIENTS[kind](np.random.default_rng(case.seed + 1), case.output).astype(np.float32)


def all_of(case):
    """Bits of the product and of both gradients."""
    H, B = case.draw_signs()
    g = random_gradient(case)
    found = forward(case, H, B), left_gradient(case, g, B), right_gradient(case, H, g)
    return [a.tobytes() for a in found]


cases = draw_convolutions() | draw_products()


@settings(max_examples=examples(100))
@given(cases)
def test_products_of_signs_are_exact(case):
    H, B = case.draw_signs()
    found = forward(case, H, B)
    assert found.dtype == np.int16
    np.testing.assert_array_equal(found, case.forward(H, B))


@settings(max_examples=examples(150))
@given(cases, st.sampled_from(list(GRADIENTS)))
@example(Product(130, 300, 300), "one, and less than half a step")
def test_gradients_are_within_half_a_step_of_16_bits(case, kind):
    """A step is that of an image for the images' gradient, and of no more than all for the other."""
    H, B = case.draw_signs()
    g = random_gradient(case, kind)
    image = None if isinstance(case, Product) else (1, 2, 3)
    (left_error, _), (_, right_error) = int16_error(case, g, image), int16_error(case, g, None)
    left = np.abs(left_gradient(case, g, B) - case.left_gradient(g, B))
    right = np.abs(right_gradient(case, H, g) - case.right_gradient(H, g))
    assert (left <= left_error).all() and (right <= right_error).all()


LAYERS = [
    Convolution((4, 16, 16, 64), (128, 64, 3, 3), ((1, 1), (1, 1))),
    Convolution((2, 14, 14, 32), (64, 32, 5, 5)),
    Convolution((1, 8, 8, 200), (140, 200, 3, 3), ((1, 1), (1, 1))),
    Product(128, 512, 1024),
    Product(100, 784, 10),
]


@pytest.mark.parametrize("kind", ["normal", "sparse"])
@pytest.mark.parametrize("case", LAYERS, ids=str)
def test_gradients_of_layers_are_within_a_ten_thousandth_of_the_largest(case, kind):
    H, B = case.draw_signs()
    g = random_gradient(case, kind)
    for found, exact in (
        (left_gradient(case, g, B), case.left_gradient(g, B)),
        (right_gradient(case, H, g), case.right_gradient(H, g)),
    ):
        assert np.abs(found - exact).max() < 1e-4 * np.abs(exact).max()


@settings(max_examples=examples(60))
@given(cases, st.sampled_from([np.inf, -np.inf, np.nan]), st.data())
def test_what_is_not_finite_arrives(case, value, data):
    """And not at other images."""
    H, B = case.draw_signs()
    g = random_gradient(case)
    at = data.draw(st.integers(0, g.size - 1))
    g.flat[at] = value
    image, *_ = np.unravel_index(at, g.shape)
    left, right = left_gradient(case, g, B), right_gradient(case, H, g)
    with np.errstate(invalid="ignore"):
        expected = [np.isfinite(e) for e in (case.left_gradient(g, B), case.right_gradient(H, g))]
    assert not np.isfinite(left[~expected[0]]).any() and not np.isfinite(right[~expected[1]]).any()
    if isinstance(case, Convolution):
        others = np.arange(len(left)) != image
        np.testing.assert_array_equal(
            left[others], left_gradient(case, np.nan_to_num(g, posinf=0, neginf=0), B)[others]
        )


@settings(max_examples=examples(40))
@given(cases)
def test_results_do_not_depend_on_the_number_of_threads(case):
    with pytest.MonkeyPatch.context() as patch:
        found = []
        for threads in (1, 2, 3, 7, 7):
            patch.setattr(custom_calls.THREADS, "value", threads)
            found.append(all_of(case))
    assert found == [found[0]] * 5


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    "case",
    [
        Product(1, 3, 2**16),
        Product(2**16, 3, 2),
        Product(2**17 + 1, 1, 1),
        Product(70_000, 16, 64),
        Convolution((1, 1, 2**16, 1), (1, 1, 1, 1)),
        Convolution((1, 2, 2, 1), (2**14, 1, 2, 2), ((1, 1), (1, 1))),
    ],
    ids=str,
)
def test_the_longest_sums_of_the_largest_numbers_do_not_overflow(case, sign):
    H, B = (np.ones_like(a) for a in case.draw_signs())
    g = np.full(case.output, sign * 32767, np.float32)
    if isinstance(case, Convolution):
        assert native.takes_convolution(case.images, case.filters, case.pad)
    if not isinstance(case, Product) or native.takes_product(case.rows, case.channels, case.outputs):
        np.testing.assert_allclose(left_gradient(case, g, B), case.left_gradient(g, B), rtol=1e-6)
        np.testing.assert_allclose(right_gradient(case, H, g), case.right_gradient(H, g), rtol=1e-6)


@pytest.mark.parametrize(
    "case", [Product(3, 2**15 - 1, 2), Convolution((1, 1, 1, 2**15 - 1), (2, 2**15 - 1, 1, 1))]
)
@pytest.mark.parametrize("sign", [1, -1])
def test_the_longest_sums_of_signs_do_not_overflow(case, sign):
    H, B = (np.ones_like(a) for a in case.draw_signs())
    np.testing.assert_array_equal(forward(case, sign * H, B), case.forward(sign * H, B))


@pytest.mark.parametrize(
    "images, filters, pad",
    [
        ((0, 4, 4, 3), (2, 3, 1, 1), UNPADDED),
        ((1, 4, 4, 0), (2, 0, 1, 1), UNPADDED),
        ((1, 4, 4, 3), (0, 3, 1, 1), UNPADDED),
        ((1, 4, 4, 2**15), (2, 2**15, 1, 1), UNPADDED),
        ((1, 4, 4, 2**13), (2, 2**13, 2, 2), UNPADDED),
        ((1, 4, 4, 1), (2**14 + 1, 1, 2, 2), UNPADDED),
        ((1, 1, 2**16 + 1, 1), (1, 1, 1, 1), UNPADDED),
        ((1, 4, 4, 3), (2, 3, 3, 3), ((0, 3), (0, 0))),
        ((1, 4, 4, 3), (2, 3, 3, 3), ((0, 0), (3, 0))),
    ],
)
def test_convolutions_that_the_kernels_would_get_wrong_are_not_theirs(images, filters, pad):
    assert not native.takes_convolution(images, filters, pad)


@pytest.mark.parametrize("lengths", [(0, 3, 3), (3, 0, 3), (3, 3, 0), (3, 2**15, 3), (3, 3, 2**16 + 1)])
def test_products_that_the_kernels_would_get_wrong_are_not_theirs(lengths):
    assert not native.takes_product(*lengths)


@pytest.fixture(scope="module")
def bits():
    return output_on(None, "tests/ops/kernel_bits.py").splitlines()[1:]


@pytest.mark.parametrize("processor", PROCESSORS)
def test_every_instruction_set_gives_the_same_bits(bits, processor):
    assert output_on(processor, "tests/ops/kernel_bits.py").splitlines() == [PROCESSORS[processor], *bits]


FENCED = """
import itertools
import numpy as np
from direct_calls import direct_call
from fenced_memory import fenced
from sign_products import Convolution, Product
from test_kernels import all_of
from xnornet.ops import custom_calls

pads = ((0, 0), (0, 0)), ((1, 0), (0, 1)), ((2, 2), (2, 2)), ((0, 2), (1, 2))
cases = [
    Convolution((n, h, w, c), (o, c, 3, 3), pad, flip)
    for n, (h, w), c, o, pad, flip in itertools.product(
        (1, 3), ((3, 3), (4, 7), (9, 8)), (1, 16, 64, 65), (1, 32, 64, 67), pads, (False, True)
    )
]
cases += [Product(*lengths) for lengths in itertools.product((1, 2, 63, 64, 65, 130), repeat=3)]
for at_end, case in itertools.product((True, False), cases):
    custom_calls.CustomCall.__call__ = direct_call(lambda a: fenced(a, at_end))
    all_of(case)
print("whole", len(cases))
"""


@pytest.mark.skipif(os.name != "posix", reason="fences are pages that mprotect closes")
def test_kernels_read_and_write_no_byte_beside_their_arrays():
    """In a process of its own, which a stray access ends."""
    folders = [*map(os.path.abspath, ("tests/ops", "tests/strategies", ".")), *sys.path]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, folders))}
    done = subprocess.run(
        [sys.executable, "-c", FENCED], env=environment, stdout=subprocess.PIPE, text=True, check=False
    )
    assert done.returncode == 0 and done.stdout.startswith("whole"), signal.Signals(-done.returncode)
