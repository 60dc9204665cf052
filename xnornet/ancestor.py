"""Networks of the ancestor of this project, built from the files of weights that it wrote."""

import lasagne

from xnornet import networks
from xnornet.layers import XNORDenseLayer
from xnornet.model import recognise

__all__ = ["ancestor_network"]


def ancestor_network(path, input_var=None):
    """Build a network from a file of the ancestor's form.

    Parameters
    ----------
    path : str or Path
    input_var : 4D variable, optional
        Images in [-127/128, 127/128], ``(batch, channels, height, width)``.

    Returns
    -------
    (str, Layer) or None
        Name of the network and its output layer, with the parameters of the file; None if the file does not
        have the ancestor's form. What the parameters are is told in :func:`xnornet.model.recognise`.

    Raises
    ------
    ModelError
        As :func:`xnornet.model.recognise`.
    """
    found = recognise(path)
    if found is None:
        return None
    layer = networks.build(found.network, input_var, **found.arguments)
    for each in lasagne.layers.get_all_layers(layer):
        if isinstance(each, XNORDenseLayer):
            each.scale_bias = found.scale_bias
    networks.set_weights(layer, found.values)
    return found.network, layer
