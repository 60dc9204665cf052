"""To graphs and back: Lasagne layers, merging, calibration, unpacking, files of theano-xnor-net."""

from xnornet.graph import Formats
from xnornet.quantization.ancestor import import_ancestor
from xnornet.quantization.calibration import calibrate, quantize
from xnornet.quantization.layers import to_graph
from xnornet.quantization.merging import real_graph
from xnornet.quantization.unpacking import unpack

__all__ = ["Formats", "calibrate", "import_ancestor", "real_graph", "quantize", "to_graph", "unpack"]
