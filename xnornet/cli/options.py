"""What the commands' options have in common: their values, and what is wrong with them."""

import argparse
import ast
import os

from xnornet.catalog import MAX_BITS
from xnornet.errors import UsageError

__all__ = [
    "NET",
    "add_data_option",
    "add_devices_option",
    "add_hosts_options",
    "add_set_option",
    "bits",
    "check_out_file",
    "count_or",
    "in_single_precision",
    "natural",
    "not_negative",
    "options_of",
    "positive",
]


# How --net names a network.
NET = "NAME|FILE.py:FUNCTION"


def add_data_option(command):
    """Add --data."""
    command.add_argument(
        "--data",
        metavar="DIR",
        help="folder that holds the datasets' folders (default: $PYLEARN2_DATA_PATH, else the user's "
        "cache, where missing files are downloaded to)",
    )


def add_devices_option(command, use):
    """Add --devices."""
    command.add_argument(
        "--devices",
        type=count_or("all"),
        metavar="N|all",
        help=f"divide batches among as many of JAX's devices{use} (default: 1)",
    )


def add_hosts_options(command):
    """Add --coordinator, --hosts and --host."""
    several = command.add_argument_group("several hosts, on each of which the command is started")
    several.add_argument(
        "--coordinator", metavar="HOST:PORT", help="where the first host listens, on a port that is free"
    )
    several.add_argument(
        "--hosts",
        type=count_or("auto"),
        metavar="N|auto",
        help="number of hosts; auto: read all three from the variables of a cluster, such as Slurm's",
    )
    several.add_argument("--host", type=natural, metavar="K", help="number of this host, from 0")


def count_or(word):
    """A type of options: a positive number, or a word."""

    def convert(text):
        return text if text == word else positive(int)(text)

    convert.__name__ = "int"
    return convert


def add_set_option(command):
    """Add --set."""
    command.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="OPTION=VALUE",
        help="option of the network, such as num_units=1024; may be given again",
    )


def options_of(arguments):
    """The values of --set as a dictionary."""
    return dict(_option(text) for text in arguments.set)


def _option(text):
    """``name=value`` as a pair, the value a number, a truth value or a tuple of numbers."""
    name, equals, value = text.partition("=")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise UsageError(f"--set {text}: expected OPTION=VALUE, such as num_units=1024") from error


def positive(kind):
    def convert(text):
        value = kind(text)
        if not 0 < value < float("inf"):
            raise argparse.ArgumentTypeError(f"{text} is not a positive number")
        return value

    convert.__name__ = kind.__name__
    return convert


def natural(text):
    value = int(text)
    if not 0 <= value < 1 << 32:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 2**32 - 1")
    return value


def not_negative(text):
    value = float(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is negative or not finite")
    return value


def bits(text):
    value = int(text)
    if not 1 <= value <= MAX_BITS:
        raise argparse.ArgumentTypeError(f"{text} is not between 1 and {MAX_BITS}")
    return value


def in_single_precision():
    """Let nets be float32, as the kernels are, unless ``THEANO_FLAGS`` or a ``.theanorc`` says otherwise."""
    import theano

    theano.config.set_defaults(floatX="float32")


def check_out_file(arguments, suffix):
    """Find out beforehand whether the file of --out can be written, and costs nobody the model.

    Parameters
    ----------
    arguments : argparse.Namespace
        With ``out`` and ``model``.
    suffix : str
        Of the file's name. Beside an ``.npz`` file a whitening may be written.

    Raises
    ------
    UsageError
        It cannot, or would take the place of the model.
    """
    from xnornet.data import whitening_path
    from xnornet.disk import probe

    out, model = arguments.out, arguments.model
    if out.suffix != suffix:
        raise UsageError(f"--out is {out}; it takes the name of an {suffix} file")
    try:
        probe(out)
    except OSError as error:
        reason = f"cannot be written ({error.strerror}); choose another place"
        raise UsageError(f"--out {out}: {reason}") from error
    if out.is_dir():
        raise UsageError(f"--out {out}: is a folder; it takes the name of an {suffix} file")
    for own in (model, whitening_path(model)):
        for written in (out, whitening_path(out)) if suffix == ".npz" else (out,):
            if os.path.realpath(written) == os.path.realpath(own):
                raise UsageError(f"--out {out}: would take the place of {own}; choose another name")
