"""Lasagne's git version beside the pinned one: its folder on the path is enough.

``LASAGNE_GIT`` names a clone, whose own layers are then tried. Where there is none, a copy of the installed
Lasagne under the git version's number shows that the folder comes first.
"""

import os
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import lasagne

ROOT = Path(__file__).resolve().parents[2]

PROGRAM = """
import lasagne, numpy as np, theano, theano.tensor as T
from xnornet.layers import XNORDenseLayer

x = T.matrix()
net = XNORDenseLayer(lasagne.layers.InputLayer((None, 8), x), 3)
if hasattr(lasagne.layers, "StandardizationLayer"):  # not in 0.1
    net = lasagne.layers.StandardizationLayer(net)
outputs = theano.function([x], lasagne.layers.get_output(net))(np.eye(4, 8, dtype="float32"))
print(lasagne.__version__, lasagne.__file__, outputs.shape)
"""


def git_version(folder):
    """A folder with Lasagne as its git version has it: a clone, or a copy of what is installed."""
    if "LASAGNE_GIT" in os.environ:
        return Path(os.environ["LASAGNE_GIT"])
    shutil.copytree(Path(lasagne.__file__).parent, folder / "lasagne", ignore=shutil.ignore_patterns("tests"))
    init = folder / "lasagne/__init__.py"
    version = re.sub(r"(?m)^__version__ = .*", '__version__ = "0.2.dev1"', init.read_text(encoding="utf-8"))
    init.write_text(version, encoding="utf-8")
    return folder


def test_the_git_version_s_folder_on_the_path_comes_before_the_pinned_one(tmp_path):
    pinned = metadata.version("lasagne")
    folder = git_version(tmp_path)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, [folder, ROOT]))}
    environment["THEANO_FLAGS"] = "floatX=float32"
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    version, file, shape = done.stdout.split(maxsplit=2)
    assert (version, shape.strip()) == ("0.2.dev1", "(4, 3)")
    assert Path(file) == (folder / "lasagne/__init__.py").resolve()
    assert metadata.version("lasagne") == pinned == "0.1"
