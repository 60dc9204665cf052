"""The benchmark of inference, on made-up contenders: it reports the times that they measured."""

import json
import runpy
import subprocess
import sys
from itertools import product
from pathlib import Path

import lasagne
import pytest
from hypothesis import given
from hypothesis import strategies as st
from printed import assert_numbers

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"

seconds = st.lists(st.floats(1e-6, 100), min_size=1, max_size=9)
memory = st.none() | st.integers(0, 2**33)
rounds = st.lists(
    st.builds(lambda s, m: {"seconds": s, "memory": m, "version": "made up 1.0"}, seconds, memory)
)


@pytest.fixture(scope="module")
def inference():
    path = list(sys.path)
    yield runpy.run_path(str(BENCHMARKS / "inference.py"))
    sys.path[:] = path


@st.composite
def results(draw):
    """Some cells of a run in which contenders may be missing."""
    names = ("ours", "ours_unscaled", "ort_float32", "ort_int8", "torch_simulated", "lce")
    works = st.sampled_from(("cifar10_convnet", "conv256_16x16"))
    keys = st.tuples(works, st.sampled_from((1, 64)), st.sampled_from((1, 2, 3)), st.sampled_from(names))
    return draw(st.dictionaries(keys, rounds.filter(bool), min_size=1, max_size=12))


@given(runs=results())
def test_a_median_has_as_many_calls_above_as_below(inference, runs):
    summary = inference["summarize"](runs)
    assert [(c["work"], c["batch"], c["threads"], c["contender"]) for c in summary["cells"]] == list(runs)
    for cell, measured in zip(summary["cells"], runs.values(), strict=True):
        calls = [s * 1e3 / cell["batch"] for r in measured for s in r["seconds"]]
        slack = 1e-9 * cell["ms_per_image"]
        assert sum(c <= cell["ms_per_image"] + slack for c in calls) * 2 >= len(calls) == cell["calls"]
        assert sum(c >= cell["ms_per_image"] - slack for c in calls) * 2 >= len(calls)
        assert cell["fastest"] == pytest.approx(min(calls))
        assert len(cell["round_medians"]) == len(measured)
        assert (cell["memory_mib"] is None) == all(r["memory"] is None for r in measured)


def test_a_ratio_is_over_ours_in_the_same_cell(inference):
    def measured(*seconds):
        return [{"seconds": list(seconds), "memory": 3 * 2**20, "version": "1"}]

    runs = {
        ("conv256_16x16", 1, 1, "lce"): measured(0.006, 0.002, 0.004),
        ("conv256_16x16", 1, 2, "lce"): measured(0.003),
        ("conv256_16x16", 64, 2, "lce"): measured(0.128),
        ("conv256_16x16", 1, 1, "ours"): measured(0.001),
        ("conv256_16x16", 64, 2, "ours"): measured(0.032, 0.096),
    }
    cells = inference["summarize"](runs)["cells"]
    assert [c["ms_per_image"] for c in cells] == pytest.approx([4, 3, 2, 1, 1])
    assert [c["ratio"] for c in cells] == [pytest.approx(4), None, pytest.approx(2), 1, 1]
    assert {c["memory_mib"] for c in cells} == {3}


@given(runs=results())
def test_tables_have_the_numbers_of_the_json(inference, runs):
    machine = {"cpu": "A processor of a long name " * 5, "cores": 2}
    result = {"machine": machine, "rounds": 3, "seconds_per_cell": 0.5, **inference["summarize"](runs)}
    text = inference["format_result"](result)
    lines = text.splitlines()
    at = {(c["work"], c["batch"], c["threads"], c["contender"]): c for c in result["cells"]}
    expected = []
    # A table for each work, batch and pair of thread counts, with a row for each contender.
    for work, batch in dict.fromkeys(key[:2] for key in runs):
        threads = list(dict.fromkeys(key[2] for key in runs if key[:2] == (work, batch)))
        for i in range(0, len(threads), 2):
            for name in inference["CONTENDERS"]:
                cells = [at[key] for n in threads[i : i + 2] if (key := (work, batch, n, name)) in at]
                values = [cell[k] for cell in cells for k in ("ms_per_image", "ratio", "memory_mib")]
                expected.append([value for value in values if value is not None])
    assert_numbers(lines[lines.index("") :], [row for row in expected if row])


def test_the_works_are_the_network_that_ships(inference):
    from xnornet.layers import XNORConv2DLayer, XNORDenseLayer
    from xnornet.networks import cifar10_convnet

    layers = lasagne.layers.get_all_layers(cifar10_convnet())
    expected = []
    for layer in layers:
        binary = isinstance(layer, XNORConv2DLayer | XNORDenseLayer)
        if isinstance(layer, lasagne.layers.Conv2DLayer):
            assert (layer.filter_size, layer.stride, layer.pad) == ((3, 3), (1, 1), (1, 1))
            expected.append(["conv", layer.input_shape[1], layer.num_filters, binary, False])
        elif isinstance(layer, lasagne.layers.MaxPool2DLayer):
            assert layer.pool_size == (2, 2)
            expected[-1][-1] = True
        elif isinstance(layer, lasagne.layers.DenseLayer):
            features = layer.W.get_value(borrow=True).shape[0]
            expected.append(["dense", features, layer.num_units, binary, False])
    work = inference["WORKS"]["cifar10_convnet"]
    assert (None, *work.input_shape) == layers[0].shape
    assert [list(layer) for layer in work.layers] == expected


