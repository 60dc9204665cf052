"""Run theano-xnor-net, BinaryNet and BinaryConnect, from which this project descends, from their own files.

They are not part of the project: clone each, and Lasagne's git version, and give the folder that holds the
clones. Code that Python 3 and NumPy 2 no longer accept is replaced in a copy, by the list below; the rest
runs as it was written.

    git clone https://github.com/MatthieuCourbariaux/BinaryNet old/BinaryNet        # and so on
    python benchmarks/ancestors.py old BinaryNet/Train-time/mnist.py --epochs 3

With --theano-python, the Python of an environment with Theano 1.0.5, the program runs on that instead; this
Python reads its data sets for it, by the pylearn2 of this project:

    python3.7 -m venv real && real/bin/pip install "numpy<1.20" "scipy<1.6" theano==1.0.5 six
    python benchmarks/ancestors.py old BinaryNet/Train-time/cifar10.py --theano-python real/bin/python

A program's files of weights go to the folder that --keep names; arguments of the program come after "--":

    python benchmarks/ancestors.py old theano-xnor-net/train/cifar10_train.py --images 2000 --keep runs
    python benchmarks/ancestors.py old theano-xnor-net/test/cifar10_test.py -- --model runs/NAME.npz --no 500
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

# Pattern and replacement, each for a reason.
SUBSTITUTIONS = [
    # Python 2: names, tuples among parameters, views in the place of lists, division.
    (r"\bcPickle as pickle\b|\bcPickle\b", "pickle"),
    (
        r"\(self, node, name, \(x,\), \(z,\), sub\):",
        "(self, node, name, xs, zs, sub):\n        (x,), (z,) = xs, zs",
    ),
    (r"\bshuffled_range = range\((len\(\w+\)|\w+)\)", r"shuffled_range = list(range(\1))"),
    (r"\bupdates\.items\(\) \+ ((?:.|\n)*?)\.items\(\)\)", r"list(updates.items()) + list(\1.items()))"),
    (r"\blen\((\w+)\) ?/ ?(shuffle_parts|batch_size)\b", r"len(\1)//\2"),
    (r"\b(k_shape\[-\d\])/2", r"\1//2"),
    (r"^\s*print ([\"'].*)$", r"print(\1)"),
    # SVHN's labels, which theano-xnor-net makes one-hot, and pylearn2 gives one-hot.
    (
        r"(SVHN\(which_set= 'test'.*\n)\s*# convert labels .*\n(?:.*\n){7}(?=\s*# convert to \[-1, 1\])",
        r"\1",
    ),
    # A package that only loads images for display.
    (r"^import cv2$", ""),
]

# pylearn2 for real Theano's Python. What a program calls is an expression, which our Python evaluates when
# its arrays are read.
PYLEARN2 = '''
import importlib.abc, importlib.machinery, os, subprocess, sys, tempfile, types
import numpy as np

OURS, PATH = {ours!r}, {path!r}
PROGRAM = """
import sys, numpy as np
from pylearn2.datasets.cifar10 import *
from pylearn2.datasets.mnist import *
from pylearn2.datasets.svhn import *
from pylearn2.datasets.zca_dataset import *
from pylearn2.utils import serial
from pylearn2.utils.string_utils import preprocess
of = eval(sys.argv[1])
np.savez(sys.argv[2], X=of.X, y=of.y)
"""


class Called:
    def __init__(self, name):
        self.__dict__["text"] = name

    def __repr__(self):
        return self.text

    def __call__(self, *args, **kwargs):
        args = [repr(a) for a in args] + ["{{}}={{!r}}".format(*item) for item in kwargs.items()]
        return Called("{{}}({{}})".format(self.text, ", ".join(args)))

    def __getattr__(self, name):
        if name not in ("X", "y"):
            return Called(self.text + "." + name)
        with tempfile.NamedTemporaryFile(suffix=".npz") as file:
            environment = dict(os.environ, PYTHONPATH=PATH)
            subprocess.check_call([OURS, "-c", PROGRAM, self.text, file.name], env=environment)
            self.__dict__.update(np.load(file.name))
        return self.__dict__[name]


class Module(types.ModuleType):
    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return Called(name)


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path, target=None):
        if name.startswith("pylearn2."):
            return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec):
        return Module(spec.name)

    def exec_module(self, module):
        pass


sys.meta_path.insert(0, Finder())
'''


def main():
    options = parse()
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "old"
        home = options.program.split("/")[0]
        shutil.copytree(options.folder / home, copy / home, ignore=shutil.ignore_patterns(".git"))
        for file in copy.rglob("*.py"):
            file.write_text(adapt(file.read_text(encoding="utf-8"), options), encoding="utf-8")
        program = copy / options.program
        python, ours, flags = sys.executable, ROOT, "floatX=float32"
        if options.theano_python:
            python, ours, flags = options.theano_python, copy, f"{flags},blas.ldflags="
            (copy / "pylearn2").mkdir()
            (copy / "pylearn2/__init__.py").write_text(PYLEARN2.format(ours=sys.executable, path=str(ROOT)))
        path = [str(ours), str(options.folder.resolve() / "Lasagne")]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path)}
        environment.setdefault("THEANO_FLAGS", flags)
        command = [python, "-W", "ignore", program.name, *options.arguments]
        status = subprocess.run(command, cwd=program.parent, env=environment).returncode
        if options.keep:
            options.keep.mkdir(parents=True, exist_ok=True)
            for file in program.parent.glob("*.npz"):
                shutil.copy(file, options.keep)
        raise SystemExit(status)


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder with the clones, Lasagne among them")
    parser.add_argument("program", help="file below it, as BinaryNet/Train-time/mnist.py")
    parser.add_argument("--epochs", type=int, help="in the place of the program's number of epochs")
    parser.add_argument("--units", type=int, help="in the place of its number of hidden units")
    parser.add_argument("--filters", type=int, metavar="D", help="a D-th of its numbers of filters")
    parser.add_argument("--images", type=int, metavar="N", help="N for training, N / 2 for each other set")
    parser.add_argument(
        "--theano-python", metavar="PYTHON", help="run on Theano 1.0.5, which this Python has"
    )
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="where its files of weights go")
    end = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    options = parser.parse_args(sys.argv[1:end])
    options.arguments = [str(Path(a).resolve()) if Path(a).is_file() else a for a in sys.argv[end + 1 :]]
    for needed in (options.program, "Lasagne/lasagne/__init__.py"):
        if not (options.folder / needed).is_file():
            parser.error(
                f"{options.folder / needed} is not there; clone its repository into {options.folder}"
            )
    return options


def adapt(text, options):
    """The text of a program for Python 3, with the numbers that the options change."""
    for pattern, replacement in SUBSTITUTIONS:
        text = re.sub(pattern, replacement, text, flags=re.MULTILINE)
    if options.epochs:
        text = re.sub(
            r"^(\s*(?:num_epochs|no_epochs) = )\d+", rf"\g<1>{options.epochs}", text, flags=re.MULTILINE
        )
    if options.units:
        text = re.sub(r"\bnum_units( ?= ?)(?:4096|2048|1024)\b", rf"num_units\g<1>{options.units}", text)
    if options.filters:
        text = re.sub(
            r"\bnum_filters( ?= ?)(\d+)", lambda m: f"num_filters{m[1]}{int(m[2]) // options.filters}", text
        )
    if options.images:
        n, half = options.images, options.images // 2
        # Where sets of CIFAR-10 begin and end, then what is passed on to the loop of training.
        if "45000" in text:
            text = text.replace("45000", str(n)).replace("50000", str(n + half))
        sets = {f"{a}_{s}": n if s == "train" else half for s in ("train", "val", "test") for a in "Xy"}
        names, few = ", ".join(sets), ", ".join(f"{name}[:{count}]" for name, count in sets.items())
        text = re.sub(r"^(\s*)# shuffle the train set$", rf"\g<1>{names} = {few}", text, flags=re.MULTILINE)
    return text


if __name__ == "__main__":
    main()
