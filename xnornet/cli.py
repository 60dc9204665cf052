"""The commands: arguments in, one call, a printed result.

The scripts in ``train/`` and ``test/`` are these commands with the dataset chosen. Whatever goes wrong that a
person can mend is one line on standard error and a non-zero exit.
"""

import argparse
import dataclasses
import json
import sys
import time
import warnings
from pathlib import Path

import xnornet

__all__ = ["main"]

# Those of xnornet.networks, told again so that --help need not load Lasagne; a test compares the two.
NETWORKS_OF = {
    "digits": ("digits_mlp",),
    "mnist": ("mnist_mlp", "mnist_convnet"),
    "cifar10": ("cifar10_convnet",),
    "svhn": ("svhn_convnet",),
}
# Datasets of coloured photographs.
COLOUR = ("cifar10", "svhn")
MODES = ("float", "fixed")
CALIBRATION_IMAGES = 2000


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
        Exit status: 0, 1 if the command failed, 2 for wrong arguments, 130 if it was interrupted.
    """
    started = time.monotonic()
    argv = sys.argv[1:] if argv is None else list(argv)
    arguments = _parser(dataset).parse_args(argv)
    warnings.filterwarnings("ignore", message="pkg_resources is deprecated")
    log = _Log(getattr(arguments, "log", None))
    try:
        return arguments.command(arguments, log, started)
    except KeyboardInterrupt:
        log.error(arguments.interrupted)
        return 130
    except _stopped() as stop:
        (log.error if stop.status else log)(str(stop))
        return stop.status
    except Exception as error:
        if not isinstance(error, _expected_errors()):
            raise
        log.error(str(error).replace("\n", " "))
        return 1


class _Usage(Exception):
    """An option whose value does not fit the data."""


class _Log:
    """Lines for people, on the screen and in a file."""

    def __init__(self, path):
        self._path = path

    def __call__(self, line):
        from tqdm import tqdm

        tqdm.write(line, file=sys.stdout)
        sys.stdout.flush()
        self._append(line)

    def error(self, message):
        print(f"error: {message}", file=sys.stderr)
        self._append(f"error: {message}")

    def _append(self, line):
        if self._path is None:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with open(self._path, "a", encoding="utf-8") as file:
                file.write(line + "\n")
        except OSError as error:
            # What is printed is no reason to lose what is trained.
            print(f"warning: {self._path}: cannot be written ({error.strerror}); going on", file=sys.stderr)
            self._path = None


def _stopped():
    """What a run that was asked to stop raises, if any run has begun."""
    if "xnornet.training" in sys.modules:
        return sys.modules["xnornet.training"].Stopped
    return ()


def _expected_errors():
    from xnornet.data import DataError
    from xnornet.model import ModelError

    expected = [_Usage, DataError, ModelError]
    if "xnornet.training" in sys.modules:
        expected.append(sys.modules["xnornet.training"].TrainingError)
    return tuple(expected)


def _parser(dataset):
    parser = argparse.ArgumentParser(
        prog="python -m xnornet" if dataset is None else None,
        description="Train and test XNOR-Nets.",
    )
    parser.add_argument("--version", action="version", version=f"xnornet {xnornet.__version__}")
    commands = parser.add_subparsers(required=True, metavar="train|test")
    for name, add in (("train", _add_train), ("test", _add_test)):
        command = commands.add_parser(
            name, help=add.__doc__, description=add.__doc__, formatter_class=_HelpFormatter
        )
        if dataset is None:
            command.add_argument("dataset", choices=sorted(NETWORKS_OF), help="images to use")
        else:
            command.set_defaults(dataset=dataset)
            command.prog = Path(sys.argv[0]).name
        add(command, dataset)
    return parser


class _HelpFormatter(argparse.ArgumentDefaultsHelpFormatter):
    def _get_help_string(self, action):
        return action.help if action.default in (None, False) else super()._get_help_string(action)


def _add_data_option(command):
    command.add_argument(
        "--data",
        metavar="DIR",
        help="folder that holds the datasets' folders (default: $PYLEARN2_DATA_PATH, else the user's "
        "cache, where missing files are downloaded to)",
    )


def _add_train(command, dataset):
    """Train a network and keep the weights that are best on validation images."""
    networks = NETWORKS_OF.get(dataset) or sum(NETWORKS_OF.values(), ())
    own = "of the network" if len(networks) > 1 else None
    add = command.add_argument
    add("--net", choices=networks, help="network (default: the dataset's first)")
    add("--epochs", type=_positive(int), help=f"passes over the training images{_default(own)}")
    add("--batch-size", type=_positive(int), help=f"images in a step{_default(own)}")
    add("--lr", type=_positive(float), help=f"Adam's rate in the first epoch{_default(own)}")
    add("--lr-end", type=_positive(float), help=f"Adam's rate in the last epoch{_default(own)}")
    add(
        "--schedule",
        choices=("exponential", "cosine"),
        help=f"how the rate gets from first to last{_default(own)}",
    )
    add(
        "--augment",
        action=argparse.BooleanOptionalAction,
        help=f"crop training images at random, and mirror those of CIFAR-10{_default(own)}",
    )
    if dataset in (None, *COLOUR):
        add("--whiten", action="store_true", help="whiten the images (contrast normalization and ZCA)")
    add("--seed", type=_natural, default=0, help="of weights, dropout, order and augmentation of images")
    add("--init", type=Path, metavar="FILE.npz", help="weights of the same network to begin with")
    add(
        "--set",
        action="append",
        default=[],
        metavar="OPTION=VALUE",
        help="option of the network, such as num_units=1024; may be given again",
    )
    add(
        "--out",
        type=Path,
        metavar="FILE.npz",
        help="weights to write; header, log, curves and checkpoint lie beside it (default: runs/NET.npz)",
    )
    add("--resume", action="store_true", help="go on from the last checkpoint of the same run")
    add(
        "--max-minutes",
        type=_positive(float),
        metavar="M",
        help="stop after M minutes with a checkpoint (default: when all epochs are done)",
    )
    add("--log", type=Path, metavar="FILE", help="append what is printed to a file as well")
    _add_data_option(command)
    command.set_defaults(
        command=_train,
        interrupted="interrupted; what the last checkpoint holds is kept, and --resume goes on from it",
    )


def _default(own):
    return " (default: the recipe's)" if own is None else f" (default: the recipe's, {own})"


def _train(arguments, log, started):
    from xnornet import data
    from xnornet.training import RECIPES, Recipe, train

    network = arguments.net or NETWORKS_OF[arguments.dataset][0]
    chosen = {field.name: getattr(arguments, field.name) for field in dataclasses.fields(Recipe)}
    recipe = dataclasses.replace(
        RECIPES[network], **{name: value for name, value in chosen.items() if value is not None}
    )
    options = dict(_option(text) for text in arguments.set)
    out = arguments.out or Path("runs") / f"{network}.npz"
    dataset = data.load(arguments.dataset, arguments.data)
    log(
        f"{network} on {dataset.name}: {len(dataset.train)} training, {len(dataset.valid)} validation, "
        f"{len(dataset.test)} test images; {recipe.epochs} epochs of batches of {recipe.batch_size}, "
        f"rate {recipe.lr:g} to {recipe.lr_end:g} ({recipe.schedule}), "
        f"{'augmented, ' * recipe.augment}seed {recipe.seed}"
    )
    try:
        train(
            network,
            dataset,
            out,
            recipe,
            options,
            resume=arguments.resume,
            report=log,
            started=started,
            init=arguments.init,
            max_minutes=arguments.max_minutes,
        )
    except ValueError as error:
        raise _Usage(str(error)) from error
    return 0


def _option(text):
    """``name=value`` as a pair, the value a number, a truth value or a tuple of numbers."""
    import ast

    name, equals, value = text.partition("=")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError) as error:
        raise _Usage(f"--set {text}: expected OPTION=VALUE, such as num_units=1024") from error


def _add_test(command, dataset):
    """Test a trained network on test images, in floating point or in simulated fixed point."""
    networks = NETWORKS_OF.get(dataset) or sum(NETWORKS_OF.values(), ())
    add = command.add_argument
    add("--model", type=Path, required=True, metavar="FILE.npz", help="weights, as training saves them")
    add("--no", type=int, metavar="N", help="number of test images (default: all)")
    add("--mode", choices=MODES, default="float", help="arithmetic")
    add("--json", action="store_true", help="print one JSON object instead of a sentence")
    add(
        "--net",
        choices=networks,
        help="network, for weights without a JSON header beside them",
    )
    add("--batch-size", type=_positive(int), default=500, help="images run at a time")
    add("--input-bits", type=_bits, default=7, help="magnitude bits of the image (fixed)")
    add("--data-bits", type=_bits, default=15, help="magnitude bits of each layer's output (fixed)")
    add("--param-bits", type=_bits, default=15, help="magnitude bits of parameters (fixed)")
    add("--min-int-bits", type=int, help="least integer bits of a parameter (fixed)")
    add(
        "--calibrate",
        type=_positive(int),
        default=CALIBRATION_IMAGES,
        metavar="N",
        help="training images that integer bits of data are chosen on (fixed)",
    )
    _add_data_option(command)
    command.set_defaults(command=_test, interrupted="interrupted; nothing was changed")


def _test(arguments, log, started):
    import numpy as np

    from xnornet import data
    from xnornet.inference import compute_scores, fixed_network, float_network

    dataset = data.load(arguments.dataset, arguments.data)
    count = len(dataset.test) if arguments.no is None else arguments.no
    if not 1 <= count <= len(dataset.test):
        raise _Usage(
            f"--no is {count}; it takes 1 to {len(dataset.test)}, the number of test images of {dataset.name}"
        )
    network, layer = _load_network(arguments, dataset)
    begun = time.monotonic()
    if arguments.mode == "fixed":
        layer = fixed_network(_quantize(arguments, layer, dataset))
    else:
        layer = float_network(layer)
    images, labels = dataset.test.images[:count], dataset.test.labels[:count]
    scores = compute_scores(layer, images, arguments.batch_size, progress=True)
    wrong = int(np.sum(scores.argmax(axis=1) != labels))
    result = {
        "error": wrong / count,
        "accuracy": 1 - wrong / count,
        "errors": wrong,
        "images": count,
        "mode": arguments.mode,
        "seconds": time.monotonic() - begun,
        "model": str(arguments.model),
        "network": network,
        "dataset": dataset.name,
    }
    log(json.dumps(result) if arguments.json else _sentence(result))
    return 0


def _sentence(result):
    return (
        f"error {result['error']:.2%} (accuracy {result['accuracy']:.2%}) on {result['images']} images, "
        f"mode {result['mode']}, {result['seconds']:.2f} s"
    )


def _load_network(arguments, dataset):
    """Build the network that the model's header names, and set its weights."""
    import lasagne

    import theano.tensor as T
    from xnornet import networks
    from xnornet.model import header_path, load_header, load_weights

    header = load_header(arguments.model)
    network = arguments.net or header.get("network", NETWORKS_OF[arguments.dataset][0])
    options = header.get("arguments", {}) if network == header.get("network") else {}
    try:
        layer = networks.build(network, T.tensor4("images"), **options)
    except (ValueError, TypeError) as error:
        raise _Usage(f"{header_path(arguments.model)}: {error}") from error
    shape = lasagne.layers.get_all_layers(layer)[0].shape[1:]
    if tuple(shape) != tuple(dataset.input_shape):
        raise _Usage(
            f"{arguments.model}: {network} takes images of shape {tuple(shape)}; those of "
            f"{dataset.name} are {tuple(dataset.input_shape)}. Test it on its own dataset"
        )
    params = lasagne.layers.get_all_params(layer)
    for param, value in zip(params, load_weights(arguments.model, params), strict=True):
        param.set_value(value.astype(param.dtype))
    return network, layer


def _quantize(arguments, layer, dataset):
    from xnornet.inference import Formats, quantize

    formats = Formats(arguments.input_bits, arguments.data_bits, arguments.param_bits, arguments.min_int_bits)
    images = dataset.train.images[: arguments.calibrate]
    try:
        return quantize(layer, images, formats, arguments.batch_size)
    except ValueError as error:
        raise _Usage(f"{arguments.model}: {error}") from error


def _positive(kind):
    def convert(text):
        value = kind(text)
        if not 0 < value < float("inf"):
            raise argparse.ArgumentTypeError(f"{text} is not a positive number")
        return value

    convert.__name__ = kind.__name__
    return convert


def _natural(text):
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text} is negative")
    return value


def _bits(text):
    value = int(text)
    if not 1 <= value <= 15:
        raise argparse.ArgumentTypeError(f"{text} is not between 1 and 15")
    return value
