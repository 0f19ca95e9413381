"""Expectation maximization with a discrete latent factor: the Gaussian mixture.

z ~ Categorical(π), x | z=k ~ N(μ_k, Σ_k). Given θ, the posterior of z_n is K numbers by Bayes'
rule, so inference is exact and L = ln p(X). Given q, θ is a weighted mean and covariance.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.special import logsumexp

from lfm.distributions import Categorical, InverseWishart
from lfm.em import Stats
from lfm.engine import validate
from lfm.engine.quadratic import Quadratic, softmax
from lfm.engine.values import Followed, Value

Array = np.ndarray

# ln 0 for a component of weight zero: finite, so that 0 times it is 0, and exp gives exactly 0.
LOG_ZERO = -1e30
# A direction with this share of the variance cannot be told from none: the bound would be rounding.
SINGULAR = 1e-12
# A deviation of this share of all data's comes from responsibilities that are all but zero.
TRACE = 1e-20


class DegenerateComponent(ValueError):
    """A component's covariance is singular: without a prior the likelihood has no maximum."""


@dataclass(frozen=True, eq=False)
class MixtureStats(Stats):
    """Σ_n of E_q[z_nk (1, y, y yᵀ)] with y = x_n - origin_k; the origins only serve accuracy."""

    origin: Array  # (K, D)
    r: Array  # N_k = Σ_n r_nk (K,)
    rx: Array  # Σ_n r_nk y_n (K, D)
    rxx: Array  # Σ_n r_nk y_n y_nᵀ (K, D, D)

    def __add__(self, other: "MixtureStats") -> "MixtureStats":
        if not isinstance(other, MixtureStats):
            return NotImplemented
        if other.origin.shape != self.origin.shape:
            raise ValueError(
                f"statistics of {other.origin.shape} and {self.origin.shape} (K, D) do not add"
            )
        total = super().__add__(other.about(self.origin))
        return replace(total, origin=self.origin)

    def about(self, origin: Array) -> "MixtureStats":
        """Return the same statistics about other origins (K, D)."""
        shift = self.r[:, None] * (origin - self.origin)
        return replace(self, origin=origin, rx=self.rx - shift, rxx=self.scatter(origin))

    def scatter(self, means: Array) -> Array:
        """Return Σ_n r_nk (x_n - μ_k)(x_n - μ_k)ᵀ about any means (K, D); shape (K, D, D)."""
        shift = means - self.origin
        # (y - s)(y - s)ᵀ = y yᵀ - h sᵀ - s hᵀ with h = y - s/2: exactly symmetric when rounded
        half = self.rx - 0.5 * self.r[:, None] * shift
        cross = half[:, :, None] * shift[:, None, :]  # (K, D, D)
        return self.rxx - (cross + cross.mT)

    def var(self) -> Array:
        """Return the variance of each column of all data (D,)."""
        centre = self.origin.mean(axis=0)
        total = self.about(np.broadcast_to(centre, self.origin.shape))
        n = max(self.r.sum(), np.finfo(float).tiny)
        squares = np.einsum("kdd->d", total.rxx) / n
        return np.maximum(squares - np.square(total.rx.sum(axis=0) / n), 0.0)

    def rounding(self, means: Array, precs: Array) -> float:
        """Return how much of Σ r_nk (x_n - μ_k)ᵀ Λ_k (x_n - μ_k), of a bound, may be rounding."""
        eps = np.finfo(float).eps
        terms = np.abs(precs * self.scatter(means)).sum()
        far = eps * np.abs(means)  # means far from 0 are stored to so much
        stored = np.einsum("k,ki,kij,kj->", self.r, far, np.abs(precs), far)
        return float(8 * (eps * terms + stored))


