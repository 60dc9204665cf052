"""The command that counts what a network costs."""

import json

from xnornet.catalog import NETWORKS
from xnornet.cli.options import add_set_option, in_single_precision, options_of
from xnornet.errors import UsageError

__all__ = ["add_summary"]


def add_summary(command):
    """Print each layer's parameters, memory and multiply-adds."""
    command.add_argument("network", choices=NETWORKS)
    add_set_option(command)
    command.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    command.set_defaults(command=_summary, interrupted="interrupted")


def _summary(arguments, log, started):
    from xnornet import networks
    from xnornet.report import format_summary, summarize, total

    in_single_precision()
    options = options_of(arguments)
    try:
        rows = summarize(networks.build(arguments.network, **options))
    except ValueError as error:
        raise UsageError(f"--set: {error}") from error
    title = " ".join([arguments.network, *(f"{name}={value}" for name, value in options.items())])
    log(json.dumps(total(rows)) if arguments.json else format_summary(rows, title))
    return 0
