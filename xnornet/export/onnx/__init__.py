"""ONNX and QONNX: a graph as a model of everyone else's tools.

``forms`` has one function for each operation. What its numbers are, an arithmetic says: the engine's integers
(``Exact``), real numbers (``Real``), or real numbers that QONNX quantizes (``Quantized``).
"""

from xnornet.export.onnx.model import save_onnx, to_onnx, to_qonnx

__all__ = ["save_onnx", "to_onnx", "to_qonnx"]
