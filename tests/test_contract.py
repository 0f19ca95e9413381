"""What every closed-form model promises, checked on each row of `CASES`.

A new model is one row in `CASES` and, if it is a new class, one row in `ORACLES`: the same model
written a second time, from its definition, in torch, so that autograd can differentiate it.
"""

import itertools
from dataclasses import fields, replace
from math import log, pi

import numpy as np
import pytest
import torch
from scipy import stats as scipy_stats

from lfm import em
from lfm.distributions import Bernoulli, Categorical, InverseWishart, LinearGaussian
from lfm.factor_analysis import FactorAnalysis
from lfm.gaussian_mixture import GaussianMixture
from lfm.variational_bayes import (
    BayesianGaussian,
    BayesianMixture,
    MixturePrior,
    NormalGammaPrior,
)
from lfm.variational_em import BinaryFactors

SEEDS = range(3)


def mixture(seed, k, d, n=300, with_prior=False):
    """Data from clusters that overlap a little, and a model that is not at the optimum."""
    rng = np.random.default_rng([seed, k, d])
    a = rng.normal(size=(k, d, d)) / np.sqrt(d)
    truth = GaussianMixture(
        weights=rng.dirichlet(np.full(k, 8.0)),
        means=4 * rng.normal(size=(k, d)),
        covs=a @ a.mT + 0.5 * np.eye(d),
    )
    x, _ = truth.sample(n, rng=rng)
    prior = InverseWishart.from_data(x, k) if with_prior else None
    start = GaussianMixture(
        weights=rng.dirichlet(np.full(k, 20.0)),
        means=truth.means + 0.7 * rng.normal(size=(k, d)),
        covs=2.5 * truth.covs,
        prior=prior,
    )
    return start, x


def factors(seed, k, d, n=300, isotropic=False):
    """Data with k factors, and a model that is not at the optimum."""
    rng = np.random.default_rng([seed, k, d])
    noise = np.full(d, 0.7) if isotropic else rng.uniform(0.3, 2, d)
    # No loading near 0: a column that hardly shares anything leaves its own hardly known.
    loadings = rng.uniform(0.7, 2, (d, k)) * rng.choice([-1, 1], (d, k))
    truth = FactorAnalysis(loadings, 3 * rng.normal(size=d), noise, isotropic)
    x, _ = truth.sample(n, rng=rng)
    start = FactorAnalysis(
        truth.loadings + 0.5 * rng.normal(size=(d, k)), truth.mean + 0.3, 2 * noise, isotropic
    )
    return start, x


def bayesian_mixture(seed, k, d, concentration=1.0):
    """The data of `mixture`, and a q(π, μ, Λ) that is not at the optimum."""
    start, x = mixture(seed, k, d)
    rng = np.random.default_rng([seed, k, d])
    prior = MixturePrior(concentration, 0.3 * rng.normal(size=d), 0.5, d + 1.5, np.eye(d))
    model = BayesianMixture(
        prior, rng.uniform(1, 9, k), start.means, rng.uniform(2, 9, k),
        rng.uniform(d + 4, d + 9, k), (d + 6) * start.covs,
    )  # fmt: skip
    return model, x


def bayesian_gaussian(seed):
    rng = np.random.default_rng(seed)
    prior = NormalGammaPrior(0.4, 0.8, 1.2, 0.9)
    return BayesianGaussian(prior, -1.0, 3.0, 2.0, 5.0), rng.normal(2, 1.7, size=(300, 1))


def switches(seed, k, d, n=300, exact=False, groups=()):
    """Data with k switches, and a model that is not at the optimum."""
    rng = np.random.default_rng([seed, k, d])
    loadings = 2 * rng.normal(size=(d, k))
    truth = BinaryFactors(loadings, 3 * rng.normal(size=d), 0.6, rng.uniform(0.3, 0.7, k), exact)
    x, _ = truth.sample(n, rng=rng)
    start = BinaryFactors(
        loadings + 0.3 * rng.normal(size=(d, k)),
        truth.mean + 0.2,
        1.5,
        np.full(k, 0.5),
        exact,
        groups,
    )
    return start, x


