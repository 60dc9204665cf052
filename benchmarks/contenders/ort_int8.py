"""ONNX Runtime in int8: the float network quantized after training, each channel of weights by itself."""

import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from ort_float32 import graph, load
from stopwatch import compete

__all__ = ["prepare"]


class RandomImages(CalibrationDataReader):
    """A few batches of random images."""

    def __init__(self, shape, count=2):
        rng = np.random.default_rng(2)
        batches = rng.uniform(-1, 1, (count, *shape)).astype(np.float32)
        self.batches = iter([{"images": batch} for batch in batches])

    def get_next(self):
        return next(self.batches, None)


def prepare(work, batch, path):
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "float32.onnx"
        onnx.save(graph(work, batch), source)
        # Unsigned data and signed weights are what x86's dot products of bytes take.
        quantize_static(
            source,
            path,
            RandomImages((batch, *work.input_shape)),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )


if __name__ == "__main__":
    compete(prepare, load, f"onnxruntime {onnxruntime.__version__}")
