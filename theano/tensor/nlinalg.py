"""Linear algebra by NumPy's functions: PyTensor's, and what it has elsewhere or no more."""

from pytensor.tensor.basic import diag

__all__ = ["alloc_diag", "diag", "extract_diag"]

# One function serves for both: of a vector it makes a matrix, of a matrix it takes the diagonal.
alloc_diag = extract_diag = diag
