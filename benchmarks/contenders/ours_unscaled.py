"""Our own engine on networks without ``scale_inputs``: ``H (*) B * alpha + b``, without ``K``."""

from functools import partial

from ours import VERSION, load, prepare, warm
from stopwatch import compete

__all__ = []

if __name__ == "__main__":
    compete(partial(prepare, scale_inputs=False), load, VERSION, warm)
