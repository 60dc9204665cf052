"""Exporting to C: the options and what is printed."""

import argparse
import json
import re

from xnornet.errors import UsageError

__all__ = ["add_c_options", "export_to_c", "in_c"]


def add_c_options(command):
    """Add the options of ``--to c``."""
    chosen = command.add_argument_group("of --to c and html")
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
    from xnornet.export.c import check_folder, write_folder

    check_folder(arguments.out, arguments.force)
    export, _, _ = in_c(arguments, log)
    write_folder(arguments.out, export.files(), arguments.force)
    taken = {"out": str(arguments.out), "name": export.name, **export.sizes}
    if arguments.json:
        log(json.dumps(taken))
        return 0
    flash, constants, ram, arena, stack = (
        f"{taken[part] / 1024:.1f} KiB" for part in ("flash", "constants", "ram", "arena", "stack")
    )
    log(
        f"exported {arguments.out}: {export.name}, flash {flash} (constants {constants}), RAM {ram} (arena "
        f"{arena}, stack {stack}); `make -C {arguments.out}` compares its output with the expected one"
    )
    return 0


def in_c(arguments, log):
    """A packed model in C, what its header says, and what the values of a pixel stand for."""
    from xnornet import __version__
    from xnornet.data.preprocessing import class_names_of
    from xnornet.export.c import check_fit, export_c, pixel_levels
    from xnornet.graph import load_packed

    graph, info = load_packed(arguments.model)
    numbers = _numbers(arguments, info)
    wanted = arguments.name or arguments.model.stem
    export = export_c(
        graph,
        wanted,
        pixel_levels(graph, numbers),
        title=_title(arguments, info),
        version=__version__,
        scaling=f"Their values 0 to {len(numbers) - 1} stand for {numbers[0]:.3f} to {numbers[-1]:.3f}.",
        classes=class_names_of(info) or (),
    )
    check_fit(export, arguments.flash, arguments.ram)
    if export.name != wanted and not arguments.json:
        log(f"{wanted} is no name in C; the functions and files are called {export.name}")
    return export, info, numbers


def _numbers(arguments, info):
    """What the values of a pixel stand for."""
    from xnornet.data.preprocessing import pixel_levels

    numbers = pixel_levels(info)
    if numbers is None:
        raise UsageError(
            f"{arguments.model}: was trained on whitened images, or on a dataset that is not known here; in "
            "C a pixel's number follows from its value alone. Export a network trained without --whiten"
        )
    return numbers


def _title(arguments, info):
    network, dataset = info.get("network"), info.get("dataset")
    known = f"{network}, trained on {dataset}" if network and dataset else "a packed model"
    return f"{arguments.model.name}: {known}."
