"""Data sets: bundled with the course, generated with their truth, or downloaded when asked.

And `Shards`: data of any size, in a folder of files.

Nothing here needs a network but `mnist(full=True)`, `fashion(full=True)` and `fetch`. Where files
come from, and under which licence, stands in data/README.md.
"""

import contextlib
import errno
import gzip
import hashlib
import io
import math
import os
import re
import shutil
import uuid
import warnings
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lfm.engine import validate
from lfm.faces import Faces, faces

__all__ = [
    "Bars", "Faces", "Images", "Shards", "ToyMixture", "bars", "cache_folder", "digits", "faces",
    "fashion", "fetch", "load", "mnist", "old_faithful", "overlapping", "thin_blobs",
    "three_blobs", "write_shards",
]  # fmt: skip

Array = np.ndarray

BUNDLED = Path(__file__).parent.parent / "data"


@dataclass(frozen=True, eq=False)
class Images:
    """Grey images with the label of each."""

    images: Array  # (N, H, W) uint8, from 0 to `white`
    labels: Array  # (N,) uint8, 0 to 9
    white: int = 255

    @property
    def x(self) -> Array:
        """The images as data, (N, H W) float64 in [0, 1]."""
        return self.images.reshape(len(self.images), -1) / self.white


@dataclass(frozen=True, eq=False)
class ToyMixture:
    """Draws from a known Gaussian mixture in the plane, and its truth."""

    x: Array  # (N, 2)
    z: Array  # (N,) the component of each
    weights: Array  # π (K,)
    means: Array  # μ (K, 2)
    covs: Array  # Σ (K, 2, 2)


@dataclass(frozen=True, eq=False)
class Bars:
    """Images that are sums of bars, and which bars each shows."""

    x: Array  # (N, size²) float64
    z: Array  # (N, 2 size) in {0, 1}: horizontal bars first
    loadings: Array  # W (size², 2 size): one bar a column


# ------------------------------------------------------------------ files, verified


# Deflated bytes unfold to at most this many each.
MOST_DEFLATED = 1032


class _WrongBytes(ValueError):
    """The checksum differs: these are not the bytes that were asked for."""


def load(path, sha256: str, *, key: str | None = None) -> Array:
    """Return the numbers of a .npy, .npz or .csv file (one header line) whose bytes are verified.

    The bytes are read once, compared with `sha256` (64 hexadecimal digits), and those very bytes
    are parsed. `key` chooses among the arrays of a .npz. Pickled objects are never loaded, and no
    memory is taken for values that a header promises and the file does not have.
    Raises `FileNotFoundError`, or `ValueError` for a file that was altered or cannot be read.
    """
    path = validate.path(path, "path")
    content = _read(path, _checked_sha256(sha256))
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
    path, sha256 = validate.file_to_write(path, "path"), _checked_sha256(sha256)
    if path.is_file() and _digest(path) == sha256:
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
    kind = ValueError if all(isinstance(e, _WrongBytes) for e in errors) else OSError
    raise kind("\n".join([f"{path} could not be fetched:", *reasons]))


def cache_folder() -> Path:
    """Return the folder where downloads are kept: $LFM_CACHE, or the user's cache folder."""
    import pooch

    return validate.path(os.environ.get("LFM_CACHE") or pooch.os_cache("lfm"), "LFM_CACHE")


def _checked_sha256(sha256) -> str:
    if not isinstance(sha256, str) or not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
        raise ValueError(f"sha256 is {sha256!r}; wanted 64 hexadecimal digits")
    return sha256.lower()


def _digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read(path: Path, sha256: str) -> bytes:
    """Return the bytes of a file, read once and verified."""
    path = validate.file_to_read(path, "path", f"a file with sha256 {sha256}")
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise _WrongBytes(
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
            _check_header(member, min(size, MOST_DEFLATED * len(content)))
        with archive.open(f"{key}.npy") as member:
            return np.lib.format.read_array(member, allow_pickle=False)


def _check_header(file, size: int) -> None:
    """Raise where an array is larger than the `size` bytes of its file, before it gets memory."""
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"it is a .npy of version {version}; wanted 1 or 2")
    second = version == (2, 0)
    read = np.lib.format.read_array_header_2_0 if second else np.lib.format.read_array_header_1_0
    shape, _, dtype = read(file)
    if not dtype.hasobject and math.prod(shape) * dtype.itemsize > size:
        raise ValueError(f"its header says {shape} of {dtype}, and there are only {size} bytes")


