"""Code, stack and arena are no larger than an export says, measured for a Cortex-M4."""

import re

import numpy as np
import pytest
from c_programs import compiler, exported, run
from exported_models import shipped

from xnornet.export.c import export_c
from xnornet.graph import (
    XNOR,
    Add,
    Affine,
    AveragePool,
    Clip,
    Concatenate,
    Flatten,
    Graph,
    LeakyRectify,
    Linear,
    MaxPool,
    Node,
    Pad,
    Quantize,
    Rectify,
    Reshape,
    ScaledBias,
    Signs,
    Slice,
    Upscale,
    Window,
)
from xnornet.quantization import quantize

M4 = ["-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=soft", "-std=c99"]


def every_operation():
    """A network of every operation, of small weights."""
    rng = np.random.default_rng(0)
    window, pool = Window((3, 3), (1, 1), ((1, 1), (1, 1))), Window((2, 2), (2, 2), ((0, 0), (0, 0)))

    def signs(*shape):
        return Signs.pack(rng.choice([-1, 1], shape).astype(np.int8))

    def xnor(scaled):
        alpha, b = rng.uniform(0, 1, (2, 4))
        return XNOR(signs(4, 4, 3, 3), alpha, None, b, None, scaled, window, None, None)

    def affine(channels=4):
        return Affine(rng.uniform(-1, 1, channels), None, rng.uniform(-1, 1, channels), None, None, None)

    first = Linear(rng.uniform(-1, 1, (4, 1, 3, 3)), None, rng.uniform(-1, 1, 4), None, window, None, None)
    chain = [
        *[Quantize(), first, affine(), xnor(False), affine(), xnor(True), MaxPool(pool, True)],
        *[LeakyRectify(np.array([0.1])), Clip(np.array([-1.0, 1.0])), Upscale((2, 2))],
        Pad((0, 1, 1), (0, 1, 1)),
        *[
            Slice(1, 1, 9),
            Slice(2, 1, 9),
            AveragePool.of(pool, True, (8, 8)),
            MaxPool(window, True),
            Rectify(),
        ],
        *[Reshape((4, 2, 8)), Flatten()],
        ScaledBias(signs(8, 64), rng.uniform(0, 1, 8), None, rng.uniform(-1, 1, 8), None, None, None),
    ]
    nodes = [Node(each, (i - 1,) if i else ()) for i, each in enumerate(chain)]
    last = len(nodes) - 1
    nodes += [Node(Rectify(), (last,)), Node(Concatenate(), (last, last + 1)), Node(affine(16), (last + 2,))]
    nodes += [Node(Add(np.ones(2)), (last + 2, last + 3))]
    graph = Graph((1, 8, 8), tuple(nodes))
    values = graph.evaluate(lambda operation, *x: operation.real(np, *x), rng.uniform(-1, 1, (3, 1, 8, 8)))
    return quantize(graph, None, magnitudes=[float(np.abs(v).max()) for v in values])


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The export of that network, and the folder where it is compiled for size, for a Cortex-M4."""
    folder = tmp_path_factory.mktemp("every")
    export = exported(every_operation(), "every", folder)
    for name in ("every", "xnor"):
        command = [compiler("arm-none-eabi-gcc"), *M4, "-Os", "-fstack-usage", "-c", f"{name}.c"]
        run(*command, cwd=folder / "every")
    return export, folder / "every"


def test_the_code_of_every_operation_takes_at_most_8_kib(built):
    export, folder = built
    listed = run(compiler("arm-none-eabi-nm"), "-S", "every.o", "xnor.o", cwd=folder).decode()
    code = sum(int(size, 16) for size in re.findall(r"^\w+ (\w+) [tT] ", listed, re.M))
    assert 4096 < code <= 8192 <= export.sizes["code"]


def test_the_stack_is_at_most_what_the_header_says(built):
    export, folder = built
    frames = {}
    for name in ("every", "xnor"):
        for line in (folder / f"{name}.su").read_text().splitlines():
            place, size, kind = line.split("\t")
            assert kind == "static"
            frames[place.rpartition(":")[2]] = int(size)
    own = max(size for name, size in frames.items() if name.startswith("every_"))
    kernels = sorted((size for name, size in frames.items() if not name.startswith("every_")), reverse=True)
    # run or classify, a layer's function, a kernel and what it calls.
    assert 2 * own + sum(kernels[:3]) <= export.sizes["stack"] + 8 * export.scores_count


def test_mnist_convnet_takes_at_most_16_kib_of_ram():
    export = export_c(shipped("mnist_convnet"), "mnist_convnet", np.arange(-128, 128, dtype=np.int16))
    assert export.sizes["ram"] <= 16 << 10
