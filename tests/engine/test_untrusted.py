"""Files from anywhere: refused in one line, or run as the plain twins run them, within their own memory."""

import math
import os
import signal
import subprocess
import sys
import time
import tracemalloc
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from damaged_files import draw_damaged
from extent import few_or_all
from hypothesis import given, settings
from hypothesis import strategies as st
from small_models import branched, convolutional, data, every_operation, image

from xnornet.engine import Engine, layout, load, plan, reference
from xnornet.errors import ModelError
from xnornet.fixedpoint import Q
from xnornet.graph import (
    XNOR,
    Affine,
    Flatten,
    Graph,
    Linear,
    MaxPool,
    Quantize,
    Rectify,
    Signs,
    Window,
    check_graph,
    load_packed,
    save_packed,
)

# The plain twins take seconds for more multiply-adds in a model.
MOST_MACS = 3_000_000

# Damaged ones of each model.
FILES = few_or_all(100, 1250)

MODELS = {
    "branched": branched(),
    "every record": every_operation(),
    "folded": convolutional(scale_inputs=False, flattened=False),
    "flattened": convolutional(scale_inputs=False, flattened=True, channels=2),
    "scaled": convolutional(scale_inputs=True, flattened=False, channels=2),
}


class Guards:
    """Takes the place of ``aligned_zeros``: a zone of a pattern lies before and behind each array."""

    ZONE = 1 << 12

    def __init__(self):
        self.zones = []

    def zeros(self, shape, dtype):
        size = math.prod(shape) * np.dtype(dtype).itemsize
        memory = np.zeros(size + 2 * self.ZONE + 64, np.uint8)
        first = -memory.ctypes.data % 64 + self.ZONE
        for zone in (memory[:first], memory[first + size :]):
            zone[:] = 0xA5
            self.zones.append(zone)
        return memory[first : first + size].view(dtype).reshape(shape)

    def assert_untouched(self):
        assert self.zones and all((zone == 0xA5).all() for zone in self.zones)
        self.zones.clear()


@pytest.fixture
def guards(monkeypatch):
    guards = Guards()
    for module in (layout, plan):
        monkeypatch.setattr(module, "aligned_zeros", guards.zeros)
    return guards


def macs(model):
    """Multiply-adds of an image, and comparisons of pooling."""
    total = 0
    for record, shape in zip(model.operations, model.shapes(), strict=True):
        fan_in = 1
        if isinstance(record, XNOR):
            fan_in = math.prod(record.signs.shape[1:])
        elif isinstance(record, Linear):
            fan_in = math.prod(record.W.shape[1:])
        elif isinstance(record, MaxPool):
            fan_in = math.prod(record.window.size)
        total += math.prod(shape) * fan_in
    return total


def images_for(model, count=3):
    shape = (count, *model.input_shape)
    return np.random.default_rng(0).uniform(-1.5, 1.5, shape).astype("float32")


@pytest.mark.parametrize("name", MODELS)
def test_a_damaged_file_is_refused_or_runs_as_the_plain_twins(tmp_path, guards, name):
    """Models that the twins take seconds for are loaded, and not run."""
    save_packed(tmp_path / "whole.npz", MODELS[name], {})
    path, ran = tmp_path / "damaged.npz", []

    @settings(max_examples=FILES, database=None)
    @given(draw_damaged((tmp_path / "whole.npz").read_bytes()))
    def run(damaged):
        guards.zones.clear()
        path.write_bytes(damaged)
        try:
            engine = load(path)
        except ModelError as error:
            assert "\n" not in str(error) and str(path) in str(error)
            return
        model, _ = load_packed(path)
        if macs(model) <= MOST_MACS:
            ran.append(assert_runs_as_twins(engine, model))
            guards.assert_untouched()

    run()
    assert len(ran) > few_or_all(0, 50) and len(set(ran)) > few_or_all(0, 5)


def assert_runs_as_twins(engine, model):
    """Returns all that the kernels wrote, as bytes."""
    images, twin = images_for(model), Engine(model, kernels=reference)
    scores, expected = engine.run(images), twin.run(images)
    np.testing.assert_array_equal(scores, expected)
    found, wanted = ([a for buffer, a in e._idle[0].of.items() if not buffer.scratch] for e in (engine, twin))
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(one, other)
    return b"".join(a.tobytes() for a in found)


FENCED = """
import itertools, sys
import numpy as np
from fenced_memory import fence, fenced
from small_models import branched, convolutional, every_operation
from xnornet.engine import Engine, reference

drawn = itertools.product([False, True], [False, True], [1, 31, 32, 33, 64])
models = [every_operation(), *itertools.starmap(convolutional, drawn)]
for at_end, model in itertools.product([True, False], models):
    images = np.random.default_rng(0).uniform(-1.5, 1.5, (5, *model.input_shape)).astype("float32")
    engine = Engine(model)
    fence(engine, at_end)
    assert (engine.run(fenced(images, at_end)) == Engine(model, kernels=reference).run(images)).all()
print("whole")
"""

