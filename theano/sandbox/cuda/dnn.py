"""cuDNN under the name of Theano's first GPU backend, which Lasagne 0.1 asks for."""

from theano.configparser import config
from theano.gpuarray.dnn import dnn_conv, dnn_conv3d, dnn_pool

__all__ = ["dnn_available", "dnn_conv", "dnn_conv3d", "dnn_pool"]


def dnn_available():
    """Whether ``device=gpu`` was chosen. Otherwise programs use plain layers, which compute the same."""
    return config.device.startswith("gpu")


dnn_available.msg = "start with THEANO_FLAGS=device=gpu, or use T.nnet.conv2d and T.signal.pool"
