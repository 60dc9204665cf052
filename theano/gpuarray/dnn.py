"""cuDNN as Theano called it, for code that asks whether it is there: it is not."""

__all__ = ["dnn_available", "dnn_present"]


def dnn_present():
    """Whether Theano's own cuDNN operations can be used: never."""
    return False


dnn_present.msg = "JAX calls cuDNN by itself"
dnn_available = dnn_present
