"""The benchmark of training: it reports what the trainers' processes measured."""

import json
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from printed import assert_numbers

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
NETWORKS = ("mnist_mlp", "cifar10_convnet")

measured = st.builds(
    lambda seconds, first, memory: {
        "seconds": seconds,
        "first_step_s": first,
        "memory": memory,
        "loss": 1.5,
        "version": "made up 1.0",
    },
    st.lists(st.floats(1e-6, 100), min_size=1, max_size=7),
    st.floats(1e-3, 1e3),
    st.none() | st.integers(0, 2**33),
)
names = st.sampled_from(("ours", "torch_eager", "torch_compile_bfloat16", "larq", "theano"))
keys = st.tuples(st.sampled_from(NETWORKS), st.sampled_from((50, 128)), names)
results = st.dictionaries(keys, st.lists(measured, min_size=1, max_size=4), min_size=1, max_size=10)


@pytest.fixture(scope="module")
def training():
    path = list(sys.path)
    yield runpy.run_path(str(BENCHMARKS / "training.py"))
    sys.path[:] = path


@given(runs=results, chunk=st.integers(1, 9))
def test_a_median_has_as_many_steps_above_as_below_and_ratios_are_over_ours(training, runs, chunk):
    cells = training["summarize"](runs, chunk)["cells"]
    assert [(c["network"], c["batch"], c["contender"]) for c in cells] == list(runs)
    at = dict(zip(runs, cells, strict=True))
    for (network, batch, _), cell in at.items():
        rounds = runs[network, batch, cell["contender"]]
        times = [1e3 * s for r in rounds for s in r["seconds"]]
        slack = 1e-9 * cell["ms_per_step"]
        assert sum(t <= cell["ms_per_step"] + slack for t in times) * 2 >= len(times)
        assert sum(t >= cell["ms_per_step"] - slack for t in times) * 2 >= len(times)
        assert cell["steps"] == chunk * len(times) and len(cell["round_medians"]) == len(rounds)
        assert cell["images_per_s"] * cell["ms_per_step"] == pytest.approx(1000 * batch)
        ours = at.get((network, batch, "ours"))
        assert cell["ratio"] == (pytest.approx(cell["ms_per_step"] / ours["ms_per_step"]) if ours else None)
        assert (cell["memory_mib"] is None) == all(r["memory"] is None for r in rounds)


@given(runs=results, device=st.sampled_from(("cpu", "cuda")))
def test_tables_have_the_numbers_of_the_json(training, runs, device):
    machine = {"cpu": "A processor of a long name " * 5, "cores": 2, "gpu": "A card"}
    options = {
        "device": device,
        "width": 0.25,
        "pages": "huge",
        "rounds": 3,
        "steps": 5,
        "chunk": 10,
        "limits": {"NUMBA_CPU_NAME": "haswell"},
    }
    result = {"machine": machine, **options, **training["summarize"](runs, 10)}
    text = training["format_result"](result)
    lines = text.splitlines()
    assert "NUMBA_CPU_NAME=haswell" in lines
    assert ("TF32" in text) == (device == "cuda")
    # A table for each network and batch, with a row for each contender.
    tables = list(dict.fromkeys(key[:2] for key in runs))
    order = list(training["CONTENDERS"])
    keys = ("ms_per_step", "images_per_s", "ratio", "first_step_s", "memory_mib")
    rows = sorted(
        result["cells"],
        key=lambda c: (tables.index((c["network"], c["batch"])), order.index(c["contender"])),
    )
    expected = [[cell[key] for key in keys if cell[key] is not None] for cell in rows]
    assert_numbers(lines[lines.index("") :], expected)


@pytest.mark.parametrize(
    "name, python, line",
    [
        ("larq", None, "larq: skipped, as it lacks larq, tf_keras; python3.11 -m venv larq"),
        ("larq", "/no/such/python", "larq: skipped, as it lacks a Python that runs at /no/such/python; "),
        ("theano", None, "theano: skipped, as no Python that has it is named; python3.11 -m venv old"),
        (
            "theano",
            sys.executable,
            f"theano: skipped, as {sys.executable} does not run or has no Theano-PyMC",
        ),
    ],
)
def test_an_absent_contender_is_reported_in_one_line_with_its_remedy(training, name, python, line):
    found = training["missing"](name, python, "cpu")
    assert found.startswith(line) and "pip install" in found and "\n" not in found
    assert found.endswith(f"then --{name}-python {'larq' if name == 'larq' else 'old'}/bin/python")


@pytest.mark.parametrize("name", ["larq", "theano"])
def test_what_trains_on_the_processor_alone_is_left_out_on_a_gpu(training, name):
    assert "runs on the processor alone" in training["missing"](name, sys.executable, "cuda")
    assert training["missing"]("ours", sys.executable, "cuda") is None


