"""Checks of arguments. Every error names the argument, says what came and what is wanted.

`TypeError` is for a value of the wrong kind, `ValueError` for one of the right kind that is
wrong. Public functions call these once, at their entry; nothing inside checks again.
"""

import math
import numbers
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lfm.engine import constants

Array = np.ndarray

RngLike = np.random.Generator | int | np.integer


def numeric(a, name: str) -> Array:
    """Return `a` as an array of real numbers, in its own dtype (bool: 0 and 1), not copied.

    Copied is what torch does not take, rows that run backwards; and copied as float64 what neither
    it nor LAPACK does: half, long or swapped numbers.
    """
    if a is None:
        raise TypeError(f"{name} is None; wanted an array of real numbers")
    if hasattr(a, "__next__"):
        raise TypeError(f"{name} is an iterator; wanted an array of real numbers")
    if np.ma.is_masked(a):
        raise ValueError(f"{name} has masked values; fill them in or leave their rows out")
    if hasattr(a, "toarray") and hasattr(a, "nnz"):
        raise TypeError(f"{name} is a sparse matrix; wanted a dense array: {name}.toarray()")
    try:
        a = np.asarray(a)
    except ValueError as error:
        raise ValueError(f"{name} is ragged: {error}; wanted rows of equal length") from None
    except (TypeError, RuntimeError) as error:  # torch's, for a tensor that numpy does not take
        raise TypeError(
            f"{name} is a {type(a).__name__} that numpy does not take ({error}); wanted real "
            f"numbers in memory, as {name}.detach().double().cpu() has them"
        ) from None
    if a.dtype.kind not in "fiub":
        raise TypeError(f"{name} holds {a.dtype} values; wanted real numbers (float or integer)")
    if a.dtype.kind == "b":
        a = a.view(np.int8)  # bytes without sign are grey values, these are 0 and 1
    if any(stride < 0 for stride in a.strides):
        a = a.copy()
    if a.dtype.kind == "f" and a.dtype not in (np.float32, np.float64):
        with np.errstate(over="ignore"):  # a long number that does not fit is then not finite
            return a.astype(np.float64)
    return a if a.dtype.isnative else a.astype(a.dtype.newbyteorder("="))


def finite(a: Array, name: str) -> Array:
    """Return `a`, or say where its first NaN or infinity is. Allocates nothing if all is well."""
    with np.errstate(over="ignore", invalid="ignore"):
        if a.dtype.kind != "f" or np.isfinite(a.sum()):
            return a
    bad = np.argwhere(~np.isfinite(a))
    if len(bad):
        where = ", ".join(map(str, bad[0]))
        raise ValueError(
            f"{name} has {len(bad)} values that are not finite, the first ({a[tuple(bad[0])]}) at "
            f"[{where}]; remove or impute them"
        )
    return a


def matrix(x, name: str = "x", n_columns: int | None = None) -> Array:
    """Return data as a 2-D array (N, D), N and D at least 1, in its own dtype, not copied."""
    x = numeric(x, name)
    if x.ndim != 2:
        hint = f"; reshape a single column with {name}[:, None]" if x.ndim == 1 else ""
        raise ValueError(f"{name} has shape {x.shape}; wanted two dimensions (N, D){hint}")
    if 0 in x.shape:
        raise ValueError(f"{name} has shape {x.shape}; wanted at least one row and one column")
    if n_columns is not None and x.shape[1] != n_columns:
        raise ValueError(f"{name} has {x.shape[1]} columns; wanted {n_columns}, as the model has")
    return x


def data(x, name: str = "x", n_columns: int | None = None) -> Array:
    """Return data as `matrix` does, having looked at every value: finite, and fit to be squared."""
    return squarable(matrix(x, name, n_columns), name)


def squarable(a, name: str) -> Array:
    """Return numbers of any shape, having looked at every one: finite, and fit to be squared."""
    a = finite(numeric(a, name), name)
    if a.size and max(float(a.max()), -float(a.min())) > constants.LARGEST:
        raise ValueError(too_large(name))
    return a


def unspoiled(total: float, x: Array) -> None:
    """Raise what `data` raises for x where a sum that was made of it is not finite.

    A value that is not finite spoils every sum, so x itself need only be looked at then.
    """
    if not np.isfinite(total):
        data(x)
        raise ValueError(too_large("x"))


def double(a, name: str) -> Array:
    """Return data (N, D) in double precision: means of float32 would be float32."""
    return data(a, name).astype(np.float64)


