"""A page in headless Chromium, with a script that runs behind its own."""

import http.server
import json
import os
import queue
import shutil
import signal
import subprocess
import threading

import pytest

__all__ = ["browser", "in_browser"]

PROGRAMS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0"]

# A page that nobody sees has few frames.
SCRIPT = """<script>
window.requestAnimationFrame = draw => setTimeout(draw, 10);
ready.then(async () => { %s })
  .then(result => ({ result }), error => ({ error: String(error.stack) }))
  .then(found => fetch("/", { method: "POST", body: JSON.stringify(found) }));
</script>"""

# Seconds that a page may take.
PATIENCE = 120


def browser():
    """Chromium's path; the test is skipped where there is none."""
    found = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if not found:
        pytest.skip("needs chromium, or Debian's smaller chromium-headless-shell")
    return found


def in_browser(page, script, folder):
    """What a script returns, the body of an async function, on an exported page."""
    answers = queue.Queue()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write((page + SCRIPT % script).encode())

        def do_POST(self):
            answers.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        command = [browser(), *FLAGS, f"--user-data-dir={folder / 'profile'}"]
        with open(folder / "chromium.log", "w") as log:
            process = subprocess.Popen(
                [*command, f"http://127.0.0.1:{server.server_port}/"],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
            try:
                answer = answers.get(timeout=PATIENCE)
            except queue.Empty:
                pytest.fail(f"the page gave nothing in {PATIENCE} s; {(folder / 'chromium.log').read_text()}")
            finally:
                # Debian's program is a script that starts it.
                os.killpg(process.pid, signal.SIGTERM)
                process.wait()
                server.shutdown()
    assert "error" not in answer, answer["error"]
    return answer["result"]
