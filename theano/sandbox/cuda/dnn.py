"""cuDNN under Theano's name: not there to be called, and saying so."""

__all__ = ["dnn_available"]


def dnn_available():
    """Whether cuDNN can be called by hand: no."""
    return False


dnn_available.msg = "theano.sandbox.cuda is not part of this theano; use T.nnet.conv2d and T.signal.pool"
