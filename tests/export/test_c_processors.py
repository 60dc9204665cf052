"""Exported C gives the definitions' integers, layer by layer, on other processors, under QEMU."""

import pytest
from boards import BOARDS, PROCESSORS
from c_programs import exported
from exported_models import real_pixels, residual, shipped
from extent import examples

from xnornet.export.c.golden import draw_pixels

IMAGES = examples(200)

NETWORKS = {
    "digits_mlp": lambda: (shipped("digits_mlp"), real_pixels("digits", IMAGES)),
    "mnist_convnet": lambda: (shipped("mnist_convnet"), real_pixels("mnist", IMAGES)),
    "residual": lambda: (residual(64), draw_pixels((1, 8, 8), IMAGES)),
}


@pytest.fixture(scope="module", params=NETWORKS)
def network(request, tmp_path_factory):
    """A network's folder, with images and what its layers have to give for them."""
    folder = tmp_path_factory.mktemp("network")
    graph, pixels = NETWORKS[request.param]()
    return folder / exported(graph, request.param, folder, pixels).name


@pytest.mark.parametrize("name", [*BOARDS, *PROCESSORS])
def test_each_layer_on(name, network, tmp_path):
    processor = {**BOARDS, **PROCESSORS}[name]
    program = processor.build([network / "test.c", network / "xnor.c"], tmp_path / "program")
    assert processor.run(program).splitlines() == [f"{network.name} ok"]
