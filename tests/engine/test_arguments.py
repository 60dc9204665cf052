"""Arguments of kernels: machine code reads what Python wrote, and nothing of another kind gets that far."""

import ctypes

import numpy as np
import pytest

from xnornet.engine.arguments import INTEGER, PAIR, REAL, array, as_words, reader
from xnornet.engine.workers import KERNEL
from xnornet.machine_code import c_function

KINDS = (INTEGER, array("int16", 3), REAL, PAIR, array("float64", 1))
read = reader(KINDS)


def copy(thread, threads, words):
    """Write all that is read into the last array."""
    integer, numbers, real, pair, found = read(words)
    found[0], found[1], found[2], found[3] = integer, real, pair[0], pair[1]
    found[4], found[5], found[6] = numbers.shape[0], numbers.shape[1], numbers.shape[2]
    found[7] = len(found)
    k = 8
    for i in range(numbers.shape[0]):
        for j in range(numbers.shape[1]):
            for number in numbers[i, j]:
                found[k] = number
                k += 1


def test_machine_code_reads_what_was_written():
    numbers, out = np.arange(-9, 15, dtype=np.int16).reshape(2, 3, 4), np.zeros(32)
    words = as_words(KINDS, (-5, numbers, 0.75, (7, -2), out))
    code = c_function(copy, KERNEL)
    call = ctypes.CFUNCTYPE(None, ctypes.c_ssize_t, ctypes.c_ssize_t, ctypes.c_void_p)(code.address)
    call(0, 1, words.ctypes.data)
    assert out.tolist() == [-5, 0.75, 7, -2, 2, 3, 4, 32, *range(-9, 15)]


@pytest.mark.parametrize(
    "kind, argument",
    [
        (INTEGER, 1.0),
        (INTEGER, (1, 2)),
        (INTEGER, np.zeros(1, np.int64)),
        (REAL, 1),
        (PAIR, 1),
        (PAIR, (1, 2, 3)),
        (array("int16", 2), np.zeros((2, 2), np.int32)),
        (array("int16", 2), np.zeros((2, 2), np.uint16)),
        (array("int16", 2), np.zeros((2, 2), ">i2")),
        (array("int16", 2), np.zeros(4, np.int16)),
        (array("int16", 2), np.zeros((2, 4), np.int16)[:, ::2]),
        (array("int16", 2), np.zeros((2, 3), np.int16).T),
        (array("int16", 2), None),
    ],
)
def test_arguments_of_other_kinds_are_refused(kind, argument):
    with pytest.raises(TypeError, match="argument 0 should be of kind "):
        as_words((kind,), (argument,))


def test_too_few_and_too_many_are_refused():
    for arguments in ((), (1, 2)):
        with pytest.raises(ValueError):
            as_words((INTEGER,), arguments)
