#!/usr/bin/env python
"""Sequences of many lengths: time of the first steps of the LSTM of DeepLearningTutorials.

The network is that of ``code/lstm.py`` in a clone of github.com/lisa-lab/DeepLearningTutorials, trained with
its Adadelta on batches of 16 reviews of made-up words, whose longest is of another length at almost every
step. Each way to compile runs in a process of its own, with empty caches. Seconds are of the processor, in
all threads.

    pip install six
    python benchmarks/length_buckets.py DeepLearningTutorials
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from contest import environment

MULTIPLE = 16
WAYS = {
    "as it is": {},
    f"length_buckets={MULTIPLE}": {"length_buckets": MULTIPLE},
    f"padded to multiples of {MULTIPLE}": {},
    "mode=FAST_RUN": {"mode": "FAST_RUN"},
}
WORDS, UNITS, REVIEWS, SHORTEST, LONGEST = 10000, 128, 16, 40, 100


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clone", type=Path, help="of DeepLearningTutorials")
    parser.add_argument("--steps", default="10,20", help="after which times are printed")
    parser.add_argument("--only", default=",".join(WAYS), help="ways, separated by commas")
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    steps = [int(n) for n in arguments.steps.split(",")]
    if arguments.way:
        print(json.dumps(train(arguments.clone, steps, arguments.way)))
        return
    if not (arguments.clone / "code/lstm.py").is_file():
        parser.error(
            f"{arguments.clone} has no code/lstm.py; clone github.com/lisa-lab/DeepLearningTutorials"
        )
    print(f"{'':26}" + "".join(f"{f'{n} steps':>12}" for n in steps) + f"{'programs':>12}{'last cost':>14}")
    for way in arguments.only.split(","):
        command = [sys.executable, __file__, arguments.clone, "--steps", arguments.steps, "--way", way]
        with tempfile.TemporaryDirectory() as caches:
            surroundings = environment(caches, ours=True, floatX="float32", **WAYS[way])
            done = subprocess.run(command, env=surroundings, stdout=subprocess.PIPE, check=True, text=True)
        found = json.loads(done.stdout.splitlines()[-1])
        seconds = "".join(f"{s:12.1f}" for s in found["seconds"])
        print(f"{way:26}{seconds}{found['programs']:12}{found['cost']:14.8f}", flush=True)


def train(clone, steps, way):
    """Processor time after some steps, programs compiled for the gradient, and the last cost."""
    sys.path.insert(0, str(clone / "code"))
    import lstm

    options = {"n_words": WORDS, "dim_proj": UNITS, "ydim": 2, "encoder": "lstm", "use_dropout": False}
    parameters = lstm.init_tparams(lstm.init_params(options))
    _, x, mask, y, _, _, cost = lstm.build_model(parameters, options)
    gradients = lstm.tensor.grad(cost, list(parameters.values()))
    rate = lstm.tensor.scalar("lr")
    gradient, update = lstm.adadelta(rate, parameters, gradients, x, mask, y, cost)
    rng = np.random.default_rng(0)
    begun, seconds = time.process_time(), []
    for step in range(max(steps)):
        reviews = [
            rng.integers(2, WORDS, rng.integers(SHORTEST // 2, rng.integers(SHORTEST, LONGEST + 1))).tolist()
            for _ in range(REVIEWS)
        ]
        words, of_words, labels = lstm.imdb.prepare_data(reviews, rng.integers(0, 2, REVIEWS).tolist())
        if way.startswith("padded"):
            behind = [(0, -len(words) % MULTIPLE), (0, 0)]
            words, of_words = np.pad(words, behind), np.pad(of_words, behind)
        last = gradient(words, of_words, labels)
        update(0.0001)
        if step + 1 in steps:
            seconds.append(time.process_time() - begun)
    return {"seconds": seconds, "programs": gradient.compilations or 1, "cost": float(last)}


if __name__ == "__main__":
    main()
