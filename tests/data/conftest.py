"""A server that datasets are downloaded from."""

import http.server
import threading

import pytest


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Serve a folder on this machine: ``(folder, address, requested paths)``."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    requested = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=tmp_path / "served")

        def log_request(self, *args):
            requested.append(self.path)

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield tmp_path / "served", f"http://127.0.0.1:{running.server_port}/", requested
        running.shutdown()
        thread.join()