def grey(a, name: str) -> Array:
    """Return images (N, D); of bytes, what the networks of a VAE see of them."""
    a = data(a, name)
    return a / 255 if a.dtype == np.uint8 else a


def labels_of(labels, n: int) -> Array:
    """Return one finite number for each of n data (n,)."""
    labels = finite(numeric(labels, "labels"), "labels")
    if labels.shape != (n,):
        raise ValueError(f"labels has shape {labels.shape}; wanted ({n},), one for each datum")
    return labels


def aligned(a, b, first: str = "codes", second: str = "factors") -> tuple[Array, Array]:
    """Return two tables with as many rows, in double precision."""
    a, b = double(a, first), double(b, second)
    if len(a) != len(b):
        raise ValueError(f"{second} has {len(b)} rows; wanted {len(a)}, as {first} has")
    return a, b


def is_stream(x) -> bool:
    """Tell batches, an iterable of arrays (n, D), from one array in whatever form numpy takes it.

    A list or another sequence is batches where one of its items has two dimensions.
    """
    if isinstance(x, Sequence):
        return any(getattr(item, "ndim", 0) == 2 for item in x)
    return isinstance(x, Iterable) and not (hasattr(x, "__array__") or hasattr(x, "toarray"))


def over(batches: Iterable, work: Callable[[Array], Any], name: str = "x") -> Iterator[Any]:
    """Yield what `work` returns for each batch (n, D); errors in its data say which batch it was.

    All have as many columns as the first, and there is at least one.
    """
    columns = None
    for i, batch in enumerate(batches):
        file = getattr(batch, "filename", None)  # of a memory-mapped file
        label = f"batch {i} of {name}" + (f" ({Path(file).name})" if file else "")
        batch = matrix(batch, label)
        if columns not in (None, batch.shape[1]):
            raise ValueError(f"{label} has {batch.shape[1]} columns; wanted {columns}, as batch 0")
        columns = batch.shape[1]
        try:
            result = work(batch)
        except ValueError:
            data(batch, label)
            raise
        yield result
    if columns is None:
        raise ValueError(f"{name} gave no batch; wanted at least one, each time it is read")


def batches(x, name: str = "x") -> Iterator[Array]:
    """Yield checked batches of x: of an iterable of arrays, or the one array that it is."""
    parts = x if hasattr(x, "__next__") or is_stream(x) else [matrix(x, name)]
    return over(parts, lambda batch: data(batch, name), name)


def too_large(name: str) -> str:
    return f"{name} is too large to be squared in double precision; rescale it"


def parameter(a, name: str, shape: tuple[int | None, ...]) -> Array:
    """Return a parameter as a read-only float64 copy of the given shape (None: any length)."""
    a = np.array(numeric(a, name), dtype=np.float64)
    fits = a.ndim == len(shape) and all(w in (None, s) for s, w in zip(a.shape, shape, strict=True))
    if not fits or a.size == 0:
        wanted = "(" + ", ".join("any" if w is None else str(w) for w in shape) + ")"
        raise ValueError(f"{name} has shape {a.shape}; wanted {wanted}, not empty")
    finite(a, name)
    return _read_only(a)


def _read_only(a: Array) -> Array:
    a.flags.writeable = False
    return a


def _resolution(a) -> float:
    """Return the step from 1 to the next number of its kind, or 0 for double precision."""
    return constants.RESOLUTION.get(str(getattr(a, "dtype", "")).removeprefix("torch."), 0.0)


def probabilities(p, name: str, shape: tuple[int | None, ...]) -> Array:
    """Return probabilities: not negative, and summing to 1 along the last axis within 1e-8.

    Those that come in float32 or float16 sum to 1 as well as their numbers can; in double precision
    they are then divided by their sum.
    """
    eps = _resolution(p)
    p = parameter(p, name, shape)
    if (p < 0).any():
        raise ValueError(f"{name} has the negative value {p.min():.6g}; wanted probabilities")
    total = p.sum(axis=-1, keepdims=True)
    worst = np.abs(total - 1).max()
    if worst > max(1e-8, 32 * eps):
        raise ValueError(f"{name} does not sum to 1 (off by {worst:.3g}); normalise it first")
    return p if worst <= 1e-8 else _read_only(p / total)


