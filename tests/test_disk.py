"""Files that are whole or not there, and locks between programs."""

import subprocess
import sys
from pathlib import Path

import pytest

from xnornet.disk import lock, probe, replacing, user_cache


def test_a_file_is_replaced_once_it_is_whole(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with replacing(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new" and list(tmp_path.iterdir()) == [path]


def test_a_failure_leaves_what_was_there(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(EOFError), replacing(path) as file:
        file.write(b"half")
        raise EOFError
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_a_probe_leaves_nothing_and_tells_where_no_file_can_be_written(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    probe(path)
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]
    for refused in (tmp_path / "none" / "file", path / "file"):
        with pytest.raises(OSError):
            probe(refused)


def test_one_program_at_a_time_holds_a_lock(tmp_path):
    program = "import sys; from xnornet.disk import lock; print(lock(open(sys.argv[1], 'a')))"

    def other():
        done = subprocess.run(
            [sys.executable, "-c", program, tmp_path / "file"], capture_output=True, text=True
        )
        return done.stdout.strip()

    with open(tmp_path / "file", "a") as file:
        assert lock(file)
        assert other() == "False"
    assert other() == "True"


@pytest.mark.parametrize(
    "platform, variables, expected",
    [
        ("linux", {}, "/home/me/.cache/xnornet"),
        ("linux", {"XDG_CACHE_HOME": "/scratch/me"}, "/scratch/me/xnornet"),
        ("linux", {"XDG_CACHE_HOME": ""}, "/home/me/.cache/xnornet"),
        # The XDG specification: a relative path is to be ignored.
        ("linux", {"XDG_CACHE_HOME": "scratch"}, "/home/me/.cache/xnornet"),
        ("darwin", {"XDG_CACHE_HOME": "/scratch/me"}, "/home/me/Library/Caches/xnornet"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/xnornet/xnornet/Cache"),
        ("win32", {}, "/home/me/AppData/Local/xnornet/xnornet/Cache"),
    ],
)
def test_caches_are_where_the_system_has_them(monkeypatch, platform, variables, expected):
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HOME": "/home/me", **variables}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.platform", platform)
    assert user_cache() == Path(expected)


def test_a_user_without_a_home_is_an_error_of_the_system(monkeypatch):
    def none():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr("pathlib.Path.home", none)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    with pytest.raises(OSError, match="set HOME"):
        user_cache()
