"""Expectation maximization with continuous latent factors: factor analysis, probabilistic PCA.

z ~ N(0, I), x | z ~ N(W z + μ, Ψ) with Ψ diagonal. Given θ, the posterior of z_n is a Gaussian
whose mean is linear in x_n, so inference is exact and L = ln p(X). Given q, learning is the
regression of x on z.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.linalg import pinvh

from lfm.distributions import LinearGaussian
from lfm.em import CentredStats
from lfm.engine import chunks, constants, validate
from lfm.engine.moments import Moments, Summed
from lfm.engine.rounding import filled, least_noise, unrounded
from lfm.engine.signatures import Count, Data, Rng, Rows, Switch
from lfm.engine.values import array, frozen, positive, sums, switch
from lfm.engine.warn import warn

Array = np.ndarray


class HeywoodCase(UserWarning):
    """The factors explain a column entirely: its noise variance is on its way to zero."""


@dataclass(frozen=True, eq=False)
class FactorStats(CentredStats):
    """Σ_n of E_q[(y, y², z, y zᵀ, z zᵀ)] with y = x_n - origin, an origin (D,)."""

    x: Array = sums("D")  # Σ y
    xx: Array = sums("D")  # Σ y², the diagonal alone
    z: Array = sums("K")  # Σ E[z]
    xz: Array = sums("D", "K")  # Σ y E[z]ᵀ
    zz: Array = sums("K", "K")  # Σ E[z zᵀ]

    @classmethod
    def of(cls, x: Array, z: Array, cov: Array, entropy: float) -> "FactorStats":
        """Return the sums for data x (N, D), E[z_n] (N, K), Σ_n Cov[z_n] (K, K) and H[q]."""
        d, k, origin = x.shape[1], len(cov), chunks.origin(x)
        sx, sxx, sxz = np.zeros(d), np.zeros(d), np.zeros((d, k))
        for part, y in chunks.centred(x, origin):
            sx += y.sum(axis=0)
            sxx += np.einsum("nd,nd->d", y, y)
            sxz += y.T @ z[part]
        return cls(len(x), float(entropy), origin, sx, sxx, z.sum(axis=0), sxz, cov + z.T @ z)

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
        stored = self.n * np.square(constants.EPS * mean)  # μ far from 0 is stored to so much
        return float(8 * ((constants.EPS * terms + stored) / noise).sum())

    def floor(self) -> Array:
        """Return the least noise variance allowed in each column (D,)."""
        return least_noise(self.var(), self.origin + self.x / self.n)

    def var(self) -> Array:
        """Return the variance of each column of the data (D,); 0 where it is but rounding."""
        mean = self.x / self.n
        return unrounded(self.xx / self.n - np.square(mean), self.origin + mean)


@frozen
class FactorAnalysis:
    """p(x) = N(x; μ, W Wᵀ + Ψ). Eq. factor-analysis. With `isotropic`, Ψ = σ²I: probabilistic PCA.

    W and W R give the same density for every orthogonal R (Eq. rotation): the loadings have no
    meaning of their own. Raises `ValueError` or `TypeError` for parameters that are not those of
    a factor analysis. Source: PRML 12.2; Rubin and Thayer 1982, Psychometrika 47, 69-76.
    """

    loadings: Array = array("D", "K")  # W
    mean: Array = array("D")  # μ
    noise: Array = positive("D")  # the diagonal of Ψ, variances
    isotropic: bool = switch(False)
    needs_q, exact_inference = False, True  # `infer` returns the posterior

    def _check(self):
        if self.isotropic and np.ptp(self.noise) > 1e-12 * self.noise.max():
            raise ValueError("noise differs between columns; isotropic=True wants one variance")

    @classmethod
    def init(
        cls, x: Summed, n_factors: int, *, rng=None, isotropic: Switch = False
    ) -> "FactorAnalysis":
        """Return a starting point: the closed form of probabilistic PCA, nothing random in it.

        Where the noise may differ between columns they are brought to unit variance first, so
        that the start, like the model, does not depend on their units.
        """
        if isotropic:
            return cls.ppca(x, n_factors)
        std = np.sqrt(filled(_variances(x)))
        start = _ppca(x, n_factors, std)
        noise = np.maximum(start.noise * std**2, least_noise(_variances(x), x.mean))
        return cls(start.loadings * std[:, None], start.mean, noise)

    @classmethod
    def ppca(cls, x: Summed, n_factors: int) -> "FactorAnalysis":
        """Return the maximum of the likelihood with Ψ = σ²I, in closed form; K < D factors.

        Eq. ppca-optimum: W = U (Λ - σ²I)^½ from the K leading eigenpairs of the covariance of x,
        σ² the mean of the other D - K eigenvalues. Source: PRML 12.2.1; Tipping and Bishop 1999,
        Journal of the Royal Statistical Society B 61, 611-622.
        """
        return _ppca(x, n_factors, np.ones(len(x.mean)))

    def summarise(self, x: Summed) -> Moments:
        """Return the moments of x. `infer` and `expect` take them in place of x."""
        return x

    def infer(self, x: Rows | Moments, q=None) -> LinearGaussian:
        """Return q(Z) = p(Z | X, θ): z_n ~ N(G Wᵀ Ψ⁻¹ (x_n - μ), G). The old `q` is not needed.

        Eq. factor-posterior. One linear map serves all data, so x is only looked at for its shape.
        """
        return self._posterior

    @cached_property
    def _posterior(self) -> LinearGaussian:
        W, mu, psi = self.loadings, self.mean, self.noise
        precision = np.eye(W.shape[1]) + W.T @ (W / psi[:, None])  # G⁻¹ = I + Wᵀ Ψ⁻¹ W (K, K)
        G = np.linalg.inv(precision)
        G = 0.5 * (G + G.T)
        return LinearGaussian(G @ (W / psi[:, None]).T, mu, G)

    def expect(self, x: Data | Moments, q: LinearGaussian) -> FactorStats:
        """Return Σ of E_q[(y, y², z, y zᵀ, z zᵀ)] and H[q]; from `Moments` at a cost without N.

        Eq. sufficient-statistics, with y = x - x̄. Raises `ValueError` where q and x disagree.
        """
        x = x if isinstance(x, Moments) else Moments.centred(x)
        A, G = q.weights, q.cov
        z = A @ (x.mean - q.offset)  # the mean of E[z_n] over data (K,)
        xz = x.times(A.T)  # Σ y_n E[z_n]ᵀ (D, K)
        zz = x.n * (G + np.outer(z, z)) + A @ xz  # Σ (Cov[z_n] + E[z_n] E[z_n]ᵀ) (K, K)
        at_mean = np.zeros_like(x.mean), x.squares()  # Σ y and Σ y²
        return FactorStats(x.n, x.n * q.entropy(), x.mean, *at_mean, x.n * z, xz, 0.5 * (zz + zz.T))

    def learn(self, stats: FactorStats) -> "FactorAnalysis":
        """Return the regression of x on z: W, μ, and Ψ from what it leaves unexplained.

        Eq. factor-learning. No noise variance goes below FLOOR = 1e-6 of the variance of its
        column (of the mean variance, for a column that is constant or where Ψ = σ²I), nor below
        what it is now, if that is less. The bound has one summit in each noise variance, so the
        nearest allowed value is the maximum over all that are allowed, and the bound still never
        falls. Warns with `HeywoodCase` of columns whose noise is below 0.5 % and whose likelihood
        has no maximum above the floor. It is finite all the same, unless more than K columns follow
        from each other exactly.
        """
        loadings, mean, residual = regression(stats)
        var, floor = stats.var(), stats.floor()
        noise = np.maximum(residual / stats.n, np.minimum(floor, self.noise))
        if self.isotropic:
            least = min(floor.mean(), self.noise.min())
            noise = np.full_like(noise, max(residual.mean() / stats.n, least))
        elif (low := noise < constants.SUSPECT * var).any():
            _report(low & _heywood(self, stats))
        return replace(self, loadings=loadings, mean=mean, noise=noise)

    def lower_bound(self, stats: FactorStats) -> float:
        """Return L(q, θ) = E_q[ln p(X, Z | θ)] + H[q] in nats; it needs no data.

        After exact inference L = ln p(X | θ).
        """
        d, k = self.loadings.shape
        squares = stats.squares(self.loadings, self.mean)
        log_det = np.log(self.noise).sum()
        log_likelihood = -0.5 * (
            stats.n * (d * np.log(2 * np.pi) + log_det) + (squares / self.noise).sum()
        )
        log_prior = -0.5 * (stats.n * k * np.log(2 * np.pi) + np.trace(stats.zz))
        return float(log_likelihood + log_prior + stats.entropy)

    def rounding(self, stats: FactorStats) -> float:
        """Return how much of the bound may be rounding, nats: it grows as the noise goes to 0."""
        return stats.rounding(self.loadings, self.mean, self.noise)

    def log_prob(self, x: Data) -> Array:
        """Return ln p(x_n | θ) in nats, shape (N,), without the D × D covariance.

        Eq. woodbury: |W Wᵀ + Ψ| = |Ψ| / |G|, and the distance of x from μ is what it costs to
        explain x by its best z: (y - W z)ᵀ Ψ⁻¹ (y - W z) + zᵀ z with y = x - μ, z = E[z | x].
        """
        W, psi, q = self.loadings, self.noise, self._posterior
        const = len(psi) * np.log(2 * np.pi) + np.log(psi).sum() - np.linalg.slogdet(q.cov)[1]

        def work(x):
            y = x - self.mean
            z = y @ q.weights.T  # (n, K)
            white = (y - z @ W.T) / np.sqrt(psi)
            cost = np.einsum("nd,nd->n", white, white) + np.einsum("nk,nk->n", z, z)
            return -0.5 * (const + cost)

        return chunks.over(work, x, row=2 * len(psi))

    def sample(self, n: Count, *, rng: Rng) -> tuple[Array, Array]:
        """Return n draws (x (N, D), z (N, K)): z from the prior, then x given z."""
        d, k = self.loadings.shape
        z = rng.standard_normal((n, k))
        x = z @ self.loadings.T + self.mean + np.sqrt(self.noise) * rng.standard_normal((n, d))
        return x, z

    def uniqueness(self) -> Array:
        """Return the share of each column's variance that is noise (D,), between 0 and 1."""
        return self.noise / (np.square(self.loadings).sum(axis=1) + self.noise)


