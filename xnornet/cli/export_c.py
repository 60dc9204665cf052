"""Exporting to C: the options and what is printed."""

import argparse
import json
import re

from xnornet.errors import UsageError

__all__ = ["add_c_options", "export_to_c"]


def add_c_options(command):
    """Add the options of ``--to c``."""
    chosen = command.add_argument_group("of --to c")
    chosen.add_argument("--name", help="of the C functions and files (default: the model file's)")
    for name, what in (("flash", "flash"), ("ram", "RAM")):
        meaning = f"refuse a network that takes more {what}, such as 256K"
        chosen.add_argument(f"--{name}", type=byte_count, metavar="BYTES", help=meaning)
    chosen.add_argument("--force", action="store_true", help="replace a folder that an earlier export wrote")


def byte_count(text):
    found = re.fullmatch(r"(\d{1,15})([KM]?)", text.upper().removesuffix("IB").removesuffix("B"))
    if not found:
        raise argparse.ArgumentTypeError(f"{text} is not a number of bytes, such as 256K")
    return int(found[1]) << {"": 0, "K": 10, "M": 20}[found[2]]


def export_to_c(arguments, log):
    """Write a packed model as a folder of C; returns the exit status."""
    from xnornet import __version__
    from xnornet.export.c import check_fit, export_c, identifier, pixel_levels, write_folder
    from xnornet.graph import load_packed

    graph, info = load_packed(arguments.model)
    wanted = arguments.name or arguments.model.stem
    export = export_c(
        graph,
        wanted,
        pixel_levels(graph, _scale(arguments, info)),
        title=_title(arguments, info),
        version=__version__,
        scaling="A pixel p stands for (2 * p / 255 - 1) * 127 / 128, as in training.",
        classes=_class_names(info, graph.shapes()[-1]),
    )
    check_fit(export, arguments.flash, arguments.ram)
    write_folder(arguments.out, export.files(), arguments.force)
    taken = {"out": str(arguments.out), "name": export.name, **export.sizes}
    if arguments.json:
        log(json.dumps(taken))
        return 0
    if export.name != wanted:
        log(f"{wanted} is no name in C; the functions and files are called {identifier(wanted)}")
    flash, constants, ram, arena, stack = (
        f"{taken[part] / 1024:.1f} KiB" for part in ("flash", "constants", "ram", "arena", "stack")
    )
    log(
        f"exported {arguments.out}: {export.name}, flash {flash} (constants {constants}), RAM {ram} (arena "
        f"{arena}, stack {stack}); `make -C {arguments.out}` compares it with what it has to give"
    )
    return 0


def _scale(arguments, info):
    """How the model's images were made of pixels."""
    from xnornet.data.dataset import scale_bytes
    from xnornet.data.preprocessing import load_whitening

    if load_whitening(arguments.model, info) is not None:
        raise UsageError(
            f"{arguments.model}: was trained on whitened images, which are no function of a pixel; export a "
            "network that was trained without --whiten"
        )
    return scale_bytes


def _title(arguments, info):
    network, dataset = info.get("network"), info.get("dataset")
    known = f"{network}, trained on {dataset}" if network and dataset else "a packed model"
    return f"{arguments.model.name}: {known}."


def _class_names(info, shape):
    from xnornet.data.cifar10 import CLASS_NAMES

    if info.get("dataset") == "cifar10" and shape == (len(CLASS_NAMES),):
        return CLASS_NAMES
    return tuple(map(str, range(shape[0]))) if len(shape) == 1 else ()
