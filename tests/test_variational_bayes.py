"""Variational Bayes against exact evidence, quadrature, mpmath, scipy and scikit-learn."""

import tracemalloc
import warnings
from dataclasses import replace
from math import lgamma, log, pi

import mpmath
import numpy as np
import pytest
from scipy import stats as scipy_stats
from scipy.integrate import quad
from scipy.special import multigammaln
from sklearn.mixture import BayesianGaussianMixture as Peer

from lfm import bound, data, em
from lfm.distributions import Categorical
from lfm.gaussian_mixture import GaussianMixture
from lfm.variational_bayes import (
    BayesianGaussian,
    BayesianMixture,
    MixturePrior,
    NormalGammaPrior,
)

SEEDS = range(3)
each_seed = pytest.mark.parametrize("seed", SEEDS)


def gaussian_problem(seed, n=12):
    rng = np.random.default_rng(seed)
    prior = NormalGammaPrior(rng.normal(), *rng.uniform(0.3, 3, size=3))
    x = rng.normal(1, 1.5, size=(n, 1))
    return prior, x, BayesianGaussian(prior).expect(x)


def blobs(seed, n=300, d=2):
    rng = np.random.default_rng(seed)
    means = 4 * rng.normal(size=(3, d))
    return means[rng.integers(3, size=n)] + rng.normal(size=(n, d))


def mixture_prior(d, concentration=0.7):
    return MixturePrior(concentration, np.full(d, 0.2), 0.6, d + 1.3, 0.8 * np.eye(d) + 0.1)


# ------------------------------------------------------------------ mean field on tables


def table_of(seed):
    return np.log(np.random.default_rng(seed).dirichlet(np.full(12, 0.5)).reshape(3, 4) * 0.05)


def sweep(table, qa, qb):
    qa = bound.posterior(table @ qb)
    return qa, bound.posterior(qa @ table)


@each_seed
@pytest.mark.equation("constant-evidence")
def test_bound_and_divergence_add_up_to_a_constant(seed):
    table = table_of(seed)
    qa, qb = np.full(3, 1 / 3), np.full(4, 1 / 4)
    before = bound.decompose(np.outer(qa, qb).ravel(), table.ravel())
    for _ in range(5):
        qa, qb = sweep(table, qa, qb)
        now = bound.decompose(np.outer(qa, qb).ravel(), table.ravel())
        assert now.bound + now.divergence == pytest.approx(bound.log_marginal(table.ravel()))
        assert now.bound > before.bound
        assert now.bound - before.bound == pytest.approx(before.divergence - now.divergence)
        before = now


@each_seed
@pytest.mark.equation("mean-field")
def test_a_product_has_the_sum_of_entropies_and_reaches_a_product_posterior(seed):
    rng = np.random.default_rng(seed)
    a, b = rng.dirichlet(np.ones(3)), rng.dirichlet(np.ones(4))
    joint = np.outer(a, b)
    assert bound.entropy(joint.ravel()) == pytest.approx(bound.entropy(a) + bound.entropy(b))
    qa, qb = sweep(np.log(0.3 * joint), np.full(3, 1 / 3), np.full(4, 1 / 4))
    d = bound.decompose(np.outer(qa, qb).ravel(), np.log(0.3 * joint).ravel())
    assert d.divergence == pytest.approx(0, abs=1e-12)


@each_seed
@pytest.mark.equation("optimal-factor")
def test_the_averaged_log_joint_is_the_best_factor(seed):
    table, rng = table_of(seed), np.random.default_rng(seed)
    qb = rng.dirichlet(np.ones(4))
    best = bound.posterior(table @ qb)
    top = bound.lower_bound(np.outer(best, qb).ravel(), table.ravel())
    for _ in range(50):
        other = rng.dirichlet(50 * best + 0.1)
        low = bound.lower_bound(np.outer(other, qb).ravel(), table.ravel())
        assert top - low == pytest.approx(bound.kl(other, best), abs=1e-12)


@each_seed
@pytest.mark.equation("rearranged")
def test_the_bound_is_explanation_less_divergence_from_the_prior(seed):
    rng = np.random.default_rng(seed)
    q, prior = rng.dirichlet(np.ones(5), size=4), rng.dirichlet(np.ones(5), size=4)
    log_lik = rng.normal(size=(4, 5))
    np.testing.assert_allclose(
        bound.rearranged(q, log_lik, prior),
        bound.lower_bound(q, log_lik + np.log(prior)),
        rtol=1e-12,
    )


