"""Time of each layer in the engine, and its binary operations per second against the processor's limit.

python benchmarks/layers.py [--network N] [--threads T] [--batch-size N] [--picture FILE.png] [--json]

The limits are measured, in registers alone: the clock by a chain of multiplications, each of which waits
three cycles for the one before; how many words per cycle the popcount units take; and how many the three
instructions that a word costs (exclusive or, popcount, addition) leave time for. A binary multiply-add is two
operations. A run of the whole engine is timed in turns with the kernels. The last two lines are the share of
it that is not spent in filters, and how many times the sum of its binary filters it takes.
"""

import argparse
import json
import math
import sys
import time
import warnings
from pathlib import Path

import numba
import numpy as np
from llvmlite import ir
from numba import njit, prange, types
from numba.core import cgutils
from numba.extending import intrinsic

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
warnings.filterwarnings("ignore", message="pkg_resources is deprecated")

from xnornet.engine import Engine  # noqa: E402
from xnornet.graph import XNOR, Linear  # noqa: E402
from xnornet.threads import available_cores  # noqa: E402

WORD = 64
LANES = 8
CHAINS = 24
ITERATIONS = 200_000


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", default="cifar10_convnet", help="one of xnornet.networks")
    parser.add_argument("--threads", type=int, default=available_cores())
    parser.add_argument("--batch-size", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=200, help="timed runs of each kernel")
    parser.add_argument("--picture", type=Path, metavar="FILE.png", help="draw the speed of each layer")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    arguments = parser.parse_args()
    limits = measure_limits(arguments.threads)
    variants = {
        name: measure(arguments, limits, scale_inputs)
        for name, scale_inputs in (("with K", True), ("without K", False))
    }
    layers, wholes = ({name: found[i] for name, found in variants.items()} for i in (0, 1))
    result = {"threads": arguments.threads, "batch": arguments.batch_size, **limits}
    result |= {"layers": layers, "whole": wholes}
    print(json.dumps(result) if arguments.json else table(arguments.network, result))
    if arguments.picture:
        draw(arguments.network, result, arguments.picture)


def measure_limits(threads):
    """Clock, words per cycle and operations per second that registers alone allow."""
    hertz = 4 * ITERATIONS * 10 / _fastest(lambda: _chain(10 * ITERATIONS))
    numba.set_num_threads(threads)
    words = ITERATIONS * CHAINS * LANES
    out = np.zeros((threads, CHAINS * LANES), np.int64)
    per_cycle = {
        name: words / _fastest(lambda kernel=kernel: kernel(1, out)) / hertz
        for name, kernel in (("popcount", _popcounts), ("xor, popcount, add", _differences))
    }
    rate = threads * words / _fastest(lambda: _differences(threads, out))
    return {
        "clock_ghz": hertz / 1e9,
        "words_per_cycle": per_cycle,
        "limit_tops": 2 * WORD * rate / 1e12,
    }


def measure(arguments, limits, scale_inputs):
    """Median time and speed of each layer, and those of the whole."""
    model = random_model(arguments.network, scale_inputs)
    rng = np.random.default_rng(0)
    images = rng.uniform(-1, 1, (arguments.batch_size, *model.input_shape)).astype("float32")
    engine = Engine(model, arguments.threads, arguments.batch_size)
    calls = engine.calls(images)
    runs = [*(run for _, run in calls), lambda: engine.run(images)]
    seconds = np.array([[_timed(run) for run in runs] for _ in range(arguments.rounds)])
    filters = [i for i, (name, _) in enumerate(calls) if name.startswith(("product", "xnor"))]
    spans = zip(filters, [*filters[1:], len(calls)], strict=True)
    layers = []
    for (first, end), (name, macs) in zip(spans, _filters_of(model), strict=True):
        own, rest = (1e6 * np.median(s.sum(axis=1)) for s in np.split(seconds[:, first:end], [1], axis=1))
        tops = 2 * macs * arguments.batch_size / own / 1e6 if macs else None
        share = tops / limits["limit_tops"] if macs else None
        layers.append({"name": name, "us": own, "rest_us": rest, "tops": tops, "share": share})
    whole, filters = 1e6 * np.median(seconds[:, -1]), sum(layer["us"] for layer in layers)
    binary = sum(layer["us"] for layer in layers if layer["tops"])
    return layers, {"us": whole, "outside_filters": 1 - filters / whole, "over_binary": whole / binary}


def random_model(network, scale_inputs):
    """A network of random weights in fixed point; only its shapes matter for time."""
    import lasagne

    import theano.tensor as T
    from xnornet import networks
    from xnornet.quantization import quantize

    lasagne.random.set_rng(np.random.RandomState(0))
    layer = networks.build(network, T.tensor4("images"), scale_inputs=scale_inputs)
    images = np.random.default_rng(0).uniform(-1, 1, (8, *networks.input_shape(layer)))
    return quantize(layer, images.astype("float32"))


def _filters_of(model):
    """Name of each layer with weights, and its binary multiply-adds."""
    shapes = model.shapes()
    for i, operation in enumerate(model.operations):
        if not isinstance(operation, XNOR | Linear):
            continue
        binary = isinstance(operation, XNOR)
        outputs, fan_in, *window = operation.weights
        kind = f"{window[0]}x{window[1]}" if window else "dense"
        place = "x".join(map(str, shapes[i][1:]))
        macs = math.prod(shapes[i]) * fan_in * math.prod(window)
        name = f"{'XNOR' if binary else 'real'} {kind} {fan_in}-{outputs}"
        yield f"{name} at {place}" if place else name, macs if binary else 0


