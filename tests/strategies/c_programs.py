"""Exported networks compiled, and what their own comparisons print."""

import shutil
import subprocess

import numpy as np
import pytest

from xnornet.data.dataset import scale_bytes
from xnornet.export.c import export_c, pixel_levels, write_folder
from xnornet.export.c.golden import as_stored

__all__ = ["HOST", "SANITIZED", "compile_tests", "compiler", "exported", "run", "scores_in_c"]

PROGRAM = """
#include <stdio.h>
#include "{name}.h"

int main(void)
{{
    static uint32_t arena[{upper}_ARENA / 4];
    uint8_t pixels[{upper}_PIXELS];
    int64_t scores[{upper}_SCORES];
    while (fread(pixels, sizeof pixels, 1, stdin) == 1) {{
        {name}_run(pixels, scores, arena);
        fwrite(scores, sizeof scores, 1, stdout);
    }}
    return {name}_run(pixels, scores, (char *)arena + 2) == 1 ? 0 : 1;
}}
"""

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
    export = export_c(graph, name, pixel_levels(graph, scale_bytes(np.arange(256, dtype=np.uint8))))
    write_folder(folder / export.name, export.files(pixels))
    return export


def compile_tests(folder, names):
    """Write one source for the tests of some networks in a folder, which runs one after the other."""
    lines = [f'#define main main_{n}\n#include "{n}/test.c"\n#undef main' for n in names]
    calls = " || ".join(f"main_{n}()" for n in names)
    source = folder / "all.c"
    source.write_text("\n".join(lines) + f"\nint main(void)\n{{\n    return {calls};\n}}\n")
    return [source, folder / names[0] / "xnor.c"]


def scores_in_c(folder, name, pixels, *flags, program="gcc"):
    """Scores of images, by a program that reads pixels and writes scores."""
    source = folder / "scores.c"
    source.write_text(PROGRAM.format(name=name, upper=name.upper()))
    files = [source, folder / f"{name}.c", folder / "xnor.c"]
    run(compiler(program), *HOST, *flags, *files, "-o", folder / "scores")
    printed = run(folder / "scores", input=as_stored(pixels).tobytes(), timeout=36_000)
    return np.frombuffer(printed, np.int64).reshape(len(pixels), -1)
