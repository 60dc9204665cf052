"""Functions of neural networks: nonlinearities, cross-entropies, convolutions."""

from theano.tensor.nnet import abstract_conv, conv, nnet
from theano.tensor.nnet.abstract_conv import (
    conv2d,
    conv2d_grad_wrt_inputs,
    conv2d_grad_wrt_weights,
    conv3d,
)
from theano.tensor.nnet.nnet import (
    binary_crossentropy,
    categorical_crossentropy,
    elu,
    hard_sigmoid,
    log_softmax,
    logsoftmax,
    relu,
    sigmoid,
    sigmoid_binary_crossentropy,
    softmax,
    softplus,
    softsign,
    ultra_fast_sigmoid,
)

__all__ = [
    "abstract_conv",
    "binary_crossentropy",
    "categorical_crossentropy",
    "conv",
    "conv2d",
    "conv2d_grad_wrt_inputs",
    "conv2d_grad_wrt_weights",
    "conv3d",
    "elu",
    "hard_sigmoid",
    "log_softmax",
    "logsoftmax",
    "nnet",
    "relu",
    "sigmoid",
    "sigmoid_binary_crossentropy",
    "softmax",
    "softplus",
    "softsign",
    "ultra_fast_sigmoid",
]
