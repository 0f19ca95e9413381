"""The q's and priors of the closed-form chapters, against scipy and against numerical maxima."""

from math import log

import numpy as np
import pytest
from scipy import stats as scipy_stats
from scipy.optimize import minimize

from lfm.distributions import Bernoulli, Categorical, InverseWishart


def random_covariance(seed, d):
    a = np.random.default_rng(seed).normal(size=(d, d))
    return a @ a.T + 0.2 * np.eye(d)


def test_categorical_entropy_and_mode():
    q = Categorical([[0.5, 0.25, 0.25], [0.0, 1.0, 0.0]])
    np.testing.assert_allclose(q.entropy(), [1.5 * log(2), 0.0], rtol=1e-14)
    np.testing.assert_array_equal(q.mode(), [0, 1])


def test_categorical_samples_have_their_frequencies():
    p = np.array([0.1, 0.0, 0.6, 0.3])
    z = Categorical(np.tile(p, (40_000, 1))).sample(rng=0)
    counts = np.bincount(z, minlength=4)
    assert counts[1] == 0
    chi2 = ((counts - 40_000 * p)[p > 0] ** 2 / (40_000 * p[p > 0])).sum()
    low, high = scipy_stats.chi2(2).ppf([1e-4, 1 - 1e-4])
    assert low < chi2 < high


def test_categorical_sample_never_leaves_the_range_where_probs_sum_to_less_than_one():
    class AlmostOne(np.random.Generator):
        def random(self, size=None):
            return np.full(size, np.nextafter(1, 0))

    p = np.full((1, 3), (1 - 5e-9) / 3)
    assert Categorical(p).sample(rng=AlmostOne(np.random.PCG64()))[0] == 2


def test_categorical_keeps_its_own_read_only_copy():
    p = np.array([[0.5, 0.5]])
    q = Categorical(p)
    p[:] = 0
    np.testing.assert_array_equal(q.probs, [[0.5, 0.5]])
    with pytest.raises(ValueError, match="read-only"):
        q.probs[0] = 0


def test_bernoulli_against_scipy():
    p = np.random.default_rng(0).uniform(size=(50, 4))
    p[0], p[1] = 0.0, 1.0
    q = Bernoulli(p)
    np.testing.assert_allclose(q.entropy(), scipy_stats.bernoulli(p).entropy().sum(axis=1))
    np.testing.assert_array_equal(q.entropy()[:2], 0)
    np.testing.assert_allclose(q.total_cov(), np.diag(scipy_stats.bernoulli(p).var().sum(axis=0)))
    np.testing.assert_array_equal(q.mode(), p > 0.5)


def test_bernoulli_entropy_does_not_depend_on_chunks():
    p = np.random.default_rng(0).uniform(size=(120_001, 1))
    expected = -p[:, 0] * np.log(p[:, 0]) - (1 - p[:, 0]) * np.log(1 - p[:, 0])
    np.testing.assert_allclose(Bernoulli(p).entropy(), expected, rtol=1e-12)


def test_bernoulli_samples_are_independent_switches():
    p = np.array([0.1, 0.0, 0.6, 1.0])
    z = Bernoulli(np.tile(p, (40_000, 1))).sample(rng=0)
    assert set(np.unique(z)) == {0.0, 1.0}
    np.testing.assert_array_equal(z[:, [1, 3]], np.tile([0, 1], (40_000, 1)))
    assert (np.abs(z.mean(axis=0) - p) <= 4 * np.sqrt(p * (1 - p) / 40_000)).all()
    assert abs(np.cov(z[:, 0], z[:, 2])[0, 1]) < 4 * np.sqrt(0.09 * 0.24 / 40_000)


@pytest.mark.parametrize("d", [1, 2, 5])
@pytest.mark.parametrize("extra", [0.5, 1.0, 2.0, 30.0])
def test_inverse_wishart_density_agrees_with_scipy(d, extra):
    scale, cov = random_covariance(1, d), random_covariance(2, d)
    ours = InverseWishart(dof=d - 1 + extra, scale=scale)
    if d - 1 + extra < d:  # scipy asks for at least D degrees of freedom; ours for D - 1
        assert np.isfinite(ours.log_prob(cov))
        return
    theirs = scipy_stats.invwishart(df=d - 1 + extra, scale=scale).logpdf(cov)
    assert ours.log_prob(cov) == pytest.approx(theirs, rel=1e-12)