class Responsibilities(Categorical):
    """The exact posterior r_nk = p(z_n=k | x_n, θ): a formula, evaluated where it is looked at.

    So a fit never holds the (N, K) table; reading `probs` computes it, and keeps it. Reading it, or
    `expect`, raises `ValueError` where x has been changed in place by then; of more than 2,000 rows
    that many are compared.
    """

    def __init__(self, joint: Quadratic, x: Array):
        object.__setattr__(self, "joint", joint)  # ln p(x, z=k | θ), up to a constant
        object.__setattr__(self, "data", Followed(x))

    def __reduce__(self):
        return self.data.reduced(self, self.joint, "probs")

    @property
    def x(self) -> Array:
        """The data (N, D)."""
        return self.data.array()

    def describes(self, joint: Quadratic, x: Array) -> bool:
        """Tell whether this is about these very data, for as many components, not yet looked at."""
        same_size = self.joint.means.shape == joint.means.shape
        return self.data.is_about(x) and same_size and "probs" not in vars(self)

    @cached_property
    def probs(self) -> Array:  # r (N, K)
        x = self.x
        probs = np.empty((len(x), len(self.joint.consts)))
        with np.errstate(over="ignore", invalid="ignore"):
            for rows, scores in self.joint.scores(x):
                probs[rows] = softmax(scores)[0].T
        if not np.isfinite(probs.sum()):
            validate.data(x)
        probs.flags.writeable = False
        return probs


