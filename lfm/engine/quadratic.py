"""Quadratic scores f_k(x) = a_k - ½ (x - m_k)ᵀ Λ_k (x - m_k), and sums over data, in chunks.

Every mixture of Gaussians, Bayesian or not, infers with such scores and learns from the sums
Σ_n r_nk (1, y_n, y_n y_nᵀ). A score is the inner product <η_k, T(y)> with T(y) = (1, y, the upper
triangle of y yᵀ), so that both steps are one matrix product each, with the same T(y).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy.linalg import solve_triangular

from lfm.engine import chunks, constants, validate
from lfm.engine.softmax import softmax

Array = np.ndarray


class Sums(NamedTuple):
    """The entropy of r in nats, and Σ_n r_nk (1, y, y yᵀ) with y = x_n - origin_k.

    The names are those of `MixtureStats`, which takes them as they are.
    """

    entropy: float
    origin: Array  # (K, D)
    r: Array  # Σ_n r_nk (K,)
    rx: Array  # Σ_n r_nk y_n (K, D)
    rxx: Array  # Σ_n r_nk y_n y_nᵀ (K, D, D)

    def offsets(self) -> Array:
        """Return the means of the components relative to their origins, (K, D)."""
        return self.rx / np.where(self.r > constants.TINY, self.r, 1.0)[:, None]

    def cancels(self, scatter: Array | float = 0.0) -> bool:
        """Tell whether an origin is so far off that the covariance about it loses its digits.

        `scatter` (D, D) is what a prior adds: with it, a component of few data has no digits to
        lose.
        """
        used = self.r > constants.TINY
        offset, r = self.offsets()[used], self.r[used, None, None]
        covs = (self.rxx[used] + scatter) / r - offset[:, :, None] * offset[:, None, :]
        try:
            pivots = np.diagonal(np.linalg.cholesky(covs), axis1=1, axis2=2)
        except np.linalg.LinAlgError:
            return True
        return bool((np.square(offset) > constants.CANCEL_LIMIT * np.square(pivots)).any())


@dataclass(frozen=True, eq=False)
class Quadratic:
    """K quadratic scores. `chols` are the lower Cholesky factors of the Λ_k⁻¹."""

    consts: Array  # a (K,)
    means: Array  # m (K, D)
    chols: Array  # (K, D, D)

    @cached_property
    def precs(self) -> Array:
        # In standard units: of columns of unlike size `inv` would exchange rows, and lose digits.
        std = np.sqrt(np.square(self.chols).sum(axis=2, keepdims=True))  # (K, D, 1)
        inverses = np.tril(np.linalg.inv(self.chols / std))
        inverses /= std.mT
        return inverses.mT @ inverses

    def kappa(self, center: Array) -> float:
        """How large the terms of a score about `center` are, summed without their signs.

        Rounding is about 1e-16 of it. It does not depend on the units of the columns.
        """
        var = np.square(self.chols).sum(axis=2)  # (K, D)
        extent = np.sqrt((var + np.square(self.means - center)).max(axis=0))  # (D,)
        return float((np.abs(self.precs) @ extent @ extent).max())

    def basis(self, x: Array) -> "SharedOrigin | OwnOrigins":
        """Return the fast way where it is accurate for these data, else the careful one."""
        center = chunks.origin(x)
        few = x.shape[1] <= constants.SHARED_COLUMNS
        shared = few and self.kappa(center) < constants.SHARED_LIMIT
        return SharedOrigin(self, center) if shared else OwnOrigins(self)

    def of(self, x: Array) -> Array:
        """Return the scores of all data (N, K)."""
        return self.over(x, lambda scores, axis: scores)

    def over(self, x: Array, function: Callable[..., Array]) -> Array:
        """Return `function(scores, axis=0)` for all data, where axis 0 of the scores is k.

        The result has a row for each datum: (N, K) of the softmax, (N,) of the logsumexp.
        """
        basis = self.basis(x)

        def work(x):
            return function(basis.scores(basis.expand(x)), axis=0).T

        return chunks.over(work, x, size=basis.size)

    def posterior_sums(self, x: Array, scatter: Array | float = 0.0) -> Sums:
        """Return the sums over all data with r = softmax of the scores; r is never held whole.

        Where r puts a component far from its origin for its size, as a start amid nowhere or a
        collapse does, the sums are taken once more about where it is. Raises `ValueError` where x
        has a value that is not finite, or too large.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            sums = self._pass(self.basis(x), x)
            if sums.cancels(scatter):
                sums = self._pass(OwnOrigins(self, sums.origin + sums.offsets()), x)
        validate.unspoiled(sums.rxx.sum() + sums.entropy, x)
        return sums

    def _pass(self, basis: "SharedOrigin | OwnOrigins", x: Array) -> Sums:
        entropy = 0.0
        for part in chunks.rows(len(x), size=basis.size):
            t = basis.expand(x[part])
            scores = basis.scores(t)
            r, shifted, log_norm = softmax(scores, out=scores)
            entropy += float(log_norm.sum() - np.vdot(r, shifted))
            basis.add(r, t)
        return Sums(entropy, *basis.result())


