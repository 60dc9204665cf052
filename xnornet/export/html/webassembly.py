"""Exported C compiled to WebAssembly by clang and lld, without a C library."""

import shutil
import subprocess
import tempfile
from pathlib import Path

from xnornet.errors import UsageError

__all__ = ["check_compilers", "to_webassembly"]

# Programs, and Debian's packages of them.
COMPILERS = {"clang": "clang", "wasm-ld": "lld"}

# memcpy and memset are instructions (-mbulk-memory), and clang has its own stdint.h.
STRING_H = """#include <stddef.h>

void *memcpy(void *to, const void *from, size_t count);
void *memset(void *to, int byte, size_t count);
"""

FLAGS = ["--target=wasm32", "-std=c99", "-O2", "-nostdlib", "-nostdlibinc", "-mbulk-memory", "-I."]
LINKED = ["-Wl,--no-entry", "-Wl,--strip-all", "-Wl,-z,stack-size=16384"]

# Functions that the page calls. Signs of layers are copied at once, since the arena is reused.
PROGRAM = """#include <string.h>

static void after_layer(int layer, const void *y);
#define {upper}_AFTER_LAYER(layer, y) after_layer(layer, y)

#include "{name}.c"

#define EXPORTED(name) __attribute__((export_name(#name)))

/* Where the words of each layer's signs are kept, and how many they are. */
static const struct {{
    int32_t first, count;
}} kept[{layers}] = {{
{kept}
}};

static uint32_t arena[{upper}_ARENA / 4], signs_of_layers[{words}];
static uint8_t image[{upper}_PIXELS];
static int64_t scores_of_image[{upper}_SCORES];

static void after_layer(int layer, const void *y)
{{
    memcpy(signs_of_layers + kept[layer].first, y, 4 * (size_t)kept[layer].count);
}}

EXPORTED(pixels) uint8_t *pixels(void)
{{
    return image;
}}

EXPORTED(scores) int64_t *scores(void)
{{
    return scores_of_image;
}}

EXPORTED(signs) uint32_t *signs(void)
{{
    return signs_of_layers;
}}

/* Classify the image. */
EXPORTED(run) int run(void)
{{
    {name}_run(image, scores_of_image, arena);
    return xnor_largest({upper}_SCORES, scores_of_image);
}}
"""


def check_compilers():
    """Return clang's version in words; raise UsageError where a program is missing."""
    for program, package in COMPILERS.items():
        if not shutil.which(program):
            raise UsageError(
                f"--to html needs {program}, which is not installed; on Debian and Ubuntu, apt-get install "
                f"{package}"
            )
    return subprocess.run(["clang", "--version"], capture_output=True, text=True).stdout.split("\n")[0]


def to_webassembly(export):
    """Compile an export.

    Parameters
    ----------
    export : xnornet.export.c.Export

    Returns
    -------
    module : bytes
        Exports ``memory``, ``pixels()``, ``scores()``, ``signs()``, addresses, and ``run()``, the class.
    kept : list of (Layer, int)
        Layers that write signs, and where the first word of each is from ``signs()`` on.

    Raises
    ------
    UsageError
        A compiler is missing, or cannot compile to WebAssembly.
    """
    check_compilers()
    first, kept, lines = 0, [], []
    for layer in export.layers:
        words = layer.output.memory.bytes // 4 if layer.output.signs else 0
        lines.append(f"    {{{first}, {words}}},")
        if words:
            kept.append((layer, first))
        first += words
    fields = {"name": export.name, "upper": export.name.upper(), "layers": len(export.layers)}
    program = PROGRAM.format(**fields, kept="\n".join(lines), words=max(1, first))
    with tempfile.TemporaryDirectory() as scratch:
        for name, text in {**export.sources(), "page.c": program, "string.h": STRING_H}.items():
            Path(scratch, name).write_text(text, encoding="utf-8")
        command = ["clang", *FLAGS, *LINKED, "page.c", "xnor.c", "-o", "page.wasm"]
        done = subprocess.run(command, cwd=scratch, capture_output=True, text=True)
        if done.returncode:
            reason = (done.stderr.strip() or f"exit status {done.returncode}").split("\n")[0]
            raise UsageError(f"--to html: clang cannot compile to WebAssembly ({reason}); try Debian's clang")
        return Path(scratch, "page.wasm").read_bytes(), kept
