"""The user's own images as a folder of pictures: found, dealt out to splits, read once, kept as an array.

How one picture is read is left to `xnornet.data.pictures`.
"""

import hashlib
import json
import math
import zipfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xnornet.archives import read_array_headers, write_atomically, write_rows
from xnornet.data.arrays import SPLITS, check_class_names, own_name, split_rows
from xnornet.data.dataset import Dataset, Pixels, Split
from xnornet.data.pictures import channels_of, is_picture, measure, read_picture, size_text, unreadable
from xnornet.data.stored import Stored, chosen, stays_on_disk
from xnornet.disk import remove_leftovers
from xnornet.errors import DataError, ModelError, WriteError
from xnornet.hints import StrPath

__all__ = ["Listing", "from_folder", "list_pictures", "progress"]

# Version of the cache: one with another number is not used, and the pictures are read again.
READER = 2


@dataclass(frozen=True, eq=False)
class Listing:
    """The pictures of a folder in their splits, not read yet.

    Attributes
    ----------
    folder : Path
    class_names : tuple of str
    files : list of Path
        Training pictures, then those of validation, then those of the test; each in random order.
    labels : int32 array, ``(files,)``
    counts : tuple of int
        Pictures of each split.
    """

    folder: Path
    class_names: tuple[str, ...]
    files: list[Path]
    labels: NDArray[np.int32]
    counts: tuple[int, ...]

    def split_of(self, row: int) -> str:
        """Name of the split that a picture is in."""
        return SPLITS[int(np.searchsorted(np.cumsum(self.counts), row, "right"))]


def list_pictures(folder: StrPath, seed: int = 0) -> Listing:
    """Find the pictures of a folder.

    Parameters
    ----------
    folder : str or Path
        With ``train/CLASS/*``, ``test/CLASS/*`` and perhaps ``valid/CLASS/*``, or with ``CLASS/*``. Classes
        come in the order of their names. Hidden files and files that are no pictures are passed over.
    seed : int
        Of the splits that are not there, as `split_rows` deals them out, and of the order of pictures.

    Returns
    -------
    Listing

    Raises
    ------
    DataError
        The folder has another form, a class has no pictures, or two classes differ only in case.
    """
    folder = Path(folder)
    tops = {path.name for path in _folders(folder)}
    if "train" not in tops:
        found = _split(folder, _of_classes(folder), SPLITS, seed)
    else:
        if "test" not in tops:
            raise DataError(
                f"{folder}: has train/ and no test/; add pictures for the test, or name {folder / 'train'}, "
                "whose pictures are then dealt out to all splits"
            )
        found = {split: _of_classes(folder / split) for split in SPLITS if split in tops}
        _check_same_classes(folder, found)
        if "valid" not in found:
            found |= _split(folder / "train", found["train"], SPLITS[:2], seed)
    class_names = tuple(found["train"])
    rng, files, labels = np.random.default_rng(seed), [], []
    for split in SPLITS:
        own = [(file, k) for k, name in enumerate(class_names) for file in found[split][name]]
        for i in rng.permutation(len(own)):
            files.append(own[i][0])
            labels.append(own[i][1])
    counts = tuple(sum(map(len, found[split].values())) for split in SPLITS)
    return Listing(folder, class_names, files, np.array(labels, np.int32), counts)


