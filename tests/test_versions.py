"""Versions of libraries: those of the metadata are those that are checked, and a wrong one is one line."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import theano.versions
import xnornet.versions

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
REMEDY = "run `pip install 'numba>=0.65,<0.69'`"


def test_what_is_checked_at_import_is_what_the_metadata_admits():
    checked = {**theano.versions.TESTED, **xnornet.versions.TESTED}
    assert checked.keys() == {"pytensor", "jax", "numba"}
    for name, (least, end) in checked.items():
        assert f"{name}>={least},<{end}" in PROJECT["dependencies"]


def test_every_bound_is_capped():
    assert all(re.search("<|==", dependency) for dependency in PROJECT["dependencies"])


def test_the_requirements_are_those_of_the_metadata():
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    assert [line for line in lines if not line.startswith("#")] == PROJECT["dependencies"]


def test_continuous_integration_pins_every_dependency_within_its_bounds():
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    pins = {canonicalize_name(name): version for name, version in pins.items()}
    for text in PROJECT["dependencies"] + PROJECT["optional-dependencies"]["test"]:
        wanted = Requirement(text)
        assert wanted.specifier.contains(pins[canonicalize_name(wanted.name)]), text


PATCH = """
import sys
from importlib import metadata
library, found, true = sys.argv[1], sys.argv[2], metadata.version
def version(name):
    if name == library and found == "missing":
        raise metadata.PackageNotFoundError(name)
    return found if name == library else true(name)
metadata.version = version
"""


def run(statement, library, version):
    """Run a statement in a process of its own where a library has another version, or is "missing"."""
    return subprocess.run(
        [sys.executable, "-c", PATCH + statement, library, version], cwd=ROOT, capture_output=True, text=True
    )


@pytest.mark.parametrize("module", ["xnornet.engine", "xnornet.ops"])
def test_a_numba_that_is_too_old_is_one_line_with_the_remedy(module):
    done = run(f"import {module}", "numba", "0.64.2")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        f"ImportError: numba 0.64.2 is older than 0.65, the oldest that works; {REMEDY}"
    )


@pytest.mark.parametrize("version", ["0.69.0rc1", "0.69.1", "1.0.0", "0+unknown"])
def test_a_numba_that_nobody_tested_works_with_a_warning(version):
    done = run("import xnornet.engine", "numba", version)
    assert done.returncode == 0
    assert done.stderr.count("\n") <= 2
    assert f"UserWarning: numba {version} has not been tested; if anything fails, {REMEDY}" in done.stderr


@pytest.mark.parametrize("version", ["0.65.0", "0.65.1", "0.68.0", "0.68.1"])
def test_a_numba_within_the_bounds_says_nothing(version):
    done = run("import xnornet.engine", "numba", version)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_missing_numba_is_one_line_with_the_remedy():
    done = run("import xnornet.engine", "numba", "missing")
    assert done.stderr.splitlines()[-1] == f"ImportError: numba is not installed; {REMEDY}"


@pytest.mark.parametrize("library", ["pytensor", "jax", "numba"])
@pytest.mark.parametrize("version", ["0.0.1", "missing"])
def test_a_command_says_which_library_is_wrong_in_one_line(library, version):
    statement = "from xnornet.cli import main; sys.exit(main(['summary', 'digits_mlp']))"
    done = run(statement, library, version)
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"error: {library} ") and f"pip install '{library}>=" in done.stderr
