"""Importing theano where another distribution of that name is installed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def warnings_of_import(*folders):
    """What a fresh Python warns of a second theano when it imports ours."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, [ROOT, *folders]))}
    command = [sys.executable, "-W", "always", "-c", "import theano, lasagne"]
    process = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    return [line for line in process.stderr.splitlines() if "beside xnornet" in line]


def install(folder, name, version):
    """The metadata that pip leaves of a distribution."""
    information = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


@pytest.mark.parametrize("name, version", [("Theano", "1.0.5"), ("Theano-PyMC", "1.1.2")])
def test_a_second_theano_is_reported_once_with_the_remedy(name, version, tmp_path):
    install(tmp_path, name, version)
    (line,) = warnings_of_import(tmp_path)
    assert line.startswith("<string>:1: UserWarning: ")
    assert f"{name} {version} is installed beside xnornet" in line
    assert f"`pip uninstall {name}`" in line and "`pip install --force-reinstall --no-deps .`" in line


def test_other_descendants_of_theano_are_welcome(tmp_path):
    install(tmp_path, "aesara", "2.9.4")
    assert warnings_of_import(tmp_path) == []
