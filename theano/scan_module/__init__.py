"""Loops over sequences: PyTensor's ``scan`` under Theano's signature."""

import warnings

from pytensor.scan.basic import scan as _scan

__all__ = ["foldl", "foldr", "map", "reduce", "scan"]


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