class SharedOrigin:
    """T(y) about one origin for all components: the fast way."""

    def __init__(self, quadratic: Quadratic, center: Array):
        m, precs = quadratic.means - center, quadratic.precs
        d = m.shape[1]
        self.center = center[:, None]
        self.upper = np.triu_indices(d)
        pm = np.einsum("kij,kj->ki", precs, m)
        # -½ yᵀ Λ y over the upper triangle: the diagonal once, each pair twice
        pairs = precs[:, *self.upper] * np.where(self.upper[0] == self.upper[1], -0.5, -1.0)
        const = quadratic.consts - 0.5 * np.einsum("ki,ki->k", m, pm)
        self.eta = np.column_stack([const, pm, pairs])  # (K, P)
        self.total = np.zeros_like(self.eta)
        row = self.eta.shape[1] + 4 * len(m) + d  # T(y); the scores, r and spares; y
        self.size = max(64, constants.CACHE_BYTES // (8 * row))
        self.buffer = np.empty((self.eta.shape[1], self.size))  # T(y) (P, n)
        self.buffer[0] = 1.0
        self.room = np.empty((len(m), self.size))  # for scores: fresh memory costs a page fault

    def expand(self, x: Array) -> Array:
        t, d = self.buffer[:, : len(x)], x.shape[1]
        y = t[1 : d + 1]
        np.subtract(x.T, self.center, out=y)
        row = d + 1
        for i in range(d):
            np.multiply(y[i], y[i:], out=t[row : row + d - i])
            row += d - i
        return t

    def scores(self, t: Array) -> Array:
        return np.matmul(self.eta, t, out=self.room[:, : t.shape[1]])

    def add(self, r: Array, t: Array) -> None:
        # The same product; while T is short, BLAS is a tenth faster this way round.
        self.total += (t @ r.T).T if len(t) < 512 else r @ t.T

    def result(self) -> tuple[Array, Array, Array, Array]:
        k, d = len(self.eta), len(self.center)
        rxx = np.empty((k, d, d))
        rxx[:, *self.upper] = rxx[:, *self.upper[::-1]] = self.total[:, d + 1 :]
        origin = np.tile(self.center.T, (k, 1))
        return origin, self.total[:, 0].copy(), self.total[:, 1 : d + 1].copy(), rxx


class OwnOrigins:
    """y about an origin for each component: half as fast, and right where a shared one is not."""

    def __init__(self, quadratic: Quadratic, origin: Array | None = None):
        self.quadratic = quadratic
        self.origin = quadratic.means if origin is None else origin
        k, d = quadratic.means.shape
        self.r, self.rx, self.rxx = np.zeros(k), np.zeros((k, d)), np.zeros((k, d, d))
        self.size = max(64, constants.CHUNK_BYTES // (8 * (4 * d + 3 * k)))

    def expand(self, x: Array) -> Array:
        return np.array(x.T, dtype=np.float64, order="C")  # (D, n)

    def scores(self, x: Array) -> Array:
        q = self.quadratic
        scores = np.empty((len(q.consts), x.shape[1]))
        for k, (const, mean, chol) in enumerate(zip(q.consts, q.means, q.chols, strict=True)):
            white = solve_triangular(chol, x - mean[:, None], lower=True, check_finite=False)
            scores[k] = const - 0.5 * np.einsum("dn,dn->n", white, white)
        return scores

    def add(self, r: Array, x: Array) -> None:
        for k, origin in enumerate(self.origin):
            y = x - origin[:, None]  # (D, n)
            weighted = y * r[k]
            self.r[k] += r[k].sum()
            self.rx[k] += weighted.sum(axis=1)
            self.rxx[k] += weighted @ y.T

    def result(self) -> tuple[Array, Array, Array, Array]:
        return self.origin, self.r, self.rx, 0.5 * (self.rxx + self.rxx.mT)