# ------------------------------------------------------------------ one Gaussian


@each_seed
@pytest.mark.equation("conjugate-factor")
def test_the_best_factor_has_the_conditional_posteriors_natural_parameters_averaged(seed):
    rng = np.random.default_rng(seed)
    x, prior = rng.normal(1, 2, size=(7, 1)), NormalGammaPrior(0.5, 0.7, 2.0, 1.5)
    q = BayesianGaussian(prior, mean=0.3, prec=4.0, shape=3.0, rate=2.0)
    stats = q.expect(x)
    tau = np.random.default_rng(seed).gamma(3.0, 1 / 2.0, size=200_000)  # draws from q(τ)
    total = prior.strength * prior.mean + x.sum()
    given_tau = np.array([tau * total, -0.5 * tau * (prior.strength + 7)])  # of μ, beside μ and μ²
    found = q.infer_mean(stats)
    natural = [found.prec * found.mean, -0.5 * found.prec]
    np.testing.assert_allclose(natural, given_tau.mean(axis=1), rtol=0.01)
    mu = rng.normal(0.3, 0.5, size=200_000)  # draws from q(μ)
    squares = np.square(x - mu).sum(axis=0) + prior.strength * np.square(mu - prior.mean)
    found = q.infer_prec(stats)
    assert found.shape - 1 == pytest.approx(prior.shape - 1 + 4)  # of τ, beside ln τ
    assert found.rate == pytest.approx(prior.rate + 0.5 * squares.mean(), rel=0.01)


@each_seed
@pytest.mark.equation("normal-gamma")
def test_each_update_is_the_best_of_all_distributions(seed):
    """On a grid, exp E[ln p] normalised is the Gaussian and the gamma that the code returns."""
    prior, x, stats = gaussian_problem(seed, n=5)
    q = BayesianGaussian(prior, 0.3, 2.0, 3.0, 2.5)
    mu, tau = np.linspace(-6, 8, 3001), np.linspace(1e-4, 12, 3000)
    log_joint = prior.log_prob(mu[:, None], tau) + sum(
        0.5 * np.log(tau / (2 * pi)) - 0.5 * tau * (y - mu[:, None]) ** 2 for y in x[:, 0]
    )
    q_tau = scipy_stats.gamma(q.shape, scale=1 / q.rate).pdf(tau)
    expected = np.exp(log_joint @ (q_tau / q_tau.sum()))
    found = q.infer_mean(stats)
    density = scipy_stats.norm(found.mean, found.prec**-0.5).pdf(mu)
    np.testing.assert_allclose(
        density / density.sum(), expected / expected.sum(), atol=1e-3 / len(mu)
    )
    q_mu = scipy_stats.norm(q.mean, q.prec**-0.5).pdf(mu)
    expected = np.exp((q_mu / q_mu.sum()) @ log_joint)
    found = q.infer_prec(stats)
    density = scipy_stats.gamma(found.shape, scale=1 / found.rate).pdf(tau)
    np.testing.assert_allclose(
        density / density.sum(), expected / expected.sum(), atol=1e-3 / len(tau)
    )
    assert found.shape == prior.shape + (5 + 1) / 2  # not N / 2