def unit_interval(p, name: str, shape: tuple[int | None, ...]) -> Array:
    """Return probabilities, each between 0 and 1; they need not sum to anything.

    Sums of float32 or float16 may be above 1 by their rounding, which is cut off.
    """
    eps = _resolution(p)
    p = parameter(p, name, shape)
    if 1 < p.max() <= 1 + 32 * eps:
        p = _read_only(np.minimum(p, 1.0))
    if p.min() < 0 or p.max() > 1:
        worst = p.min() if p.min() < 0 else p.max()
        raise ValueError(f"{name} has the value {worst:.6g}; wanted probabilities, from 0 to 1")
    return p


def above(a: Array, name: str, low: float, what: str) -> Array:
    """Return an array of `what`, all of which are above `low`."""
    if a.min() <= low:
        raise ValueError(f"{name} has the value {a.min():.6g}; wanted {what}, all > {low:g}")
    return a


def together(**arrays) -> None:
    """Raise where arrays cannot be broadcast together; the keywords are their names."""
    try:
        np.broadcast_shapes(*(np.shape(a) for a in arrays.values()))
    except ValueError:
        shapes = " and ".join(f"{name} has shape {np.shape(a)}" for name, a in arrays.items())
        raise ValueError(f"{shapes}; wanted shapes that go together") from None


def covariance(a, name: str, shape: tuple[int | None, ...]) -> Array:
    """Return covariances (..., D, D) as a parameter; `cholesky` says whether they are any.

    Those that come in float32 or float16 are as symmetric as their numbers can be; the mean of them
    and their transposes is then taken.
    """
    eps = _resolution(a)
    cov = parameter(a, name, shape)
    if eps == 0.0 or cov.shape[-1] != cov.shape[-2]:
        return cov
    gap, size = (np.abs(c).max(axis=(-2, -1)) for c in (cov - cov.mT, cov))
    if (gap > 32 * eps * size).any():
        return cov
    return _read_only(0.5 * (cov + cov.mT))


def cholesky(cov: Array, name: str) -> Array:
    """Return the lower Cholesky factors of covariances (..., D, D), or say which one has none."""
    size = np.abs(cov).max(axis=(-2, -1), keepdims=True)
    if (np.abs(cov - cov.mT) > 1e-10 * size).any():
        label, c = _first(
            cov, name, lambda c: not np.allclose(c, c.T, rtol=0, atol=1e-10 * abs(c).max())
        )
        gap = np.abs(c - c.T).max()
        raise ValueError(f"{label} is not symmetric (differs from its transpose by {gap:.3g})")
    try:
        return np.linalg.cholesky(cov)
    except np.linalg.LinAlgError:
        label, c = _first(cov, name, lambda c: np.linalg.eigvalsh(c)[0] <= 0)
        raise ValueError(
            f"{label} is not positive definite, so not a covariance (smallest eigenvalue "
            f"{np.linalg.eigvalsh(c)[0]:.3g})"
        ) from None


def _first(stack: Array, name: str, wrong) -> tuple[str, Array]:
    """Return the name and value of the first matrix of a stack that is wrong, or of the worst."""
    if stack.ndim == 2:
        return name, stack
    flat = stack.reshape(-1, *stack.shape[-2:])
    lowest = [np.linalg.eigvalsh(c)[0] / (np.trace(c) or 1.0) for c in flat]
    k = next((k for k, c in enumerate(flat) if wrong(c)), int(np.argmin(lowest)))
    return f"{name}[{k}]", flat[k]


def count(k, name: str, low: int = 1, high: int | None = None) -> int:
    """Return a whole number between `low` and `high`. A bool is refused: True is not a count."""
    if isinstance(k, bool | np.bool_) or not isinstance(k, numbers.Integral):
        raise TypeError(f"{name} is {k!r} ({type(k).__name__}); wanted a whole number")
    if k < low or k > (sys.maxsize if high is None else high):
        limit = f"at least {low}" if high is None else f"between {low} and {high}"
        raise ValueError(f"{name} is {k}; wanted {limit}")
    return int(k)


def scalar(a, name: str, low: float = -np.inf, *, strict: bool = False) -> float:
    """Return a finite real number, at least `low` (above it where `strict`)."""
    if isinstance(a, bool | np.bool_) or not isinstance(a, numbers.Real):
        raise TypeError(f"{name} is {a!r} ({type(a).__name__}); wanted a real number")
    try:
        value = float(a)
    except OverflowError:  # a whole number with hundreds of digits
        value = math.inf
    if not math.isfinite(value) or value < low or (strict and value == low):
        wanted = "finite" if low == -np.inf else f"finite and {'>' if strict else '>='} {low:g}"
        raise ValueError(f"{name} is {a}; wanted a number that is {wanted}")
    return value


