"""N, mean and scatter of data: all that a linear q asks of them. Read once, in chunks."""

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any

import numpy as np
from scipy.linalg import blas, eigh

from lfm.engine import chunks, signatures, validate
from lfm.engine.values import sums

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Moments:
    """N, x̄ and the scatter of data x (N, D).

    Where there are fewer data than columns, the centred data stand in for their scatter, and no
    D × D matrix is ever made.
    """

    n: int
    mean: Array = sums("D")  # x̄
    scatter: Array | None  # Σ_n (x_n - x̄)(x_n - x̄)ᵀ (D, D)
    rows: Array | None  # x - x̄ (N, D)

    @classmethod
    def of(cls, x) -> "Moments":
        """Return the moments of data x (N, D). Raises for what is not finite, or too large."""
        x = validate.matrix(x)
        with np.errstate(over="ignore", invalid="ignore"):
            moments = cls.centred(x) if x.shape[0] < x.shape[1] else cls._scattered(x)
            validate.unspoiled(moments.squares().sum(), x)
        return moments

    @classmethod
    def centred(cls, x: Array) -> "Moments":
        """Return the moments of data x (N, D) with the centred data in place of their scatter."""
        mean = x.mean(axis=0, dtype=np.float64)
        rows = x - mean
        rest = rows.mean(axis=0)  # the rounding of the sum, which a constant column would vary by
        rows -= rest
        return cls(len(x), mean + rest, None, rows)

    @classmethod
    def _scattered(cls, x: Array) -> "Moments":
        (n, d), origin = x.shape, chunks.origin(x)
        scatter, total = np.zeros((d, d), order="F"), np.zeros(d)
        for _, y in chunks.centred(x, origin):
            blas.dsyrk(1.0, y.T, beta=1.0, c=scatter, lower=1, overwrite_c=1)
            total += y.sum(axis=0)
        blas.dsyrk(-1.0 / n, total[:, None], beta=1.0, c=scatter, lower=1, overwrite_c=1)
        for i in range(d):  # the upper triangle, in place
            scatter[i, i + 1 :] = scatter[i + 1 :, i]
        return cls(n, origin + total / n, scatter, None)

    def __add__(self, other: "Moments") -> "Moments":
        """Return the moments of both batches together; of a D × D scatter, if they are many."""
        if not isinstance(other, Moments):
            return NotImplemented
        if other.mean.shape != self.mean.shape:
            raise ValueError(
                f"moments of {len(other.mean)} and {len(self.mean)} columns do not add"
            )
        n = self.n + other.n
        mean = self.mean + other.n / n * (other.mean - self.mean)
        if n < len(mean):
            rows = [part.rows + (part.mean - mean) for part in (self, other)]
            return Moments(n, mean, None, np.vstack(rows))
        return Moments(n, mean, self.about(mean) + other.about(mean), None)

    def about(self, origin: Array) -> Array:
        """Return Σ_n (x_n - origin)(x_n - origin)ᵀ (D, D)."""
        scatter = self.rows.T @ self.rows if self.scatter is None else self.scatter
        gap = self.mean - origin
        return scatter + self.n * np.outer(gap, gap)

    def squares(self) -> Array:
        """Return the diagonal of the scatter (D,)."""
        if self.scatter is None:
            return self._row_squares
        return np.maximum(np.diag(self.scatter), 0.0)

    @cached_property
    def _row_squares(self) -> Array:
        return np.einsum("nd,nd->d", self.rows, self.rows)

    def times(self, a: Array) -> Array:
        """Return scatter @ a for a (D, K)."""
        if self.scatter is None:
            return self.rows.T @ (self.rows @ a)
        return self.scatter @ a

    def leading(self, k: int, scale: Array) -> tuple[Array, Array]:
        """Return the k largest eigenvalues and -vectors of the covariance of x / scale."""
        n, d = self.n, len(self.mean)
        if self.scatter is None:
            white = self.rows / scale
            lam, v = eigh(white @ white.T / n, subset_by_index=(max(n - k, 0), n - 1))
            lam, u = np.maximum(lam, 0.0), white.T @ v / np.sqrt(n)
            u /= np.sqrt(np.where(lam > 0, lam, 1.0))
            if k > n:  # fewer data than factors: the rest of them explain nothing
                lam, u = np.append(np.zeros(k - n), lam), np.hstack([np.zeros((d, k - n)), u])
        else:
            cov = self.scatter / scale
            cov /= n * scale[:, None]
            lam, u = eigh(cov, lower=True, subset_by_index=(d - k, d - 1), overwrite_a=True)
        return np.maximum(lam, 0.0)[::-1], u[:, ::-1]


def _summed(x, name: str, sizes: signatures.Sizes) -> Moments:
    x = x if isinstance(x, Moments) else Moments.of(x)
    validate.matrix(x.mean[None], name, sizes.get("D"))
    return x


Summed = Annotated[Any, _summed]  # data (N, D), as their moments
