"""Prints the instruction set of the kernels, and checksums of what they compute of some layers.

All machines print the same checksums. It needs NumPy, Numba and Hypothesis only, so that an emulated one can
run it: JAX and Theano, which do nothing here but hand arrays over, are replaced.
"""

import hashlib
import itertools
import sys
from pathlib import Path
from types import ModuleType
from unittest.mock import MagicMock

import numpy as np

ROOT = Path(__file__).resolve().parents[2]


class Shape:
    def __init__(self, shape, dtype):
        self.shape, self.dtype = tuple(shape), np.dtype(dtype)


jax = MagicMock(ShapeDtypeStruct=Shape, numpy=np)
packages = ["theano", "theano.compile", "theano.compile.translation"]
packages += ["theano.tensor", "theano.tensor.nnet", "theano.tensor.nnet.abstract_conv"]
sys.modules |= {"jax": jax, "jax.ffi": jax.ffi, "jax.numpy": np} | dict.fromkeys(packages, MagicMock())
sys.path[:0] = [str(ROOT), str(ROOT / "tests/strategies")]
# Without what else belongs to the package.
sys.modules["xnornet.ops"] = ops = ModuleType("xnornet.ops")
ops.__path__ = [str(ROOT / "xnornet/ops")]
# One device computes all.
sys.modules["xnornet.ops.shares"] = shares = ModuleType("xnornet.ops.shares")
shares.count_shares = lambda: 1
shares.on_shares = lambda compute, arrays, axes, result_axis: compute(*arrays)
shares.padded_to = lambda array, axis, multiple: array

from direct_calls import direct_call  # noqa: E402
from sign_products import GRADIENTS, Convolution, Product  # noqa: E402

from xnornet import vectors  # noqa: E402
from xnornet.ops import custom_calls, native  # noqa: E402

CASES = [
    Convolution((3, 5, 7, 65), (67, 65, 3, 3), ((1, 0), (0, 2))),
    Convolution((1, 8, 8, 200), (140, 200, 3, 3), ((1, 1), (1, 1)), flip=False),
    Convolution((1, 4, 4, 64), (32, 64, 5, 5), ((2, 2), (2, 2))),
    Product(5, 5000, 70),
    Product(100, 130, 300),
    Product(30, 68, 128),
]


def compute(case, H, B, g):
    """The product and both gradients."""
    if isinstance(case, Product):
        return native.multiply(H, B), native.row_gradient(g, B), native.matrix_gradient(H, g)
    return (
        native.convolve(H, B, case.pad, case.flip),
        native.image_gradient(g, B, case.images, case.pad, case.flip),
        native.filter_gradient(H, g, case.filters, case.pad, case.flip),
    )


custom_calls.CustomCall.__call__ = direct_call()
print(vectors.instruction_set())
for case, kind in itertools.product(CASES, ("normal", "of all magnitudes")):
    H, B = case.draw_signs()
    g = GRADIENTS[kind](np.random.default_rng(1), case.output).astype(np.float32)
    found = compute(case, H, B, g)
    assert (found[0] == case.forward(H, B)).all()
    print(hashlib.sha256(b"".join(np.asarray(a).tobytes() for a in found)).hexdigest())
p, m, v, g = np.abs(np.random.default_rng(2).normal(size=(4, 70, 90))).astype(np.float32)
numbers = np.array([0.1, 0.01, 0.9, 0.1, 0.999, 0.001, 1e-8, 1], np.float32)
found = [*native.adam(p, m, v, g, numbers), *(native.mean_magnitude(p, axis) for axis in (0, 1))]
print(hashlib.sha256(b"".join(np.asarray(a).tobytes() for a in found)).hexdigest())
S, K = np.arange(-420, 420, dtype=np.int16).reshape(2, 3, 2, 70), numbers[:6].reshape(1, 3, 2)
found = native.scale_gradients(S, np.repeat(K, 2, 0), p[0, :70], np.tile(m[0, :70], (2, 3, 2, 1)))
print(hashlib.sha256(b"".join(np.asarray(a).tobytes() for a in found)).hexdigest())
