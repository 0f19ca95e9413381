"""Expectation maximization with continuous latent factors: factor analysis, probabilistic PCA.

z ~ N(0, I), x | z ~ N(W z + μ, Ψ) with Ψ diagonal. Given θ, the posterior of z_n is a Gaussian
whose mean is linear in x_n, so inference is exact and L = ln p(X). Given q, learning is the
regression of x on z.
"""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.linalg import blas, eigh, pinvh

from lfm.distributions import LinearGaussian
from lfm.em import Stats
from lfm.engine import validate
from lfm.engine.values import Value

Array = np.ndarray

# No noise variance below this share of its column's variance: the likelihood could grow without
# limit as it goes to zero. See `FactorAnalysis.learn`.
FLOOR = 1e-6
# EM needs thousands of steps down to the floor, so a column that is on its way there is reported
# from this share on, the limit that factor analysts have long used.
SUSPECT = 0.005
# A factor with this share of its second moment as variance does not vary but for rounding.
SINGULAR = 1e-12
CHUNK_BYTES = 3_000_000
EPS = np.finfo(float).eps


class HeywoodCase(UserWarning):
    """The factors explain a column entirely: its noise variance is on its way to zero."""


@dataclass(frozen=True, eq=False)
class FactorStats(Stats):
    """Σ_n of E_q[(y, y², z, y zᵀ, z zᵀ)] with y = x_n - origin; the origin only serves accuracy."""

    origin: Array  # (D,)
    x: Array  # Σ y (D,)
    xx: Array  # Σ y² (D,), the diagonal alone
    z: Array  # Σ E[z] (K,)
    xz: Array  # Σ y E[z]ᵀ (D, K)
    zz: Array  # Σ E[z zᵀ] (K, K)

    def __add__(self, other: "FactorStats") -> "FactorStats":
        if not isinstance(other, FactorStats):
            return NotImplemented
        if other.xz.shape != self.xz.shape:
            raise ValueError(
                f"statistics of {other.xz.shape} and {self.xz.shape} (D, K) do not add"
            )
        return replace(super().__add__(other.about(self.origin)), origin=self.origin)

    def about(self, origin: Array) -> "FactorStats":
        """Return the same statistics about another origin (D,)."""
        shift = origin - self.origin
        return replace(
            self,
            origin=origin,
            x=self.x - self.n * shift,
            xx=self.xx - shift * (2 * self.x - self.n * shift),
            xz=self.xz - shift[:, None] * self.z,
        )

    def squares(self, loadings: Array, mean: Array) -> Array:
        """Return Σ_n E[(x_n - W z_n - μ)²] for any W (D, K) and μ (D,); shape (D,)."""
        s = self.about(mean)
        return s.xx - 2 * np.einsum("dk,dk->d", loadings, s.xz) + _quadratic(loadings, s.zz)

    def rounding(self, loadings: Array, mean: Array, noise: Array | float) -> float:
        """Return how much of the sum of squares over the noise variances (D,) may be rounding."""
        terms = self.about(mean).xx + _quadratic(loadings, self.zz)
        stored = self.n * np.square(EPS * mean)  # μ far from 0 is stored to so much
        return float(8 * ((EPS * terms + stored) / noise).sum())

    def floor(self) -> Array:
        """Return the least noise variance allowed in each column (D,)."""
        return _least_noise(self.var(), self.origin + self.x / self.n)

    def var(self) -> Array:
        """Return the variance of each column of the data (D,); 0 where it is but rounding."""
        mean = self.x / self.n
        return unrounded(self.xx / self.n - np.square(mean), self.origin + mean)


