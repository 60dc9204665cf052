"""Files that are whole or not there, and locks between programs."""

import subprocess
import sys

import pytest

from xnornet.disk import lock, probe, replacing


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
