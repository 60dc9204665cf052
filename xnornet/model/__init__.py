"""Models apart from any network library: files of training weights, and fixed-point networks as records."""

from xnornet.model.ancestor import Ancestor, recognise
from xnornet.model.checks import check_model
from xnornet.model.preprocessing import load_whitening, preprocessing_of, save_whitening, whitening_path
from xnornet.model.quantized import (
    XNOR,
    Affine,
    Flatten,
    Linear,
    MaxPool,
    Quantize,
    QuantizedModel,
    Rectify,
    Window,
)
from xnornet.model.shapes import output_shape, output_shapes
from xnornet.model.signs import Signs
from xnornet.model.weights import (
    ModelError,
    WriteError,
    header_path,
    load_header,
    load_weights,
    read_array_headers,
    read_arrays,
    save_header,
    save_weights,
    write_atomically,
)

__all__ = [
    "XNOR",
    "Affine",
    "Ancestor",
    "Flatten",
    "Linear",
    "MaxPool",
    "ModelError",
    "Quantize",
    "QuantizedModel",
    "Rectify",
    "Signs",
    "Window",
    "WriteError",
    "check_model",
    "header_path",
    "load_header",
    "load_weights",
    "load_whitening",
    "output_shape",
    "output_shapes",
    "preprocessing_of",
    "read_array_headers",
    "read_arrays",
    "recognise",
    "save_header",
    "save_weights",
    "save_whitening",
    "whitening_path",
    "write_atomically",
]
