"""What other libraries take for the layers of an exported network: CMSIS-NN in int8, and CBin-NN in bits.

Both are compiled from folders that are not part of this project, with the optimization that CMSIS-NN's own
CMakeLists.txt asks for.
"""

import tempfile
from pathlib import Path

from boards import BOARDS, FOLDER

from xnornet.export.c.lowering import window_of
from xnornet.graph import MaxPool
from xnornet.graph.filters import Binary

__all__ = ["COMPARED", "cbin_nn", "cmsis_nn", "ticks"]

LEVEL = "-Ofast"

# Boards with memory for their weights.
COMPARED = ("Cortex-M3", "Cortex-M4", "Cortex-M7")

# Of CMSIS-NN/Source, what its convolution, dense layer and pooling in int8 consist of.
CMSIS_NN = [
    *(f"ConvolutionFunctions/arm_{name}.c" for name in (
        "convolve_wrapper_s8", "convolve_get_buffer_sizes_s8", "convolve_s8", "convolve_1x1_s8",
        "convolve_1x1_s8_fast", "convolve_1_x_n_s8", "nn_mat_mult_kernel_s8_s16",
        "nn_mat_mult_kernel_row_offset_s8_s16",
    )),
    *(f"FullyConnectedFunctions/arm_fully_connected_{name}.c" for name in ("s8", "get_buffer_sizes_s8")),
    *(f"NNSupportFunctions/arm_{name}.c" for name in (
        "nn_mat_mult_nt_t_s8", "nn_vec_mat_mult_t_s8", "q7_to_q15_with_offset",
        "s8_to_s16_unordered_with_offset",
    )),
    "PoolingFunctions/arm_max_pool_s8.c",
]  # fmt: skip

# Of CBin-NN/Operators. Its header includes these of a network, and C++'s name of string.h.
CBIN_NN = ["BBConv2D.c", "BBFC_Optimized.c", "BMaxPool2D_Optimized.c"]
MISSING = {"bnn_params.h": "", "Test_image.h": "", "cstring": "#include <string.h>\n"}


def ticks(processor):
    """The compiler's option for a tick of SysTick: instructions where its clock is of 25 MHz, or 20."""
    return f"-DTICK={50 if processor == 'Cortex-M33' else 40}u"


def cmsis_nn(export, processor, folder):
    """Instructions and bytes of RAM that CMSIS-NN takes for each layer with weights.

    Parameters
    ----------
    export : xnornet.export.c.Export
    processor : str
        Of `COMPARED`.
    folder : Path
        A copy of CMSIS-NN.

    Returns
    -------
    dict of (int, int)
        By the layers' names. Bytes are those of input, output and buffer, of the larger of the layer and the
        pooling behind it.
    """
    layers = [shape for shape in map(_shape_of, export.layers) if shape and shape["groups"] == 1]
    lines = []
    for s in layers:
        (channels, *lengths), window, pool = s["in"], s["window"], s["pool"]
        outputs, *grid = s["grid"]
        taps = (channels * lengths[0] * lengths[1], 1, 1, outputs)
        tiles = [
            *((1, *lengths, channels), taps if s["dense"] else (outputs, *window.size, channels)),
            *((1, *grid, outputs), (1, *s["out"][1:], outputs)),
            *(pair[::-1] for pair in (window.stride, _before(window), window.dilation)),
            *((pool.size[::-1], pool.stride[::-1], _before(pool)[::-1]) if pool else [(0, 0)] * 3),
        ]
        lines.append(f"{{{int(s['dense'])}, {', '.join(map(_braces, tiles))}}}")
    sources = [folder / "Source" / name for name in CMSIS_NN]
    printed = _run(processor, "cmsis_nn.c", sources, [folder / "Include"], layers, lines)
    found = {}
    for i, s in enumerate(layers):
        instructions, pooling, buffer, status = printed[4 * i : 4 * i + 4]
        if status:
            raise RuntimeError(f"{s['name']}: CMSIS-NN's kernel returned {status}")
        taken, made, left = _count(s["in"]), _count(s["grid"]), _count(s["out"])
        found[s["name"]] = instructions + pooling, max(taken + made + buffer, made + left if s["pool"] else 0)
    return found


def cbin_nn(export, processor, folder):
    """Instructions that CBin-NN takes for each binary layer of square images and whole words of channels."""
    layers = [
        s
        for s in map(_shape_of, export.layers)
        if s and s["binary"] and s["groups"] == 1 and s["in"][0] % 32 == 0 and s["in"][1] == s["in"][2]
    ]
    lines = []
    for s in layers:
        window, pool, inputs = s["window"], s["pool"], _count(s["in"]) if s["dense"] else s["in"][0]
        pooled = (pool.size[0], pool.stride[0], _before(pool)[0], s["out"][1]) if pool else (0, 0, 0, 0)
        shape = (inputs, s["in"][1], s["grid"][0], s["grid"][1])
        lines.append(
            _braces((int(s["dense"]), *shape, window.size[0], window.stride[0], _before(window)[0], *pooled))
        )
    with tempfile.TemporaryDirectory() as scratch:
        for name, text in MISSING.items():
            Path(scratch, name).write_text(text)
        sources = [folder / "Operators" / name for name in CBIN_NN]
        printed = _run(processor, "cbin_nn.c", sources, [scratch, folder / "Operators"], layers, lines)
    return {s["name"]: sum(printed[2 * i : 2 * i + 2]) for i, s in enumerate(layers)}


def _run(processor, program, sources, headers, layers, lines):
    """Numbers that a program prints for some layers."""
    largest = max(_count(s[part]) for s in layers for part in ("in", "grid", "out"))
    channels = max(s["grid"][0] for s in layers)
    text = (
        f"#define LARGEST {largest}\n#define CHANNELS {channels}\n\nstatic const struct layer layers[] = {{\n"
    )
    text += "".join(f"    {line},\n" for line in lines) + "};\n"
    board = BOARDS[processor]
    with tempfile.TemporaryDirectory() as scratch:
        Path(scratch, "layers.h").write_text(text)
        extra = [
            "-w",
            "-ffunction-sections",
            ticks(processor),
            *(f"-I{folder}" for folder in (scratch, *headers)),
        ]
        built = board.build([*sources, FOLDER / program], Path(scratch, "program"), LEVEL, extra)
        return list(map(int, board.run(built, "-icount", "shift=0").split()))


def _shape_of(layer):
    """What a layer with weights is to other libraries, or None."""
    if layer.kind != "filter":
        return None
    operation, shape = layer.operation, layer.inputs[0].shape
    window = window_of(operation, shape)
    pools = [each.window for each in layer.following if isinstance(each, MaxPool)]
    return {
        "name": layer.name,
        "dense": operation.window is None,
        "binary": isinstance(operation, Binary),
        "groups": operation.groups,
        "in": shape,
        "window": window,
        "grid": (operation.weights[0], *window.grid(shape[1:])),
        "pool": pools[0] if pools and layer.output.node is not None else None,
        "out": layer.output.shape,
    }


def _before(window):
    return tuple(pad[0] for pad in window.pad)


def _count(shape):
    return shape[0] * shape[1] * shape[2]


def _braces(numbers):
    return f"{{{', '.join(map(str, numbers))}}}"
