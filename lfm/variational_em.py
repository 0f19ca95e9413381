"""Variational EM: latent factors whose exact posterior is a sum over 2^K states.

z_k ~ Bernoulli(π_k), x | z ~ N(W z + μ, σ²I). Factors that explain the same pixel compete, so the
posterior of z_n does not factorise. A good q that does is found by coordinate ascent, which may
stop at a local maximum; learning is the regression of factor analysis. The bound rises, and stays
below ln p(X). Between a product and the posterior stands a q that keeps groups of factors together.
"""

from dataclasses import field, replace
from functools import cached_property

import numpy as np
from scipy.special import expit, logit, logsumexp, xlogy

from lfm.distributions import Bernoulli
from lfm.engine import chunks, constants, validate
from lfm.engine.rounding import filled, least_noise, unrounded
from lfm.engine.signatures import Count, Data, Rng, Rows
from lfm.engine.softmax import softmax
from lfm.engine.values import array, frozen, number, switch, switches
from lfm.factor_analysis import FactorStats, regression

Array = np.ndarray


@frozen
class Enumerated:
    """A q made by summing over states, of all factors or of each group: what of it is asked for."""

    probs: Array = switches("N", "K")  # the marginals q(z_nk = 1)
    entropies: Array = array("N")  # H[q(z_n)], nats
    seconds: Array = array("K", "K")  # Σ_n E[z_n z_nᵀ]

    def entropy(self) -> Array:
        """Return H[q(z_n)] in nats, shape (N,)."""
        return self.entropies

    def total_cov(self) -> Array:
        """Return Σ_n Cov[z_n] (K, K); it has the competition between factors off its diagonal."""
        return self.seconds - self.probs.T @ self.probs


def _disjoint(groups, name: str, sizes: dict[str, int]) -> tuple[tuple[int, ...], ...]:
    """Return groups of factors as tuples of numbers from 0 to K - 1, none of them twice."""
    k, seen = sizes["K"], set()
    try:
        groups = tuple(
            tuple(validate.count(i, f"a factor of {name}", 0) for i in g) for g in groups
        )
    except TypeError:
        raise TypeError(
            f"{name} is {groups!r}; wanted groups of factors by number, such as [(0, 1)]"
        ) from None
    for i in (i for g in groups for i in g):
        if i in seen or i >= k:
            raise ValueError(f"{name} has the factor {i}; wanted each of 0 to {k - 1} at most once")
        seen.add(i)
    return groups