@dataclass(frozen=True, eq=False)
class Moments:
    """N, mean and scatter of data: all of x that a linear q asks for. Read once, in chunks.

    Where there are fewer data than columns, the centred data stand in for their scatter, and no
    D × D matrix is ever made.
    """

    n: int
    mean: Array  # x̄ (D,)
    scatter: Array | None  # Σ_n (x_n - x̄)(x_n - x̄)ᵀ (D, D)
    rows: Array | None  # (N, D)

    @classmethod
    def of(cls, x) -> "Moments":
        """Return the moments of data x (N, D)."""
        x = validate.matrix(x)
        n, d = x.shape
        with np.errstate(over="ignore", invalid="ignore"):
            origin = x[:1024].mean(axis=0, dtype=np.float64)
            if n < d:
                rows = x - x.mean(axis=0, dtype=np.float64)
                moments = cls(n, x.mean(axis=0, dtype=np.float64), None, rows)
            else:
                scatter, total = np.zeros((d, d), order="F"), np.zeros(d)
                for y in _chunks(x, origin):
                    blas.dsyrk(1.0, y.T, beta=1.0, c=scatter, lower=1, overwrite_c=1)
                    total += y.sum(axis=0)
                blas.dsyrk(-1.0 / n, total[:, None], beta=1.0, c=scatter, lower=1, overwrite_c=1)
                for i in range(d):  # the upper triangle, in place
                    scatter[i, i + 1 :] = scatter[i + 1 :, i]
                moments = cls(n, origin + total / n, scatter, None)
            healthy = np.isfinite(moments.squares()).all()
        # A value that is not finite spoils the sums, so looking at x itself is needed only then.
        if not healthy:
            validate.data(x)
            raise ValueError(validate.too_large("x"))
        return moments

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
            return np.einsum("nd,nd->d", self.rows, self.rows)
        return np.maximum(np.diag(self.scatter), 0.0)

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