EXACT_CASES = {
    "mixture": lambda seed: mixture(seed, k=3, d=2),
    "mixture with prior": lambda seed: mixture(seed, k=3, d=2, with_prior=True),
    "mixture of one": lambda seed: mixture(seed, k=1, d=3),
    "mixture of five in 4-D": lambda seed: mixture(seed, k=5, d=4, n=500),
    "factors": lambda seed: factors(seed, k=2, d=8),
    "factors, equal noise": lambda seed: factors(seed, k=2, d=6, isotropic=True),
    "one factor": lambda seed: factors(seed, k=1, d=5),
    "a factor of one column": lambda seed: factors(seed, k=1, d=1),
    "switches, all states": lambda seed: switches(seed, k=3, d=5, exact=True),
    "one switch, all states": lambda seed: switches(seed, k=1, d=2, exact=True),
}
# Learning is one exact maximisation.
CASES = EXACT_CASES | {
    "Bayesian mixture": lambda seed: bayesian_mixture(seed, k=3, d=2),
    "Bayesian mixture, sparse": lambda seed: bayesian_mixture(seed, k=4, d=3, concentration=0.1),
}
# Inference finds the best q near by, which need not be the best of all.
LEARNERS = CASES | {
    "switches": lambda seed: switches(seed, k=3, d=5),
    "switches, a pair together": lambda seed: switches(seed, k=3, d=5, groups=[(0, 2)]),
}
# Learning is a sweep over several factors.
ALL_CASES = LEARNERS | {"Bayesian Gaussian": bayesian_gaussian}
each_exact_case = pytest.mark.parametrize("case", EXACT_CASES)
each_case = pytest.mark.parametrize("case", CASES)
each_learner = pytest.mark.parametrize("case", LEARNERS)
every_case = pytest.mark.parametrize("case", ALL_CASES)
each_seed = pytest.mark.parametrize("seed", SEEDS)


class MixtureOracle:
    """The Gaussian mixture from its definition, in terms of unconstrained parameters."""

    @staticmethod
    def leaves(model):
        values = (np.log(model.weights), model.means, np.linalg.cholesky(model.covs))
        return [torch.tensor(v, requires_grad=True) for v in values]

    @staticmethod
    def log_joint(leaves, x):  # (N, K)
        logits, means, factors = leaves
        chol, d = torch.tril(factors), means.shape[1]
        y = torch.as_tensor(x)[None, :, :] - means[:, None, :]  # (K, N, D)
        white = torch.linalg.solve_triangular(chol, y.mT, upper=False)  # (K, D, N)
        log_det = torch.diagonal(chol, dim1=1, dim2=2).abs().log().sum(1)
        log_normal = -0.5 * white.square().sum(1).T - 0.5 * d * log(2 * pi) - log_det
        return torch.log_softmax(logits, 0) + log_normal

    @staticmethod
    def log_prior(leaves, model):
        if model.prior is None:
            return torch.zeros((), dtype=torch.float64)
        nu, psi = model.prior.dof, torch.tensor(model.prior.scale)
        d = len(psi)
        cov = torch.tril(leaves[2]) @ torch.tril(leaves[2]).mT
        const = 0.5 * nu * (torch.logdet(psi) - d * log(2)) - torch.special.multigammaln(
            torch.tensor(nu / 2, dtype=torch.float64), d
        )
        trace = torch.diagonal(torch.linalg.solve(cov, psi.expand_as(cov)), dim1=1, dim2=2).sum(1)
        return (const - 0.5 * (nu + d + 1) * torch.logdet(cov) - 0.5 * trace).sum()

    @classmethod
    def log_probs(cls, leaves, x):  # (N,)
        return torch.logsumexp(cls.log_joint(leaves, x), 1)

    @classmethod
    def log_marginal(cls, leaves, model, x):
        return cls.log_probs(leaves, x).sum() + cls.log_prior(leaves, model)

    @classmethod
    def bound(cls, leaves, model, x, q):
        r = torch.tensor(q.probs)
        entropy = -torch.special.xlogy(r, r).sum()
        return (r * cls.log_joint(leaves, x)).sum() + entropy + cls.log_prior(leaves, model)

    @staticmethod
    def other_qs(model, x, rng):
        k, n = len(model.weights), len(x)
        yield Categorical(rng.dirichlet(np.ones(k), size=n))
        yield Categorical(np.full((n, k), 1 / k))
        yield Categorical(np.eye(k)[rng.integers(k, size=n)])

    @staticmethod
    def relabelled(model, order):
        return replace(
            model, weights=model.weights[order], means=model.means[order], covs=model.covs[order]
        )

    @staticmethod
    def moved(model, rotation, shift):
        r, prior = rotation, model.prior
        if prior is not None:
            prior = InverseWishart(prior.dof, symmetric(r @ prior.scale @ r.T))
        means, covs = model.means @ r.T + shift, symmetric(r @ model.covs @ r.T)
        return replace(model, means=means, covs=covs, prior=prior)

    @staticmethod
    def n_components(model):
        return len(model.weights)

    @staticmethod
    def only_one_q(model):
        return len(model.weights) == 1


