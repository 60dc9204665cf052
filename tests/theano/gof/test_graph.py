"""Variables, and walks over graphs."""

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


def test_variables_of_every_kind_are_variables():
    class Named(theano.Variable):
        pass

    x = T.matrix()
    made = [x, x.sum(), theano.shared(0.0), T.constant(1.0), theano.Variable("no type at all"), Named(x.type)]
    assert all(isinstance(v, theano.Variable) for v in made)
    assert [isinstance(v, Named) for v in made] == 5 * [False] + [True]
    assert issubclass(T.TensorVariable, theano.Variable) and not issubclass(T.TensorType, theano.Variable)
    assert not isinstance(x.type, theano.Variable) and not isinstance(1.0, theano.Variable)


def test_a_variable_without_a_type_of_its_own_has_no_owner():
    variable = theano.gof.Variable("no type at all", name="v")
    assert (variable.type, variable.name) == ("no type at all", "v")
    assert variable.owner is None and variable.index is None