def _download(url: str, path: Path, sha256: str) -> None:
    import pooch

    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}")  # nobody else's
    try:
        # Not streamed: pooch leaves the socket of a stream open where the download fails
        pooch.HTTPDownloader(timeout=30, stream=False)(url, str(part), None)
        # A connection that is cut ends without an error: the checksum decides
        found, size = _digest(part), part.stat().st_size
        if found != sha256:
            raise _WrongBytes(f"its {size} bytes have sha256 {found}; wanted {sha256}")
        with open(part, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


# ------------------------------------------------------------------ bundled data

_SHA256 = {
    "faithful.csv": "a78cc186d2d1c2460cb5ab212c22ebfbc525ec919daa006452961802d2867037",
    "digits8x8.npz": "b2dab7b501728c22e9119ad76740b2e17c77a231e42d1e592380d90886f1a05e",
    "mnist5k.npz": "246e0c30eeea57c8d0037d3f38c8e00651ec204cc61b8022563e9aeeb9d756f4",
    "fashion5k.npz": "1064eff4cef408fe773c6040772d7cb7c114c2d2b60accb705d268cbecb8d44e",
}


def old_faithful() -> Array:
    """Return 272 eruptions: how long each was and the wait for the next, minutes, (272, 2).

    Source: Azzalini and Bowman 1990, Applied Statistics 39, 357-365.
    """
    return _bundled("faithful.csv")


def digits() -> Images:
    """Return 1,797 handwritten digits of 8×8 pixels, grey values 0 (paper) to 16 (ink).

    Source: Alpaydin and Kaynak 1998, Optical Recognition of Handwritten Digits (UCI), test part.
    """
    name = "digits8x8.npz"
    return Images(_bundled(name, "images"), _bundled(name, "labels"), white=16)


def mnist(full: bool = False, train: bool = True) -> Images:
    """Return handwritten digits of 28×28 pixels: the bundled 5,000, 500 of each.

    With `full` the 60,000 for training or the 10,000 for testing, downloaded once and kept in
    `cache_folder()`. Raises `OSError` where no mirror can be reached.
    Source: LeCun, Bottou, Bengio and Haffner 1998, Proceedings of the IEEE 86, 2278-2324.
    """
    full, train = validate.switch(full, "full"), validate.switch(train, "train")
    if full:
        return _full("mnist", train)
    if not train:
        raise ValueError("train=False asks for test images, which only full=True has: it downloads")
    return Images(_bundled("mnist5k.npz", "images"), _bundled("mnist5k.npz", "labels"))


def fashion(full: bool = False, train: bool = True) -> Images:
    """Return pictures of clothing, 28×28: the bundled 5,000, or 1,000 for testing.

    With `full` the 60,000 and 10,000, as in `mnist`; it raises the same.
    Source: Xiao, Rasul and Vollgraf 2017, arXiv:1708.07747.
    """
    full, train = validate.switch(full, "full"), validate.switch(train, "train")
    if full:
        return _full("fashion-mnist", train)
    part = "train" if train else "test"
    return Images(*(_bundled("fashion5k.npz", f"{part}_{what}") for what in ("images", "labels")))


def _bundled(name: str, key: str | None = None) -> Array:
    path = BUNDLED / name
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} does not exist: the data lie beside lfm/ in the folder of the course; run "
            "from there, or install lfm from there with pip install -e ."
        )
    return load(path, _SHA256[name], key=key)


_MIRRORS = {
    "mnist": (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    "fashion-mnist": (
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    ),
}

# sha256 of each file NAME-ubyte.gz, as every mirror has it
_FULL = {
    "mnist": {
        "train-images-idx3": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "train-labels-idx1": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "t10k-images-idx3": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "t10k-labels-idx1": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    },
    "fashion-mnist": {
        "train-images-idx3": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        "train-labels-idx1": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        "t10k-images-idx3": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        "t10k-labels-idx1": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    },
}


def _full(name: str, train: bool) -> Images:
    part = "train" if train else "t10k"
    return Images(_idx(name, f"{part}-images-idx3"), _idx(name, f"{part}-labels-idx1"))


def _idx(name: str, file: str) -> Array:
    sha256, file_name = _FULL[name][file], f"{file}-ubyte.gz"
    mirrors = [mirror + file_name for mirror in _MIRRORS[name]]
    path = fetch(mirrors, cache_folder() / name / file_name, sha256)
    return _parse_idx(gzip.decompress(_read(path, sha256)), file_name)


def _parse_idx(content: bytes, name: str) -> Array:
    """Return the array of an IDX file: 0, 0, type 8 (uint8), rank, sizes (4 bytes each), values."""
    rank = content[3] if len(content) > 3 else 0
    start = 4 + 4 * rank
    if content[:3] != b"\0\0\x08" or not 0 < rank <= 8 or len(content) < start:
        raise ValueError(f"{name} begins with {content[:4]!r}; wanted an IDX header for bytes")
    shape = tuple(map(int, np.frombuffer(content, ">u4", count=rank, offset=4)))
    if len(content) - start != math.prod(shape):
        raise ValueError(f"{name} holds {len(content) - start} values; its header says {shape}")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape).copy()  # writable