class FactorOracle:
    """Factor analysis from its definition, with the D × D covariance."""

    @staticmethod
    def leaves(model):
        noise = model.noise[:1] if model.isotropic else model.noise
        values = (model.loadings, model.mean, np.log(noise))
        return [torch.tensor(v, requires_grad=True) for v in values]

    @staticmethod
    def log_prior(leaves, model):
        return torch.zeros((), dtype=torch.float64)

    @staticmethod
    def log_probs(leaves, x):  # (N,)
        W, mu, log_noise = leaves
        cov = W @ W.T + torch.diag(log_noise.exp().expand(len(mu)))
        normal = torch.distributions.MultivariateNormal(mu, cov, validate_args=False)  # for vmap
        return normal.log_prob(torch.as_tensor(x))

    @classmethod
    def log_marginal(cls, leaves, model, x):
        return cls.log_probs(leaves, x).sum()

    @staticmethod
    def bound(leaves, model, x, q):
        """E_q[ln p(x, z)] + H[q], datum by datum, with the variances of W z spelled out."""
        W, mu, log_noise = leaves
        x, log_noise = torch.as_tensor(x), log_noise.expand(len(mu))
        mean, cov = torch.tensor(q.mean(x.numpy())), torch.tensor(q.cov)
        k = len(cov)
        squares = (x - mean @ W.T - mu).square() + torch.diagonal(W @ cov @ W.T)  # (N, D)
        log_lik = -0.5 * (log(2 * pi) + log_noise + squares / log_noise.exp()).sum(1)
        log_prior = -0.5 * (k * log(2 * pi) + mean.square().sum(1) + torch.trace(cov))
        entropy = 0.5 * torch.logdet(2 * pi * np.e * cov)
        return (log_lik + log_prior + entropy).sum()

    @staticmethod
    def other_qs(model, x, rng):
        d, k = model.loadings.shape
        q = model.infer(x)
        yield LinearGaussian(q.weights + 0.3 * rng.normal(size=(k, d)), q.offset, 4 * q.cov)
        yield LinearGaussian(np.zeros((k, d)), np.zeros(d), np.eye(k))

    @staticmethod
    def relabelled(model, order):
        return replace(model, loadings=model.loadings[:, order])

    @staticmethod
    def moved(model, rotation, shift):
        if not (model.isotropic or np.array_equal(rotation, np.eye(len(shift)))):
            pytest.skip("unequal noise belongs to the columns: a rotation leads out of the model")
        loadings, mean = rotation @ model.loadings, rotation @ model.mean + shift
        return replace(model, loadings=loadings, mean=mean)

    @staticmethod
    def n_components(model):
        return model.loadings.shape[1]

    @staticmethod
    def only_one_q(model):
        return False


