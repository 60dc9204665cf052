"""The cuDNN functions that programs call directly: plain convolutions, pooling and batch normalization.

Options that choose among cuDNN's algorithms are accepted and have no effect. XLA calls cuDNN by itself.
"""

from theano.tensor.nnet import abstract_conv, bn
from theano.tensor.signal import pool

__all__ = [
    "dnn_available",
    "dnn_batch_normalization_test",
    "dnn_batch_normalization_train",
    "dnn_conv",
    "dnn_conv3d",
    "dnn_pool",
    "dnn_present",
]


def dnn_present():
    """Whether the functions of this module can be used: always."""
    return True


def dnn_available(context_name=None):
    """Whether the functions of this module can be used: always."""
    return True


# Programs print this as the reason why cuDNN is not available.
dnn_present.msg = dnn_available.msg = None


def dnn_conv(
    img,
    kerns,
    border_mode="valid",
    subsample=(1, 1),
    dilation=(1, 1),
    conv_mode="conv",
    direction_hint=None,
    workmem=None,
    algo=None,
    precision=None,
    num_groups=1,
):
    """Convolve images with filters; ``conv_mode='cross'`` does not flip these."""
    return _convolve(
        abstract_conv.conv2d, img, kerns, border_mode, subsample, dilation, conv_mode, num_groups
    )


def dnn_conv3d(
    img,
    kerns,
    border_mode="valid",
    subsample=(1, 1, 1),
    dilation=(1, 1, 1),
    conv_mode="conv",
    direction_hint=None,
    algo=None,
    precision=None,
    num_groups=1,
):
    """Convolve volumes with filters; ``conv_mode='cross'`` does not flip these."""
    return _convolve(
        abstract_conv.conv3d, img, kerns, border_mode, subsample, dilation, conv_mode, num_groups
    )


def _convolve(convolve, img, kerns, border_mode, subsample, dilation, conv_mode, num_groups):
    if conv_mode not in ("conv", "cross"):
        raise ValueError(f"conv_mode is {conv_mode!r}; it takes 'conv' or 'cross'")
    return convolve(
        img,
        kerns,
        border_mode=border_mode,
        subsample=subsample,
        filter_flip=conv_mode == "conv",
        filter_dilation=dilation,
        num_groups=num_groups,
    )


def dnn_pool(img, ws, stride=None, mode="max", pad=None):
    """Pool the last axes, as many as ``ws`` has lengths, by windows that do not reach past them."""
    of = {2: pool.pool_2d, 3: pool.pool_3d}[len(ws)]
    return of(img, ws, ignore_border=True, stride=stride, pad=pad or 0, mode=mode)


def dnn_batch_normalization_train(
    inputs,
    gamma,
    beta,
    mode="per-activation",
    epsilon=1e-4,
    running_average_factor=0.1,
    running_mean=None,
    running_var=None,
):
    """Normalize with the batch's statistics; see :func:`theano.tensor.nnet.bn.batch_normalization_train`."""
    return bn.batch_normalization_train(
        inputs, gamma, beta, mode, epsilon, running_average_factor, running_mean, running_var
    )


def dnn_batch_normalization_test(inputs, gamma, beta, mean, var, mode="per-activation", epsilon=1e-4):
    """Normalize with given statistics; see :func:`theano.tensor.nnet.bn.batch_normalization_test`."""
    return bn.batch_normalization_test(inputs, gamma, beta, mean, var, mode, epsilon)