PAST_THE_END = """
import ctypes
import numpy as np
from fenced_memory import fenced

array = fenced(np.zeros(3, np.uint8))
ctypes.string_at(array.ctypes.data, 3)
print("whole", flush=True)
ctypes.string_at(array.ctypes.data, 4)
"""


def run_program(program):
    folders = [*map(os.path.abspath, ("tests/strategies", ".")), *sys.path]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, folders))}
    return subprocess.run(
        [sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, text=True, check=False
    )


@pytest.mark.skipif(os.name != "posix", reason="fences are pages that mprotect closes")
@pytest.mark.parametrize("program, end", [(FENCED, 0), (PAST_THE_END, -signal.SIGSEGV)])
def test_kernels_read_and_write_no_byte_beside_their_arrays(program, end):
    """In a process of its own, which a stray access ends; the second program makes sure that it does."""
    done = run_program(program)
    assert (done.stdout, done.returncode) == ("whole\n", end)


def one_layer(shape, *records, q=image):
    """A model of some records, its scores in the format of the last one that has any."""
    records = [Quantize(q), *records]
    return Graph.chain(shape, records)


def binary(outputs, inputs, window=None, q_in=image, scale_inputs=False):
    size = () if window is None else window.size
    B = Signs(np.zeros((outputs, *size, -(-inputs // 8)), np.uint8), inputs)
    return XNOR(B, np.ones(outputs, np.int64), Q(15, 0), None, data, scale_inputs, window, q_in, data)


class Cost:
    """Seconds of processor and most bytes of what a block takes."""

    def __enter__(self):
        self.seconds = -time.process_time()
        tracemalloc.start()
        return self

    def __exit__(self, *_):
        self.bytes = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        self.seconds += time.process_time()


def square(size, pad=0, stride=1):
    return Window((size, size), (stride, stride), ((pad, pad), (pad, pad)))


LARGE = {
    "words of one channel, for whole words of outputs": one_layer(
        (1, 2048, 2048), binary(1, 1, square(1)), binary(1, 1 << 22, q_in=data)
    ),
    "padding": one_layer((1, 1, 1), binary(1, 1, square(1, 5000, 10_000), scale_inputs=True), Flatten()),
    "taps of its own for each pixel and whole words of outputs": one_layer(
        (1, 1, 1), binary(1, 1, square(1200, 1199)), binary(1, 1200**2, q_in=data)
    ),
}


@pytest.mark.parametrize("name", LARGE)
def test_what_takes_more_than_a_gigabyte_is_refused_before_it_is_taken(name):
    check_graph(LARGE[name])
    with Cost() as cost, pytest.raises(ModelError, match="running one image takes .* MB; .* up to 1074 MB"):
        Engine(LARGE[name])
    assert cost.bytes < 1 << 26
    assert cost.seconds < 30


def test_a_batch_is_as_large_as_memory_allows():
    """Each image takes its padding: 8 bytes of signs and 8 of magnitudes a pixel."""
    model = one_layer((1, 1, 1), binary(1, 1, square(1, 2000, 4000), scale_inputs=True), Flatten())
    engine = Engine(model, batch_size=16)
    assert engine.batch_size == (1 << 30) // (16 * 4001**2)
    assert Engine(MODELS["scaled"], batch_size=999).batch_size == 999


def test_what_each_thread_takes_counts():
    """32 sums of 32 bits for each output."""
    model = one_layer((1, 1, 1), binary(1 << 17, 1))
    plan.Plan(model, threads=8)
    with pytest.raises(ModelError, match="running one image takes"):
        plan.Plan(model, threads=64)


MANY = {
    "pooling": one_layer((1, 2, 2), *[MaxPool(square(1), True)] * 8000, Flatten()),
    "flattening": one_layer((1, 2, 2), *[Flatten()] * 20_000),
    "flattened and rectified": one_layer((1, 2, 2), *[Flatten(), *[Rectify()] * 9] * 2000),
    "binary": one_layer(
        (1, 2, 2), *[binary(1, 1, square(1), image if i == 0 else data) for i in range(2000)], Flatten()
    ),
}


@pytest.mark.parametrize("name", MANY)
def test_thousands_of_layers_are_planned_in_little_time(name):
    check_graph(MANY[name])
    began = time.process_time()
    engine = Engine(MANY[name])
    assert time.process_time() - began < 30
    # One number is the same in every pixel, and stays so.
    assert len(np.unique(engine.run(np.ones((1, 1, 2, 2))))) == 1


def test_a_window_with_taps_of_its_own_at_each_pixel_is_planned_in_little_time():
    n = 400
    with Cost() as cost:
        Engine(one_layer((1, 1, 1), binary(1, 1, square(n, n - 1)), Flatten()))
    assert cost.seconds < 30
    assert cost.bytes < 1 << 27


@given(
    st.integers(1, 15),
    st.integers(-85, 1000) | st.sampled_from([-85, 1000]),
    st.lists(st.floats(-16, 16), min_size=4, max_size=4),
)
def test_images_are_quantized_in_any_format(bits, int_bits, shares):
    """Of numbers beyond the format those up to sixteen times its range, as larger ones are refused."""
    q, x = Q(bits, int_bits), [math.ldexp(share, int_bits) for share in shares]
    expected = [max(-q.limit, min(q.limit, round(Fraction(v) * Fraction(2) ** q.f))) for v in x]
    engine = Engine(one_layer((1, 2, 2), Flatten(), q=q))
    assert engine.run(np.reshape(x, (1, 1, 2, 2))).tolist() == [expected]


def rounded(x, q):
    return max(-q.limit, min(q.limit, round(x)))


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("inputs", [2, 3, 1 << 16])
def test_sums_of_the_largest_products_do_not_overflow(inputs, sign):
    """Two of them are the most that 32 bits hold."""
    full, q_out = Q(15, 0), Q(15, inputs.bit_length())
    W = np.full((1, inputs), sign * full.limit, np.int16)
    model = one_layer((1, 1, inputs), Linear(W, full, None, data, None, full, q_out), q=full)
    for value in (1, -1):
        exact = Fraction(sign * value * inputs * full.limit**2, 2 ** (full.f + full.f - q_out.f))
        assert Engine(model).run(np.full((1, 1, 1, inputs), 2.0 * value)) == [[rounded(exact, q_out)]]


@pytest.mark.parametrize("sign", [1, -1])
def test_scaled_products_of_signs_do_not_overflow(sign):
    """Just below ``2**62``: a sum of signs, times the sum of as many magnitudes, times alpha."""
    full, q_out = Q(15, 0), Q(15, 18)

    def model(inputs):
        B = Signs.pack(np.full((1, inputs), sign))
        layer = XNOR(B, np.array([full.limit]), full, None, data, True, None, full, q_out)
        return one_layer((1, 1, inputs), layer, q=full)

    with pytest.raises(ModelError, match="no exact result should reach"):
        Engine(model((1 << 16) + 4))
    inputs = 1 << 16
    total = sign * inputs * full.limit * inputs * full.limit
    assert abs(total) > 0.9999 * (1 << 62)
    exact = Fraction(total, 2 ** (2 * full.f - q_out.f))
    assert Engine(model(inputs)).run(np.full((1, 1, 1, inputs), 2.0)) == [[rounded(exact, q_out)]]


@pytest.mark.parametrize("shift", [0, 1, 61, 62, 63, 64, 500])
@pytest.mark.parametrize("b", [-32767, -1, 0, 1, 32767])
def test_results_are_rounded_by_any_shift(shift, b):
    """A shift beyond 62 gives 0, to which nothing that passes the check rounds but 0."""
    q_scale = Q(15, 0)
    aligned = min(max(0, shift - 16), 40)
    product_f = q_scale.f + image.f
    q_out, q_b = Q(15, 15 - (product_f - shift)), Q(15, 15 - (product_f - aligned))
    record = Affine(np.array([3]), q_scale, np.array([b]), q_b, image, q_out)
    model = one_layer((1, 1, 4), record, Flatten())
    n = [-127, -1, 0, 100]
    expected = [rounded(Fraction(3 * v + (b << aligned), 2**shift), q_out) for v in n]
    assert Engine(model).run(np.reshape(n, (1, 1, 1, 4)) / 128).tolist() == [expected]


@pytest.mark.parametrize("stride", [1, 3, 1 << 24])
def test_windows_that_lie_on_padding_alone_give_the_bias(stride):
    """A window may be larger than the image, and away from it; the sum over its taps is 0 there."""
    b, window = np.array([5, -7]), Window((2, 3), (stride, 1), ((4, 3), (5, 6)))
    layer = replace(binary(2, 1, window), b=b, signs=Signs.pack(np.ones((2, 1, 2, 3))), alpha=b * 0 + 9)
    model = one_layer((1, 2, 2), layer, Flatten())
    *_, shape, _ = model.shapes()
    scores = Engine(model).run(np.ones((1, 1, 2, 2))).reshape(shape)
    expected = np.zeros(shape, int)
    for o, y, x in np.ndindex(shape):
        taps = sum(0 <= y * stride - 4 + i < 2 and 0 <= x - 5 + j < 2 for i in range(2) for j in range(3))
        # The product has 15 fraction bits, the bias and the output 12.
        expected[o, y, x] = rounded(Fraction(9 * taps + (int(b[o]) << 3), 8), data)
    np.testing.assert_array_equal(scores, expected)
