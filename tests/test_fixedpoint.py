"""Fixed point against exact fractions, whose ``round`` is half to even."""

from fractions import Fraction

import numpy as np
import pytest
from extent import examples
from hypothesis import given, settings
from hypothesis import strategies as st

import theano
import theano.tensor as T
from xnornet.fixedpoint import Q, int_bits_for, round_shift, saturate

SHIFTS = range(-10, 71)

formats = st.builds(Q, st.integers(1, 31), st.integers(-40, 40))
halves = st.builds(lambda k, e: (k + 0.5) * 2.0**e, st.integers(-(2**16), 2**16), st.integers(-50, 40))
reals = st.floats(allow_nan=False, allow_infinity=False) | halves
int64s = st.integers(-(2**62), 2**62) | st.builds(
    lambda k, e, d: max(-(2**62), min(2**62, k * 2**e + d)),
    st.integers(-9, 9),
    st.integers(0, 61),
    st.integers(-1, 1),
)


def clipped(n, bits):
    return max(-(2**bits - 1), min(2**bits - 1, n))


@given(formats, st.lists(reals, min_size=1, max_size=20))
def test_quantize_rounds_half_to_even_and_saturates(q, xs):
    n = q.quantize(xs)
    assert n.dtype == np.int64
    unit = Fraction(2) ** (q.int_bits - q.bits)
    assert n.tolist() == [clipped(round(Fraction(x) / unit), q.bits) for x in xs]


@pytest.mark.parametrize("x", [5e-324, -5e-324, 1.7e308, -1.7e308, 0.0, -0.0])
@pytest.mark.parametrize("int_bits", [-1100, -40, 0, 40, 1100])
def test_quantize_takes_the_ends_of_the_floating_range_without_warning(x, int_bits, recwarn):
    unit = Fraction(2) ** (int_bits - 15)
    assert Q(15, int_bits).quantize(x) == clipped(round(Fraction(x) / unit), 15)
    assert not recwarn.list


def test_quantize_breaks_ties_to_even():
    assert Q(7, 7).quantize([0.5, 1.5, 2.5, -0.5, -1.5, -2.5]).tolist() == [0, 2, 2, 0, -2, -2]


def test_quantize_keeps_the_shape():
    assert Q(7, 0).quantize(np.zeros((2, 3, 4), np.float32)).shape == (2, 3, 4)


@given(formats, st.data())
def test_dequantize_is_n_times_the_unit_and_quantize_undoes_it(q, data):
    n = data.draw(st.lists(st.integers(-q.limit, q.limit), min_size=1, max_size=20))
    x = q.dequantize(n)
    assert x.dtype == np.float64
    unit = Fraction(2) ** (q.int_bits - q.bits)
    assert [Fraction(v) for v in x.tolist()] == [k * unit for k in n]
    assert q.quantize(x).tolist() == n


def test_a_format_names_its_fraction_bits_and_its_limit():
    assert (Q(15, 3).f, Q(15, 20).f, Q(15, -4).f) == (12, -5, 19)
    assert Q(7, 0).limit == 127
    assert str(Q(7, 0)) == "Q(7, 0)"


@pytest.mark.parametrize("bits", [-1, 0, 32])
def test_a_format_of_no_or_too_many_bits_is_an_error(bits):
    with pytest.raises(ValueError, match=f"1 to 31 magnitude bits; got {bits}"):
        Q(bits, 0)


@pytest.mark.parametrize("x", [np.nan, np.inf, -np.inf])
def test_quantize_refuses_what_is_not_finite(x):
    with pytest.raises(ValueError, match="finite"):
        Q(7, 0).quantize([0.0, x])


@given(st.floats(0, allow_nan=False, allow_infinity=False) | st.integers(-1074, 1023).map(lambda e: 2.0**e))
def test_int_bits_are_the_fewest_whose_power_of_two_reaches_the_magnitude(magnitude):
    k = int_bits_for(magnitude)
    if magnitude == 0:
        assert k == 0
    else:
        assert Fraction(2) ** (k - 1) < Fraction(magnitude) <= Fraction(2) ** k


@given(st.integers(-1074, 1023))
def test_int_bits_of_a_power_of_two_are_its_exponent(exponent):
    assert int_bits_for(2.0**exponent) == exponent


@pytest.mark.parametrize("magnitude", [np.nan, np.inf, -1.0])
def test_int_bits_refuse_what_is_no_magnitude(magnitude):
    with pytest.raises(ValueError, match="finite and not negative"):
        int_bits_for(magnitude)


@given(st.lists(int64s, min_size=1, max_size=20), st.sampled_from(SHIFTS))
def test_round_shift_rounds_half_to_even(ns, shift):
    if shift < 0:
        ns = [n >> 11 for n in ns]
    shifted = round_shift(np.array(ns, np.int64), shift)
    assert shifted.dtype == np.int64
    assert shifted.tolist() == [round(n / Fraction(2) ** shift) for n in ns]


@pytest.mark.parametrize("shift", range(60, 66))
def test_round_shift_is_right_at_the_ends_of_its_range(shift):
    ends = [k * 2**60 + d for k in range(-4, 5) for d in (-1, 0, 1) if abs(k * 2**60 + d) <= 2**62]
    shifted = round_shift(np.array(ends, np.int64), shift)
    assert shifted.tolist() == [round(Fraction(n, 2**shift)) for n in ends]


@given(st.lists(st.integers(-(2**62), 2**62), min_size=1, max_size=20), st.integers(1, 31))
def test_saturate_clips_to_what_the_bits_hold(ns, bits):
    assert saturate(np.array(ns, np.int64), bits).tolist() == [clipped(n, bits) for n in ns]


@pytest.fixture(scope="module")
def symbolic():
    n = T.lvector("n")
    return theano.function([n], [round_shift(n, s) for s in SHIFTS] + [saturate(n, 15)])


@settings(deadline=None, max_examples=examples(50))
@given(ns=st.lists(int64s, min_size=16, max_size=16))
def test_expressions_give_what_arrays_give(symbolic, ns):
    n = np.array(ns, np.int64)
    *shifted, saturated = symbolic(n)
    for shift, found in zip(SHIFTS, shifted, strict=True):
        assert found.dtype == np.int64
        np.testing.assert_array_equal(found, round_shift(n, shift), f"shift {shift}")
    np.testing.assert_array_equal(saturated, saturate(n, 15))
