"""Larq Compute Engine with its default kernel."""

from functools import partial

from lce import VERSION, load, prepare
from stopwatch import compete

__all__ = []

if __name__ == "__main__":
    compete(prepare, partial(load, indirect=False), VERSION)
