"""Time of a training step with and without augmentation, in turns, on random images.

python benchmarks/augmentation.py [NETWORK] [--set OPTION=VALUE] [--batch-size N] [--steps N] [--json]
"""

import argparse
import json
import sys
import time
import warnings
from pathlib import Path

import numpy as np
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
warnings.filterwarnings("ignore", message="pkg_resources is deprecated")

from paired import compared, lines  # noqa: E402

import theano  # noqa: E402
from xnornet import networks  # noqa: E402
from xnornet.catalog import DATASET_OF  # noqa: E402
from xnornet.cli.options import add_set_option, options_of  # noqa: E402
from xnornet.data.dataset import Dataset, Pixels, Split  # noqa: E402
from xnornet.training import RECIPES  # noqa: E402
from xnornet.training.augmentation import AUGMENTATIONS  # noqa: E402
from xnornet.training.steps import Steps  # noqa: E402

IMAGES = 5000


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("network", nargs="?", choices=RECIPES, default="cifar10_convnet")
    parser.add_argument("--batch-size", type=int, default=50)
    parser.add_argument("--steps", type=int, default=60, help="timed steps of each kind")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    add_set_option(parser)
    arguments = parser.parse_args()
    theano.config.set_defaults(floatX="float32")
    given = options_of(arguments)
    result = measure(arguments.network, given, arguments.batch_size, arguments.steps)
    if arguments.json:
        print(json.dumps(result))
        return
    named = " ".join([arguments.network, *(f"{name}={value}" for name, value in given.items())])
    print(f"{named}, batch {arguments.batch_size}, median of {arguments.steps} steps each, in turns")
    print(*lines(result, "augmented", "plain"), sep="\n")


def measure(network, options, batch_size, count):
    """Median times in milliseconds, and their ratio."""
    rng, name = np.random.default_rng(0), DATASET_OF[network]
    shape = networks.input_shape(networks.build(network))
    pixels = rng.integers(0, 256, (IMAGES, *shape)).astype(np.uint8)
    split = Split(Pixels(pixels), rng.integers(0, 10, IMAGES).astype(np.int32))
    dataset = Dataset(name, 10, split, split, split)
    augmentation = AUGMENTATIONS[name]
    kinds = {"plain": None, "augmented": augmentation}
    recipe = RECIPES[network]
    steps = {kind: Steps(network, options, dataset, recipe, a) for kind, a in kinds.items()}
    seconds = {kind: [] for kind in kinds}
    for turn in tqdm(range(-3, count), leave=False, disable=None):
        rows = rng.integers(0, IMAGES, batch_size)
        draws = augmentation.draw(rng, batch_size, shape[1:])
        for kind in kinds:
            begun = time.perf_counter()
            steps[kind].step(rows, *([draws] if kinds[kind] else []))
            if turn >= 0:
                seconds[kind].append(time.perf_counter() - begun)
    return compared(seconds, "augmented", "plain")


if __name__ == "__main__":
    main()
