"""The command that downloads and checks datasets, and checks the user's own images."""

from pathlib import Path

from xnornet.catalog import ON_DISK
from xnornet.cli.options import add_data_option

__all__ = ["add_data"]


def add_data(command):
    """Download datasets, check their files or your own images, or print where they are."""
    command.add_argument("action", choices=("download", "check", "path"))
    command.add_argument(
        "datasets",
        nargs="*",
        metavar="|".join((*ON_DISK, "PATH")),
        help="which (default: all); to check, also a folder of your own pictures, or an .npz file",
    )
    add_data_option(command)
    command.set_defaults(command=_data, interrupted="interrupted; what was downloaded is kept")


def _data(arguments, log, started):
    from xnornet import data

    status = 0
    for name in arguments.datasets or ON_DISK:
        if arguments.action == "download":
            data.download(name, arguments.data, log)
        elif arguments.action == "path":
            log(str(data.folder_of(name, arguments.data)))
        else:
            own = name not in ON_DISK and Path(name).exists()
            report = data.census(name) if own else data.check(name, arguments.data)
            log(str(report))
            status = status or (0 if report else 1)
    return status
