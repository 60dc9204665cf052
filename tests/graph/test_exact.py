"""Every operation's definition against an interpreter in exact fractions, integer for integer."""

from fractions import Fraction

import numpy as np
from extent import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from interpreters import Interpreter, RealInterpreter
from random_graphs import draw_graph, draw_quantized, formats

from xnornet.graph import Formats, check_graph, simulate
from xnornet.graph.operation import KINDS
from xnornet.quantization import quantize


def exact(graph, images):
    """Outputs of all nodes, on NumPy."""
    return graph.evaluate(lambda operation, *n: operation.exact(np, *n), images)


@settings(max_examples=examples(300))
@given(model=draw_quantized(exponents=(-60, -20, -3, 0, 0, 0, 3, 12)))
def test_each_operation_is_the_exact_value_of_its_formula_rounded_once(model):
    graph, images = model
    check_graph(graph)
    wanted = zip(*(Interpreter().run(graph, image) for image in images), strict=True)
    shapes = graph.shapes()
    for node, shape, n, values in zip(graph.nodes, shapes, exact(graph, images), wanted, strict=True):
        assert n.dtype == np.int64 and n.shape == (len(images), *shape)
        np.testing.assert_array_equal(n, np.array(values, np.int64), node.operation.kind)


@settings(max_examples=examples(15))
@given(model=draw_quantized(steps=4))
def test_jax_computes_what_numpy_does(model):
    graph, images = model
    np.testing.assert_array_equal(simulate(graph, images, batch_size=2), exact(graph, images)[-1])


# Magnitudes are drawn, as the formats of data that come of them should not matter.
@settings(max_examples=examples(100))
@given(data=st.data(), formats=st.just(Formats()) | formats, magnitude=st.sampled_from([2.0**-9, 1, 2.0**9]))
def test_the_reading_in_real_numbers_is_the_formula(data, formats, magnitude):
    graph, images = data.draw(draw_graph(exponents=(-12, -3, 0, 0, 0, 3)))
    graph = quantize(graph, None, formats, magnitudes=[magnitude] * len(graph.nodes))
    found = graph.evaluate(lambda operation, *x: operation.real(np, *x), images.astype("float64"))
    expected = zip(*(RealInterpreter().run(graph, image) for image in images), strict=True)
    for node, values, wanted in zip(graph.nodes, found, expected, strict=True):
        wanted = np.array(wanted).astype(float)
        tolerance = 1e-9 * max(1e-300, np.abs(wanted).max())
        np.testing.assert_allclose(values, wanted, 1e-9, tolerance, err_msg=node.operation.kind)


@settings(max_examples=examples(100))
@given(model=draw_quantized(exponents=(-3, 0, 3)))
def test_no_exact_result_is_beyond_its_bound(model):
    graph, images = model

    class Watching(Interpreter):
        def finish(self, x, q):
            f = self.operation.fraction_bits()
            assert f is None or abs(x) * Fraction(2) ** f <= self.operation.bound()
            return super().finish(x, q)

    for image in images:
        Watching().run(graph, image)


def test_every_operation_is_interpreted_here():
    classes = {cls.__name__ for kind, cls in KINDS.items() if cls.__module__.startswith("xnornet.")}
    assert classes and all(hasattr(Interpreter, name) for name in classes)
