"""Networks whose training takes little time to compile."""

from contextlib import contextmanager

import pytest
from lasagne.layers import Conv2DLayer, DenseLayer, ElemwiseSumLayer, GlobalPoolLayer, InputLayer, Pool2DLayer

from xnornet import networks
from xnornet.layers import BatchNormLayer, XNORConv2DLayer, XNORDenseLayer

__all__ = ["digits_net", "in_place_of_ours", "residual_net"]


def digits_net(input_var=None, input_shape=(1, 8, 8), num_classes=10, num_units=256):
    """One binary layer, on the signs of the digits, and a real one."""
    layer = BatchNormLayer(XNORDenseLayer(InputLayer((None, *input_shape), input_var), num_units))
    return DenseLayer(layer, num_classes, nonlinearity=None)


def residual_net(input_var=None, input_shape=(3, 32, 32), num_classes=10):
    """The parts of ``cifar10_resnet18`` once each, with few filters: both kinds of shortcut."""
    real = {"b": None, "nonlinearity": None}
    layer = InputLayer((None, *input_shape), input_var)
    layer = BatchNormLayer(Conv2DLayer(layer, 2, 3, stride=2, pad=1, **real))
    for n, stride in ((2, 1), (4, 2)):
        branch = BatchNormLayer(
            XNORConv2DLayer(layer, n, 3, stride=stride, pad=1, b=None, scale_inputs=False)
        )
        if stride == 2:
            layer = Pool2DLayer(layer, 2, mode="average_inc_pad")
            layer = BatchNormLayer(Conv2DLayer(layer, n, 1, **real))
        layer = ElemwiseSumLayer([branch, layer])
    return BatchNormLayer(DenseLayer(GlobalPoolLayer(layer), num_classes, nonlinearity=None))


@contextmanager
def in_place_of_ours():
    """Have ``digits_mlp`` name the small one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(networks.NETWORKS, "digits_mlp", digits_net)
        yield
