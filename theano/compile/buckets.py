"""Calls with sequences of many lengths that share a program: ``theano.config.length_buckets``.

The first calls compile for their own lengths, as always. When inputs have come with three lengths, or two and
a third to which they may be padded, calls with further lengths are padded to a multiple of the setting, and
run on the program for that length by the rules of `theano.compile.padding`.
"""

import warnings
from typing import NamedTuple

import jax
import numpy as np

from theano.compile.padding import NotPadded, Padded, Trace
from theano.configparser import config

__all__ = ["Bucket", "Buckets"]

# Lengths below it may broadcast, or let a graph be simplified.
SHORTEST = 3


class Bucket(NamedTuple):
    """How calls are padded.

    Attributes
    ----------
    inputs : tuple of int
        Positions of the inputs whose first axis has the length.
    length : int
        To which it is padded.
    """

    inputs: tuple
    length: int

    def pad(self, values):
        """The length of some values of the inputs, and the values with zeros behind them."""
        values, n = list(values), len(values[self.inputs[0]])
        for i in self.inputs:
            padded = np.zeros((self.length, *values[i].shape[1:]), values[i].dtype)
            padded[:n] = values[i]
            values[i] = padded
        return [np.asarray(n), *values]

    def reshaped(self, shapes, length):
        """Shapes of the inputs with another length."""
        return tuple([(length, *s[1:]) if i in self.inputs else s for i, s in enumerate(shapes)])


class Buckets:
    """Which calls of a function share a program.

    Parameters
    ----------
    function : Function
        For messages.
    """

    def __init__(self, function):
        self._function = function
        self._programs = {}
        self._traces = {}
        self._found = {}
        self._refused = False

    def add(self, program, values, fixed, state):
        """Take a program, which JAX can trace, for arguments of some shapes as an example."""
        arguments = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), (values, fixed, state))
        self._programs[_shapes(values), _shapes(fixed + state)] = program, arguments
        self._found.clear()

    def find(self, values, shared):
        """The bucket for a call, or None if it is compiled for itself."""
        if self._refused:
            return None
        key = _shapes(values), _shapes(shared), config.length_buckets
        if key not in self._found:
            self._found[key] = self._find(*key)
        return self._found[key]

    def _find(self, shapes, others, step):
        examples = self._examples(shapes, others)
        if examples is None:
            return None
        inputs, lengths = examples
        n = shapes[inputs[0]][0]
        bucket = Bucket(inputs, -(-n // step) * step)
        if n < min(lengths) or len({*lengths, bucket.length}) < 3:
            return None
        return bucket

    def _examples(self, shapes, others):
        """Inputs that have had other lengths, and the lengths; None if none have."""
        by_inputs = {}
        for known, of_shared in self._programs:
            if of_shared == others and (found := _differing(known, shapes)):
                inputs, length = found
                by_inputs.setdefault(inputs, set()).add(length)
        return max(by_inputs.items(), key=lambda item: len(item[1]), default=None)

    def program(self, bucket, program, values, fixed, state):
        """A program for all calls of a bucket.

        Parameters
        ----------
        bucket : Bucket
        program : callable
            For padded arguments, with results ``(outputs, new_state, index_error)``.
        values, fixed, state : list of array
            Its arguments.

        Returns
        -------
        callable
            The same, of arguments the first of whose values is the length.
        callable
            ``cut(n, outputs)``: its outputs for the length ``n``.

        Raises
        ------
        NotPadded
        """
        shapes, others = _shapes(values), _shapes(fixed + state)
        _, lengths = self._examples(bucket.reshaped(shapes, 0), others)
        traces = [self._trace(bucket.reshaped(shapes, n), others, n) for n in _two(lengths - {bucket.length})]
        last, form = _traced(bucket.length, program, (values, fixed, state))
        traces.append(last)
        sizes = Padded(traces, None).sizes_of_results()
        outputs, _, _ = form
        if any(line.slope for of_result in sizes[len(outputs) :] for line in of_result):
            raise NotPadded("the shape of a shared variable depends on the length")

        def run(values, fixed, state):
            n, *values = values
            results = Padded(traces, n)(*jax.tree.leaves((values, fixed, state)))
            return jax.tree.unflatten(jax.tree.structure(form), results)

        def cut(n, outputs):
            sizes_of = zip(outputs, sizes, strict=False)
            return [o[tuple(slice(line.at(n)) for line in lines)] for o, lines in sizes_of]

        return run, cut

    def _trace(self, shapes, others, n):
        if (shapes, others) not in self._traces:
            self._traces[shapes, others], _ = _traced(n, *self._programs[shapes, others])
        return self._traces[shapes, others]

    def refuse(self, error):
        """Compile for each length from now on, and say why."""
        self._refused = True
        self._programs.clear()
        self._traces.clear()
        warnings.warn(
            f"{self._function} compiles for each length, in spite of theano.config.length_buckets: {error}",
            stacklevel=6,
        )


def _shapes(arrays):
    return tuple([a.shape for a in arrays])


def _two(lengths):
    """The two most different ones."""
    return min(lengths), max(lengths)


def _traced(length, program, arguments):
    """A program's trace, and the form of its results."""
    closed, form = jax.make_jaxpr(program, return_shape=True)(*arguments)
    _, _, index_error = form
    codes = () if index_error is None else tuple(sorted(index_error.tree_flatten()[1]))
    return Trace(length, closed, codes), form


def _differing(known, shapes):
    """Inputs of which only the first axis differs in two lists of shapes, and its length in the first list.

    None where lists differ in more than one length.
    """
    inputs = tuple(i for i, (a, b) in enumerate(zip(known, shapes, strict=True)) if a != b)
    pairs = {(known[i][:1], shapes[i][:1]) for i in inputs}
    if len(pairs) != 1 or any(known[i][1:] != shapes[i][1:] for i in inputs):
        return None
    ((length,), _) = pairs.pop()
    return (inputs, length) if length >= SHORTEST else None
