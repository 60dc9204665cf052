"""Downloads from a server on this machine that drops connections, with and without Range."""

import hashlib
import http.server
import os
import re
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from extent import examples
from hypothesis import example, given, settings
from hypothesis import strategies as st

from xnornet.data import DataError
from xnornet.data.mirrors import fetch

CONTENT = np.random.default_rng(0).integers(0, 256, 3_000_000).astype(np.uint8).tobytes()
MD5 = hashlib.md5(CONTENT).hexdigest()


class Server(http.server.ThreadingHTTPServer):
    """Each folder of the address is another way to answer; ``asked`` lists ``(path, Range)``."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked = []
        self.pause = threading.Event()

    def mirror(self, way):
        return f"http://127.0.0.1:{self.server_port}/{way}/"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        way, asked = self.path.split("/")[1], self.headers.get("Range")
        self.server.asked.append((way, asked))
        content = b"<html>sign in</html>" if way == "portal" else CONTENT
        first = int(re.fullmatch(r"bytes=(\d+)-", asked)[1]) if asked and way != "plain" else 0
        if way == "absent":
            return self.send_error(404)
        if first and first >= len(content):
            return self.send_error(416)
        self.send_response(206 if first else 200)
        if first:
            claimed = first + 1 if way == "confused" else first
            self.send_header("Content-Range", f"bytes {claimed}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - first))
        self.end_headers()
        if way in ("dropping", "slow"):
            self.wfile.write(content[first : first + 1_000_000])
            self.wfile.flush()
            if way == "slow":
                self.server.pause.wait(30)
        else:
            self.wfile.write(content[first:])

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def running():
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.pause.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def dropper(running, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    running.asked.clear()
    return running


def get(folder, dropper, *ways):
    return fetch(folder, "file.bin", [dropper.mirror(way) for way in ways], {"file.bin": MD5})


def message_of(*args):
    with pytest.raises(DataError) as caught:
        get(*args)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def contents(folder):
    """Of all files but the lock's."""
    files = {file.name: file.read_bytes() for file in folder.iterdir()}
    assert files.pop(".download.lock", b"") == b""
    return files


def test_a_dropped_connection_keeps_what_came_and_the_next_attempt_asks_for_the_rest(dropper, tmp_path):
    message = message_of(tmp_path, dropper, "dropping")
    kept = contents(tmp_path)["file.bin.part"]
    assert 900_000 < len(kept) <= 1_000_000 and CONTENT.startswith(kept)
    assert f"{len(kept):,} bytes of it are kept for the next attempt" in message
    assert get(tmp_path, dropper, "ranges") == tmp_path / "file.bin"
    assert contents(tmp_path) == {"file.bin": CONTENT}
    assert dropper.asked == [("dropping", None), ("ranges", f"bytes={len(kept)}-")]


def test_one_mirror_resumes_what_another_dropped(dropper, tmp_path):
    get(tmp_path, dropper, "dropping", "absent", "dropping", "ranges")
    assert contents(tmp_path) == {"file.bin": CONTENT}
    assert [way for way, _ in dropper.asked] == ["dropping", "absent", "dropping", "ranges"]
    first, second, third = (int(asked[6:-1]) for _, asked in dropper.asked[1:])
    assert 900_000 < first == second < 1_000_001 < 1_800_000 < third <= 2_000_000


@settings(max_examples=examples(40))
@given(
    kept=st.integers(0, len(CONTENT) + 10),
    damaged=st.booleans(),
    way=st.sampled_from(["ranges", "plain", "confused"]),
)
@example(kept=len(CONTENT), damaged=False, way="ranges")
@example(kept=len(CONTENT), damaged=True, way="ranges")
@example(kept=len(CONTENT) + 1, damaged=False, way="ranges")
def test_the_file_is_right_whatever_was_kept(running, kept, damaged, way):
    os.environ["NO_PROXY"] = "127.0.0.1"
    part = bytearray((CONTENT + bytes(10))[:kept])
    if damaged and part:
        part[len(part) // 2] ^= 1
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "file.bin.part").write_bytes(part)
        get(Path(folder), running, way)
        assert contents(Path(folder)) == {"file.bin": CONTENT}


def test_a_whole_part_is_only_renamed(dropper, tmp_path):
    (tmp_path / "file.bin.part").write_bytes(CONTENT)
    get(tmp_path, dropper, "ranges")
    assert dropper.asked == [("ranges", f"bytes={len(CONTENT)}-")]


def test_a_wrong_checksum_leaves_nothing_and_the_next_mirror_starts_over(dropper, tmp_path):
    message = message_of(tmp_path / "a", dropper, "portal", "absent")
    assert re.search(r"127.0.0.1:\d+: wrong checksum; 127.0.0.1:\d+: HTTP 404\)", message)
    assert contents(tmp_path / "a") == {}
    get(tmp_path / "b", dropper, "portal", "ranges")
    assert contents(tmp_path / "b") == {"file.bin": CONTENT}
    assert dropper.asked[-1] == ("ranges", None)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_killed_download_is_resumed(dropper, tmp_path, number):
    program = (
        "import sys, pathlib; from xnornet.data.mirrors import fetch;"
        "fetch(pathlib.Path(sys.argv[1]), 'file.bin', [sys.argv[2]], {'file.bin': sys.argv[3]})"
    )
    command = [sys.executable, "-c", program, tmp_path, dropper.mirror("slow"), MD5]
    with subprocess.Popen(command, cwd=Path(__file__).parents[2], stderr=subprocess.DEVNULL) as process:
        part, deadline = tmp_path / "file.bin.part", time.monotonic() + 30
        while (not part.exists() or part.stat().st_size < 500_000) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert "another program is downloading to it" in message_of(tmp_path, dropper, "ranges")
        process.send_signal(number)
    kept = part.read_bytes()
    assert 500_000 <= len(kept) <= 1_000_000 and CONTENT.startswith(kept)
    get(tmp_path, dropper, "ranges")
    assert contents(tmp_path) == {"file.bin": CONTENT}
    assert dropper.asked[-1] == ("ranges", f"bytes={len(kept)}-")


def test_files_have_the_permissions_of_any_other_file(dropper, tmp_path):
    (tmp_path / "other").touch()
    file = get(tmp_path, dropper, "ranges")
    assert stat.S_IMODE(file.stat().st_mode) == stat.S_IMODE((tmp_path / "other").stat().st_mode)


def test_a_folder_that_cannot_be_made_is_named(dropper, tmp_path):
    (tmp_path / "file").touch()
    message = message_of(tmp_path / "file" / "folder", dropper, "ranges")
    assert "cannot be written (Not a directory)" in message and str(tmp_path / "file" / "folder") in message
    assert dropper.asked == []


def test_the_message_says_where_files_belong(tmp_path):
    with pytest.raises(DataError, match=r"downloading is off; put a, b in .*/c/d, or .* in DIR/c/d$"):
        fetch(tmp_path / "c" / "d", "a", ["http://x/"], {"a": MD5, "b": MD5}, download=False, home="c/d")
    assert list(tmp_path.iterdir()) == []
