"""Versions of PyTensor and JAX that were not tested: one line at import, with the remedy."""

import os
import subprocess
import sys
from importlib import metadata

import pytest

from theano import versions


def installed(monkeypatch, found):
    def version(name):
        if found is None:
            raise metadata.PackageNotFoundError(name)
        return found

    monkeypatch.setattr(metadata, "version", version)


TESTED = {"pytensor": ("3.0.7", "3.4")}


@pytest.mark.parametrize("found", ["3.0.7", "3.1", "3.3.8", "3.3.8rc1", "3.3.0.post1"])
def test_what_was_tested_passes_in_silence(monkeypatch, found, recwarn):
    installed(monkeypatch, found)
    versions.check_version("pytensor", TESTED)
    assert not recwarn.list


@pytest.mark.parametrize("found", ["2.38.3", "3.0.6", "3", "0", None])
def test_what_is_missing_or_too_old_is_refused_in_one_line(monkeypatch, found):
    installed(monkeypatch, found)
    with pytest.raises(ImportError) as raised:
        versions.check_version("pytensor", TESTED)
    message = str(raised.value)
    assert "\n" not in message and (found or "not installed") in message
    assert "run `pip install 'pytensor>=3.0.7,<3.4'`" in message


@pytest.mark.parametrize("found", ["3.4", "3.4.0", "4.0.1", "unknown"])
def test_what_was_not_tested_is_a_warning(monkeypatch, found):
    installed(monkeypatch, found)
    with pytest.warns(UserWarning, match=f"pytensor {found} has not been tested"):
        versions.check_version("pytensor", TESTED)


@pytest.mark.parametrize("name", ["pytensor", "jax"])
def test_an_old_version_ends_the_import_before_anything_else_fails(tmp_path, name):
    information = tmp_path / f"{name}-0.0.1.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.0.1\n")
    folders = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    process = subprocess.run(
        [sys.executable, "-c", "import theano"],
        env={**os.environ, "PYTHONPATH": folders},
        capture_output=True,
        text=True,
    )
    last = process.stderr.strip().splitlines()[-1]
    assert last.startswith(f"ImportError: {name} 0.0.1 is installed; at least ") and "pip install" in last
