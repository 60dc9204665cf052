"""The scores of shipped networks in C are the engine's, on real test images where the data is there."""

import numpy as np
import pytest
from c_programs import HOST, SANITIZED, compiler, exported, run
from exported_models import SHIPPED, real_pixels, shipped
from extent import examples

from xnornet.data.dataset import scale_bytes
from xnornet.engine import Engine
from xnornet.export.c.golden import as_stored

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


def scores_in_c(export, folder, pixels, *flags):
    """Scores of images by a program that reads pixels and writes scores."""
    source = folder / export.name / "scores.c"
    source.write_text(PROGRAM.format(name=export.name, upper=export.name.upper()))
    files = [folder / export.name / name for name in (f"{export.name}.c", "xnor.c")]
    run(compiler("gcc"), *HOST, *flags, source, *files, "-o", folder / "program")
    printed = run(folder / "program", input=as_stored(pixels).tobytes(), timeout=3000)
    return np.frombuffer(printed, np.int64).reshape(len(pixels), -1)


@pytest.mark.parametrize("name", SHIPPED)
def test_scores_are_the_engines(name, tmp_path):
    graph, pixels = shipped(name), real_pixels(SHIPPED[name], examples(30 if name.startswith("c") else 300))
    export = exported(graph, name, tmp_path, pixels[:1])
    found = scores_in_c(export, tmp_path, pixels, "-O3", *SANITIZED)
    np.testing.assert_array_equal(found, Engine(graph, threads=1).run(scale_bytes(pixels)))
