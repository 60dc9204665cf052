"""The scores of shipped networks in C are the engine's, on real test images where the data is there."""

import numpy as np
import pytest
from c_programs import SANITIZED, exported, scores_in_c
from exported_models import SHIPPED, real_pixels, shipped
from extent import examples

from xnornet.data.dataset import scale_bytes
from xnornet.engine import Engine


@pytest.mark.parametrize(
    "flags", [["-O3", *SANITIZED], ["-O3", "-march=native"]], ids=["sanitized", "native"]
)
@pytest.mark.parametrize("name", SHIPPED)
def test_scores_are_the_engines(name, flags, tmp_path):
    graph, pixels = shipped(name), real_pixels(SHIPPED[name], examples(30 if name.startswith("c") else 300))
    export = exported(graph, name, tmp_path, pixels[:1])
    found = scores_in_c(tmp_path / export.name, export.name, pixels, "-O3", *flags)
    np.testing.assert_array_equal(found, Engine(graph, threads=1).run(scale_bytes(pixels)))
