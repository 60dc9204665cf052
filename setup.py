"""Install xnornet, and with it the ``theano`` package that Lasagne imports."""

import re
from pathlib import Path

from setuptools import find_packages, setup

here = Path(__file__).resolve().parent
version = re.search(r'__version__ = "(.+?)"', (here / "xnornet/__init__.py").read_text())[1]

setup(
    name="xnornet",
    version=version,
    description="Train XNOR-Nets in Lasagne, check them in fixed point, ship them as bits",
    long_description=(here / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    packages=find_packages(include=["xnornet", "xnornet.*", "theano", "theano.*"]),
    python_requires=">=3.11",
    install_requires=(here / "requirements.txt").read_text().split("\n"),
    extras_require={
        "test": ["pytest>=8", "pytest-xdist>=3.5", "hypothesis>=6.100", "ruff>=0.6"],
        "cuda": ["jax[cuda12]>=0.10"],
        "bench": ["onnx>=1.16", "onnxruntime>=1.18", "torch>=2.4"],
    },
)
