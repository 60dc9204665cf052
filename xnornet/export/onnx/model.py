"""A graph as an ONNX model: its nodes, its inputs and outputs, and its metadata."""

import json

import numpy as np
import onnx
from onnx import helper

import xnornet
from xnornet.archives import write_atomically
from xnornet.data.preprocessing import class_names_of, pixel_levels
from xnornet.errors import ModelError
from xnornet.export.onnx.arithmetics import Exact, Quantized, Real
from xnornet.export.onnx.builder import onnx_type
from xnornet.export.onnx.forms import form
from xnornet.export.onnx.thresholds import with_thresholds
from xnornet.graph import check_graph

__all__ = ["save_onnx", "to_onnx", "to_qonnx"]

# Oldest versions of the operator set and of the file format that support all operators used.
OPSET, IR_VERSION = 17, 8

# Largest size of a protocol buffer.
MAX_BYTES = (1 << 31) - 1


def to_onnx(graph, info=None, real=False):
    """A graph as an ONNX model of ordinary operators.

    Its input is ``pixels``, uint8, where ``info`` records the scaling of pixels, else ``images``, float32,
    scaled as the network's training images were. Its output is ``scores``.

    Parameters
    ----------
    graph : Graph
        In integers, or with ``real`` of real parameters too.
    info : dict, optional
        What is known of the model, as a packed file has it.
    real : bool
        Compute with the real numbers that the parameters stand for, in float32, and round nothing.

    Returns
    -------
    onnx.ModelProto
        Its scores are int64, in format ``graph.q_out``, and equal to the engine's; or float32.

    Raises
    ------
    ModelError
        The graph does not pass `check_graph`, or an operation has no form; one line names it.
    """
    info = info or {}
    if not real:
        check_graph(graph)
    arithmetic = (Real if real else Exact)(pixel_levels(info))
    source = ("images", np.float32) if arithmetic.levels is None else ("pixels", np.uint8)
    model = _model(graph, arithmetic, source, np.float32 if real else np.int64, "N")
    _describe(model, graph, info, None if real else graph.q_out)
    onnx.checker.check_model(model, full_check=True)
    return model


def to_qonnx(graph, info=None):
    """A graph as a QONNX model: real numbers in float32, rounded by ``Quant``, and signs of scale 1.

    Parameters
    ----------
    graph : Graph
        In integers.
    info : dict, optional
        As in :func:`to_onnx`. The input is float32 here, of one image; ``pixels`` are whole numbers from 0.

    Returns
    -------
    onnx.ModelProto
        Its scores are float32: the real numbers that the engine's stand for, where float32 holds what it
        computes.

    Raises
    ------
    ModelError
        As :func:`to_onnx`, or float32 does not hold a format.
    """
    info = info or {}
    check_graph(graph)
    arithmetic = Quantized(pixel_levels(info))
    name = "images" if arithmetic.levels is None else "pixels"
    model = _model(with_thresholds(graph), arithmetic, (name, np.float32), np.float32, 1)
    _describe(model, graph, info, None)
    if arithmetic.levels is not None:
        _annotate(model, name, "UINT8")
    onnx.checker.check_model(model)
    return model


def save_onnx(path, model):
    """Write a model.

    Raises
    ------
    ModelError
        The model is larger than the format allows.
    WriteError
        As `write_atomically`.
    """
    size = model.ByteSize()
    if size > MAX_BYTES:
        raise ModelError(f"{path}: an ONNX file should have at most {MAX_BYTES} bytes; this has {size}")
    write_atomically(path, lambda file: file.write(model.SerializeToString()))


def _model(graph, arithmetic, source, scores, batch):
    """A model of a graph's nodes.

    Parameters
    ----------
    graph : Graph
    arithmetic : Real
    source : (str, NumPy type)
        Name and type of the input.
    scores : NumPy type
    batch : int or str
        Images of a batch; a name where any number is.
    """
    name, kind = source
    arithmetic.kinds[name] = np.dtype(kind)
    last = arithmetic.add("Identity", arithmetic.cast(_lowered(graph, arithmetic, name), scores))
    arithmetic.nodes[-1].output[0] = "scores"
    del arithmetic.kinds[last]
    taken = helper.make_tensor_value_info(name, onnx_type(kind), (batch, *graph.input_shape))
    given = helper.make_tensor_value_info("scores", onnx_type(scores), (batch, *graph.shapes()[-1]))
    made = helper.make_graph(arithmetic.nodes, "xnornet", [taken], [given], arithmetic.initializers)
    domains = dict.fromkeys(node.domain for node in arithmetic.nodes)
    opsets = [helper.make_opsetid(domain, 1 if domain else OPSET) for domain in {"": None, **domains}]
    return helper.make_model(
        made,
        opset_imports=opsets,
        ir_version=IR_VERSION,
        producer_name="xnornet",
        producer_version=xnornet.__version__,
    )


def _lowered(graph, arithmetic, source):
    """Add the nodes of a graph; returns the scores."""
    numbers = iter(range(len(graph.nodes)))

    def lower(operation, *values):
        number = next(numbers)
        names, shapes = zip(*values, strict=True)
        arithmetic.scope = f"node{number}_{operation.kind.replace(' ', '_')}/"
        try:
            arithmetic.begin(operation)
            output = form(operation, arithmetic, shapes[0], *names)
        except ModelError as error:
            raise ModelError(f"node {number} ({operation.kind}): {error}") from error
        return output, operation.shape(*shapes)

    scores = graph.evaluate(lower, (source, graph.input_shape))[-1][0]
    arithmetic.scope = ""
    return scores


def _annotate(model, name, kind):
    """Write the type of QONNX that a value has."""
    annotation = model.graph.quantization_annotation.add(tensor_name=name)
    annotation.quant_parameter_tensor_names.add(key="finn_datatype", value=kind)


def _describe(model, graph, info, q_out):
    """Write the description of a model into its metadata, as text; lists and objects as JSON."""
    names = class_names_of(info)
    metadata = {
        "network": info.get("network"),
        "dataset": info.get("dataset"),
        "class_names": None if names is None else json.dumps(names),
        "input": _input_sentence(pixel_levels(info), graph),
        "scores": "real numbers" if q_out is None else f"integers, in units of 2**{-q_out.f}",
        "info": json.dumps(info),
    }
    helper.set_model_props(model, {f"xnornet.{k}": v for k, v in metadata.items() if v is not None})


def _input_sentence(levels, graph):
    shape = ", ".join(map(str, ("batch", *graph.input_shape)))
    if levels is None:
        return f"({shape}), scaled as the network's training images were"
    return (
        f"({shape}), pixels from 0 to {len(levels) - 1}, which become {levels[0]:.9g} to {levels[-1]:.9g} "
        "within the model"
    )
