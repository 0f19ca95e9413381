"""Variational Bayes: no parameters are left, every unknown has a prior and a factor of q.

The evidence ln p(X) is then a constant, and raising the bound can only bring q nearer to the
posterior (Eq. constant-evidence). A "model" here is the factor of q that all data share, with its
prior inside; `learn` is posterior = prior + statistics, and this too is inference.

The factor that raises L the most, the others held, has the log joint averaged over the others
(Eq. optimal-factor). Where the posterior of its unknowns given all else is of an exponential
family, the factor is of the same family, with the natural parameters of that posterior averaged
(Eq. conjugate-factor). Over products L may have several optima: start from several places, and
keep the highest L.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.special import digamma, gammaln, logsumexp, multigammaln, softmax

from lfm.distributions import Categorical, InverseWishart
from lfm.em import CentredStats
from lfm.engine import chunks, validate
from lfm.engine.quadratic import Quadratic
from lfm.engine.signatures import Column, Count, Data, Rng, Rows
from lfm.engine.values import array, covariances, frozen, instance, number, positive
from lfm.gaussian_mixture import MixtureStats, k_means, weighted_sums

Array = np.ndarray

LOG_2PI = np.log(2 * np.pi)


# ------------------------------------------------------------------ one Gaussian


@dataclass(frozen=True, eq=False)
class GaussianStats(CentredStats):
    """Σ_n of (y, y²) with y = x_n - origin; there is no z_n, so `entropy` is 0."""

    x: float  # Σ y
    xx: float  # Σ y²

    def about(self, origin: float) -> "GaussianStats":
        """Return the same statistics about another origin."""
        shift = origin - self.origin
        xx = self.xx - shift * (2 * self.x - self.n * shift)
        return replace(self, origin=origin, x=self.x - self.n * shift, xx=xx)

    def mean(self) -> float:
        """Return the mean of the data."""
        return self.origin + self.x / self.n

    def scatter(self, mean: float) -> float:
        """Return Σ_n (x_n - mean)², about any mean."""
        y, at = self.x / self.n, mean - self.origin
        return max(self.xx - self.n * y**2, 0.0) + self.n * (y - at) ** 2


@frozen(eq=True)
class NormalGammaPrior:
    """p(μ, τ) = N(μ; mean, 1/(strength τ)) Gam(τ; shape, rate): conjugate to a Gaussian.

    It is also what the exact posterior is (`update`). Source: PRML 2.3.6.
    """

    mean: float = number()  # μ₀
    strength: float = number(low=0.0)  # λ₀: worth so many earlier data for the mean
    shape: float = number(low=0.0)  # a₀
    rate: float = number(low=0.0)  # b₀

    def update(self, stats: GaussianStats) -> "NormalGammaPrior":
        """Return the exact posterior p(μ, τ | X): prior + statistics."""
        n, strength = stats.n, self.strength + stats.n
        gap = stats.mean() - self.mean
        scatter = stats.scatter(stats.mean()) + self.strength * n * gap**2 / strength
        return NormalGammaPrior(
            self.mean + n * gap / strength, strength, self.shape + n / 2, self.rate + scatter / 2
        )

    def log_evidence(self, stats: GaussianStats) -> float:
        """Return ln p(X) in nats, exactly: the ratio of the normalisers of posterior and prior."""
        gain = self.update(stats)._log_normaliser() - self._log_normaliser()
        return float(gain - 0.5 * stats.n * LOG_2PI)

    def log_prob(self, mean, prec) -> Array:
        """Return ln p(μ, τ) in nats for means μ and precisions τ > 0, broadcast together."""
        mean, prec = _mean_and_prec(mean, prec)
        squares = 0.5 * self.strength * np.square(mean - self.mean) + self.rate
        log_prec = (self.shape - 0.5) * np.log(prec)
        return log_prec - prec * squares - self._log_normaliser() - 0.5 * LOG_2PI

    def _log_normaliser(self) -> float:
        a, b = self.shape, self.rate
        return gammaln(a) - a * np.log(b) - 0.5 * np.log(self.strength)


@frozen(eq=True)
class BayesianGaussian:
    """q(μ, τ) = N(μ; mean, 1/prec) Gam(τ; shape, rate) for a Gaussian with precision τ.

    Eq. normal-gamma. The prior couples μ and τ, q does not (Eq. mean-field); so the bound stays
    below the exact evidence, which is known here. Where nothing is given, q starts at the prior.
    Source: PRML 10.1.3. A common misprint there has a_N = a₀ + N/2; but the prior of μ given τ
    contributes one more √τ, so that a_N = a₀ + (N + 1)/2.
    """

    prior: NormalGammaPrior = instance(NormalGammaPrior)
    mean: float | None = number(default=None)
    prec: float | None = number(low=0.0, default=None)
    shape: float | None = number(low=0.0, default=None)
    rate: float | None = number(low=0.0, default=None)
    needs_q = False  # there is no z_n

    def _default(self, name: str) -> float:
        p = self.prior
        return p.strength * p.shape / p.rate if name == "prec" else getattr(p, name)

    def infer(self, x: Column, q=None) -> None:
        """Return None: there is no z_n. All that is unknown is global, see `learn`."""

    def expect(self, x: Column, q=None) -> GaussianStats:
        """Return N, Σ x and Σ x² of data x (N, 1)."""
        x = x[:, 0].astype(np.float64)
        origin = float(x.mean())
        y = x - origin
        return GaussianStats(len(y), 0.0, origin, float(y.sum()), float(y @ y))

    def learn(self, stats: GaussianStats) -> "BayesianGaussian":
        """Return q after one sweep: first q(μ), then q(τ), each the best for the other."""
        return self.infer_mean(stats).infer_prec(stats)

    def infer_mean(self, stats: GaussianStats) -> "BayesianGaussian":
        """Return q with its best q(μ) = N(μ_N, 1/λ_N), q(τ) held. Eq. normal-gamma."""
        p, n = self.prior, stats.n
        mean = (p.strength * p.mean + n * stats.mean()) / (p.strength + n)  # μ_N
        prec = (p.strength + n) * self.shape / self.rate  # λ_N = (λ₀ + N) E[τ]
        return replace(self, mean=mean, prec=prec)

    def infer_prec(self, stats: GaussianStats) -> "BayesianGaussian":
        """Return q with its best q(τ) = Gam(a_N, b_N), q(μ) held. Eq. normal-gamma."""
        shape = self.prior.shape + 0.5 * (stats.n + 1)  # a_N
        return replace(self, shape=shape, rate=self.prior.rate + 0.5 * self._squares(stats))

    def lower_bound(self, stats: GaussianStats) -> float:
        """Return L(q) in nats, no constant dropped: E[ln p(X, μ, τ)] + H[q(μ)] + H[q(τ)].

        Eq. normal-gamma-bound: never above `prior.log_evidence(stats)`.
        """
        p, n, a, b = self.prior, stats.n, self.shape, self.rate
        prec, log_prec = a / b, digamma(a) - np.log(b)  # E[τ], E[ln τ]
        log_joint = 0.5 * (n + 1) * (log_prec - LOG_2PI) + 0.5 * np.log(p.strength)
        log_joint -= 0.5 * prec * self._squares(stats)
        log_joint += p.shape * np.log(p.rate) - gammaln(p.shape)
        log_joint += (p.shape - 1) * log_prec - p.rate * prec
        entropy_mean = 0.5 * (1 + LOG_2PI - np.log(self.prec))
        entropy_prec = a - np.log(b) + gammaln(a) + (1 - a) * digamma(a)
        return float(log_joint + entropy_mean + entropy_prec)

    def log_q(self, mean, prec) -> Array:
        """Return ln q(μ, τ) in nats for means μ and precisions τ > 0, broadcast together."""
        mean, prec = _mean_and_prec(mean, prec)
        a, b = self.shape, self.rate
        log_q_mean = 0.5 * (np.log(self.prec) - LOG_2PI - self.prec * np.square(mean - self.mean))
        log_q_prec = a * np.log(b) - gammaln(a) + (a - 1) * np.log(prec) - b * prec
        return log_q_mean + log_q_prec

    def log_prob(self, x: Column) -> Array:
        """Return the predictive ln ∫ N(x; μ, 1/τ) q(μ) q(τ) dμ dτ in nats, shape (N,).

        Over μ it is N(x; mean, 1/τ + 1/prec); over v = ln(τ/E[τ]) the trapezoidal rule, which is
        exact but for rounding where its step is well below the width of the integrand. It is right
        to 1e-10 nats, or of its own size where that is more, however far x is from the mean.
        """
        y = x.astype(np.float64) - self.mean
        v = self._nodes(np.abs(y).max())
        var = np.exp(-v) * self.rate / self.shape + 1 / self.prec
        a = self.shape
        log_gamma = a * (v - np.expm1(v))  # ln Gam(τ) τ, up to a constant
        if a < 1:  # in closed form: the nodes end before all of it is summed
            log_gamma += a * np.log(a) - a - gammaln(a) + np.log(v[1] - v[0])
        else:  # where large terms would cancel
            log_gamma -= logsumexp(log_gamma)

        def predictive(y):
            log_normal = -0.5 * (np.square(y) / var + np.log(var) + LOG_2PI)  # (n, nodes)
            return logsumexp(log_gamma + log_normal, axis=1)

        return chunks.over(predictive, y, row=2 * len(v))

    def _nodes(self, farthest: float) -> Array:
        """Return where ln(τ/E[τ]) is looked at for data up to so far from the mean, evenly spaced.

        Far out, small τ explain a datum best: down to about (a + ½)/(b + y²/2). The integrand is as
        wide as 1/√a, and farther down it falls like τ^(a + ½); after 40 nats it is rounding.
        """
        a, far = self.shape, 0.5 * farthest * farthest / self.rate
        fall = a + 0.5 if a < 1 else a
        wide = self.prec * self.rate / a  # of 1/τ and 1/prec the first is the larger below it
        low = min(np.log(wide), 0.0) - np.log1p(far) - 40 / fall - 9 / np.sqrt(fall)
        high = np.log1p((40 + 10 * np.sqrt(a)) / a)
        return np.arange(low, high, 0.4 / np.sqrt(a + 1))

    def sample(self, n: Count, *, rng: Rng) -> tuple[Array, Array]:
        """Return n draws (x (N, 1), z (N, 2)): z = (μ, τ) from q, then x given z."""
        mean = self.mean + rng.standard_normal(n) / np.sqrt(self.prec)
        prec = rng.gamma(self.shape, 1 / self.rate, n)
        x = mean + rng.standard_normal(n) / np.sqrt(prec)
        return x[:, None], np.column_stack([mean, prec])

    def _squares(self, stats: GaussianStats) -> float:
        """Return E_q(μ)[Σ_n (x_n - μ)² + λ₀ (μ - μ₀)²]."""
        p = self.prior
        at_mean = stats.scatter(self.mean) + p.strength * (self.mean - p.mean) ** 2
        return at_mean + (stats.n + p.strength) / self.prec


def _mean_and_prec(mean, prec) -> tuple[Array, Array]:
    """Return means and precisions as arrays that go together."""
    mean, prec = (
        validate.squarable(a, name).astype(np.float64)
        for a, name in ((mean, "mean"), (prec, "prec"))
    )
    if (prec <= 0).any():
        raise ValueError(f"prec has the value {prec.min():.6g}; wanted precisions, all > 0")
    validate.together(mean=mean, prec=prec)
    return mean, prec


# ------------------------------------------------------------------ the mixture


@frozen
class MixturePrior:
    """p(π) = Dir(concentration), p(μ_k, Λ_k) = N(μ_k; mean, (strength Λ_k)⁻¹) W(Λ_k; scale⁻¹, dof).

    `scale` is W₀⁻¹ of PRML: it has the units of a scatter matrix, and is to it what the other
    fields are to counts, so that posterior = prior + statistics holds for every field. It is also
    the scale of the inverse Wishart that Λ_k⁻¹ has. Source: PRML 10.2.
    """

    concentration: float = number(low=0.0)  # α₀, for each component
    mean: Array = array("D")  # m₀
    strength: float = number(low=0.0)  # β₀
    dof: float = number()  # ν₀ > D - 1
    scale: Array = covariances("D", "D")  # W₀⁻¹

    def _check(self):
        validate.scalar(self.dof, "dof", len(self.mean) - 1.0, strict=True)

    @classmethod
    def from_data(
        cls, x: Data, n_components: Count = 1, *, concentration: float = 1.0
    ) -> "MixturePrior":
        """Return a weak prior in the units of the data: means spread as the data do.

        Dof and scale are those of `InverseWishart.from_data`: a component's variance is about
        K^(-2/D) of the data's. The strength is K^(-2/D) as well, so that the means, whose
        covariance is that of a component divided by the strength, have that of the data.
        """
        covariance = InverseWishart.from_data(x, n_components)
        mean = x.mean(axis=0, dtype=np.float64)
        strength = n_components ** (-2 / len(mean))
        return cls(concentration, mean, strength, covariance.dof, covariance.scale)


@frozen
class BayesianMixture:
    """q(π, μ, Λ): Dirichlet and Gaussian-Wishart factors of a mixture. Eq. bayesian-mixture.

    The factor of (μ_k, Λ_k) of a component without data is the prior, and costs nothing; only the
    Dirichlet pays for its small weight. So K is an upper limit. How many are in use may depend on
    the start: compare bounds. Source: PRML 10.2; `scales` are the W_k⁻¹.
    """

    prior: MixturePrior = instance(MixturePrior)
    concentration: Array = positive("K", what="concentrations")  # α
    means: Array = array("K", "D")  # m
    strengths: Array = positive("K", what="strengths")  # β
    dofs: Array = array("K")  # ν
    scales: Array = covariances("K", "D", "D")  # W⁻¹
    needs_q = False  # the best q(Z) for this q(π, μ, Λ) is a formula

    def _check(self):
        validate.above(self.dofs, "dofs", self.means.shape[1] - 1, "degrees of freedom")

    @classmethod
    def init(
        cls, x: Data, n_components: int, *, rng: Rng, prior: MixturePrior | None = None
    ) -> "BayesianMixture":
        """Return a starting point: the posterior as if K-means had told the component of each x_n.

        Without a prior it is `MixturePrior.from_data(x, n_components)`.
        """
        centres, labels = k_means(x, n_components, rng=rng)
        prior = MixturePrior.from_data(x, n_components) if prior is None else prior
        k, d = centres.shape
        validate.matrix(prior.mean[None], "prior.mean", d)
        alpha, beta, nu = (np.full(k, a) for a in (prior.concentration, prior.strength, prior.dof))
        alone = cls(prior, alpha, centres, beta, nu, np.broadcast_to(prior.scale, (k, d, d)))
        return alone.learn(alone.expect(x, Categorical(np.eye(k)[labels])))

    @property
    def weights(self) -> Array:
        """E_q[π] (K,)."""
        return self.concentration / self.concentration.sum()

    @property
    def covs(self) -> Array:
        """E_q[Λ_k]⁻¹ (K, D, D), the covariances that `infer` measures distances with."""
        return self.scales / self.dofs[:, None, None]

    def infer(self, x: Data, q=None) -> Categorical:
        """Return q(Z), a Categorical with probs (N, K), the best for this q(π, μ, Λ).

        Eq. bayesian-mixture: ln r_nk = E[ln π_k] + ½E[ln|Λ_k|] - ½E[(x-μ)ᵀΛ(x-μ)] + const.
        """
        return Categorical(softmax(self._scores.of(x), axis=1))

    def expect(self, x: Data, q: Categorical) -> MixtureStats:
        """Return N_k, Σ r x, Σ r x xᵀ and H[q(Z)]: what the mixture of chapter 03 needs too."""
        return weighted_sums(x, q, self.means)

    def infer_and_expect(self, x: Rows) -> MixtureStats:
        """Return `expect(x, infer(x))` in one pass over x, in which q is never held whole."""
        sums = self._scores.posterior_sums(x, self.prior.scale)
        return MixtureStats(n=len(x), **sums._asdict())

    def learn(self, stats: MixtureStats) -> "BayesianMixture":
        """Return the best q(π, μ, Λ) for this q(Z): posterior = prior + statistics.

        Eq. bayesian-mixture. There is no parameter to learn; this is inference of the factor
        that all data share.
        """
        p, n_k, mean = self.prior, stats.r, stats.means(otherwise=self.means)  # x̄_k (K, D)
        strengths = p.strength + n_k
        gap = mean - p.mean
        pull = (p.strength * n_k / strengths)[:, None, None] * gap[:, :, None] * gap[:, None, :]
        return replace(
            self,
            concentration=p.concentration + n_k,
            means=p.mean + (n_k / strengths)[:, None] * gap,
            strengths=strengths,
            dofs=p.dof + n_k,
            scales=p.scale + stats.scatter(mean) + pull,
        )

    def lower_bound(self, stats: MixtureStats) -> float:
        """Return L(q) in nats, no constant dropped, so that it may be compared between Ks.

        Eq. bayesian-mixture-bound: E[ln p(X, Z | π, μ, Λ)] + H[q(Z)] - KL(q(π, μ, Λ) ‖ prior).
        """
        kl = _kl_dirichlet(self.concentration, self.prior.concentration) + self._kl_components
        S, joint = stats.scatter(self.means), self._scores
        log_joint = stats.r @ joint.consts - 0.5 * np.sum(joint.precs * S)
        return float(log_joint + stats.entropy - kl)

    def rounding(self, stats: MixtureStats) -> float:
        """Return how much of the bound may be rounding, nats: more for thin covariances."""
        return stats.rounding(self.means, self._scores.precs)

    def log_prob(self, x: Data) -> Array:
        """Return the predictive ln ∫ p(x_n | π, μ, Λ) q(π, μ, Λ) in nats, shape (N,).

        It is a mixture of Student distributions with ν_k + 1 - D degrees of freedom; PRML 10.2.3.
        """
        d = self.means.shape[1]
        dofs, chols = self._student
        log_dets = 2 * np.log(np.diagonal(chols, axis1=1, axis2=2)).sum(axis=1)
        consts = np.log(self.weights) - 0.5 * (log_dets + d * np.log(np.pi * dofs))
        consts += gammaln(0.5 * (dofs + d)) - gammaln(0.5 * dofs)

        def log_student(halves, axis):  # of -½ squared distances (K, n)
            squares = np.maximum(-2 * halves, 0.0) / dofs[:, None]
            powers = 0.5 * (dofs + d)[:, None] * np.log1p(squares)
            return logsumexp(consts[:, None] - powers, axis=axis)

        return Quadratic(np.zeros(len(dofs)), self.means, chols).over(x, log_student)

    def sample(self, n: Count, *, rng: Rng) -> tuple[Array, Array]:
        """Return n independent draws (x (N, D), z (N,)) from the predictive distribution."""
        dofs, chols = self._student
        z = rng.choice(len(self.weights), size=n, p=self.weights)
        normal = rng.standard_normal((n, self.means.shape[1]))
        stretch = np.sqrt(dofs[z] / rng.chisquare(dofs[z]))
        return self.means[z] + stretch[:, None] * np.einsum("nij,nj->ni", chols[z], normal), z

    @cached_property
    def _chols(self) -> Array:
        return np.linalg.cholesky(self.scales)

    @property
    def _student(self) -> tuple[Array, Array]:
        """Degrees of freedom (K,) and Cholesky factors (K, D, D) of the predictive Students."""
        dofs = self.dofs + 1 - self.means.shape[1]
        scale = np.sqrt((1 + self.strengths) / (self.strengths * dofs))
        return dofs, scale[:, None, None] * self._chols

    @cached_property
    def _expected_log_dets(self) -> Array:
        """E_q[ln|Λ_k|] in nats, (K,)."""
        d = self.means.shape[1]
        log_dets = 2 * np.log(np.diagonal(self._chols, axis1=1, axis2=2)).sum(axis=1)
        halves = 0.5 * (self.dofs[:, None] - np.arange(d))  # (ν_k + 1 - i)/2 for i = 1..D
        return digamma(halves).sum(axis=1) + d * np.log(2) - log_dets

    @cached_property
    def _scores(self) -> Quadratic:
        """E_q[ln p(x, z=k | π, μ, Λ)] as quadratic scores."""
        d = self.means.shape[1]
        log_normal = 0.5 * (self._expected_log_dets - d * LOG_2PI - d / self.strengths)
        root = np.sqrt(self.dofs)[:, None, None]
        consts = _expected_log_weights(self.concentration) + log_normal
        return Quadratic(consts, self.means, self._chols / root)

    @cached_property
    def _kl_components(self) -> float:
        """Σ_k KL(q(μ_k, Λ_k) ‖ p(μ_k, Λ_k)) in nats, of two Gaussian-Wishart distributions."""
        p, d, precs = self.prior, self.means.shape[1], self._scores.precs  # E[Λ_k]
        gap, ratio = self.means - p.mean, p.strength / self.strengths
        distance = np.einsum("ki,kij,kj->k", gap, precs, gap)
        kl_mean = 0.5 * (p.strength * distance + d * (ratio - 1 - np.log(ratio)))
        trace = np.einsum("ij,kji->k", p.scale, precs / self.dofs[:, None, None])
        kl_prec = _wishart_normaliser(self.dofs, self._chols)
        kl_prec -= _wishart_normaliser(p.dof, np.linalg.cholesky(p.scale))
        kl_prec += 0.5 * (self.dofs - p.dof) * self._expected_log_dets
        kl_prec += 0.5 * self.dofs * (trace - d)
        return float((kl_mean + kl_prec).sum())


def _expected_log_weights(alpha: Array) -> Array:
    """Return E[ln π_k] (K,) in nats where π ~ Dir(α)."""
    return digamma(alpha) - digamma(alpha.sum())


def _kl_dirichlet(alpha: Array, alpha_0: float) -> float:
    """Return KL(Dir(α) ‖ Dir(α₀, .., α₀)) in nats."""
    normaliser = gammaln(alpha.sum()) - gammaln(alpha).sum()
    normaliser_0 = gammaln(len(alpha) * alpha_0) - len(alpha) * gammaln(alpha_0)
    return normaliser - normaliser_0 + (alpha - alpha_0) @ _expected_log_weights(alpha)


def _wishart_normaliser(dof, chol: Array):
    """Return ln B of W(Λ) = B |Λ|^((ν-D-1)/2) exp(-½ tr W⁻¹Λ), from the Cholesky factor of W⁻¹."""
    d = chol.shape[-1]
    log_det = 2 * np.log(np.diagonal(chol, axis1=-2, axis2=-1)).sum(axis=-1)
    return 0.5 * dof * (log_det - d * np.log(2)) - multigammaln(0.5 * np.asarray(dof), d)
