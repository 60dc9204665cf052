"""The benchmark of compilation: both styles are the same network, and it reports what was measured."""

import json
import runpy
import subprocess
import sys
from pathlib import Path

import lasagne
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from printed import assert_numbers

import theano
import theano.tensor as T
from xnornet import networks

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
NETWORKS = ("mnist_mlp", "cifar10_convnet")


def measurement(graph, first, step):
    times = {"graph_s": graph, "first_result_s": first, "step_s": step}
    return {**times, "version": "made up 1.0", "loss": 1.5}


measured = st.builds(measurement, *3 * [st.floats(1e-3, 1e3)])
# A ratio that fills its column.
FAR_APART = {
    ("mnist_mlp", "ours"): [measurement(1.0, 0.001, 1.0)],
    ("mnist_mlp", "ours_networks"): [measurement(1.0, 10.0, 1.0)],
}


@pytest.fixture(scope="module")
def benchmark():
    return runpy.run_path(str(BENCHMARKS / "compile.py"))


@pytest.fixture(scope="module")
def steps():
    return runpy.run_path(str(BENCHMARKS / "training_step.py"))


@pytest.mark.parametrize("network", NETWORKS)
def test_plain_networks_have_the_parameters_of_ours(steps, network):
    width = 0.01
    options = {"num_units": 41} if network == "mnist_mlp" else {"width": width}
    layer = networks.build(network, T.tensor4(), **options)
    net = steps["Plain"]()
    steps["PLAIN"][network](net, T.tensor4(), width)
    ours = lasagne.layers.get_all_params(layer, trainable=True)
    assert [p.get_value().shape for p in net.params] == [p.get_value().shape for p in ours]
    binary = lasagne.layers.get_all_params(layer, binary=True)
    assert [net.params.index(p) for p in net.binary] == [ours.index(p) for p in binary]


def test_plain_scores_are_those_of_our_layers(steps):
    """With our layers' parameters, on images that a step is trained on."""
    images = T.tensor4()
    layer = networks.cifar10_convnet(images, width=0.03, scale_inputs=True)
    net = steps["Plain"]()
    plain = steps["cifar10_convnet"](net, images, 0.03)
    random = np.random.default_rng(0)
    for ours, param in zip(lasagne.layers.get_all_params(layer, trainable=True), net.params, strict=True):
        value = random.uniform(0.05, 0.5, param.get_value().shape) * random.choice([-1, 1])
        for variable in (ours, param):
            variable.set_value(value.astype("float32"))
    f = theano.function([images], [plain, lasagne.layers.get_output(layer)])
    result, expected = f(random.uniform(-1, 1, (6, 3, 32, 32)).astype("float32"))
    np.testing.assert_allclose(result, expected, rtol=1e-3, atol=1e-3)


@given(
    runs=st.dictionaries(
        st.tuples(st.sampled_from(NETWORKS), st.sampled_from(("ours", "ours_networks", "theano"))),
        st.lists(measured, min_size=1, max_size=5),
        min_size=1,
    )
)
@example(runs=FAR_APART)
def test_times_are_medians_and_ratios_are_over_ours(benchmark, runs):
    cells = benchmark["summarize"](runs)
    assert [(c["network"], c["contender"]) for c in cells] == list(runs)
    for cell, rounds in zip(cells, runs.values(), strict=True):
        for key in ("graph_s", "first_result_s", "step_s"):
            times = sorted(r[key] for r in rounds)
            assert times[(len(times) - 1) // 2] <= cell[key] <= times[len(times) // 2]
        ours = [
            c["first_result_s"] for c in cells if (c["network"], c["contender"]) == (cell["network"], "ours")
        ]
        assert cell["ratio"] == (pytest.approx(cell["first_result_s"] / ours[0]) if ours else None)
    table = benchmark["format_result"](
        {
            "machine": {"cpu": "a processor", "cores": 2},
            "rounds": 1,
            "batch": 50,
            "width": 1.0,
            "cells": cells,
        }
    )
    rows = table.splitlines()[-len(cells) :]
    assert [row.split()[0] for row in rows] == [cell["network"] for cell in cells]
    keys = ("graph_s", "first_result_s", "step_s", "ratio")
    assert_numbers(rows, [[cell[key] for key in keys if cell[key] is not None] for cell in cells])


@pytest.mark.parametrize("python", [None, "/no/such/python", sys.executable])
def test_a_missing_theano_is_reported_with_the_commands_that_install_it(benchmark, python):
    line = benchmark["missing_theano"](python)
    assert "\n" not in line and "pip install Theano-PyMC==1.1.2" in line and "--theano-python" in line


@pytest.mark.only_all
def test_a_run_reports_times_and_the_same_loss_every_time():
    command = [sys.executable, BENCHMARKS / "compile.py", "--only", "mnist_mlp", "--rounds", "1", "--json"]
    command += ["--batch", "4", "--width", "0.004"]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    result = json.loads(run.stdout)
    assert [cell["contender"] for cell in result["cells"]] == ["ours", "ours_networks"]
    assert all(cell["first_result_s"] > cell["step_s"] > 0 and cell["loss"] > 0 for cell in result["cells"])
    assert len(result["skipped"]) == 1 and result["skipped"][0] in run.stderr