@pytest.mark.parametrize("python", [None, "/nowhere/bin/python"])
def test_an_absent_engine_is_reported_in_one_line_with_its_remedy(inference, python):
    line = inference["missing"]("lce", python)
    assert line.startswith("lce: skipped")
    assert "pip install larq-compute-engine==0.16.0 tensorflow-cpu==2.16.1 tf-keras==2.16.0" in line
    assert "\n" not in line and (python is None or python in line)


def test_only_absent_modules_are_reported(inference, monkeypatch):
    kind = inference["Contender"]
    monkeypatch.setitem(
        inference["CONTENDERS"], "ours", kind("Made up", ("json", "no_such_module"), "get it")
    )
    assert inference["missing"]("ours", sys.executable) == "ours: skipped, as it lacks no_such_module; get it"
    monkeypatch.setitem(inference["CONTENDERS"], "ours", kind("Made up", ("json",), "get it"))
    assert inference["missing"]("ours", sys.executable) is None


MADE_UP = """
import json, sys
if sys.argv[1] == "measure":
    print("a line that a library prints")
    print(json.dumps({"seconds": [0.25, 0.5, 1], "memory": 2**21, "version": "made up 1.0"}))
"""
FAILING = "import sys; sys.exit('no such instruction' if 'measure' in sys.argv else 0)"


@pytest.fixture
def run(inference, monkeypatch, tmp_path, capsys):
    """Run the program with contenders of one module each."""
    (tmp_path / "contenders").mkdir()
    names = inference["main"].__globals__
    monkeypatch.setitem(names, "HERE", tmp_path)
    monkeypatch.delenv("LCE_PYTHON", raising=False)
    kind = inference["Contender"]

    def run(scripts, *options):
        for name, script in scripts.items():
            (tmp_path / "contenders" / f"{name}.py").write_text(script)
            monkeypatch.setitem(names["CONTENDERS"], name, kind("Made up", ("json",), "get it"))
        monkeypatch.setattr(sys, "argv", ["inference.py", *options])
        names["main"]()
        return capsys.readouterr()

    return run


def test_the_program_continues_without_those_that_fail_or_are_absent(run):
    options = "--only ours,ort_int8,lce --work conv512_8x8 --batch 1,2 --threads 2 --rounds 2 --json"
    printed = run({"ours": MADE_UP, "ort_int8": FAILING}, *options.split())
    result = json.loads(printed.out)
    assert [(c["contender"], c["batch"], c["ms_per_image"], c["calls"]) for c in result["cells"]] == [
        ("ours", 1, 500, 6),
        ("ours", 2, 250, 6),
    ]
    assert list(result["skipped"]) == ["lce"]
    assert result["failures"] == [
        f"ort_int8: failed at conv512_8x8, batch {n}, threads 2: no such instruction" for n in (1, 2)
    ]
    assert printed.err.splitlines() == [*result["skipped"].values(), *result["failures"]]


def test_our_own_engine_is_measured():
    """With ``K`` and without, on a network and on a convolution."""
    command = [
        sys.executable,
        str(BENCHMARKS / "inference.py"),
        "--only",
        "ours,ours_unscaled,ours_from_floats",
    ]
    command += "--work cifar10_convnet,conv512_8x8 --batch 1 --threads 1 --rounds 1 --json".split()
    command += ["--seconds-per-cell", "0.001"]
    result = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert result["failures"] == [] and not result["skipped"]
    assert {(c["work"], c["contender"]) for c in result["cells"]} == {
        *product(("cifar10_convnet", "conv512_8x8"), ("ours", "ours_unscaled")),
        ("conv512_8x8", "ours_from_floats"),
    }


def test_nothing_measured_is_an_error_and_not_an_empty_table(run):
    with pytest.raises(SystemExit, match="Nothing was measured"):
        run({}, "--only", "lce")


@pytest.mark.parametrize(
    "options, line",
    [
        (["--only", "ours,tflite"], "'tflite' is unknown; choose of ours,"),
        (["--work", "resnet"], "'resnet' is unknown; choose of cifar10_convnet,"),
        (["--threads", "0,1"], "it takes positive whole numbers such as 1,2; got '0,1'"),
        (["--rounds", "0"], "--rounds takes 1 or more"),
        (["--seconds-per-cell", "nan"], "--seconds-per-cell 0 or more"),
    ],
)
def test_a_wrong_option_is_reported_in_one_line(run, capsys, options, line):
    with pytest.raises(SystemExit):
        run({}, *options)
    assert line in capsys.readouterr().err.splitlines()[-1]