@each_seed
@pytest.mark.equation("normal-gamma-bound")
def test_bound_and_evidence_agree_with_mpmath(seed):
    prior, x, stats = gaussian_problem(seed)
    q = em.fit(BayesianGaussian(prior), x, tol=1e-13).model
    with mpmath.workdps(30):
        m, lam, a, b = (mpmath.mpf(v) for v in (q.mean, q.prec, q.shape, q.rate))
        m0, l0, a0, b0 = (
            mpmath.mpf(v) for v in (prior.mean, prior.strength, prior.shape, prior.rate)
        )
        x = [mpmath.mpf(v) for v in x[:, 0]]
        n = len(x)
        tau, log_tau = a / b, mpmath.digamma(a) - mpmath.log(b)
        log_2pi = mpmath.log(2 * mpmath.pi)
        log_lik = n * (log_tau - log_2pi) / 2 - tau / 2 * sum((v - m) ** 2 + 1 / lam for v in x)
        log_mean = (mpmath.log(l0) + log_tau - log_2pi - l0 * tau * ((m - m0) ** 2 + 1 / lam)) / 2
        log_prec = a0 * mpmath.log(b0) - mpmath.loggamma(a0) + (a0 - 1) * log_tau - b0 * tau
        h_mean = (1 + log_2pi - mpmath.log(lam)) / 2
        h_prec = a - mpmath.log(b) + mpmath.loggamma(a) + (1 - a) * mpmath.digamma(a)
        expected = float(log_lik + log_mean + log_prec + h_mean + h_prec)
        mean = sum(x) / n

        def marginal(t):  # ∫ p(X | μ, τ) p(μ | τ) dμ · p(τ), the first by completing the square
            scatter = sum((v - mean) ** 2 for v in x) + l0 * n * (mean - m0) ** 2 / (l0 + n)
            gauss = (t / (2 * mpmath.pi)) ** (mpmath.mpf(n) / 2) * mpmath.sqrt(l0 / (l0 + n))
            gamma = b0**a0 / mpmath.gamma(a0) * t ** (a0 - 1) * mpmath.exp(-b0 * t)
            return gauss * mpmath.exp(-t * scatter / 2) * gamma

        evidence = float(mpmath.log(mpmath.quad(marginal, [0, 0.2, 0.5, 1, 2, 5, mpmath.inf])))
    assert q.lower_bound(stats) == pytest.approx(expected, rel=1e-12)
    assert prior.log_evidence(stats) == pytest.approx(evidence, rel=1e-10)
    assert expected < evidence
    assert evidence - expected < 0.2


@each_seed
def test_the_gap_is_the_divergence_from_the_exact_posterior(seed):
    prior, x, stats = gaussian_problem(seed)
    q, exact = em.fit(BayesianGaussian(prior), x, tol=1e-13).model, prior.update(stats)
    mu = q.mean + np.linspace(-9, 9, 1501) / np.sqrt(q.prec)
    tau = scipy_stats.gamma(q.shape, scale=1 / q.rate).ppf((np.arange(2000) + 0.5) / 2000)
    log_q, log_p = (d(mu[:, None], tau) for d in (q.log_q, exact.log_prob))
    weight = scipy_stats.norm(q.mean, q.prec**-0.5).pdf(mu)
    divergence = (weight / weight.sum()) @ (log_q - log_p).mean(axis=1)
    gap = prior.log_evidence(stats) - q.lower_bound(stats)
    assert gap == pytest.approx(divergence, rel=2e-2)


def test_evidence_follows_from_one_datum_after_the_other():
    """p(x_1, x_2, ...) = Π p(x_n | x_1 .. x_n-1), each a Student distribution."""
    prior, x, stats = gaussian_problem(0)
    total, now = 0.0, prior
    for datum in x:
        scale = np.sqrt(now.rate * (now.strength + 1) / (now.shape * now.strength))
        total += scipy_stats.t(2 * now.shape, now.mean, scale).logpdf(datum[0])
        now = now.update(BayesianGaussian(prior).expect(datum[None]))
    assert prior.log_evidence(stats) == pytest.approx(total, rel=1e-12)
    assert now.rate == pytest.approx(prior.update(stats).rate, rel=1e-12)


@pytest.mark.parametrize(
    ("shape", "rate", "prec", "tol"),
    [(1.2, 0.5, 0.5, 1e-3), (6.5, 10.0, 7.0, 1e-8), (400, 3, 9, 1e-8)],
)
def test_predictive_of_one_gaussian_agrees_with_quadrature(shape, rate, prec, tol):
    q = BayesianGaussian(NormalGammaPrior(0, 1, 1, 1), 0.5, prec, shape, rate)
    gamma = scipy_stats.gamma(shape, scale=1 / rate)

    def density(x):
        def integrand(u):
            tau = gamma.ppf(u)
            return scipy_stats.norm(0.5, np.sqrt(1 / tau + 1 / prec)).pdf(x)

        return quad(integrand, 0, 1, epsabs=1e-13, epsrel=1e-10)[0]

    x = 0.5 + np.array([0.0, 0.5, -2.0]) * np.sqrt(rate / shape + 1 / prec)
    expected = np.log([density(v) for v in x])
    np.testing.assert_allclose(q.log_prob(x[:, None]), expected, rtol=0, atol=tol)


