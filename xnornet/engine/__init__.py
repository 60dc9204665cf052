"""The integer engine: packed models run on bits, equal to the simulation bit for bit.

It imports neither Theano nor Lasagne nor JAX. ``docs/concepts/engine.md`` explains how it works, and
``docs/reference/packed_file.md`` describes the file.
"""

import xnornet.versions  # noqa: F401  # isort: skip  (before anything imports Numba)

from xnornet.engine.engine import Engine, load

__all__ = ["Engine", "load"]
