"""Settings of every test: JAX on the CPU, no settings of the person who runs them, no time limits."""

import os

from hypothesis import settings

os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["THEANORC"] = os.devnull
os.environ.pop("THEANO_FLAGS", None)

settings.register_profile("local", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")
