"""The integer engine: packed models run on bits, equal to the simulation bit for bit.

It imports neither Theano nor Lasagne nor JAX. How the arithmetic and the file work is told in
``docs/engine.md``.
"""

import xnornet.versions  # noqa: F401  # isort: skip  (before anything imports Numba)

from xnornet.engine.engine import Engine, load

__all__ = ["Engine", "load"]