# ------------------------------------------------------------------ data in a folder


class Shards:
    """The rows of the .npy files of a folder, in the order of their names: batches of data.

    Folders and hidden files, which other systems leave in between, are no shards.

    It can be read again and again, as `em.fit` does. Each file is one batch, or several of at most
    `batch_size` rows. Files are memory-mapped and only one is open at a time, so memory does not
    grow with N. `len` counts rows; `dim` is D.

    Raises `FileNotFoundError` for a folder without such files, `NotADirectoryError` for a file,
    and `ValueError` or `TypeError` that names the file where one is broken, is empty, holds
    anything but real numbers or has other columns than the first. No code in a file can run. The
    values themselves are looked at by whoever computes with them.
    """

    def __init__(self, folder, *, batch_size: int | None = None):
        if batch_size is not None:
            batch_size = validate.count(batch_size, "batch_size")
        self.batch_size = batch_size
        folder = validate.path(folder, "folder")
        if folder.exists() and not folder.is_dir():
            raise NotADirectoryError(f"{folder} is a file; wanted a folder of shards")
        files = (p for p in folder.glob("*.npy") if not (p.name.startswith(".") or p.is_dir()))
        self.paths = tuple(sorted(files))
        if not self.paths:
            raise FileNotFoundError(f"{folder} has no .npy files; wanted a folder of shards")
        shapes = [_shard(path).shape for path in self.paths]
        self.counts, self.dim = tuple(shape[0] for shape in shapes), shapes[0][1]
        for path, (_, columns) in zip(self.paths, shapes, strict=True):
            if columns != self.dim:
                raise ValueError(
                    f"{path} has {columns} columns; wanted {self.dim}, as {self.paths[0].name} has"
                )

    def __len__(self) -> int:
        return sum(self.counts)

    def __iter__(self) -> Iterator[Array]:
        for path in self.paths:
            shard = _shard(path)
            size = self.batch_size or len(shard)
            for start in range(0, len(shard), size):
                yield shard[start : start + size]

    def part(self, rank: int, world: int) -> "Shards":
        """Return the files rank, rank + world, rank + 2 world, ...: one of `world` parts."""
        world = validate.count(world, "world")
        rank = validate.count(rank, "rank", 0, world - 1)
        if len(self.paths) < world:
            raise ValueError(
                f"{self.paths[0].parent} has {len(self.paths)} shards for {world} processes; "
                "wanted at least one for each"
            )
        part = object.__new__(type(self))
        part.batch_size, part.dim = self.batch_size, self.dim
        part.paths, part.counts = self.paths[rank::world], self.counts[rank::world]
        return part

    def sample(self, n: int, *, rng) -> Array:
        """Return n rows drawn without replacement, (n, D): what `init` of a model needs."""
        n = validate.count(n, "n", 1, len(self))
        chosen = np.sort(validate.generator(rng).choice(len(self), n, replace=False))
        ends = np.cumsum(self.counts)
        rows = []
        for path, end, count in zip(self.paths, ends, self.counts, strict=True):
            of_this = chosen[np.searchsorted(chosen, end - count) : np.searchsorted(chosen, end)]
            if len(of_this):
                rows.append(validate.data(_shard(path)[of_this - (end - count)], str(path)))
        return np.concatenate(rows)


def write_shards(folder, x, *, rows: int = 2**18) -> Shards:
    """Write data to a folder as files of `rows` rows each, the last perhaps fewer; return them.

    x is an array (N, D), or batches of it: any iterable of arrays, read once, so that N may be
    larger than memory. The folder appears whole or not at all; it must be new or empty, and not the
    current one. Raises `FileExistsError` where it is not, and `ValueError` or `TypeError` for bad
    data.
    """
    folder, rows = validate.path(folder, "folder"), validate.count(rows, "rows")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(f"{folder} exists and is not empty; wanted a new folder")
    if folder == Path.cwd():
        raise FileExistsError(f"{folder} is the current folder; wanted the name of a new one")
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")
    part.mkdir()
    try:
        for i, shard in enumerate(_recut(_kept(x), rows)):
            with open(part / f"{i:08d}.npy", "xb") as file:
                np.save(file, shard, allow_pickle=False)
                file.flush()
                os.fsync(file.fileno())
        with contextlib.suppress(FileNotFoundError):
            folder.rmdir()
        os.replace(part, folder)
    except BaseException as error:
        shutil.rmtree(part, ignore_errors=True)
        if getattr(error, "errno", None) in (errno.ENOTEMPTY, errno.EEXIST):  # somebody was faster
            raise FileExistsError(f"{folder} is not empty now; wanted a new folder") from None
        raise
    return Shards(folder)


