"""Factor analysis against its definition, eigenvalues, other libraries, and awkward data."""

import itertools
import tracemalloc
import warnings
from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import multivariate_normal
from sklearn.decomposition import PCA
from sklearn.decomposition import FactorAnalysis as Peer

from lfm import em
from lfm.distributions import LinearGaussian
from lfm.engine.constants import FLOOR
from lfm.engine.moments import Moments
from lfm.factor_analysis import (
    FactorAnalysis,
    FactorStats,
    HeywoodCase,
    _heywood,
    regression,
)

SEEDS = range(3)
each_seed = pytest.mark.parametrize("seed", SEEDS)


def model_of(seed, d=6, k=2, **kwargs):
    rng = np.random.default_rng([seed, d, k])
    noise = np.full(d, 0.8) if kwargs.get("isotropic") else rng.uniform(0.3, 3, d)
    return FactorAnalysis(1.5 * rng.normal(size=(d, k)), 3 * rng.normal(size=d), noise, **kwargs)


def cov_of(model):
    return model.loadings @ model.loadings.T + np.diag(model.noise)


def shifted(model, seed=0):
    """A model near another one, and not at any optimum."""
    rng = np.random.default_rng(seed)
    loadings = model.loadings + 0.4 * rng.normal(size=model.loadings.shape)
    return replace(model, loadings=loadings, mean=model.mean + 0.3, noise=1.7 * model.noise)


def quiet_fit(*args, **kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HeywoodCase)
        return em.fit(*args, **kwargs)


# ------------------------------------------------------------------ the equations


@each_seed
@pytest.mark.equation("factor-analysis")
def test_marginal_is_a_gaussian_with_loadings_and_noise(seed):
    model = model_of(seed)
    x, z = model.sample(200_000, rng=seed)
    expected = multivariate_normal(model.mean, cov_of(model)).logpdf(x[:500])
    np.testing.assert_allclose(model.log_prob(x[:500]), expected, rtol=1e-11)
    np.testing.assert_allclose(np.cov(x.T), cov_of(model), atol=0.05 * cov_of(model).max())
    np.testing.assert_allclose(np.cov(z.T), np.eye(2), atol=0.02)
    noise = x - z @ model.loadings.T - model.mean
    np.testing.assert_allclose(noise.var(axis=0), model.noise, rtol=0.02)


