"""Files downloaded from mirrors: interrupted downloads are resumed, and every file's checksum is verified.

What a file holds, and which of them a dataset needs, is left to the dataset's module.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from xnornet.disk import exclusive, md5_of
from xnornet.errors import DataError

__all__ = ["fetch"]

# A lost connection loses the chunk that is being received, so chunks are small.
CHUNK = 1 << 16
TIMEOUT_SECONDS = 30


class _Failure(Exception):
    """A mirror did not deliver the file."""


def fetch(
    folder: Path,
    fname: str,
    mirrors: Sequence[str],
    checksums: Mapping[str, str],
    download: bool = True,
    home: str | None = None,
) -> Path:
    """Download one file of a dataset.

    Received bytes are written to ``fname.part``. If the download is interrupted, that file remains, and the
    next attempt requests the rest, from the same or another mirror. It is renamed when it is complete and
    its checksum is right.

    Parameters
    ----------
    folder : Path
        Folder of the dataset; made if it is not there.
    fname : str
        Name of the file, in the folder and on the mirrors.
    mirrors : sequence of str
        Addresses that `fname` is appended to, in the order in which they are tried.
    checksums : dict
        MD5 of each file that the folder needs, by name.
    download : bool
        If False, only say that the file is missing.
    home : str, optional
        Path of the folder below ``$PYLEARN2_DATA_PATH``; by default its name.

    Returns
    -------
    Path
        The downloaded file, whole and with the right checksum.

    Raises
    ------
    DataError
        If no mirror delivered the file. Received bytes are kept, unless their checksum was wrong.
    """
    home = home or folder.name
    if not download:
        raise _missing(folder, fname, "downloading is off", checksums, home)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with exclusive(folder / "download") as alone:
            if not alone:
                raise DataError(f"{folder}: another program is downloading to it; wait until it is done")
            reason = _download(folder / fname, [mirror + fname for mirror in mirrors], checksums[fname])
    except OSError as error:
        reason = f"cannot be written ({error.strerror or error})"
        raise _missing(folder, fname, reason, checksums, home) from error
    if reason is not None:
        raise _missing(folder, fname, reason, checksums, home)
    return folder / fname


def _download(path, urls, md5):
    """Download a file. Returns None, or why that failed."""
    part = path.with_name(f"{path.name}.part")
    with open(part, "ab") as file:
        failures = _fill(file, urls, md5)
    if failures is None:
        os.replace(part, path)
        return None
    reason = f"could not be downloaded ({'; '.join(failures)})"
    if kept := part.stat().st_size:
        return f"{reason}, {kept:,} bytes of it are kept for the next attempt"
    part.unlink()
    return reason


def _fill(file, urls, md5):
    """Complete a file from the first address that works. Returns None, or the failure of each address."""
    failures = []
    for url in urls:
        try:
            _complete(file, url, md5)
            return None
        except _Failure as failure:
            failures.append(f"{urlsplit(url).netloc}: {failure}")
    return failures


def _complete(file, url, md5):
    resumed = file.tell() > 0
    _append_rest(file, url)
    file.flush()
    os.fsync(file.fileno())
    if md5_of(file.name) == md5:
        return
    file.truncate(0)
    file.seek(0)
    if not resumed:
        raise _Failure("wrong checksum")
    # The first bytes are from an earlier download, perhaps from another mirror: start again with this one.
    _complete(file, url, md5)


def _append_rest(file, url):
    import requests
    from tqdm import tqdm

    have = file.tell()
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    try:
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT_SECONDS) as response:
            # The mirror has no more bytes: the file is complete or wrong, and the checksum decides which.
            if have and response.status_code == requests.codes.requested_range_not_satisfiable:
                return
            response.raise_for_status()
            if have and not _continues(response, have):
                file.truncate(0)
                have = file.seek(0)
            length = response.headers.get("Content-Length", "")
            length = int(length) if length.isdecimal() else 0
            with tqdm(
                total=have + length if length else None,
                initial=have,
                desc=os.path.basename(url),
                unit="B",
                unit_scale=True,
                ncols=100,
                disable=None,
            ) as bar:
                for chunk in response.iter_content(CHUNK):
                    file.write(chunk)
                    bar.update(len(chunk))
    except requests.HTTPError as error:
        raise _Failure(f"HTTP {error.response.status_code}") from error
    except requests.exceptions.ChunkedEncodingError as error:
        raise _Failure("connection lost") from error
    except requests.RequestException as error:
        # Their own text is too long for one line.
        raise _Failure(type(error).__name__) from error


def _continues(response, have):
    found = response.headers.get("Content-Range", "")
    return response.status_code == 206 and found.startswith(f"bytes {have}-")


def _missing(folder, fname, reason, files, home):
    return DataError(
        f"{folder / fname}: not found, and {reason}; put {', '.join(files)} in {folder}, "
        f"or `export PYLEARN2_DATA_PATH=DIR` with them in DIR/{home}"
    )
