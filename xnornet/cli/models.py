"""What the commands that run models share: a file loaded as what it is, with images that fit it."""

from dataclasses import dataclass

from xnornet.catalog import DATASET_OF, FORMATS, NETWORKS_OF
from xnornet.cli.options import bits, in_single_precision, positive
from xnornet.errors import UsageError

__all__ = [
    "CALIBRATION_IMAGES",
    "FORMAT_OPTIONS",
    "Loaded",
    "add_batch_size_option",
    "add_format_options",
    "add_net_option",
    "formats_of",
    "load_model",
    "load_without_dataset",
    "quantized",
]

CALIBRATION_IMAGES = 2000

# They have no default of their own, so that it is known which were given.
FORMAT_OPTIONS = {
    "input_bits": "magnitude bits of the image",
    "data_bits": "magnitude bits of each layer's output",
    "param_bits": "magnitude bits of parameters",
}


@dataclass
class Loaded:
    """A model file and its dataset.

    Attributes
    ----------
    network : str or None
        Name of the network, if it is known.
    header : dict
        What is told of the model, beside it or in it.
    graph : Graph
        Of real parameters, or if ``is_packed`` in integers.
    is_packed : bool
    dataset : Dataset
        Prepared as the model's images were.
    """

    network: str | None
    header: dict
    graph: object
    is_packed: bool
    dataset: object


def add_net_option(command, networks):
    """Add --net."""
    command.add_argument(
        "--net", choices=networks, help="network, for weights without a JSON header beside them"
    )


def add_format_options(command):
    """Add the options of fixed-point formats."""
    for name, meaning in FORMAT_OPTIONS.items():
        option, told = f"--{name.replace('_', '-')}", f"{meaning} (default: {FORMATS[name]})"
        command.add_argument(option, type=bits, metavar="N", help=told)


def add_batch_size_option(command):
    """Add --batch-size."""
    command.add_argument(
        "--batch-size", type=positive(int), default=500, metavar="N", help="images run at a time"
    )


def load_model(arguments, log):
    """Load the file that ``--model`` names, and the dataset.

    Raises
    ------
    ModelError, DataError, UsageError
        The file is missing, damaged or of another dataset.
    """
    from xnornet import data
    from xnornet.archives import read_array_headers
    from xnornet.graph import is_packed, load_packed

    packed = is_packed(arguments.model)
    if packed:
        graph, header = load_packed(arguments.model)
    else:
        # Not for a packed model, which needs nothing of what trains.
        from xnornet.training.weights import load_header

        read_array_headers(arguments.model)
        header = load_header(arguments.model)
    whitening = data.load_whitening(arguments.model, header)
    dataset = data.load(arguments.dataset, arguments.data, whiten=whitening)
    if packed:
        network, trained_on = header.get("network"), header.get("dataset", dataset.name)
        _check_fit(arguments, network, graph.input_shape, dataset, trained_on)
    else:
        network, graph = _load_weights(arguments, header, dataset, log)
    return Loaded(network, header, graph, packed, dataset)


def load_without_dataset(arguments, log):
    """Load the file that ``--model`` names.

    Returns
    -------
    (Graph, dict, bool)
        In integers if the model is packed, what is told of it, and whether it is packed.

    Raises
    ------
    ModelError, UsageError
        The file is missing or damaged, or nothing tells of which network it is.
    """
    from xnornet.archives import read_array_headers
    from xnornet.graph import is_packed, load_packed
    from xnornet.training.weights import load_header

    if is_packed(arguments.model):
        return *load_packed(arguments.model), True
    read_array_headers(arguments.model)
    header = load_header(arguments.model)
    network, graph = _load_weights(arguments, header, None, log)
    return graph, {"dataset": DATASET_OF[network], **header, "network": network}, False


def formats_of(arguments):
    """The formats that the options ask for."""
    from xnornet.graph import Formats

    given = {name: getattr(arguments, name) for name in FORMAT_OPTIONS}
    return Formats(**{name: value for name, value in given.items() if value is not None})


def quantized(arguments, loaded, images):
    """The graph of real parameters that was loaded, in integers, calibrated on images."""
    from xnornet.quantization import quantize

    try:
        return quantize(loaded.graph, images, formats_of(arguments), arguments.batch_size)
    except ValueError as error:
        raise UsageError(f"{arguments.model}: {error}") from error


def _load_weights(arguments, header, dataset, log):
    """Name and graph of the network that the weights' header or their form names.

    It is compared with the dataset, if there is one.
    """
    import lasagne

    import theano.tensor as T
    from xnornet import networks
    from xnornet.quantization import import_ancestor, to_graph
    from xnornet.training.weights import header_path, load_weights

    in_single_precision()
    found = None if header else import_ancestor(arguments.model)
    if found is not None:
        network, graph = found
        _check_fit(arguments, network, graph.input_shape, dataset, DATASET_OF[network])
        if not arguments.json:
            log(f"{arguments.model}: read as {network} in the form of theano-xnor-net")
        return found
    network = arguments.net or header.get("network")
    if network is None and dataset is None:
        raise UsageError(f"{arguments.model}: has no JSON header beside it; name its network with --net")
    network = network or NETWORKS_OF[arguments.dataset][0]
    options = header.get("arguments", {}) if network == header.get("network") else {}
    try:
        layer = networks.build(network, T.tensor4("images"), **options)
    except ValueError as error:
        raise UsageError(f"{header_path(arguments.model)}: {error}") from error
    shape = networks.input_shape(layer)
    _check_fit(arguments, network, shape, dataset, header.get("dataset"))
    networks.set_weights(layer, load_weights(arguments.model, lasagne.layers.get_all_params(layer)))
    try:
        return network, to_graph(layer)
    except ValueError as error:
        raise UsageError(f"{arguments.model}: {error}") from error


def _check_fit(arguments, network, shape, dataset, trained_on):
    if dataset is None:
        return
    if tuple(shape) != tuple(dataset.input_shape):
        raise UsageError(
            f"{arguments.model}: {network} takes images of shape {shape}; those of "
            f"{dataset.name} are {tuple(dataset.input_shape)}. Use it with its own dataset"
        )
    if trained_on not in (None, dataset.name):
        raise UsageError(
            f"{arguments.model}: was trained on {trained_on}, not {dataset.name}; use it with its own dataset"
        )
