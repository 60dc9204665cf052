"""Settings of every test: JAX on the CPU, no settings of the person who runs them, no time limits."""

import os
import signal
import sys

import extent
import pytest
from hypothesis import settings

os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["THEANORC"] = os.devnull
# As the commands have it; floatX is float64 otherwise.
os.environ["THEANO_FLAGS"] = "floatX=float32"


def pytest_addoption(parser):
    parser.addoption(
        "--all", action="store_true", help="run every test with all its cases, not with a few (make test-all)"
    )


def pytest_configure(config):
    extent.everything = config.getoption("all")
    # A shell that runs the tests in the background has them, and all that they start, ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if not extent.everything:
        # XLA takes half the time to compile, and most tests compile more than they compute.
        os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"
    settings.register_profile("local", deadline=None, max_examples=extent.examples(100))
    settings.register_profile("ci", settings.get_profile("local"), derandomize=True)
    settings.load_profile("ci" if os.environ.get("CI") else "local")


def pytest_collection_modifyitems(items):
    """Long tests first, so that no worker is left alone with one in the end."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)
    for item in items:
        if item.get_closest_marker("only_all") and not extent.everything:
            item.add_marker(pytest.mark.skip(reason="runs with --all only"))


@pytest.fixture(autouse=True)
def module_folders():
    """Folders that a test, or a network's file, puts into ``sys.path`` leave it with the test."""
    folders = list(sys.path)
    yield
    sys.path[:] = folders
