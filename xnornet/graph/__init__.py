"""Networks as graphs of operations: what they compute, exactly, and the packed file that holds them.

Neither Theano nor Lasagne is imported, and JAX by the simulation only, when it runs.
"""

from xnornet.graph.affine import Affine
from xnornet.graph.branches import Add, Concatenate
from xnornet.graph.filters import XNOR, Linear
from xnornet.graph.formats import Formats
from xnornet.graph.graph import Graph, Node, check_graph
from xnornet.graph.nonlinearities import Clip, LeakyRectify, Rectify
from xnornet.graph.operation import Cost, Operation
from xnornet.graph.packed import is_packed, load_packed, save_packed
from xnornet.graph.pooling import AveragePool, MaxPool
from xnornet.graph.quantizing import Quantize, Requantize
from xnornet.graph.scaled_bias import ScaledBias
from xnornet.graph.shaping import Flatten, Pad, Reshape, Slice, Upscale
from xnornet.graph.signs import Signs
from xnornet.graph.simulation import Saturation, simulate
from xnornet.graph.window import Window

__all__ = [
    "XNOR",
    "Add",
    "Affine",
    "AveragePool",
    "Clip",
    "Concatenate",
    "Cost",
    "Flatten",
    "Formats",
    "Graph",
    "LeakyRectify",
    "Linear",
    "MaxPool",
    "Node",
    "Operation",
    "Pad",
    "Quantize",
    "Rectify",
    "Requantize",
    "Reshape",
    "Saturation",
    "ScaledBias",
    "Signs",
    "Slice",
    "Upscale",
    "Window",
    "check_graph",
    "is_packed",
    "load_packed",
    "save_packed",
    "simulate",
]
