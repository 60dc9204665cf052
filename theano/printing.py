"""Theano's printing functions, as PyTensor has them, on functions of ours too."""

import pytensor.printing
from pytensor.printing import Print, pp, pprint

from theano.compile.function_module import Function

__all__ = ["Print", "debugprint", "pp", "pprint", "pydotprint"]


def debugprint(graph_like, *args, **options):
    """Print a graph, or that of a compiled function; the arguments are those of PyTensor's function."""
    return pytensor.printing.debugprint(_graph(graph_like), *args, **options)


def pydotprint(fct, *args, **options):
    """Draw a graph, or that of a compiled function; the arguments are those of PyTensor's function."""
    return pytensor.printing.pydotprint(_graph(fct), *args, **options)


def _graph(subject):
    if isinstance(subject, list | tuple):
        return [_graph(s) for s in subject]
    return subject.maker.fgraph if isinstance(subject, Function) else subject
