"""The networks that ship: one function each, from an input variable to Lasagne's output layer.

Losses, optimizers and epochs are left to ``xnornet.training``.
"""

import inspect

import lasagne
from lasagne.layers import DenseLayer, DropoutLayer, InputLayer, MaxPool2DLayer

from xnornet.layers import BatchNormLayer, XNORConv2DLayer, XNORDenseLayer

__all__ = ["DATASETS", "NETWORKS", "build", "digits_mlp", "mnist_convnet", "mnist_mlp", "options"]


def digits_mlp(input_var=None, num_units=256, dropout=0.1, scale_inputs=True):
    """A small net for the 8x8 digits: real - XNOR - XNOR - real, batch norm after each.

    Parameters
    ----------
    input_var : 4D variable, optional
        Images, ``(batch, 1, 8, 8)``, in [-1, 1].
    num_units : int
        Width of the three hidden layers.
    dropout : float
        Share of the hidden activations that training sets to zero.
    scale_inputs : bool
        Passed on to the XNOR layers.

    Returns
    -------
    Layer
        Scores of ten classes, ``(batch, 10)``.
    """
    layer = InputLayer((None, 1, 8, 8), input_var)
    layer = BatchNormLayer(DenseLayer(layer, num_units, nonlinearity=None))
    for _ in range(2):
        layer = DropoutLayer(layer, dropout)
        layer = BatchNormLayer(XNORDenseLayer(layer, num_units, scale_inputs=scale_inputs))
    return _classifier(layer)


def mnist_mlp(input_var=None, num_units=4096, dropout=0.2, scale_inputs=True):
    """Three XNOR layers on MNIST, the first on the signs of the image itself, then a real one.

    Batch norm lies between the XNOR layers and behind the last layer, dropout behind the second and the
    third, as in the ancestor of this project.

    Parameters
    ----------
    input_var : 4D variable, optional
        Images, ``(batch, 1, 28, 28)``, in [-1, 1].
    num_units : int
        Width of the three hidden layers.
    dropout : float
        Share of hidden activations that training sets to zero.
    scale_inputs : bool
        Passed on to the XNOR layers.

    Returns
    -------
    Layer
        Scores of ten classes, ``(batch, 10)``.
    """
    layer = InputLayer((None, 1, 28, 28), input_var)
    layer = XNORDenseLayer(layer, num_units, scale_inputs=scale_inputs)
    for _ in range(2):
        layer = XNORDenseLayer(BatchNormLayer(layer), num_units, scale_inputs=scale_inputs)
        layer = DropoutLayer(layer, dropout)
    return _classifier(layer)


def mnist_convnet(input_var=None, num_filters=(32, 96), num_units=1024, dropout=0.0, scale_inputs=True):
    """A LeNet-5-like net on MNIST: real 5x5 - XNOR 5x5 - XNOR dense - real dense.

    Parameters
    ----------
    input_var : 4D variable, optional
        Images, ``(batch, 1, 28, 28)``, in [-1, 1].
    num_filters : pair of int
        Filters of the two convolutions, each followed by 2x2 max pooling.
    num_units : int
        Width of the binary dense layer.
    dropout : float
        Share of the dense layer's inputs that training sets to zero.
    scale_inputs : bool
        Passed on to the XNOR layers.

    Returns
    -------
    Layer
        Scores of ten classes, ``(batch, 10)``.
    """
    layer = InputLayer((None, 1, 28, 28), input_var)
    layer = lasagne.layers.Conv2DLayer(layer, num_filters[0], 5, pad=2, nonlinearity=None)
    layer = BatchNormLayer(MaxPool2DLayer(layer, 2))
    layer = XNORConv2DLayer(layer, num_filters[1], 5, pad=2, scale_inputs=scale_inputs)
    layer = DropoutLayer(BatchNormLayer(MaxPool2DLayer(layer, 2)), dropout)
    layer = BatchNormLayer(XNORDenseLayer(layer, num_units, scale_inputs=scale_inputs))
    return _classifier(layer)


def _classifier(layer, num_classes=10):
    return BatchNormLayer(DenseLayer(layer, num_classes, nonlinearity=None))


NETWORKS = {f.__name__: f for f in (digits_mlp, mnist_mlp, mnist_convnet)}
DATASETS = {"digits_mlp": "digits", "mnist_mlp": "mnist", "mnist_convnet": "mnist"}


def build(name, input_var=None, **arguments):
    """Build a network by name.

    Parameters
    ----------
    name : str
        One of ``NETWORKS``.
    input_var : 4D variable, optional
    **arguments
        Options of that network's function.

    Raises
    ------
    ValueError
        No network of that name, or an option that it does not have.
    """
    arguments = options(name, **arguments)
    return NETWORKS[name](input_var, **arguments)


def options(name, **arguments):
    """All options of a network, those left out at their defaults, so that a file of weights can tell them.

    Raises
    ------
    ValueError
        As :func:`build`.
    """
    if name not in NETWORKS:
        raise ValueError(f"Network {name!r} is unknown; choose one of {', '.join(NETWORKS)}")
    parameters = inspect.signature(NETWORKS[name]).parameters
    usual = {p.name: p.default for p in parameters.values() if p.name != "input_var"}
    for option in arguments:
        if option not in usual:
            raise ValueError(f"{name} has no option {option!r}; it has {', '.join(usual)}")
    return {**usual, **arguments}
