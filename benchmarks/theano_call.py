"""Cost of calling a compiled function of a known shape over calling its program bare, in turns.

python benchmarks/theano_call.py [--units N] [--batch-size N] [--calls N] [--json]

The bare call hands the same NumPy batch to the same compiled program and waits for its results. What ours
adds: checks of the inputs, the search for the program of these shapes, the shared variables' new values, and
outputs as NumPy arrays.
"""

import argparse
import json
import sys
import time
import warnings
from pathlib import Path

import numpy as np
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
warnings.filterwarnings("ignore", message="pkg_resources is deprecated")

import jax  # noqa: E402
import lasagne  # noqa: E402

import theano  # noqa: E402
import theano.tensor as T  # noqa: E402
from theano.compile.translation import with_64_bits  # noqa: E402

INPUTS, CLASSES = 64, 10


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--units", type=int, default=32, help="of the net's hidden layer")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--calls", type=int, default=3000, help="timed calls of each kind")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    arguments = parser.parse_args()
    theano.config.set_defaults(floatX="float32")
    result = measure(arguments.units, arguments.batch_size, arguments.calls)
    if arguments.json:
        settings = {name: vars(arguments)[name] for name in ("units", "batch_size", "calls")}
        print(json.dumps({**settings, **result}))
        return
    print(
        f"dense net {INPUTS}-{arguments.units}-{CLASSES}, batch {arguments.batch_size}, median of "
        f"{arguments.calls} calls each, in turns"
    )
    for name, times in result.items():
        print(
            f"{name:9s} {times['ours_us']:8.1f} us   bare {times['bare_us']:8.1f} us   "
            f"added {times['added_us']:6.1f} us   ours / bare {times['ratio']:.2f}"
        )


def measure(units, batch_size, count):
    """Median times in microseconds of each function, ours and bare, the difference and the ratio."""
    rng = np.random.default_rng(0)
    batch = [
        rng.random((batch_size, INPUTS), np.float32),
        rng.integers(0, CLASSES, batch_size).astype(np.int32),
    ]
    return {name: _compare(function, batch, count) for name, function in _functions(units).items()}


def _functions(units):
    """Evaluation and a training step of a small net."""
    x, t = T.matrix("x"), T.ivector("t")
    net = lasagne.layers.InputLayer((None, INPUTS), x)
    net = lasagne.layers.DenseLayer(net, units)
    net = lasagne.layers.DenseLayer(net, CLASSES, nonlinearity=lasagne.nonlinearities.softmax)
    loss = lasagne.objectives.categorical_crossentropy(lasagne.layers.get_output(net), t).mean()
    updates = lasagne.updates.adam(loss, lasagne.layers.get_all_params(net))
    return {
        "evaluate": theano.function([x, t], loss, name="evaluate"),
        "train": theano.function([x, t], loss, updates=updates, name="train"),
    }


def _compare(function, batch, count):
    function(*batch)
    bare = _bare(function, batch)
    ours_us, bare_us = [], []
    for turn in tqdm(range(-50, count), leave=False, disable=None):
        begun = time.perf_counter()
        function(*batch)
        between = time.perf_counter()
        bare()
        ended = time.perf_counter()
        if turn >= 0:
            ours_us.append(1e6 * (between - begun))
            bare_us.append(1e6 * (ended - between))
    ours, bare = float(np.median(ours_us)), float(np.median(bare_us))
    return {"ours_us": ours, "bare_us": bare, "added_us": ours - bare, "ratio": ours / bare}


def _bare(function, batch):
    """A call of the function's latest program on copies of its shared variables."""
    latest = function.versions[-1]
    arrays = [[jax.device_put(s.get_value()) for s in group] for group in (latest.fixed, latest.updated)]
    # None of the shared variables is so large that its memory is handed over.
    spare = []

    def call():
        with with_64_bits():
            outputs, arrays[1], _ = jax.block_until_ready(latest.program(batch, *arrays, spare))

    return call


if __name__ == "__main__":
    main()
