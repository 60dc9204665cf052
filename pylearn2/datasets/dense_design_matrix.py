"""Datasets with ``X`` and ``y``, in pylearn2's form."""

import numpy as np

from xnornet.data import DataError
from xnornet.disk import replacing

__all__ = ["DenseDesignMatrix"]


class DenseDesignMatrix:
    """Images as rows, and their classes; both may be assigned.

    Attributes
    ----------
    X : float32 array, ``(n, pixels)``
    y : integer array, ``(n, 1)``
    """

    def __init__(self, X, y):
        self.X, self.y = X, y

    def get_design_matrix(self):
        return self.X

    def set_design_matrix(self, X):
        self.X = X

    def apply_preprocessor(self, preprocessor, can_fit=False):
        """Apply a preprocessor to the images; with ``can_fit`` it is fitted to them first."""
        preprocessor.apply(self, can_fit)

    def use_design_loc(self, path):
        """Store ``X`` in a separate ``.npy`` file when the dataset is pickled."""
        self.design_loc = str(path)

    def __getstate__(self):
        state = dict(self.__dict__)
        if state.get("design_loc") is not None:
            X = state.pop("X")
            with replacing(self.design_loc) as file:
                np.save(file, X)
        return state

    def __setstate__(self, state):
        self.__dict__.update(state)
        if state.get("design_loc") is not None:
            try:
                self.X = np.load(state["design_loc"], allow_pickle=False)
            except (OSError, ValueError) as error:
                raise DataError(
                    f"{state['design_loc']}: the dataset's images should be in this file, which cannot be "
                    "read; put it there, or save the dataset again"
                ) from error
