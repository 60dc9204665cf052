"""Packed signs: what bit stands for what sign, and that none is lost."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from xnornet.graph import Signs

lengths = st.integers(1, 20)
shapes = st.tuples(lengths, lengths) | st.tuples(st.integers(1, 3), lengths, st.integers(1, 4), lengths)
signs = shapes.flatmap(lambda shape: arrays(np.int8, shape, elements=st.sampled_from([1, -1])))


@given(signs)
def test_each_bit_is_the_sign_of_its_channel(B):
    packed = Signs.pack(B)
    assert packed.bits.dtype == np.uint8
    outputs, channels, *window = B.shape
    assert packed.bits.shape == (outputs, *window, (channels + 7) // 8)
    assert packed.channels == channels
    for index in np.ndindex(*packed.bits.shape):
        o, *position, j = index
        expected = sum(2**k for k in range(8) if 8 * j + k < channels and B[(o, 8 * j + k, *position)] == 1)
        assert packed.bits[index] == expected


@given(signs)
def test_unpacking_gives_the_signs_back(B):
    packed = Signs.pack(B)
    assert packed.shape == B.shape
    found = packed.unpack()
    assert found.dtype == np.int8
    np.testing.assert_array_equal(found, B)


@pytest.mark.parametrize("shape", [(3, 9), (2, 9, 3, 2)])
def test_the_bytes_lie_in_order_however_the_signs_lay(shape):
    B = np.where(np.arange(np.prod(shape)) % 3, 1, -1).astype(np.int8).reshape(shape)
    packed = Signs.pack(np.asfortranarray(B))
    assert packed.bits.flags.c_contiguous
    np.testing.assert_array_equal(packed.bits, Signs.pack(B).bits)
