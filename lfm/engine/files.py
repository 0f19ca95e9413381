"""Files that are whole or not there: written atomically, downloaded and read with a checksum.

`whole` is the one way in which anything of the course comes to lie in its place: it is written
beside it, under a name that nobody else uses, and renamed when it is complete and on the disk.
Whoever reads sees the old file or the new one, also where a run is killed or the disk is full.
"""

import contextlib
import glob
import hashlib
import io
import math
import os
import re
import shutil
import time
import uuid
import warnings
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from lfm.engine import constants, validate

Array = np.ndarray


# ------------------------------------------------------------------ written whole


@contextmanager
def whole(*paths: Path) -> Iterator[list[Path]]:
    """Yield a temporary name beside each path; what is written there takes those paths at the end.

    They may be files or folders, and all of them appear or none: where anything fails, the
    temporary ones are removed and what was there before stays, or is put back. (Only if the
    machine itself stops between two renames can the first be new and the second old.)
    Raises `OSError` where a place cannot be written.
    """
    parts = [path.with_name(f".{path.name}.{uuid.uuid4().hex}") for path in paths]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield parts
        for part in parts:
            _to_disk(part)
        _rename(parts, paths)
    except BaseException:
        for part in parts:
            _remove(part)
        raise
    for folder in {path.parent for path in paths}:
        _sync_folder(folder)  # the name, too, survives a power cut


def write_all(contents: Mapping[Path, bytes]) -> None:
    """Write several files, all of them or none; see `whole`."""
    with whole(*contents) as parts:
        for part, content in zip(parts, contents.values(), strict=True):
            with open(part, "xb") as file:
                file.write(content)


def write(path: Path, content: bytes) -> None:
    """Write one file, whole or not at all; see `whole`."""
    write_all({path: content})


def remove_debris(path: Path) -> None:
    """Remove what runs that were killed left half-written beside `path`.

    What is younger than `constants.STALE` stays: another run may be writing it.
    """
    old = time.time() - constants.STALE
    for part in path.parent.glob(f".{glob.escape(path.name)}.*"):
        with contextlib.suppress(FileNotFoundError):  # another run removes it too
            if len(part.name) == len(path.name) + 34 and part.stat().st_mtime < old:
                part.unlink()


def _rename(parts: Sequence[Path], paths: Sequence[Path]) -> None:
    """Give all parts their names; where one cannot have it, take back those that came before it."""
    # The last is not among them: when it has its name, nothing can fail any more.
    before = [path.read_bytes() if path.is_file() else None for path in paths[:-1]]
    for i, (part, path) in enumerate(zip(parts, paths, strict=True)):
        try:
            os.replace(part, path)
        except BaseException:
            for earlier, content in zip(paths[:i], before, strict=False):
                earlier.unlink() if content is None else write(earlier, content)
            raise


def _remove(part: Path) -> None:
    if part.is_dir():
        shutil.rmtree(part, ignore_errors=True)
    else:
        part.unlink(missing_ok=True)


def _to_disk(part: Path) -> None:
    """Wait until the bytes of a file, or of all files of a folder, lie on the disk."""
    for path in part.iterdir() if part.is_dir() else (part,):
        with open(path, "rb+") as file:
            os.fsync(file.fileno())
    if part.is_dir():
        _sync_folder(part)


