"""Copy the weights of a PyTorch network into a Lasagne network of the same layers.

PyTorch slides filters as they are; Lasagne's convolutions turn them around first (``flip_filters``). So
filters are turned where the layer turns them back, and matrices are transposed.
"""

import numpy as np
from lasagne.layers import Conv2DLayer, DenseLayer, get_all_layers

from xnornet.errors import ModelError

__all__ = ["from_pytorch"]

# Default of PyTorch's batch norm.
EPSILON = 1e-5
PRODUCTS = (Conv2DLayer, DenseLayer)


def from_pytorch(state_dict, layer, epsilon=EPSILON):
    """Set the parameters of a Lasagne network to those of a PyTorch network.

    Layers correspond in their order: ``Conv2d`` to a convolution, ``Linear`` to a dense layer,
    ``BatchNorm1d`` and ``BatchNorm2d`` to batch norm; real ones and binary ones alike, as signs of turned
    filters are turned signs. The outputs are PyTorch's where the layers between them are the same.

    Parameters
    ----------
    state_dict : dict
        Of a PyTorch module: tensors or arrays by name, in the order of its layers.
    layer : Layer
        Output of the Lasagne network.
    epsilon : float
        ``eps`` of PyTorch's batch norms.

    Returns
    -------
    Layer
        ``layer``.

    Raises
    ------
    ModelError
        The layers do not correspond; one line names the first that does not. Nothing is changed then.
    """
    groups = {}
    for name, value in state_dict.items():
        module, _, kind = name.rpartition(".")
        groups.setdefault(module, {})[kind] = np.asarray(
            value.detach().cpu() if hasattr(value, "detach") else value
        )
    layers = [one for one in get_all_layers(layer) if _normalizes(one) or isinstance(one, PRODUCTS)]
    if len(layers) != len(groups):
        raise ModelError(f"the network has {len(layers)} layers with weights; PyTorch's has {len(groups)}")
    chosen = []
    for one, (name, arrays) in zip(layers, groups.items(), strict=True):
        take = _normalization if _normalizes(one) else _product
        for param, value in take(name, one, arrays, epsilon):
            if param.get_value(borrow=True).shape != value.shape:
                raise ModelError(
                    f"{name}: {param.name} of {type(one).__name__} should have shape "
                    f"{param.get_value(borrow=True).shape}; found {value.shape}"
                )
            chosen.append((param, value))
    for param, value in chosen:
        param.set_value(value.astype(param.dtype))
    return layer


def _normalizes(layer):
    """Whether it is a batch norm: ours, or Lasagne's where it has one."""
    return hasattr(layer, "inv_std")


def _product(name, layer, arrays, epsilon):
    """Weights and bias of a convolution or a dense layer."""
    _check_names(name, layer, arrays, {"weight"} | ({"bias"} if layer.b is not None else set()))
    W, axes = arrays["weight"], 4 if isinstance(layer, Conv2DLayer) else 2
    if W.ndim != axes:
        raise ModelError(f"{name}: {type(layer).__name__} takes weights of {axes} axes; found {W.ndim}")
    if axes == 2:
        W = W.T
    # Layers of Lasagne 0.1 lack this attribute and always flip their filters.
    elif getattr(layer, "flip_filters", True):
        W = W[:, :, ::-1, ::-1]
    yield layer.W, W
    if layer.b is not None:
        yield layer.b, arrays["bias"]


def _normalization(name, layer, arrays, epsilon):
    """The four parameters of batch norm."""
    wanted = {"running_mean", "running_var"}
    wanted |= {"weight"} if layer.gamma is not None else set()
    wanted |= {"bias"} if layer.beta is not None else set()
    _check_names(name, layer, arrays.keys() - {"num_batches_tracked"}, wanted)
    yield layer.mean, arrays["running_mean"]
    yield layer.inv_std, 1 / np.sqrt(arrays["running_var"] + epsilon)
    if layer.gamma is not None:
        yield layer.gamma, arrays["weight"]
    if layer.beta is not None:
        yield layer.beta, arrays["bias"]


def _check_names(name, layer, found, wanted):
    if set(found) != wanted:
        needed, given = (", ".join(sorted(names)) for names in (wanted, found))
        raise ModelError(f"{name}: {type(layer).__name__} takes {needed}; found {given}")