@dataclass(frozen=True, eq=False)
class FactorAnalysis(Value):
    """p(x) = N(x; μ, W Wᵀ + Ψ). Eq. factor-analysis. With `isotropic`, Ψ = σ²I: probabilistic PCA.

    W and W R give the same density for every orthogonal R (Eq. rotation): the loadings have no
    meaning of their own. Raises `ValueError` or `TypeError` for parameters that are not those of
    a factor analysis. Source: PRML 12.2; Rubin and Thayer 1982, Psychometrika 47, 69-76.
    """

    loadings: Array  # W (D, K)
    mean: Array  # μ (D,)
    noise: Array  # the diagonal of Ψ (D,), variances
    isotropic: bool = False
    needs_q = False  # the posterior is exact

    def __post_init__(self):
        loadings = validate.parameter(self.loadings, "loadings", (None, None))
        mean = validate.parameter(self.mean, "mean", (len(loadings),))
        noise = validate.parameter(self.noise, "noise", (len(loadings),))
        if (noise <= 0).any():
            raise ValueError(f"noise has the value {noise.min():.6g}; wanted variances, all > 0")
        validate.switch(self.isotropic, "isotropic")
        if self.isotropic and np.ptp(noise) > 1e-12 * noise.max():
            raise ValueError("noise differs between columns; isotropic=True wants one variance")
        for name, value in (("loadings", loadings), ("mean", mean), ("noise", noise)):
            object.__setattr__(self, name, value)

    @classmethod
    def init(cls, x, n_factors: int, *, rng=None, isotropic: bool = False) -> "FactorAnalysis":
        """Return a starting point: the closed form of probabilistic PCA, nothing random in it.

        Where the noise may differ between columns they are brought to unit variance first, so
        that the start, like the model, does not depend on their units.
        """
        x = x if isinstance(x, Moments) else Moments.of(x)
        if validate.switch(isotropic, "isotropic"):
            return cls.ppca(x, n_factors)
        std = np.sqrt(filled(_variances(x)))
        start = _ppca(x, n_factors, std)
        noise = np.maximum(start.noise * std**2, _least_noise(_variances(x), x.mean))
        return cls(start.loadings * std[:, None], start.mean, noise)

    @classmethod
    def ppca(cls, x, n_factors: int) -> "FactorAnalysis":
        """Return the maximum of the likelihood with Ψ = σ²I, in closed form; K < D factors.

        Eq. ppca-optimum: W = U (Λ - σ²I)^½ from the K leading eigenpairs of the covariance of x,
        σ² the mean of the other D - K eigenvalues. Source: PRML 12.2.1; Tipping and Bishop 1999,
        Journal of the Royal Statistical Society B 61, 611-622.
        """
        x = x if isinstance(x, Moments) else Moments.of(x)
        return _ppca(x, n_factors, np.ones(len(x.mean)))

    def summarise(self, x) -> Moments:
        """Return the moments of x. `infer` and `expect` take them in place of x."""
        moments = x if isinstance(x, Moments) else Moments.of(x)
        validate.matrix(moments.mean[None], n_columns=len(self.mean))
        return moments

    def infer(self, x, q=None) -> LinearGaussian:
        """Return q(Z) = p(Z | X, θ): z_n ~ N(G Wᵀ Ψ⁻¹ (x_n - μ), G). The old `q` is not needed.

        Eq. factor-posterior. One linear map serves all data, so x is only looked at for its shape.
        """
        if not isinstance(x, Moments):
            validate.matrix(x, n_columns=len(self.mean))
        return self._posterior

    def expect(self, x, q: LinearGaussian) -> FactorStats:
        """Return Σ of E_q[(y, y², z, y zᵀ, z zᵀ)] and H[q]; from `Moments` at a cost without N.

        Eq. sufficient-statistics. Raises `ValueError` where q and x disagree.
        """
        d, k = self.loadings.shape
        if not isinstance(q, LinearGaussian):
            raise TypeError(f"q is {type(q).__name__}; wanted a LinearGaussian")
        if q.weights.shape != (k, d):
            raise ValueError(f"q has weights of shape {q.weights.shape}; wanted ({k}, {d})")
        if not isinstance(x, Moments):
            x = validate.data(x, n_columns=d)
            return statistics(x, lambda rows: q.mean(x[rows]), len(x) * q.cov, len(x) * q.entropy())
        z = q.weights @ (x.mean - q.offset)  # the mean of E[z_n] over data (K,)
        xz = x.times(q.weights.T)  # (D, K)
        zz = x.n * (q.cov + np.outer(z, z)) + q.weights @ xz
        return FactorStats(
            n=x.n, entropy=x.n * q.entropy(), origin=x.mean, x=np.zeros(d), xx=x.squares(),
            z=x.n * z, xz=xz, zz=0.5 * (zz + zz.T),
        )  # fmt: skip

    def learn(self, stats: FactorStats) -> "FactorAnalysis":
        """Return the regression of x on z: W, μ, and Ψ from what it leaves unexplained.

        Eq. factor-learning. No noise variance goes below FLOOR = 1e-6 of the variance of its
        column (of the mean variance, for a column that is constant or where Ψ = σ²I). The bound
        has one summit in each noise variance, so the nearest allowed value is the maximum over
        all that are allowed, and the bound still never falls. Warns with `HeywoodCase` of columns
        whose noise is below 0.5 % and whose likelihood has no maximum above the floor.
        """
        validate.statistics(stats, FactorStats, xz=self.loadings.shape)
        loadings, mean, residual = regression(stats)
        var, floor = stats.var(), stats.floor()
        noise = np.maximum(residual / stats.n, floor)
        if self.isotropic:
            noise = np.full_like(noise, max(residual.mean() / stats.n, floor.mean()))
        elif (low := noise < SUSPECT * var).any() and (low := low & self._heywood(stats)).any():
            _warn_heywood(low)
        return replace(self, loadings=loadings, mean=mean, noise=noise)

    def lower_bound(self, stats: FactorStats) -> float:
        """Return L(q, θ) = E_q[ln p(X, Z | θ)] + H[q] in nats; it needs no data.

        After exact inference L = ln p(X | θ).
        """
        d, k = self.loadings.shape
        validate.statistics(stats, FactorStats, xz=self.loadings.shape)
        squares = stats.squares(self.loadings, self.mean)
        log_det = np.log(self.noise).sum()
        log_likelihood = -0.5 * (
            stats.n * (d * np.log(2 * np.pi) + log_det) + (squares / self.noise).sum()
        )
        log_prior = -0.5 * (stats.n * k * np.log(2 * np.pi) + np.trace(stats.zz))
        return float(log_likelihood + log_prior + stats.entropy)

    def rounding(self, stats: FactorStats) -> float:
        """Return how much of the bound may be rounding, nats: it grows as the noise goes to 0."""
        validate.statistics(stats, FactorStats, xz=self.loadings.shape)
        return stats.rounding(self.loadings, self.mean, self.noise)

    def log_prob(self, x) -> Array:
        """Return ln p(x_n | θ) in nats, shape (N,), without the D × D covariance.

        Eq. woodbury: |W Wᵀ + Ψ| = |Ψ| / |G|, and the distance of x from μ is what it costs to
        explain x by its best z: (y - W z)ᵀ Ψ⁻¹ (y - W z) + zᵀ z with y = x - μ, z = E[z | x].
        """
        d = len(self.mean)
        x = validate.data(x, n_columns=d)
        posterior, white = self._posterior, self.loadings / np.sqrt(self.noise)[:, None]
        log_det = np.log(self.noise).sum() - np.linalg.slogdet(posterior.cov)[1]
        log_prob = np.empty(len(x))
        at = 0
        for y in _chunks(x, self.mean):
            z = y @ posterior.weights.T  # (n, K)
            y /= np.sqrt(self.noise)
            y -= z @ white.T
            cost = np.einsum("nd,nd->n", y, y) + np.einsum("nk,nk->n", z, z)
            log_prob[at : at + len(y)] = -0.5 * (d * np.log(2 * np.pi) + log_det + cost)
            at += len(y)
        return log_prob

    def sample(self, n: int, *, rng) -> tuple[Array, Array]:
        """Return n draws (x (N, D), z (N, K)): z from the prior, then x given z."""
        n, rng = validate.count(n, "n"), validate.generator(rng)
        d, k = self.loadings.shape
        z = rng.standard_normal((n, k))
        x = z @ self.loadings.T + self.mean + np.sqrt(self.noise) * rng.standard_normal((n, d))
        return x, z

    def uniqueness(self) -> Array:
        """Return the share of each column's variance that is noise (D,), between 0 and 1."""
        return self.noise / (np.square(self.loadings).sum(axis=1) + self.noise)

    def _heywood(self, stats: FactorStats) -> Array:
        """Tell of which columns (D,) ln p(X | θ) rises all the way as their noise alone goes down.

        With e_d the unit vector, adding t to ψ_d adds t e_d e_dᵀ to the covariance C. The log
        likelihood as a function of t is then greatest at t = (s - c)/c², where c = [C⁻¹]_dd and
        s = [C⁻¹ S C⁻¹]_dd with S the covariance of the data, and C⁻¹(x - μ) = Ψ⁻¹(x - μ - W E[z]).
        Source: Zhao, Yu and Jiang 2008, Statistics and Computing 18, 109-123.
        """
        W, psi, G = self.loadings, self.noise, self._posterior.cov
        about = stats.about(self.mean)
        zz = about.zz - stats.n * G  # Σ E[z] E[z]ᵀ
        left = about.xx - 2 * np.einsum("dk,dk->d", W, about.xz) + _quadratic(W, zz)
        s = left / stats.n / psi**2
        c = (1 - _quadratic(W, G) / psi) / psi
        return psi + (s - c) / c**2 <= FLOOR * stats.var()

    @cached_property
    def _posterior(self) -> LinearGaussian:
        scaled = self.loadings / self.noise[:, None]  # Ψ⁻¹W (D, K)
        inner = np.eye(self.loadings.shape[1]) + self.loadings.T @ scaled  # G⁻¹ (K, K)
        cov = np.linalg.inv(inner)
        cov = 0.5 * (cov + cov.T)
        return LinearGaussian(cov @ scaled.T, self.mean, cov)


