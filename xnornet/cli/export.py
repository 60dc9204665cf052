"""The command that exports models to other programs."""

from pathlib import Path

from xnornet.cli.export_c import add_c_options, export_to_c
from xnornet.cli.export_html import export_to_html
from xnornet.cli.export_onnx import add_onnx_options, export_to_onnx, export_to_qonnx

__all__ = ["add_export"]

FORMS = {"c": export_to_c, "html": export_to_html, "onnx": export_to_onnx, "qonnx": export_to_qonnx}


def add_export(command):
    """Export a packed model to another form: C for microcontrollers, a web page, ONNX, or QONNX for FINN."""
    add = command.add_argument
    add("--model", type=Path, required=True, metavar="FILE.npz", help="packed model")
    add("--to", required=True, choices=sorted(FORMS), help="form to write")
    add("--out", type=Path, required=True, metavar="PATH", help="where to write it: for C a folder")
    add("--json", action="store_true", help="print one JSON object instead of a sentence")
    add_c_options(command)
    add_onnx_options(command)
    command.set_defaults(command=_export, interrupted="interrupted; nothing was exported")


def _export(arguments, log, started):
    return FORMS[arguments.to](arguments, log)
