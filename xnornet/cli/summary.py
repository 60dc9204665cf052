"""The command that counts what a network costs."""

import argparse
import json
from pathlib import Path

from xnornet.catalog import NETWORKS
from xnornet.cli.models import load_without_dataset
from xnornet.cli.options import NET, add_set_option, in_single_precision, options_of, positive
from xnornet.errors import UsageError

__all__ = ["add_summary"]


def add_summary(command):
    """Print each layer's parameters, memory and multiply-adds."""
    command.add_argument(
        "network",
        metavar=f"{NET}|MODEL.npz",
        help=f"{', '.join(NETWORKS)}, a function of your own, or a model, packed or as training saves it",
    )
    add_set_option(command)
    command.add_argument(
        "--shape", type=image_shape, metavar="CxHxW", help="channels, height and width of an image"
    )
    command.add_argument("--classes", type=positive(int), metavar="N", help="number of classes")
    command.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    command.set_defaults(command=_summary, interrupted="interrupted")


def image_shape(text):
    try:
        channels, height, width = (positive(int)(part) for part in text.split("x"))
    except (ValueError, argparse.ArgumentTypeError) as error:
        raise argparse.ArgumentTypeError(f"{text} is no shape of an image, such as 3x48x64") from error
    return channels, height, width


def _summary(arguments, log, started):
    from xnornet.report import format_summary, summarize, total

    in_single_precision()
    options = options_of(arguments)
    network = _model(arguments, log) if arguments.network.endswith(".npz") else _network(arguments, options)
    try:
        rows = summarize(network)
    except ValueError as error:
        raise UsageError(f"{arguments.network}: {error}") from error
    title = " ".join([arguments.network, *(f"{name}={value}" for name, value in options.items())])
    log(json.dumps(total(rows)) if arguments.json else format_summary(rows, title))
    return 0


def _model(arguments, log):
    if arguments.set or arguments.shape or arguments.classes:
        raise UsageError(f"{arguments.network}: is a model; leave out --set, --shape and --classes")
    chosen = argparse.Namespace(model=Path(arguments.network), net=None, json=arguments.json)
    return load_without_dataset(chosen, log)[0]


def _network(arguments, options):
    from xnornet import networks

    try:
        return networks.build(arguments.network, None, arguments.shape, arguments.classes, **options)
    except ValueError as error:
        raise UsageError(str(error)) from error
