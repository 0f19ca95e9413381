"""Expectation maximization with a discrete latent factor: the Gaussian mixture.

z ~ Categorical(π), x | z=k ~ N(μ_k, Σ_k). Given θ, the posterior of z_n is K numbers by Bayes'
rule, so inference is exact and L = ln p(X). Given q, learning sets π_k to component k's share of
the data, and μ_k and Σ_k to the mean and the covariance of the data weighted by r_nk.

The E-step is `infer` and `expect`; `em.fit` runs both in one pass, `infer_and_expect`. The M-step
is `learn`, the bound `lower_bound`. Sums are taken of y = x - origin, with an origin near the data:
about 0, a large mean and a small variance would leave few correct digits. Apart from rounding, the
origin changes no result.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.special import logsumexp, softmax

from lfm.distributions import Categorical, InverseWishart
from lfm.em import CentredStats
from lfm.engine import chunks, constants, validate
from lfm.engine.quadratic import Quadratic
from lfm.engine.rounding import collapse
from lfm.engine.signatures import Count, Data, Rng, Rows, checked
from lfm.engine.values import array, covariances, frozen, instance, probabilities, sums

Array = np.ndarray

A_PRIOR = "prior=InverseWishart.from_data(x, n_components)"  # what errors advise


class DegenerateComponent(ValueError):
    """No M-step: a component has no data, or its data, or all data, lie in a hyperplane."""


@dataclass(frozen=True, eq=False)
class MixtureStats(CentredStats):
    """Σ_n r_nk (1, y, y yᵀ) with y = x_n - origin_k, origins (K, D) that lie near the data."""

    r: Array = sums("K")  # N_k = Σ_n r_nk
    rx: Array = sums("K", "D")  # Σ_n r_nk y_n
    rxx: Array = sums("K", "D", "D")  # Σ_n r_nk y_n y_nᵀ

    def about(self, origin: Array) -> "MixtureStats":
        """Return the same statistics about other origins (K, D)."""
        shift = self.r[:, None] * (origin - self.origin)
        return replace(self, origin=origin, rx=self.rx - shift, rxx=self.scatter(origin))

    def scatter(self, means: Array) -> Array:
        """Return Σ_n r_nk (x_n - μ_k)(x_n - μ_k)ᵀ about any means (K, D); shape (K, D, D).

        If the origins are 0 and the μ_k are the weighted means, this is
        Σ_n r_nk x_n x_nᵀ - N_k μ_k μ_kᵀ.
        """
        s = means - self.origin  # (y - s)(y - s)ᵀ = y yᵀ - y sᵀ - s yᵀ + s sᵀ
        S = self.rx[:, :, None] * s[:, None, :]
        S = self.rxx - (S + S.mT)
        # Symmetric to the bit, since so bracketed: r (s_i s_j) is r (s_j s_i), (r s_i) s_j is not.
        S += self.r[:, None, None] * (s[:, :, None] * s[:, None])
        return S

    def means(self, otherwise: Array) -> Array:
        """Return the weighted means Σ_n r_nk x_n / N_k (K, D).

        A component without data keeps its row of `otherwise` (K, D).
        """
        return _means(self.origin, self.rx, self.r, otherwise)

    def var(self) -> Array:
        """Return the variance of each column of all data (D,)."""
        n, s = max(self.r.sum(), constants.TINY), self.origin.mean(axis=0) - self.origin
        shifted = self.rx - self.r[:, None] * s  # Σ_n r_nk (y - s)
        squares = np.einsum("kdd->d", self.rxx) - ((self.rx + shifted) * s).sum(axis=0)
        return np.maximum(squares / n - np.square(shifted.sum(axis=0) / n), 0.0)

    def rounding(self, means: Array, precs: Array) -> float:
        """Return an upper estimate of the rounding error of Σ r_nk (x_n - μ_k)ᵀ Λ_k (x_n - μ_k)."""
        terms = np.abs(precs * self.scatter(means)).sum()
        far = constants.EPS * np.abs(means)  # a stored mean is no more exact
        stored = np.einsum("k,ki,kij,kj->", self.r, far, np.abs(precs), far)
        return float(8 * (constants.EPS * terms + stored))


@frozen
class GaussianMixture:
    """p(x) = Σ_k π_k N(x; μ_k, Σ_k). Eq. mixture.

    With a prior on the Σ_k, Σ_k ln p(Σ_k) is added to the bound, and learning maximises that sum.
    Raises `ValueError` or `TypeError` for parameters that no mixture can have.
    Source: PRML 9.2.
    """

    weights: Array = probabilities("K")  # π
    means: Array = array("K", "D")  # μ
    covs: Array = covariances("K", "D", "D")  # Σ
    prior: InverseWishart | None = instance(InverseWishart, optional=True)
    needs_q, exact_inference = False, True  # `infer` returns the posterior

    def _check(self):
        _check_prior(self.prior, self.means.shape[1])

    @classmethod
    def init(
        cls, x: Data, n_components: int, *, rng: Rng, prior: InverseWishart | None = None
    ) -> "GaussianMixture":
        """Return a starting point: centres by K-means, and one covariance for all components.

        It is (W + C + Ψ) / (N + 1): W the scatter within clusters, C the covariance of all data,
        Ψ the prior's scale (0 without one). C counts as one more datum, so that Σ is not singular
        even where every cluster is a single point. Without a prior it is singular only if the data
        are, and `DegenerateComponent` is raised.
        """
        _check_prior(prior, x.shape[1])
        centres, labels = k_means(x, n_components, rng=rng)
        mean = x.mean(axis=0, dtype=np.float64)
        y = x - mean
        within = (x - centres[labels]).T @ (x - centres[labels])  # W
        psi = 0.0 if prior is None else prior.scale
        cov = (within + y.T @ y / len(x) + psi) / (len(x) + 1)
        if prior is None and (flaw := collapse(cov, mean, 0.0)):
            raise DegenerateComponent(_singular("the data", flaw))
        weights = np.bincount(labels, minlength=len(centres)) / len(x)
        return cls(weights, centres, np.broadcast_to(cov, (len(centres), *cov.shape)), prior)

    def infer(self, x, q=None) -> Categorical:
        """Return q(Z) = p(Z | X, θ), a Categorical with probs (N, K).

        Eq. responsibilities: r_nk = π_k N(x_n; μ_k, Σ_k) / Σ_j π_j N(x_n; μ_j, Σ_j). `q` is
        ignored: it is for models whose inference starts from the old one.

        `em.fit` runs `infer_and_expect` in its place. To change inference, change both, or give a
        subclass its own `infer`: that one is run.
        """
        return Categorical(softmax(self.log_joint(x), axis=1))

    def expect(self, x: Data, q: Categorical) -> MixtureStats:
        """Return N_k, Σ_n r_nk y_n and Σ_n r_nk y_n y_nᵀ with y_n = x_n - origin_k, and H[q].

        Eq. sufficient-statistics of chapter 02. Raises `ValueError` where q and x disagree.
        """
        return weighted_sums(x, q, self.means)

    def infer_and_expect(self, x: Rows) -> MixtureStats:
        """Return `expect(x, infer(x))`, some rows of x at a time, so q is never held whole.

        For these rows `engine/quadratic.py` computes the same scores, softmax and sums.
        """
        # Ψ is added to S_k, so rounding errors far below it are harmless.
        psi = 0.0 if self.prior is None else self.prior.scale
        return MixtureStats(n=len(x), **self._joint.posterior_sums(x, psi)._asdict())

    def learn(self, stats: MixtureStats) -> "GaussianMixture":
        """Return the mixture whose parameters are π_k = N_k/N, μ_k = x̄_k, Σ_k = S_k/N_k.

        x̄_k is the weighted mean, S_k the scatter about it. Eq. mixture-learning; with a prior
        Eq. mixture-map, the maximum a posteriori. Raises `DegenerateComponent` where a component
        has collapsed and there is no prior.
        """
        n_k, means = stats.r, stats.means(otherwise=self.means)
        if self.prior is None:
            _refuse_empty(n_k)
            covs = stats.scatter(means) / n_k[:, None, None]  # S_k / N_k
            _refuse_singular(stats, means, covs)
        else:
            covs = self.prior.update(stats.scatter(means), n_k)  # (S_k + Ψ) / (N_k + ν + D + 1)
        return replace(self, weights=n_k / n_k.sum(), means=means, covs=covs)

    def lower_bound(self, stats: MixtureStats) -> float:
        """Return L(q, θ) = E_q[ln p(X, Z | θ)] + H[q] in nats, plus ln p(Σ) where there is a prior.

        Eq. mixture-bound: Σ_k [N_k (ln π_k - ½ ln|2π Σ_k|) - ½ tr(Λ_k S_k)] + H[q], computed
        from `stats` alone, without x. After exact inference L = ln p(X | θ).
        """
        S, joint = stats.scatter(self.means), self._joint
        expected = stats.r @ joint.consts - 0.5 * np.sum(joint.precs * S)  # of ln p(X, Z | θ)
        return float(expected + stats.entropy + self.log_prior())

    def rounding(self, stats: MixtureStats) -> float:
        """Return how much of the bound may be rounding, nats: more if a Σ_k is nearly singular."""
        return stats.rounding(self.means, self._joint.precs)

    def log_prior(self) -> float:
        """Return Σ_k ln p(Σ_k) in nats, or 0 where there is no prior."""
        return 0.0 if self.prior is None else self._log_prior

    def log_joint(self, x: Data) -> Array:
        """Return ln π_k N(x_n; μ_k, Σ_k) in nats, shape (N, K): ln p(x_n, z_n = k | θ)."""
        # u = L_k⁻¹ (x_n - μ_k); entry (n, k) is ln π_k - ½ ln|2π Σ_k| - ½ Σ_d u_d²
        return self._joint.of(x)

    def log_prob(self, x: Data) -> Array:
        """Return ln p(x_n | θ) in nats, shape (N,). Eq. mixture, by log-sum-exp over k."""
        return self._joint.over(x, logsumexp)  # logsumexp(self.log_joint(x), axis=1), in chunks

    def sample(self, n: Count, *, rng: Rng) -> tuple[Array, Array]:
        """Return n draws (x (N, D), z (N,)): z from the weights, then x given z."""
        z = rng.choice(len(self.weights), size=n, p=self.weights / self.weights.sum())
        x = rng.standard_normal((n, self.means.shape[1]))  # ε
        for k, (mean, chol) in enumerate(zip(self.means, self._joint.chols, strict=True)):
            x[z == k] = mean + x[z == k] @ chol.T  # μ_k + L_k ε
        return x, z

    @cached_property
    def _log_prior(self) -> float:
        return float(self.prior.log_prob(self.covs).sum())

    @cached_property
    def _joint(self) -> Quadratic:
        """ln π_k N(x; μ_k, Σ_k) = ln π_k - ½ ln|2π Σ_k| - ½ (x - μ_k)ᵀ Σ_k⁻¹ (x - μ_k), of x."""
        pi, d = self.weights, self.means.shape[1]
        chols = np.linalg.cholesky(self.covs)  # L_k, lower triangles with Σ_k = L_k L_kᵀ
        log_pi = np.log(pi, where=pi > 0, out=np.full_like(pi, constants.LOG_ZERO))  # π = 0: r = 0
        log_dets = 2 * np.log(np.diagonal(chols, axis1=1, axis2=2)).sum(axis=1)  # |Σ| = (Π_d L_dd)²
        return Quadratic(log_pi - 0.5 * (d * np.log(2 * np.pi) + log_dets), self.means, chols)


def weighted_sums(x, q: Categorical, means: Array) -> MixtureStats:
    """Return N_k, Σ r y, Σ r y yᵀ and H[q] for data x (N, D) and any q over K components.

    y = x - origin_k with the weighted mean as origin, so rx is 0 up to rounding. If N_k = 0, the
    origin is row k of `means` (K, D).
    """
    r, center = q.probs, chunks.origin(x)  # (N, K), (D,)
    n_k = r.sum(axis=0)
    origin = _means(center, r.T @ (x - center), n_k, otherwise=means)  # (K, D)
    rx, rxx = np.empty_like(origin), np.empty((*origin.shape, origin.shape[1]))
    for k, r_k in enumerate(r.T):
        y = x - origin[k]
        rx[k] = r_k @ y
        rxx[k] = (r_k[:, None] * y).T @ y
    rxx = 0.5 * (rxx + rxx.mT)  # rounding leaves it not quite symmetric
    return MixtureStats(len(x), float(q.entropy().sum()), origin, n_k, rx, rxx)


@checked
def k_means(x: Data, n_components: int, *, rng: Rng, max_iter: Count = 100) -> tuple[Array, Array]:
    """Return centres (K, D) and labels (N,): a local minimum of Σ_n ‖x_n - centre of n‖².

    Eq. k-means: EM of a mixture with equal weights and Σ_k = εI, both fixed, for ε → 0: r becomes
    one-hot, and 2ε(c(ε) - L) tends to that sum, with the c(ε) of chapter 03. Starts from K-means++
    (Arthur and Vassilvitskii 2007): each next centre is a datum drawn with probability proportional
    to its squared distance from the nearest of the centres so far. It stops after `max_iter` rounds
    even if not converged. Labels always belong to the returned centres.
    """
    k = validate.count(n_components, "n_components", 1, len(x))
    origin = x.mean(axis=0, dtype=np.float64)
    y = x - origin
    chosen = [rng.integers(len(y))]
    nearest = np.full(len(y), np.inf)
    for _ in range(1, k):
        nearest = np.minimum(nearest, _squared_distances(y, y[chosen[-1:]])[:, 0])
        total = nearest.sum()
        p = nearest / total if total > 0 else None  # all data lie on centres: any datum will do
        chosen.append(rng.choice(len(y), p=p))
    centres = y[chosen]
    for _ in range(max_iter):
        labels = _nearest(y, centres)  # inference: r one-hot
        counts = np.bincount(labels, minlength=k)[:, None]
        totals = np.column_stack([np.bincount(labels, column, minlength=k) for column in y.T])
        new = np.where(counts > 0, totals / np.maximum(counts, 1), centres)  # learning
        if np.array_equal(new, centres):
            break
        centres = new
    else:
        labels = _nearest(y, centres)
    return origin + centres, labels


def _nearest(y: Array, centres: Array) -> Array:
    """Return which centre is nearest to each datum (N,), in pieces: (N, K) distances are many."""
    size = max(1, 1_000_000 // len(centres))
    return chunks.over(lambda y: _squared_distances(y, centres).argmin(axis=1), y, size=size)


def _squared_distances(y: Array, centres: Array) -> Array:
    """Return ‖y_n - c_k‖², shape (N, K), and 0 where rounding would make it negative."""
    squares = np.square(y).sum(axis=1)[:, None] - 2 * y @ centres.T + np.square(centres).sum(axis=1)
    return np.maximum(squares, 0.0)


def _means(origin: Array, sums: Array, n_k: Array, otherwise: Array) -> Array:
    """Return origin + sums / N_k (K, D); a component without data has its row of `otherwise`."""
    used = (n_k > constants.TINY)[:, None]
    return np.where(used, origin + sums / np.where(used, n_k[:, None], 1.0), otherwise)


def _check_prior(prior: InverseWishart | None, d: int) -> None:
    if prior is not None and len(prior.scale) != d:
        raise ValueError(f"prior has a scale of {len(prior.scale)} dimensions; wanted {d}")


def _refuse_empty(n_k: Array) -> None:
    """Raise `DegenerateComponent` where a component has no data."""
    used = n_k > constants.TINY
    if not used.all():
        raise DegenerateComponent(
            f"component {used.argmin()} is left without data: its mean and covariance are "
            f"undefined. Use another start or fewer components, or pass {A_PRIOR}"
        )


def _refuse_singular(stats: MixtureStats, means: Array, covs: Array) -> None:
    """Raise `DegenerateComponent` where a covariance is singular to working precision."""
    spread = np.sqrt(stats.var())
    for k, cov in enumerate(covs):
        if flaw := collapse(cov, means[k], spread):
            raise DegenerateComponent(_singular(f"component {k}", flaw))


def _singular(what: str, flaw: str) -> str:
    other = "" if what == "the data" else ", use fewer components or another start"
    return (
        f"{what} {flaw}: its covariance is singular and the likelihood unbounded. Pass {A_PRIOR}"
        f"{other}, or leave out columns that are constant or follow from others"
    )
