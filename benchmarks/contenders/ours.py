"""Our own engine: integers on packed bits, read from a packed model's file.

``ours_unscaled.py`` runs the same networks without ``scale_inputs``.
"""

import importlib.metadata
import sys
import warnings
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2]))

from stopwatch import compete  # noqa: E402

from xnornet import __version__  # noqa: E402
from xnornet.engine import Engine  # noqa: E402
from xnornet.model import load_packed, save_packed  # noqa: E402

__all__ = ["VERSION", "load", "prepare"]

VERSION = f"xnornet {__version__} (numba {importlib.metadata.version('numba')})"


def prepare(work, batch, path, scale_inputs=True):
    warnings.filterwarnings("ignore", message="pkg_resources is deprecated")
    import lasagne
    import numpy as np

    from xnornet.inference import quantize

    lasagne.random.set_rng(np.random.RandomState(0))
    images = np.random.default_rng(2).uniform(-1, 1, (4, *work.input_shape)).astype(np.float32)
    save_packed(path, quantize(_network(work, scale_inputs), images), {})


def _network(work, scale_inputs):
    """The network that ships, or one convolution behind the input."""
    import lasagne

    from xnornet.layers import XNORConv2DLayer
    from xnornet.networks import cifar10_convnet

    if len(work.layers) > 1:
        return cifar10_convnet(scale_inputs=scale_inputs)
    layer = lasagne.layers.InputLayer((None, *work.input_shape))
    filters = work.layers[0].outputs
    layer = XNORConv2DLayer(layer, filters, 3, pad=1, scale_inputs=scale_inputs, nonlinearity=None)
    return lasagne.layers.FlattenLayer(layer)


def load(work, path, threads, images):
    model, _ = load_packed(path)
    return _runner(Engine(model, threads), images)


def _runner(engine, images):
    """What is timed: of a single convolution, quantizing its input and flattening its output as well."""
    out = engine.run(images)
    return lambda: engine.run(images, out)


if __name__ == "__main__":
    compete(prepare, load, VERSION)
