"""The engine gives the scores of the simulation, bit for bit, and each kernel what its twin gives."""

import numpy as np
from extent import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from random_graphs import draw_quantized

from xnornet.engine import Engine, kernels, reference
from xnornet.engine.plan import Buffer

THREADS, BATCH_SIZES = st.sampled_from([1, 2]), st.sampled_from([1, 2, 16])


WIDE = draw_quantized(channels=st.sampled_from([1, 3, 33, 64, 65]), lengths=st.integers(2, 7))


def exact(graph, images):
    """Scores by each operation's definition."""
    return graph.evaluate(lambda operation, *n: operation.exact(np, *n), images)[-1]


@settings(max_examples=examples(100))
@given(WIDE | draw_quantized(), THREADS, BATCH_SIZES)
def test_scores_of_graphs_are_those_of_the_definitions(model, threads, batch_size):
    graph, images = model
    assert_scores(Engine(graph, threads, batch_size), images, exact(graph, images))


def test_scores_of_networks_are_those_of_the_definitions(models):
    @settings(max_examples=examples(40))
    @given(models, THREADS, BATCH_SIZES)
    def run(drawn, threads, batch_size):
        _, graph, images = drawn
        assert_scores(Engine(graph, threads, batch_size), images, exact(graph, images))

    run()


def assert_scores(engine, images, expected):
    for _ in range(2):
        np.testing.assert_array_equal(engine.run(images), expected)
    np.testing.assert_array_equal(engine.predict(images), expected.argmax(axis=1))


@settings(max_examples=examples(60))
@given(data=st.data())
def test_each_kernel_equals_its_twin(models, data):
    *_, model, images = data.draw(models | WIDE)
    engines = [Engine(model, 2, batch_size=8, kernels=k) for k in (kernels, reference)]
    scores = [engine.run(images) for engine in engines]
    fast, plain = (
        [a for b, a in engine._idle[0].of.items() if isinstance(b, Buffer) and not b.scratch]
        for engine in engines
    )
    for found, expected in zip(fast, plain, strict=True):
        np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(*scores)