def from_folder(
    folder: StrPath,
    size: tuple[int, int] | None = None,
    color: str | None = None,
    skip_bad: bool = False,
    report: Callable[[str], object] = print,
    seed: int = 0,
) -> Dataset:
    """A dataset of the pictures of a folder.

    They are read once: the bytes are kept beside the folder in ``FOLDER.cache.npz`` (with ``size`` or
    ``color`` as a part of the name), as long as names, sizes and times of the files stay the same. What is
    too large for memory is read from there, a batch at a time.

    Parameters
    ----------
    folder : str or Path
        As in `list_pictures`.
    size : (int, int), optional
        Height and width to fit pictures to, as `read_picture` does; by default all must be of one size.
    color : {'grey', 'rgb'}, optional
        By default grey if all are.
    skip_bad : bool
        Leave out what cannot be read, instead of raising.
    report : callable
        Called with each line for people to read.
    seed : int
        As in `list_pictures`.

    Returns
    -------
    Dataset

    Raises
    ------
    DataError
        As `list_pictures`, a picture cannot be read, or pictures differ in size.
    """
    folder = Path(folder)
    listing = list_pictures(folder, seed)
    cache, key = _cache_path(folder, size, color), _key(listing, size, color)
    found = _cached(cache, key)
    if found is None:
        found = _read(listing, size, color, skip_bad, cache, key, report)
    pixels, bad = found
    if bad and not skip_bad:
        raise unreadable(next(iter(bad.values())))
    names = [str(file.relative_to(folder)) for file in listing.files]
    good = np.array([name not in bad for name in names])
    for name in bad:
        report(f"left out: {bad[name]}")
    if bad:
        _check_left(listing, good)
    ends = np.cumsum(good)[np.cumsum(listing.counts) - 1]
    labels = np.split(listing.labels[good], ends[:-1])
    rows = np.split(np.flatnonzero(good), ends[:-1])
    pairs = zip(rows, labels, strict=True)
    train, valid, test = (Split(Pixels(_part(pixels, own)), k) for own, k in pairs)
    name = own_name(folder.resolve().name)
    return Dataset(name, len(listing.class_names), train, valid, test, listing.class_names)


def progress(files: Sequence[Path], what: str) -> Iterable[Path]:
    """The files, with a bar on a terminal."""
    from tqdm import tqdm

    return tqdm(files, desc=what, unit="img", delay=1, leave=False, disable=None, ncols=100)


def _folders(folder):
    try:
        return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    except OSError as error:
        raise DataError(f"{folder}: cannot be read ({error.strerror}); name a folder of pictures") from error


def _of_classes(folder):
    """Pictures by the name of their class."""
    found = {
        path.name: sorted(file for file in path.iterdir() if is_picture(file) and file.is_file())
        for path in _folders(folder)
    }
    if not found:
        raise DataError(
            f"{folder}: expected a folder for each class, or train/ and test/ with such; found none"
        )
    check_class_names(found, folder)
    for name, files in found.items():
        if not files:
            raise DataError(f"{folder / name}: has no pictures; add some, or delete the folder")
    if len(found) < 2:
        raise DataError(f"{folder}: expected at least two classes; found only {next(iter(found))!r}")
    return found


def _check_same_classes(folder, found):
    names = sorted({name for classes in found.values() for name in classes})
    for split, classes in found.items():
        for name in names:
            if name not in classes:
                other = next(split for split in found if name in found[split])
                raise DataError(
                    f"{folder / split}: has no class {name!r}, which {other}/ has; add pictures of it"
                )


def _split(folder, classes, splits, seed):
    """Pictures of classes by split and by class."""
    labels = np.repeat(np.arange(len(classes)), [len(files) for files in classes.values()])
    files = [file for own in classes.values() for file in own]
    try:
        parts = split_rows(labels, len(splits), seed)
    except ValueError as error:
        k, count = error.args
        found = f"{count} picture{'s' * (count > 1)}"
        raise DataError(
            f"{folder / list(classes)[k]}: has {found}; it takes {len(splits)}, for {', '.join(splits)}"
        ) from error
    return {
        split: {name: [files[i] for i in rows if labels[i] == k] for k, name in enumerate(classes)}
        for split, rows in zip(splits, parts, strict=True)
    }


def _part(pixels, rows):
    """Pictures of ascending rows; in memory without a copy, where none is left out between them."""
    whole = rows[-1] - rows[0] == len(rows) - 1
    return chosen(pixels, slice(rows[0], rows[-1] + 1) if whole else rows)


