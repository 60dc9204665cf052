"""A dataset's files on disk: where they are, downloading those that are missing, checking those that exist.

How a file is read is left to the dataset's own module.
"""

import gzip
import hashlib
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from xnornet.catalog import ON_DISK
from xnornet.data import cifar10, mnist, svhn
from xnornet.data.dataset import Dataset, data_path
from xnornet.data.tables import class_table
from xnornet.errors import DataError
from xnornet.hints import StrPath

__all__ = ["Report", "check", "download", "folder_of"]

_MODULES = dict(zip(ON_DISK, (mnist, cifar10, svhn), strict=True))

# Training uses it if it exists, and does not require it.
OPTIONAL = (svhn.EXTRA,)

PUBLISHED, DIFFERS, MISSING = "published", "differs from the published file", "missing"
CHUNK = 1 << 20


def folder_of(name: str, path: StrPath | None = None) -> Path:
    """Return the folder that holds the files of a dataset.

    Parameters
    ----------
    name : str
        One of ``xnornet.catalog.ON_DISK``.
    path : str or Path, optional
        The folder that holds the datasets' folders; see `data_path` for the default.

    Returns
    -------
    Path

    Raises
    ------
    DataError
        If the dataset is unknown or has no files.
    """
    return data_path(path) / _module(name).HOME


def download(name: str, path: StrPath | None = None, report: Callable[[str], object] = print) -> Path:
    """Download every file of a dataset that is missing.

    Files that are there are left as they are. An interrupted download continues where it stopped.

    Parameters
    ----------
    name : str
        One of ``xnornet.catalog.ON_DISK``.
    path : str or Path, optional
        The folder that holds the datasets' folders; see `data_path` for the default.
    report : callable
        Called with each line for people to read.

    Returns
    -------
    Path
        The dataset's folder.

    Raises
    ------
    DataError
        If a file cannot be downloaded.
    """
    folder = folder_of(name, path)
    if name == "svhn" and not (folder / svhn.EXTRA).is_file():
        report(f"{svhn.EXTRA}, {svhn.EXTRA_SIZE}, comes last; training takes it if it is there")
    _module(name).provide(folder)
    report(f"{name}: every file is in {folder}")
    return folder


@dataclass(frozen=True, eq=False)
class Report:
    """What `check` found; ``str(report)`` is for people to read.

    Attributes
    ----------
    name : str
    folder : Path
    files : dict
        By path: size in bytes (None if the file is missing), and ``"published"``, ``"differs from the
        published file"`` or ``"missing"``.
    dataset : Dataset or None
        None if it could not be loaded.
    problem : str
        Why it could not be loaded, or empty.
    same_images : bool
        Whether files differ, and yet images and labels are the published ones, in some order.
    """

    name: str
    folder: Path
    files: dict[Path, tuple[int | None, str]]
    dataset: Dataset | None
    problem: str = ""
    same_images: bool = False

    @property
    def published(self) -> bool:
        """Whether it loads, and all files are the published ones, SVHN's extra file being optional."""
        states = {state for file, (_, state) in self.files.items() if not _is_optional(file, state)}
        return self.dataset is not None and states == {PUBLISHED}

    def __bool__(self) -> bool:
        return self.published or self.same_images

    def __str__(self) -> str:
        lines = [f"{self.name} in {self.folder}", "", *self._file_lines(), ""]
        lines += [*_split_lines(self.dataset), ""] if self.dataset is not None else []
        return "\n".join([*lines, self._verdict()])

    def _file_lines(self):
        names = [str(file.relative_to(self.folder)) for file in self.files]
        width = max(map(len, names))
        for name, (file, (size, state)) in zip(names, self.files.items(), strict=True):
            shown = f"{state} (optional)" if _is_optional(file, state) else state
            yield f"{name:{width}}  {'-' if size is None else f'{size:,}':>13}  {shown}"

    def _verdict(self):
        if self.published:
            return "these are the published files"
        if self.same_images:
            return (
                "these are the published images and labels, in other files or another order: "
                "errors on the test images are errors on the published data"
            )
        if not self.problem:
            return "these are not the published files: errors on them are not errors on the published data"
        if any(state == MISSING and not _is_optional(file, state) for file, (_, state) in self.files.items()):
            return f"files are missing: `python -m xnornet data download {self.name}` gets them"
        return f"it cannot be loaded: {self.problem}"


def check(name: str, path: StrPath | None = None) -> Report:
    """Compare a dataset's files with the published ones, load it, and count its images.

    Nothing is downloaded or changed.

    Parameters
    ----------
    name : str
        One of ``xnornet.catalog.ON_DISK``.
    path : str or Path, optional
        The folder that holds the datasets' folders; see `data_path` for the default.

    Returns
    -------
    Report
        Print it; it is true if all files are the published ones, or for CIFAR-10 if all images and labels
        are, in whatever order.

    Raises
    ------
    DataError
        If the dataset is unknown or has no files. Problems of its files are in the report.
    """
    module, folder = _module(name), folder_of(name, path)
    files = _compare(name, module.published(folder))
    try:
        dataset = module.load_folder(folder, download=False)
    except DataError as error:
        return Report(name, folder, files, None, str(error))
    report = Report(name, folder, files, dataset)
    if report.published or module is not cifar10:
        return report
    return replace(report, same_images=cifar10.has_published_images(dataset))


def _module(name):
    if name not in _MODULES:
        raise DataError(
            f"{name!r} is not a dataset with files, nor a folder; choose one of {', '.join(ON_DISK)}"
        )
    return _MODULES[name]


def _compare(name, published):
    from tqdm import tqdm

    sizes = {file: file.stat().st_size if file.is_file() else None for file in published}
    found = {}
    with tqdm(
        total=sum(size or 0 for size in sizes.values()),
        desc=f"checking {name}",
        unit="B",
        unit_scale=True,
        delay=1,
        leave=False,
        disable=None,
        ncols=100,
    ) as bar:
        for file, md5 in published.items():
            if sizes[file] is None:
                found[file] = None, MISSING
            else:
                found[file] = sizes[file], PUBLISHED if _md5_unpacked(file) == md5 else DIFFERS
                bar.update(sizes[file])
    return found


def _md5_unpacked(file):
    """MD5 of what is in a file, or None if it cannot be read."""
    opened = gzip.open if file.suffix == ".gz" else open
    digest = hashlib.md5(usedforsecurity=False)
    try:
        with opened(file, "rb") as stream:
            while chunk := stream.read(CHUNK):
                digest.update(chunk)
    except (OSError, EOFError, zlib.error):
        return None
    return digest.hexdigest()


def _is_optional(file, state):
    return state == MISSING and file.name in OPTIONAL


def _split_lines(dataset):
    splits = {"train": dataset.train, "valid": dataset.valid, "test": dataset.test}
    counts = {name: np.bincount(s.labels, minlength=dataset.num_classes) for name, s in splits.items()}
    return class_table(dataset.class_names, counts)
