"""Our own training step, as ``xnornet.training`` runs it: a network of Lasagne layers, compiled by JAX.

The images lie on the device, CIFAR-10's as bytes, and a step sends rows. It counts errors besides the loss.
"""

import importlib.metadata
import warnings

warnings.filterwarnings("ignore", message="pkg_resources is deprecated")

import jax  # noqa: E402
from laps import compete  # noqa: E402
from nets import CLASSES, RATE, scaled  # noqa: E402

import theano  # noqa: E402
from xnornet import __version__  # noqa: E402
from xnornet.data.dataset import Dataset, Pixels, Split  # noqa: E402
from xnornet.ops import instruction_set  # noqa: E402
from xnornet.training import Recipe  # noqa: E402
from xnornet.training.steps import Steps  # noqa: E402
from xnornet.xla_programs import keep_programs  # noqa: E402

__all__ = ["VARIANTS", "build", "load"]

theano.config.set_defaults(floatX="float32")

VERSION = f"xnornet {__version__} (kernels for {instruction_set()}; jax {importlib.metadata.version('jax')})"
# Options of Steps.
VARIANTS = {"default": {}, "float32": {"gradients": "float32"}}


def load(task):
    keep_programs()
    is_mlp = task.network == "mnist_mlp"
    options = {"num_units": scaled(4096, task.width)} if is_mlp else {"width": task.width}
    steps = build(task.network, options, task.images, task.labels, **VARIANTS[task.variant])

    def run(batches):
        size = steps.steps_per_call(len(batches))
        for first in range(0, len(batches), size):
            losses, _ = steps.steps(batches[first : first + size])
        return losses[-1]

    return run


def build(network, options, images, labels, **choices):
    """Steps on images of bytes; the network has ``K``, as the other trainers' have.

    Returns
    -------
    xnornet.training.steps.Steps
    """
    split = Split(Pixels(images), labels)
    options = {"scale_inputs": True, **options}
    recipe = Recipe(epochs=1, batch_size=1, lr=RATE, lr_end=RATE, **choices)
    steps = Steps(network, options, Dataset("random", CLASSES, split, split, split), recipe)
    steps.set_lr(RATE)
    return steps


def peak():
    return jax.devices()[0].memory_stats()["peak_bytes_in_use"]


if __name__ == "__main__":
    compete(load, VERSION, VARIANTS, peak)
