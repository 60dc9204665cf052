"""MATLAB files: those that SciPy writes, and those of MATLAB that come with it, as SciPy reads them."""

import io
import struct
import tempfile
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from xnornet.data import DataError
from xnornet.data.matlab import describe, read_array, read_slices

OF_MATLAB = sorted((Path(scipy.io.__file__).parent / "matlab/tests/data").glob("*.mat"))
NUMBERS = {"double", "single"} | {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}


def saved(variables, compressed):
    stream = io.BytesIO()
    scipy.io.savemat(stream, variables, do_compression=compressed)
    return stream.getvalue()


@settings(max_examples=60)
@given(
    array=arrays.arrays(
        st.sampled_from(["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8"]),
        arrays.array_shapes(min_dims=2, max_dims=4, min_side=0, max_side=7),
        elements=st.integers(0, 100),
    ),
    compressed=st.booleans(),
    count=st.integers(1, 9),
)
def test_what_scipy_wrote_is_read(array, compressed, count):
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "a.mat"
        others = {"before": "text", "after": np.arange(3.0)}
        file.write_bytes(
            saved({"before": others["before"], "X": array, "after": others["after"]}, compressed)
        )
        assert describe(file)["X"][1] == array.shape
        assert set(describe(file)) == {"before", "X", "after"}
        found = read_array(file, "X")
        assert found.dtype == array.dtype
        np.testing.assert_array_equal(found, array)
        pieces = list(read_slices(file, "X", count))
        assert all(len(piece) <= count for piece in pieces)
        np.testing.assert_array_equal(np.concatenate(pieces).T, array)


def is_of_version_5(file):
    with open(file, "rb") as stream:
        return stream.read(126)[124:] in (b"\0\1", b"\1\0")


@pytest.mark.skipif(not OF_MATLAB, reason="SciPy came without its tests' data")
def test_what_matlab_wrote_is_read_as_scipy_reads_it():
    compared = 0
    for file in OF_MATLAB:
        if not is_of_version_5(file):
            with pytest.raises(DataError):
                describe(file)
        elif not file.name.startswith(("bad", "corrupted", "malformed")):
            for name, (kind, shape) in describe(file).items():
                if kind in NUMBERS and name:
                    expected = scipy.io.loadmat(file, variable_names=[name])[name]
                    assert shape == expected.shape
                    np.testing.assert_array_equal(read_array(file, name), expected)
                    compared += 1
    assert compared > 20


@pytest.mark.parametrize("file", [f for f in OF_MATLAB if "zlib" in f.name], ids=lambda file: file.name)
def test_files_that_scipy_keeps_for_being_corrupted_are_refused(file):
    with pytest.raises(DataError):
        for name, (kind, _) in describe(file).items():
            if kind in NUMBERS:
                read_array(file, name)


def test_the_other_byte_order_is_read(tmp_path):
    numbers = np.arange(6, dtype=">i2").reshape(2, 3)
    head = (
        struct.pack(">IIII", 6, 8, 10, 0)
        + struct.pack(">IIii", 5, 8, 2, 3)
        + struct.pack(">HH4s", 1, 1, b"X")
    )
    # The short element keeps size before type here, as the file's order has the upper half first.
    body = head + struct.pack(">II", 3, 12) + numbers.tobytes(order="F") + bytes(4)
    content = (
        b"MATLAB".ljust(124) + struct.pack(">H", 0x0100) + b"MI" + struct.pack(">II", 14, len(body)) + body
    )
    (tmp_path / "a.mat").write_bytes(content)
    np.testing.assert_array_equal(scipy.io.loadmat(tmp_path / "a.mat")["X"], numbers)
    assert describe(tmp_path / "a.mat") == {"X": ("int16", (2, 3))}
    np.testing.assert_array_equal(read_array(tmp_path / "a.mat", "X"), numbers)


def test_a_variable_that_is_not_there_is_told(tmp_path):
    (tmp_path / "a.mat").write_bytes(saved({"X": np.zeros(3)}, True))
    with pytest.raises(DataError, match=r"a.mat: expected .* \(no variable Y\)"):
        read_array(tmp_path / "a.mat", "Y")


def test_damage_within_compressed_numbers_is_told(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (50, 70)).astype(np.uint8)
    content = bytearray(saved({"X": noise}, True))
    content[2000] ^= 4
    (tmp_path / "a.mat").write_bytes(content)
    with pytest.raises(DataError, match="a.mat: expected a whole MATLAB file"):
        read_array(tmp_path / "a.mat", "X")


@pytest.mark.parametrize("compressed", [False, True])
@settings(max_examples=300)
@given(damage=st.lists(st.tuples(st.integers(100, 400), st.integers(0, 255)), min_size=1, max_size=3))
def test_damage_neither_crashes_nor_takes_memory(compressed, damage):
    content = bytearray(
        saved({"X": np.arange(60.0).reshape(3, 4, 5), "y": np.arange(9, dtype="u1")}, compressed)
    )
    for place, value in damage:
        content[place % len(content)] = value
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "a.mat"
        file.write_bytes(content)
        tracemalloc.start()
        try:
            for name, (kind, shape) in describe(file).items():
                if kind in NUMBERS:
                    assert read_array(file, name).shape == shape
        except DataError as error:
            assert str(error).startswith(f"{file}: expected ") and "\n" not in str(error)
        finally:
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        assert peak < 2 << 20
