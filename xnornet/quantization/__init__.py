"""From Lasagne networks to graphs, and back: the list of layers, calibration, unpacking."""

from xnornet.graph import Formats
from xnornet.quantization.calibration import calibrate, quantize
from xnornet.quantization.layers import to_graph
from xnornet.quantization.unpacking import unpack

__all__ = ["Formats", "calibrate", "quantize", "to_graph", "unpack"]
