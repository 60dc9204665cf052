"""Products of signs on a GPU against loops; a program, as JAX chooses its device when it starts.

It prints the largest error of the gradients of each case, in parts of the largest value.
"""

import os
import sys
from pathlib import Path

import numpy as np

sys.path[:0] = [
    str(folder) for folder in (Path(__file__).parents[2], Path(__file__).parents[1] / "strategies")
]
os.environ["THEANO_FLAGS"] = "device=cuda"

from sign_products import Convolution, Product  # noqa: E402

import theano  # noqa: E402
import theano.tensor as T  # noqa: E402
from xnornet import ops  # noqa: E402

CASES = [
    Convolution((4, 16, 16, 128), (64, 128, 3, 3), ((1, 1), (1, 1))),
    Convolution((3, 8, 9, 32), (96, 32, 5, 5), ((2, 2), (2, 2)), flip=False),
    Convolution((2, 9, 8, 5), (7, 5, 3, 3), ((1, 0), (0, 2))),
    Convolution((2, 9, 8, 16), (32, 16, 3, 3), ((1, 1), (1, 1)), stride=(2, 2)),
    Convolution((2, 5, 4, 16), (16, 16, 3, 3), ((4, 3), (0, 1))),
    Convolution((2, 9, 8, 32), (64, 32, 3, 3), ((2, 2), (2, 2)), dilation=(2, 2)),
    Convolution((2, 9, 8, 32), (64, 16, 3, 3), ((1, 1), (1, 1)), groups=2),
    Convolution((2, 9, 8, 32), (32, 1, 3, 3), ((1, 1), (1, 1)), stride=(2, 2), groups=32),
    Product(50, 784, 1024),
    Product(7, 65, 10),
]


def main():
    for case in CASES:
        print(f"{check(case, np.float32):.1e} {check(case, np.float64):.1e} {case}")


def check(case, dtype):
    """Largest error of both gradients; forward there must be none."""
    H, B = case.draw_signs()
    g = np.random.default_rng(1).normal(size=case.output).astype(dtype)
    axes = (0, 3, 1, 2) if isinstance(case, Convolution) else (0, 1)
    x, w, gradient = (T.TensorType(np.dtype(dtype).name, (None,) * len(axes))() for _ in range(3))
    if isinstance(case, Convolution):
        geometry = ops.Geometry(case.pad, case.stride, case.dilation, case.groups, case.flip)
        out = ops.convolve_signs(x, w, geometry)
    else:
        out = ops.multiply_signs(x, w)
    function = theano.function([x, w, gradient], [out, *theano.grad((out * gradient).sum(), [x, w])])
    out, left, right = function(H.astype(dtype).transpose(axes), B.astype(dtype), g.transpose(axes))
    np.testing.assert_array_equal(out, case.forward(H, B).transpose(axes))
    expected = case.left_gradient(g, B).transpose(axes), case.right_gradient(H, g)
    return max(np.abs(a - b).max() / np.abs(b).max() for a, b in zip((left, right), expected, strict=True))


if __name__ == "__main__":
    main()
