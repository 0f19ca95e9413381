"""The exercises of the course: what is drawn, what is right, and which mistakes are known."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.special import digamma, expit, logsumexp
from scipy.stats import norm

from lfm import bound
from lfm.distributions import InverseWishart
from lfm.gaussian_mixture import GaussianMixture
from lfm.toy import TwoBells

Array = np.ndarray


class Mistake(NamedTuple):
    """A wrong answer that is often given, and what to say to it."""

    function: Callable
    message: str


@dataclass(frozen=True)
class Exercise:
    """One exercise: `draw(rng)` returns inputs, `reference(*inputs)` the right answer."""

    name: str
    chapter: str
    draw: Callable
    reference: Callable
    mistakes: tuple[Mistake, ...]
    hint: str
    praise: str


# ------------------------------------------------------------------ 00 latent factors


def _draw_story(rng):
    W, mean, var = rng.normal(size=(5, 2)), rng.normal(size=5), rng.uniform(0.5, 3, 5)
    return W, mean, var, rng.normal(size=2), rng.normal(size=5)


def _draw_distances(rng):
    return rng.random((30, 4)), rng.random(4)


def _distances(points, x):
    return np.linalg.norm(points - x, axis=1)


def _contrast(points, x):
    d = _distances(points, x)
    return (d.max() - d.min()) / d.min()


CHAPTER_00 = (
    Exercise(
        "number-of-causes",
        "00",
        lambda rng: (int(rng.integers(1, 12)),),
        lambda k: 2**k,
        (
            Mistake(
                lambda k: 2 * k,
                "2K counts the values of the factors one by one; a cause is a "
                "setting of all K at once, and settings multiply",
            ),
            Mistake(lambda k: k**2, "K² counts pairs; each factor doubles the number of settings"),
            Mistake(lambda k: 2**k - 1, "one is missing: all factors off is a setting too"),
        ),
        "How many settings have 1, 2, 3 switches?",
        "and so a sum over all settings is hopeless from K = 40 on",
    ),
    Exercise(
        "ancestral-sample",
        "00",
        _draw_story,
        lambda W, mean, var, z, eps: W @ z + mean + np.sqrt(var) * eps,
        (
            Mistake(
                lambda W, mean, var, z, eps: W @ z + mean + var * eps,
                "the noise is multiplied "
                "by its variance; a standard normal number has to be multiplied by the "
                "standard deviation",
            ),
            Mistake(lambda W, mean, var, z, eps: W @ z + np.sqrt(var) * eps, "the mean is missing"),
            Mistake(
                lambda W, mean, var, z, eps: W @ z + mean,
                "the noise is missing: this is the mean of x given z, not a draw",
            ),
        ),
        "x is a linear function of z, plus noise.",
        "the factors first, then the data given the factors",
    ),
    Exercise(
        "relative-contrast",
        "00",
        _draw_distances,
        _contrast,
        (
            Mistake(
                lambda p, x: (
                    (_distances(p, x).max() - _distances(p, x).min()) / _distances(p, x).max()
                ),
                "this divides by the largest distance; the contrast is relative to the nearest",
            ),
            Mistake(
                lambda p, x: _distances(p, x).max() / _distances(p, x).min(),
                "this is the ratio of farthest to nearest; the contrast is what it exceeds 1 by",
            ),
            Mistake(
                lambda p, x: np.ptp(_distances(p, x) ** 2) / np.min(_distances(p, x) ** 2),
                "these are squared distances; take the root first",
            ),
        ),
        "Distances from x to each row, then how far the farthest is beyond the nearest.",
        "try it in 1,000 dimensions and see it go to zero",
    ),
)


# ------------------------------------------------------------------ 01 the lower bound


def _draw_table(rng):
    # Some tables lie thousands of nats down, where plain exponentials are zero.
    return (rng.normal(size=(4, 3)) - 3000.0 * rng.integers(2) - 2,)


def _draw_q_and_table(rng):
    return rng.dirichlet(np.ones(3), size=4), rng.normal(size=(4, 3)) - 2


def _draw_two(rng):
    return rng.dirichlet(np.ones(4)), rng.dirichlet(np.ones(4))


def _naive_log_marginal(t):
    return np.log(np.exp(t).sum(axis=-1))


def _naive_posterior(t):
    p = np.exp(t)
    return p / p.sum(axis=-1, keepdims=True)


CHAPTER_01 = (
    Exercise(
        "log-marginal",
        "01",
        _draw_table,
        bound.log_marginal,
        (
            Mistake(
                lambda t: t.sum(axis=-1),
                "this is the sum of the logs; the log of a sum is not the sum of the logs",
            ),
            Mistake(
                _naive_log_marginal,
                "right for small numbers, but far down the exponentials "
                "underflow to 0 and their log is -inf: subtract the row's maximum before exp, "
                "add it after log (log-sum-exp)",
            ),
            Mistake(
                lambda t: logsumexp(t, axis=-1) - np.log(t.shape[-1]),
                "this is the log of the mean; the sum rule wants the sum",
            ),
            Mistake(
                lambda t: logsumexp(t, axis=0),
                "this sums over the data (rows); z runs along the columns",
            ),
        ),
        "ln p(x_n) = ln Σ_k exp(log_joint[n, k]), one number a row.",
        "and no underflow, 3,000 nats down",
    ),
    Exercise(
        "posterior",
        "01",
        _draw_table,
        bound.posterior,
        (
            Mistake(
                _naive_posterior,
                "right for small numbers, but far down this is 0/0: subtract "
                "the row's maximum before exp; it cancels in the quotient",
            ),
            Mistake(
                lambda t: np.exp(t - t.max(axis=-1, keepdims=True)),
                "these are not normalised: each row must sum to 1",
            ),
            Mistake(
                lambda t: np.exp(t - logsumexp(t, axis=0)),
                "the columns sum to 1; it is each datum's row that must",
            ),
            Mistake(
                lambda t: t - logsumexp(t, axis=-1, keepdims=True),
                "this is the log of the posterior",
            ),
        ),
        "Bayes' rule: the joint over its sum.",
        "the one q for which the bound is tight",
    ),
    Exercise(
        "lower-bound",
        "01",
        _draw_q_and_table,
        bound.lower_bound,
        (
            Mistake(
                lambda q, t: (q * t).sum(axis=-1),
                "the entropy of q is missing: without it the best q would be sure of everything",
            ),
            Mistake(
                lambda q, t: (q * t + q * np.log(q)).sum(axis=-1),
                "the entropy has the wrong sign: H = -Σ q ln q",
            ),
            Mistake(
                lambda q, t: np.log((q * np.exp(t)).sum(axis=-1)),
                "this is the log of an "
                "average; the bound is an average of logs (and q stays below, in the quotient)",
            ),
            Mistake(
                lambda q, t: logsumexp(t, axis=-1),
                "this is ln p(x) itself, whatever q is; the bound depends on q",
            ),
        ),
        "E_q[ln p(x, z) - ln q(z)], one number a row.",
        "it never exceeds the log marginal",
    ),
    Exercise(
        "divergence",
        "01",
        _draw_two,
        bound.kl,
        (
            Mistake(
                lambda q, p: bound.kl(p, q),
                "the arguments are swapped: in KL(q‖p) the average is taken under q",
            ),
            Mistake(
                lambda q, p: -bound.kl(q, p), "the sign is turned: a divergence is not negative"
            ),
            Mistake(
                lambda q, p: bound.kl(q, p) / np.log(2),
                "this is in bits; the course counts in nats, with natural logarithms",
            ),
            Mistake(
                lambda q, p: np.abs(q * np.log(q / p)).sum(),
                "terms may be negative; only "
                "their sum is not. Without the absolute value it is right",
            ),
        ),
        "The mean under q of ln q - ln p.",
        "zero only where the two agree",
    ),
    Exercise(
        "gap",
        "01",
        _draw_q_and_table,
        lambda q, t: bound.decompose(q, t).divergence,
        (
            Mistake(
                lambda q, t: bound.kl(bound.posterior(t), q),
                "this is KL(posterior‖q); the gap is KL(q‖posterior)",
            ),
            Mistake(
                lambda q, t: -bound.decompose(q, t).divergence,
                "the sign is turned: the bound is below, so ln p - L is positive",
            ),
            Mistake(
                lambda q, t: bound.log_marginal(t) - bound.expected_log_joint(q, t),
                "the entropy of q belongs to the bound too",
            ),
        ),
        "Either ln p(x) - L, or the divergence from the posterior: they are the same.",
        "two ways to one number",
    ),
)


# ------------------------------------------------------------------ 02 expectation maximization


def _draw_bells(rng):
    theta = rng.uniform(0.5, 4)
    return TwoBells(theta).sample(20, rng=rng)[0][:, 0], float(theta + rng.normal())


def _draw_bells_twice(rng):
    x, old = _draw_bells(rng)
    return x, old, float(old + rng.normal())


def _r(x, theta):
    return expit(theta * x - theta**2 / 2)


def _bells_bound(x, old, new):
    old, new, x = TwoBells(old), TwoBells(new), x[:, None]
    return new.lower_bound(old.expect(x, old.infer(x)))


def _slope_of_joint_and_q(x, theta):
    r, gain = _r(x, theta), theta * x - theta**2 / 2  # ln N(x; θ, 1) - ln N(x; 0, 1)
    return float((r * (x - theta) + r * (1 - r) * (x - theta) * gain).sum())


def _slope(x, theta):
    return float((_r(x, theta) * (x - theta)).sum())


CHAPTER_02 = (
    Exercise(
        "inference-step",
        "02",
        _draw_bells,
        _r,
        (
            Mistake(
                lambda x, t: 1 - _r(x, t),
                "this is the probability of bell 0; wanted is bell 1, the one at θ",
            ),
            Mistake(
                lambda x, t: norm.pdf(x - t),
                "this is the density under bell 1; divide by the sum over both bells (Bayes' rule)",
            ),
            Mistake(
                lambda x, t: (_r(x, t) > 0.5).astype(float),
                "this is all or nothing; the posterior is a probability",
            ),
        ),
        "The share of bell 1 in the density at x.",
        "that was the E-step",
    ),
    Exercise(
        "learning-step",
        "02",
        lambda rng: (_draw_bells(rng)[0], rng.uniform(0, 1, 20)),
        lambda x, r: (r * x).sum() / r.sum(),
        (
            Mistake(
                lambda x, r: (r * x).sum() / len(x),
                "the sum is divided by N; a weighted mean "
                "is divided by the sum of its weights, Σ r",
            ),
            Mistake(
                lambda x, r: x.mean(),
                "this is the mean of all data; each counts only as much as bell 1 claims it",
            ),
            Mistake(lambda x, r: (r * x).sum(), "this is the sum; wanted is the mean"),
            Mistake(
                lambda x, r: x[r > 0.5].mean(),
                "this takes the likely ones only and each wholly; membership is soft",
            ),
        ),
        "Set the derivative of -½ Σ r (x - θ)² to zero.",
        "that was the M-step",
    ),
    Exercise(
        "bound-at",
        "02",
        _draw_bells_twice,
        _bells_bound,
        (
            Mistake(
                lambda x, old, new: TwoBells(new).log_prob(x[:, None]).sum(),
                "this is the log "
                "likelihood: were the responsibilities computed at the new θ? q stays where "
                "it was, at the old",
            ),
            Mistake(lambda x, old, new: _bells_bound(x, new, old), "old and new are exchanged"),
            Mistake(
                lambda x, old, new: (
                    _bells_bound(x, old, new) - TwoBells(old).infer(x[:, None]).entropy().sum()
                ),
                "the entropy of q is missing: this is Q(θ, θ_old)",
            ),
            Mistake(
                lambda x, old, new: _bells_bound(x, old, new) + len(x) * np.log(2),
                "the prior ½ of each bell is missing from the joint",
            ),
        ),
        "q from θ_old; then E_q[ln p(x, z | θ)] + H[q], summed over data.",
        "and it touches the log likelihood where the two θ agree",
    ),
    Exercise(
        "fisher-gradient",
        "02",
        _draw_bells,
        _slope,
        (
            Mistake(
                lambda x, t: float((x - t).sum()),
                "each datum counts wholly; average the gradient of the joint over the posterior",
            ),
            Mistake(lambda x, t: -_slope(x, t), "the sign is turned"),
            Mistake(
                lambda x, t: _slope(x, t) / len(x),
                "this is the mean over data; the log likelihood is a sum",
            ),
            Mistake(
                lambda x, t: float(
                    (_r(x, t) * (x - t) - 0.5 * _r(x, t) * (1 - _r(x, t)) * (x - t) ** 3).sum()
                ),
                "q was differentiated too; in Fisher's identity it is held fixed",
            ),
            Mistake(
                _slope_of_joint_and_q,
                "q was differentiated too, in both bells; in Fisher's identity it is held fixed",
            ),
        ),
        "Only bell 1 has θ in it: E_q of ∂ ln N(x; θ, 1)/∂θ.",
        "the slope of the likelihood, without differentiating the log of a sum",
    ),
)


# ------------------------------------------------------------------ 03 Gaussian mixture


def _mixture(rng):
    k, d = 3, 2
    a = rng.normal(size=(k, d, d))
    covs = a @ a.mT + 0.3 * np.eye(d)
    model = GaussianMixture(rng.dirichlet(np.ones(k)), rng.normal(size=(k, d)), covs)
    return model.sample(15, rng=rng)[0], model


def _draw_mixture(rng):
    x, m = _mixture(rng)
    x[::5] += 500  # far from all components, beside rows near them that tell mistakes apart
    return x, m.weights, m.means, m.covs


def _draw_memberships(rng):
    x, m = _mixture(rng)
    return x, m.infer(x).probs


def _log_joint(x, pi, mu, Sigma, log_det=0.5, inverse=np.linalg.inv):
    y = x[:, None, :] - mu  # (N, K, D)
    squares = np.einsum("nki,kij,nkj->nk", y, inverse(Sigma), y)
    dets = np.linalg.slogdet(Sigma)[1]
    return np.log(pi) - log_det * dets - 0.5 * squares - 0.5 * x.shape[1] * np.log(2 * np.pi)


def _covs(x, r, by=None, mean=None):
    n_k = r.sum(axis=0)
    mu = (r.T @ x) / n_k[:, None] if mean is None else mean
    y = x[:, None, :] - mu
    return np.einsum("nk,nki,nkj->kij", r, y, y) / (n_k if by is None else by)[:, None, None]


def _draw_map(rng):
    a = rng.normal(size=(2, 5, 5))
    return a[0] @ a[0].T, float(rng.uniform(1, 9)), float(rng.uniform(6, 9)), a[1] @ a[1].T


CHAPTER_03 = (
    Exercise(
        "number-of-parameters",
        "03",
        lambda rng: (int(rng.integers(2, 9)), int(rng.integers(2, 6))),
        lambda k, d: k - 1 + k * d + k * d * (d + 1) // 2,
        (
            Mistake(
                lambda k, d: k + k * d + k * d * (d + 1) // 2,
                "one too many: the weights sum to 1, so only K - 1 are free",
            ),
            Mistake(
                lambda k, d: k - 1 + k * d + k * d**2,
                "covariances are symmetric: D(D+1)/2 numbers each, not D²",
            ),
            Mistake(lambda k, d: k - 1 + k * d + k * d, "these are diagonal covariances"),
        ),
        "Count weights, means, covariances, and only what is free.",
        "what BIC charges for",
    ),
    Exercise(
        "responsibilities",
        "03",
        _draw_mixture,
        lambda x, pi, mu, Sigma: GaussianMixture(pi, mu, Sigma).infer(x).probs,
        (
            Mistake(
                lambda *a: _naive_posterior(_log_joint(*a)),
                "right near the components, but far "
                "away every density underflows and this is 0/0: stay in the log domain and "
                "subtract the largest (log-sum-exp)",
            ),
            Mistake(
                lambda *a: bound.posterior(_log_joint(*a, log_det=1.0)),
                "the determinant has lost its square root: it is ½ ln|Σ|",
            ),
            Mistake(
                lambda *a: bound.posterior(_log_joint(*a, log_det=0.0)),
                "the determinant is "
                "missing; it differs from component to component and does not cancel",
            ),
            Mistake(
                lambda *a: bound.posterior(_log_joint(*a, inverse=np.asarray)),
                "the covariance stands where its inverse belongs",
            ),
            Mistake(
                lambda x, pi, mu, S: bound.posterior(_log_joint(x, np.ones(3) / 3, mu, S)),
                "the weights π are missing",
            ),
        ),
        "ln π_k + ln N(x; μ_k, Σ_k), then a softmax over k.",
        "also 500 standard deviations away",
    ),
    Exercise(
        "learn-covariances",
        "03",
        _draw_memberships,
        _covs,
        (
            Mistake(
                lambda x, r: _covs(x, r, by=np.full(3, len(x))),
                "divided by N; each component divides by what it claims, N_k",
            ),
            Mistake(
                lambda x, r: _covs(x, r, by=r.sum(axis=0) - 1),
                "divided by N_k - 1; maximum likelihood divides by N_k",
            ),
            Mistake(
                lambda x, r: _covs(x, r, mean=x.mean(axis=0)),
                "the scatter is taken about the mean of all data; each component has its own",
            ),
            Mistake(
                lambda x, r: np.sqrt(np.abs(_covs(x, r))),
                "these are roots: a covariance holds variances, not standard deviations",
            ),
        ),
        "N_k first, then the new means, then the scatter about them.",
        "weighted moments, with N_k below",
    ),
    Exercise(
        "map-covariance",
        "03",
        _draw_map,
        lambda S, n, dof, Psi: InverseWishart(dof, Psi).update(S, n),
        (
            Mistake(
                lambda S, n, dof, Psi: S / n,
                "this is maximum likelihood; the prior adds to numerator and denominator",
            ),
            Mistake(
                lambda S, n, dof, Psi: (S + Psi) / n,
                "the prior has been counted above but not below",
            ),
            Mistake(
                lambda S, n, dof, Psi: (S + Psi) / (n + dof),
                "the D + 1 of the density's exponent is missing below",
            ),
            Mistake(
                lambda S, n, dof, Psi: (S + Psi) / (n + dof - len(S) - 1),
                "this is the posterior's mean; the maximum divides by N_k + ν + D + 1",
            ),
        ),
        "Add the exponents of likelihood and prior, and compare with S/N_k.",
        "it cannot be singular, however few data there are",
    ),
)

# ------------------------------------------------------------------ 04 factor analysis


def _draw_factors(rng):
    W, psi = rng.normal(size=(6, 2)), rng.uniform(0.3, 3, 6)
    return rng.normal(size=(9, 6)) + 2, W, rng.normal(size=6), psi


def _posterior_means(x, W, mu, psi, prior=1.0):
    scaled = W / psi[:, None]
    return (x - mu) @ scaled @ np.linalg.inv(prior * np.eye(W.shape[1]) + W.T @ scaled)


def _log_det(W, psi):
    return np.linalg.slogdet(np.eye(W.shape[1]) + W.T @ (W / psi[:, None]))[1]


def _draw_regression(rng):
    m, root = rng.normal(size=(30, 2)), rng.normal(size=(2, 2))
    return rng.normal(size=(30, 5)) + m @ rng.normal(size=(2, 5)), m, root @ root.T + np.eye(2)


def _draw_incomplete(rng):
    seen = np.arange(6) < 4
    return (*_draw_factors(rng)[1:], rng.permutation(seen), rng.normal(size=6) + 2)


def _fill_in(W, mu, psi, seen, x):
    z = _posterior_means(x[seen][None], W[seen], mu[seen], psi[seen])[0]
    return np.where(seen, x, W @ z + mu)


def _fill_in_pretending(W, mu, psi, seen, x):
    z = _posterior_means(np.where(seen, x, mu)[None], W, mu, psi)[0]
    return np.where(seen, x, W @ z + mu)


CHAPTER_04 = (
    Exercise(
        "factor-posterior",
        "04",
        _draw_factors,
        _posterior_means,
        (
            Mistake(
                lambda x, W, mu, psi: _posterior_means(x, W, mu, psi, prior=0.0),
                "this is weighted least squares: the prior of z adds the identity to the precision",
            ),
            Mistake(
                lambda x, W, mu, psi: _posterior_means(x, W, mu, np.ones_like(psi)),
                "every column counts alike; each must be divided by its noise variance",
            ),
            Mistake(
                lambda x, W, mu, psi: _posterior_means(x, W, 0 * mu, psi),
                "the mean has not been subtracted",
            ),
            Mistake(
                lambda x, W, mu, psi: _posterior_means(x, W, mu, np.sqrt(psi)),
                "psi holds variances; do not take their roots",
            ),
        ),
        "G = (I + WᵀΨ⁻¹W)⁻¹ first, then one matrix product for all data.",
        "one linear map for all data: the first inference network of the course",
    ),
    Exercise(
        "factor-log-det",
        "04",
        lambda rng: _draw_factors(rng)[1::2],
        lambda W, psi: np.log(psi).sum() + _log_det(W, psi),
        (
            Mistake(
                lambda W, psi: np.log(psi).sum() - _log_det(W, psi),
                "ln|G| has the wrong sign: |C| = |Ψ| / |G|, and factors can only add variance",
            ),
            Mistake(_log_det, "the noise is missing: |C| = |Ψ| / |G|"),
            Mistake(
                lambda W, psi: np.log(psi).sum() + np.linalg.slogdet(W.T @ (W / psi[:, None]))[1],
                "the identity is missing from the K × K matrix",
            ),
        ),
        "ln|Ψ| is a sum of logs; the rest is the determinant of a K × K matrix.",
        "the D × D matrix was never made",
    ),
    Exercise(
        "learn-loadings",
        "04",
        _draw_regression,
        lambda y, m, G: np.linalg.solve(m.T @ m + len(y) * G, m.T @ y).T,
        (
            Mistake(
                lambda y, m, G: np.linalg.solve(m.T @ m, m.T @ y).T,
                "the factors are treated as known: E[zzᵀ] is G + E[z]E[z]ᵀ",
            ),
            Mistake(
                lambda y, m, G: np.linalg.solve(m.T @ m + G, m.T @ y).T,
                "G has been added once; each of the N data contributes one",
            ),
            Mistake(
                lambda y, m, G: np.linalg.solve(m.T @ m + len(y) * G, m.T @ y),
                "this is Wᵀ; the loadings have one row for each column of the data",
            ),
        ),
        "The normal equations of a regression of y on z, with expectations in place of z and zzᵀ.",
        "a regression that knows how uncertain its inputs are",
    ),
    Exercise(
        "ppca-noise",
        "04",
        lambda rng: (np.sort(rng.exponential(2, size=7))[::-1], int(rng.integers(2, 5))),
        lambda lam, K: lam[K:].mean(),
        (
            Mistake(
                lambda lam, K: lam[K:].sum() / len(lam),
                "divided by D: only D - K directions are left for the noise alone",
            ),
            Mistake(
                lambda lam, K: lam[K - 1 :].mean(),
                "one eigenvalue too many: the K-th belongs to the factors",
            ),
            Mistake(
                lambda lam, K: lam[:K].mean(),
                "these are the eigenvalues that are kept; noise is what is left out",
            ),
            Mistake(
                lambda lam, K: lam[-1],
                "this is the smallest; the maximum of the likelihood is at the mean of those left",
            ),
        ),
        "Which eigenvalues do the factors not explain, and how many are they?",
        "the mean of what was left out",
    ),
    Exercise(
        "fill-in",
        "04",
        _draw_incomplete,
        _fill_in,
        (
            Mistake(
                lambda W, mu, psi, seen, x: np.where(seen, x, mu),
                "this fills in the mean; what is seen says more about z than that",
            ),
            Mistake(
                _fill_in_pretending,
                "the hidden columns were set to the mean and then believed; leave them out of "
                "the inference",
            ),
            Mistake(
                lambda W, mu, psi, seen, x: np.where(seen, x, _fill_in(W, mu, psi, seen, x) - mu),
                "the mean has not been added back",
            ),
        ),
        "Infer z from the rows of W, μ and Ψ that were seen, then Wz + μ where nothing was.",
        "marginalising a Gaussian is leaving out",
    ),
)


# ------------------------------------------------------------------ 05 variational Bayes


def _draw_correlated(rng):
    a = rng.normal(size=(2, 2))
    return rng.normal(size=2), a @ a.T + 0.3 * np.eye(2), float(rng.normal())


def _draw_gamma(rng):
    x = rng.normal(1, 2, size=8)
    return (x, *rng.normal(size=2), *rng.uniform(0.5, 4, size=3))


def _gamma_rate(x, mean, mean_0, prec, strength, rate):
    squares = np.square(x - mean).sum() + strength * (mean - mean_0) ** 2
    return rate + 0.5 * (squares + (len(x) + strength) / prec)


def _draw_wishart(rng):
    a = rng.normal(size=(3, 3))
    return float(rng.uniform(3, 9)), a @ a.T + np.eye(3)


def _expected_log_det(nu, W, first=1):
    d = len(W)
    halves = 0.5 * (nu + 1 - np.arange(first, first + d))
    return digamma(halves).sum() + d * np.log(2) + np.linalg.slogdet(W)[1]


CHAPTER_05 = (
    Exercise(
        "mean-field-gaussian",
        "05",
        _draw_correlated,
        lambda mu, Lam, m2: mu[0] - Lam[0, 1] / Lam[0, 0] * (m2 - mu[1]),
        (
            Mistake(
                lambda mu, Lam, m2: mu[0] + Lam[0, 1] / Lam[0, 0] * (m2 - mu[1]),
                "the sign: a positive entry of the precision pulls the means apart",
            ),
            Mistake(
                lambda mu, Lam, m2: mu[0] - Lam[0, 1] / Lam[1, 1] * (m2 - mu[1]),
                "divided by the precision of the other factor",
            ),
            Mistake(
                lambda mu, Lam, m2: mu[0] - Lam[0, 1] / Lam[0, 0] * m2,
                "what counts is how far the other mean is from its own place, m₂ - μ₂",
            ),
        ),
        "Collect the terms of -½(z - μ)ᵀΛ(z - μ) in z₁, put m₂ for z₂, and find the top.",
        "the other factor enters by its mean alone",
    ),
    Exercise(
        "gamma-rate",
        "05",
        _draw_gamma,
        _gamma_rate,
        (
            Mistake(
                lambda x, mean, mean_0, prec, strength, rate: _gamma_rate(
                    x, mean, mean_0, np.inf, strength, rate
                ),
                "μ is treated as known: E[(x - μ)²] is (x - E[μ])² plus the variance of μ",
            ),
            Mistake(
                lambda x, mean, mean_0, prec, strength, rate: (
                    rate + 0.5 * (np.square(x - mean).sum() + len(x) / prec)
                ),
                "the prior of μ is missing; it contains τ as well",
            ),
            Mistake(
                lambda x, mean, mean_0, prec, strength, rate: (
                    2 * _gamma_rate(x, mean, mean_0, prec, strength, rate) - rate
                ),
                "the half is missing: the exponent of a Gaussian is -½ τ (x - μ)²",
            ),
            Mistake(
                lambda x, mean, mean_0, prec, strength, rate: _gamma_rate(
                    x, mean, mean_0, 1 / prec, strength, rate
                ),
                "λ_N is a precision; the variance of μ is 1/λ_N",
            ),
        ),
        "Collect the terms of E[ln p(X, μ, τ)] that are linear in τ.",
        "the spread of q(μ) is part of it",
    ),
    Exercise(
        "expected-log-weights",
        "05",
        lambda rng: (rng.uniform(0.1, 5, size=4),),
        lambda alpha: digamma(alpha) - digamma(alpha.sum()),
        (
            Mistake(
                lambda alpha: np.log(alpha / alpha.sum()),
                "this is the log of the mean; the mean of the log is smaller (Jensen)",
            ),
            Mistake(digamma, "the normalisation is missing: subtract the digamma of the sum"),
            Mistake(
                lambda alpha: digamma(alpha) - digamma(alpha).sum(),
                "the digamma of the sum, not the sum of the digammas",
            ),
        ),
        "Differentiate ln ∫ Π π_k^(α_k - 1) dπ = Σ ln Γ(α_k) - ln Γ(Σ α_k).",
        "an expected log always comes from a derivative of a log normaliser",
    ),
    Exercise(
        "expected-log-det",
        "05",
        _draw_wishart,
        _expected_log_det,
        (
            Mistake(
                lambda nu, W: _expected_log_det(nu, W, first=2),
                "the digammas are off by one: (ν + 1 - i)/2 for i = 1 to D, so ν/2 comes first",
            ),
            Mistake(
                lambda nu, W: _expected_log_det(nu, W) - len(W) * np.log(2),
                "D ln 2 is missing",
            ),
            Mistake(
                lambda nu, W: np.linalg.slogdet(nu * W)[1],
                "this is ln|E[Λ]|; the mean of the log is smaller (Jensen)",
            ),
            Mistake(
                lambda nu, W: _expected_log_det(nu, W) - 2 * np.linalg.slogdet(W)[1],
                "ln|W| has the wrong sign: W is a scale of precisions",
            ),
        ),
        "D digammas of halves, D ln 2 and ln|W|.",
        "what weighs the size of components against each other",
    ),
)

# ------------------------------------------------------------------ 06 variational EM


def _draw_switches(rng):
    W, mu = rng.normal(size=(6, 3)), rng.normal(size=6)
    m, pi, var = rng.uniform(0.1, 0.9, 3), rng.uniform(0.1, 0.6, 3), float(rng.uniform(4, 9))
    return W @ (m > 0.5) + mu + rng.normal(size=6), W, mu, var, pi, m


def _draw_log_joint(rng):
    x, W, mu, var, pi, m = _draw_switches(rng)
    return x, (m > 0.5).astype(float), W, mu, var, pi


def _log_prior(z, pi):
    return (z * np.log(pi) + (1 - z) * np.log(1 - pi)).sum()


def _log_normal(y, var):
    return -0.5 * (len(y) * np.log(2 * np.pi * var) + y @ y / var)


def _binary_log_joint(x, z, W, mu, var, pi):
    return _log_prior(z, pi) + _log_normal(x - mu - W @ z, var)


def _switch(x, W, mu, var, pi, m, k, *, length=0.5, others=True):
    rest = x - mu - W @ m + (W[:, k] * m[k] if others else 0)
    return np.log(pi[k] / (1 - pi[k])) + (W[:, k] @ rest - length * W[:, k] @ W[:, k]) / var


def _binary_bound(x, W, mu, var, pi, m, *, spread=1.0, sign=1.0):
    variance = spread * (m * (1 - m)) @ np.square(W).sum(axis=0)
    entropy = -_log_prior(m, m)
    return (
        _log_normal(x - mu - W @ m, var) - 0.5 * variance / var + _log_prior(m, pi) + sign * entropy
    )


CHAPTER_06 = (
    Exercise(
        "binary-log-joint",
        "06",
        _draw_log_joint,
        _binary_log_joint,
        (
            Mistake(
                lambda x, z, W, mu, var, pi: _log_normal(x - mu - W @ z, var),
                "the prior of z is missing: the joint is p(x | z) p(z)",
            ),
            Mistake(
                lambda x, z, W, mu, var, pi: z @ np.log(pi) + _log_normal(x - mu - W @ z, var),
                "a switch that is off has a probability too, 1 - π",
            ),
            Mistake(
                lambda x, z, W, mu, var, pi: (
                    _binary_log_joint(x, z, W, mu, var, pi)
                    + 0.5 * (len(x) - 1) * np.log(2 * np.pi * var)
                ),
                "the normaliser ½ ln 2πσ² counts once for each of the D dimensions",
            ),
            Mistake(
                lambda x, z, W, mu, var, pi: _binary_log_joint(x, z, W, mu, var**2, pi),
                "`var` is the variance σ² already",
            ),
        ),
        "ln p(x | z) + ln p(z): D Gaussians and K coins.",
        "everything else in the chapter is an average of this",
    ),
    Exercise(
        "binary-update",
        "06",
        lambda rng: (*_draw_switches(rng), int(rng.integers(3))),
        lambda *inputs: expit(_switch(*inputs)),
        (
            Mistake(
                lambda *inputs: expit(_switch(*inputs, length=0.0)),
                "‖w‖²/2σ² is missing: without it every switch is too ready to go on",
            ),
            Mistake(
                lambda *inputs: expit(_switch(*inputs, others=False)),
                "the switch explains itself away: leave k out of what the others explain",
            ),
            Mistake(
                lambda *inputs: expit(_switch(*inputs, length=1.0)),
                "half of ‖w‖²/σ²: it comes from the square of x - μ - Wz",
            ),
            Mistake(_switch, "this is the log odds; the probability is its sigmoid"),
            Mistake(
                lambda x, W, mu, var, pi, m, k: expit(
                    _switch(x, W, mu, var, pi, m, k) + np.log(1 - pi[k])
                ),
                "the prior enters by its log odds, ln π - ln(1 - π)",
            ),
        ),
        "Collect the terms with z_k in ln p(x, z), with z_k² = z_k, and put m_j for the others.",
        "the whole inference of the chapter, one switch at a time",
    ),
    Exercise(
        "second-moment",
        "06",
        lambda rng: (rng.uniform(size=(12, 3)),),
        lambda m: m.T @ m + np.diag((m * (1 - m)).sum(axis=0)),
        (
            Mistake(
                lambda m: m.T @ m,
                "m(1 - m) is missing: the switches are treated as known",
            ),
            Mistake(
                lambda m: m.T @ m + np.diag(m.sum(axis=0)),
                "the diagonal is counted twice: it is Σ m, and m² is in mᵀm already",
            ),
            Mistake(
                lambda m: np.diag((m * (1 - m)).sum(axis=0)),
                "this is the sum of the covariances; E[zzᵀ] has E[z]E[z]ᵀ besides",
            ),
            Mistake(
                lambda m: m.T @ m + np.diag(m.mean(axis=0) * (1 - m.mean(axis=0))),
                "the variances are of single switches: sum m(1 - m) over the data",
            ),
        ),
        "E[z_j z_k] = m_j m_k for j ≠ k. And z_k² = z_k.",
        "all that learning needs to know about q, beside m",
    ),
    Exercise(
        "binary-bound",
        "06",
        _draw_switches,
        _binary_bound,
        (
            Mistake(
                lambda *inputs: _binary_bound(*inputs, spread=0.0),
                "E‖x - μ - Wz‖² is more than the square at E[z]: add Σ m(1 - m)‖w‖²",
            ),
            Mistake(
                lambda *inputs: _binary_bound(*inputs, sign=-1.0),
                "the entropy has the wrong sign: the bound rises with it",
            ),
            Mistake(
                lambda *inputs: _binary_bound(*inputs, sign=0.0),
                "the entropy of q is missing: the divergence is E[ln q] - E[ln p(z)]",
            ),
        ),
        "E[ln p(x | z)] - KL(q(z) ‖ p(z)); the first needs E[zzᵀ], the second is K coins.",
        "below ln p(x) whatever m is",
    ),
)


# ------------------------------------------------------------------ 07 gradients through samples


def _draw_slopes(rng):
    eps, mean, std = rng.normal(size=9), float(rng.normal()), float(rng.uniform(0.4, 2))
    return np.cos(mean + std * eps), eps, std


def _draw_values(rng):
    mean, std = float(rng.normal()), float(rng.uniform(0.4, 2))
    z = mean + std * rng.normal(size=9)
    return 3 + z**2, z, mean, std


def _score(f, z, mean, std):
    return np.array(
        [(f * (z - mean)).mean() / std**2, (f * ((z - mean) ** 2 / std**3 - 1 / std)).mean()]
    )


def _draw_gaussian(rng):
    a = rng.normal(size=(3, 3))
    return rng.normal(size=3), a @ a.T + 0.5 * np.eye(3), rng.normal(size=(5, 3))


CHAPTER_07 = (
    Exercise(
        "gaussian-sample",
        "07",
        _draw_gaussian,
        lambda mean, cov, eps: mean + eps @ np.linalg.cholesky(cov).T,
        (
            Mistake(
                lambda mean, cov, eps: mean + eps @ cov,
                "multiplied by Σ: the samples have covariance Σ². A factor of Σ is wanted",
            ),
            Mistake(
                lambda mean, cov, eps: mean + eps @ np.linalg.cholesky(cov),
                "each row is ε: Lε for all rows at once is eps @ L.T",
            ),
            Mistake(
                lambda mean, cov, eps: mean + eps * np.sqrt(np.diag(cov)),
                "the variances are right, the covariances are lost",
            ),
        ),
        "Σ = L Lᵀ, and each sample is μ + Lε.",
        "a factor of Σ, not Σ",
    ),
    Exercise(
        "pathwise",
        "07",
        _draw_slopes,
        lambda slope, eps, std: np.array([slope.mean(), (slope * eps).mean()]),
        (
            Mistake(
                lambda slope, eps, std: np.array([slope.mean(), slope.mean()]),
                "∂z/∂σ is ε: a wider q moves each sample by its own noise",
            ),
            Mistake(
                lambda slope, eps, std: np.array([slope.mean(), (slope * eps).mean() / (2 * std)]),
                "this is the slope in the variance σ²",
            ),
            Mistake(
                lambda slope, eps, std: np.array([slope.mean(), (slope * eps * std).mean()]),
                "this is the slope in ln σ",
            ),
            Mistake(
                lambda slope, eps, std: np.array([slope.sum(), (slope * eps).sum()]),
                "the average over samples is wanted, not their sum",
            ),
        ),
        "z = m + σε, so ∂z/∂m = 1 and ∂z/∂σ = ε; then the chain rule.",
        "push the samples uphill, and see where that drags m and σ",
    ),
    Exercise(
        "score-function",
        "07",
        _draw_values,
        _score,
        (
            Mistake(
                lambda f, z, mean, std: _score(f, z, mean, std) * [std, 1],
                "divided by σ: the score of the mean is (z - m)/σ²",
            ),
            Mistake(
                lambda f, z, mean, std: _score(f, z, mean, std) + np.array([0, f.mean() / std]),
                "-1/σ is missing: the normaliser of q contains σ as well",
            ),
            Mistake(
                lambda f, z, mean, std: _score(np.ones_like(f), z, mean, std),
                "f is missing: this averages to zero, whatever f is",
            ),
            Mistake(
                lambda f, z, mean, std: _score(f, z, mean, std) * len(f),
                "the average over samples is wanted, not their sum",
            ),
        ),
        "Differentiate ln q = -ln σ - (z - m)²/2σ² in m and in σ, times f, and average.",
        "no slope of f anywhere",
    ),
    Exercise(
        "leave-one-out",
        "07",
        lambda rng: (rng.normal(5, 2, size=7),),
        lambda f: (f.sum() - f) / (len(f) - 1),
        (
            Mistake(
                lambda f: np.full_like(f, f.mean()),
                "each baseline contains its own value: the gradient loses the share 1/S",
            ),
            Mistake(
                lambda f: (f.sum() - f) / len(f),
                "the others are S - 1",
            ),
            Mistake(
                lambda f: f - (f.sum() - f) / (len(f) - 1),
                "this is f less its baseline; the baselines themselves are wanted",
            ),
        ),
        "The sum of all less its own, divided by how many are left.",
        "independent of its own sample, so nothing is biased",
    ),
    Exercise(
        "minibatch-bound",
        "07",
        lambda rng: (rng.normal(-3, 1, size=8), float(rng.uniform(1, 5)), 40),
        lambda terms, kl, N: N / len(terms) * terms.sum() - kl,
        (
            Mistake(
                lambda terms, kl, N: N / len(terms) * (terms.sum() - kl),
                "the factor that all data share counts once: its divergence is not scaled up",
            ),
            Mistake(
                lambda terms, kl, N: terms.sum() - kl,
                "the batch must stand for all N data: scale its sum by N/B",
            ),
            Mistake(
                lambda terms, kl, N: terms.mean() - kl,
                "this is the mean of one datum; the bound is a sum over N",
            ),
            Mistake(
                lambda terms, kl, N: len(terms) / N * terms.sum() - kl,
                "B/N the wrong way round: the batch is smaller than the data",
            ),
        ),
        "Each datum is in the batch with probability B/N.",
        "unbiased, whatever the size of the batch",
    ),
)

# ------------------------------------------------------------------ 08 variational autoencoder


def _draw_code(rng):
    return rng.normal(size=4), rng.normal(size=4)


def _normal_kl(mean, log_var):
    return 0.5 * (np.exp(log_var) + mean**2 - 1 - log_var).sum()


def _draw_pixels(rng):
    return rng.normal(size=5), rng.normal(size=5), rng.normal(size=5)


def _pixels(x, mean, log_var):
    squares = (x - mean) ** 2 / np.exp(log_var)
    return -0.5 * (np.log(2 * np.pi) + log_var + squares).sum()


def _draw_bits(rng):
    bits = (rng.random((6, 5)) < 0.4).astype(float)
    return bits, 2 * rng.normal(size=(6, 5)), rng.normal(size=(6, 3)), rng.normal(size=(6, 3))


def _bits(x, logits):
    return (x * logits - np.logaddexp(0, logits)).sum(axis=1)


def _kls(mean, log_var):
    return 0.5 * (np.exp(log_var) + mean**2 - 1 - log_var).sum(axis=1)


def _draw_step(rng):
    return (*rng.normal(size=5), float(rng.uniform(0.05, 0.2)))


def _one_step(x, w, m, log_s, eps, lr, *, path=1.0, prior=1.0, sign=1.0):
    s = np.exp(log_s)
    z = m + s * eps
    pull = path * -(x - w * z) * w  # the slope of the reconstruction term in z
    slopes = np.array([-(x - w * z) * z, pull + prior * m, pull * s * eps + prior * (s**2 - 1)])
    return np.array([w, m, log_s]) - sign * lr * slopes


CHAPTER_08 = (
    Exercise(
        "standard-normal-kl",
        "08",
        _draw_code,
        _normal_kl,
        (
            Mistake(lambda *a: -_normal_kl(*a), "the sign: a divergence is never negative"),
            Mistake(
                lambda mean, log_var: _normal_kl(mean, log_var) + 0.25 * log_var.sum(),
                "ln σ where ln σ² belongs; ln σ² is what you were given",
            ),
            Mistake(
                lambda mean, log_var: 0.5 * (np.exp(0.5 * log_var) + mean**2 - 1 - log_var).sum(),
                "σ where σ² belongs: tr Σ sums variances",
            ),
            Mistake(
                lambda mean, log_var: _normal_kl(mean, log_var) + 0.5 * len(mean),
                "-K is missing: the divergence must be 0 for mean 0 and variance 1",
            ),
            Mistake(
                lambda mean, log_var: _normal_kl(mean, log_var) / len(mean),
                "the sum over factors, not their mean",
            ),
        ),
        "½ Σ (σ² + μ² - 1 - ln σ²).",
        "0 for the prior itself, and never below",
    ),
    Exercise(
        "reparametrised",
        "08",
        _draw_pixels,
        lambda mean, log_var, eps: mean + np.exp(0.5 * log_var) * eps,
        (
            Mistake(
                lambda mean, log_var, eps: mean + np.exp(log_var) * eps,
                "σ² for σ: it is the standard deviation that multiplies the noise",
            ),
            Mistake(
                lambda mean, log_var, eps: mean + log_var * eps,
                "this is the log of the variance; it may even be negative",
            ),
            Mistake(
                lambda mean, log_var, eps: mean + np.exp(0.5 * log_var),
                "the noise is missing: this is always the same point",
            ),
        ),
        "z = μ + σε with σ = e^(½ ln σ²).",
        "the most frequent mistake of all VAE code, avoided",
    ),
    Exercise(
        "gaussian-log-likelihood",
        "08",
        _draw_pixels,
        _pixels,
        (
            Mistake(
                lambda x, mean, log_var: (
                    _pixels(x, mean, log_var) + 0.5 * (len(x) - 1) * np.log(2 * np.pi)
                ),
                "ln 2π counts once for each of the D pixels",
            ),
            Mistake(
                lambda x, mean, log_var: _pixels(x, mean, log_var) / len(x),
                "the sum over pixels, not their mean: else the bound is none",
            ),
            Mistake(
                lambda x, mean, log_var: _pixels(x, mean, log_var) + 0.5 * log_var.sum(),
                "ln|Σ| is missing: then nothing keeps the variance from growing",
            ),
            Mistake(
                lambda x, mean, log_var: _pixels(x, mean, 2 * log_var),
                "σ² is e^(ln σ²) already; it was squared once more",
            ),
            Mistake(lambda *a: -_pixels(*a), "the sign: this is the loss"),
        ),
        "-½ Σ (ln 2π + ln σ² + (x - μ)²/σ²).",
        "a log density: it may be positive",
    ),
    Exercise(
        "vae-bound",
        "08",
        _draw_bits,
        lambda x, logits, mean, log_var: _bits(x, logits) - _kls(mean, log_var),
        (
            Mistake(
                lambda x, logits, mean, log_var: (
                    _bits(x, logits) / x.shape[1] - _kls(mean, log_var)
                ),
                "the mean over pixels beside the sum over factors: no bound, and the code dies",
            ),
            Mistake(
                lambda x, logits, mean, log_var: _bits(x, logits) + _kls(mean, log_var),
                "the divergence is a price: it is subtracted",
            ),
            Mistake(
                lambda x, logits, mean, log_var: _kls(mean, log_var) - _bits(x, logits),
                "this is the loss; the bound is its negative",
            ),
            Mistake(
                lambda x, logits, mean, log_var: (x * logits).sum(axis=1) - _kls(mean, log_var),
                "a pixel that is off has a probability too: ln(1 - p)",
            ),
        ),
        "ln p(x | z) = Σ x ln p + (1 - x) ln(1 - p) with p = sigmoid(logits); then less the KL.",
        "the loss of every Bernoulli VAE, with its sign turned",
    ),
    Exercise(
        "training-step",
        "08",
        _draw_step,
        _one_step,
        (
            Mistake(
                lambda *a: _one_step(*a, sign=-1.0),
                "this goes uphill in J: the loss is to fall",
            ),
            Mistake(
                lambda *a: _one_step(*a, path=0.0),
                "z moves with m and ln s: the reconstruction has a slope in them, by the path",
            ),
            Mistake(
                lambda *a: _one_step(*a, prior=0.0),
                "the divergence has slopes too: m, and s² - 1 in ln s",
            ),
        ),
        "z = m + sε and J = ½(x - wz)² + ½(s² + m² - 1 - ln s²). Chain rule, three times.",
        "inference and learning in one step",
    ),
)

# ------------------------------------------------------------------ 09 what the factors mean


def _draw_information(rng):
    table = rng.dirichlet(np.full(12, 0.5)).reshape(4, 3)
    return (table,)


def _information(table):
    return (table * np.log(table / np.outer(table.sum(axis=1), table.sum(axis=0)))).sum()


def _draw_gap(rng):
    return rng.uniform(0, 1, size=(5, 4)), rng.uniform(1.5, 3, size=4)


def _gap(information, entropy):
    ranked = np.sort(information, axis=0)
    return ((ranked[-1] - ranked[-2]) / entropy).mean()


def _entropies(shares):
    return -(shares * np.log(shares)).sum(axis=1)


def _disentanglement(importance):
    shares = importance / importance.sum(axis=1, keepdims=True)
    weights = importance.sum(axis=1) / importance.sum()
    return weights @ (1 - _entropies(shares) / np.log(importance.shape[1]))


CHAPTER_09 = (
    Exercise(
        "mutual-information",
        "09",
        _draw_information,
        _information,
        (
            Mistake(
                lambda table: -(table * np.log(table)).sum(),
                "this is the entropy of the pair; information compares it with independence",
            ),
            Mistake(
                lambda table: _information(table) / np.log(2),
                "this is in bits; the course counts in nats",
            ),
            Mistake(
                lambda table: -_information(table),
                "the sign: information is a divergence, never negative",
            ),
        ),
        "The divergence of the joint table from the product of its margins.",
        "0 only where the two are independent",
    ),
    Exercise(
        "information-gap",
        "09",
        _draw_gap,
        _gap,
        (
            Mistake(
                lambda information, entropy: (
                    (np.sort(information, axis=1)[:, -1] - np.sort(information, axis=1)[:, -2])
                    / entropy.mean()
                ).mean(),
                "the ranking is over codes, for each factor; here it runs over factors",
            ),
            Mistake(
                lambda information, entropy: (
                    np.sort(information, axis=0)[-1] - np.sort(information, axis=0)[-2]
                ).mean(),
                "divide by the entropy of each factor: what there was to know",
            ),
            Mistake(
                lambda information, entropy: (
                    (np.sort(information, axis=0)[-1] - np.sort(information, axis=0)[0]) / entropy
                ).mean(),
                "the second best, not the last: a factor split over two codes must score low",
            ),
        ),
        "For each factor (column): best less second best, over its entropy; then the mean.",
        "an index error here has been published more than once",
    ),
    Exercise(
        "disentanglement",
        "09",
        lambda rng: (rng.exponential(size=(5, 4)),),
        _disentanglement,
        (
            Mistake(
                lambda r: (
                    1 - _entropies(r / r.sum(axis=1, keepdims=True)) / np.log(r.shape[1])
                ).mean(),
                "codes count by their importance: one that says nothing must not matter",
            ),
            Mistake(
                lambda r: _disentanglement(r.T),
                "this is completeness: shares of the codes in each factor",
            ),
            Mistake(
                lambda r: 1 - _disentanglement(r),
                "turned round: a code with all its weight on one factor scores 1",
            ),
        ),
        "Shares of each row, one less their entropy over ln J, weighted by the row's total.",
        "each code of one factor",
    ),
)

# ------------------------------------------------------------------ 10 closing the gap


def _draw_weights(rng):
    return (rng.normal(-800, 2, size=(6, 4)),)


def _importance(log_w):
    return logsumexp(log_w, axis=0) - np.log(len(log_w))


def _draw_precision(rng):
    a = rng.normal(size=(3, 3))
    return (np.eye(3) + a.T @ a,)


def _product_gap(precision):
    return 0.5 * (np.log(np.diag(precision)).sum() - np.linalg.slogdet(precision)[1])


CHAPTER_10 = (
    Exercise(
        "importance-bound",
        "10",
        _draw_weights,
        _importance,
        (
            Mistake(
                lambda log_w: log_w.mean(axis=0),
                "this is the mean of the logs, L; the mean comes before the log",
            ),
            Mistake(
                lambda log_w: logsumexp(log_w, axis=0),
                "-ln S is missing: it is the mean of the weights, not their sum",
            ),
            Mistake(
                lambda log_w: np.log(np.exp(log_w).mean(axis=0)),
                "the weights underflow to 0: take the largest out first",
            ),
            Mistake(
                lambda log_w: logsumexp(log_w, axis=1) - np.log(log_w.shape[1]),
                "averaged over data; the samples are the rows",
            ),
        ),
        "ln (1/S) Σ exp(log_w), by log-sum-exp over samples.",
        "nearer to ln p(x) with every sample, and never above it on average",
    ),
    Exercise(
        "product-gap",
        "10",
        _draw_precision,
        _product_gap,
        (
            Mistake(
                lambda precision: -_product_gap(precision),
                "the sign: a gap is never negative (Hadamard: |P| is at most Π P_kk)",
            ),
            Mistake(
                lambda precision: 2 * _product_gap(precision),
                "the half is missing: entropies of Gaussians have ½ ln",
            ),
            Mistake(
                lambda precision: _product_gap(np.linalg.inv(precision)),
                "this is the gap of the product of the marginals, of KL(p ‖ q)",
            ),
        ),
        "The best product has precisions P_kk: compare the entropies, the means agree.",
        "zero only where the precision is diagonal",
    ),
    Exercise(
        "collapsed-columns",
        "10",
        lambda rng: (np.sort(rng.exponential(1, size=6))[::-1], float(rng.uniform(0.3, 1.2))),
        lambda lam, var: np.maximum(lam - var, 0.0),
        (
            Mistake(
                lambda lam, var: np.sqrt(np.maximum(lam - var, 0.0)),
                "these are the lengths; their squares are asked for",
            ),
            Mistake(
                lambda lam, var: lam - var,
                "a squared length is not negative: below σ² the column is 0, a dead factor",
            ),
            Mistake(
                lambda lam, var: np.where(lam > var, lam, 0.0),
                "σ² explains its share of each direction: subtract it",
            ),
        ),
        "W = U (Λ - σ²I)^½, and nothing where that has no root.",
        "collapse at the maximum of the likelihood itself",
    ),
)

# ------------------------------------------------------------------ 11 scaling out


def _numbers_to_send(k, d):
    return k * (1 + d + d * (d + 1) // 2) + 2


def _draw_two_parts(rng):
    parts = [rng.normal(i, 1 + i, size=(n, 3)) for i, n in enumerate((40, 7))]
    means = [x.mean(axis=0) for x in parts]
    scatters = [(x - m).T @ (x - m) for x, m in zip(parts, means, strict=True)]
    return len(parts[0]), means[0], scatters[0], len(parts[1]), means[1], scatters[1]


def _merge(n1, mean1, scatter1, n2, mean2, scatter2, *, weight=None):
    weight = n1 * n2 / (n1 + n2) if weight is None else weight
    apart = mean1 - mean2
    return scatter1 + scatter2 + weight * np.outer(apart, apart)


def _draw_online(rng):
    return (
        rng.normal(size=5),
        20 * rng.normal(size=5),
        int(rng.integers(10, 40)),
        int(rng.integers(2, 50)),
    )


def _online(average, batch_sum, n, t):
    rate = t**-0.6
    return (1 - rate) * average + rate * batch_sum / n


def _draw_gradients(rng):
    return rng.normal(size=(4, 3)), rng.integers(1, 40, size=4)


CHAPTER_11 = (
    Exercise(
        "numbers-to-send",
        "11",
        lambda rng: (int(rng.integers(1, 30)), int(rng.integers(2, 40))),
        _numbers_to_send,
        (
            Mistake(
                lambda k, d: k * (1 + d + d * d) + 2,
                "r xxᵀ is symmetric: its upper triangle says all, D (D + 1)/2 numbers",
            ),
            Mistake(
                lambda k, d: k * (1 + d + d * (d + 1) // 2),
                "N and the entropy are missing: without them nobody can tell the bound",
            ),
            Mistake(
                lambda k, d: k * (d + d * (d + 1) // 2) + 2,
                "the N_k are missing: a mean is a sum divided by a count",
            ),
        ),
        "Of each component Σ r, Σ r x and Σ r xxᵀ; of all data together N and H[q].",
        "the same for a thousand data and for 10¹⁰",
    ),
    Exercise(
        "merge-scatter",
        "11",
        _draw_two_parts,
        _merge,
        (
            Mistake(
                lambda n1, mean1, scatter1, n2, mean2, scatter2: scatter1 + scatter2,
                "each part was measured about its own mean: that the means differ is missing",
            ),
            Mistake(
                lambda *parts: _merge(*parts, weight=parts[0] + parts[3]),
                "the weight of the term between the means is n₁n₂/(n₁ + n₂), not n₁ + n₂",
            ),
            Mistake(
                lambda *parts: _merge(*parts, weight=1.0),
                "the term between the means needs a weight: more data, more of it",
            ),
        ),
        "Write Σ (x - m)(x - m)ᵀ about the common mean m, part by part; m lies between m₁ and m₂.",
        "and no digits are lost, however far from zero the data lie",
    ),
    Exercise(
        "online-step",
        "11",
        _draw_online,
        _online,
        (
            Mistake(
                lambda average, batch_sum, n, t: _online(average, batch_sum, 1, t),
                "the average is for one datum, and the batch's is a sum: divide it by n",
            ),
            Mistake(
                lambda average, batch_sum, n, t: _online(batch_sum / n, average, 1, t),
                "the weights are exchanged: the new batch has ρ, the past 1 - ρ",
            ),
            Mistake(
                lambda average, batch_sum, n, t: average + t**-0.6 * batch_sum / n,
                "1 - ρ is missing: an average forgets, a sum grows",
            ),
            Mistake(
                lambda average, batch_sum, n, t: (1 - 1 / t) * average + batch_sum / n / t,
                "with ρ = 1/t nothing is forgotten, the bad start neither: ρ = t^-0.6",
            ),
        ),
        "s ← (1 - ρ) s + ρ (what one datum of the batch has on average), with ρ = t^-0.6.",
        "one pass, and memory for one batch",
    ),
    Exercise(
        "average-gradients",
        "11",
        _draw_gradients,
        lambda gradients, counts: counts @ gradients / counts.sum(),
        (
            Mistake(
                lambda gradients, counts: gradients.mean(axis=0),
                "the mean of the means counts a datum of a small part for more than others",
            ),
            Mistake(
                lambda gradients, counts: gradients.sum(axis=0),
                "each is a mean already; their sum depends on how many workers there are",
            ),
            Mistake(
                lambda gradients, counts: counts @ gradients,
                "this is the gradient of the sum over data; divide by how many there are",
            ),
        ),
        "Back to sums first: a worker's mean times its count.",
        "and for equal counts it is the plain mean, which is why all workers get equal parts",
    ),
)

ALL = (
    CHAPTER_00 + CHAPTER_01 + CHAPTER_02 + CHAPTER_03 + CHAPTER_04 + CHAPTER_05 + CHAPTER_06
    + CHAPTER_07 + CHAPTER_08 + CHAPTER_09 + CHAPTER_10 + CHAPTER_11
)  # fmt: skip
