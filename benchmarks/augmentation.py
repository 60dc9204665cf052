"""Time of a training step with and without augmentation, in turns, on random images.

python benchmarks/augmentation.py [--width W] [--batch-size N] [--steps N] [--json]
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
from xnornet.data.dataset import Dataset, Pixels, Split  # noqa: E402
from xnornet.training import RECIPES  # noqa: E402
from xnornet.training.augmentation import AUGMENTATIONS  # noqa: E402
from xnornet.training.steps import Steps  # noqa: E402

IMAGES = 5000


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--width", type=float, default=0.25, help="of cifar10_convnet")
    parser.add_argument("--batch-size", type=int, default=50)
    parser.add_argument("--steps", type=int, default=60, help="timed steps of each kind")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    arguments = parser.parse_args()
    theano.config.set_defaults(floatX="float32")
    result = measure(arguments.width, arguments.batch_size, arguments.steps)
    if arguments.json:
        print(json.dumps(result))
        return
    print(
        f"cifar10_convnet of width {arguments.width:g}, batch {arguments.batch_size}, median of "
        f"{arguments.steps} steps each, in turns"
    )
    print(*lines(result, "augmented", "plain"), sep="\n")


def measure(width, batch_size, count):
    """Median times in milliseconds, and their ratio."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (IMAGES, 3, 32, 32)).astype(np.uint8)
    split = Split(Pixels(pixels), rng.integers(0, 10, IMAGES).astype(np.int32))
    dataset = Dataset("cifar10", 10, split, split, split)
    augmentation = AUGMENTATIONS["cifar10"]
    kinds = {"plain": None, "augmented": augmentation}
    options, recipe = {"width": width}, RECIPES["cifar10_convnet"]
    steps = {name: Steps("cifar10_convnet", options, dataset, recipe, a) for name, a in kinds.items()}
    seconds = {name: [] for name in kinds}
    for turn in tqdm(range(-3, count), leave=False, disable=None):
        rows = rng.integers(0, IMAGES, batch_size)
        draws = augmentation.draw(rng, batch_size, (32, 32))
        for name in kinds:
            begun = time.perf_counter()
            steps[name].step(rows, *([draws] if kinds[name] else []))
            if turn >= 0:
                seconds[name].append(time.perf_counter() - begun)
    return compared(seconds, "augmented", "plain")


if __name__ == "__main__":
    main()