@frozen
class BinaryFactors:
    """p(x) = Σ_z Π_k π_k^z_k (1-π_k)^(1-z_k) N(x; W z + μ, σ²I) over 2^K states; `binary-factors`.

    q is a product of Bernoullis, or with `exact` the posterior itself, by enumeration, for up to
    15 factors. Between the two, `groups` names factors that q keeps together, such as [(0, 1)];
    all others stay by themselves. With `restarts` inference looks for the best product from many
    starts. Raises `ValueError` or `TypeError` for parameters that are not those of the model.
    Source: Neal and Hinton 1998; Ghahramani 1995, NIPS 7, 617-624; Saul and Jordan 1996, NIPS 8.
    """

    loadings: Array = array("D", "K")  # W
    mean: Array = array("D")  # μ
    noise: float = number(low=0.0)  # σ², a variance
    probs: Array = switches("K")  # π
    exact: bool = switch(False)
    groups: tuple = field(default=(), metadata={"check": _disjoint})
    restarts: bool = switch(False)

    def _check(self):
        if self.restarts and (self.exact or self.groups):
            raise ValueError("restarts is True, which is for a product: without exact and groups")
        if self.exact and self.groups:
            raise ValueError("groups are given and exact is True, which keeps all factors together")
        all_states = self.exact or self.restarts
        _check_enumerable(len(self.probs) if all_states else max(map(len, self.groups), default=0))

    @classmethod
    def init(cls, x: Data, n_factors: Count, *, rng: Rng, exact: bool = False) -> "BinaryFactors":
        """Return a starting point: loadings from random data, seldom used, and much noise.

        A loading is 0.7 times the deviation of a random datum from the mean, for more than one
        factor made it; and it is used once in K + 1 data. A factor that is mostly on says the same
        as its opposite that is mostly off; from probabilities of ½ a fit ends between the two.
        """
        mean, k = x.mean(axis=0, dtype=np.float64), n_factors
        chosen = rng.choice(len(x), size=k, replace=k > len(x))
        loadings = 0.7 * (x[chosen] - mean).T  # (D, K)
        probs = np.full(k, 1 / (k + 1))
        var = unrounded(np.var(x - mean, axis=0), mean)  # of x the rounding of the sum would count
        noise = max(filled(var).mean(), least_noise(var, mean).mean())
        return cls(loadings, mean - loadings @ probs, noise, probs, exact)

    @property
    def needs_q(self) -> bool:
        """Whether inference goes on from the old q."""
        return not self.exact

    @property
    def exact_inference(self) -> bool:
        """Whether `infer` returns the posterior."""
        return self.exact

    def infer(self, x: Rows, q: Bernoulli | Enumerated | None = None) -> Bernoulli | Enumerated:
        """Return q(Z): one sweep of coordinate ascent over the factors of each datum, from `q` on.

        Eq. variational-inference-step, by Eq. binary-mean-field. Learning will move the target, so
        going on would be a waste; and the bound rises with every update. Without a `q` to go on
        from, sweeps start from π and are repeated until none moves a probability by more than
        1e-6, 100 times at most. With `exact` it is the posterior, and `q` is not needed. With
        `groups` the sweep goes from group to group, by Eq. structured-q. With `restarts` sweeps go
        on until they settle, from each of the 2^K states too; each datum keeps its best end.
        """
        if self.exact:
            return _enumerated(self, validate.data(x))
        m = np.broadcast_to(self.probs, (len(x), len(self.probs))) if q is None else q.probs
        if self.groups:
            return _structured(self, validate.data(x), m, settle=q is None)
        return _product(self, x, m, settle=q is None)

    def _sweep(self, m: Array, drive: Array) -> Array:
        """Return m (K, n) renewed row by row: each the best for what the others are by then.

        Eq. binary-mean-field: logit m_k = drive_k - Σ_{j≠k} w_kᵀ w_j / σ² m_j.
        """
        m = m.copy()
        for k, overlap in enumerate(self._overlap):
            m[k] = expit(drive[k] - overlap @ m)
        return m

    def expect(self, x: Data, q: Bernoulli | Enumerated) -> FactorStats:
        """Return Σ of E_q[(y, y², z, y zᵀ, z zᵀ)] and H[q]: what factor analysis needs too.

        Eq. sufficient-statistics. Raises `ValueError` where q and x disagree.
        """
        return FactorStats.of(x, q.probs, q.total_cov(), q.entropy().sum())

    def learn(self, stats: FactorStats) -> "BinaryFactors":
        """Return the regression of x on z, and π: the mean of z.

        Eq. variational-learning-step, by Eq. binary-learning. The noise does not go below 1e-6 of
        the mean variance of the columns, nor below what it is where that is less; the bound has one
        summit in σ², so it still never falls. A factor that no datum uses, or all of them, gets
        loadings of 0.
        """
        loadings, mean, residual = regression(stats)
        noise = max(residual.mean() / stats.n, min(stats.floor().mean(), self.noise))
        probs = np.clip(stats.z / stats.n, 0.0, 1.0)
        return replace(self, loadings=loadings, mean=mean, noise=noise, probs=probs)

    def lower_bound(self, stats: FactorStats) -> float:
        """Return L(q, θ) = E_q[ln p(X, Z | θ)] + H[q] in nats; it needs no data.

        Eq. three-arguments. At most ln p(X | θ), and equal to it after exact inference.
        """
        n, d = stats.n, len(self.mean)
        squares = stats.squares(self.loadings, self.mean).sum()
        log_lik = -0.5 * (n * d * np.log(2 * np.pi * self.noise) + squares / self.noise)
        on, off = stats.z, n - stats.z
        on = np.where(on > constants.TINY, on, 0.0)
        off = np.where(off > 4 * constants.EPS * n, off, 0.0)  # of a difference: rounding
        log_prior = (xlogy(on, self.probs) + xlogy(off, 1 - self.probs)).sum()
        return float(log_lik + log_prior + stats.entropy)

    def rounding(self, stats: FactorStats) -> float:
        """Return how much of the bound may be rounding, nats: it grows as the noise goes to 0."""
        return stats.rounding(self.loadings, self.mean, self.noise)

    def log_prob(self, x: Data) -> Array:
        """Return ln p(x_n | θ) in nats, shape (N,), by enumeration. Eq. binary-factors.

        Raises `ValueError` for more than 15 factors: then only the bound can be had.
        """
        _check_enumerable(len(self.probs))

        def work(x):
            y = x - self.mean
            squares = np.einsum("nd,nd->n", y, y) / self.noise
            const = len(self.mean) * np.log(2 * np.pi * self.noise)
            return logsumexp(_scores(self, x), axis=1) - 0.5 * (squares + const)

        return chunks.over(work, x, row=_row(self))

    def sample(self, n: Count, *, rng: Rng) -> tuple[Array, Array]:
        """Return n draws (x (N, D), z (N, K)): z from the prior, then x given z."""
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
            drive = (self.loadings.T / self.noise) @ (x - self.mean).T
            validate.unspoiled(drive.sum(), x)
        drive += (logit(self.probs) - 0.5 * np.diag(self._gram))[:, None]
        return drive

    @cached_property
    def states(self) -> Array:
        """All values that z can take (2^K, K), of 0 and 1; the first factor changes slowest."""
        k = len(self.probs)
        return (np.arange(2**k)[:, None] >> np.arange(k)[::-1] & 1).astype(float)

    @cached_property
    def _alone(self) -> Array:
        """ln p(z) - ½ zᵀWᵀWz/σ² of all states (2^K,): what they score before x is seen."""
        s = self.states
        log_prior = (xlogy(s, self.probs) + xlogy(1 - s, 1 - self.probs)).sum(axis=1)
        squares = np.einsum("sk,kj,sj->s", s, self._gram, s, optimize=True)
        return np.maximum(log_prior, constants.LOG_ZERO) - 0.5 * squares