@each_seed
@pytest.mark.equation("factor-posterior")
def test_posterior_is_the_conditional_of_the_joint_gaussian(seed):
    model = model_of(seed)
    x, _ = model.sample(50, rng=seed)
    q = model.infer(x)
    # Of (z, x) ~ N((0, μ), [[I, Wᵀ], [W, C]]), by the rule for conditionals: PRML (2.81), (2.82).
    gain = model.loadings.T @ np.linalg.inv(cov_of(model))
    np.testing.assert_allclose(q.mean(x), (x - model.mean) @ gain.T, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(q.cov, np.eye(2) - gain @ model.loadings, rtol=1e-9, atol=1e-12)
    stats = model.expect(x, q)
    m = q.mean(x)
    np.testing.assert_allclose(stats.zz, 50 * q.cov + m.T @ m, rtol=1e-10)
    entropy = 50 * multivariate_normal(np.zeros(2), q.cov).entropy()
    assert stats.entropy == pytest.approx(entropy, rel=1e-10)


@each_seed
@pytest.mark.equation("factor-learning")
def test_learning_is_the_regression_of_x_on_z(seed):
    truth = model_of(seed)
    x, _ = truth.sample(80, rng=seed)
    model = shifted(truth)
    q = model.infer(x)
    new = model.learn(model.expect(x, q))
    z1 = np.column_stack([q.mean(x), np.ones(80)])
    zz = z1.T @ z1
    zz[:2, :2] += 80 * q.cov
    W = np.linalg.solve(zz, z1.T @ x).T  # [W μ]
    np.testing.assert_allclose(np.column_stack([new.loadings, new.mean]), W, rtol=1e-9)
    spread = np.einsum("dk,kj,dj->d", W[:, :2], q.cov, W[:, :2])
    expected = np.square(x - z1 @ W.T).mean(axis=0) + spread
    np.testing.assert_allclose(new.noise, expected, rtol=1e-9)
    even = replace(model, noise=np.ones(6), isotropic=True)
    np.testing.assert_allclose(even.learn(model.expect(x, q)).noise, expected.mean(), rtol=1e-9)


@each_seed
@pytest.mark.equation("woodbury")
def test_inverse_and_determinant_go_through_the_small_matrix(seed):
    model = model_of(seed, d=9, k=3)
    W, psi, G = model.loadings, model.noise, model.infer(np.zeros((1, 9))).cov
    inverse = np.diag(1 / psi) - (W / psi[:, None]) @ G @ (W / psi[:, None]).T
    np.testing.assert_allclose(inverse @ cov_of(model), np.eye(9), atol=1e-10)
    log_det = np.log(psi).sum() - np.linalg.slogdet(G)[1]
    assert log_det == pytest.approx(np.linalg.slogdet(cov_of(model))[1], rel=1e-11)
    at_mean = model.log_prob(model.mean[None])[0]
    assert at_mean == pytest.approx(-0.5 * (9 * np.log(2 * np.pi) + log_det), rel=1e-11)


@each_seed
@pytest.mark.equation("ppca-optimum")
def test_closed_form_is_the_eigen_solution_and_where_em_ends(seed):
    x, _ = model_of(seed, d=7, k=3).sample(150, rng=seed)
    model = FactorAnalysis.ppca(x, 3)
    lam = np.linalg.eigvalsh(np.cov(x.T, bias=True))[::-1]
    np.testing.assert_allclose(model.noise, lam[3:].sum() / (7 - 3), rtol=1e-10)
    # The covariance of the model has the K largest eigenvalues of the data's, and σ².
    expected = np.append(lam[:3], np.full(4, lam[3:].mean()))
    np.testing.assert_allclose(np.linalg.eigvalsh(cov_of(model))[::-1], expected, rtol=1e-9)
    top = model.log_prob(x).sum()
    start = FactorAnalysis(
        np.random.default_rng(seed).normal(size=(7, 3)), x.mean(0), np.ones(7), isotropic=True
    )
    fit = em.fit(start, x, max_iter=20_000, tol=1e-13)
    assert fit.bounds[-1] == pytest.approx(top, abs=1e-6)
    np.testing.assert_allclose(fit.model.noise, model.noise, rtol=1e-4)
    np.testing.assert_allclose(em.fit(model, x).bounds, top, rtol=1e-12)  # it is a fixed point
    rng = np.random.default_rng(seed)
    for size in (1e-3, 1e-2, 0.1):  # and a maximum
        loadings = model.loadings + size * rng.normal(size=(7, 3))
        noise = model.noise * np.exp(size * rng.normal())
        assert replace(model, loadings=loadings, noise=noise).log_prob(x).sum() < top


@each_seed
@pytest.mark.equation("rotation")
def test_rotated_loadings_have_the_same_likelihood(seed):
    model = model_of(seed, d=6, k=3)
    x, _ = model.sample(100, rng=seed)
    R = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0]
    turned = replace(model, loadings=model.loadings @ R)
    np.testing.assert_allclose(turned.log_prob(x), model.log_prob(x), rtol=1e-10)
    np.testing.assert_allclose(turned.infer(x).mean(x), model.infer(x).mean(x) @ R, atol=1e-10)
    new, new_turned = (m.learn(m.expect(x, m.infer(x))) for m in (model, turned))
    np.testing.assert_allclose(new_turned.loadings, new.loadings @ R, atol=1e-9)
    skewed = replace(model, loadings=model.loadings @ (R + 0.1))
    assert not np.allclose(skewed.log_prob(x), model.log_prob(x), rtol=1e-4)


# ------------------------------------------------------------------ other libraries


