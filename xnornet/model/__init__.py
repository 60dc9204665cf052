"""Files of training weights, and how the images of a model were prepared."""

from xnornet.model.preprocessing import load_whitening, preprocessing_of, save_whitening, whitening_path
from xnornet.model.weights import header_path, load_header, load_weights, read_arrays, save_weights

__all__ = [
    "header_path",
    "load_header",
    "load_weights",
    "load_whitening",
    "preprocessing_of",
    "read_arrays",
    "save_weights",
    "save_whitening",
    "whitening_path",
]
