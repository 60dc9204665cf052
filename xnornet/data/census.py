"""A summary of the user's own images: counts, sizes, unreadable files, and images that are in two splits."""

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xnornet.data.arrays import SPLITS, load_npz
from xnornet.data.dataset import Pixels
from xnornet.data.folders import list_pictures, progress
from xnornet.data.pictures import color_of, read_picture, size_text
from xnornet.data.tables import class_table
from xnornet.errors import DataError
from xnornet.hints import StrPath

__all__ = ["Census", "census"]

# At most so many lines are printed of each kind of problem.
LINES = 10

# A class with less than this share of the images of the largest class is reported.
UNBALANCED = 0.5


@dataclass(frozen=True, eq=False)
class Census:
    """What `census` found; ``str(census)`` is for people to read, and it is true if nothing is wrong.

    Attributes
    ----------
    path : Path
    class_names : tuple of str
    counts : dict
        By split: images of each class that can be read.
    sizes : Counter
        Of ``"48x64 rgb"``, height and width.
    bad : list of str
        What cannot be read, a line each.
    duplicates : list of tuple of str
        Images of the same pixels in different splits.
    """

    path: Path
    class_names: tuple[str, ...]
    counts: dict[str, NDArray]
    sizes: Counter[str] = field(default_factory=Counter)
    bad: list[str] = field(default_factory=list)
    duplicates: list[tuple[str, ...]] = field(default_factory=list)

    def __bool__(self) -> bool:
        return not self.bad and not self.duplicates and all(counts.all() for counts in self.counts.values())

    def __str__(self) -> str:
        lines = [f"{len(self.class_names)} classes in {self.path}", ""]
        lines += [*class_table(self.class_names, self.counts), ""]
        lines += [f"{count:7} {size}" for size, count in self.sizes.most_common(LINES)]
        if len({size.split()[0] for size in self.sizes}) > 1:
            lines.append("images of different sizes: fit them to one with --size HEIGHTxWIDTH")
        lines += self._balance()
        lines += _problems("cannot be read, and left out only with --skip-bad", self.bad)
        pairs = [" = ".join(names) for names in self.duplicates]
        lines += _problems("the same image in two splits, so that the test is no test; delete one", pairs)
        return "\n".join([*lines, "", "nothing is wrong" if self else "mend what is named above"])

    def _balance(self):
        counts = self.counts["train"]
        rare = [
            name for name, n in zip(self.class_names, counts, strict=True) if n < UNBALANCED * counts.max()
        ]
        if rare:
            yield f"less than half as many as of the largest class: {', '.join(rare)}"


def census(path: StrPath) -> Census:
    """Count and compare the user's own images; nothing is kept or changed.

    Parameters
    ----------
    path : str or Path
        A folder, as for `list_pictures`, or an ``.npz`` file, as for `load_npz`.

    Returns
    -------
    Census

    Raises
    ------
    DataError
        The path does not exist, or is not a folder or file of the expected form.
    """
    path = Path(path)
    return _of_arrays(path) if path.is_file() else _of_folder(path)


def _of_arrays(path):
    dataset = load_npz(path)
    splits = {name: getattr(dataset, name) for name in SPLITS}
    counts = {name: np.bincount(s.labels, minlength=dataset.num_classes) for name, s in splits.items()}
    channels, *size = dataset.input_shape
    kind = f"{size_text(size)} {color_of(channels) or f'{channels} channels'}"
    seen = {}
    for name, split in splits.items():
        stored = split.images.bytes if isinstance(split.images, Pixels) else split.images
        for i, image in enumerate(stored):
            _remember(seen, name, f"{name} image {i}", image)
    total = sum(map(len, splits.values()))
    return Census(path, dataset.class_names, counts, Counter({kind: total}), [], _duplicates(seen))


def _of_folder(path):
    listing = list_pictures(path)
    counts = {split: np.zeros(len(listing.class_names), np.int64) for split in SPLITS}
    sizes, bad, seen = Counter(), [], {}
    for row, file in enumerate(progress(listing.files, f"checking {path.name}")):
        try:
            pixels = read_picture(file)
        except DataError as error:
            bad.append(str(error))
            continue
        split = listing.split_of(row)
        counts[split][listing.labels[row]] += 1
        sizes[f"{size_text(pixels.shape[1:])} {color_of(len(pixels))}"] += 1
        _remember(seen, split, str(file.relative_to(path)), pixels)
    return Census(path, listing.class_names, counts, sizes, sorted(bad), _duplicates(seen))


def _remember(seen, split, name, pixels):
    """Note an image by a checksum, the first of each split."""
    checksum = hashlib.sha256(repr(pixels.shape).encode() + np.ascontiguousarray(pixels).tobytes()).digest()
    seen.setdefault(checksum, {}).setdefault(split, name)


def _duplicates(seen):
    return sorted(tuple(names.values()) for names in seen.values() if len(names) > 1)


def _problems(what, lines):
    if not lines:
        return
    yield f"{len(lines)} {what}:"
    for line in lines[:LINES]:
        yield f"  {line}"
    if len(lines) > LINES:
        yield f"  and {len(lines) - LINES} more"