def regression(stats: FactorStats) -> tuple[Array, Array, Array]:
    """Return W (D, K), μ (D,) and Σ_n E[(x_n - W z_n - μ)²] (D,) of the regression of x on z.

    Eq. factor-learning: with the intercept eliminated, W = Cov(x, z) Cov(z)⁻¹ and μ = x̄ - W z̄.
    Where factors do not vary, or only together, W is the solution of least norm.
    """
    n, z = stats.n, stats.z / stats.n  # z̄ (K,)
    x = stats.x / n  # (D,)
    czz = stats.zz - n * np.outer(z, z)
    cxz = stats.xz - n * np.outer(x, z)
    std = np.sqrt(
        np.where(np.diag(czz) > constants.SINGULAR * np.diag(stats.zz), np.diag(czz), 0.0)
    )
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
        if np.diag(np.linalg.cholesky(corr)).min(initial=1.0) > np.sqrt(constants.SINGULAR):
            return np.linalg.solve(corr, (cxz / std).T).T / std
    except np.linalg.LinAlgError:
        pass
    return cxz / std @ pinvh(corr, rtol=constants.SINGULAR) / std


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
    floor = least_noise(var, x.mean / std).mean()
    noise = max((var.sum() - lam.sum()) / (d - k), floor)
    loadings = u * np.sqrt(np.maximum(lam - noise, 0.0))
    return FactorAnalysis(loadings, x.mean, np.full(d, noise), isotropic=True)


