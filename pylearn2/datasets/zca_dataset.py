"""Datasets that are already whitened by ZCA."""

from pylearn2.datasets.dense_design_matrix import DenseDesignMatrix

__all__ = ["ZCA_Dataset"]


class ZCA_Dataset(DenseDesignMatrix):
    """Rows of a dataset that a preprocessor has whitened.

    Parameters
    ----------
    preprocessed_dataset : DenseDesignMatrix
        The whitened one.
    preprocessor : ZCA
        The preprocessor that whitened it.
    start, stop : int, optional
        Take the rows from ``start`` to before ``stop``.
    axes : optional
        Accepted; rows are channel after channel.
    """

    def __init__(self, preprocessed_dataset, preprocessor, start=None, stop=None, axes=None):
        self.preprocessed_dataset, self.preprocessor = preprocessed_dataset, preprocessor
        X, y = preprocessed_dataset.X[start:stop], preprocessed_dataset.y[start:stop]
        if not len(X):
            raise ValueError(f"rows {start} to {stop} of a dataset of {len(preprocessed_dataset.X)}: none")
        super().__init__(X, y)

    def mapback(self, X):
        """Images before they were whitened."""
        return self.preprocessor.inverse(X)
