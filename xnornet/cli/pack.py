"""The command that packs."""

import json
from pathlib import Path

from xnornet.cli.models import (
    CALIBRATION_IMAGES,
    add_format_options,
    add_net_option,
    formats_of,
    load_model,
    quantized,
)
from xnornet.cli.options import NETWORKS_OF, UsageError, add_data_option, positive

__all__ = ["add_pack"]


def add_pack(command):
    """Pack trained weights: signs as bits, all else as integers, in one file that the engine runs."""
    add = command.add_argument
    add("--model", type=Path, required=True, metavar="FILE.npz", help="weights, as training saves them")
    add(
        "--calibrate",
        dest="dataset",
        required=True,
        choices=sorted(NETWORKS_OF),
        help="dataset on whose training images the integer bits of data are chosen",
    )
    add("--out", type=Path, required=True, metavar="FILE.npz", help="packed model to write")
    add(
        "--images",
        type=positive(int),
        default=CALIBRATION_IMAGES,
        metavar="N",
        help="training images to calibrate on",
    )
    add("--json", action="store_true", help="print one JSON object instead of a sentence")
    add_net_option(command, sum(NETWORKS_OF.values(), ()))
    add_format_options(command)
    add_data_option(command)
    command.set_defaults(command=_pack, interrupted="interrupted; nothing was written")


def _pack(arguments, log, started):
    from dataclasses import asdict

    from xnornet import __version__
    from xnornet.model import save_packed, save_whitening

    if arguments.out.resolve() == arguments.model.resolve():
        raise UsageError(f"--out {arguments.out}: is the file of weights itself; choose another name")
    loaded = load_model(arguments, log)
    if loaded.packed is not None:
        raise UsageError(f"{arguments.model}: is packed already; pack the weights that training saved")
    images = loaded.dataset.train.images[: arguments.images]
    model = quantized(arguments, loaded, images)
    info = {
        **loaded.header,
        "network": loaded.network,
        "dataset": loaded.dataset.name,
        "packed": {"version": __version__, "images": len(images), "formats": asdict(formats_of(arguments))},
    }
    save_packed(arguments.out, model, info)
    if loaded.dataset.whitening is not None:
        save_whitening(arguments.out, loaded.dataset.whitening)
    sizes = {"float": arguments.model.stat().st_size, "packed": arguments.out.stat().st_size}
    ratio = sizes["float"] / sizes["packed"]
    if arguments.json:
        log(
            json.dumps({"out": str(arguments.out), "network": loaded.network, "bytes": sizes, "ratio": ratio})
        )
    else:
        log(
            f"packed {arguments.out}: {loaded.network}, {sizes['packed'] / 1e6:.2f} MB, 1/{ratio:.1f} of the "
            f"{sizes['float'] / 1e6:.2f} MB of {arguments.model}"
        )
    return 0