class BayesianMixtureOracle:
    """The bound of the Bayesian mixture from torch's densities, entropies and divergences."""

    @staticmethod
    def leaves(model):
        d = model.means.shape[1]
        values = (
            np.log(model.concentration), model.means, np.log(model.strengths),
            np.log(model.dofs - d + 1), np.linalg.cholesky(model.scales),
        )  # fmt: skip
        return [torch.tensor(v, requires_grad=True) for v in values]

    @staticmethod
    def log_norm_gauss_wishart(beta, nu, chol):
        d = chol.shape[-1]
        log_det = -2 * torch.diagonal(chol, dim1=-2, dim2=-1).abs().log().sum(-1)  # ln|W|
        log_gamma = sum(torch.lgamma((nu - i) / 2) for i in range(d)) + d * (d - 1) / 4 * log(pi)
        gauss = -0.5 * d * (beta / (2 * pi)).log()
        return gauss + 0.5 * nu * log_det + 0.5 * nu * d * log(2) + log_gamma

    @classmethod
    def bound(cls, leaves, model, x, q):
        """E[ln p(X, Z, π, μ, Λ)] + H, with E[ln π] and E[ln|Λ|] as derivatives of normalisers."""
        p, r, x = model.prior, torch.tensor(q.probs), torch.as_tensor(x)
        d = x.shape[1]
        alpha, m, beta, nu = leaves[0].exp(), leaves[1], leaves[2].exp(), leaves[3].exp() + d - 1
        chol = torch.tril(leaves[4])
        prec = nu[:, None, None] * torch.cholesky_inverse(chol)  # E[Λ]
        log_pi = torch.digamma(alpha) - torch.digamma(alpha.sum())
        log_det_w = -2 * torch.diagonal(chol, dim1=1, dim2=2).abs().log().sum(1)
        log_det = sum(torch.digamma((nu - i) / 2) for i in range(d)) + d * log(2) + log_det_w

        def log_normal(y, beta_0):  # E[ln N(y; μ, (β₀Λ)⁻¹)] for y (N, D); (N, K)
            gap = y[:, None] - m
            far = torch.einsum("nki,kij,nkj->nk", gap, prec, gap) + d / beta
            return 0.5 * (d * log(beta_0 / (2 * pi)) + log_det - beta_0 * far)

        log_lik = (r * (log_pi + log_normal(x, 1.0))).sum()
        entropy_z = -torch.special.xlogy(r, r).sum()
        alpha_0 = torch.full_like(alpha, p.concentration)
        dirichlet = torch.distributions.Dirichlet
        kl_pi = torch.distributions.kl_divergence(dirichlet(alpha), dirichlet(alpha_0))
        scale_0, nu_0 = torch.tensor(p.scale), torch.tensor(p.dof, dtype=torch.float64)
        one = torch.ones((), dtype=torch.float64)
        norm_0 = cls.log_norm_gauss_wishart(2 * pi * one, nu_0, torch.linalg.cholesky(scale_0))
        log_wishart = 0.5 * (nu_0 - d - 1) * log_det - 0.5 * (prec * scale_0).sum((1, 2)) - norm_0
        log_mean = log_normal(torch.tensor(p.mean)[None], p.strength)[0]
        log_q = (
            -cls.log_norm_gauss_wishart(beta, nu, chol)
            + 0.5 * (nu - d) * log_det - 0.5 * nu * d - 0.5 * d
        )  # fmt: skip
        return log_lik + entropy_z - kl_pi + (log_wishart + log_mean - log_q).sum()

    other_qs = MixtureOracle.other_qs

    @staticmethod
    def relabelled(model, order):
        names = ("concentration", "means", "strengths", "dofs", "scales")
        return replace(model, **{name: getattr(model, name)[order] for name in names})

    @staticmethod
    def moved(model, rotation, shift):
        p, r = model.prior, rotation
        prior = replace(p, mean=r @ p.mean + shift, scale=symmetric(r @ p.scale @ r.T))
        scales = symmetric(r @ model.scales @ r.T)
        return replace(model, prior=prior, means=model.means @ r.T + shift, scales=scales)

    @staticmethod
    def n_components(model):
        return len(model.means)

    only_one_q = MixtureOracle.only_one_q