TRAINER = f"""
import sys
sys.path.append({str(BENCHMARKS / "trainers")!r})
from laps import compete

seen = []

def load(task):
    assert (task.network, task.width, task.variant, task.device) == ("cifar10_convnet", 0.5, "made_up", "cpu")
    assert task.images.dtype == "uint8" and task.images.shape[1:] == (3, 32, 32)
    assert task.labels.shape == task.images.shape[:1] and set(task.labels) == set(range(10))

    def run(rows):
        assert rows.dtype == "int32" and 0 <= rows.min() and rows.max() < len(task.labels)
        seen.append(rows.shape)
        return 0.5

    return run

# What imports take for a moment is not the step's.
del [b"1" * (256 << 20)][0]
compete(load, "made up 1.0", ["made_up"])
print(seen, file=sys.stderr)
"""


def test_a_trainer_is_called_for_chunks_of_steps(tmp_path):
    (tmp_path / "made_up.py").write_text(TRAINER)
    command = [sys.executable, tmp_path / "made_up.py", "cifar10_convnet", "made_up"]
    command += ["--batch=7", "--width=0.5", "--steps=5", "--chunk=2"]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    result = json.loads(run.stdout)
    assert result["version"] == "made up 1.0" and result["loss"] == 0.5
    assert len(result["seconds"]) == 3 and min(result["seconds"]) >= 0 and result["first_step_s"] > 0
    assert run.stderr.strip() == str(6 * [(2, 7)])
    assert result["memory"] is None or result["memory"] < 100 << 20


FAILING = "import sys; sys.exit('no such instruction')"
MADE_UP = """
import json
print("a line that a library prints")
print(json.dumps({"seconds": [0.25, 0.5, 1], "first_step_s": 2, "memory": 2**21, "loss": 1, "version": "1"}))
"""


@pytest.fixture
def run(training, monkeypatch, tmp_path, capsys):
    """Run the program with trainers of these lines each."""
    (tmp_path / "trainers").mkdir()
    variables = training["main"].__globals__
    monkeypatch.setitem(variables, "HERE", tmp_path)
    for variable in ("LARQ_PYTHON", "THEANO_PYTHON"):
        monkeypatch.delenv(variable, raising=False)

    def run(scripts, *options):
        for name, script in scripts.items():
            (tmp_path / "trainers" / f"{name}.py").write_text(script)
            contender = training["Contender"]("Made up", name, "default", ("json",), "get it")
            monkeypatch.setitem(variables["CONTENDERS"], name, contender)
        monkeypatch.setattr(sys, "argv", ["training.py", *options])
        variables["main"]()
        return capsys.readouterr()

    return run


def test_the_program_continues_without_those_that_fail_or_are_absent(run):
    options = "--only ours,torch_eager,larq --network cifar10_convnet --rounds 2 --json"
    found = run({"ours": MADE_UP, "torch_eager": FAILING}, *options.split())
    result = json.loads(found.out)
    assert [(c["contender"], c["batch"], c["ms_per_step"], c["steps"]) for c in result["cells"]] == [
        ("ours", 50, 500, 6),
        ("ours", 128, 500, 6),
    ]
    assert list(result["skipped"]) == ["larq"]
    assert result["failures"] == [
        f"torch_eager: failed on cifar10_convnet, batch {n}: no such instruction" for n in (50, 128)
    ]
    assert found.err.splitlines() == [*result["skipped"].values(), *result["failures"]]


@pytest.mark.parametrize(
    "options, line",
    [
        (["--only", "ours,jax"], "'jax' is unknown; choose of ours,ours_float32,"),
        (["--network", "resnet"], "'resnet' is unknown; choose of mnist_mlp,cifar10_convnet"),
        (["--batch", "0"], "it takes positive whole numbers such as 1,2; got '0'"),
        (["--steps", "0"], "--rounds, --steps and --chunk take 1 or more"),
        (["--width", "nan"], "--width takes a positive number"),
    ],
)
def test_a_wrong_option_is_reported_in_one_line(run, capsys, options, line):
    with pytest.raises(SystemExit):
        run({}, *options)
    assert line in capsys.readouterr().err.splitlines()[-1]


def test_ours_and_pytorch_are_measured_on_small_networks():
    pytest.importorskip("torch")
    command = [sys.executable, BENCHMARKS / "training.py"]
    command += "--only ours,torch_channels_last,torch_bfloat16 --width 0.02 --batch 4".split()
    command += "--steps 2 --rounds 1 --json".split()
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    result = json.loads(run.stdout)
    assert not result["skipped"] and not result["failures"] and len(result["cells"]) == 6
    for cell in result["cells"]:
        assert cell["steps"] == 2 and 0 < cell["ms_per_step"] < 1e3 * cell["first_step_s"]
        assert 0 < cell["loss"] < 5