def _read(listing, size, color, skip_bad, cache, key, report):
    """Bytes of all pictures, zeros for those that cannot be read, and what is wrong with these, by name.

    They are kept in the cache, and stay there where they are too large for memory.
    """
    folder, bad, measured = listing.folder, {}, []
    for file in progress(listing.files, f"measuring {folder.name}"):
        try:
            measured.append(measure(file))
        except DataError as error:
            _note(bad, listing, file, error, skip_bad)
            measured.append(None)
    known = [found for found in measured if found is not None]
    if not known:
        raise DataError(
            f"{folder}: none of its {len(measured)} pictures can be read ({next(iter(bad.values()))})"
        )
    color = color or ("grey" if all(own == "grey" for _, own in known) else "rgb")
    if size is None:
        size = known[0][0]
        for file, found in zip(listing.files, measured, strict=True):
            if found is not None and found[0] != size:
                raise DataError(
                    f"{file}: is {size_text(found[0])} pixels (height x width), others are "
                    f"{size_text(size)}; fit all to one size with --size {size_text(size)}"
                )
    shape = (len(measured), channels_of(color), *size)
    pictures = _pictures(listing, measured, size, color, skip_bad, bad)
    if not stays_on_disk(math.prod(shape)):
        pixels = np.empty(shape, np.uint8)
        for row, picture in enumerate(pictures):
            pixels[row] = picture
        try:
            _keep(cache, key, shape, pixels, bad)
        except WriteError:
            report(f"{cache}: cannot be written, so the pictures will be read again next time")
        return pixels, bad
    try:
        _keep(cache, key, shape, pictures, bad)
    except WriteError as error:
        raise DataError(
            f"{folder}: its pictures are larger than memory, and {cache} ({math.prod(shape) / 1e9:.3g} GB) "
            f"cannot be written ({error.__cause__.strerror}); make room there, or choose a smaller --size"
        ) from error
    return Stored(cache, "pixels"), bad


def _pictures(listing, measured, size, color, skip_bad, bad):
    """The bytes of each picture, zeros for those that cannot be read, which are added to ``bad``."""
    unreadable_picture = np.zeros((channels_of(color), *size), np.uint8)
    for file, found in zip(progress(listing.files, f"reading {listing.folder.name}"), measured, strict=True):
        picture = unreadable_picture
        if found is not None:
            try:
                picture = read_picture(file, size, color)
            except DataError as error:
                _note(bad, listing, file, error, skip_bad)
        yield picture


def _note(bad, listing, file, error, skip_bad):
    if not skip_bad:
        raise unreadable(error) from error
    bad[str(file.relative_to(listing.folder))] = str(error)


def _check_left(listing, good):
    """Raise a `DataError` for a class of a split of which all pictures are bad."""
    rows = np.arange(len(good))
    for row in rows[~good]:
        same = (listing.labels == listing.labels[row]) & good
        split, name = listing.split_of(row), listing.class_names[listing.labels[row]]
        if not any(listing.split_of(i) == split for i in rows[same]):
            raise DataError(f"{listing.folder}: no {split} picture of class {name!r} can be read; add some")


def _cache_path(folder, size, color):
    chosen = "-".join(part for part in (size and size_text(size), color) if part)
    folder = folder.resolve()
    return folder.with_name(f"{folder.name}.{chosen + '.' if chosen else ''}cache.npz")


def _key(listing, size, color):
    """A checksum of all that the bytes depend on."""
    import PIL

    files = []
    for file in listing.files:
        stat = file.stat()
        files.append([str(file.relative_to(listing.folder)), stat.st_size, stat.st_mtime_ns])
    text = json.dumps([READER, PIL.__version__, size, color, files])
    return hashlib.sha256(text.encode()).hexdigest()


def _cached(path, key):
    """Pixels and bad files from the cache, or None if it is of other files."""
    if not path.is_file():
        return None
    try:
        headers = read_array_headers(path)
        if set(headers) != {"pixels", "key", "bad"}:
            return None
        with np.load(path, allow_pickle=False) as file:
            if str(file["key"]) != key:
                return None
            stored = stays_on_disk(math.prod(headers["pixels"][0]))
            return Stored(path, "pixels") if stored else file["pixels"], json.loads(str(file["bad"]))
    # A damaged file is written anew.
    except (ModelError, OSError, ValueError):
        return None


def _keep(path, key, shape, pictures, bad):
    """Write the pictures one by one, then ``bad``, to which reading them may add."""

    def write(file):
        with zipfile.ZipFile(file, "w") as archive:
            write_rows(archive, "pixels", shape, np.dtype(np.uint8), pictures)
            for name, text in (("key", key), ("bad", json.dumps(bad))):
                write_rows(archive, name, (), np.array(text).dtype, [np.array(text)])

    # As large as all the pictures, and nobody else would remove them.
    remove_leftovers(path)
    write_atomically(path, write)
