"""Train XNOR-Nets in Lasagne, check them in fixed point, ship them as bits.

The functions here train a network on images, and take it to a graph in integers, its scores and its file.
Layers for nets of your own are in ``xnornet.layers``, our networks in ``xnornet.networks``, the integer
engine in ``xnornet.engine``. A function is imported when it is first used, so that integer inference never
loads the training stack.
"""

from importlib import import_module

__all__ = [
    "Dataset",
    "Recipe",
    "__version__",
    "from_pytorch",
    "load_packed",
    "quantize",
    "save_packed",
    "simulate",
    "summarize",
    "train",
]

__version__ = "1.0.0"

_ROOMS = {
    "Dataset": "xnornet.data",
    "Recipe": "xnornet.training",
    "from_pytorch": "xnornet.networks",
    "load_packed": "xnornet.graph",
    "quantize": "xnornet.quantization",
    "save_packed": "xnornet.graph",
    "simulate": "xnornet.graph",
    "summarize": "xnornet.report",
    "train": "xnornet.training",
}


def __getattr__(name):
    if name not in _ROOMS:
        raise AttributeError(f"module 'xnornet' has no attribute {name!r}")
    return getattr(import_module(_ROOMS[name]), name)


def __dir__():
    return [*globals(), *_ROOMS]