class BayesianGaussianOracle:
    """The bound of the univariate Gaussian from torch's densities and entropies."""

    @staticmethod
    def leaves(model):
        values = (model.mean, np.log(model.prec), np.log(model.shape), np.log(model.rate))
        return [torch.tensor(float(v), dtype=torch.float64, requires_grad=True) for v in values]

    @staticmethod
    def bound(leaves, model, x, q):
        p, y = model.prior, torch.as_tensor(x)[:, 0]
        mean, (prec, shape, rate) = leaves[0], (v.exp() for v in leaves[1:])
        tau, log_tau = shape / rate, torch.digamma(shape) - rate.log()
        n = len(y)
        squares = (y - mean).square().sum() + n / prec
        log_lik = 0.5 * n * (log_tau - log(2 * pi)) - 0.5 * tau * squares
        pull = p.strength * ((mean - p.mean) ** 2 + 1 / prec)
        log_mean = 0.5 * (log(p.strength) + log_tau - log(2 * pi) - tau * pull)
        gamma_0 = torch.tensor(p.shape, dtype=torch.float64)
        log_prec = gamma_0 * log(p.rate) - torch.lgamma(gamma_0) + (p.shape - 1) * log_tau
        entropies = (
            torch.distributions.Normal(mean, prec**-0.5).entropy()
            + torch.distributions.Gamma(shape, rate).entropy()
        )
        return log_lik + log_mean + log_prec - p.rate * tau + entropies


class SwitchOracle:
    """Binary factors from their definition: a table over all 2^K states."""

    @staticmethod
    def leaves(model):
        pi = model.probs
        values = (model.loadings, model.mean, np.log(model.noise), np.log(pi / (1 - pi)))
        return [torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in values]

    @staticmethod
    def states(k):
        return torch.tensor(list(itertools.product([0.0, 1.0], repeat=k)), dtype=torch.float64)

    @classmethod
    def log_joint(cls, leaves, x):  # (N, 2^K)
        W, mu, log_noise, logits = leaves
        states = cls.states(len(logits))
        unchecked = {"validate_args": False}  # for vmap
        log_prior = (
            torch.distributions.Bernoulli(logits=logits, **unchecked).log_prob(states).sum(1)
        )
        mean, std = states @ W.T + mu, (0.5 * log_noise).exp()
        normal = torch.distributions.Normal(mean, std, **unchecked)
        return log_prior + normal.log_prob(torch.as_tensor(x)[:, None]).sum(2)

    @staticmethod
    def log_prior(leaves, model):
        return torch.zeros((), dtype=torch.float64)

    @classmethod
    def log_probs(cls, leaves, x):  # (N,)
        return torch.logsumexp(cls.log_joint(leaves, x), 1)

    @classmethod
    def log_marginal(cls, leaves, model, x):
        return cls.log_probs(leaves, x).sum()

    @classmethod
    def bound(cls, leaves, model, x, q):
        if not isinstance(q, Bernoulli):
            return cls.bound_of_moments(leaves, x, q)
        m, states = torch.tensor(q.probs)[:, None], cls.states(len(model.probs))
        q_states = torch.where(states == 1, m, 1 - m).prod(2)  # (N, 2^K)
        entropy = -torch.special.xlogy(q_states, q_states).sum()
        return (q_states * cls.log_joint(leaves, x)).sum() + entropy

    @staticmethod
    def bound_of_moments(leaves, x, q):
        W, mu, log_noise, logits = leaves
        m, zz, y = torch.tensor(q.probs), torch.tensor(q.seconds), torch.as_tensor(x) - mu
        squares = (y**2).sum() - 2 * (y @ W * m).sum() + (W.T @ W * zz).sum()
        normal = -0.5 * (squares / log_noise.exp() + y.numel() * (log_noise + np.log(2 * np.pi)))
        log_prior = (m.sum(0) * logits - len(m) * torch.nn.functional.softplus(logits)).sum()
        return normal + log_prior + q.entropy().sum()

    @staticmethod
    def other_qs(model, x, rng):
        n, k = len(x), len(model.probs)
        yield Bernoulli(rng.uniform(size=(n, k)))
        yield Bernoulli(np.full((n, k), 0.5))
        yield Bernoulli(rng.integers(2, size=(n, k)).astype(float))

    @staticmethod
    def relabelled(model, order):
        return replace(model, loadings=model.loadings[:, order], probs=model.probs[order])

    @staticmethod
    def moved(model, rotation, shift):
        loadings, mean = rotation @ model.loadings, rotation @ model.mean + shift
        return replace(model, loadings=loadings, mean=mean)

    @staticmethod
    def n_components(model):
        return len(model.probs)

    @staticmethod
    def only_one_q(model):
        return False


