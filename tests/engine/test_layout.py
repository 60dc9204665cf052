"""What kernels read, against plain loops: signs in words, weights in blocks, and the taps on the padding."""

import time
import tracemalloc
from itertools import product

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from xnornet.engine.layout import aligned_zeros, blocked, border, paired, real_weights, sign_words, words
from xnornet.graph import Signs, Window
from xnornet.vectors import BLOCK

channels = st.sampled_from([1, 2, 7, 8, 9, 63, 64, 65, 130])


def drawn_signs(draw, *shape):
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    return rng.choice(np.array([-1, 1], np.int8), shape)


@st.composite
def axes(draw):
    """Length, size, stride, padding and dilation of an axis on which a window fits; it may miss the image."""
    length, pad = draw(st.integers(1, 6)), draw(st.tuples(st.integers(0, 7), st.integers(0, 7)))
    dilation = draw(st.sampled_from([1, 1, 2, 3]))
    size = draw(st.integers(1, min(8, (length + sum(pad) - 1) // dilation + 1)))
    return length, size, draw(st.integers(1, 4)), pad, dilation


@st.composite
def padded_signs(draw):
    """Signs, the window that they are of, and the lengths of the image that it moves over."""
    rows, columns = draw(axes()), draw(axes())
    lengths, size, stride, pad, dilation = zip(rows, columns, strict=True)
    return (
        drawn_signs(draw, draw(st.integers(1, 4)), draw(channels), *size),
        Window(size, stride, pad, dilation),
        lengths,
    )


def starts(window, lengths):
    """Where windows begin along each axis."""
    axes = zip(lengths, window.extent, window.stride, window.pad, strict=True)
    return [range(-pad[0], length + pad[1] - extent + 1, stride) for length, extent, stride, pad in axes]


@given(padded_signs(), st.randoms(use_true_random=False))
def test_the_border_turns_differing_bits_into_products(drawn, random):
    """A zero bit on the padding, a tap that counts 0 in the product."""
    B, window, lengths = drawn
    outputs, depth, *size = B.shape
    image = {
        place: [random.choice([-1, 1]) for _ in range(depth)]
        for place in product(range(lengths[0]), range(lengths[1]))
    }
    tops, lefts = starts(window, lengths)
    w = sign_words(Signs.pack(B), (depth, *lengths))
    base, classes = border(w, depth, window, lengths, (len(tops), len(lefts)))
    assert base.dtype == classes.dtype == np.int32
    assert base.shape == (classes.max() + 1, outputs) and classes.shape == (len(tops) * len(lefts),)
    for pixel, (top, left) in enumerate(product(tops, lefts)):
        for o in range(outputs):
            total = differences = 0
            for i, j in product(*map(range, size)):
                signs = image.get((top + i * window.dilation[0], left + j * window.dilation[1]))
                for c in range(depth):
                    weight = int(B[o, c, i, j])
                    total += 0 if signs is None else weight * signs[c]
                    differences += (weight > 0) != (signs is not None and signs[c] > 0)
            assert base[classes[pixel], o] - 2 * differences == total


@given(padded_signs())
def test_pixels_of_a_class_meet_the_image_with_the_same_taps(drawn):
    B, window, lengths = drawn
    on_image = [
        [tuple(0 <= start + k * apart < length for k in range(size)) for start in of_axis]
        for of_axis, length, size, apart in zip(
            starts(window, lengths), lengths, window.size, window.dilation, strict=True
        )
    ]
    grid = tuple(map(len, on_image))
    _, classes = border(sign_words(Signs.pack(B), (B.shape[1], *lengths)), B.shape[1], window, lengths, grid)
    taps = {}
    for number, seen in zip(classes.tolist(), product(*on_image), strict=True):
        assert taps.setdefault(number, seen) == seen


def test_a_border_of_as_many_classes_as_pixels_is_reckoned_at_once():
    """Some bytes of a file make a window larger than the image, at each place with other taps on it."""
    n = 300
    window = Window((n, n), (1, 1), ((n - 1, n - 1), (n - 1, n - 1)))
    w = np.ones((1, n, n, 1), np.uint64)
    began = time.process_time()
    tracemalloc.start()
    try:
        base, classes = border(w, 1, window, (n, n), (2 * n - 1, 2 * n - 1))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert time.process_time() - began < 30
    assert peak < 16 * classes.nbytes
    # Ones alone: all taps of the window that are not on the image are counted twice.
    assert base[classes[0], 0] == 1 + 2 * (n * n - 1)
    assert base[classes[n - 1 + (2 * n - 1) * (n - 1)], 0] == n * n


@given(st.data(), channels, st.integers(1, 3))
def test_a_bit_of_a_word_is_a_sign(data, depth, outputs):
    size = data.draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    B = drawn_signs(data.draw, outputs, depth, *size)
    dense = data.draw(st.booleans())
    # A dense layer's inputs lie as the image's numbers do: channels, rows, columns.
    w = sign_words(Signs.pack(B.reshape(outputs, -1) if dense else B), (depth, *(size if dense else (9, 9))))
    assert w.dtype == np.uint64 and w.shape == (outputs, *size, words(depth))
    for o, i, j in np.ndindex(outputs, *size):
        number = sum(int(word) << 64 * k for k, word in enumerate(w[o, i, j]))
        assert number == sum((int(B[o, c, i, j]) > 0) << c for c in range(depth))


@given(st.integers(1, 5), st.integers(1, 3), st.integers(1, 3), st.booleans())
def test_real_weights_lie_channels_last(depth, rows, columns, dense):
    W = np.arange(2 * depth * rows * columns, dtype=np.int16).reshape(2, depth, rows, columns)
    w = real_weights(W.reshape(2, -1) if dense else W, (depth, rows, columns))
    assert w.dtype == np.int16 and w.shape == (2, rows, columns, depth)
    for o, c, i, j in np.ndindex(*W.shape):
        assert w[o, i, j, c] == W[o, c, i, j]


@given(st.integers(2, 9), st.integers(1, 3), st.integers(1, 3), st.integers(0, 2**32))
def test_pairs_of_weights_make_the_sum_of_a_run(length, runs, outputs, seed):
    """An odd run's last pair is of the two last numbers, so that none behind them is read."""
    rng = np.random.default_rng(seed)
    w, x = (rng.integers(-(2**15) + 1, 2**15, (n, runs, length), dtype=np.int16) for n in (outputs, 1))
    pairs = paired(w.reshape(outputs, 1, runs, length), length)
    count = -(-length // 2)
    assert pairs.dtype == np.int32 and pairs.shape == (outputs, runs, count)
    for o, run in np.ndindex(outputs, runs):
        total = 0
        for k in range(count):
            first = min(2 * k, length - 2)
            low = (int(pairs[o, run, k]) & 0xFFFF ^ 0x8000) - 0x8000
            total += int(x[0, run, first]) * low
            total += int(x[0, run, first + 1]) * (int(pairs[o, run, k]) >> 16)
        assert total == sum(int(a) * int(b) for a, b in zip(x[0, run], w[o, run], strict=True))


@given(
    st.sampled_from([np.uint64, np.int16]).flatmap(
        lambda dtype: arrays(dtype, st.tuples(st.integers(1, 130), st.integers(1, 2), st.integers(1, 3)))
    ),
    st.sampled_from([BLOCK, 2 * BLOCK]),
)
def test_weights_lie_in_whole_blocks_with_zeros_behind_them(w, multiple):
    out = blocked(w, multiple)
    assert out.dtype == w.dtype and out.flags.c_contiguous and out.ctypes.data % 64 == 0
    assert len(out) * BLOCK % multiple == 0 and 0 <= len(out) * BLOCK - len(w) < multiple
    taps = w.reshape(len(w), -1)
    for block, tap, k in np.ndindex(*out.shape):
        output = block * BLOCK + k
        assert out[block, tap, k] == (taps[output, tap] if output < len(w) else 0)


@given(st.tuples(st.integers(0, 5), st.integers(0, 5)), st.sampled_from([np.int16, np.uint64, np.uint8]))
def test_zeros_are_aligned(shape, dtype):
    zeros = aligned_zeros(shape, dtype)
    assert zeros.shape == shape and zeros.dtype == dtype and not zeros.any()
    assert zeros.ctypes.data % 64 == 0 or not zeros.size