def _kept(x) -> Iterator[Array]:
    """Yield checked batches of x as they are: bits as bits, which are computed with as numbers."""
    bits = []

    def noted(parts):
        for part in parts:
            bits.append(str(getattr(part, "dtype", "")).endswith("bool"))
            yield part

    one = not (hasattr(x, "__next__") or validate.is_stream(x))
    for batch in validate.batches(noted([x] if one else x)):
        yield batch.view(bool) if bits[-1] else batch


def _shard(path: Path) -> Array:
    """Return the array of a .npy file, memory-mapped, its header checked."""
    try:
        shard = np.lib.format.open_memmap(path, mode="r")
    except Exception as error:  # whatever is wrong with it
        raise ValueError(f"{path} cannot be read as an array: {error}") from error
    validate.matrix(shard, str(path))
    return shard


def _recut(batches: Iterable[Array], rows: int) -> Iterator[Array]:
    """Yield the same rows in pieces of `rows`, the last perhaps fewer."""
    held, n = [], 0
    for batch in batches:
        start = 0
        while start < len(batch):
            held.append(batch[start : start + rows - n])
            start, n = start + len(held[-1]), n + len(held[-1])
            if n == rows:
                yield np.concatenate(held)
                held, n = [], 0
    if held:
        yield np.concatenate(held)


# ------------------------------------------------------------------ generated data


def bars(n: int, *, rng, size: int = 4, prob: float | None = None, noise: float = 0.1) -> Bars:
    """Return n images of size × size: each bar is on with probability `prob`, and bars add up.

    `prob` is 1/size where not given. `noise` is the standard deviation of the Gaussian noise.
    Source: Földiák 1990, Biological Cybernetics 64, 165-170.
    """
    n, size, rng = validate.count(n, "n"), validate.count(size, "size"), validate.generator(rng)
    prob = 1 / size if prob is None else validate.scalar(prob, "prob", 0.0)
    if prob > 1:
        raise ValueError(f"prob is {prob}; wanted a number between 0 and 1")
    noise = validate.scalar(noise, "noise", 0.0)
    rows, columns = np.kron(np.eye(size), np.ones(size)), np.kron(np.ones(size), np.eye(size))
    loadings = np.vstack([rows, columns]).T  # W (size², 2 size)
    z = (rng.random((n, 2 * size)) < prob).astype(float)
    x = z @ loadings.T + noise * rng.standard_normal((n, size**2))
    return Bars(x, z, loadings)


def three_blobs(n: int, *, rng) -> ToyMixture:
    """Return n points of three round, well separated components of different size."""
    covs = [0.4 * np.eye(2), 0.2 * np.eye(2), 0.8 * np.eye(2)]
    return _toy(n, rng, [0.5, 0.3, 0.2], [[0, 0], [4, 0], [2, 4]], covs)


def overlapping(n: int, *, rng) -> ToyMixture:
    """Return n points of two components that cross each other: same mean, opposite slant."""
    covs = [[[2.0, 1.6], [1.6, 2.0]], [[2.0, -1.6], [-1.6, 2.0]]]
    return _toy(n, rng, [0.6, 0.4], [[0, 0], [0, 0]], covs)


def thin_blobs(n: int, *, rng) -> ToyMixture:
    """Return n points of two parallel needles, 1,000 times as long as wide."""
    covs = [[[1.0, 0.0], [0.0, 1e-6]]] * 2
    return _toy(n, rng, [0.5, 0.5], [[0, 0], [0, 0.01]], covs)


def _toy(n: int, rng, weights, means, covs) -> ToyMixture:
    n, rng = validate.count(n, "n"), validate.generator(rng)
    weights, means, covs = (np.array(a, dtype=float) for a in (weights, means, covs))
    z = rng.choice(len(weights), size=n, p=weights)
    factors = np.linalg.cholesky(covs)
    x = means[z] + np.einsum("nij,nj->ni", factors[z], rng.standard_normal((n, 2)))
    return ToyMixture(x, z, weights, means, covs)
