"""Two kernels and programs of them, in which a share that begins too early changes the result.

Each step reads what all shares wrote in the step before.
"""

import numpy as np

from xnornet.engine.workers import KERNEL, Program, run_in_turn
from xnornet.machine_code import c_function

__all__ = ["MOST", "compile_both", "in_turn", "program"]

# Shares that the programs can have.
MOST = 64


def forth(thread, threads, words):
    total = 0
    for i in range(threads):
        total += words[i]
    words[MOST + thread] = 3 * total + thread


def back(thread, threads, words):
    total = 0
    for i in range(threads):
        total ^= words[MOST + i]
    words[thread] = 5 * total - thread


def compile_both():
    return c_function(forth, KERNEL), c_function(back, KERNEL)


def program(kernels, steps=100):
    """A program, and the words that it works on."""
    words = np.arange(2 * MOST, dtype=np.intp)
    return Program([(kernels[i % 2], words) for i in range(steps)], kept=words), words


def in_turn(kernels, threads, steps=100, runs=1):
    same, words = program(kernels, steps)
    for _ in range(runs):
        run_in_turn(same, threads)
    return words