@pytest.mark.parametrize(("d", "k", "n"), [(6, 1, 200), (8, 2, 300), (12, 4, 400)])
def test_fit_agrees_with_scikit_learn(d, k, n):
    x, _ = model_of(7, d=d, k=k).sample(n, rng=1)
    fit = em.fit(FactorAnalysis.init(x, k), x, max_iter=20_000, tol=1e-12)
    peer = Peer(k, tol=1e-12, max_iter=20_000, svd_method="lapack").fit(x)
    assert fit.bounds[-1] / n == pytest.approx(peer.score(x), abs=1e-7)
    np.testing.assert_allclose(fit.model.noise, peer.noise_variance_, rtol=1e-2)
    np.testing.assert_allclose(cov_of(fit.model), peer.get_covariance(), atol=1e-2)


def test_ppca_agrees_with_scikit_learn():
    x, _ = model_of(3, d=8, k=3).sample(120, rng=0)
    ours, theirs = FactorAnalysis.ppca(x, 3), PCA(3).fit(x)
    unbiased = 120 / 119  # scikit-learn divides by N - 1
    np.testing.assert_allclose(unbiased * ours.noise, theirs.noise_variance_, rtol=1e-10)
    np.testing.assert_allclose(unbiased * cov_of(ours), theirs.get_covariance(), rtol=1e-9)


def test_fit_is_no_worse_than_a_general_optimiser():
    x, _ = model_of(5, d=5, k=1).sample(100, rng=0)
    fit = em.fit(FactorAnalysis.init(x, 1), x, max_iter=20_000, tol=1e-13)

    def loss(v):
        cov = np.outer(v[:5], v[:5]) + np.diag(np.exp(v[5:]))
        return -multivariate_normal(x.mean(0), cov).logpdf(x).mean()

    start = np.append(fit.model.loadings[:, 0] + 0.1, np.log(fit.model.noise) - 0.1)
    found = minimize(loss, start, method="BFGS", options={"gtol": 1e-8})
    assert fit.bounds[-1] / 100 == pytest.approx(-found.fun, abs=1e-8)


# ------------------------------------------------------------------ read once


def test_a_fit_reads_the_data_once(monkeypatch):
    calls = []
    of = Moments.of.__func__
    monkeypatch.setattr(Moments, "of", classmethod(lambda cls, x: calls.append(1) or of(cls, x)))
    x, _ = model_of(0).sample(200, rng=0)
    fit = em.fit(shifted(model_of(0)), x, max_iter=20, tol=0)
    assert calls == [1]
    assert len(fit.bounds) == 21
    batched = em.fit(shifted(model_of(0)), x, max_iter=20, tol=0, batch_size=64)
    np.testing.assert_allclose(batched.bounds, fit.bounds, rtol=1e-12)


def peak_of(work) -> int:
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_memory_is_the_scatter_and_a_chunk():
    x = np.random.default_rng(0).normal(size=(40_000, 60))
    model = FactorAnalysis.init(x, 3)
    assert peak_of(lambda: em.fit(model, x, max_iter=3)) < 8 * 2**20
    assert peak_of(lambda: model.log_prob(x)) < 8 * 2**20


def test_many_columns_need_no_square_matrix():
    n, d = 20, 4000
    x = np.random.default_rng(0).normal(size=(n, d))
    peak = peak_of(lambda: em.fit(FactorAnalysis.init(x, 2), x, max_iter=5).model.log_prob(x))
    assert peak < 8 * d * d / 10


# ------------------------------------------------------------------ statistics


