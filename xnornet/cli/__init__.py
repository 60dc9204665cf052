"""The commands: arguments in, one call, a printed result.

The scripts in ``train/`` and ``test/`` are these commands with the dataset chosen. Whatever goes wrong that a
person can mend is one line on standard error and a non-zero exit.
"""

import argparse
import os
import sys
import threading
import time
import warnings
from pathlib import Path

import xnornet
from xnornet.catalog import NETWORKS_OF
from xnornet.cli.classify import add_classify
from xnornet.cli.data import add_data
from xnornet.cli.export import add_export
from xnornet.cli.pack import add_pack
from xnornet.cli.summary import add_summary
from xnornet.cli.test import add_test
from xnornet.cli.train import add_train
from xnornet.errors import Stopped, XnornetError

__all__ = ["main"]

# Commands by name, those that the scripts have, of one dataset, first.
OF_A_DATASET = {"train": add_train, "test": add_test}
OTHERS = {
    "pack": add_pack,
    "classify": add_classify,
    "export": add_export,
    "summary": add_summary,
    "data": add_data,
}


def main(argv=None, dataset=None):
    """Run a command.

    Parameters
    ----------
    argv : list of str, optional
        By default the program's own arguments.
    dataset : str, optional
        Chosen beforehand, by the scripts.

    Returns
    -------
    int
        Exit status: 0, 1 if the command failed, 2 for wrong arguments, 130 or 143 if Ctrl-C or SIGTERM
        ended it.
    """
    started = time.monotonic()
    argv = sys.argv[1:] if argv is None else list(argv)
    arguments = _parser(dataset).parse_args(argv)
    log = _Log(getattr(arguments, "log", None))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="pkg_resources is deprecated")
        warnings.showwarning = log.warning
        return _run(arguments, log, started)


def _run(arguments, log, started):
    """Exit status of a command."""
    try:
        return arguments.command(arguments, log, started)
    except KeyboardInterrupt:
        log.error(arguments.interrupted)
        return 130
    except Stopped as stop:
        (log.error if stop.status else log)(str(stop))
        return stop.status
    except (XnornetError, ImportError) as error:
        if trace := getattr(error, "trace", ""):
            print(trace, file=sys.stderr)
        log.error(str(_origin(error)).replace("\n", " "))
        return 1


class _Log:
    """Lines for people, on the screen and in a file."""

    def __init__(self, path):
        self._path = path
        self._quiet = self._failed = False
        self._failing = threading.Lock()

    def only_errors(self):
        """From now on, print nothing else, and write nothing to the file."""
        self._path, self._quiet = None, True

    def __call__(self, line):
        from tqdm import tqdm

        if self._quiet:
            return
        try:
            tqdm.write(line, file=sys.stdout)
            sys.stdout.flush()
        except OSError:
            # A closed pipe or a full disk must not end a training run.
            sys.stdout = open(os.devnull, "w")
        self._append(line)

    def error(self, message):
        """Print the error that ends a command; of several, from whatever thread, the first."""
        with self._failing:
            if self._failed:
                return
            self._failed = True
            print(f"error: {message}", file=sys.stderr, flush=True)
            self._append(f"error: {message}")

    def warning(self, message, *where, **options):
        """Print a warning without its place in the code, which does not help users of a command."""
        message = " ".join(str(message).split())
        print(f"warning: {message}", file=sys.stderr)
        self._append(f"warning: {message}")

    def _append(self, line):
        if self._path is None:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with open(self._path, "a", encoding="utf-8") as file:
                file.write(line + "\n")
        except OSError as error:
            # A log that cannot be written must not end a training run.
            print(
                f"warning: {self._path}: cannot be written ({error.strerror}); continuing without it",
                file=sys.stderr,
            )
            self._path = None


def _origin(error):
    """The import error that came first: Lasagne replaces Theano's error with its own advice."""
    before = None if error.__suppress_context__ else error.__context__
    both = isinstance(error, ImportError) and isinstance(before, ImportError)
    return _origin(before) if both else error


def _parser(dataset):
    parser = argparse.ArgumentParser(
        prog=_program() if dataset is None else None,
        description="Train and test XNOR-Nets.",
    )
    parser.add_argument("--version", action="version", version=f"xnornet {xnornet.__version__}")
    offered = {**OF_A_DATASET, **OTHERS} if dataset is None else OF_A_DATASET
    commands = parser.add_subparsers(required=True, metavar="|".join(offered))
    for name, add in offered.items():
        command = commands.add_parser(
            name, help=add.__doc__, description=add.__doc__, formatter_class=_HelpFormatter
        )
        if name in OTHERS:
            add(command)
            continue
        if dataset is None:
            meaning = "images to use; your own are named by --images in its place"
            command.add_argument("dataset", nargs="?", choices=sorted(NETWORKS_OF), help=meaning)
        else:
            command.set_defaults(dataset=dataset)
            command.prog = Path(sys.argv[0]).name
        add(command, dataset)
    return parser


def _program():
    started = Path(sys.argv[0]).name
    return "python -m xnornet" if started == "__main__.py" else started


class _HelpFormatter(argparse.ArgumentDefaultsHelpFormatter):
    def _get_help_string(self, action):
        return action.help if action.default in (None, False, []) else super()._get_help_string(action)
