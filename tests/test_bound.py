"""The bound of any discrete model, against sums written out one term at a time."""

from math import exp, inf, log

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from lfm import bound

each_seed = pytest.mark.parametrize("seed", range(5))


def random_table(seed, n=6, k=4):
    """ln p(x, z) for n data, and some q: both far from uniform."""
    rng = np.random.default_rng(seed)
    return 3 * rng.normal(size=(n, k)) - 2, rng.dirichlet(np.full(k, 0.7), size=n)


def naive_bound(q, log_joint):
    return sum(p * (a - log(p)) for p, a in zip(q, log_joint, strict=True) if p > 0)


def naive_kl(q, p):
    return sum(a * log(a / b) for a, b in zip(q, p, strict=True) if a > 0)


def naive_posterior(log_joint):
    joint = [exp(a) for a in log_joint]
    return [p / sum(joint) for p in joint]


def bells(x, theta):
    """ln p(x, z | θ) of two bells, one at 0 and one at θ: (..., 2)."""
    x, theta = np.broadcast_arrays(x, theta)
    squares = np.stack([x**2, (x - theta) ** 2], axis=-1)
    return log(0.5) - 0.5 * np.log(2 * np.pi) - 0.5 * squares


@pytest.mark.equation("objective")
def test_objective_is_the_log_of_the_sum_over_z_and_has_the_same_maximiser():
    x = np.array([-0.3, 0.4, 2.1, 2.9])
    grid = np.linspace(-1, 5, 601)
    ours = bound.log_marginal(bells(x, grid[:, None])).sum(axis=1)

    def density(v, m):
        return exp(-((v - m) ** 2) / 2) / (2 * np.pi) ** 0.5

    naive = [sum(log(0.5 * density(v, 0) + 0.5 * density(v, t)) for v in x) for t in grid]
    np.testing.assert_allclose(ours, naive, rtol=1e-12)
    assert grid[ours.argmax()] == grid[np.argmax(naive)]
    assert 0 < ours.argmax() < 600


@each_seed
@pytest.mark.equation("jensen")
def test_bound_is_the_naive_sum_and_below_the_log_marginal(seed):
    table, q = random_table(seed)
    ours, log_marginal = bound.lower_bound(q, table), bound.log_marginal(table)
    naive = [naive_bound(*row) for row in zip(q, table, strict=True)]
    np.testing.assert_allclose(ours, naive, rtol=1e-12)
    # ln Σ q (p / q): the left side of the inequality, as it stands
    left = [
        log(sum(a * (exp(b) / a) for a, b in zip(*r, strict=True)))
        for r in zip(q, table, strict=True)
    ]
    np.testing.assert_allclose(log_marginal, left, rtol=1e-12)
    assert (ours < log_marginal - 1e-3).all()


@each_seed
@pytest.mark.equation("tangent")
def test_log_lies_below_each_tangent_and_the_mean_drop_is_what_the_bound_loses(seed):
    w, m = np.exp(np.random.default_rng(seed).normal(0.0, 3.0, size=(2, 200)))
    drop = np.log(m) + (w - m) / m - np.log(w)
    assert (drop[abs(w / m - 1) > 1e-3] > 0).all()
    assert np.log(m) + (m - m) / m == pytest.approx(np.log(m))
    table, q = random_table(seed)
    w, m = (
        np.exp(table) / q,
        np.exp(bound.log_marginal(table))[:, None],
    )  # m is the mean of w under q
    drops = np.log(m) + (w - m) / m - np.log(w)
    lost = bound.log_marginal(table) - bound.lower_bound(q, table)
    np.testing.assert_allclose((q * drops).sum(axis=1), lost, rtol=1e-9)


@each_seed
@pytest.mark.equation("divergence")
def test_kl_is_not_negative_zero_only_for_equals_and_not_symmetric(seed):
    table, q = random_table(seed)
    p = bound.posterior(table)
    ours = bound.kl(q, p)
    np.testing.assert_allclose(ours, [naive_kl(*r) for r in zip(q, p, strict=True)], rtol=1e-12)
    assert (ours > 0).all()
    assert (bound.kl(q, q) == 0).all()
    assert (abs(ours - bound.kl(p, q)) > 1e-6).all()


def test_kl_is_infinite_where_q_allows_what_p_forbids_and_finite_the_other_way():
    assert bound.kl([0.5, 0.5], [1.0, 0.0]) == inf
    assert bound.kl([1.0, 0.0], [0.5, 0.5]) == pytest.approx(log(2))
    assert bound.lower_bound([0.5, 0.5], [0.0, -inf]) == -inf
    assert bound.lower_bound([1.0, 0.0], [-1.0, -inf]) == -1.0


@each_seed
@pytest.mark.equation("decomposition")
def test_bound_and_divergence_add_up_to_the_log_marginal(seed):
    table, q = random_table(seed)
    d = bound.decompose(q, table)
    for i, (row, q_row) in enumerate(zip(table, q, strict=True)):
        assert d.log_marginal[i] == pytest.approx(log(sum(exp(a) for a in row)), rel=1e-12)
        assert d.bound[i] == pytest.approx(naive_bound(q_row, row), rel=1e-12)
        assert d.divergence[i] == pytest.approx(naive_kl(q_row, naive_posterior(row)), rel=1e-9)
    np.testing.assert_allclose(d.bound + d.divergence, d.log_marginal, rtol=1e-12)


