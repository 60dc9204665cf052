"""A table of images by split and class, for people to read."""

from collections.abc import Iterator, Mapping, Sequence

from numpy.typing import NDArray

__all__ = ["class_table"]


def class_table(class_names: Sequence[str], counts: Mapping[str, NDArray]) -> Iterator[str]:
    """Lines of a table.

    Parameters
    ----------
    class_names : sequence of str
    counts : dict
        By split: integer array, ``(classes,)``, images of each class.

    Yields
    ------
    str
    """
    rows = [["", "images", *class_names]]
    rows += [[name, str(own.sum()), *map(str, own)] for name, own in counts.items()]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for first, *others in rows:
        cells = [f"{cell:>{width}}" for cell, width in zip(others, widths[1:], strict=True)]
        yield "  ".join([f"{first:{widths[0]}}", *cells])
