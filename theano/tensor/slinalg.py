"""Linear algebra by SciPy's functions: PyTensor's, and two that it has under another name."""

from pytensor.tensor.linalg import solve_triangular

__all__ = ["solve_lower_triangular", "solve_upper_triangular"]


def solve_lower_triangular(a, b):
    """Solve ``a x = b``, where ``a`` is read on and below its diagonal."""
    return solve_triangular(a, b, lower=True, b_ndim=b.ndim)


def solve_upper_triangular(a, b):
    """Solve ``a x = b``, where ``a`` is read on and above its diagonal."""
    return solve_triangular(a, b, lower=False, b_ndim=b.ndim)