def _sync_folder(folder: Path) -> None:
    if not hasattr(os, "O_DIRECTORY"):  # Windows has no such thing
        return
    descriptor = os.open(folder, os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# ------------------------------------------------------------------ read and fetched, verified


class WrongBytes(ValueError):
    """The checksum differs: these are not the bytes that were asked for."""


def load(path, sha256: str, *, key: str | None = None) -> Array:
    """Return the numbers of a .npy, .npz or .csv file (one header line) whose bytes are verified.

    The bytes are read once, compared with `sha256` (64 hexadecimal digits), and those very bytes
    are parsed. `key` chooses among the arrays of a .npz. Pickled objects are never loaded, and no
    memory is taken for values that a header promises and the file does not have.
    Raises `FileNotFoundError`, or `ValueError` for a file that was altered or cannot be read.
    """
    path = validate.path(path, "path")
    content = read(path, checked_sha256(sha256))
    try:
        array = _parse(path.suffix, content, key)
    except Exception as error:  # parsers raise anything, from zlib.error to MemoryError
        raise ValueError(f"{path} cannot be read as an array: {error}") from error
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{path} holds {array.dtype} values; wanted real numbers")
    return array


def fetch(url: str | Sequence[str], path, sha256: str) -> Path:
    """Download to `path` unless a file with this sha256 is there already; return the path.

    `url` may be several mirrors, tried in order. Bytes go to a temporary file of their own in the
    same folder and take the final name only when verified: whoever reads `path` sees the whole
    file or none, also when two processes download at once or one is killed.
    Raises `OSError` that says for each mirror why it failed, or `ValueError` where every mirror
    answered but with other bytes. A file that was there then stays as it was.
    """
    mirrors = [url] if isinstance(url, str) else url
    listed = isinstance(mirrors, Sequence) and len(mirrors) > 0
    if not listed or not all(isinstance(mirror, str) for mirror in mirrors):
        raise TypeError(f"url is {url!r}; wanted an address or a sequence of addresses")
    path, sha256 = validate.file_to_write(path, "path"), checked_sha256(sha256)
    if path.is_file() and digest(path) == sha256:
        return path
    errors = []
    for mirror in mirrors:
        try:
            _download(mirror, path, sha256)
        except Exception as error:  # whatever a mirror does wrong, the next one is tried
            errors.append(error)
        else:
            return path
    reasons = [f"  {m}: {type(e).__name__}: {e}" for m, e in zip(mirrors, errors, strict=True)]
    kind = ValueError if all(isinstance(e, WrongBytes) for e in errors) else OSError
    raise kind("\n".join([f"{path} could not be fetched:", *reasons]))


def cache_folder() -> Path:
    """Return the folder where downloads are kept: $LFM_CACHE, or the user's cache folder."""
    if not (folder := os.environ.get("LFM_CACHE")):
        import pooch

        folder = pooch.os_cache("lfm")
    return validate.path(folder, "LFM_CACHE")


def checked_sha256(sha256) -> str:
    if not isinstance(sha256, str) or not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
        raise ValueError(f"sha256 is {sha256!r}; wanted 64 hexadecimal digits")
    return sha256.lower()


def digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read(path: Path, sha256: str) -> bytes:
    """Return the bytes of a file, read once and verified."""
    path = validate.file_to_read(path, "path", f"a file with sha256 {sha256}")
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise WrongBytes(
            f"{path} was altered or cut: its {len(content)} bytes have sha256 {found}; "
            f"wanted {sha256}"
        )
    return content


def _parse(suffix: str, content: bytes, key: str | None) -> Array:
    if suffix not in (".npy", ".npz", ".csv"):
        raise ValueError(f"its name ends in {suffix!r}; wanted .npy, .npz or .csv")
    if suffix != ".npz" and key is not None:
        raise ValueError(f"key is {key!r}; only a .npz has several arrays to choose from")
    if suffix == ".csv":
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # numpy only warns of a file without rows
            return np.loadtxt(io.BytesIO(content), delimiter=",", skiprows=1, ndmin=2)
    if suffix == ".npy":
        _check_header(io.BytesIO(content), len(content))
        return np.load(io.BytesIO(content), allow_pickle=False)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
        if key is None and len(names) == 1:
            key = names[0]
        if key not in names:
            raise ValueError(f"key is {key!r}; wanted one of {', '.join(names)}")
        size = archive.getinfo(f"{key}.npy").file_size
        with archive.open(f"{key}.npy") as member:
            _check_header(member, min(size, constants.MOST_DEFLATED * len(content)))
        with archive.open(f"{key}.npy") as member:
            return np.lib.format.read_array(member, allow_pickle=False)


def _check_header(file, size: int) -> None:
    """Raise where an array is larger than the `size` bytes of its file, before it gets memory."""
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"it is a .npy of version {version}; wanted 1 or 2")
    second = version == (2, 0)
    header = np.lib.format.read_array_header_2_0 if second else np.lib.format.read_array_header_1_0
    shape, _, dtype = header(file)
    if not dtype.hasobject and math.prod(shape) * dtype.itemsize > size:
        raise ValueError(f"its header says {shape} of {dtype}, and there are only {size} bytes")


def _download(url: str, path: Path, sha256: str) -> None:
    import pooch

    with whole(path) as (part,):
        # Not streamed: pooch leaves the socket of a stream open where the download fails
        pooch.HTTPDownloader(timeout=constants.SILENCE, stream=False)(url, str(part), None)
        # A connection that is cut ends without an error: the checksum decides
        found, size = digest(part), part.stat().st_size
        if found != sha256:
            raise WrongBytes(f"its {size} bytes have sha256 {found}; wanted {sha256}")


def parse_idx(content: bytes, name: str) -> Array:
    """Return the array of an IDX file: 0, 0, type 8 (uint8), rank, sizes (4 bytes each), values."""
    rank = content[3] if len(content) > 3 else 0
    start = 4 + 4 * rank
    if content[:3] != b"\0\0\x08" or not 0 < rank <= 8 or len(content) < start:
        raise ValueError(f"{name} begins with {content[:4]!r}; wanted an IDX header for bytes")
    shape = tuple(map(int, np.frombuffer(content, ">u4", count=rank, offset=4)))
    if len(content) - start != math.prod(shape):
        raise ValueError(f"{name} holds {len(content) - start} values; its header says {shape}")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape).copy()  # writable
