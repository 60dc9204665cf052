"""The commands: what they print, and one clear line for whatever is wrong."""

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from python_mode import in_python

from xnornet.cli import main

ROOT = Path(__file__).resolve().parents[2]
SENTENCE = r"error (\d+\.\d\d)% \(accuracy (\d+\.\d\d)%\) on (\d+) images, mode (\w+), \d+\.\d\d s\n"


def complaint(capsys, *argv, dataset="digits", status=1):
    """The one line with which a command fails."""
    try:
        code = main(["test", *map(str, argv)], dataset=dataset)
    except SystemExit as exit:
        code = exit.code
    printed = capsys.readouterr()
    assert code == status and printed.out == ""
    lines = [line for line in printed.err.splitlines() if "error: " in line]
    assert len(lines) == 1 and "Traceback" not in printed.err
    return lines[0]


@pytest.mark.parametrize("mode", ["float", "fixed"])
def test_the_last_line_has_error_images_mode_and_time(model, capsys, mode):
    assert main(["test", "--model", str(model), "--mode", mode], dataset="digits") == 0
    error, accuracy, count, printed_mode = re.fullmatch(SENTENCE, capsys.readouterr().out).groups()
    assert float(error) + float(accuracy) == pytest.approx(100)
    assert (count, printed_mode) == ("360", mode)
    assert float(error) < 10


def test_json_holds_the_same_numbers(model, capsys):
    main(["test", "--model", str(model), "--no", "200", "--json"], dataset="digits")
    result = json.loads(capsys.readouterr().out)
    assert result["images"] == 200 and result["mode"] == "float"
    assert result["error"] == result["errors"] / 200 == pytest.approx(1 - result["accuracy"])


def test_fixed_point_is_within_half_a_point_of_float_and_few_bits_are_worse(model, capsys):
    errors = {}
    for name, options in {
        "float": [],
        "fixed": ["--mode", "fixed"],
        "coarse": ["--mode", "fixed", "--data-bits", "2", "--param-bits", "1", "--input-bits", "1"],
    }.items():
        main(["test", "--model", str(model), "--json", *options], dataset="digits")
        errors[name] = json.loads(capsys.readouterr().out)["error"]
    assert abs(errors["fixed"] - errors["float"]) <= 0.005
    assert errors["coarse"] > errors["fixed"]


@in_python()
def test_a_report_of_fixed_point_has_the_error_against_bits(model, tmp_path, capsys):
    folder = tmp_path / "report"
    argv = ["test", "--model", str(model), "--mode", "fixed", "--report", str(folder), "--json"]
    assert main(argv, dataset="digits") == 0
    result = json.loads(capsys.readouterr().out)
    names = {"confusion.png", "confusion.csv", "classes.csv", "mistakes.png", "bits.png", "bits.csv"}
    assert {path.name for path in folder.iterdir()} == names
    assert set(result["report"]) == {str(folder / name) for name in names}
    with open(folder / "bits.csv") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["width"]) for row in rows] == list(range(4, 17))
    assert float(rows[-1]["data_error"]) == pytest.approx(result["error"], abs=1e-6)


@pytest.mark.parametrize("count", [0, -1, 361, 10**9])
def test_a_number_of_images_beyond_the_set_is_refused(model, capsys, count):
    line = complaint(capsys, "--model", model, "--no", count)
    assert f"--no is {count}" in line and "1 to 360" in line


def test_a_missing_model_is_refused(tmp_path, capsys):
    assert "not found" in complaint(capsys, "--model", tmp_path / "none.npz")
    assert "is a folder" in complaint(capsys, "--model", "")


def test_a_truncated_model_is_refused(model, tmp_path, capsys):
    (tmp_path / "m.npz").write_bytes(model.read_bytes()[:5000])
    assert "cut short" in complaint(capsys, "--model", tmp_path / "m.npz")


def test_a_model_that_is_not_finite_is_refused(model, tmp_path, capsys):
    path = tmp_path / "m.npz"
    with np.load(model) as file:
        arrays = [file[f"arr_{i}"] for i in range(len(file.files))]
    arrays[3][0] = np.nan
    np.savez(path, *arrays)
    header = json.loads(model.with_suffix(".json").read_text())
    del header["md5"]
    path.with_suffix(".json").write_text(json.dumps(header))
    assert "finite" in complaint(capsys, "--model", path)


def test_a_model_without_its_header_is_taken_for_the_usual_size(model, tmp_path, capsys):
    path = tmp_path / "m.npz"
    path.write_bytes(model.read_bytes())
    assert "another size" in complaint(capsys, "--model", path)


