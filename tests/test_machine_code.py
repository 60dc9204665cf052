"""Machine code on disk, in copies of the package: what is reused, and what is compiled again."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from small_models import convolutional

import xnornet
from xnornet import machine_code
from xnornet.graph import save_packed

PACKAGE = Path(xnornet.__file__).parent

# A kernel of the copy: bits of the signs of -32, ..., 31, as what vectors.py says.
KERNEL = """
import numpy as np
from numba import carray, types
from xnornet.machine_code import c_function
from xnornet.vectors import pack_nonnegative

SIGNATURE = types.uint64(types.CPointer(types.int16))

def pack(n):
    return pack_nonnegative(carray(n, (64,), np.int16), 0)

def packed():
    code, n = c_function(pack, SIGNATURE), np.arange(-32, 32, dtype=np.int16)
    return code.ctypes(n.ctypes.data_as(code.ctypes.argtypes[0]))
"""

# Prints the bits, and how much Numba had to compile.
RUN = """
from numba.core.event import install_recorder
with install_recorder("numba:run_pass") as recorder:
    from xnornet.small_kernel import packed
    bits = packed()
print(f"{bits:064b}", len(recorder.buffer))
"""

UPPER, LOWER = "1" * 32 + "0" * 32, "0" * 32 + "1" * 32


class Copy:
    """A copy of the package, in a folder of its own, with one small kernel."""

    def __init__(self, folder):
        self.folder = folder
        self.cache = folder / "xnornet" / "__pycache__"
        self.users = folder / "cache"
        shutil.copytree(PACKAGE, folder / "xnornet", ignore=shutil.ignore_patterns("__pycache__"))
        (folder / "xnornet" / "small_kernel.py").write_text(KERNEL)

    def run(self, before="", **settings):
        """Bits that a process of its own finds, and whether it compiled."""
        (bits,), compiled = self.run_program(before + RUN, **settings)
        return bits, compiled

    def run_program(self, program, **settings):
        """Words that a program prints, and whether Numba compiled something."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith("NUMBA_")}
        environment |= {"PYTHONPATH": str(self.folder), "XDG_CACHE_HOME": str(self.users)} | settings
        command = [sys.executable, "-c", program]
        out = subprocess.check_output(command, env=environment, text=True, cwd=self.folder)
        *words, passes = out.split()
        return words, int(passes) > 0

    def entries(self, folder=None):
        return sorted((folder or self.cache).glob("*.machine_code*"))

    def change(self, file, old, new):
        """Change a file, whose date and size stay what they are."""
        path = self.folder / "xnornet" / file
        times = path.stat()
        text = path.read_text()
        assert old in text and len(old) == len(new)
        path.write_text(text.replace(old, new))
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


@pytest.fixture
def copy(tmp_path):
    return Copy(tmp_path)


def test_a_kernel_is_compiled_once_and_again_when_what_it_is_made_of_changes(copy):
    assert copy.run() == (UPPER, True)
    assert copy.run() == (UPPER, False)
    copy.change("vectors.py", '">=", numbers', '"<",  numbers')
    assert copy.run() == (LOWER, True)
    assert copy.run() == (LOWER, False)
    copy.change("vectors.py", '"<",  numbers', '">=", numbers')
    assert copy.run() == (UPPER, False)


def test_a_kernel_is_compiled_again_for_other_settings_and_another_version_of_the_package(copy):
    assert copy.run() == (UPPER, True)
    assert copy.run(NUMBA_OPT="1") == (UPPER, True)
    assert copy.run(NUMBA_CPU_NAME="generic", NUMBA_CPU_FEATURES="") == (UPPER, True)
    version = f'"{xnornet.__version__}"'
    copy.change("__init__.py", version, version.replace(xnornet.__version__[-1], "x"))
    assert copy.run() == (UPPER, True)
    assert len(copy.entries()) == 4


def test_changes_elsewhere_leave_machine_code_as_it_is(copy):
    assert copy.run() == (UPPER, True)
    copy.change("networks/shipped.py", "def ", "def\t")
    assert copy.run() == (UPPER, False)


