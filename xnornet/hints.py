"""Names for type hints that several packages use. Importing it imports nothing else of the project."""

import os
from typing import Any, TypeAlias

__all__ = ["Array", "Namespace", "Shape", "StrPath"]

# An array of NumPy's or of JAX's.
Array: TypeAlias = Any

# The module that it belongs to: ``numpy`` or ``jax.numpy``.
Namespace: TypeAlias = Any

# Lengths of the axes, most often without the batch axis.
Shape: TypeAlias = tuple[int, ...]

StrPath: TypeAlias = str | os.PathLike[str]