def statistics(x: Array, mean: Callable[[slice], Array], cov: Array, entropy: float) -> FactorStats:
    """Return the statistics of data x (N, D) for a q given by its means, rows by rows.

    `cov` (K, K) is Σ_n Cov_q[z_n], `entropy` is H[q] in nats; x passes through in chunks.
    """
    d, k = x.shape[1], len(cov)
    origin = x[:1024].mean(axis=0, dtype=np.float64)
    sx, sxx, sz, sxz, szz = np.zeros(d), np.zeros(d), np.zeros(k), np.zeros((d, k)), np.array(cov)
    at = 0
    for y in _chunks(x, origin):
        z = mean(slice(at, at + len(y)))  # (n, K)
        sx += y.sum(axis=0)
        sxx += np.einsum("nd,nd->d", y, y)
        sz += z.sum(axis=0)
        sxz += y.T @ z
        szz += z.T @ z
        at += len(y)
    return FactorStats(len(x), float(entropy), origin, sx, sxx, sz, sxz, szz)


def regression(stats: FactorStats) -> tuple[Array, Array, Array]:
    """Return W (D, K), μ (D,) and Σ_n E[(x_n - W z_n - μ)²] (D,) of the regression of x on z.

    Eq. factor-learning: with the intercept eliminated, W = Cov(x, z) Cov(z)⁻¹ and μ = x̄ - W z̄.
    Where factors do not vary, or only together, W is the solution of least norm.
    """
    n, z = stats.n, stats.z / stats.n  # z̄ (K,)
    x = stats.x / n  # (D,)
    czz = stats.zz - n * np.outer(z, z)
    cxz = stats.xz - n * np.outer(x, z)
    std = np.sqrt(np.where(np.diag(czz) > SINGULAR * np.diag(stats.zz), np.diag(czz), 0.0))
    used = std > 0
    loadings = np.zeros_like(cxz)
    loadings[:, used] = _solve(czz[np.ix_(used, used)], cxz[:, used], std[used])
    cxx = stats.xx - n * np.square(x)
    residual = cxx - 2 * np.einsum("dk,dk->d", loadings, cxz) + _quadratic(loadings, czz)
    return loadings, stats.origin + x - loadings @ z, np.maximum(residual, 0.0)


