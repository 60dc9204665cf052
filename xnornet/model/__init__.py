"""Models apart from any network library: training weights, fixed-point networks as records, packed files."""

from xnornet.model.ancestor import Ancestor, recognise
from xnornet.model.checks import check_model
from xnornet.model.packed import is_packed, load_packed, save_packed
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
    "is_packed",
    "load_header",
    "load_packed",
    "load_weights",
    "load_whitening",
    "output_shape",
    "output_shapes",
    "preprocessing_of",
    "read_array_headers",
    "read_arrays",
    "recognise",
    "save_packed",
    "save_weights",
    "save_whitening",
    "whitening_path",
    "write_atomically",
]