def _variances(x: Moments) -> Array:
    """Return the variance of each column (D,); 0 where it is but rounding."""
    return unrounded(x.squares() / x.n, x.mean)


def _heywood(model: FactorAnalysis, stats: FactorStats) -> Array:
    """Tell of which columns (D,) ln p(X | θ) rises all the way as their noise alone goes down.

    With e_d the unit vector, adding t to ψ_d adds t e_d e_dᵀ to the covariance C. The log
    likelihood as a function of t is then greatest at t = (s - c)/c², where c = [C⁻¹]_dd and
    s = [C⁻¹ S C⁻¹]_dd with S the covariance of the data, and C⁻¹(x - μ) = Ψ⁻¹(x - μ - W E[z]).
    Source: Zhao, Yu and Jiang 2008, Statistics and Computing 18, 109-123.
    """
    W, psi, G = model.loadings, model.noise, model._posterior.cov
    about = stats.about(model.mean)
    zz = about.zz - stats.n * G  # Σ E[z] E[z]ᵀ
    left = about.xx - 2 * np.einsum("dk,dk->d", W, about.xz) + _quadratic(W, zz)
    rest = 1 - _quadratic(W, G) / psi  # ψ c; so nothing is squared that has units
    return psi + (left / stats.n - psi * rest) / rest**2 <= constants.FLOOR * stats.var()


def _report(low: Array) -> None:
    """Warn of columns (D,) that the factors explain entirely, if there are any."""
    if not low.any():
        return
    columns = ", ".join(map(str, np.flatnonzero(low)[:8])) + (", ..." if low.sum() > 8 else "")
    warn(
        f"the factors explain columns [{columns}] entirely (a Heywood case): the likelihood rises "
        f"as their noise variances go to 0, so they are held at {constants.FLOOR:g} of the "
        "columns' variances or above. Use fewer factors, more data, or isotropic=True",
        HeywoodCase,
    )
