"""Training on images that stay on disk: time of a step against images in memory, and memory of a whole run.

python benchmarks/streaming.py [--width W] [--batch-size N] [--steps N] [--no-augment]
                               [--gigabytes G [--folder DIR]] [--json]

Steps of both kinds are timed in turns, on the same rows, and must give the same losses. With ``--gigabytes``
an ``.npz`` file of that size is made in a temporary folder (few images, repeated) and deleted in the end; a
process of its own trains a small network on it for one epoch, and tests it.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
import warnings
import zipfile
from pathlib import Path

import numpy as np
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
warnings.filterwarnings("ignore", message="pkg_resources is deprecated")

from lasagne.layers import Conv2DLayer, DenseLayer, InputLayer  # noqa: E402
from memory import resident  # noqa: E402
from paired import compared, lines  # noqa: E402

import theano  # noqa: E402
from xnornet.archives import write_rows  # noqa: E402
from xnornet.data.arrays import load_npz  # noqa: E402
from xnornet.data.dataset import Dataset, Pixels, Split  # noqa: E402
from xnornet.data.stored import Stored, is_stored  # noqa: E402
from xnornet.layers import BatchNormLayer, XNORDenseLayer  # noqa: E402
from xnornet.training import RECIPES, Recipe, train  # noqa: E402
from xnornet.training.augmentation import AUGMENTATIONS  # noqa: E402
from xnornet.training.steps import Steps  # noqa: E402

IMAGES = 5000
CLASSES = 10
# Of the images of a whole run.
SHAPE = (3, 128, 128)
BLOCK = 1000


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--width", type=float, default=0.25, help="of cifar10_convnet")
    parser.add_argument("--batch-size", type=int, default=50)
    parser.add_argument("--steps", type=int, default=60, help="timed steps of each kind")
    parser.add_argument("--no-augment", dest="augment", action="store_false")
    parser.add_argument("--gigabytes", type=float, help="size of the images of a whole run")
    parser.add_argument("--folder", help="where they are put (default: the system's for temporary files)")
    parser.add_argument("--whole-run", metavar="FILE.npz", help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    arguments = parser.parse_args()
    theano.config.set_defaults(floatX="float32")
    if arguments.whole_run:
        print(json.dumps(whole_run(Path(arguments.whole_run))))
        return
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        result = measure(folder, arguments.width, arguments.batch_size, arguments.steps, arguments.augment)
        if arguments.gigabytes:
            result["whole_run"] = in_a_process(write_images(Path(folder), arguments.gigabytes))
    print(json.dumps(result) if arguments.json else _table(arguments, result))


def measure(folder, width, batch_size, count, augment=True):
    """Median times in milliseconds, and their ratio."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (IMAGES, 3, 32, 32)).astype(np.uint8)
    labels = rng.integers(0, CLASSES, IMAGES).astype(np.int32)
    np.savez(Path(folder) / "pixels.npz", pixels=pixels)
    images = {"memory": pixels, "disk": Stored(Path(folder) / "pixels.npz", "pixels")}
    augmentation = AUGMENTATIONS["cifar10"] if augment else None
    recipe, steps = RECIPES["cifar10_convnet"], {}
    batches = [rng.permutation(IMAGES)[:batch_size] for _ in range(count + 3)]
    for name, own in images.items():
        split = Split(Pixels(own), labels)
        dataset = Dataset("cifar10", CLASSES, split, split, split)
        steps[name] = Steps("cifar10_convnet", {"width": width}, dataset, recipe, augmentation)
        steps[name].set_lr(recipe.lr)
        steps[name].expect(np.array(batches))
    seconds, losses = {name: [] for name in images}, {name: [] for name in images}
    for turn, rows in enumerate(tqdm(batches, leave=False, disable=None)):
        draws = [augmentation.draw(rng, batch_size, (32, 32))] if augment else []
        # Each kind is the first in every other turn.
        for name in sorted(images, reverse=bool(turn % 2)):
            begun = time.perf_counter()
            losses[name].append(steps[name].step(rows, *draws)[0])
            if turn >= 3:
                seconds[name].append(time.perf_counter() - begun)
    result = compared(seconds, "disk", "memory")
    result["same_losses"] = losses["disk"] == losses["memory"]
    return result


def write_images(folder, gigabytes):
    """An ``.npz`` file of the given gigabytes of images, a tenth of them for the test."""
    rng = np.random.default_rng(0)
    block = rng.integers(0, 256, (BLOCK, *SHAPE)).astype(np.uint8)
    path = folder / "images.npz"
    with zipfile.ZipFile(path, "w") as archive:
        for split, share in (("train", 0.9), ("test", 0.1)):
            blocks = max(1, round(share * gigabytes * 1e9 / block.nbytes))
            labels = np.arange(blocks * BLOCK) % CLASSES
            shape = (len(labels), *SHAPE)
            write_rows(archive, f"X_{split}", shape, block.dtype, (block for _ in range(blocks)))
            write_rows(archive, f"y_{split}", labels.shape, labels.dtype, [labels])
    return path


def in_a_process(path):
    command = [sys.executable, __file__, "--whole-run", str(path)]
    printed = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    return json.loads(printed.splitlines()[-1])


def whole_run(path):
    """Train on a file for one epoch; bytes of memory before and at most."""
    before = resident("VmRSS")
    begun, dataset = time.perf_counter(), load_npz(path)
    rows = []
    recipe = Recipe(1, 100, 0.01, 0.01)
    train(_small, dataset, path.with_name("small.npz"), recipe, report=_to_stderr, on_epoch=rows.append)
    return {
        "images_bytes": sum(
            split.images.bytes.nbytes for split in (dataset.train, dataset.valid, dataset.test)
        ),
        "on_disk": is_stored(dataset.train.images),
        "images": sum(map(len, (dataset.train, dataset.valid, dataset.test))),
        "imports_bytes": before,
        "peak_bytes": resident("VmHWM"),
        "seconds": time.perf_counter() - begun,
        "images_per_second": rows[0]["images_per_second"],
    }


def _to_stderr(line):
    print(line, file=sys.stderr)


def _small(input_var, input_shape, num_classes):
    """A network so small that memory is that of the images."""
    net = InputLayer((None, *input_shape), input_var)
    net = BatchNormLayer(Conv2DLayer(net, 4, 8, stride=8, nonlinearity=None))
    net = BatchNormLayer(XNORDenseLayer(net, 32))
    return DenseLayer(net, num_classes, nonlinearity=None)


def _table(arguments, result):
    same = "are the same" if result["same_losses"] else "DIFFER"
    *kinds, ratios = lines(result, "disk", "memory")
    table = [
        f"cifar10_convnet of width {arguments.width:g}, batch {arguments.batch_size}, median of "
        f"{arguments.steps} steps each, in turns",
        *kinds,
        f"{ratios}; losses {same}",
    ]
    if run := result.get("whole_run"):
        place = "on disk" if run["on_disk"] else "in memory"
        table.append(
            f"{run['images']} images, {run['images_bytes'] / 1e9:.2f} GB, {place}: an epoch and a test in "
            f"{run['seconds']:.0f} s; peak memory of the whole process {run['peak_bytes'] / 1e9:.2f} GB, of "
            f"which {run['imports_bytes'] / 1e9:.2f} GB its imports"
        )
    return "\n".join(table)


if __name__ == "__main__":
    main()