@each_seed
def test_statistics_about_another_origin_are_those_of_shifted_data(seed):
    model = model_of(seed)
    x, _ = model.sample(60, rng=seed)
    stats = model.expect(x, model.infer(x))
    origin = np.random.default_rng(seed).normal(size=6)
    z, moved = model.infer(x).mean(x), stats.about(origin)
    np.testing.assert_allclose(moved.x, (x - origin).sum(0), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(moved.xx, np.square(x - origin).sum(0), rtol=1e-9)
    np.testing.assert_allclose(moved.xz, (x - origin).T @ z, rtol=1e-9, atol=1e-9)
    expected = np.square(x - z @ model.loadings.T - model.mean).sum(0) + 60 * np.einsum(
        "dk,kj,dj->d", model.loadings, model.infer(x).cov, model.loadings
    )
    np.testing.assert_allclose(stats.squares(model.loadings, model.mean), expected, rtol=1e-10)


def test_statistics_of_different_models_do_not_add():
    a, b = model_of(0, d=6, k=2), model_of(0, d=6, k=3)
    x, _ = a.sample(5, rng=0)
    with pytest.raises(ValueError, match=r"shape \(3,\) and \(2,\) do not add"):
        a.expect(x, a.infer(x)) + b.expect(x, b.infer(x))
    with pytest.raises(TypeError):
        a.expect(x, a.infer(x)) + 1
    parts = [a.expect(batch, a.infer(batch)) for batch in np.split(x, 5)]
    assert sum(parts).n == 5


def test_a_regression_on_known_factors_is_least_squares():
    rng = np.random.default_rng(0)
    z, x = rng.normal(size=(40, 2)) + 1, rng.normal(size=(40, 3)) + 5
    stats = FactorStats.of(x, z, np.zeros((2, 2)), 0.0)
    loadings, mean, residual = regression(stats)
    expected = np.linalg.lstsq(np.column_stack([z, np.ones(40)]), x, rcond=None)
    np.testing.assert_allclose(np.column_stack([loadings, mean]), expected[0].T, rtol=1e-10)
    np.testing.assert_allclose(residual, expected[1], rtol=1e-10)


# ------------------------------------------------------------------ noise towards zero


def heywood_data():
    loadings = np.array([[8.0, 1], [7, 0], [5, 2], [1, 9], [0, 7], [3, 6]])
    noise = np.array([3.0, 4, 20, 3, 4, 5]) ** 2
    return FactorAnalysis(loadings, np.zeros(6), noise).sample(12, rng=1)[0]


def test_a_column_explained_entirely_is_reported_and_the_bound_rises():
    x = heywood_data()
    with pytest.warns(HeywoodCase, match=r"columns \[.*4\] entirely .*fewer factors"):
        fit = em.fit(FactorAnalysis.init(x, 2), x, max_iter=5000, tol=1e-7)
    assert (np.diff(fit.bounds) >= -1e-9 * np.abs(fit.bounds).max()).all()
    assert fit.model.uniqueness().min() < 0.005
    assert np.isfinite(fit.model.log_prob(x)).all()


def test_the_report_is_right_about_the_likelihood():
    """Of a reported column the likelihood rises all the way down, of the others it does not."""
    x = heywood_data()
    fit = quiet_fit(FactorAnalysis.init(x, 2), x, max_iter=5000, tol=1e-7)
    reported = _heywood(fit.model, fit.model.expect(x, fit.q))
    assert reported.any()
    assert not reported.all()
    for d, is_low in enumerate(reported):
        noises = np.tile(fit.model.noise, (12, 1))
        noises[:, d] = np.geomspace(fit.model.noise[d], 2 * FLOOR * x[:, d].var(), 12)
        path = [replace(fit.model, noise=v).log_prob(x).sum() for v in noises]
        assert (np.diff(path) > 0).all() == is_low


def test_no_noise_goes_below_the_floor():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(100, 1))
    x = np.hstack([z, 2 * z, -z]) + 1e-9 * rng.normal(size=(100, 3))  # one factor, no noise at all
    start = FactorAnalysis(np.ones((3, 1)), x.mean(0), x.var(0) * FLOOR)
    fit = quiet_fit(start, x, max_iter=200, tol=0)
    np.testing.assert_allclose(fit.model.noise, FLOOR * x.var(0), rtol=1e-6)
    assert (np.diff(fit.bounds) >= -1e-7 * np.abs(fit.bounds).max()).all()
    flat = FactorAnalysis.ppca(x, 1)
    np.testing.assert_allclose(flat.noise, FLOOR * x.var(0).mean(), rtol=1e-6)


