"""Train XNOR-Nets in Lasagne, check them in fixed point, ship them as bits.

Import what you need: ``xnornet.layers`` for nets of your own, ``xnornet.networks`` for ours. This module
imports nothing, so that integer inference never loads the training stack.
"""

__all__ = ["__version__"]

__version__ = "0.1.0"