def test_inverse_wishart_in_one_dimension_is_the_inverse_gamma():
    prior = InverseWishart(dof=0.5, scale=[[3.0]])
    theirs = scipy_stats.invgamma(a=0.25, scale=1.5).logpdf(0.7)
    assert prior.log_prob([[0.7]]) == pytest.approx(theirs, rel=1e-12)


@pytest.mark.parametrize("n", [0.0, 3.7, 100.0])
def test_update_is_the_mode_of_the_posterior(n):
    """An optimiser that knows only the prior's density and the likelihood finds the same Σ."""
    d, prior = 2, InverseWishart(dof=4.5, scale=random_covariance(1, 2))
    scatter = n * random_covariance(2, 2)

    def factor(v):
        return np.array([[np.exp(v[0]), 0], [v[1], np.exp(v[2])]])

    def negative(v):
        cov = factor(v) @ factor(v).T
        likelihood = -0.5 * n * np.linalg.slogdet(2 * np.pi * cov)[1]
        likelihood -= 0.5 * np.trace(np.linalg.solve(cov, scatter))
        return -(likelihood + scipy_stats.invwishart(df=4.5, scale=prior.scale).logpdf(cov))

    found = minimize(negative, np.zeros(3), method="BFGS", options={"gtol": 1e-5}).x
    ours = prior.update(scatter, n)
    assert ours.shape == (d, d)
    np.testing.assert_allclose(factor(found) @ factor(found).T, ours, rtol=1e-4)


def test_update_takes_a_stack():
    prior = InverseWishart(dof=4.5, scale=random_covariance(1, 2))
    scatters, n = np.stack([random_covariance(2, 2), random_covariance(3, 2)]), np.array([2.0, 9.0])
    stacked = prior.update(scatters, n)
    for k in range(2):
        np.testing.assert_allclose(stacked[k], prior.update(scatters[k], n[k]))


def test_prior_from_data_follows_the_units_and_shares_the_volume():
    x = np.random.default_rng(0).normal(size=(100, 3)) @ random_covariance(1, 3)
    prior = InverseWishart.from_data(x, 8)
    assert prior.dof == 5
    np.testing.assert_allclose(prior.scale, np.diag(x.var(axis=0)) / 4, rtol=1e-12)
    units = np.array([1e-9, 1.0, 1e9])
    scaled = InverseWishart.from_data(x * units + 7 * units, 8)
    np.testing.assert_allclose(scaled.scale, prior.scale * np.outer(units, units), rtol=1e-9)


@pytest.mark.parametrize("value", [0.0, 0.1, -3.3e8, 1e-30])
@pytest.mark.parametrize("n", [1, 2, 7, 1000, 100_000])
def test_a_constant_column_takes_the_variance_of_the_others(n, value):
    """The variance of many equal numbers is not exactly zero: their mean is rounded."""
    x = np.column_stack([np.full(n, value), np.random.default_rng(0).normal(size=n)])
    expected = x[:, 1].var() if n > 1 else 1.0
    np.testing.assert_allclose(
        InverseWishart.from_data(x).scale, np.diag([expected, expected]), rtol=1e-12
    )


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.bool_])
def test_small_integers_do_not_wrap_around(dtype):
    info = (0, 1) if dtype is np.bool_ else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    x = np.array([[info[0], 0], [info[1], 1], [info[0], 1]], dtype=dtype)
    expected = InverseWishart.from_data(x.astype(float), 2).scale
    np.testing.assert_allclose(InverseWishart.from_data(x, 2).scale, expected, rtol=1e-12)


@pytest.mark.parametrize("correlation", [0.5, 1e-10, 1e-17, 6e-19])
@pytest.mark.parametrize("units", [(1e-12, 1e12), (1e12, 1e-12), (8.5e-21, 0.06)])
def test_density_of_a_covariance_is_as_exact_in_any_units(units, correlation):
    units = np.array(units)
    cov, psi = np.array([[1.0, correlation], [correlation, 1.0]]), np.diag([2.0, 0.7])
    expected = InverseWishart(4.0, psi).log_prob(cov)
    outer = np.outer(units, units)
    found = InverseWishart(4.0, psi * outer).log_prob(np.stack([cov * outer] * 2))
    # |units|^-(D + 1): the density of Σ in other units
    np.testing.assert_allclose(found, expected - 3 * np.log(units).sum(), rtol=1e-11)
