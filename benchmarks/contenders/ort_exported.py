"""Our own network as ``python -m xnornet export --to onnx`` writes it, in ONNX Runtime.

It gives the integers of ``ours_unscaled.py``: the same network and arithmetic, with signs as float32 numbers
and not as bits. A single convolution is a separate network, from floats to 64-bit scores.
"""

import onnxruntime
from ort_float32 import load
from stopwatch import compete

__all__ = ["prepare"]


def prepare(work, batch, path):
    # What measures the calls needs neither our engine nor what trains.
    import ours

    from xnornet.export.onnx import save_onnx, to_onnx
    from xnornet.graph import load_packed

    ours.prepare(work, batch, path, scale_inputs=False)
    graph, _ = load_packed(path)
    save_onnx(path, to_onnx(graph))


if __name__ == "__main__":
    compete(prepare, load, f"onnxruntime {onnxruntime.__version__}")
