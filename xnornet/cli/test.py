"""The command that tests."""

import json
import time
from pathlib import Path

from xnornet.cli.options import NETWORKS_OF, UsageError, add_data_option, bits, positive

__all__ = ["add_test"]

MODES = ("float", "fixed")
CALIBRATION_IMAGES = 2000


def add_test(command, dataset):
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
    add("--batch-size", type=positive(int), default=500, help="images run at a time")
    add("--input-bits", type=bits, default=7, help="magnitude bits of the image (fixed)")
    add("--data-bits", type=bits, default=15, help="magnitude bits of each layer's output (fixed)")
    add("--param-bits", type=bits, default=15, help="magnitude bits of parameters (fixed)")
    add("--min-int-bits", type=int, help="least integer bits of a parameter (fixed)")
    add(
        "--calibrate",
        type=positive(int),
        default=CALIBRATION_IMAGES,
        metavar="N",
        help="training images that integer bits of data are chosen on (fixed)",
    )
    add(
        "--report",
        type=Path,
        metavar="DIR",
        help="folder for pictures: confusion matrix, most confident mistakes, and with --mode fixed the "
        "error against the bits of data and of parameters, for which 25 networks are tested",
    )
    add_data_option(command)
    command.set_defaults(command=_test, interrupted="interrupted; the model is unchanged")


def _test(arguments, log, started):
    import numpy as np

    from xnornet import data
    from xnornet.inference import compute_scores, fixed_network, float_network, report_folder
    from xnornet.model import load_header, load_whitening, read_array_headers

    if arguments.report is not None:
        report_folder(arguments.report)
    read_array_headers(arguments.model)
    header = load_header(arguments.model)
    whitening = load_whitening(arguments.model, header)
    dataset = data.load(arguments.dataset, arguments.data, whiten=whitening)
    count = len(dataset.test) if arguments.no is None else arguments.no
    if not 1 <= count <= len(dataset.test):
        raise UsageError(
            f"--no is {count}; it takes 1 to {len(dataset.test)}, the number of test images of {dataset.name}"
        )
    network, trained = _load_network(arguments, header, dataset, log)
    begun = time.monotonic()
    model = _quantize(arguments, trained, dataset) if arguments.mode == "fixed" else None
    layer = float_network(trained) if model is None else fixed_network(model)
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
    if arguments.report is not None:
        real = scores if model is None else model.q_out.dequantize(scores)
        written = _report(arguments, network, trained, real, dataset, images)
        result["report"] = [str(path) for path in written]
        if not arguments.json:
            log(f"report: {', '.join(result['report'])}")
    log(json.dumps(result) if arguments.json else _sentence(result))
    return 0


def _report(arguments, network, trained, scores, dataset, images):
    """Write tables and pictures; returns their paths."""
    import numpy as np

    from xnornet.inference import compute_scores, float_network, sweep_bits, write_report, write_sweep

    count = len(scores)
    title = f"{network} on {count} test images of {dataset.name}"
    written = write_report(
        arguments.report, scores, dataset.test, dataset.class_names, f"{title}, {arguments.mode}"
    )
    if arguments.mode == "float":
        return written
    labels = dataset.test.labels[:count]
    floats = compute_scores(float_network(trained), images, arguments.batch_size, progress=True)
    sweep = sweep_bits(
        trained,
        dataset.train.images[: arguments.calibrate],
        images,
        labels,
        formats=_formats(arguments),
        batch_size=arguments.batch_size,
    )
    float_error = float(np.mean(floats.argmax(axis=1) != labels))
    return written + write_sweep(arguments.report, sweep, float_error, f"{title}, fixed point")


def _sentence(result):
    return (
        f"error {result['error']:.2%} (accuracy {result['accuracy']:.2%}) on {result['images']} images, "
        f"mode {result['mode']}, {result['seconds']:.2f} s"
    )


def _load_network(arguments, header, dataset, log):
    """Build the network that the model's header or its form names, and set its weights."""
    import lasagne

    import theano.tensor as T
    from xnornet import networks
    from xnornet.inference import ancestor_network
    from xnornet.model import header_path, load_weights

    found = None if header else ancestor_network(arguments.model, T.tensor4("images"))
    if found is not None:
        network, layer = found
        _check_fit(arguments, network, layer, dataset, networks.DATASETS[network])
        if not arguments.json:
            log(f"{arguments.model}: read as {network} in the form of theano-xnor-net")
        return network, layer
    network = arguments.net or header.get("network", NETWORKS_OF[arguments.dataset][0])
    options = header.get("arguments", {}) if network == header.get("network") else {}
    try:
        layer = networks.build(network, T.tensor4("images"), **options)
    except ValueError as error:
        raise UsageError(f"{header_path(arguments.model)}: {error}") from error
    _check_fit(arguments, network, layer, dataset, header.get("dataset", dataset.name))
    networks.set_weights(layer, load_weights(arguments.model, lasagne.layers.get_all_params(layer)))
    return network, layer


def _check_fit(arguments, network, layer, dataset, trained_on):
    from xnornet import networks

    shape = networks.input_shape(layer)
    if shape != tuple(dataset.input_shape):
        raise UsageError(
            f"{arguments.model}: {network} takes images of shape {shape}; those of "
            f"{dataset.name} are {tuple(dataset.input_shape)}. Test it on its own dataset"
        )
    if trained_on != dataset.name:
        raise UsageError(
            f"{arguments.model}: was trained on {trained_on}, not {dataset.name}; test it on its own dataset"
        )


def _formats(arguments):
    from xnornet.inference import Formats

    return Formats(arguments.input_bits, arguments.data_bits, arguments.param_bits, arguments.min_int_bits)


def _quantize(arguments, layer, dataset):
    from xnornet.inference import quantize

    images = dataset.train.images[: arguments.calibrate]
    try:
        return quantize(layer, images, _formats(arguments), arguments.batch_size)
    except ValueError as error:
        raise UsageError(f"{arguments.model}: {error}") from error