@dataclass(frozen=True, eq=False)
class GaussianMixture(Value):
    """p(x) = Σ_k π_k N(x; μ_k, Σ_k). Eq. mixture.

    With a prior on the Σ_k the objective, and so every bound, is ln p(X | θ) + ln p(Σ).
    Raises `ValueError` or `TypeError` for parameters that are not those of a mixture.
    Source: PRML 9.2.
    """

    weights: Array  # π (K,)
    means: Array  # μ (K, D)
    covs: Array  # Σ (K, D, D)
    prior: InverseWishart | None = None
    needs_q = False  # the posterior is exact

    def __post_init__(self):
        weights = validate.probabilities(self.weights, "weights", (None,))
        means = validate.parameter(self.means, "means", (len(weights), None))
        k, d = means.shape
        covs = validate.parameter(self.covs, "covs", (k, d, d))
        if self.prior is not None:
            _check_prior(self.prior, d)
        for name, value in (("weights", weights), ("means", means), ("covs", covs)):
            object.__setattr__(self, name, value)
        self._chols  # noqa: B018 - raises where a covariance is not one

    @classmethod
    def init(
        cls, x, n_components: int, *, rng, prior: InverseWishart | None = None
    ) -> "GaussianMixture":
        """Return a starting point: centres by K-means, and one covariance for all components.

        That covariance is the scatter within the clusters plus one datum's worth of the scatter
        of all data, so it is singular only where the data are: then `DegenerateComponent` says
        to pass a prior.
        """
        x = validate.data(x)
        if prior is not None:
            _check_prior(prior, x.shape[1])
        centres, labels = k_means(x, n_components, rng=rng)
        counts = np.bincount(labels, minlength=len(centres))
        shape = (len(centres), x.shape[1], x.shape[1])
        y = x - x.mean(axis=0, dtype=np.float64)
        total = y.T @ y / len(x)
        within = (x - centres[labels]).T @ (x - centres[labels])
        cov = (within + total + (0 if prior is None else prior.scale)) / (len(x) + 1)
        if prior is None:
            _check_covariance(cov, x.mean(axis=0, dtype=np.float64), 0.0, "the data")
        return cls(counts / len(x), centres, np.broadcast_to(cov, shape), prior)

    def infer(self, x, q=None) -> Responsibilities:
        """Return q(Z) = p(Z | X, θ), a Categorical with probs (N, K). The old `q` is not needed.

        Eq. responsibilities: r_nk = π_k N(x_n; μ_k, Σ_k) / Σ_j π_j N(x_n; μ_j, Σ_j).
        """
        return Responsibilities(self._joint, validate.matrix(x, n_columns=self.means.shape[1]))

    def expect(self, x, q: Categorical) -> MixtureStats:
        """Return N_k, Σ r x and Σ r x xᵀ, summed over data, and H[q].

        Eq. sufficient-statistics. For the posterior that `infer` returned, r is computed chunk by
        chunk and not kept. Raises `ValueError` where q and x disagree.
        """
        return statistics(self._joint, x, q, 0.0 if self.prior is None else self.prior.scale)

    def learn(self, stats: MixtureStats) -> "GaussianMixture":
        """Return the mixture with the weighted moments: π_k = N_k/N, μ_k, Σ_k.

        Eq. mixture-learning; with a prior Eq. mixture-map, the maximum a posteriori. Raises
        `DegenerateComponent` where a component has collapsed and there is no prior.
        """
        validate.statistics(stats, MixtureStats, rx=self.means.shape)
        n_k = stats.r
        empty = n_k <= np.finfo(float).tiny
        if empty.any() and self.prior is None:
            raise DegenerateComponent(_collapsed(int(empty.argmax()), "is left without data"))
        safe = np.where(empty, 1.0, n_k)[:, None]
        means = np.where(empty[:, None], self.means, stats.origin + stats.rx / safe)
        scatter = stats.scatter(means)
        if self.prior is None:
            covs = scatter / safe[:, :, None]
            spread = np.sqrt(stats.var())
            for k, cov in enumerate(covs):
                _check_covariance(cov, means[k], spread, f"component {k}")
        else:
            covs = self.prior.update(scatter, n_k)
        return replace(self, weights=n_k / n_k.sum(), means=means, covs=covs)

    def lower_bound(self, stats: MixtureStats) -> float:
        """Return L(q, θ) = E_q[ln p(X, Z | θ)] + H[q] in nats, plus ln p(Σ) where there is a prior.

        Eq. sufficient-statistics: it needs no data. After exact inference L = ln p(X | θ).
        """
        validate.statistics(stats, MixtureStats, rx=self.means.shape)
        scatter = stats.scatter(self.means)
        mahalanobis = np.einsum("kij,kij->", self._joint.precs, scatter)
        log_joint = stats.r @ self._joint.consts - 0.5 * mahalanobis
        return float(log_joint + stats.entropy + self.log_prior())

    def rounding(self, stats: MixtureStats) -> float:
        """Return how much of the bound may be rounding, nats: it grows as covariances thin out."""
        validate.statistics(stats, MixtureStats, rx=self.means.shape)
        return stats.rounding(self.means, self._joint.precs)

    def log_prior(self) -> float:
        """Return Σ_k ln p(Σ_k) in nats, or 0 where there is no prior."""
        return 0.0 if self.prior is None else float(self.prior.log_prob(self.covs).sum())

    def log_prob(self, x) -> Array:
        """Return ln p(x_n | θ) in nats, shape (N,). Eq. mixture, by log-sum-exp over k."""
        x = validate.data(x, n_columns=self.means.shape[1])
        log_prob = np.empty(len(x))
        for rows, scores in self._joint.scores(x):
            log_prob[rows] = logsumexp(scores, axis=0)
        return log_prob

    def sample(self, n: int, *, rng) -> tuple[Array, Array]:
        """Return n draws (x (N, D), z (N,)): z from the weights, then x given z."""
        n, rng = validate.count(n, "n"), validate.generator(rng)
        z = rng.choice(len(self.weights), size=n, p=self.weights / self.weights.sum())
        noise = rng.standard_normal((n, self.means.shape[1]))
        x = self.means[z] + np.einsum("nij,nj->ni", self._chols[z], noise)
        return x, z

    @cached_property
    def _chols(self) -> Array:
        return validate.cholesky(self.covs, "covs")

    @cached_property
    def _joint(self) -> Quadratic:
        """ln π_k N(x; μ_k, Σ_k) as quadratic scores."""
        d = self.means.shape[1]
        log_weights = np.log(
            self.weights, where=self.weights > 0, out=np.full(len(self.weights), LOG_ZERO)
        )
        log_dets = 2 * np.log(np.diagonal(self._chols, axis1=1, axis2=2)).sum(axis=1)
        consts = log_weights - 0.5 * (d * np.log(2 * np.pi) + log_dets)
        return Quadratic(consts, self.means, self._chols)


def statistics(joint: Quadratic, x, q: Categorical, scatter: Array | float = 0.0) -> MixtureStats:
    """Return N_k, Σ r x, Σ r x xᵀ and H[q] for data x (N, D) and any q over K components.

    For every mixture of Gaussians, Bayesian or not: `joint` is what its `infer` scores data with,
    `scatter` (D, D) what its prior will add to each component's.
    """
    x = validate.matrix(x, n_columns=joint.means.shape[1])
    with np.errstate(over="ignore", invalid="ignore"):
        if isinstance(q, Responsibilities) and q.describes(joint, x):
            sums = q.joint.sums(x, scatter=scatter)
        else:
            probs = _probs_of(q, len(x), len(joint.consts))
            sums = joint.sums(x, probs, scatter)
    stats = MixtureStats(len(x), sums.entropy, sums.origin, sums.r, sums.ry, sums.ryy)
    # A value that is not finite spoils the sums, so looking at x itself is needed only then.
    if not (np.isfinite(stats.rxx).all() and np.isfinite(stats.entropy)):
        validate.data(x)
        raise ValueError(validate.too_large("x"))
    return stats


