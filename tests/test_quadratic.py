"""Quadratic scores and their sums: about one origin or one for each component, exact in both."""

from math import log

import mpmath
import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from test_gaussian_mixture import dyadic, iteration, random_mixture, random_rotation, run, symmetric

from lfm import em
from lfm.distributions import Categorical, InverseWishart
from lfm.engine import constants
from lfm.engine.quadratic import OwnOrigins, Quadratic, SharedOrigin, Sums
from lfm.gaussian_mixture import GaussianMixture


def exact_log_prob(model, x):
    """ln p(x_n) in 60 digits, of the parameters as they are stored."""
    with mpmath.workdps(60):
        values = []
        for v in x:
            total = mpmath.mpf(0)
            for w, m, c in zip(model.weights, model.means, model.covs, strict=True):
                c = mpmath.matrix(c.tolist())
                y = mpmath.matrix(v.tolist()) - mpmath.matrix(m.tolist())
                mahalanobis = (y.T * mpmath.lu_solve(c, y))[0]
                norm = mpmath.sqrt(mpmath.det(2 * mpmath.pi * c))
                total += mpmath.mpf(w) * mpmath.exp(-mahalanobis / 2) / norm
            values.append(float(mpmath.log(total)))
        return np.array(values)


@pytest.mark.parametrize("rotated", [False, True])
def test_log_prob_of_ill_conditioned_covariances_is_exact(rotated):
    var = np.array([5e4, 1.0, 1e-5])  # condition number 5e9
    r = random_rotation(0, 3) if rotated else np.eye(3)
    cov = symmetric(r @ np.diag(var) @ r.T)
    model = GaussianMixture([0.3, 0.7], [[0, 0, 0], 50 * r[:, 0]], np.stack([cov, 2 * cov]))
    x, _ = model.sample(30, rng=0)
    # A Cholesky factor is backward stable: it loses what the condition number says, no more.
    tol = 1e-12 if not rotated else 5e9 * np.finfo(float).eps
    np.testing.assert_allclose(model.log_prob(x), exact_log_prob(model, x), rtol=0, atol=9 * tol)


@pytest.mark.parametrize("offset", [0.0, 1e6, 1e8])
def test_log_prob_at_an_offset_is_exact(offset):
    plain = random_mixture(0)
    means = np.round(plain.means * 1024) / 1024 + offset
    model = GaussianMixture(plain.weights, means, plain.covs)
    x, _ = model.sample(30, rng=0)
    np.testing.assert_allclose(
        model.log_prob(x), exact_log_prob(model, x), rtol=1e-12, atol=1e-7 if offset else 1e-13
    )


