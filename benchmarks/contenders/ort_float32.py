"""ONNX Runtime in float32: the network that one would ship without binarization.

Batch norm is folded into weights and biases, and a Relu stands where an XNOR-Net takes signs. Graphs are made
here for the int8 contender as well.
"""

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from stopwatch import compete

__all__ = ["graph", "load", "prepare"]

OPSET = 17


def prepare(work, batch, path):
    onnx.save(graph(work, batch), path)


def graph(work, batch):
    """Model of a ``Work`` in ONNX, of random weights.

    Returns
    -------
    onnx.ModelProto
        From ``images``, ``(batch, channels, rows, columns)``, to ``scores``.
    """
    rng = np.random.default_rng(0)
    nodes, weights, last = [], [], "images"

    def add(op, *inputs, **attributes):
        nodes.append(helper.make_node(op, [last, *inputs], [f"x{len(nodes)}"], **attributes))
        return nodes[-1].output[0]

    for i, layer in enumerate(work.layers):
        shape, fan_in = (layer.outputs, layer.inputs), layer.inputs
        if layer.kind == "conv":
            shape, fan_in = (*shape, 3, 3), 9 * fan_in
        W = rng.normal(0, np.sqrt(2 / fan_in), shape).astype(np.float32)
        b = rng.normal(0, 0.1, layer.outputs).astype(np.float32)
        weights += [numpy_helper.from_array(W, f"W{i}"), numpy_helper.from_array(b, f"b{i}")]
        if layer.kind == "conv":
            last = add("Conv", f"W{i}", f"b{i}", kernel_shape=[3, 3], pads=[1, 1, 1, 1])
        else:
            if i and work.layers[i - 1].kind == "conv":
                last = add("Flatten")
            last = add("Gemm", f"W{i}", f"b{i}", transB=1)
        if i < len(work.layers) - 1:
            last = add("Relu")
        if layer.pool:
            last = add("MaxPool", kernel_shape=[2, 2], strides=[2, 2])
    nodes[-1].output[0] = "scores"
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, (batch, *work.input_shape))
    shape = (batch, work.layers[-1].outputs, *(work.input_shape[1:] if len(work.layers) == 1 else ()))
    scores = helper.make_tensor_value_info("scores", TensorProto.FLOAT, shape)
    made = helper.make_graph(nodes, "network", [images], [scores], weights)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    onnx.checker.check_model(model)
    return model


def load(work, path, threads, images):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {"images": images})


if __name__ == "__main__":
    compete(prepare, load, f"onnxruntime {onnxruntime.__version__}")
