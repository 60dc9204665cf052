"""Exporting to ONNX and QONNX: the options and what is printed."""

import json

from xnornet.cli.models import add_net_option, load_without_dataset
from xnornet.cli.options import check_out_file
from xnornet.errors import UsageError

__all__ = ["add_onnx_options", "export_to_onnx", "export_to_qonnx"]


def add_onnx_options(command):
    """Add the options of ``--to onnx``."""
    chosen = command.add_argument_group("of --to onnx")
    meaning = (
        "real numbers in float32, which nothing rounds; --model takes weights as training saves them too"
    )
    chosen.add_argument("--float", action="store_true", help=meaning)
    add_net_option(chosen)


def export_to_onnx(arguments, log):
    """Write a model in ordinary operators; returns the exit status."""
    numbers = "real numbers" if arguments.float else "integers"
    return _export(arguments, log, numbers, lambda onnx, *model: onnx.to_onnx(*model, real=arguments.float))


def export_to_qonnx(arguments, log):
    """Write a model with QONNX's quantizers; returns the exit status."""
    if arguments.float:
        raise UsageError("--float is of --to onnx, as QONNX quantizes; leave it out")
    return _export(arguments, log, "quantizers", lambda onnx, *model: onnx.to_qonnx(*model))


def _export(arguments, log, numbers, convert):
    onnx = _onnx_package()
    check_out_file(arguments, ".onnx")
    graph, info, packed = load_without_dataset(arguments, log)
    if not packed and not arguments.float:
        raise UsageError(
            f"{arguments.model}: is no packed model; pack it first with python -m xnornet pack, or export "
            "real numbers with --to onnx --float"
        )
    onnx.save_onnx(arguments.out, convert(onnx, graph, info))
    result = {
        "out": str(arguments.out),
        "to": arguments.to,
        "float": arguments.float,
        "model": str(arguments.model),
        "network": info.get("network"),
        "bytes": arguments.out.stat().st_size,
    }
    log(json.dumps(result) if arguments.json else _sentence(result, numbers))
    return 0


def _onnx_package():
    try:
        import xnornet.export.onnx as package
    except ModuleNotFoundError as error:
        if error.name != "onnx":
            raise
        raise UsageError("--to onnx and qonnx need the package onnx; pip install 'xnornet[onnx]'") from error
    return package


def _sentence(result, numbers):
    return (
        f"exported {result['out']}: {result['network'] or result['model']} to {result['to']}, {numbers}, "
        f"{result['bytes'] / 1e6:.3g} MB"
    )