def test_shared_and_own_origins_agree(monkeypatch):
    model = random_mixture(0, k=4, d=3)
    x, _ = model.sample(3000, rng=0)
    x = np.concatenate([x] * 6)  # more than one chunk
    q = Categorical(np.random.default_rng(0).dirichlet(np.ones(4), size=len(x)))
    results = {}
    for name, limit in {"SharedOrigin": np.inf, "OwnOrigins": 0.0}.items():
        monkeypatch.setattr(constants, "SHARED_LIMIT", limit)
        assert type(model._joint.basis(x)).__name__ == name
        stats, given = model.infer_and_expect(x), model.expect(x, q)
        new, bounds = run(model, x, 4)
        results[name] = (
            [model.log_prob(x), model.infer(x).probs, stats.entropy, stats.r, given.r, bounds]
            + [s.scatter(model.means) for s in (stats, given)]
            + [new.weights, new.means, new.covs]
        )
    for a, b in zip(*results.values(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-13)


def far_clusters(distance, sd=1.0, n=100, thin=0.01):
    """Three clusters of n data, `distance` times sd apart, with one thin direction."""
    rng = np.random.default_rng(0)
    y = sd * rng.normal(size=(3, n, 2)) * [1.0, thin] @ random_rotation(1, 2).T
    return y + sd * distance * np.array([[0.0, 0.0], [1.0, 0.3], [-0.2, 1.0]])[:, None, :]


def test_clusters_far_apart_keep_their_moments():
    x = far_clusters(1e4)
    covs = np.array([np.cov(v.T, bias=True) for v in x])
    model = GaussianMixture(np.full(3, 1 / 3), x.mean(axis=1), covs)
    fit, bounds = run(model, np.concatenate(x), 5)
    np.testing.assert_allclose(fit.covs, covs, rtol=1e-9, atol=0)
    np.testing.assert_allclose(fit.means, x.mean(axis=1), rtol=1e-12)
    parts = zip(x, covs, strict=True)
    naive = sum(
        multivariate_normal(v.mean(axis=0), c).logpdf(v).sum() - len(v) * log(3) for v, c in parts
    )
    assert bounds[-1] == pytest.approx(naive, rel=1e-9)


@pytest.mark.parametrize("distance", [1e2, 1e4, 1e6])
def test_a_start_much_wider_than_its_clusters_shrinks_to_them(distance):
    """In one step a variance falls by distance²: sums about a far origin would cancel."""
    x = far_clusters(distance)
    covs = np.array([np.cov(v.T, bias=True) for v in x])
    wide = np.tile(distance**2 / 20 * np.eye(2), (3, 1, 1))
    start = GaussianMixture(np.full(3, 1 / 3), x.mean(axis=1), wide)
    fit = em.fit(start, np.concatenate(x), max_iter=20, tol=0).model
    np.testing.assert_allclose(fit.covs, covs, rtol=1e-8, atol=0)


def test_learning_from_a_given_q_is_exact_for_a_tight_cluster():
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(size=(50, 2)), 5 + 1e-5 * rng.normal(size=(50, 2))])
    model = GaussianMixture([0.5, 0.5], [[0.0, 0.0], [1.0, 1.0]], [np.eye(2)] * 2)
    new = model.learn(model.expect(x, Categorical(np.repeat(np.eye(2), 50, axis=0))))
    np.testing.assert_allclose(new.covs[1], np.cov(x[50:].T, bias=True), rtol=1e-7)


@pytest.mark.parametrize("offset", [1e2, 1e4, 1e6, 1e8])
def test_a_start_far_from_the_data_learns_their_moments(offset):
    """Given parameters need not be near the data; one component then needs one step."""
    x = dyadic(0) + offset
    model = GaussianMixture([1.0], np.zeros((1, 2)), np.eye(2)[None])
    new = iteration(model, x)
    expected = np.cov((x - offset).T, bias=True)
    np.testing.assert_allclose(new.covs[0], expected, rtol=1e-9 + 32 * 2.2e-16 * offset)
    assert np.isfinite(em.fit(model, x, max_iter=5).bounds).all()


def test_more_columns_than_a_shared_expansion_holds():
    d = constants.SHARED_COLUMNS + 2
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, d)) + 3 * rng.integers(2, size=(300, 1))
    model = GaussianMixture.init(x, 2, rng=0, prior=InverseWishart.from_data(x, 2))
    assert type(model._joint.basis(x)).__name__ == "OwnOrigins"
    table = [
        log(w) + multivariate_normal(m, c).logpdf(x)
        for w, m, c in zip(model.weights, model.means, model.covs, strict=True)
    ]
    np.testing.assert_allclose(model.log_prob(x), np.logaddexp.reduce(table), rtol=1e-10)
    _, bounds = run(model, x, 5)
    assert bounds[-1] > bounds[0]


# ------------------------------------------------------------------ scores and sums by hand


def example(k=3, d=4, seed=0, far=0.0):
    rng = np.random.default_rng(seed)
    a = rng.normal(size=(k, d, d))
    covs = a @ a.mT / d + 0.5 * np.eye(d)
    means = 2 * rng.normal(size=(k, d)) + far
    scores = Quadratic(rng.normal(size=k), means, np.linalg.cholesky(covs))
    return scores, covs, 3 * rng.normal(size=(1000, d)) + far


def by_hand(scores, covs, x):
    """Return the scores (N, K) as they are defined."""
    table = [
        a - 0.5 * np.einsum("nd,de,ne->n", x - m, np.linalg.inv(c), x - m)
        for a, m, c in zip(scores.consts, scores.means, covs, strict=True)
    ]
    return np.array(table).T


