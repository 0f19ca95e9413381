"""Rows of data, as many at a time as fit the cache: memory then does not grow with N."""

from collections.abc import Callable, Iterator

import numpy as np

from lfm.engine import constants

Array = np.ndarray


def rows(n: int, row: int = 1, *, size: int | None = None) -> Iterator[slice]:
    """Yield slices of n rows, each of `row` float64 numbers, or of `size` rows where given."""
    size = size or max(4, constants.CHUNK_BYTES // (8 * row))
    return (slice(i, min(i + size, n)) for i in range(0, n, size))


def over(
    work: Callable[..., Array], *arrays: Array, row: int = 1, size: int | None = None
) -> Array:
    """Return `work` of the arrays' rows, some at a time, its results one below the other.

    `row` and `size` as in `rows`.
    """
    n, result = len(arrays[0]), None
    for part in rows(n, row, size=size):
        found = work(*(a[part] for a in arrays))
        if result is None:
            result = np.empty((n, *found.shape[1:]), found.dtype)
        result[part] = found
    return result


def centred(x: Array, origin: Array) -> Iterator[tuple[slice, Array]]:
    """Yield slices of rows and x - origin there, in float64."""
    return ((part, x[part] - origin) for part in rows(len(x), x.shape[1]))


def origin(x: Array) -> Array:
    """Return a point amid the data (D,), about which sums keep their digits."""
    return x[: constants.ORIGIN_ROWS].mean(axis=0, dtype=np.float64)