def k_means(x, n_components: int, *, rng, max_iter: int = 100) -> tuple[Array, Array]:
    """Return centres (K, D) and labels (N,): a local minimum of Σ_n ‖x_n - centre of n‖².

    Eq. k-means: EM of a mixture with equal weights and Σ_k = εI for ε → 0, where r becomes
    one-hot. Starts from K-means++ (Arthur and Vassilvitskii 2007): each next centre is a datum
    drawn with probability proportional to its squared distance from the centres so far.
    """
    x = validate.data(x)
    k = validate.count(n_components, "n_components", 1, len(x))
    rng = validate.generator(rng)
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
    for _ in range(validate.count(max_iter, "max_iter")):
        labels = _nearest(y, centres)  # inference: r one-hot
        counts = np.bincount(labels, minlength=k)[:, None]
        sums = np.column_stack([np.bincount(labels, column, minlength=k) for column in y.T])
        new = np.where(counts > 0, sums / np.maximum(counts, 1), centres)  # learning
        if np.array_equal(new, centres):
            break
        centres = new
    return origin + centres, labels


def _nearest(y: Array, centres: Array) -> Array:
    """Return which centre is nearest to each datum (N,); the (N, K) distances are not held."""
    rows = max(1, 1_000_000 // len(centres))
    parts = (y[i : i + rows] for i in range(0, len(y), rows))
    return np.concatenate([_squared_distances(part, centres).argmin(axis=1) for part in parts])


def _squared_distances(y: Array, centres: Array) -> Array:
    """Return ‖y_n - c_k‖², shape (N, K); never below 0, where rounding would put it."""
    squares = np.square(y).sum(axis=1)[:, None] - 2 * y @ centres.T + np.square(centres).sum(axis=1)
    return np.maximum(squares, 0.0)


def _check_prior(prior, d: int) -> None:
    if not isinstance(prior, InverseWishart):
        raise TypeError(f"prior is {type(prior).__name__}; wanted an InverseWishart or None")
    if len(prior.scale) != d:
        raise ValueError(f"prior has a scale of {len(prior.scale)} dimensions; wanted {d}")


def _probs_of(q, n: int, k: int) -> Array:
    if not isinstance(q, Categorical):
        raise TypeError(f"q is {type(q).__name__}; wanted a Categorical with probs ({n}, {k})")
    if q.probs.shape != (n, k):
        raise ValueError(f"q has probs of shape {q.probs.shape}; wanted ({n}, {k}), as x and model")
    return q.probs


def _check_covariance(cov: Array, mean: Array, spread: Array | float, name: str) -> None:
    """Raise `DegenerateComponent` where a covariance is singular to working precision.

    `spread` is the deviation of all data in each column (D,).
    """
    eps = np.finfo(float).eps
    var = np.diagonal(cov)
    # Data near `mean` are only stored to eps * |mean|: a variance below that square is rounding.
    # Equal data and a trace of responsibility for others have less than that, where the mean is 0.
    least = np.maximum(4 * eps * np.abs(mean), TRACE * spread)
    flat = var <= np.maximum(least**2, np.finfo(float).tiny)
    if flat.any():
        raise DegenerateComponent(_collapsed(name, f"has no variance in column {flat.argmax()}"))
    std = np.sqrt(var)
    # In standard units, so that it does not matter what the columns are measured in.
    if np.linalg.eigvalsh(cov / np.outer(std, std))[0] < SINGULAR:
        raise DegenerateComponent(_collapsed(name, "lies in a plane of fewer dimensions"))


def _collapsed(name, what: str) -> str:
    name = f"component {name}" if isinstance(name, int) else name
    return (
        f"{name} {what}: its covariance is singular and the likelihood unbounded. Pass "
        "prior=InverseWishart.from_data(x, n_components), use fewer components or another start"
    )