ORACLES = {
    GaussianMixture: MixtureOracle,
    FactorAnalysis: FactorOracle,
    BayesianMixture: BayesianMixtureOracle,
    BayesianGaussian: BayesianGaussianOracle,
    BinaryFactors: SwitchOracle,
}


def symmetric(a):
    return 0.5 * (a + a.mT)


def make(case, seed=0):
    model, x = ALL_CASES[case](seed)
    return model, x, ORACLES[type(model)]


def gradients(scalar, leaves):
    return [g.numpy() for g in torch.autograd.grad(scalar, leaves)]


def iteration(model, x):
    return model.learn(model.expect(x, model.infer(x)))


def assert_same(a, b, rtol=1e-9):
    """Two models have the same θ, each array relative to its largest entry."""
    leaves = ORACLES[type(a)].leaves
    for u, v in zip(leaves(a), leaves(b), strict=True):
        u, v = u.detach().numpy(), v.detach().numpy()
        np.testing.assert_allclose(u, v, rtol=0, atol=rtol * np.abs(v).max())


def assert_never_falls(bounds, n):
    """Each bound is at least the one before it, but for the rounding of a sum of n terms."""
    bounds = np.asarray(bounds)
    assert len(bounds) > 1
    assert np.isfinite(bounds).all()
    fall = (bounds[:-1] - bounds[1:]).max()
    assert fall <= 1e-13 * (np.abs(bounds).max() + n), f"the bound fell by {fall} nats"


@pytest.mark.parametrize("bounds", [[0.0, -1e-9], [3.0, 2.0, 1.0], [0.0, np.nan], [1.0]])
def test_the_check_of_the_ascent_can_fail(bounds):
    with pytest.raises(AssertionError):
        assert_never_falls(bounds, n=100)


@every_case
@each_seed
def test_bound_never_falls_half_step_by_half_step(case, seed):
    model, x, oracle = make(case, seed)
    steps = list(itertools.islice(em.steps(model, x), 60))
    assert_never_falls([s.bound for s in steps], len(x))
    assert steps[-1].bound > steps[0].bound + 1e-3 * len(x)
    for s in steps[:4]:  # and what it reports is the bound, not some other rising number
        expected = oracle.bound(oracle.leaves(s.model), s.model, x, s.q).item()
        assert s.bound == pytest.approx(expected, rel=1e-12)


@each_exact_case
@each_seed
def test_bound_after_exact_inference_is_log_likelihood(case, seed):
    model, x, oracle = make(case, seed)
    bound = model.lower_bound(model.expect(x, model.infer(x)))
    assert isinstance(bound, float)
    expected = oracle.log_marginal(oracle.leaves(model), model, x).item()
    assert bound == pytest.approx(expected, rel=1e-12)
    log_prior = oracle.log_prior(oracle.leaves(model), model).item()
    assert model.log_prob(x).sum() + log_prior == pytest.approx(expected, rel=1e-12)


@each_case
@each_seed
def test_bound_of_any_other_q_is_lower(case, seed):
    model, x, oracle = make(case, seed)
    tight = model.lower_bound(model.expect(x, model.infer(x)))
    for q in oracle.other_qs(model, x, np.random.default_rng(seed)):
        bound = model.lower_bound(model.expect(x, q))
        expected = oracle.bound(oracle.leaves(model), model, x, q).item()
        assert bound == pytest.approx(expected, rel=1e-12)
        if oracle.only_one_q(model):
            assert bound == pytest.approx(tight, rel=1e-13)
        else:
            assert bound < tight - 1e-3 * len(x)


