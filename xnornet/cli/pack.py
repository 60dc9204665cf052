"""The command that packs."""

import json
from pathlib import Path

from xnornet.catalog import NETWORKS_OF
from xnornet.cli.datasets import add_dataset_options
from xnornet.cli.models import (
    CALIBRATION_IMAGES,
    add_batch_size_option,
    add_format_options,
    add_net_option,
    formats_of,
    load_model,
    quantized,
)
from xnornet.cli.options import check_out_file, positive
from xnornet.errors import ModelError, UsageError

__all__ = ["add_pack"]


def add_pack(command):
    """Pack trained weights: signs as bits, all else as integers, in one file that the engine runs."""
    add = command.add_argument
    add("--model", type=Path, required=True, metavar="FILE.npz", help="weights, as training saves them")
    add(
        "--calibrate",
        dest="dataset",
        choices=sorted(NETWORKS_OF),
        help="dataset whose training images choose the integer bits of data (or your own: --images)",
    )
    add("--out", type=Path, required=True, metavar="FILE.npz", help="packed model to write")
    add(
        "--calibration-images",
        type=positive(int),
        default=CALIBRATION_IMAGES,
        metavar="N",
        help="number of training images to calibrate on, or all if there are fewer",
    )
    add("--json", action="store_true", help="print one JSON object instead of a sentence")
    add_net_option(command)
    add_batch_size_option(command)
    add_format_options(command)
    add_dataset_options(command)
    command.set_defaults(command=_pack, interrupted="interrupted; there is no new packed model")


def _pack(arguments, log, started):
    from dataclasses import asdict

    from xnornet import __version__
    from xnornet.archives import read_array_headers
    from xnornet.data import preprocessing_of, save_whitening
    from xnornet.engine.plan import Plan
    from xnornet.graph import is_packed, save_packed

    if is_packed(arguments.model):
        raise UsageError(f"{arguments.model}: is packed already; pack the weights that training saved")
    read_array_headers(arguments.model)
    check_out_file(arguments, ".npz")
    if arguments.out.exists() and not is_packed(arguments.out):
        raise UsageError(
            f"--out {arguments.out}: is there, and is no packed model; delete it, or choose another name"
        )
    loaded = load_model(arguments, log)
    images = loaded.dataset.train.images[: arguments.calibration_images]
    model = quantized(arguments, loaded, images)
    try:
        Plan(model, threads=1)
    except ModelError as error:
        raise UsageError(f"{arguments.model}: the packed engine cannot run it: {error}") from error
    # Where the network's file lay is of no use to those who get the model.
    header = {name: value for name, value in loaded.header.items() if name != "network_path"}
    info = {
        **header,
        "network": loaded.network,
        "dataset": loaded.dataset.name,
        "class_names": list(loaded.dataset.class_names),
        "preprocessing": preprocessing_of(loaded.dataset),
        "packed": {"version": __version__, "images": len(images), "formats": asdict(formats_of(arguments))},
    }
    # A packed model without its whitening could not be used; a whitening without a model does no harm.
    if loaded.dataset.whitening is not None:
        save_whitening(arguments.out, loaded.dataset.whitening)
    save_packed(arguments.out, model, info)
    result = _result(arguments, loaded, len(images))
    log(json.dumps(result) if arguments.json else _sentence(result))
    return 0


def _result(arguments, loaded, images):
    from xnornet.data import whitening_path

    sizes = {"float": arguments.model.stat().st_size, "packed": arguments.out.stat().st_size}
    whitened = loaded.dataset.whitening is not None
    return {
        "out": str(arguments.out),
        "whitening": str(whitening_path(arguments.out)) if whitened else None,
        "model": str(arguments.model),
        "network": loaded.network,
        "dataset": loaded.dataset.name,
        "images": images,
        "bytes": sizes,
        "ratio": sizes["float"] / sizes["packed"],
    }


def _sentence(result):
    packed, weights = (f"{result['bytes'][kind] / 1e6:.3g} MB" for kind in ("packed", "float"))
    beside = f"; {result['whitening']} goes with it" if result["whitening"] else ""
    return (
        f"packed {result['out']}: {result['network']}, {packed}, 1/{result['ratio']:.1f} of the {weights} of "
        f"{result['model']}{beside}"
    )