def table(network, result):
    """For people."""
    per_cycle = result["words_per_cycle"]
    lines = [
        f"{network}, {result['threads']} threads, batch {result['batch']}: median microseconds of each layer "
        "(and of what",
        "lies between it and the next), binary operations per second, and their share of the limit",
        f"clock {result['clock_ghz']:.2f} GHz; words per cycle and core: "
        + ", ".join(f"{name} {value:.1f}" for name, value in per_cycle.items()),
        f"limit of the three instructions: {result['limit_tops']:.2f} binary TOP/s",
    ]
    heads = "".join(f"{name:>12}  (+rest)  TOP/s  share" for name in result["layers"])
    lines.append(f"{'layer':28}{heads}")
    for row in zip(*result["layers"].values(), strict=True):
        lines.append(f"{row[0]['name']:28}" + "".join(_cells(layer) for layer in row))
    sums = (sum(r["us"] + r["rest_us"] for r in rows) for rows in result["layers"].values())
    lines.append(f"{'total':28}" + "".join(f"{value:12.1f}" + " " * 23 for value in sums))
    for title, key, form in (
        ("whole run", "us", ".1f"),
        ("share of it outside filters", "outside_filters", ".0%"),
        ("over its binary filters", "over_binary", ".2f"),
    ):
        values = (whole[key] for whole in result["whole"].values())
        lines.append(f"{title:28}" + "".join(f"{value:12{form}}" + " " * 23 for value in values))
    return "\n".join(line.rstrip() for line in lines)


def _cells(layer):
    speed = f"{layer['tops']:7.2f}{layer['share']:7.0%}" if layer["tops"] else " " * 14
    return f"{layer['us']:12.1f}{layer['rest_us']:9.1f}{speed}"


def draw(network, result, path):
    """Bars of binary TOP/s for each binary layer, and the limit as a line."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(9, 4.5), layout="constrained")
    width = 0.8 / len(result["layers"])
    for k, (variant, layers) in enumerate(result["layers"].items()):
        binary = [layer for layer in layers if layer["tops"]]
        places = np.arange(len(binary)) + (k - (len(result["layers"]) - 1) / 2) * width
        bars = axes.bar(places, [layer["tops"] for layer in binary], width, label=variant)
        axes.bar_label(bars, [f"{layer['us']:.0f} µs" for layer in binary], fontsize=8, padding=2)
    axes.axhline(result["limit_tops"], color="gray", linestyle="--", label="limit, in registers alone")
    names = [layer["name"].removeprefix("XNOR ") for layer in binary]
    names = [name.replace(" at ", "\nat ").replace("dense ", "dense\n") for name in names]
    axes.set_xticks(range(len(binary)), names, fontsize=9)
    axes.set_ylabel("binary TOP/s")
    axes.set_title(f"XNOR layers of {network}, batch {result['batch']}, {result['threads']} threads")
    axes.legend(loc="upper right", bbox_to_anchor=(1, 0.92))
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _timed(function):
    begun = time.perf_counter()
    function()
    return time.perf_counter() - begun


def _fastest(function, rounds=30):
    """Shortest of several times: noise only adds to a time, and would make a limit look lower."""
    function()
    return min(_timed(function) for _ in range(rounds))


@njit
def _chain(iterations):
    x = np.uint64(1)
    for i in range(iterations):
        x = (x * np.uint64(6364136223846793005)) ^ np.uint64(i)
    return x


def _repeated(step):
    """An intrinsic that repeats ``step`` on independent vectors in registers."""

    @intrinsic
    def repeated(typing_context, iterations, out, first):
        def generate(context, builder, signature, arguments):
            vector = ir.VectorType(ir.IntType(64), LANES)
            signature_of = ir.FunctionType(vector, [vector])
            popcount = cgutils.get_or_insert_function(builder.module, signature_of, "llvm.ctpop.v8i64")
            data = context.make_array(signature.args[1])(context, builder, arguments[1]).data
            data = builder.bitcast(builder.gep(data, [arguments[2]]), vector.as_pointer())
            places = [builder.gep(data, [ir.Constant(ir.IntType(64), i)]) for i in range(CHAINS)]
            totals = [cgutils.alloca_once(builder, vector) for _ in places]
            for place, total in zip(places, totals, strict=True):
                builder.store(builder.load(place, align=8), total)
            with cgutils.for_range(builder, arguments[0]) as loop:
                index = builder.insert_element(
                    ir.Constant(vector, ir.Undefined), loop.index, ir.IntType(32)(0)
                )
                lanes = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
                index = builder.shuffle_vector(index, ir.Constant(vector, ir.Undefined), lanes)
                for total in totals:
                    value = builder.load(total)
                    builder.store(step(builder, popcount, value, index), total)
            for place, total in zip(places, totals, strict=True):
                builder.store(builder.load(total), place, align=8)
            return context.get_dummy_value()

        return types.void(types.intp, out, types.intp), generate

    @njit(parallel=True)
    def kernel(threads, out):
        for t in prange(threads):
            repeated(ITERATIONS, out, t * out.shape[1])

    return kernel


_popcounts = _repeated(lambda builder, popcount, x, i: builder.call(popcount, [x]))
_differences = _repeated(
    lambda builder, popcount, x, i: builder.add(x, builder.call(popcount, [builder.xor(x, i)]))
)


if __name__ == "__main__":
    main()
