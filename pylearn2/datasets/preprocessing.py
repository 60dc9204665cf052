"""pylearn2's preprocessors, for datasets of images as rows."""

import numpy as np
from scipy.linalg import eigh
from scipy.ndimage import correlate1d

__all__ = [
    "ZCA",
    "GlobalContrastNormalization",
    "LeCunLCN",
    "Pipeline",
    "Preprocessor",
    "global_contrast_normalize",
]


class Preprocessor:
    """Base class of everything that changes the images of a dataset."""

    def apply(self, dataset, can_fit=False):
        """Change the images of a dataset; with ``can_fit``, fit to them first."""
        raise NotImplementedError(f"{type(self).__name__} has no apply; write it")


class Pipeline(Preprocessor):
    """Preprocessors one after another.

    Parameters
    ----------
    items : list of Preprocessor, optional
    """

    def __init__(self, items=None):
        self.items = [] if items is None else items

    def apply(self, dataset, can_fit=False):
        for item in self.items:
            item.apply(dataset, can_fit)


def global_contrast_normalize(
    X, scale=1.0, subtract_mean=True, use_std=False, sqrt_bias=0.0, min_divisor=1e-8
):
    """Divide each row by ``sqrt(sqrt_bias + sum of its squares) / scale``.

    Parameters
    ----------
    X : array, ``(n, pixels)``
    scale : float
    subtract_mean : bool
        Subtract each row's mean first.
    use_std : bool
        Use the row's variance (with ``n - 1``) instead of the sum of its squares.
    sqrt_bias : float
    min_divisor : float
        Rows whose divisor is less are not divided.

    Returns
    -------
    array like ``X``
    """
    X = X - X.mean(axis=1, keepdims=True) if subtract_mean else X.copy()
    squares = X.var(axis=1, ddof=min(1, X.shape[1] - 1)) if use_std else np.square(X).sum(axis=1)
    divisors = np.sqrt(sqrt_bias + squares) / scale
    divisors[divisors < min_divisor] = 1
    X /= divisors[:, None]
    return X


class GlobalContrastNormalization(Preprocessor):
    """:func:`global_contrast_normalize`, by default with a bias of 10 and the variance.

    Parameters
    ----------
    subtract_mean, scale, sqrt_bias, use_std, min_divisor
        As for that function.
    std_bias, use_norm : optional
        Older names of ``sqrt_bias`` and of ``not use_std``.
    batch_size : int, optional
        Accepted; results do not depend on it.
    """

    def __init__(
        self,
        subtract_mean=True,
        scale=1.0,
        sqrt_bias=10.0,
        use_std=True,
        min_divisor=1e-8,
        std_bias=None,
        use_norm=None,
        batch_size=None,
    ):
        self._subtract_mean, self._scale, self._min_divisor = subtract_mean, scale, min_divisor
        self._sqrt_bias = sqrt_bias if std_bias is None else std_bias
        self._use_std = use_std if use_norm is None else not use_norm

    def apply(self, dataset, can_fit=False):
        options = self._scale, self._subtract_mean, self._use_std, self._sqrt_bias, self._min_divisor
        dataset.set_design_matrix(global_contrast_normalize(dataset.get_design_matrix(), *options))


class LeCunLCN(Preprocessor):
    """Local contrast normalization of each channel (Jarrett et al., ICCV 2009, as pylearn2 computed it).

    The local mean is subtracted from each pixel. The difference is divided by the root of the local mean
    square, or by the mean of that root over the image if this is larger. Local means are weighted by a
    Gaussian of deviation 2; the image is padded with zeros.

    Parameters
    ----------
    img_shape : (int, int)
        Rows and columns.
    kernel_size : int
        Rows, and columns, of a window; odd.
    batch_size : int, optional
        Accepted; results do not depend on it.
    threshold : float
        The smallest divisor.
    channels : int or sequence of int, optional
        All, by default.
    """

    def __init__(self, img_shape, kernel_size=7, batch_size=5000, threshold=1e-4, channels=None):
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size is {kernel_size}; give an odd number")
        self._img_shape, self._kernel_size, self._threshold = tuple(img_shape), kernel_size, threshold
        self._channels = [channels] if isinstance(channels, int) else channels

    def apply(self, dataset, can_fit=False):
        X = dataset.get_design_matrix()
        if X.shape[1] % np.prod(self._img_shape):
            raise ValueError(f"rows of {X.shape[1]} pixels are no images of {self._img_shape}")
        images = X.reshape(len(X), -1, *self._img_shape).copy()
        channels = range(images.shape[1]) if self._channels is None else self._channels
        for channel in channels:
            images[:, channel] = self._normalized(images[:, channel])
        dataset.set_design_matrix(images.reshape(X.shape))

    def _normalized(self, images):
        roots = np.sqrt(self._smooth(np.square(images)))
        largest = np.maximum(roots, roots.mean(axis=(1, 2), keepdims=True))
        return (images - self._smooth(images)) / np.maximum(largest, self._threshold)

    def _smooth(self, images):
        distances = np.arange(self._kernel_size) - self._kernel_size // 2
        weights = np.exp(-np.square(distances) / (2 * 2.0**2))
        weights /= weights.sum()
        rows = correlate1d(images, weights, axis=1, mode="constant")
        return correlate1d(rows, weights, axis=2, mode="constant")


class ZCA(Preprocessor):
    """ZCA whitening: ``(X - mean_) P_``, ``P_`` being ``V diag(1 / sqrt(e)) V'``.

    ``e`` and ``V`` are eigenvalues and eigenvectors of the images' covariance, to whose diagonal
    ``filter_bias`` is added.

    Parameters
    ----------
    filter_bias : float
    n_drop_components : int, optional
        Leave out the components of the least variance.

    Attributes
    ----------
    mean_ : array, ``(pixels,)``
    P_ : array, ``(pixels, pixels)``
    """

    def __init__(self, n_drop_components=None, filter_bias=0.1):
        self.n_drop_components, self.filter_bias, self.has_fit_ = n_drop_components, filter_bias, False

    def fit(self, X):
        self.mean_ = X.mean(axis=0)
        centered = X - self.mean_
        covariance = centered.T @ centered / len(X) + self.filter_bias * np.identity(X.shape[1])
        eigenvalues, vectors = eigh(covariance)
        kept = slice(self.n_drop_components or 0, None)
        self.P_ = (vectors[:, kept] / np.sqrt(eigenvalues[kept])) @ vectors[:, kept].T
        self.has_fit_ = True

    def apply(self, dataset, can_fit=False):
        X = dataset.get_design_matrix()
        if not self.has_fit_:
            if not can_fit:
                raise ValueError("this ZCA is not fitted; apply it with can_fit=True first")
            self.fit(X)
        dataset.set_design_matrix(((X - self.mean_) @ self.P_).astype(X.dtype))

    def invert(self):
        """Prepare :meth:`inverse`."""
        self.inv_P_ = np.linalg.inv(self.P_)

    def inverse(self, X):
        """The images that whitening turned into ``X``."""
        if getattr(self, "inv_P_", None) is None:
            self.invert()
        return X @ self.inv_P_ + self.mean_