@each_learner
@each_seed
@pytest.mark.equation("learning-step")
def test_learning_is_stationary(case, seed):
    model, x, oracle = make(case, seed)
    for q in [model.infer(x), next(oracle.other_qs(model, x, np.random.default_rng(seed)))]:

        def slope(model, q=q):
            leaves = oracle.leaves(model)
            return max(
                np.abs(g).max() for g in gradients(oracle.bound(leaves, model, x, q), leaves)
            )

        assert slope(model) > 1e-2 * len(x)
        assert slope(model.learn(model.expect(x, q))) < 1e-11 * len(x)


@each_learner
@each_seed
@pytest.mark.equation("learning-step")
def test_learning_is_a_maximum(case, seed):
    model, x, oracle = make(case, seed)
    q, rng = model.infer(x), np.random.default_rng(seed)
    new = model.learn(model.expect(x, q))
    best = oracle.bound(oracle.leaves(new), new, x, q).item()
    assert new.lower_bound(model.expect(x, q)) == pytest.approx(best, rel=1e-12)
    for size in (1e-3, 1e-2, 0.1):
        with torch.no_grad():
            leaves = [v + size * torch.tensor(rng.normal(size=v.shape)) for v in oracle.leaves(new)]
        assert oracle.bound(leaves, new, x, q).item() < best


@each_exact_case
@each_seed
@pytest.mark.equation("fisher")
def test_gradient_of_log_likelihood_is_gradient_of_bound_at_the_posterior(case, seed):
    model, x, oracle = make(case, seed)
    leaves = oracle.leaves(model)
    left = gradients(oracle.log_marginal(leaves, model, x), leaves)
    right = gradients(oracle.bound(leaves, model, x, model.infer(x)), leaves)
    for a, b in zip(left, right, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-11 * len(x))
    assert max(np.abs(a).max() for a in left) > 1e-2 * len(x)
    other = next(oracle.other_qs(model, x, np.random.default_rng(seed)))
    wrong = gradients(oracle.bound(leaves, model, x, other), leaves)
    if not oracle.only_one_q(model):  # with another q it is not
        assert max(np.abs(a - b).max() for a, b in zip(left, wrong, strict=True)) > 1e-2 * len(x)


@every_case
def test_statistics_are_additive_over_batches(case):
    model, x, _ = make(case)
    whole, parts = model.expect(x, model.infer(x)), None
    for batch in np.split(x, [1, 70, 200]):
        part = model.expect(batch, model.infer(batch))
        parts = part if parts is None else parts + part
    assert parts.n == whole.n == len(x)
    assert parts.entropy == pytest.approx(whole.entropy, rel=1e-12)
    assert model.lower_bound(parts) == pytest.approx(model.lower_bound(whole), rel=1e-13)
    assert_same(model.learn(parts), model.learn(whole), rtol=1e-11)


@each_case
def test_relabelling_commutes_with_an_iteration(case):
    model, x, oracle = make(case)
    order = np.random.default_rng(1).permutation(oracle.n_components(model))
    relabelled = oracle.relabelled(model, order)
    assert_same(iteration(relabelled, x), oracle.relabelled(iteration(model, x), order))
    np.testing.assert_allclose(relabelled.log_prob(x), model.log_prob(x), rtol=1e-12)


@each_learner
@pytest.mark.parametrize("rotate", [False, True], ids=["translation", "rotation"])
def test_moving_the_data_commutes_with_an_iteration(case, rotate):
    model, x, oracle = make(case)
    d, rng = x.shape[1], np.random.default_rng(2)
    rotation = np.linalg.qr(rng.normal(size=(d, d)))[0] if rotate else np.eye(d)
    shift = 50 * rng.normal(size=d)
    moved, y = oracle.moved(model, rotation, shift), x @ rotation.T + shift
    for _ in range(3):
        np.testing.assert_allclose(moved.log_prob(y), model.log_prob(x), rtol=1e-10)
        model, moved = iteration(model, x), iteration(moved, y)
        assert_same(moved, oracle.moved(model, rotation, shift))


