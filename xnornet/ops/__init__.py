"""The expressions an XNOR-Net adds to an ordinary one: signs with a gradient, their products and scales.

Letters are those of Rastegari et al., XNOR-Net, arXiv 1603.05279.
"""

import xnornet.versions  # noqa: F401  # isort: skip  (before anything imports Numba)

from xnornet.ops.convolution import computed_by, convolve_signs, gradients_in, multiply_signs
from xnornet.ops.expressions import alpha, beta, binarize, box_sum, channel_mean, pad_widths
from xnornet.ops.native import instruction_set, prepare_updates, takes_product
from xnornet.ops.plain import Geometry, takes_convolution
from xnornet.ops.scaling import scale
from xnornet.ops.updates import Adam

__all__ = [
    "Adam",
    "Geometry",
    "alpha",
    "beta",
    "binarize",
    "box_sum",
    "channel_mean",
    "computed_by",
    "convolve_signs",
    "gradients_in",
    "instruction_set",
    "multiply_signs",
    "pad_widths",
    "prepare_updates",
    "scale",
    "takes_convolution",
    "takes_product",
]