def _product(model: BinaryFactors, x: Array, m: Array, settle: bool) -> Bernoulli:
    """Return q(Z), a product of Bernoullis, from the probabilities m (N, K): a sweep, or many."""

    def work(x, m):
        m, drive = np.array(m.T, order="C"), model._drive(x)  # (K, n)
        if model.restarts:
            return _best(model, m, drive).T
        return (_converged(model._sweep, m, drive) if settle else model._sweep(m, drive)).T

    return Bernoulli(chunks.over(work, x, m, row=len(model.mean) + 4 * len(model.probs)))


def _converged(sweep, m: Array, drive: Array) -> Array:
    """Return m (K, n) after sweeps until no probability moves; data that are done are left."""
    result, at = m.copy(), np.arange(m.shape[1])
    for _ in range(constants.SWEEPS):
        old = m
        m = sweep(old, drive)
        result[:, at] = m
        moving = np.abs(m - old).max(axis=0) > constants.SWEEP_TOL
        if not moving.any():
            break
        m, at, drive = m[:, moving], at[moving], drive[:, moving]
    return result


def _best(model: BinaryFactors, m: Array, drive: Array) -> Array:
    """Return the end (K, n) with the highest bound for each datum: from m, and all states."""
    best, top = m, np.full(m.shape[1], -np.inf)
    known = np.isfinite(drive)  # the others are on or off for certain, whatever the start
    for start in (m, *(np.repeat(s[:, None], m.shape[1], axis=1) for s in model.states)):
        end = _converged(model._sweep, start, drive)
        pairs = 0.5 * np.einsum("kn,kj,jn->n", end, model._overlap, end, optimize=True)
        fit = np.where(known, end * np.where(known, drive, 0.0), 0.0).sum(axis=0) - pairs
        L = fit + Bernoulli(end.T).entropy()
        best, top = np.where(top < L, end, best), np.maximum(L, top)
    return best


