"""Networks whose training takes little time to compile."""

from contextlib import contextmanager

import pytest
from lasagne.layers import DenseLayer, InputLayer

from xnornet import networks
from xnornet.layers import BatchNormLayer, XNORDenseLayer

__all__ = ["digits_net", "in_place_of_ours"]


def digits_net(input_var=None, input_shape=(1, 8, 8), num_classes=10, num_units=256):
    """One binary layer, on the signs of the digits, and a real one."""
    layer = BatchNormLayer(XNORDenseLayer(InputLayer((None, *input_shape), input_var), num_units))
    return DenseLayer(layer, num_classes, nonlinearity=None)


@contextmanager
def in_place_of_ours():
    """Have ``digits_mlp`` name the small one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(networks.NETWORKS, "digits_mlp", digits_net)
        yield
