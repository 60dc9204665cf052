"""Loops over sequences: PyTensor's ``scan`` under Theano's signature.

PyTensor decides which loops JAX can run; only the error messages for the others are ours.
"""

import warnings
from collections import OrderedDict

from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.traversal import ancestors
from pytensor.scan.basic import get_updates_and_outputs
from pytensor.scan.basic import scan as _scan
from pytensor.scan.checkpoints import scan_checkpoints as _scan_checkpoints
from pytensor.scan.op import Scan
from pytensor.scan.utils import until
from pytensor.tensor.basic import get_scalar_constant_value

from theano.compile.rebuilding import as_general_as
from theano.compile.translation import refine
from theano.updates import OrderedUpdates

__all__ = ["foldl", "foldr", "map", "reduce", "scan", "scan_checkpoints", "until"]


def scan(
    fn,
    sequences=None,
    outputs_info=None,
    non_sequences=None,
    n_steps=None,
    truncate_gradient=-1,
    go_backwards=False,
    mode=None,
    name=None,
    **options,
):
    """Apply ``fn`` along the first axis of ``sequences``, carrying states.

    Parameters are Theano's. Returns ``(outputs, updates)``. A shared variable that a step reads advances from
    step to step by the update that ``fn`` returns for it, or else by its default update; ``updates``, passed
    to ``theano.function``, stores where it arrived.
    """
    outputs, updates = _quietly(
        _scan,
        # A single step becomes part of the graph around it, as do its default updates.
        fn if _is_one(n_steps) else _with_default_updates(fn),
        sequences=sequences,
        outputs_info=outputs_info,
        non_sequences=non_sequences,
        n_steps=n_steps,
        truncate_gradient=truncate_gradient,
        go_backwards=go_backwards,
        mode=mode,
        name=name,
        **options,
    )
    return outputs, OrderedUpdates(updates)


def scan_checkpoints(
    fn, sequences=(), outputs_info=None, non_sequences=(), name="checkpointscan_fn", n_steps=None, **options
):
    """``scan`` that keeps the state of each ``save_every_N``-th step only, and computes the others anew.

    Parameters are Theano's. Returns ``(outputs, updates)``, with outputs of the steps that are kept.
    """
    outputs, updates = _quietly(
        _scan_checkpoints,
        _with_default_updates(fn),
        sequences=list(sequences) if isinstance(sequences, list | tuple) else [sequences],
        outputs_info=outputs_info,
        non_sequences=list(non_sequences) if isinstance(non_sequences, list | tuple) else [non_sequences],
        name=name,
        n_steps=n_steps,
        **options,
    )
    return outputs, OrderedUpdates(updates)


def map(fn, sequences, non_sequences=None, truncate_gradient=-1, go_backwards=False, mode=None, name=None):
    """Apply ``fn`` to every step of ``sequences``. Returns ``(outputs, updates)``."""
    return scan(fn, sequences, None, non_sequences, None, truncate_gradient, go_backwards, mode, name)


def reduce(fn, sequences, outputs_info, non_sequences=None, go_backwards=False, mode=None, name=None):
    """Carry states through ``sequences`` and keep the last ones. Returns ``(outputs, updates)``."""
    outputs, updates = scan(fn, sequences, outputs_info, non_sequences, None, -1, go_backwards, mode, name)
    if isinstance(outputs, list | tuple):
        return [output[-1] for output in outputs], updates
    return outputs[-1], updates


def foldl(fn, sequences, outputs_info, non_sequences=None, mode=None, name=None):
    """``reduce`` from the first step to the last."""
    return reduce(fn, sequences, outputs_info, non_sequences, False, mode, name)


def foldr(fn, sequences, outputs_info, non_sequences=None, mode=None, name=None):
    """``reduce`` from the last step to the first."""
    return reduce(fn, sequences, outputs_info, non_sequences, True, mode, name)


def _is_one(n_steps):
    return n_steps is not None and get_scalar_constant_value(n_steps, raise_not_constant=False) == 1


def _with_default_updates(fn):
    """The step of a scan with the default updates of its shared variables, which PyTensor's scan omits."""

    def step(*args):
        condition, outputs, updates = get_updates_and_outputs(fn(*args))
        updates = OrderedDict(updates)
        graphs = [*outputs, *updates.values()] + [condition] * (condition is not None)
        while graphs:
            found = [
                v
                for v in ancestors(graphs)
                if isinstance(v, SharedVariable) and v.default_update is not None and v not in updates
            ]
            updates.update((v, v.default_update) for v in found)
            graphs = [v.default_update for v in found]
        updates = OrderedDict((v, as_general_as(e, v)) for v, e in updates.items())
        return (outputs, updates) if condition is None else (outputs, updates, until(condition))

    return step


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
            # PyTensor asserts the lengths of stored states, without a message.
            raise NotImplementedError(
                "Scan with truncate_gradient, or with states that no step fills"
            ) from error

    return loop
