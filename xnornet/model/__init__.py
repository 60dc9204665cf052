"""Files of training weights, ours and the ancestor's, and how the images of a model were prepared."""

from xnornet.model.ancestor import Ancestor, recognise
from xnornet.model.preprocessing import load_whitening, preprocessing_of, save_whitening, whitening_path
from xnornet.model.weights import header_path, load_header, load_weights, read_arrays, save_weights

__all__ = [
    "Ancestor",
    "header_path",
    "load_header",
    "load_weights",
    "load_whitening",
    "preprocessing_of",
    "read_arrays",
    "recognise",
    "save_weights",
    "save_whitening",
    "whitening_path",
]
