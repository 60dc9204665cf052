"""The one thing that training an XNOR-Net adds to an ordinary recipe."""

import lasagne

import theano.tensor as T

__all__ = ["clip_weights"]


def clip_weights(updates, layer):
    """Clip the binarized weights below ``layer`` to [-1, 1] after each update.

    Beyond 1 the straight-through gradient is zero and a weight would never come back.

    Parameters
    ----------
    updates : dict
        Shared variables and their new values, as ``lasagne.updates`` returns them. Changed in place.
    layer : Layer or list of Layer
        Output of the network.

    Returns
    -------
    dict
        ``updates``.
    """
    for W in lasagne.layers.get_all_params(layer, binary=True):
        if W in updates:
            updates[W] = T.clip(updates[W], -1, 1)
    return updates
