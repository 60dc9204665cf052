"""What the commands that run models share: a file loaded as what it is, with images that fit it."""

from dataclasses import dataclass

from xnornet.catalog import DATASET_OF, FORMATS, NETWORKS_OF
from xnornet.cli.datasets import check_dataset_named, load_dataset
from xnornet.cli.options import NET, bits, in_single_precision, positive
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

# Without defaults, so that options that were given can be recognized.
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
        The model's header, from the file beside it or from the model itself.
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


def add_net_option(command):
    """Add --net."""
    command.add_argument(
        "--net",
        metavar=NET,
        help="network, for weights without a JSON header beside them, or whose network's file was moved",
    )


def add_format_options(command):
    """Add the options of fixed-point formats."""
    for name, meaning in FORMAT_OPTIONS.items():
        option, text = f"--{name.replace('_', '-')}", f"{meaning} (default: {FORMATS[name]})"
        command.add_argument(option, type=bits, metavar="N", help=text)


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

    check_dataset_named(arguments)
    header, graph = _open_file(arguments)
    packed = graph is not None
    _check_dataset(arguments, header)
    whitening = data.load_whitening(arguments.model, header)
    if not packed:
        header, graph = _load_weights(arguments, header, log)
        _check_dataset(arguments, header)
    network = header.get("network")
    dataset = load_dataset(arguments, log, whitening, graph.input_shape)
    _check_fit(arguments, network, header, graph.input_shape, dataset)
    return Loaded(network, header, graph, packed, dataset)


def load_without_dataset(arguments, log):
    """Load the file that ``--model`` names.

    Returns
    -------
    (Graph, dict, bool)
        In integers if the model is packed; its header; and whether it is packed.

    Raises
    ------
    ModelError, UsageError
        The file is missing or damaged, or its network is unknown.
    """
    header, graph = _open_file(arguments)
    if graph is not None:
        return graph, header, True
    header, graph = _load_weights(arguments, header, log)
    return graph, header, False


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


def _open_file(arguments):
    """Header of the model, and its graph if it is packed, else None."""
    from xnornet.archives import read_array_headers
    from xnornet.graph import is_packed, load_packed

    if is_packed(arguments.model):
        graph, header = load_packed(arguments.model)
        return header, graph
    # Not for a packed model, which needs nothing of what trains.
    from xnornet.training.weights import load_header

    read_array_headers(arguments.model)
    return load_header(arguments.model), None


def _load_weights(arguments, header, log):
    """Header, with the network and its dataset, and graph of weights."""
    network, graph = _read_weights(arguments, header, log)
    usual = {"dataset": DATASET_OF[network]} if network in DATASET_OF else {}
    return {**usual, **header, "network": network}, graph


def _read_weights(arguments, header, log):
    """Name and graph of the network that the weights' header or their form names."""
    import lasagne

    import theano.tensor as T
    from xnornet import networks
    from xnornet.quantization import import_ancestor, real_graph
    from xnornet.training.weights import load_weights

    in_single_precision()
    found = None if header else import_ancestor(arguments.model)
    if found is not None:
        if not arguments.json:
            log(f"{arguments.model}: read as {found[0]} in the form of theano-xnor-net")
        return found
    try:
        source, options, shape, num_classes = _network_of(arguments, header)
        layer = networks.build(source, T.tensor4("images"), shape, num_classes, **options)
    except ValueError as error:
        raise UsageError(f"{arguments.model}: {error}") from error
    networks.set_weights(layer, load_weights(arguments.model, lasagne.layers.get_all_params(layer)))
    try:
        return source.name, real_graph(layer)
    except ValueError as error:
        raise UsageError(f"{arguments.model}: {error}") from error


def _network_of(arguments, header):
    """Source, options, shape of the images and number of classes of the network of weights."""
    from xnornet import networks
    from xnornet.data.preprocessing import class_names_of, input_shape_of

    names = class_names_of(header)
    shape, num_classes = input_shape_of(header), None if names is None else len(names)
    if arguments.net is not None:
        source = networks.find(arguments.net)
        # A file of the user's that was moved has another name, and is still the network that was trained.
        recorded = header.get("network", "")
        same = recorded.rpartition(":")[2] == source.name.rpartition(":")[2]
        options = header.get("arguments", {}) if same else {}
    elif header:
        source, options = networks.find_recorded(header, arguments.model), header["arguments"]
    elif getattr(arguments, "dataset", None) is not None:
        source, options = networks.find(NETWORKS_OF[arguments.dataset][0]), {}
    else:
        raise UsageError(f"{arguments.model}: has no JSON header beside it; name its network with --net")
    return source, options, shape, num_classes


def _check_dataset(arguments, header):
    """Raise for a model of another dataset, before anybody looks for the files of this one."""
    from xnornet import data
    from xnornet.data.preprocessing import class_names_of

    if arguments.dataset is None:
        return
    trained_on, names = header.get("dataset", arguments.dataset), class_names_of(header)
    known = trained_on in NETWORKS_OF
    if trained_on != arguments.dataset and (known or names != data.class_names(arguments.dataset)):
        raise UsageError(
            f"{arguments.model}: was trained on {trained_on}, not {arguments.dataset}; use it with its own "
            f"{'dataset' if known else 'images, --images'}"
        )


def _check_fit(arguments, network, header, shape, dataset):
    from xnornet.data.dataset import FULL_SCALE
    from xnornet.data.preprocessing import class_names_of, preprocessing_of

    if tuple(shape) != tuple(dataset.input_shape):
        raise UsageError(
            f"{arguments.model}: {network} takes images of shape {tuple(shape)}; those of "
            f"{dataset.name} are {tuple(dataset.input_shape)}. Use it with its own dataset"
        )
    recorded = header.get("preprocessing", {}).get("full_scale", FULL_SCALE)
    if recorded != preprocessing_of(dataset)["full_scale"]:
        raise UsageError(
            f"{arguments.model}: was trained on {'real numbers' if recorded is None else 'pixels'}, and "
            f"{dataset.name} is none; give images of the same kind"
        )
    published = dataset.name in NETWORKS_OF and dataset.name == header.get("dataset")
    names = None if published else class_names_of(header)
    if names is not None and names != tuple(dataset.class_names):
        raise UsageError(
            f"{arguments.model}: has the classes {', '.join(names)}; those of {dataset.name} are "
            f"{', '.join(dataset.class_names)}. Use it with its own dataset"
        )
