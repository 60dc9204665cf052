"""What the commands that take images share: a dataset by its name, or the user's own images."""

import argparse

from xnornet.catalog import COLORS
from xnornet.cli.options import add_data_option
from xnornet.errors import UsageError

__all__ = ["add_dataset_options", "check_dataset_named", "image_size", "load_dataset"]


def add_dataset_options(command, dataset=None, fits=False):
    """Add --data, and unless a dataset is chosen beforehand, --images and what belongs to it.

    ``fits`` adds the options for preparing pictures, for commands that do not read them from a model.
    """
    add_data_option(command)
    if dataset is not None:
        command.set_defaults(images=None)
        return
    own = command.add_argument_group("your own images")
    own.add_argument(
        "--images",
        metavar="PATH",
        help="in place of a dataset's name: a folder CLASS/*.png or {train,valid,test}/CLASS/*.png (or other "
        "kinds of pictures), or an .npz file with X_train, y_train, X_test, y_test",
    )
    own.add_argument("--skip-bad", action="store_true", help="leave out pictures that cannot be read")
    if fits:
        add_fit_options(own)


def add_fit_options(command):
    """Add --size and --color."""
    command.add_argument(
        "--size",
        type=image_size,
        metavar="HxW",
        help="height and width to fit pictures to (default: their own, all the same)",
    )
    command.add_argument(
        "--color", choices=COLORS, help="color to convert pictures to (default: grey if all of them are)"
    )


def image_size(text):
    height, _, width = text.partition("x")
    if not (height.isdecimal() and width.isdecimal() and 0 < int(height) <= 4096 and 0 < int(width) <= 4096):
        raise argparse.ArgumentTypeError(f"{text} is not a height and a width up to 4096, such as 48x64")
    return int(height), int(width)


def check_dataset_named(arguments):
    """Raise unless there is a dataset's name, or --images, and not both."""
    if (arguments.dataset is None) == (arguments.images is None):
        found = "both are given" if arguments.images is not None else "neither is given"
        raise UsageError(f"expected the name of a dataset, or your own images with --images; {found}")


def load_dataset(arguments, log, whiten=None, input_shape=None):
    """Load the dataset that is named, or the user's own images.

    Parameters
    ----------
    arguments : argparse.Namespace
    log : callable
    whiten : as for `xnornet.data.load`
    input_shape : (int, int, int), optional
        Of the images that a model takes, which pictures are fitted to; by default that of the options.

    Returns
    -------
    Dataset

    Raises
    ------
    UsageError
        An option is of no use for these images.
    DataError
        As `xnornet.data.load` and `xnornet.data.load_images`.
    """
    from xnornet import data
    from xnornet.data.pictures import color_of

    if arguments.images is None:
        return data.load(arguments.dataset, arguments.data, whiten=whiten)
    for option in ("size", "color", "skip_bad"):
        if getattr(arguments, option, None) and arguments.images.endswith(".npz"):
            raise UsageError(
                f"--{option.replace('_', '-')} is for folders of pictures; the arrays of {arguments.images} "
                "are used as they are, so leave it out"
            )
    if input_shape is None:
        size, color = arguments.size, arguments.color
    else:
        size, color = tuple(input_shape[1:]), color_of(input_shape[0])
    report = (lambda line: None) if getattr(arguments, "json", False) else log
    return data.load_images(arguments.images, size, color, arguments.skip_bad, whiten, report)
