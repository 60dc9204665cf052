"""The command that tests."""

import json
import time
import warnings
from pathlib import Path

from xnornet.catalog import MODES
from xnornet.cli.datasets import add_dataset_options
from xnornet.cli.models import (
    CALIBRATION_IMAGES,
    FORMAT_OPTIONS,
    add_batch_size_option,
    add_format_options,
    add_net_option,
    formats_of,
    load_model,
    quantized,
)
from xnornet.cli.options import add_devices_option, positive
from xnornet.errors import UsageError

__all__ = ["add_test"]


def add_test(command, dataset):
    """Test a model on test images: in floating point, in simulated fixed point, or on packed bits."""
    add = command.add_argument
    add(
        "--model",
        type=Path,
        required=True,
        metavar="FILE.npz",
        help="weights, as training saves them, or a packed model",
    )
    add("--no", type=int, metavar="N", help="number of test images (default: all)")
    add(
        "--mode",
        choices=MODES,
        default="float",
        help="arithmetic: real numbers (of a packed model those that its parameters stand for), simulated "
        "fixed point, or the engine on packed bits",
    )
    add("--json", action="store_true", help="print one JSON object instead of a sentence")
    add_net_option(command)
    add_batch_size_option(command)
    add(
        "--threads",
        type=positive(int),
        metavar="N",
        help="of --mode packed (default: XNORNET_THREADS, or the cores)",
    )
    add_devices_option(command, ", in --mode float and fixed")
    chosen = command.add_argument_group("fixed point, of weights that are not packed")
    add_format_options(chosen)
    chosen.add_argument(
        "--calibration-images",
        type=positive(int),
        metavar="N",
        help="training images used for calibration, which chooses the integer bits of data "
        f"(default: {CALIBRATION_IMAGES}, or all)",
    )
    add(
        "--report",
        type=Path,
        metavar="DIR",
        help="folder for pictures: confusion matrix, most confident mistakes, and with --mode fixed, of "
        "weights that are not packed, the error against the bits of data and of parameters, for which 25 "
        "networks are tested",
    )
    add_dataset_options(command, dataset)
    command.set_defaults(command=_test, interrupted="interrupted; the model is unchanged")


def _test(arguments, log, started):
    import numpy as np

    from xnornet.data.stored import chosen

    if arguments.devices is not None and arguments.mode == "packed":
        raise UsageError("--devices is of --mode float and fixed; the engine takes --threads")
    if arguments.report is not None:
        from xnornet.report import report_folder

        report_folder(arguments.report)
    loaded = load_model(arguments, log)
    dataset = loaded.dataset
    if loaded.is_packed:
        _check_formats_left(arguments)
    count = len(dataset.test) if arguments.no is None else arguments.no
    if not 1 <= count <= len(dataset.test):
        raise UsageError(
            f"--no is {count}; it takes 1 to {len(dataset.test)}, the number of test images of {dataset.name}"
        )
    begun = time.monotonic()
    images, labels = chosen(dataset.test.images, slice(count)), dataset.test.labels[:count]
    scores, q_out = _scores(arguments, loaded, images)
    wrong = int(np.sum(scores.argmax(axis=1) != labels))
    result = {
        "error": wrong / count,
        "accuracy": 1 - wrong / count,
        "errors": wrong,
        "images": count,
        "mode": arguments.mode,
        "seconds": time.monotonic() - begun,
        "model": str(arguments.model),
        "network": loaded.network,
        "dataset": dataset.name,
    }
    if arguments.report is not None:
        real = scores if q_out is None else q_out.dequantize(scores)
        result["report"] = [str(path) for path in _report(arguments, loaded, real, images)]
        if not arguments.json:
            log(f"report: {', '.join(result['report'])}")
    log(json.dumps(result) if arguments.json else _sentence(result))
    return 0


def _check_formats_left(arguments):
    """Raise for an option that would have no effect, as a packed model has its formats."""
    given = [name for name in (*FORMAT_OPTIONS, "calibration_images") if getattr(arguments, name) is not None]
    if given:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise UsageError(
            f"{arguments.model}: is packed, and formats are chosen when packing; leave out {options}, or "
            "pack the weights again"
        )


def _calibration_images(arguments, loaded):
    return loaded.dataset.train.images[: arguments.calibration_images or CALIBRATION_IMAGES]


def _scores(arguments, loaded, images):
    """Scores of the images, and their format, None for real ones."""
    if arguments.mode == "float":
        return _simulated(arguments, loaded.graph, images, real=True), None
    graph = loaded.graph
    if not loaded.is_packed:
        graph = quantized(arguments, loaded, _calibration_images(arguments, loaded))
    simulated_or_packed = _simulated if arguments.mode == "fixed" else _packed_scores
    return simulated_or_packed(arguments, graph, images), graph.q_out


def _simulated(arguments, graph, images, real=False):
    # Not for the engine, which needs no JAX.
    from xnornet.devices import mesh_of
    from xnornet.graph import simulate

    mesh = mesh_of(arguments.devices)
    return simulate(graph, images, arguments.batch_size, real, progress=True, mesh=mesh)


def _packed_scores(arguments, graph, images):
    import numpy as np
    from tqdm import tqdm

    from xnornet.engine import Engine
    from xnornet.graph.simulation import Saturation, count_beyond, warn_of_saturation
    from xnornet.threads import default_threads

    threads = arguments.threads or default_threads()
    try:
        engine = Engine(graph, threads)
    except ValueError as error:
        raise UsageError(f"--{error}") from error
    scores, beyond = [], 0
    starts = tqdm(range(0, len(images), arguments.batch_size), unit="batch", leave=False, disable=None)
    with warnings.catch_warnings():
        # Of all images at once, and not of each batch.
        warnings.simplefilter("ignore", Saturation)
        for i in starts:
            batch = images[i : i + arguments.batch_size]
            scores.append(engine.run(batch))
            beyond += count_beyond(graph, batch)
    warn_of_saturation(graph, beyond, images.size)
    return np.concatenate(scores)


def _report(arguments, loaded, scores, images):
    """Write tables and pictures; returns their paths."""
    import numpy as np

    from xnornet.graph import simulate
    from xnornet.report import describe_sweep, describe_test, sweep_bits, write_report

    count, dataset = len(scores), loaded.dataset
    title = f"{loaded.network} on {count} test images of {dataset.name}"
    contents = describe_test(scores, dataset.test, dataset.class_names, f"{title}, {arguments.mode}")
    if arguments.mode != "fixed" or loaded.is_packed:
        return write_report(arguments.report, contents)
    labels = dataset.test.labels[:count]
    floats = simulate(loaded.graph, images, arguments.batch_size, real=True, progress=True)
    sweep = sweep_bits(
        loaded.graph,
        _calibration_images(arguments, loaded),
        images,
        labels,
        formats=formats_of(arguments),
        batch_size=arguments.batch_size,
    )
    float_error = float(np.mean(floats.argmax(axis=1) != labels))
    contents |= describe_sweep(sweep, float_error, f"{title}, fixed point")
    return write_report(arguments.report, contents)


def _sentence(result):
    return (
        f"error {result['error']:.2%} (accuracy {result['accuracy']:.2%}) on {result['images']} images, "
        f"mode {result['mode']}, {result['seconds']:.2f} s"
    )
