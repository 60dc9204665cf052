"""The engine gives the scores of the simulation, bit for bit, and each kernel what its twin gives."""

import numpy as np
import pytest
from extent import examples
from hypothesis import given, settings
from hypothesis import strategies as st

import theano
from xnornet.engine import Engine, kernels, reference
from xnornet.engine.plan import Buffer
from xnornet.inference import compute_scores, fixed_network

THREADS, BATCH_SIZES = st.sampled_from([1, 2]), st.sampled_from([1, 2, 16])


@pytest.mark.parametrize("mode", ["FAST_COMPILE", "JAX"])
def test_scores_are_those_of_the_simulation(models, mode):
    """Mostly in Python, which compiles in less time."""

    @settings(max_examples=examples(40 if mode == "FAST_COMPILE" else 5))
    @given(models, THREADS, BATCH_SIZES)
    def run(drawn, threads, batch_size):
        _, model, images = drawn
        with theano.config.change_flags(mode=mode, cxx=""):
            expected = compute_scores(fixed_network(model), images)
        assert_scores(Engine(model, threads, batch_size), images, expected)

    run()


def assert_scores(engine, images, expected):
    for _ in range(2):
        np.testing.assert_array_equal(engine.run(images), expected)
    np.testing.assert_array_equal(engine.predict(images), expected.argmax(axis=1))


@settings(max_examples=examples(60))
@given(data=st.data())
def test_each_kernel_equals_its_twin(models, data):
    _, model, images = data.draw(models)
    engines = [Engine(model, 2, batch_size=8, kernels=k) for k in (kernels, reference)]
    scores = [engine.run(images) for engine in engines]
    fast, plain = (
        [a for b, a in engine._idle[0].of.items() if isinstance(b, Buffer) and not b.scratch]
        for engine in engines
    )
    for found, expected in zip(fast, plain, strict=True):
        np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(*scores)
