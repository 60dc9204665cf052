"""Files that are whole or not there, and locks between programs."""

import subprocess
import sys
from pathlib import Path

import pytest

from xnornet.disk import exclusive, lock, md5_of, probe, remove_leftovers, replacing, user_cache


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


def test_a_write_probe_leaves_no_file_and_reports_where_it_fails(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    probe(path)
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]
    for refused in (tmp_path / "none" / "file", path / "file"):
        with pytest.raises(OSError):
            probe(refused)


def test_two_who_write_at_once_leave_the_file_of_one(tmp_path):
    path = tmp_path / "file"
    with replacing(path) as first:
        first.write(b"first, begun")
        with replacing(path) as second:
            second.write(b"second")
        assert path.read_bytes() == b"second"
        first.write(b" and ended")
    assert path.read_bytes() == b"first, begun and ended" and list(tmp_path.iterdir()) == [path]


def test_what_a_killed_program_left_can_be_removed_and_nothing_else(tmp_path):
    path, others = (
        tmp_path / "net[1].npz",
        ["net1.npz", "net[1].npz", ".net[1].npz.lock", ".net[1].npz.0.tmp"],
    )
    for name in others:
        (tmp_path / name).touch()
    program = (
        "import os, sys; from xnornet.disk import replacing\n"
        "with replacing(sys.argv[1]) as file: file.write(b'half'); os._exit(1)"
    )
    subprocess.run([sys.executable, "-c", program, path])
    assert len(list(tmp_path.iterdir())) == len(others) + 1
    remove_leftovers(path)
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(others)


def test_a_checksum_is_that_of_md5sum(tmp_path):
    # RFC 1321, appendix A.5.
    (tmp_path / "file").write_bytes(b"message digest")
    assert md5_of(tmp_path / "file") == "f96b697d7cb7938d525a2f31aaf161d0"


def test_a_lock_opened_before_it_was_free_excludes_later_ones(tmp_path):
    with exclusive(tmp_path / "file") as alone:
        assert alone
        (beside,) = tmp_path.iterdir()
        late = open(beside, "a")
    with late, exclusive(tmp_path / "file") as alone:
        assert lock(late) != alone


RACE = """
import os, sys
from xnornet.disk import exclusive
inside = sys.argv[1] + ".inside"
entered = 0
while entered < 300:
    with exclusive(sys.argv[1]) as alone:
        if alone:
            os.close(os.open(inside, os.O_CREAT | os.O_EXCL))
            os.unlink(inside)
            entered += 1
"""


def test_programs_that_race_for_a_lock_are_never_in_at_once(tmp_path):
    command = [sys.executable, "-c", RACE, tmp_path / "file"]
    racers = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    assert [racer.communicate(timeout=120)[1] for racer in racers] == [""] * 3


def test_a_lock_that_another_user_made_can_be_taken(tmp_path, monkeypatch):
    with exclusive(tmp_path / "file"):
        pass

    def open_as_another(path, mode="r"):
        if mode != "r":
            raise PermissionError
        return open(path, mode)

    monkeypatch.setattr("xnornet.disk.open", open_as_another, raising=False)
    with exclusive(tmp_path / "file") as alone:
        assert alone


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
