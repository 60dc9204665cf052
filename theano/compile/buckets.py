"""Calls with sequences of many lengths that share a program: ``theano.config.length_buckets``.

The first calls compile for their own lengths, as always. When inputs have come with two lengths, calls with
further ones are padded to a multiple of the setting, or a little more, and run on the program for that length
by the rules of `theano.compile.padding`. It serves lengths from the shortest of those it was made from on.
"""

import math
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
    lengths : (int, int)
        For which there are examples. The first is the shortest length of a call.
    length : int
        To which it is padded.
    """

    inputs: tuple
    lengths: tuple
    length: int

    def pad(self, values):
        """The length of some values of the inputs, and the values with zeros behind them."""
        values, n = list(values), len(values[self.inputs[0]])
        for i in self.inputs:
            values[i] = np.pad(values[i], [(0, self.length - n)] + [(0, 0)] * (values[i].ndim - 1))
        return [np.asarray(n), *values]


class Buckets:
    """Which calls of a function share a program.

    Parameters
    ----------
    function : Function
        For messages.
    """

    def __init__(self, function):
        self._function = function
        self._forget()
        self._refused = False

    def add(self, program, values, fixed, state):
        """Take a program, which JAX can trace, for arguments of some shapes as an example."""
        if self._refused:
            return
        if len(self._examples) >= config.compiled_versions:
            self._forget()
        arguments = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), (values, fixed, state))
        self._examples[_shapes(values), _shapes(fixed + state)] = program, arguments
        self._found = {}

    def find(self, values, shared):
        """The bucket for a call, or None if it is compiled for itself."""
        if self._refused:
            return None
        key = _shapes(values), _shapes(shared), config.length_buckets
        if key in (found := self._found):
            return found[key]
        bucket = found[key] = self._find(*key)
        return bucket

    def _find(self, shapes, others, step):
        inputs, lengths = self._lengths(shapes, others)
        if not inputs:
            return None
        n = shapes[inputs[0]][0]
        multiple = -(-n // step) * step
        for bucket in self._buckets.get((inputs, _reshaped(shapes, inputs, 0), others), ()):
            if bucket.lengths[0] <= n <= bucket.length < multiple + step:
                return bucket
        for length in range(multiple, multiple + step):
            if n >= min(lengths) and (two := _two(lengths, length)):
                return Bucket(inputs, two, length)
        return None

    def _lengths(self, shapes, others):
        """Inputs whose first axes have had other lengths, and the lengths."""
        by_inputs = {}
        for known, of_shared in list(self._examples):
            if of_shared == others and (found := _differing(known, shapes)):
                inputs, length = found
                by_inputs.setdefault(inputs, set()).add(length)
        return max(by_inputs.items(), key=lambda item: len(item[1]), default=((), ()))

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
        traces = [self._trace(_reshaped(shapes, bucket.inputs, n), others, n) for n in bucket.lengths]
        last, form = _traced(bucket.length, program, (values, fixed, state))
        while Padded([*traces, last], None).has_doubtful_codes():
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
            return [o[..., *(slice(line.at(n)) for line in lines)] for o, lines in sizes_of]

        known = self._buckets.setdefault((bucket.inputs, _reshaped(shapes, bucket.inputs, 0), others), [])
        if bucket not in known:
            known.append(bucket)
        self._found = {}
        return run, cut

    def _trace(self, shapes, others, n):
        if (shapes, others) not in self._traces:
            self._traces[shapes, others], _ = _traced(n, *self._examples[shapes, others])
        return self._traces[shapes, others]

    def _forget(self):
        self._examples, self._traces, self._buckets, self._found = {}, {}, {}, {}

    def refuse(self, error):
        """Compile for each length from now on, and say why."""
        self._refused = True
        self._forget()
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        warnings.warn(
            f"{self._function} compiles for each length, in spite of theano.config.length_buckets: {reason}",
            stacklevel=6,
        )


def _shapes(arrays):
    return tuple([a.shape for a in arrays])


def _reshaped(shapes, inputs, length):
    """Shapes of the inputs with another length."""
    return tuple([(length, *s[1:]) if i in inputs else s for i, s in enumerate(shapes)])


def _two(lengths, longest):
    """The shortest and the longest of some lengths that show, with a third, what depends on the length.

    None if they do not. If all three left the same remainder, so would what depends on the remainder.
    """
    others = set(lengths) - {longest}
    if len(others) < 2:
        return None
    first, second = min(others), max(others)
    return (first, second) if math.gcd(second - first, longest - first) == 1 else None


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
