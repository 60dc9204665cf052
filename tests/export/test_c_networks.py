"""The scores of shipped networks in C are the engine's, on real test images where the data is there."""

import numpy as np
import pytest
from c_programs import SANITIZED, exported, scores_in_c
from exported_models import SHIPPED, real_pixels, shipped
from extent import examples

from xnornet.data.dataset import scale_bytes
from xnornet.engine import Engine


# A sanitizer looks at where bytes are read and written, which is the same for every image.
@pytest.mark.parametrize(
    "flags, share", [(SANITIZED, 0.1), (["-march=native"], 1)], ids=["sanitized", "native"]
)
@pytest.mark.parametrize("name", SHIPPED)
def test_scores_are_the_engines(name, flags, share, tmp_path):
    count = examples(round(share * (50 if name.startswith("c") else 300)))
    graph, pixels = shipped(name), real_pixels(SHIPPED[name], count)
    export = exported(graph, name, tmp_path, pixels[:1])
    found = scores_in_c(tmp_path / export.name, export.name, pixels, "-O3", *flags)
    np.testing.assert_array_equal(found, Engine(graph, threads=1).run(scale_bytes(pixels)))