def test_a_model_of_another_network_is_refused(model, tmp_path, capsys):
    assert "It belongs to another network" in complaint(
        capsys, "--model", _renamed(model, tmp_path, "mnist_mlp")
    )
    assert "unknown" in complaint(capsys, "--model", _renamed(model, tmp_path, "lenet"))


def test_a_model_of_another_dataset_is_refused_before_files_are_looked_for(tmp_path, capsys):
    for name, dataset in (("digits_mlp", "mnist"), ("mnist_convnet", "cifar10")):
        model = ROOT / "models" / f"{name}.npz"
        line = complaint(capsys, "--model", model, "--data", tmp_path / "none", dataset=dataset)
        assert f"was trained on {name.partition('_')[0]}, not {dataset}; use it with its own dataset" in line
    assert list(tmp_path.iterdir()) == []


def _renamed(model, folder, network):
    path = folder / f"{network}.npz"
    path.write_bytes(model.read_bytes())
    header = json.loads(model.with_suffix(".json").read_text())
    header["network"] = network
    path.with_suffix(".json").write_text(json.dumps(header))
    return path


def test_a_corrupt_idx_file_is_refused(tmp_path, capsys):
    model = ROOT / "models" / "mnist_convnet.npz"
    (tmp_path / "mnist").mkdir()
    for name in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        (tmp_path / "mnist" / f"{name}-ubyte").write_bytes(b"\0\0\x08\x03 not an idx file")
    line = complaint(capsys, "--model", model, "--data", tmp_path, dataset="mnist")
    assert "train-images-idx3-ubyte" in line and "expected" in line


@pytest.mark.parametrize(
    "wrong",
    [["--mode", "integer"], ["--batch-size", "0"], ["--data-bits", "16"], ["--no", "many"], ["--x"]],
)
def test_wrong_options_are_usage_errors(model, capsys, wrong):
    complaint(capsys, "--model", model, *wrong, status=2)


@pytest.mark.parametrize(
    "setting",
    [
        *("num_units", "num_units=x y", "units=3", "num_units=-1", "num_units=2.5", "num_units=None"),
        *("num_units=(3, 4)", "num_units=True", "num_units={[]}", "dropout='x'", "dropout=1j", "dropout=1"),
        *("scale_inputs={1}", "scale_inputs=1"),
    ],
)
def test_wrong_options_of_the_network_are_refused(tmp_path, capsys, setting):
    out = tmp_path / "m.npz"
    assert main(["train", "--out", str(out), "--set", setting], dataset="digits") == 1
    errors = capsys.readouterr().err
    assert errors.startswith("error: ") and errors.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_log_holds_what_was_printed(tmp_path, capsys):
    log = tmp_path / "logs" / "run.log"
    options = ["--epochs", "1", "--set", "num_units=8", "--out", str(tmp_path / "m.npz")]
    assert main(["train", *options, "--log", str(log)], dataset="digits") == 0
    assert log.read_text() == capsys.readouterr().out


def run(*argv, **options):
    return subprocess.run(argv, capture_output=True, text=True, timeout=300, **options)


def test_the_shell_script_works_from_any_folder_and_passes_options_on(tmp_path):
    environment = {**os.environ, "PYTHON": sys.executable, "XNORNET_LOGS": str(tmp_path / "logs")}
    script = ROOT / "train" / "train_digits.sh"
    options = ["--epochs", "1", "--set", "num_units=8", "--out", "here.npz"]
    done = run("bash", str(script), *options, cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "here.npz").exists()
    (log,) = (tmp_path / "logs").iterdir()
    assert re.fullmatch(r"digits-\d{8}-\d{6}\.log", log.name)
    assert log.read_text() == done.stdout
    tested = run(sys.executable, str(ROOT / "test" / "digits_test.py"), "--model", "here.npz", cwd=tmp_path)
    assert re.fullmatch(SENTENCE, tested.stdout), tested.stderr


@pytest.mark.parametrize("script", ["train/mnist_train.py", "test/mnist_test.py"])
def test_help_lists_every_option(script):
    done = run(sys.executable, str(ROOT / script), "--help")
    assert done.returncode == 0 and done.stdout.startswith(f"usage: {Path(script).name} ")
    wanted = ["--epochs", "--batch-size", "--lr", "--seed", "--net", "--out", "--data", "--resume"]
    if script.startswith("test"):
        wanted = ["--model", "--no", "--mode", "--json", "--data-bits", "--batch-size"]
    for option in wanted:
        assert option in done.stdout


def test_one_program_has_the_same_commands(tmp_path):
    done = run(sys.executable, "-m", "xnornet", "test", "digits", "--model", "none.npz", cwd=ROOT)
    assert done.returncode == 1 and done.stderr.startswith("error: none.npz: not found")