def switch(a, name: str) -> bool:
    """Return True or False; nothing else will do."""
    if not isinstance(a, bool | np.bool_):
        raise TypeError(f"{name} is {a!r}; wanted True or False")
    return bool(a)


def text(a, name: str) -> str:
    """Return a text."""
    if not isinstance(a, str):
        raise TypeError(f"{name} is {a!r}; wanted a text")
    return a


def sequence(a, name: str) -> list:
    """Return a sequence that is no text as a list."""
    if not isinstance(a, Sequence) or isinstance(a, str | bytes):
        raise TypeError(f"{name} is {type(a).__name__}; wanted a list or a tuple")
    return list(a)


def counts(a, name: str) -> list[int]:
    """Return a sequence of whole numbers, at least 1, as a list."""
    return [count(k, name) for k in sequence(a, name)]


def path(a, name: str) -> Path:
    """Return the path of a file or folder: absolute, with `~` and links followed to their end."""
    if not isinstance(a, str | os.PathLike) or not isinstance(os.fspath(a), str):
        raise TypeError(f"{name} is {a!r}; wanted the name of a file or folder")
    if not str(a) or "\0" in str(a):
        raise ValueError(f"{name} is {str(a)!r}; wanted the name of a file or folder")
    try:
        return Path(a).expanduser().resolve()
    except (RuntimeError, OSError) as error:  # no such user; links in a circle
        raise ValueError(f"{name} is {str(a)!r}, which leads nowhere: {error}") from None


def file_to_read(a, name: str, wanted: str) -> Path:
    """Return the path of a file that is there; raise `FileNotFoundError`, `IsADirectoryError`."""
    found = path(a, name)
    if found.is_dir():
        raise IsADirectoryError(f"{found} is a folder; wanted {wanted}")
    if not found.exists():
        raise FileNotFoundError(f"{found} does not exist; wanted {wanted}")
    if not found.is_file():
        raise OSError(f"{found} is a device or a pipe; wanted {wanted}")
    return found


def file_to_write(a, name: str) -> Path:
    """Return the path of a file to be written; its folder is made. No folder has that name."""
    found = path(a, name)
    if found.is_dir():
        raise IsADirectoryError(f"{found} is a folder; wanted the name of a file")
    if found.exists() and not found.is_file():
        raise OSError(f"{found} is a device or a pipe; wanted the name of a file")
    if found.parent.exists() and not found.parent.is_dir():
        raise NotADirectoryError(f"{found.parent} is a file; wanted a folder, for {found.name}")
    found.parent.mkdir(parents=True, exist_ok=True)
    return found


def kind(a, name: str, wanted: type):
    """Return `a`, an instance of `wanted`."""
    if not isinstance(a, wanted):
        raise TypeError(f"{name} is {type(a).__name__}; wanted a {wanted.__name__}")
    return a


def log_table(a, name: str) -> Array:
    """Return log probabilities (..., K) in double precision; -inf is for what is impossible."""
    a = np.asarray(numeric(a, name), dtype=np.float64)
    if a.ndim == 0 or a.size == 0:
        raise ValueError(f"{name} has shape {a.shape}; wanted (..., K), not empty")
    if np.isnan(a).any() or np.isposinf(a).any():
        raise ValueError(f"{name} has NaN or +inf; wanted log probabilities, -inf for impossible")
    return a


def one_of(a, name: str, kinds: tuple[type, ...]) -> None:
    """Raise where a value is of none of these classes. None is named by the class that it has."""
    if not isinstance(a, kinds):
        names = ["None" if k is type(None) else k.__name__ for k in kinds]
        article = "an" if names[0][0] in "AEIOU" else "a"
        raise TypeError(f"{name} is {type(a).__name__}; wanted {article} {' or '.join(names)}")


def torch_seed(rng) -> int:
    """Return the seed for a generator of torch's, drawn from a generator or a seed."""
    return int(generator(rng).integers(2**62))


def generator(rng, name: str = "rng") -> np.random.Generator:
    """Return the generator that was passed, or a new one from a seed."""
    if isinstance(rng, np.random.Generator):
        return rng
    if isinstance(rng, bool | np.bool_) or not isinstance(rng, numbers.Integral):
        raise TypeError(
            f"{name} is {rng!r} ({type(rng).__name__}); wanted a numpy.random.Generator or a seed"
        )
    if rng < 0:
        raise ValueError(f"{name} is {rng}; wanted a seed that is not negative")
    return np.random.default_rng(int(rng))