def both_ways(scores, x):
    yield SharedOrigin(scores, x[:100].mean(axis=0))
    yield OwnOrigins(scores)


@pytest.mark.parametrize("d", [1, 4, 7])
def test_scores_and_sums_are_those_of_their_definition(d, monkeypatch):
    monkeypatch.setattr(constants, "CACHE_BYTES", 100_000)  # several chunks
    monkeypatch.setattr(constants, "CHUNK_BYTES", 20_000)
    scores, covs, x = example(d=d)
    expected = by_hand(scores, covs, x)
    np.testing.assert_allclose(scores.precs, np.linalg.inv(covs), rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(scores.of(x), expected, rtol=1e-8, atol=1e-8)
    mass = scores.over(x, lambda s, axis: logsumexp(s, axis=axis))
    np.testing.assert_allclose(mass, logsumexp(expected, axis=1), rtol=1e-8, atol=1e-8)
    r = np.exp(expected - logsumexp(expected, axis=1)[:, None])
    for basis in both_ways(scores, x):
        assert 64 <= basis.size < len(x)
        sums = scores._pass(basis, x)
        y = x[:, None] - sums.origin
        assert sums.entropy == pytest.approx(-(r * np.log(r + 1e-300)).sum(), rel=1e-8)
        np.testing.assert_allclose(sums.r, r.sum(axis=0), rtol=1e-9)
        np.testing.assert_allclose(sums.rx, np.einsum("nk,nkd->kd", r, y), rtol=1e-7, atol=1e-7)
        rxx = np.einsum("nk,nkd,nke->kde", r, y, y)
        np.testing.assert_allclose(sums.rxx, rxx, rtol=1e-7, atol=1e-7)
        np.testing.assert_array_equal(sums.rxx, sums.rxx.mT)
        offsets = sums.rx / sums.r[:, None]
        np.testing.assert_allclose(sums.offsets(), offsets, rtol=1e-12)


@pytest.mark.parametrize("d", [3, 30, 31])  # T(y) with fewer and with more than 512 rows
def test_both_ways_round_a_product_are_the_same(d):
    scores, _, x = example(d=d)
    basis = SharedOrigin(scores, x.mean(axis=0))
    t, r = basis.expand(x[:70]), np.random.default_rng(0).random((3, 70))
    assert (len(t) < 512) == (d < 31)
    basis.add(r, t)
    basis.add(r, t)
    np.testing.assert_allclose(basis.total, 2 * r @ t.T, rtol=1e-12, atol=1e-12)


def test_an_expansion_is_one_the_columns_and_their_products():
    scores, _, x = example(d=3)
    center = np.array([1.0, -2.0, 0.5])
    basis = SharedOrigin(scores, center)
    t, y = basis.expand(x[:5]), (x[:5] - center).T
    assert basis.size == max(64, constants.CACHE_BYTES // (8 * (10 + 4 * 3 + 3)))
    pairs = [y[i] * y[j] for i in range(3) for j in range(i, 3)]
    np.testing.assert_allclose(t, np.vstack([np.ones(5), y, *pairs]), rtol=1e-13)
    own = OwnOrigins(scores)
    assert own.size == max(64, constants.CHUNK_BYTES // (8 * (4 * 3 + 3 * 3)))
    assert own.expand(x[:5].astype(np.float32)).dtype == float
    assert own.expand(x[:5]).shape == (3, 5)


@pytest.mark.parametrize("correlation", [0.5, 1e-10, 6e-19])
@pytest.mark.parametrize("units", [(1e-10, 1e5), (1e5, 1e-10), (8.5e-21, 0.06)])
def test_precisions_are_as_exact_in_any_units(units, correlation):
    chol = np.array([[1.0, 0.0], [correlation, np.sqrt(1 - correlation**2)]])
    scores = Quadratic(np.zeros(1), np.zeros((1, 2)), (chol * np.array(units)[:, None])[None])
    expected = np.array([[1.0, -correlation], [-correlation, 1.0]]) / (1 - correlation**2)
    np.testing.assert_allclose(scores.precs[0] * np.outer(units, units), expected, rtol=1e-12)


def test_the_size_of_the_terms_does_not_depend_on_units():
    cov = np.array([[2.0, 0.6], [0.6, 1.0]])
    scores = Quadratic(np.zeros(1), np.array([[3.0, -1.0]]), np.linalg.cholesky(cov)[None])
    center = np.array([1.0, 1.0])
    extent = np.sqrt([2.0 + 4.0, 1.0 + 4.0])
    expected = extent @ np.abs(np.linalg.inv(cov)) @ extent
    assert scores.kappa(center) == pytest.approx(expected, rel=1e-12)
    units = np.array([1e-5, 1e4])
    other = Quadratic(np.zeros(1), scores.means * units, scores.chols * units[:, None])
    assert other.kappa(center * units) == pytest.approx(expected, rel=1e-9)
    two = Quadratic(  # the largest of all components counts
        np.zeros(2), np.array([[3.0, -1.0], [1.0, 1.0]]), np.stack([scores.chols[0], np.eye(2)])
    )
    assert two.kappa(center) == pytest.approx(max(expected, extent @ extent), rel=1e-12)


def test_the_fast_way_is_taken_where_it_is_accurate(monkeypatch):
    scores, _, x = example()
    assert isinstance(scores.basis(x), SharedOrigin)
    np.testing.assert_allclose(scores.basis(x).center[:, 0], x.mean(axis=0), rtol=1e-12)
    kappa = scores.kappa(x.mean(axis=0))
    for limit, kind in ((1.01 * kappa, SharedOrigin), (0.99 * kappa, OwnOrigins)):
        monkeypatch.setattr(constants, "SHARED_LIMIT", limit)
        assert type(scores.basis(x)) is kind
    monkeypatch.undo()
    for limit, kind in ((4, SharedOrigin), (3, OwnOrigins)):
        monkeypatch.setattr(constants, "SHARED_COLUMNS", limit)
        assert type(scores.basis(x)) is kind


def sums_of(offset, var=1.0, n=10.0):
    """Return the sums of one component of n data with this offset from its origin."""
    offset = np.array([offset, 0.0])
    cov = np.diag([var, 1.0])
    rxx = n * (cov + np.outer(offset, offset))
    return Sums(0.0, np.zeros((1, 2)), np.array([n]), n * offset[None], rxx[None])


def test_an_origin_far_off_for_the_size_of_its_component_is_told():
    limit = np.sqrt(constants.CANCEL_LIMIT)
    assert not sums_of(0.99 * limit).cancels()
    assert sums_of(1.01 * limit).cancels()
    assert sums_of(1.01 * limit, n=1e6).cancels()
    assert sums_of(-1.01 * limit).cancels()
    assert not sums_of(1.01 * limit, var=4.0).cancels()
    assert sums_of(1.0, var=-0.1).cancels()  # no covariance any more
    assert not sums_of(1.0, var=-0.1).cancels(scatter=10 * 0.2)
    few = sums_of(1.01 * limit)
    assert not few.cancels(scatter=10 * 3 * np.eye(2))  # a prior's
    nobody = Sums(0.0, np.zeros((1, 2)), np.zeros(1), np.zeros((1, 2)), np.zeros((1, 2, 2)))
    assert not nobody.cancels()
    np.testing.assert_array_equal(nobody.offsets(), 0)


def test_sums_are_taken_again_where_the_origin_was_far_off():
    x = 1e5 + np.random.default_rng(0).normal(size=(500, 2))
    scores = Quadratic(np.zeros(1), np.zeros((1, 2)), 1e5 * np.eye(2)[None])
    sums = scores.posterior_sums(x)
    np.testing.assert_allclose(sums.origin[0], x.mean(axis=0), rtol=1e-9)
    cov = sums.rxx[0] / 500 - np.outer(sums.offsets()[0], sums.offsets()[0])
    np.testing.assert_allclose(cov, np.cov(x.T, bias=True), rtol=1e-8)
    x[7, 1] = np.inf
    with pytest.raises(ValueError, match=r"x has 1 values that are not finite.*\[7, 1\]"):
        scores.posterior_sums(x)
