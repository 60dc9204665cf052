"""Paths that contain environment variables."""

import os
import re

__all__ = ["preprocess"]


def preprocess(string):
    """Replace environment variables, such as ``${HOME}``, by their values.

    Raises
    ------
    ValueError
        A variable is not set.
    """

    def value(match):
        if match[1] not in os.environ:
            raise ValueError(f"{string}: the environment has no variable {match[1]}; set it to a folder")
        return os.environ[match[1]]

    return re.sub(r"\$\{(\w+)\}", value, os.fspath(string))