def _enumerated(model: BinaryFactors, x: Array) -> Enumerated:
    """Return the exact posterior: Bayes' rule over all states, some data at a time."""
    s, counts = model.states, np.zeros(len(model.states))

    def work(x):
        nonlocal counts
        scores = _scores(model, x)  # (n, 2^K)
        r, shifted, log_norm = softmax(scores, axis=1, out=scores)
        entropy = log_norm - np.einsum("ns,ns->n", r, shifted)
        counts += r.sum(axis=0)
        return np.column_stack([r @ s, entropy])

    found = chunks.over(work, x, row=_row(model))
    probs = np.clip(found[:, :-1], 0.0, 1.0)
    return Enumerated(probs, found[:, -1], s.T @ (counts[:, None] * s))


def _structured(model: BinaryFactors, x: Array, m: Array, settle: bool) -> Enumerated:
    """Return q(Z), a product over groups, after a sweep over them from the probabilities m (N, K).

    With `settle`, sweeps go before it until no probability moves.
    """
    W, groups = model.loadings, _alone_in_groups(model)
    if settle:
        m = _converged(lambda m, x: _group_sweep(W, groups, x.T, m.T)[0].T, m.T, x.T).T
    m, entropies, covs = _group_sweep(W, groups, x, m)
    return Enumerated(m, entropies, covs + m.T @ m)


def _alone_in_groups(model: BinaryFactors) -> list[tuple[list[int], BinaryFactors]]:
    """Return the groups, those of one factor too, each with the model that has no other factors."""
    W, pi, kept = model.loadings, model.probs, {i for g in model.groups for i in g}
    groups = [list(g) for g in model.groups if g] + [[i] for i in range(len(pi)) if i not in kept]
    return [
        (g, replace(model, loadings=W[:, g], probs=pi[g], exact=True, groups=())) for g in groups
    ]


def _group_sweep(W: Array, groups: list, x: Array, m: Array) -> tuple[Array, Array, Array]:
    """Return m (N, K), H[q(z_n)] (N,) and Σ_n Cov[z_n] (K, K), renewed group by group.

    Eq. structured-q: a group's table is its exact posterior for what the means of all others leave
    unexplained. It is made anew from those means, so of the old q nothing but m is needed.
    """
    m, entropies, covs = np.array(m), np.zeros(len(x)), np.zeros((len(W.T), len(W.T)))
    for g, alone in groups:
        rest = x - (m @ W.T - m[:, g] @ W[:, g].T)  # what the others leave (N, D)
        q = _enumerated(alone, rest)
        m[:, g], covs[np.ix_(g, g)] = q.probs, q.total_cov()
        entropies += q.entropies
    return m, entropies, covs


def _scores(model: BinaryFactors, x: Array) -> Array:
    """ln p(x_n, z | θ) in nats for all states (n, 2^K), but for what x_n alone adds."""
    return (x - model.mean) @ (model.loadings / model.noise) @ model.states.T + model._alone


def _row(model: BinaryFactors) -> int:
    """Return how many numbers a datum takes, such that tables of all states stay in the cache."""
    return len(model.mean) + 4 * len(model.states)


def _check_enumerable(k: int) -> None:
    if k > constants.MOST_SWITCHES:
        raise ValueError(
            f"{k} factors have 2^{k} states, too many to sum over; wanted at most "
            f"{constants.MOST_SWITCHES}. With more, use the bound"
        )
