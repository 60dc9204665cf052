"""Linear algebra of NumPy: PyTensor's functions, and those that it moved or removed."""

from pytensor.tensor.basic import diag

__all__ = ["alloc_diag", "diag", "extract_diag"]

# One function does both: it makes a matrix from a vector, and extracts the diagonal of a matrix.
alloc_diag = extract_diag = diag
