"""Variational EM: latent factors whose exact posterior is a sum over 2^K states.

z_k ~ Bernoulli(π_k), x | z ~ N(W z + μ, σ²I). Factors that explain the same pixel compete, so the
posterior of z_n does not factorise. The best q that does is found by coordinate ascent; learning
is the regression of factor analysis. The bound rises, and stays below ln p(X).
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.special import expit, logit, logsumexp, xlogy

from lfm.distributions import Bernoulli
from lfm.engine import validate
from lfm.engine.values import Followed, Value
from lfm.factor_analysis import FactorStats, filled, regression, statistics, unrounded

Array = np.ndarray

# Exact inference sums over 2^K states; beyond this K a datum would cost more than a second.
LARGEST = 15
# From a cold start a datum is done when a sweep moves none of its probabilities by more than this.
SWEEP_TOL = 1e-6
SWEEPS = 100
# ln 0 for a state that cannot be: finite, so that 0 times it is 0.
LOG_ZERO = -1e30
CHUNK_BYTES = 3_000_000
EPS = np.finfo(float).eps


class Enumerated:
    """The exact posterior over all 2^K states: a formula, evaluated where it is looked at.

    Data pass through in chunks, so that the (N, 2^K) table is never held. Looking raises
    `ValueError` where x has been changed in place by then.
    """

    def __init__(self, model: "BinaryFactors", x: Array):
        self.model, self.data = model, Followed(x)

    def __reduce__(self):
        return self.data.reduced(self, self.model, "_summary")

    @property
    def x(self) -> Array:
        """The data (N, D)."""
        return self.data.array()

    @property
    def states(self) -> Array:
        """All values that z can take (2^K, K), of 0 and 1; the first factor changes slowest."""
        return self.model._states

    @property
    def probs(self) -> Array:
        """The marginals q(z_nk = 1) (N, K)."""
        return self._summary[0]

    def entropy(self) -> Array:
        """Return H[q(z_n)] in nats, shape (N,)."""
        return self._summary[1]

    def total_cov(self) -> Array:
        """Return Σ_n Cov[z_n] (K, K); it has the competition between factors off its diagonal."""
        probs, _, counts = self._summary
        return self.states.T @ (counts[:, None] * self.states) - probs.T @ probs

    @cached_property
    def _summary(self) -> tuple[Array, Array, Array]:
        """Marginals (N, K), entropies (N,), and how many data are in each state (2^K,)."""
        x, k = self.x, self.states.shape[1]
        n = len(x)
        probs, entropy, counts = np.empty((n, k)), np.empty(n), np.zeros(len(self.states))
        for rows, scores in self.model._scores(x):
            scores -= scores.max(axis=1, keepdims=True)
            r = np.exp(scores)  # (n, 2^K)
            norm = r.sum(axis=1)
            r /= norm[:, None]
            probs[rows] = r @ self.states
            entropy[rows] = np.log(norm) - np.einsum("ns,ns->n", r, scores)
            counts += r.sum(axis=0)
        np.clip(probs, 0.0, 1.0, out=probs)
        probs.flags.writeable = entropy.flags.writeable = False
        return probs, entropy, counts


@dataclass(frozen=True, eq=False)
class BinaryFactors(Value):
    """p(x) = Σ_z Π_k π_k^z_k (1-π_k)^(1-z_k) N(x; W z + μ, σ²I) over 2^K states; `binary-factors`.

    q is a product of Bernoullis, or with `exact` the posterior itself, by enumeration, for up to
    15 factors. Raises `ValueError` or `TypeError` for parameters that are not those of the model.
    Source: Neal and Hinton 1998; Ghahramani 1995, NIPS 7, 617-624.
    """

    loadings: Array  # W (D, K)
    mean: Array  # μ (D,)
    noise: float  # σ², a variance
    probs: Array  # π (K,)
    exact: bool = False

    def __post_init__(self):
        loadings = validate.parameter(self.loadings, "loadings", (None, None))
        d, k = loadings.shape
        mean = validate.parameter(self.mean, "mean", (d,))
        noise = validate.scalar(self.noise, "noise", 0.0, strict=True)
        probs = validate.unit_interval(self.probs, "probs", (k,))
        if validate.switch(self.exact, "exact"):
            _check_enumerable(k)
        values = (("loadings", loadings), ("mean", mean), ("noise", noise), ("probs", probs))
        for name, value in values:
            object.__setattr__(self, name, value)

    @classmethod
    def init(cls, x, n_factors: int, *, rng, exact: bool = False) -> "BinaryFactors":
        """Return a starting point: loadings from random data, seldom used, and much noise.

        A loading is 0.7 times the deviation of a random datum from the mean, for more than one
        factor made it; and it is used once in K + 1 data. A factor that is mostly on says the same
        as its opposite that is mostly off; from probabilities of ½ a fit ends between the two.
        """
        x = validate.data(x)
        k, rng = validate.count(n_factors, "n_factors"), validate.generator(rng)
        mean = x.mean(axis=0, dtype=np.float64)
        chosen = rng.choice(len(x), size=k, replace=k > len(x))
        loadings = 0.7 * (x[chosen] - mean).T  # (D, K)
        probs = np.full(k, 1 / (k + 1))
        noise = filled(unrounded(np.var(x, axis=0, dtype=np.float64), mean)).mean()
        return cls(loadings, mean - loadings @ probs, noise, probs, exact)

    @property
    def needs_q(self) -> bool:
        """Whether inference goes on from the old q."""
        return not self.exact

    def infer(self, x, q: Bernoulli | None = None) -> "Bernoulli | Enumerated":
        """Return q(Z): one sweep of coordinate ascent over the factors of each datum, from `q` on.

        Eq. variational-inference-step, by Eq. binary-mean-field. Learning will move the target, so
        going on would be a waste; and the bound rises with every update. Without a `q` to go on
        from, sweeps start from π and are repeated until none moves a probability by more than
        1e-6, 100 times at most. With `exact` it is the posterior, and `q` is not needed.
        """
        x = validate.matrix(x, n_columns=len(self.mean))
        if self.exact:
            return Enumerated(self, validate.data(x))
        n, k = len(x), len(self.probs)
        start = np.broadcast_to(self.probs, (n, k)) if q is None else _probs_of(q, n, k)
        update = self._converge if q is None else self._sweep
        probs = np.empty((n, k))
        for rows in _chunks(n, len(self.mean) + 4 * k):
            m = np.array(start[rows].T, order="C")
            probs[rows] = update(m, self._drive(x[rows])).T
        return Bernoulli(probs)

    def expect(self, x, q: "Bernoulli | Enumerated") -> FactorStats:
        """Return Σ of E_q[(y, y², z, y zᵀ, z zᵀ)] and H[q]: what factor analysis needs too.

        Eq. sufficient-statistics. Raises `ValueError` where q and x disagree.
        """
        x = validate.data(x, n_columns=len(self.mean))
        probs = _probs_of(q, len(x), len(self.probs))
        return statistics(x, probs.__getitem__, q.total_cov(), q.entropy().sum())

    def learn(self, stats: FactorStats) -> "BinaryFactors":
        """Return the regression of x on z, and π: the mean of z.

        Eq. variational-learning-step, by Eq. binary-learning. The noise does not go below 1e-6 of
        the mean variance of the columns; the bound has one summit in σ², so it still never falls.
        A factor that no datum uses, or all of them, gets loadings of 0.
        """
        validate.statistics(stats, FactorStats, xz=self.loadings.shape)
        loadings, mean, residual = regression(stats)
        noise = max(residual.mean() / stats.n, stats.floor().mean())
        probs = np.clip(stats.z / stats.n, 0.0, 1.0)
        return replace(self, loadings=loadings, mean=mean, noise=noise, probs=probs)

    def lower_bound(self, stats: FactorStats) -> float:
        """Return L(q, θ) = E_q[ln p(X, Z | θ)] + H[q] in nats; it needs no data.

        Eq. three-arguments. At most ln p(X | θ), and equal to it after exact inference.
        """
        validate.statistics(stats, FactorStats, xz=self.loadings.shape)
        n, d = stats.n, len(self.mean)
        squares = stats.squares(self.loadings, self.mean).sum()
        log_lik = -0.5 * (n * d * np.log(2 * np.pi * self.noise) + squares / self.noise)
        on, off = stats.z, n - stats.z
        on = np.where(on > np.finfo(float).tiny, on, 0.0)
        off = np.where(off > 4 * EPS * n, off, 0.0)  # what is left of a difference: rounding
        log_prior = (xlogy(on, self.probs) + xlogy(off, 1 - self.probs)).sum()
        return float(log_lik + log_prior + stats.entropy)

    def rounding(self, stats: FactorStats) -> float:
        """Return how much of the bound may be rounding, nats: it grows as the noise goes to 0."""
        validate.statistics(stats, FactorStats, xz=self.loadings.shape)
        return stats.rounding(self.loadings, self.mean, self.noise)

    def log_prob(self, x) -> Array:
        """Return ln p(x_n | θ) in nats, shape (N,), by enumeration. Eq. binary-factors.

        Raises `ValueError` for more than 15 factors: then only the bound can be had.
        """
        _check_enumerable(len(self.probs))
        x = validate.data(x, n_columns=len(self.mean))
        log_prob = np.empty(len(x))
        for rows, scores in self._scores(x):
            y = x[rows] - self.mean
            log_norm = -0.5 * len(self.mean) * np.log(2 * np.pi * self.noise)
            squares = np.einsum("nd,nd->n", y, y)
            log_prob[rows] = log_norm - 0.5 * squares / self.noise + logsumexp(scores, axis=1)
        return log_prob

    def sample(self, n: int, *, rng) -> tuple[Array, Array]:
        """Return n draws (x (N, D), z (N, K)): z from the prior, then x given z."""
        n, rng = validate.count(n, "n"), validate.generator(rng)
        z = (rng.random((n, len(self.probs))) < self.probs).astype(float)
        noise = np.sqrt(self.noise) * rng.standard_normal((n, len(self.mean)))
        return z @ self.loadings.T + self.mean + noise, z

    @cached_property
    def _gram(self) -> Array:
        """WᵀW/σ² (K, K): how much factors overlap, in units of the noise."""
        return self.loadings.T @ self.loadings / self.noise

    @cached_property
    def _overlap(self) -> Array:
        return self._gram - np.diag(np.diag(self._gram))

    def _drive(self, x: Array) -> Array:
        """logit π_k + w_kᵀ(x - μ)/σ² - ‖w_k‖²/2σ² (K, n): what speaks for z_k were it alone."""
        with np.errstate(over="ignore", invalid="ignore"):
            y = x - self.mean  # (n, D)
            drive = (self.loadings.T / self.noise) @ y.T
        if not np.isfinite(drive.sum()):
            validate.data(x)
            raise ValueError(validate.too_large("x"))
        drive += (logit(self.probs) - 0.5 * np.diag(self._gram))[:, None]
        return drive

    def _sweep(self, m: Array, drive: Array) -> Array:
        """Update m (K, n) row by row, in place: each the best for what the others are now."""
        for k, row in enumerate(self._overlap):
            m[k] = expit(drive[k] - row @ m)
        return m

    def _converge(self, m: Array, drive: Array) -> Array:
        """Return m (K, n) after sweeps until no probability moves; data that are done are left."""
        result, at = m.copy(), np.arange(m.shape[1])
        for _ in range(SWEEPS):
            old = m
            m = self._sweep(old.copy(), drive)
            result[:, at] = m
            moving = np.abs(m - old).max(axis=0) > SWEEP_TOL
            if not moving.any():
                break
            m, at, drive = m[:, moving], at[moving], drive[:, moving]
        return result

    @cached_property
    def _states(self) -> Array:
        k = len(self.probs)
        return (np.arange(2**k)[:, None] >> np.arange(k)[::-1] & 1).astype(float)

    def _scores(self, x: Array):
        """Yield rows of x and ln p(x_n, z | θ) for all states (n, 2^K), up to a constant of x_n."""
        s = self._states
        log_prior = (xlogy(s, self.probs) + xlogy(1 - s, 1 - self.probs)).sum(axis=1)
        const = np.maximum(log_prior, LOG_ZERO) - 0.5 * np.einsum(
            "sk,kj,sj->s", s, self._gram, s, optimize=True
        )
        weights = self.loadings / self.noise
        for rows in _chunks(len(x), len(self.mean) + 2 * len(s)):
            yield rows, (x[rows] - self.mean) @ weights @ s.T + const


def _chunks(n: int, row: int):
    size = max(1, CHUNK_BYTES // (8 * row))
    return (slice(i, min(i + size, n)) for i in range(0, n, size))


def _probs_of(q, n: int, k: int) -> Array:
    if not isinstance(q, Bernoulli | Enumerated):
        raise TypeError(f"q is {type(q).__name__}; wanted a Bernoulli with probs ({n}, {k})")
    if q.probs.shape != (n, k):
        raise ValueError(f"q has probs of shape {q.probs.shape}; wanted ({n}, {k}), as x and model")
    return q.probs


def _check_enumerable(k: int) -> None:
    if k > LARGEST:
        raise ValueError(
            f"{k} factors have 2^{k} states, too many to sum over; wanted at most {LARGEST}. "
            "With more, use the bound"
        )
