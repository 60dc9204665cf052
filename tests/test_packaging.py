"""What is built from the tree: an sdist and a wheel that hold what they should, and work somewhere else."""

import importlib.util
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

import xnornet

ROOT = Path(__file__).resolve().parents[1]
STEM = f"xnornet-{xnornet.__version__}"
NOT_SOURCE = shutil.ignore_patterns(
    ".git",
    ".venv*",
    "_build",
    "runs",
    "build",
    "dist",
    "*.egg-info",
    ".hypothesis",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
)
# Of no use without the repository.
ONLY_IN_THE_REPOSITORY = (".ci/", ".git", ".pre-commit-config.yaml")

pytestmark = [
    pytest.mark.skipif(
        int(metadata.version("setuptools").split(".")[0]) < 77,
        reason="builds need setuptools 77; pip install 'setuptools>=77,<81'",
    ),
    pytest.mark.skipif(importlib.util.find_spec("pip") is None, reason="builds and installs need pip"),
]


def run(*command, cwd, status=0, **variables):
    """What a command prints that does not see the tree that the suite runs in."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={**environment, **variables},
        capture_output=True,
        text=True,
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


def pip(*arguments, cwd):
    run(sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments, cwd=cwd)


def wheel_of(source, folder):
    """Build a wheel from a folder or an sdist with the backend that is installed here."""
    pip("wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", folder, source, cwd=folder)
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def sdist(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sdist")
    shutil.copytree(ROOT, folder / "tree", ignore=NOT_SOURCE)
    program = "import sys; from setuptools.build_meta import build_sdist; build_sdist(sys.argv[1])"
    run(sys.executable, "-c", program, folder, cwd=folder / "tree")
    return folder / f"{STEM}.tar.gz"


@pytest.fixture(scope="module")
def wheel(sdist, tmp_path_factory):
    return wheel_of(sdist, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """A folder with the wheel installed, and another one to work in."""
    target, elsewhere = tmp_path_factory.mktemp("installed"), tmp_path_factory.mktemp("elsewhere")
    pip("install", "--no-deps", "--no-index", "--target", target, wheel, cwd=elsewhere)
    return target, elsewhere


def names_in_wheel(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def names_in_sdist(sdist):
    with tarfile.open(sdist) as archive:
        return {member.name.removeprefix(f"{STEM}/") for member in archive if member.isfile()}


def test_the_sdist_has_the_whole_tree(sdist):
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode != 0 or not listed.stdout:
        pytest.skip("not a git repository")
    tracked = {name for name in listed.stdout.splitlines() if (ROOT / name).exists()}
    wanted = {name for name in tracked if not name.startswith(ONLY_IN_THE_REPOSITORY)}
    assert wanted <= names_in_sdist(sdist)


def test_the_sdist_has_nothing_that_a_program_left(sdist):
    names = names_in_sdist(sdist)
    assert {"LICENSE", "pyproject.toml", "tests/test_packaging.py", "models/digits_mlp.npz"} <= names
    assert not [name for name in names if "__pycache__" in name or name.startswith(("runs/", ".venv"))]


def test_the_wheel_has_the_three_packages_and_the_license_and_nothing_else(wheel):
    modules = {
        str(path.relative_to(ROOT))
        for name in ("xnornet", "theano", "pylearn2")
        for path in (ROOT / name).rglob("*.py")
    }
    names = names_in_wheel(wheel)
    others = {name for name in names if not name.startswith(f"{STEM}.dist-info/")}
    data = {f"xnornet/export/c/runtime/xnor.{kind}" for kind in "ch"} | {"xnornet/export/html/page.html"}
    assert others == modules | data | {"xnornet/py.typed", "theano/py.typed"}
    assert f"{STEM}.dist-info/licenses/LICENSE" in names


def test_the_tree_gives_the_wheel_that_the_sdist_gives(sdist, wheel, tmp_path):
    shutil.copytree(sdist.parent / "tree", tmp_path / "tree")
    assert names_in_wheel(wheel_of(tmp_path / "tree", tmp_path)) == names_in_wheel(wheel)


def test_the_metadata_is_complete(wheel):
    with zipfile.ZipFile(wheel) as archive:
        written = metadata.PathDistribution(zipfile.Path(archive, f"{STEM}.dist-info/")).metadata
        text = archive.read(f"{STEM}.dist-info/METADATA").decode()
    assert written["Name"] == "xnornet" and written["Version"] == xnornet.__version__
    assert written["License-Expression"] == "MIT" and written["License-File"] == "LICENSE"
    assert written["Requires-Python"] == ">=3.11"
    for minor in (11, 12, 13):
        assert f"Programming Language :: Python :: 3.{minor}" in written.get_all("Classifier")
    assert written.get_all("Project-URL") == ["Paper, https://arxiv.org/abs/1603.05279"]
    assert {"test", "cuda", "bench", "docs", "onnx", "qonnx"} == set(written.get_all("Provides-Extra"))
    assert (ROOT / "README.md").read_text().strip() in text


@pytest.mark.parametrize("command", [["-m", "xnornet"], ["bin/xnornet"]], ids=["module", "console script"])
def test_the_command_works_in_another_folder(installed, command, tmp_path):
    target, elsewhere = installed
    if command[0] != "-m":
        command = [target / command[0]]
    command = [sys.executable, *command]
    shown = run(*command, "--help", cwd=elsewhere, PYTHONPATH=str(target))
    assert shown.startswith(f"usage: {'python -m xnornet' if '-m' in command else 'xnornet'} ")
    places = {"PYTHONPATH": str(target), "PYLEARN2_DATA_PATH": str(tmp_path)}
    found = run(*command, "data", "check", "mnist", cwd=elsewhere, status=1, **places)
    assert found.splitlines()[-1].startswith("files are missing:")


def test_the_engine_predicts_in_another_folder(installed):
    import numpy as np

    from xnornet import data, engine

    target, elsewhere = installed
    model = ROOT / "models/digits_mlp.npz"
    images = data.load("digits").test.images[:8]
    np.save(elsewhere / "images.npy", images)
    program = (
        "import sys, numpy, xnornet.engine\n"
        "assert xnornet.__file__.startswith(sys.argv[1])\n"
        "print(xnornet.engine.load(sys.argv[2]).predict(numpy.load('images.npy')).tolist())"
    )
    found = run(sys.executable, "-c", program, target, model, cwd=elsewhere, PYTHONPATH=str(target))
    assert found.strip() == str(engine.load(model).predict(images).tolist())


def test_theano_and_lasagne_import_in_another_folder(installed):
    target, elsewhere = installed
    program = (
        "import sys, theano, xnornet.layers\n"
        "assert all(m.__file__.startswith(sys.argv[1]) for m in (theano, xnornet.layers))"
    )
    run(sys.executable, "-c", program, target, cwd=elsewhere, PYTHONPATH=str(target))
