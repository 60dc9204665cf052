"""On all test images of MNIST and CIFAR-10 the engine's scores are the simulation's, bit for bit."""

import numpy as np
import pytest

import theano.tensor as T
from xnornet import data, networks
from xnornet.catalog import DATASET_OF
from xnornet.data import DataError
from xnornet.engine import Engine
from xnornet.graph import simulate
from xnornet.quantization import quantize


@pytest.mark.parametrize("scale_inputs", [True, False])
@pytest.mark.parametrize(
    ("network", "options"),
    [("mnist_mlp", {"num_units": 1024}), ("mnist_convnet", {}), ("cifar10_convnet", {"width": 0.25})],
)
def test_scores_of_all_test_images(network, options, scale_inputs):
    name = DATASET_OF[network]
    try:
        dataset = data.load(name, download=False)
    except DataError as error:
        pytest.skip(f"needs {name}'s files: {error}")
    layer = networks.build(network, T.tensor4("images"), **options, scale_inputs=scale_inputs)
    model = quantize(layer, dataset.train.images[:500])
    engine = Engine(model)
    batches = range(0, len(dataset.test), 500)
    scores = np.concatenate([engine.run(dataset.test.images[i : i + 500]) for i in batches])
    expected = simulate(model, dataset.test.images)
    np.testing.assert_array_equal(scores, expected)
    assert len(np.unique(scores.argmax(axis=1))) > 1