def _solve(czz: Array, cxz: Array, std: Array) -> Array:
    """Return cxz czz⁻¹, in units in which each factor has variance 1."""
    corr = czz / np.outer(std, std)
    try:
        if np.diag(np.linalg.cholesky(corr)).min(initial=1.0) > np.sqrt(SINGULAR):
            return np.linalg.solve(corr, (cxz / std).T).T / std
    except np.linalg.LinAlgError:
        pass
    return cxz / std @ pinvh(corr, rtol=SINGULAR) / std


def _quadratic(a: Array, b: Array) -> Array:
    """Return a_dᵀ b a_d for each row of a (D, K) and b (K, K)."""
    return np.einsum("dk,dk->d", a @ b, a)


def _ppca(x: Moments, n_factors: int, std: Array) -> FactorAnalysis:
    """Return the closed form for the data x / std, with the mean of x itself."""
    d = len(x.mean)
    if d == 1:
        raise ValueError("x has 1 column; wanted at least 2: factors are what columns share")
    k = validate.count(n_factors, "n_factors", 1, d - 1)
    var = _variances(x) / np.square(std)
    lam, u = x.leading(k, std)
    floor = _least_noise(var, x.mean / std).mean()
    noise = max((var.sum() - lam.sum()) / (d - k), floor)
    loadings = u * np.sqrt(np.maximum(lam - noise, 0.0))
    return FactorAnalysis(loadings, x.mean, np.full(d, noise), isotropic=True)


def _variances(x: Moments) -> Array:
    """Return the variance of each column (D,); 0 where it is but rounding."""
    return unrounded(x.squares() / x.n, x.mean)


def unrounded(var: Array, mean: Array) -> Array:
    """Return variances with 0 for one that data so far from 0 have by rounding alone."""
    return np.where(var > np.square(8 * EPS * mean), var, 0.0)


def _least_noise(var: Array, mean: Array) -> Array:
    """Return the least noise variance allowed in columns of such variances and means (D,)."""
    return np.maximum(FLOOR * filled(var), np.square(8 * EPS * mean))  # what rounding μ makes of it


def filled(var: Array) -> Array:
    """Return variances with that of a constant column replaced by the mean of the others, or 1."""
    used = var > 0
    return np.where(used, var, var[used].mean() if used.any() else 1.0)


def _chunks(x: Array, origin: Array) -> Iterator[Array]:
    """Yield x - origin in float64, as many rows at a time as fit the cache."""
    size = max(64, CHUNK_BYTES // (8 * x.shape[1]))
    return (x[i : i + size] - origin for i in range(0, len(x), size))


def _warn_heywood(low: Array) -> None:
    columns = ", ".join(map(str, np.flatnonzero(low)[:8])) + (", ..." if low.sum() > 8 else "")
    warnings.warn(
        f"the factors explain columns [{columns}] entirely (a Heywood case): the likelihood rises "
        f"as their noise variances go to 0, so they are held at {FLOOR:g} of the columns' "
        "variances or above. Use fewer factors, more data, or isotropic=True",
        HeywoodCase,
        stacklevel=3,
    )
