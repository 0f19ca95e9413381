"""Data of any size: the rows of the .npy files of a folder, written and read batch by batch."""

import contextlib
import errno
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from lfm.engine import constants, files, validate

Array = np.ndarray


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


def write_shards(folder, x, *, rows: int = constants.SHARD_ROWS) -> Shards:
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
    try:
        with files.whole(folder) as (part,):
            part.mkdir()
            for i, shard in enumerate(_recut(_kept(x), rows)):
                np.save(part / f"{i:08d}.npy", shard, allow_pickle=False)
            with contextlib.suppress(FileNotFoundError):
                folder.rmdir()  # the empty one that may be there
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):  # somebody was faster
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
