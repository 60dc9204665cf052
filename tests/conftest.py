"""Settings of every test: JAX on the CPU, no settings of the person who runs them, no time limits."""

import os

from hypothesis import settings

os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["THEANORC"] = os.devnull
# As the commands have it; floatX is float64 otherwise.
os.environ["THEANO_FLAGS"] = "floatX=float32"

settings.register_profile("local", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")


def pytest_collection_modifyitems(items):
    """Long tests first, so that no worker is left alone with one in the end."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)