@each_exact_case
@each_seed
def test_fit_of_a_sample_recovers_the_truth_within_standard_errors(case, seed):
    model, x, oracle = make(case, seed)
    # The optimum of some data is a truth of the same kind, and a good one to return to.
    truth = em.fit(model, x, max_iter=50).model
    y, _ = truth.sample(5000, rng=seed)
    fit = em.fit(truth, y, max_iter=5000, tol=1e-10)
    assert fit.converged
    leaves = [v.detach() for v in oracle.leaves(fit.model)]
    score = torch.func.grad(lambda leaves, datum: oracle.log_probs(leaves, datum[None]).sum())
    scores = torch.func.vmap(score, in_dims=(None, 0))(leaves, torch.tensor(y))
    scores = torch.cat([s.reshape(len(y), -1) for s in scores], 1).numpy()  # (N, P)
    error = np.concatenate(
        [
            (a - b.detach()).numpy().ravel()
            for a, b in zip(leaves, oracle.leaves(truth), strict=True)
        ]
    )
    information = scores.T @ scores  # of this sample: its inverse has the squared standard errors
    dof = np.linalg.matrix_rank(information)
    chi2 = error @ information @ error
    # Both tails: an error much smaller than chance allows would also be wrong.
    low, high = scipy_stats.chi2(dof).ppf([1e-4, 1 - 1e-4])
    assert low < chi2 < high


@every_case
def test_samples_have_the_density_they_are_drawn_from(case):
    model, _, _ = make(case)
    y, z = model.sample(20_000, rng=3)
    assert y.shape[0] == len(z) == 20_000
    a, b = model.log_prob(y[:10_000]), model.log_prob(y[10_000:])
    error = np.sqrt(a.var() / len(a) + b.var() / len(b))
    assert abs(a.mean() - b.mean()) < 4 * error
    same, _ = model.sample(20_000, rng=np.random.default_rng(3))
    np.testing.assert_array_equal(y, same)


@every_case
@pytest.mark.parametrize("batch_size", [1, 64, 1000])
def test_batches_give_the_same_bounds(case, batch_size):
    model, x, _ = make(case)
    # `steps` and not `fit`: at the optimum rounding decides when tol=0 is met.
    whole = list(itertools.islice(em.steps(model, x), 12))
    parts = list(itertools.islice(em.steps(model, x, batch_size=batch_size), 12))
    np.testing.assert_allclose(
        [s.bound for s in parts], [s.bound for s in whole], rtol=1e-12, atol=0
    )
    assert_same(parts[-1].model, whole[-1].model)
    parts = em.fit(model, x, max_iter=1, tol=0, batch_size=batch_size)
    assert len(parts.q) == -(-len(x) // batch_size)


@each_exact_case
def test_fit_starts_from_the_given_parameters_as_they_are(case):
    model, x, oracle = make(case)
    fit = em.fit(model, x, max_iter=0)
    assert fit.model is model
    expected = oracle.log_marginal(oracle.leaves(model), model, x).item()
    np.testing.assert_allclose(fit.bounds, [expected], rtol=1e-12)
    assert_same(em.fit(model, x, max_iter=1, tol=0).model, iteration(model, x))


@each_exact_case
def test_fit_ends_with_q_of_its_own_model(case):
    model, x, oracle = make(case)
    fit = em.fit(model, x, max_iter=4, tol=0)
    expected = oracle.bound(oracle.leaves(fit.model), fit.model, x, fit.q).item()
    assert fit.bounds[-1] == pytest.approx(expected, rel=1e-12)
    assert fit.bounds[-1] == pytest.approx(
        oracle.log_marginal(oracle.leaves(fit.model), fit.model, x).item(), rel=1e-12
    )


@every_case
def test_the_model_is_a_frozen_value(case):
    model, x, oracle = make(case)
    before = [v.detach().clone() for v in oracle.leaves(model)]
    for name in vars(model):
        with pytest.raises(AttributeError):
            setattr(model, name, None)
    for field in fields(model):
        if isinstance(value := getattr(model, field.name), np.ndarray):
            with pytest.raises(ValueError, match="read-only"):
                value[0] = 1.0
    y = x.copy()
    em.fit(model, y, max_iter=2)
    assert all(torch.equal(a, b) for a, b in zip(before, oracle.leaves(model), strict=True))
    np.testing.assert_array_equal(x, y)