def test_damaged_machine_code_is_compiled_again(copy):
    assert copy.run() == (UPPER, True)
    (entry,) = copy.entries()
    whole = entry.read_bytes()
    for damaged in (b"", whole[: len(whole) // 2], whole[:100] + bytes([whole[100] ^ 1]) + whole[101:]):
        entry.write_bytes(damaged)
        assert copy.run() == (UPPER, True)
        assert copy.run() == (UPPER, False)


def test_the_users_cache_folder_takes_what_the_package_cannot(copy):
    copy.cache.write_text("in the way")
    assert copy.run() == (UPPER, True)
    assert copy.run() == (UPPER, False)
    assert len(copy.entries(copy.users / "xnornet" / "kernels")) == 1


def test_where_nothing_can_be_written_kernels_are_compiled_in_each_process(copy):
    copy.cache.write_text("in the way")
    copy.users.write_text("in the way")
    assert [copy.run(), copy.run()] == [(UPPER, True)] * 2
    assert copy.run(NUMBA_CACHE_DIR=str(copy.users)) == (UPPER, True)


def test_the_folder_that_numba_is_given_takes_machine_code(copy):
    folder = copy.folder / "given"
    assert copy.run(NUMBA_CACHE_DIR=str(folder)) == (UPPER, True)
    assert copy.run(NUMBA_CACHE_DIR=str(folder)) == (UPPER, False)
    assert len(copy.entries(folder / "xnornet")) == 1 and not copy.entries()


SEVERAL = """
import os
import numba
from xnornet import machine_code
from xnornet.small_kernel import packed
machine_code.ENTRIES = 2
for level in "01213":
    os.environ["NUMBA_OPT"] = level
    numba.config.reload_config()
    packed()
print(0)
"""


def test_the_entries_used_last_are_kept(copy):
    copy.run_program(SEVERAL)
    assert len(copy.entries()) == 2
    assert copy.run(NUMBA_OPT="1") == (UPPER, False)
    assert copy.run(NUMBA_OPT="2") == (UPPER, True)


@pytest.mark.parametrize("module", ["xnornet.engine.kernels", "xnornet.ops.kernels"])
def test_machine_code_depends_on_all_that_is_imported(module):
    found = machine_code.sources(module)
    assert set(found) == imported(module)
    assert all(contents == file_of(name).read_bytes() for name, contents in found.items())
    assert "xnornet.vectors" in found


def imported(module):
    """Modules of this package that a module needs, itself included, as Python's own parser reads them."""
    seen, waiting = set(), [module]
    while waiting:
        name = waiting.pop()
        if name in seen or not file_of(name):
            continue
        seen.add(name)
        for node in ast.walk(ast.parse(file_of(name).read_text())):
            if isinstance(node, ast.ImportFrom):
                waiting += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            elif isinstance(node, ast.Import):
                waiting += [alias.name for alias in node.names]
    return seen


def file_of(name):
    if name.partition(".")[0] != "xnornet":
        return None
    place = PACKAGE.parent.joinpath(*name.split("."))
    return next((f for f in (place.with_suffix(".py"), place / "__init__.py") if f.exists()), None)


SCORES = """
from numba.core.event import install_recorder
with install_recorder("numba:run_pass") as recorder:
    import numpy as np
    import xnornet.engine
    engine = xnornet.engine.load("model.npz")
    images = np.random.default_rng(0).uniform(-1, 1, (1, *engine.input_shape)).astype(np.float32)
    scores = engine.run(images)
print(*scores.ravel().tolist(), len(recorder.buffer))
"""


def test_scores_follow_an_operation_that_the_engines_kernels_are_made_of(copy):
    save_packed(copy.folder / "model.npz", convolutional(scale_inputs=True, flattened=False), {})
    scores, compiled = copy.run_program(SCORES)
    assert compiled
    assert copy.run_program(SCORES) == (scores, False)
    copy.change("vectors.py", 'icmp_signed(">=", numbers,', 'icmp_signed("<",  numbers,')
    changed, compiled = copy.run_program(SCORES)
    assert compiled and changed != scores
