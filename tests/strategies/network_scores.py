"""What Lasagne computes with a network, which graphs are compared with."""

import lasagne

import theano

__all__ = ["network_scores"]


def network_scores(layer, images):
    """Output of a network with ``deterministic=True``."""
    input_var = lasagne.layers.get_all_layers(layer)[0].input_var
    output = lasagne.layers.get_output(layer, deterministic=True)
    return theano.function([input_var], output, allow_input_downcast=True)(images)