@pytest.mark.parametrize("offset", [0.0, 1e6, -1e8])
def test_one_gaussian_does_not_depend_on_an_offset(offset):
    x = np.round(np.random.default_rng(0).normal(size=(50, 1)) * 2**10) / 2**10
    fits = [
        em.fit(BayesianGaussian(NormalGammaPrior(v, 1, 1, 1)), x + v, tol=1e-12)
        for v in (0.0, offset)
    ]
    assert fits[0].bounds[-1] == pytest.approx(fits[1].bounds[-1], rel=1e-9)


# ------------------------------------------------------------------ the mixture


def log_normaliser(alpha, beta, nu, scales):
    d = scales.shape[-1]
    total = sum(map(lgamma, alpha)) - lgamma(sum(alpha))
    for b, v, scale in zip(beta, nu, scales, strict=True):
        log_det = np.linalg.slogdet(scale)[1]
        total += -0.5 * d * log(b / (2 * pi)) - 0.5 * v * log_det + 0.5 * v * d * log(2)
        total += multigammaln(v / 2, d)
    return total


@each_seed
@pytest.mark.parametrize(("k", "d"), [(1, 1), (3, 2), (5, 4)])
@pytest.mark.equation("bayesian-mixture-bound")
def test_bound_is_entropy_plus_the_rise_of_the_log_normaliser(seed, k, d):
    x, prior = blobs(seed, d=d), mixture_prior(d)
    model = BayesianMixture.init(x, k, rng=seed, prior=prior)
    for _ in range(4):
        q = model.infer(x)
        stats = model.expect(x, q)
        model = model.learn(stats)
        after = log_normaliser(model.concentration, model.strengths, model.dofs, model.scales)
        before = log_normaliser(
            [prior.concentration] * k, [prior.strength] * k, [prior.dof] * k,
            np.stack([prior.scale] * k),
        )  # fmt: skip
        expected = q.entropy().sum() + after - before - 0.5 * x.size * log(2 * pi)
        assert model.lower_bound(stats) == pytest.approx(expected, rel=1e-11, abs=1e-9)


def expected_log_rho(model, x, rng, s=40_000):
    """E[ln π_k N(x; μ_k, Λ_k⁻¹)] by drawing from q(π, μ, Λ), with standard errors."""
    k, d = model.means.shape
    log_pi = np.log(rng.dirichlet(model.concentration, size=s))  # (S, K)
    values = np.empty((s, len(x), k))
    for j in range(k):
        wishart = scipy_stats.wishart(model.dofs[j], np.linalg.inv(model.scales[j]))
        prec = wishart.rvs(s, random_state=rng).reshape(s, d, d)
        chol = np.linalg.cholesky(np.linalg.inv(model.strengths[j] * prec))
        mu = model.means[j] + np.einsum("sij,sj->si", chol, rng.normal(size=(s, d)))
        gap = x - mu[:, None]
        square = np.einsum("sni,sij,snj->sn", gap, prec, gap)
        log_det = np.linalg.slogdet(prec)[1][:, None]
        values[:, :, j] = log_pi[:, None, j] + 0.5 * (log_det - d * log(2 * pi) - square)
    return values.mean(0), values.std(0) / np.sqrt(s)


@pytest.mark.equation("bayesian-mixture")
def test_responsibilities_average_the_log_joint_over_the_parameters():
    x, rng = blobs(1), np.random.default_rng(0)
    model = BayesianMixture.init(x, 3, rng=0, prior=mixture_prior(2))
    mean, error = expected_log_rho(model, x[:3], rng)
    scores = model._scores.of(x[:3])  # (3, K)
    assert (np.abs(scores - mean) < 5 * error).all()
    np.testing.assert_allclose(model.infer(x[:3]).probs, bound.posterior(scores), atol=1e-12)


@each_seed
@pytest.mark.equation("bayesian-mixture")
def test_the_posterior_is_the_prior_plus_the_statistics(seed):
    x, prior = blobs(seed), mixture_prior(2)
    model = BayesianMixture.init(x, 3, rng=seed, prior=prior)
    r = model.infer(x).probs
    new = model.learn(model.expect(x, Categorical(r)))
    for k in range(3):
        n_k = r[:, k].sum()
        mean = r[:, k] @ x / n_k
        scatter = (r[:, k, None] * (x - mean)).T @ (x - mean)
        gap = mean - prior.mean
        assert new.concentration[k] == pytest.approx(prior.concentration + n_k)
        assert new.strengths[k] == pytest.approx(prior.strength + n_k)
        assert new.dofs[k] == pytest.approx(prior.dof + n_k)
        expected = (prior.strength * prior.mean + n_k * mean) / (prior.strength + n_k)
        np.testing.assert_allclose(new.means[k], expected, rtol=1e-10)
        pull = prior.strength * n_k / (prior.strength + n_k) * np.outer(gap, gap)
        np.testing.assert_allclose(new.scales[k], prior.scale + scatter + pull, rtol=1e-9)


