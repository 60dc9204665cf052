"""Walks over graphs."""

import theano
import theano.tensor as T


def test_inputs_come_in_the_order_of_theano():
    """Leftmost first within a graph, and the last of several graphs first, each input once."""
    x, y, z = theano.shared(0.0, "x"), T.dscalar("y"), theano.shared(0.0, "z")
    assert theano.gof.graph.inputs([(x + y) + z]) == [x, y, z]
    assert theano.gof.graph.inputs([z + (y + x) * z]) == [z, y, x]
    assert theano.gof.graph.inputs([x * y, y * z]) == [y, z, x]
    assert theano.gof.graph.inputs([x]) == [x]


def test_same_graphs_are_recognized():
    x, y = T.scalars("x", "y")
    assert theano.gof.graph.is_same_graph(x * 2 + y, x * 2 + y)
    assert not theano.gof.graph.is_same_graph(x * 2 + y, x * 2 + x)
