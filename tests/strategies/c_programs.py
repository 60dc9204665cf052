"""Exported networks compiled, and what their own comparisons print."""

import shutil
import subprocess

import pytest

from xnornet.data.dataset import scale_bytes
from xnornet.export.c import export_c, pixel_levels, write_folder

__all__ = ["HOST", "SANITIZED", "compile_tests", "compiler", "exported", "run"]

HOST = ["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]
SANITIZED = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]


def compiler(name):
    """A compiler's path; the test is skipped where there is none."""
    found = shutil.which(name)
    if not found:
        pytest.skip(f"needs {name}")
    return found


def run(*command, cwd=None, timeout=600, **more):
    """What a command prints, as bytes; fails with all that it printed."""
    done = subprocess.run([*map(str, command)], cwd=cwd, timeout=timeout, capture_output=True, **more)
    assert done.returncode == 0, (command, done.returncode, done.stdout[-2000:], done.stderr[-4000:].decode())
    return done.stdout


def exported(graph, name, folder, pixels=None):
    """Export a graph whose pixels are scaled as those of the data sets."""
    export = export_c(graph, name, pixel_levels(graph, scale_bytes))
    write_folder(folder / export.name, export.files(pixels))
    return export


def compile_tests(folder, names):
    """Write one source for the tests of some networks in a folder, which runs one after the other."""
    lines = [f'#define main main_{n}\n#include "{n}/test.c"\n#undef main' for n in names]
    calls = " || ".join(f"main_{n}()" for n in names)
    source = folder / "all.c"
    source.write_text("\n".join(lines) + f"\nint main(void)\n{{\n    return {calls};\n}}\n")
    return [source, folder / names[0] / "xnor.c"]