def peer_of(x, k, prior, r, iterations):
    """scikit-learn's mixture after some iterations from given responsibilities."""
    peer = Peer(
        n_components=k, weight_concentration_prior_type="dirichlet_distribution",
        weight_concentration_prior=prior.concentration, mean_prior=prior.mean,
        mean_precision_prior=prior.strength, degrees_of_freedom_prior=prior.dof,
        covariance_prior=prior.scale, reg_covar=0,
    )  # fmt: skip
    peer._check_parameters(x)
    peer._initialize(x, r)
    for _ in range(iterations):
        _, log_resp = peer._e_step(x)
        peer._m_step(x, log_resp)
    return peer, log_resp, peer._compute_lower_bound(log_resp, None)


@pytest.mark.parametrize(("k", "d"), [(3, 2), (4, 1), (5, 6)])
def test_iterations_agree_with_scikit_learn_and_the_constants_it_drops(k, d):
    x, prior = blobs(2, d=d), mixture_prior(d)
    r = np.random.default_rng(0).dirichlet(np.ones(k), size=len(x))
    seed_model = BayesianMixture.init(x, k, rng=0, prior=prior)
    model = seed_model.learn(seed_model.expect(x, Categorical(r)))
    for _ in range(10):
        q = model.infer(x)
        stats = model.expect(x, q)
        model = model.learn(stats)
    peer, log_resp, its_bound = peer_of(x, k, prior, r, 10)
    np.testing.assert_allclose(q.probs, np.exp(log_resp), atol=1e-8)
    np.testing.assert_allclose(model.concentration, peer.weight_concentration_, rtol=1e-8)
    np.testing.assert_allclose(model.means, peer.means_, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(model.strengths, peer.mean_precision_, rtol=1e-8)
    np.testing.assert_allclose(model.dofs, peer.degrees_of_freedom_, rtol=1e-8)
    np.testing.assert_allclose(model.covs, peer.covariances_, rtol=1e-6, atol=1e-9)
    # What its bound leaves out: the normalisers of the priors, and powers of 2π and π.
    one = np.ones(k)
    before = log_normaliser(
        prior.concentration * one, prior.strength * one, prior.dof * one,
        np.stack([prior.scale] * k),
    )  # fmt: skip
    dropped = k * (0.5 * d * log(2 * pi) + 0.25 * d * (d - 1) * log(pi))
    dropped -= before + 0.5 * x.size * log(2 * pi)
    assert model.lower_bound(stats) == pytest.approx(its_bound + dropped, rel=1e-9)


@pytest.mark.parametrize("d", [1, 3])
def test_predictive_is_a_mixture_of_scipys_students(d):
    x, prior = blobs(0, d=d), mixture_prior(d)
    model = em.fit(BayesianMixture.init(x, 3, rng=0, prior=prior), x).model
    expected = sum(
        w * scipy_stats.multivariate_t(m, scale * (1 + b) / (b * (nu + 1 - d)), nu + 1 - d).pdf(x)
        for w, m, scale, b, nu in zip(
            model.weights, model.means, model.scales, model.strengths, model.dofs, strict=True
        )
    )
    np.testing.assert_allclose(model.log_prob(x), np.log(expected), rtol=1e-9)
    assert np.isfinite(model.log_prob(1e150 * np.ones((1, d)))).all()


def test_predictive_of_one_component_is_the_ratio_of_evidences():
    """With K = 1 there is no Z: the bound is the evidence, and the predictive their ratio."""
    x, prior = blobs(0, n=20), mixture_prior(2)
    new = np.array([[0.7, -0.4]])

    def evidence(x):
        fit = em.fit(BayesianMixture.init(x, 1, rng=0, prior=prior), x)
        return fit.bounds[-1], fit.model

    (before, model), (after, _) = evidence(x), evidence(np.vstack([x, new]))
    assert model.log_prob(new)[0] == pytest.approx(after - before, rel=1e-9)


def test_bound_stays_below_the_evidence_of_all_assignments():
    """For six data the evidence is a sum over 2^6 assignments, each of them conjugate."""
    x, prior, k = blobs(3, n=6), mixture_prior(2), 2
    one = np.ones(k)
    before = log_normaliser(
        prior.concentration * one, prior.strength * one, prior.dof * one,
        np.stack([prior.scale] * k),
    )  # fmt: skip
    model = BayesianMixture.init(x, k, rng=0, prior=prior)
    terms = []
    for code in range(k ** len(x)):
        z = (code // k ** np.arange(len(x))) % k
        m = model.learn(model.expect(x, Categorical(np.eye(k)[z])))
        terms.append(log_normaliser(m.concentration, m.strengths, m.dofs, m.scales) - before)
    evidence = np.logaddexp.reduce(terms) - 0.5 * x.size * log(2 * pi)
    ends = [
        em.fit(BayesianMixture.init(x, k, rng=s, prior=prior), x, tol=1e-10).bounds[-1]
        for s in range(5)
    ]
    assert max(ends) < evidence
    assert evidence - max(ends) < 4  # log 2 of it are the twins by exchange of labels


@pytest.mark.parametrize(("alpha_0", "used"), [(1e-3, 2), (1.0, 3), (10.0, 6)])
def test_old_faithful_keeps_as_many_components_as_the_textbook_shows(alpha_0, used):
    x = data.old_faithful()
    x = (x - x.mean(0)) / x.std(0)
    prior = MixturePrior(alpha_0, np.zeros(2), 1.0, 2.0, 0.5 * np.eye(2))
    for seed in range(3):
        fit = em.fit(BayesianMixture.init(x, 6, rng=seed, prior=prior), x, max_iter=3000)
        assert (fit.q.probs.sum(axis=0) > 1).sum() == used


def test_a_component_without_data_goes_back_to_the_prior():
    x, prior = blobs(0), mixture_prior(2)
    model = BayesianMixture.init(x, 3, rng=0, prior=prior)
    r = np.column_stack([np.full(len(x), 0.5), np.full(len(x), 0.5), np.zeros(len(x))])
    new = model.learn(model.expect(x, Categorical(r)))
    assert new.concentration[2] == prior.concentration
    np.testing.assert_array_equal(new.means[2], prior.mean)
    np.testing.assert_allclose(new.scales[2], prior.scale, rtol=1e-12)


def test_many_data_lead_to_maximum_likelihood():
    x = np.concatenate([m + np.random.default_rng(0).normal(size=(9000, 2)) for m in (-4, 0, 5)])
    plain = em.fit(GaussianMixture.init(x, 3, rng=0), x, tol=1e-9).model
    bayes = em.fit(BayesianMixture.init(x, 3, rng=0, prior=mixture_prior(2)), x, tol=1e-9).model
    np.testing.assert_allclose(bayes.weights, plain.weights, atol=1e-3)
    np.testing.assert_allclose(bayes.means, plain.means, atol=1e-2)
    np.testing.assert_allclose(bayes.covs, plain.covs, atol=1e-2)


def test_samples_have_the_covariance_of_their_students():
    model = BayesianMixture(
        mixture_prior(2), [3.0, 1.0], [[0, 0], [9, 9]], [4.0, 5.0], [12.0, 15.0],
        [np.eye(2) * 10, np.eye(2)],
    )  # fmt: skip
    x, z = model.sample(200_000, rng=0)
    assert (z == 1).mean() == pytest.approx(0.25, abs=0.005)
    dof = 12 + 1 - 2
    expected = 10 * (1 + 4) / (4 * dof) * dof / (dof - 2) * np.eye(2)
    np.testing.assert_allclose(np.cov(x[z == 0].T), expected, atol=0.03)


@pytest.mark.parametrize("unit", [1e-6, 1e6])
def test_a_prior_from_data_follows_their_units(unit):
    x = blobs(0)
    a, b = (em.fit(BayesianMixture.init(v, 3, rng=0), v, max_iter=20, tol=0) for v in (x, x * unit))
    np.testing.assert_allclose(b.bounds, a.bounds - x.size * log(unit), rtol=1e-9)
    np.testing.assert_allclose(b.q.probs, a.q.probs, atol=1e-8)


def degenerate():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(30, 3))
    yield "duplicates", np.repeat(x[:3], 20, axis=0)
    yield "a constant column", np.column_stack([x[:, :2], np.full(30, 7.0)])
    yield "collinear", x @ np.ones((3, 3))
    yield "one datum", x[:1]
    yield "all equal", np.ones((9, 2))
    yield "offset", x + 1e8
    yield "tiny", x * 1e-9
    yield "float32", x.astype(np.float32)
    yield "integers", (10 * x).astype(np.int64)


@pytest.mark.parametrize(("name", "x"), list(degenerate()), ids=[n for n, _ in degenerate()])
def test_degenerate_data_have_a_fit_whose_bound_rises(name, x):
    fit = em.fit(BayesianMixture.init(x, min(3, len(x)), rng=0), x, max_iter=50)
    assert np.isfinite(fit.bounds).all()
    assert np.isfinite(fit.model.log_prob(x)).all()
    assert (np.diff(fit.bounds) >= -1e-7 * (np.abs(fit.bounds).max() + len(x))).all()


def test_memory_does_not_grow_with_the_number_of_data():
    x = blobs(0, n=300_000)
    model = BayesianMixture.init(x[:1000], 3, rng=0)
    tracemalloc.start()
    em.fit(model, x, max_iter=2)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * 2**20


def test_the_concentration_alone_can_be_changed():
    prior = mixture_prior(2)
    assert replace(prior, concentration=5.0).concentration == 5.0
    assert replace(prior, concentration=5.0).dof == prior.dof


def test_float32_data_are_computed_with_in_double_precision():
    x = (1e7 + np.arange(10)).repeat(10)[:, None]
    prior = NormalGammaPrior(1e7, 1e-3, 1.0, 1.0)
    fits = [em.fit(BayesianGaussian(prior), x.astype(t)) for t in (np.float64, np.float32)]
    assert fits[0].model == fits[1].model
    q = BayesianGaussian(NormalGammaPrior(1e6 + 0.3, 1.0, 1.0, 1.0), 1e6 + 0.3, 100.0, 50.0, 1.0)
    y = (np.random.default_rng(0).normal(size=(9, 1)) + 1e6).astype(np.float32)
    np.testing.assert_array_equal(q.log_prob(y), q.log_prob(y.astype(float)))
    m, t = y[:, 0], np.abs(y[:, 0] - np.float32(1e6))
    for log_prob in (q.log_q, q.prior.log_prob):
        np.testing.assert_array_equal(log_prob(m, t), log_prob(m.astype(float), t.astype(float)))


@pytest.mark.parametrize("shape", [0.3, 1.0, 5.5, 60.0])
@pytest.mark.parametrize("prec", [0.5, 1000.0])
def test_the_predictive_is_as_precise_as_it_says_however_far_out(shape, prec):
    q = BayesianGaussian(NormalGammaPrior(0.0, 1.0, 1.0, 1.0), 2.0, prec, shape, 3.0)
    for x in (2.0, 7.0, -40.0, 1e3, -1e6):
        a, b, y = mpmath.mpf(shape), mpmath.mpf(3), mpmath.mpf(x) - 2

        def integrand(u, a=a, b=b, y=y):
            var = mpmath.exp(-u) + 1 / mpmath.mpf(prec)
            log_gamma = a * u - b * mpmath.exp(u) + a * mpmath.log(b) - mpmath.loggamma(a)
            return mpmath.exp(log_gamma - y**2 / (2 * var)) / mpmath.sqrt(2 * mpmath.pi * var)

        low = float(mpmath.log(a / (b + y**2 / 2)) - 50 / a - 12 / mpmath.sqrt(a))
        high = float(mpmath.log((a + 60 + 12 * mpmath.sqrt(a)) / b))
        pieces = np.linspace(low, high, int(max(30, (high - low) * np.sqrt(shape + 1))))
        exact = mpmath.log(mpmath.quad(integrand, list(pieces), maxdegree=4))
        found = q.log_prob([[x]])[0]
        assert abs(found - exact) < 1e-9 * max(1, abs(exact))


@pytest.mark.parametrize("shape", [0.5, 0.1, 1e-2, 1e-3])
def test_the_predictive_of_a_weak_prior_takes_few_nodes(shape):
    g = BayesianGaussian(NormalGammaPrior(0.0, 1.0, shape, shape))
    assert len(g._nodes(10.0)) < 1000
    with warnings.catch_warnings(action="error"):
        g.log_prob(np.linspace(-9, 9, 7)[:, None])