@each_seed
@pytest.mark.equation("tight")
def test_bound_touches_the_log_marginal_at_the_posterior(seed):
    table, _ = random_table(seed)
    q = bound.posterior(table)
    np.testing.assert_allclose(q, [naive_posterior(row) for row in table], rtol=1e-12)
    np.testing.assert_allclose(bound.lower_bound(q, table), bound.log_marginal(table), rtol=1e-12)


@each_seed
@pytest.mark.equation("old-posterior")
def test_bound_at_the_old_posterior_is_expectation_plus_a_constant(seed):
    x, old, new = np.random.default_rng(seed).normal(1.0, 2.0, size=3)
    q = bound.posterior(bells(x, old))
    naive_q = naive_posterior(bells(x, old))
    entropy = -sum(p * log(p) for p in naive_q)
    assert bound.entropy(q) == pytest.approx(entropy, rel=1e-12)
    for theta in (old, new):
        expected = sum(p * a for p, a in zip(naive_q, bells(x, theta), strict=True))
        assert bound.expected_log_joint(q, bells(x, theta)) == pytest.approx(expected, rel=1e-12)
        ours = bound.lower_bound(q, bells(x, theta))
        assert ours == pytest.approx(expected + entropy, rel=1e-12)


@each_seed
@pytest.mark.equation("inference-step")
def test_posterior_is_what_an_optimiser_finds_for_q(seed):
    table, _ = random_table(seed, n=1)

    def negative_bound(logits):
        return -naive_bound(naive_posterior(logits), table[0])

    found = minimize(negative_bound, np.zeros(4), method="BFGS", options={"gtol": 1e-6}).x
    q = bound.posterior(table[0])
    np.testing.assert_allclose(naive_posterior(found), q, rtol=0, atol=1e-4)
    # Its value there is Q(θ, θ_old) and the entropy.
    value = bound.expected_log_joint(q, table[0]) + bound.entropy(q)
    assert value == pytest.approx(-negative_bound(found), abs=1e-8)


@each_seed
@pytest.mark.equation("fisher")
def test_gradient_at_the_posterior_is_the_slope_of_the_log_marginal(seed):
    x, theta = np.random.default_rng(seed).normal(1.0, 2.0, size=2)
    q = bound.posterior(bells(x, theta))
    ours = bound.gradient(q, np.array([0.0, x - theta]))
    h = 1e-5
    slope = (bound.log_marginal(bells(x, theta + h)) - bound.log_marginal(bells(x, theta - h))) / (
        2 * h
    )
    assert ours == pytest.approx(slope, abs=1e-8)
    other = bound.gradient([0.5, 0.5], np.array([0.0, x - theta]))
    assert abs(other - slope) > 1e-4  # with another q it is not


@pytest.mark.parametrize("shift", [-1e5, -800.0, 800.0, 1e5])
def test_nothing_underflows_or_overflows(shift):
    table, q = random_table(0)
    np.testing.assert_allclose(
        bound.log_marginal(table + shift) - shift, bound.log_marginal(table), atol=1e-10
    )
    np.testing.assert_allclose(bound.posterior(table + shift), bound.posterior(table), atol=1e-10)
    assert np.isfinite(bound.decompose(q, table + shift)).all()


def test_leading_dimensions_are_kept():
    table, q = np.zeros((2, 3, 4)), np.full((2, 3, 4), 0.25)
    for value in (*bound.decompose(q, table), bound.entropy(q), bound.gradient(q, table)):
        assert value.shape == (2, 3)


def random_gaussian(seed, d):
    rng = np.random.default_rng(seed)
    a = rng.normal(size=(d, d))
    return rng.normal(size=d), a @ a.T + 0.3 * np.eye(d)


@pytest.mark.equation("gaussian-kl")
@pytest.mark.parametrize("d", [1, 2, 7])
@each_seed
def test_gaussian_kl_agrees_with_torch(seed, d):
    one, two = random_gaussian(seed, d), random_gaussian(seed + 100, d)
    p, q = (
        torch.distributions.MultivariateNormal(*map(torch.tensor, gaussian))
        for gaussian in (one, two)
    )
    ours = bound.gaussian_kl(*one, *two)
    assert isinstance(ours, float)
    assert ours == pytest.approx(torch.distributions.kl_divergence(p, q).item(), rel=1e-11)
    assert abs(ours - bound.gaussian_kl(*two, *one)) > 1e-3
    assert bound.gaussian_kl(*one, *one) == pytest.approx(0, abs=1e-13 * d)


def test_gaussian_kl_agrees_with_monte_carlo():
    (m1, c1), (m2, c2) = random_gaussian(1, 3), random_gaussian(2, 3)
    z = np.random.default_rng(0).multivariate_normal(m1, c1, size=50_000)

    def log_normal(m, c):
        mahalanobis = np.einsum("nd,de,ne->n", z - m, np.linalg.inv(c), z - m)
        return -0.5 * (mahalanobis + np.linalg.slogdet(2 * np.pi * c)[1])

    terms = log_normal(m1, c1) - log_normal(m2, c2)
    error = terms.std() / np.sqrt(len(terms))
    assert abs(bound.gaussian_kl(m1, c1, m2, c2) - terms.mean()) < 4 * error