def test_ordinary_data_are_not_reported():
    x, _ = model_of(0, d=8, k=2).sample(500, rng=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        em.fit(FactorAnalysis.init(x, 2), x)


@pytest.mark.parametrize("isotropic", [False, True])
@pytest.mark.parametrize("value", [0.0, 0.1, 1e6])
def test_a_constant_column_has_the_floor_of_the_others(value, isotropic):
    x, _ = model_of(1, d=5, k=1).sample(200, rng=0)
    x[:, 2] = value
    fit = em.fit(FactorAnalysis.init(x, 1, isotropic=isotropic), x, max_iter=200)
    assert np.isfinite(fit.bounds).all()
    assert abs(fit.model.loadings[2, 0]) < 1e-6
    assert fit.model.mean[2] == pytest.approx(value, rel=1e-12)
    if not isotropic:
        others = np.delete(x, 2, axis=1).var(axis=0).mean()
        assert fit.model.noise[2] == pytest.approx(FLOOR * others, rel=1e-6)


@pytest.mark.parametrize("x", [np.ones((5, 3)), np.zeros((1, 4)), np.full((8, 2), 1e8)], ids=str)
@pytest.mark.parametrize("isotropic", [False, True])
def test_data_without_any_variance_have_a_finite_fit(x, isotropic):
    fit = em.fit(FactorAnalysis.init(x, 1, isotropic=isotropic), x)
    assert np.isfinite(fit.bounds).all()
    np.testing.assert_allclose(fit.model.mean, x[0])
    assert (fit.model.noise > 0).all()


# ------------------------------------------------------------------ units, offsets, forms


def test_units_of_the_columns_change_nothing():
    x, _ = model_of(2, d=5, k=2).sample(300, rng=0)
    units = np.array([1e-6, 1.0, 1e5, 3.0, 1e-2])
    a = em.fit(FactorAnalysis.init(x, 2), x, max_iter=30, tol=0)
    b = em.fit(FactorAnalysis.init(x * units, 2), x * units, max_iter=30, tol=0)
    np.testing.assert_allclose(b.model.noise, a.model.noise * units**2, rtol=1e-8)
    np.testing.assert_allclose(
        b.bounds, a.bounds - 300 * np.log(units).sum(), rtol=1e-10
    )  # the density is per unit


@pytest.mark.parametrize("offset", [1e6, -1e8])
def test_an_offset_of_the_data_changes_nothing(offset):
    # In binary fractions, so that the shifted data are exactly these data, shifted.
    x = np.round(model_of(2, d=5, k=2).sample(300, rng=0)[0] * 2**10) / 2**10
    a = em.fit(FactorAnalysis.init(x, 2), x, max_iter=30, tol=0)
    b = em.fit(FactorAnalysis.init(x + offset, 2), x + offset, max_iter=30, tol=0)
    np.testing.assert_allclose(b.bounds, a.bounds, rtol=1e-9)
    np.testing.assert_allclose(b.model.noise, a.model.noise, rtol=1e-6)


FORMS = {
    "float32": lambda x: x.astype(np.float32),
    "uint8": lambda x: x.astype(np.uint8),
    "bool": lambda x: x > 3,
    "Fortran order": np.asfortranarray,
    "strided": lambda x: np.repeat(x, 2, axis=0)[::2],
    "reversed": lambda x: x[::-1][::-1],
    "list": lambda x: x.tolist(),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_the_data_gives_the_result_of_float64(form):
    x = np.random.default_rng(0).poisson(3, size=(200, 5)).astype(float)
    y = FORMS[form](x)
    expected = np.asarray(y).astype(float)
    a, b = (em.fit(FactorAnalysis.init(v, 2), v, max_iter=10, tol=0) for v in (expected, y))
    np.testing.assert_allclose(a.bounds, b.bounds, rtol=1e-12)
    np.testing.assert_allclose(a.model.log_prob(expected), b.model.log_prob(y), rtol=1e-10)


def test_log_prob_keeps_its_digits_where_noise_is_small():
    model = FactorAnalysis([[1e4], [1e4]], [0.0, 0.0], [1e-4, 1e-4])
    x = np.array([[1e4, 1e4], [2.0, 2.01]])
    # Along (1, 1)/√2 the variance is 2e8 + 1e-4, across it 1e-4.
    along, across = x.sum(1) / np.sqrt(2), (x[:, 0] - x[:, 1]) / np.sqrt(2)
    var = 2e8 + 1e-4
    expected = -0.5 * (np.log((2 * np.pi) ** 2 * var * 1e-4) + along**2 / var + across**2 / 1e-4)
    np.testing.assert_allclose(model.log_prob(x), expected, rtol=1e-9)


def test_leaving_out_rows_is_the_marginal():
    model = model_of(4, d=6, k=2)
    x, _ = model.sample(30, rng=0)
    seen = [0, 2]
    part = FactorAnalysis(model.loadings[seen], model.mean[seen], model.noise[seen])
    expected = multivariate_normal(model.mean[seen], cov_of(model)[np.ix_(seen, seen)])
    np.testing.assert_allclose(part.log_prob(x[:, seen]), expected.logpdf(x[:, seen]), rtol=1e-10)


def test_the_posterior_can_be_sampled():
    model = model_of(0)
    x = np.repeat(model.sample(1, rng=0)[0], 50_000, axis=0)
    q = model.infer(x)
    z = q.sample(x, rng=1)
    np.testing.assert_allclose(z.mean(0), q.mean(x[:1])[0], atol=0.02)
    np.testing.assert_allclose(np.cov(z.T), q.cov, atol=0.02)


def test_a_linear_gaussian_is_checked():
    with pytest.raises(ValueError, match=r"cov has shape \(3, 3\); wanted \(2, 2\)"):
        LinearGaussian(np.ones((2, 4)), np.zeros(4), np.eye(3))
    with pytest.raises(ValueError, match="cov is not positive definite"):
        LinearGaussian(np.ones((2, 4)), np.zeros(4), -np.eye(2))
    with pytest.raises(ValueError, match=r"offset has shape \(3,\)"):
        LinearGaussian(np.ones((2, 4)), np.zeros(3), np.eye(2))


def test_steps_run_on_from_a_fit():
    x, _ = model_of(0).sample(100, rng=0)
    fit = em.fit(shifted(model_of(0)), x, max_iter=5, tol=0)
    step = next(itertools.islice(em.steps(fit.model, x), 0, None))
    assert step.bound == fit.bounds[-1]


@pytest.mark.filterwarnings("ignore::lfm.factor_analysis.HeywoodCase")
@pytest.mark.parametrize("isotropic", [True, False])
def test_a_start_below_the_floor_goes_on_from_there(isotropic):
    x = np.random.default_rng(0).normal(size=(300, 1)) @ np.ones((1, 4))
    start = FactorAnalysis(np.ones((4, 1)), np.zeros(4), np.full(4, 1e-8), isotropic)
    assert (em.fit(start, x).model.noise <= 1e-8).all()
    first = em.fit(FactorAnalysis.init(0.01 * x, 1), 0.01 * x).model
    em.fit(first, np.vstack([0.01 * x, x]))  # more data, with another floor


@pytest.mark.filterwarnings("ignore::lfm.factor_analysis.HeywoodCase")
@pytest.mark.parametrize("value", [123.456, 1e8 / 3])
def test_a_constant_column_of_wide_data_counts_as_zeros_do(value):
    x = np.random.default_rng(0).normal(size=(200, 250))
    bounds = []
    for x[:, 3] in (0.0, value):
        fit = em.fit(FactorAnalysis.init(x, 2), x, max_iter=20)
        bounds.append(fit.bounds[-1])
    assert bounds[0] == pytest.approx(bounds[1], rel=1e-6)


@pytest.mark.parametrize("unit", [1e-125, 1e128])
def test_a_heywood_case_is_told_in_any_units(unit):
    z = np.random.default_rng(0).normal(size=(40, 3))
    x = unit * np.column_stack([z, z[:, 0]])
    with pytest.warns(HeywoodCase) as told:
        em.fit(FactorAnalysis.init(x, 2), x)
    assert {t.category for t in told} == {HeywoodCase}
