"""Code that programs share to compare contenders: order of runs, processes, and checks for missing packages.

What a contender computes, and how its output is used, is left to the programs.
"""

import argparse
import os
import subprocess
from pathlib import Path

__all__ = [
    "Failed",
    "counts",
    "environment",
    "known_names",
    "missing_modules",
    "missing_theano",
    "output",
    "turns",
]

ROOT = Path(__file__).resolve().parents[1]
FIND = """
import importlib.util, sys
root, *modules = sys.argv[1:]
sys.path.append(root)
print(*(module for module in modules if importlib.util.find_spec(module) is None), sep=", ")
"""
THEANO = (
    "python3.11 -m venv old && old/bin/pip install Theano-PyMC==1.1.2 'numpy<1.24' 'setuptools<81', "
    "apt-get install libopenblas-dev g++, then --theano-python old/bin/python"
)


class Failed(Exception):
    """A contender's process failed; one line says why."""


def known_names(known):
    """A type for ``argparse``: names out of ``known``, with commas between."""

    def parse(text):
        for name in text.split(","):
            if name not in known:
                raise argparse.ArgumentTypeError(f"{name!r} is unknown; choose of {','.join(known)}")
        return text.split(",")

    return parse


def counts(text):
    """A type for ``argparse``: positive whole numbers, with commas between."""
    if not all(part.isdecimal() and int(part) > 0 for part in text.split(",")):
        raise argparse.ArgumentTypeError(f"it takes positive whole numbers such as 1,2; got {text!r}")
    return [int(part) for part in text.split(",")]


def turns(names, cells, rounds):
    """The order of measurements: contenders are the inner loop, and every other round is reversed.

    Returns
    -------
    list of (round, cell, name)
    """
    return [
        (i, cell, name) for i in range(rounds) for cell in cells for name in (names[::-1] if i % 2 else names)
    ]


def output(command, env=None):
    """Standard output of a contender's process.

    Raises
    ------
    Failed
        With the last line that the process printed on standard error.
    """
    process = subprocess.run(command, env=env, capture_output=True, text=True)
    if process.returncode:
        printed = process.stderr.strip() or f"exit status {process.returncode}"
        raise Failed(printed.splitlines()[-1])
    return process.stdout


def _lacking(python, modules):
    """What keeps a contender from running, as a phrase after "it lacks"; empty if nothing does.

    Parameters
    ----------
    python : str or None
        The Python that would run it.
    modules : iterable of str
        What that Python must find; ours are found in this repository.
    """
    if not python:
        return ", ".join(modules)
    try:
        return output([python, "-c", FIND, ROOT, *modules]).strip()
    except (OSError, Failed):
        return f"a Python that runs at {python}"


def missing_modules(name, contender, python):
    """One line that says what a contender lacks and how to install it, or None if it can run.

    Parameters
    ----------
    name : str
    contender : object
        With ``needs``, modules that its Python must find, and ``install``, how to get them.
    python : str or None
        The Python that would run it.
    """
    lacks = _lacking(python, contender.needs)
    return f"{name}: skipped, as it lacks {lacks}; {contender.install}" if lacks else None


def missing_theano(python):
    """One line that says why Theano-PyMC cannot run and how to install it, or None if it can.

    Parameters
    ----------
    python : str or None
        The Python that would run it.
    """
    if not python:
        return f"theano: skipped, as no Python that has it is named; {THEANO}"
    try:
        output([python, "-c", "import importlib.metadata as m; print(m.version('Theano-PyMC'))"])
    except (OSError, Failed):
        return f"theano: skipped, as {python} does not run or has no Theano-PyMC; {THEANO}"
    return None


def environment(caches, ours, **flags):
    """The caller's environment with separate caches and none of the caller's settings of Theano.

    Ours finds what the caller's ``PYTHONPATH`` has; the others are not to find our ``theano`` there.

    Parameters
    ----------
    caches : str
        The folder for them, empty or that of an earlier process.
    ours : bool
        Whether the process imports this repository, and so our ``theano`` rather than an installed one.
    **flags
        Further settings of either Theano.

    Returns
    -------
    dict
    """
    dropped = ("PYTHONPATH", "THEANO_FLAGS", "JAX_COMPILATION_CACHE_DIR")
    kept = {key: value for key, value in os.environ.items() if key not in dropped}
    kept.update(THEANORC=os.devnull, TORCHINDUCTOR_CACHE_DIR=caches, TRITON_CACHE_DIR=caches)
    if ours:
        kept.update(
            PYTHONPATH=os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
            PYTENSOR_FLAGS=f"base_compiledir={caches}",
            NUMBA_CACHE_DIR=caches,
            XDG_CACHE_HOME=caches,
        )
    else:
        flags = {"base_compiledir": caches, "floatX": "float32", "blas__ldflags": "-lopenblas", **flags}
    return {**kept, "THEANO_FLAGS": ",".join(f"{key}={value}" for key, value in flags.items())}
