"""Files of pickles, read without running what they hold."""

from pathlib import Path

from pylearn2.utils.string_utils import preprocess
from xnornet.data.pickles import read_pickle

__all__ = ["load"]


def load(filepath):
    """Load a pickled dictionary of arrays, numbers and strings; nothing else is admitted.

    Raises
    ------
    ValueError
        A variable in the path is not set.
    xnornet.data.DataError
        The file cannot be read, or holds something else.
    """
    return read_pickle(Path(preprocess(filepath)))
