"""Our own engine: integers on packed bits, read from a packed model's file.

A single convolution is timed as it runs within a network: its kernel alone, from packed signs and sums of
magnitudes to 16-bit integers. ``ours_from_floats.py`` times the whole call, ``ours_unscaled.py`` the same
without ``scale_inputs``. Memory is measured once the kernels are loaded, which Numba does at their first
call and other contenders when they are imported.
"""

import importlib.metadata
import sys
import warnings
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2]))

from stopwatch import compete  # noqa: E402

from xnornet import __version__  # noqa: E402
from xnornet.engine import load as load_engine  # noqa: E402

__all__ = ["VERSION", "load", "load_whole", "prepare", "warm"]

VERSION = f"xnornet {__version__} (numba {importlib.metadata.version('numba')})"


def prepare(work, batch, path, scale_inputs=True):
    warnings.filterwarnings("ignore", message="pkg_resources is deprecated")
    from xnornet.networks import cifar10_convnet

    if len(work.layers) > 1:
        _pack(cifar10_convnet(scale_inputs=scale_inputs), path)
    else:
        _pack(_convolution(work, scale_inputs), path)
    _pack(cifar10_convnet(width=1 / 64, scale_inputs=scale_inputs), _tiny(path))


def _pack(network, path):
    import lasagne
    import numpy as np

    from xnornet.graph import save_packed
    from xnornet.quantization import quantize

    shape = lasagne.layers.get_all_layers(network)[0].shape[1:]
    images = np.random.default_rng(2).uniform(-1, 1, (4, *shape)).astype(np.float32)
    save_packed(path, quantize(network, images), {})


def _convolution(work, scale_inputs):
    import lasagne

    from xnornet.layers import XNORConv2DLayer

    layer = lasagne.layers.InputLayer((None, *work.input_shape))
    filters = work.layers[0].outputs
    layer = XNORConv2DLayer(layer, filters, 3, pad=1, scale_inputs=scale_inputs, nonlinearity=None)
    return lasagne.layers.FlattenLayer(layer)


def _tiny(path):
    return path.with_suffix(".tiny")


def warm(path):
    import numpy as np

    engine = load_engine(_tiny(path))
    engine.run(np.zeros((1, *engine.input_shape), np.float32))


def load(work, path, threads, images):
    if len(work.layers) > 1:
        return load_whole(work, path, threads, images)
    engine = load_engine(path, threads, batch_size=len(images))
    (convolution,) = (run for name, run in engine.calls(images) if name in ("xnor", "xnor_wide"))
    return convolution


def load_whole(work, path, threads, images):
    engine = load_engine(path, threads)
    out = engine.run(images)
    return lambda: engine.run(images, out)


if __name__ == "__main__":
    compete(prepare, load, VERSION, warm)
