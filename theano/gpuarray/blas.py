"""The backend's convolutions by products of matrices, as correlations that JAX computes."""

from theano.tensor.nnet.abstract_conv import conv2d, conv3d

__all__ = ["GpuCorr3dMM", "GpuCorrMM"]


class GpuCorrMM:
    """Correlation of images with kernels, which are not flipped: call it on both.

    Parameters
    ----------
    border_mode, subsample, filter_dilation, num_groups
        As of :func:`theano.tensor.nnet.conv2d`.
    unshared : bool
        Not supported, as there.
    """

    convolve = staticmethod(conv2d)

    def __init__(
        self, border_mode="valid", subsample=None, filter_dilation=None, num_groups=1, unshared=False
    ):
        self.options = {"border_mode": border_mode, "num_groups": num_groups}
        given = {"subsample": subsample, "filter_dilation": filter_dilation, "unshared": unshared or None}
        self.options.update((name, value) for name, value in given.items() if value is not None)

    def __call__(self, img, kern):
        return self.convolve(img, kern, filter_flip=False, **self.options)


class GpuCorr3dMM(GpuCorrMM):
    """The same of volumes."""

    convolve = staticmethod(conv3d)
