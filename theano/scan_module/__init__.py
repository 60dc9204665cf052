"""Loops over sequences: PyTensor's ``scan`` under Theano's signature.

Which loops JAX can run is PyTensor's affair, but for the words in which it refuses one.
"""

import warnings

from pytensor.scan.basic import scan as _scan
from pytensor.scan.op import Scan
from pytensor.scan.utils import until

from theano.compile.translation import refine

__all__ = ["foldl", "foldr", "map", "reduce", "scan", "until"]


def scan(fn, sequences=None, outputs_info=None, non_sequences=None, n_steps=None, **options):
    """Apply ``fn`` along the first axis of ``sequences``, carrying states.

    Parameters are Theano's. Returns ``(outputs, updates)``.
    """
    return _quietly(
        _scan,
        fn,
        sequences=sequences,
        outputs_info=outputs_info,
        non_sequences=non_sequences,
        n_steps=n_steps,
        **options,
    )


def map(fn, sequences, non_sequences=None, **options):
    """Apply ``fn`` to every step of ``sequences``. Returns ``(outputs, updates)``."""
    return scan(fn, sequences, non_sequences=non_sequences, **options)


def reduce(fn, sequences, outputs_info, non_sequences=None, **options):
    """Carry states through ``sequences`` and keep the last ones. Returns ``(outputs, updates)``."""
    outputs, updates = scan(fn, sequences, outputs_info, non_sequences, **options)
    if isinstance(outputs, list | tuple):
        return [output[-1] for output in outputs], updates
    return outputs[-1], updates


def foldl(fn, sequences, outputs_info, non_sequences=None, **options):
    """``reduce`` from the first step to the last."""
    return reduce(fn, sequences, outputs_info, non_sequences, **options)


def foldr(fn, sequences, outputs_info, non_sequences=None, **options):
    """``reduce`` from the last step to the first."""
    return reduce(fn, sequences, outputs_info, non_sequences, go_backwards=True, **options)


def _quietly(call, *args, **kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return call(*args, **kwargs)


@refine(Scan)
def _jax_scan(original, op, node, **options):
    compute = original(op, node=node, **options)

    def loop(*inputs):
        try:
            return compute(*inputs)
        except AssertionError as error:
            # PyTensor asserts the lengths of what a loop keeps, without a word.
            raise NotImplementedError(
                "Scan with truncate_gradient, or with states that no step fills"
            ) from error

    return loop
