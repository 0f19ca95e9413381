"""The faster way up of factor analysis: it never falls, and ends where EM ends."""

import warnings
from dataclasses import replace

import numpy as np
import pytest

from lfm import em
from lfm.engine.moments import Moments
from lfm.factor_analysis import FactorAnalysis, HeywoodCase
from lfm.gaussian_mixture import GaussianMixture
from lfm.scale import acceleration
from lfm.scale.acceleration import expanded, profiled

SHAPES = {"more data": (300, 12, 3), "fewer data": (24, 60, 3)}
each_shape = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
each_seed = pytest.mark.parametrize("seed", range(3))


def problem(shape, seed=0, more=2):
    """Data of `more` factors than are fitted, and a start that is no optimum."""
    n, d, k = shape
    rng = np.random.default_rng([seed, d])
    truth = FactorAnalysis(
        rng.normal(size=(d, k + more)), rng.normal(size=d), rng.uniform(0.5, 2, d)
    )
    x = truth.sample(n, rng=rng)[0]
    start = FactorAnalysis(rng.normal(size=(d, k)), rng.normal(size=d), rng.uniform(0.5, 3, d))
    return x, start


def quiet(fit, *args, **kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HeywoodCase)
        return fit(*args, **kwargs)


def assert_never_falls(bounds):
    assert (np.diff(bounds) >= -1e-11 * np.abs(bounds).max()).all()


# ------------------------------------------------------------------ where it ends


@each_shape
@each_seed
@pytest.mark.equation("ascent")
def test_it_never_falls_and_ends_where_em_ends(shape, seed):
    x, _ = problem(shape, seed, more=0)
    start = FactorAnalysis.init(x, shape[2])
    plain = quiet(em.fit, start, x, max_iter=3000, tol=1e-8)
    fast = quiet(acceleration.fit, start, x, tol=1e-8)
    assert fast.converged
    assert_never_falls(fast.bounds)
    assert fast.bounds[-1] == pytest.approx(fast.model.log_prob(x).sum(), rel=1e-10)
    # Fewer data may leave several maxima, of which the two ways need not find the same one; in
    # these draws EM never finds the higher one.
    rise = (fast.bounds[-1] - plain.bounds[-1]) / len(x)
    assert rise > -1e-5
    if shape == SHAPES["more data"]:
        assert rise < 1e-4  # EM stops a little early
        assert len(fast.bounds) < len(plain.bounds) / 2


@each_shape
@each_seed
def test_it_climbs_from_any_start(shape, seed):
    x, start = problem(shape, seed)
    fast = quiet(acceleration.fit, start, x, max_iter=60, tol=0)
    assert_never_falls(fast.bounds)
    assert fast.bounds[0] >= start.log_prob(x).sum() - 1e-9 * abs(fast.bounds[0])
    more = quiet(em.fit, fast.model, x, max_iter=500, tol=0)  # a maximum of EM's as well
    assert more.bounds[-1] - more.bounds[0] < 1e-2 * len(x)


@each_shape
def test_with_equal_noise_it_ends_at_the_closed_form(shape):
    x, start = problem(shape)
    start = replace(start, noise=np.full(shape[1], 2.0), isotropic=True)
    fast = acceleration.fit(start, x, max_iter=5000, tol=1e-11)
    top = FactorAnalysis.ppca(x, shape[2])
    assert fast.bounds[-1] == pytest.approx(top.log_prob(x).sum(), abs=1e-5)
    np.testing.assert_allclose(fast.model.noise, top.noise, rtol=1e-3)
    assert_never_falls(fast.bounds)


def test_columns_explained_entirely_are_reported_and_held_at_the_floor():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(12, 2))
    for x in (
        z @ rng.normal(size=(2, 6)) + 0.01 * rng.normal(size=(12, 6)),
        z @ rng.normal(size=(2, 30)) + 1e-9 * rng.normal(size=(12, 30)),
    ):
        with pytest.warns(HeywoodCase, match="entirely"):
            fast = acceleration.fit(FactorAnalysis.init(x, 3), x, max_iter=500, tol=1e-8)
        assert_never_falls(fast.bounds)
        assert (fast.model.noise > 0).all()


@pytest.mark.parametrize("value", [0.0, 1e6])
@each_shape
def test_a_constant_column_does_no_harm(shape, value):
    x, _ = problem(shape)
    x[:, 2] = value
    fast = quiet(acceleration.fit, FactorAnalysis.init(x, shape[2]), x, max_iter=300)
    assert np.isfinite(fast.bounds).all()
    assert fast.model.mean[2] == pytest.approx(value, rel=1e-12)
    assert np.abs(fast.model.loadings[2]).max() < 1e-6
    flat = np.ones((5, shape[1]))
    assert np.isfinite(acceleration.fit(FactorAnalysis.init(flat, 1), flat).bounds).all()


@each_shape
def test_units_and_offsets_change_nothing(shape):
    x, start = problem(shape)
    units = np.geomspace(1e-4, 1e4, shape[1])
    moved = FactorAnalysis(
        start.loadings * units[:, None], start.mean * units, start.noise * units**2
    )
    a = quiet(acceleration.fit, start, x, max_iter=12, tol=0)
    b = quiet(acceleration.fit, moved, x * units, max_iter=12, tol=0)
    np.testing.assert_allclose(b.bounds, a.bounds - len(x) * np.log(units).sum(), rtol=1e-8)


# ------------------------------------------------------------------ the plain steps


@each_shape
def test_the_plain_steps_tell_the_likelihood_and_raise_it(shape):
    x, start = problem(shape)
    moments = Moments.of(x)
    for step in (expanded, profiled):
        place = step(start, moments)
        assert place.bound == pytest.approx(place.model.log_prob(x).sum(), rel=1e-11)
        for _ in range(5):
            rise = step(place.next, moments).bound - place.bound
            assert rise > 0
            place = step(place.next, moments)
    once = start.learn(start.expect(x, start.infer(x)))
    assert expanded(start, moments).next.log_prob(x).sum() > once.log_prob(x).sum()


@each_shape
def test_the_best_loadings_for_a_noise_are_what_learning_leaves(shape):
    x, start = problem(shape)
    best = profiled(start, Moments.of(x))
    model = best.model
    np.testing.assert_array_equal(model.noise, start.noise)
    learned = model.learn(model.expect(x, model.infer(x)))
    np.testing.assert_allclose(learned.loadings, model.loadings, atol=1e-8)
    np.testing.assert_allclose(learned.noise, best.next.noise, rtol=1e-8)
    rng = np.random.default_rng(0)
    for size in (1e-3, 0.1, 1.0):
        other = replace(model, loadings=model.loadings + size * rng.normal(size=(shape[1:])))
        assert other.log_prob(x).sum() < best.bound


def test_expansion_keeps_the_density_that_free_factors_would_have():
    x, start = problem(SHAPES["more data"])
    stats = start.expect(x, start.infer(x))
    learned, m = start.learn(stats), stats.z / stats.n
    S = stats.zz / stats.n - np.outer(m, m)  # of the factors, whose prior is N(m, S) now
    after = expanded(start, Moments.of(x)).next
    np.testing.assert_allclose(
        after.loadings @ after.loadings.T, learned.loadings @ S @ learned.loadings.T, atol=1e-10
    )
    np.testing.assert_allclose(after.mean, learned.mean + learned.loadings @ m, atol=1e-12)
    np.testing.assert_allclose(after.noise, learned.noise, rtol=1e-12)


@pytest.mark.parametrize("rho", [0.01, 0.3, 0.9])
def test_expansion_keeps_the_share_of_noise_squared_of_an_error(rho):
    """One factor of length a, with noise known: EM keeps 1 - 2ρ(1 - ρ), PX-EM keeps ρ²."""
    pair = Moments.of(np.array([[1.0, 0.0], [-1.0, 0.0]]))
    end, kept = np.sqrt(1 - rho), {}
    start = FactorAnalysis([[end + 1e-5], [0.0]], [0.0, 0.0], [rho, rho])
    plain = start.learn(start.expect(pair, start.infer(pair)))
    for name, model in (("EM", plain), ("PX", expanded(start, pair).next)):
        kept[name] = (model.loadings[0, 0] - end) / 1e-5
    assert kept["EM"] == pytest.approx(1 - 2 * rho * (1 - rho), abs=1e-4)
    assert kept["PX"] == pytest.approx(rho**2, abs=1e-4)


# ------------------------------------------------------------------ leaps


@each_shape
@pytest.mark.parametrize("size", [3.0, 1e9])
def test_a_leap_that_lowers_the_likelihood_is_taken_back(monkeypatch, shape, size):
    x, _ = problem(shape, more=0)
    start = FactorAnalysis.init(x, shape[2])
    inside = acceleration._leapt

    def too_far(*args, **kwargs):
        leap = inside(*args, **kwargs)
        return replace(leap, loadings=size * leap.loadings, noise=leap.noise / 50)

    good = quiet(acceleration.fit, start, x, tol=1e-7, max_iter=2000)
    monkeypatch.setattr(acceleration, "_leapt", too_far)
    fast = quiet(acceleration.fit, start, x, tol=1e-7, max_iter=2000)
    assert_never_falls(fast.bounds)
    assert fast.converged
    assert (np.diff(fast.bounds[:-1])[1::3] == 0).all()  # each leap was in vain
    assert fast.bounds[-1] == pytest.approx(good.bounds[-1], abs=1e-3 * len(x))
    assert len(fast.bounds) > len(good.bounds)


@each_shape
def test_a_climb_that_is_at_its_end_stays(shape):
    x, _ = problem(shape, more=0)
    start = FactorAnalysis.init(x, shape[2])
    end = quiet(acceleration.fit, start, x, tol=1e-8, max_iter=2000)
    again = quiet(acceleration.fit, end.model, x)
    assert len(again.bounds) <= 3
    assert again.bounds[-1] == pytest.approx(end.bounds[-1], abs=1e-4 * len(x))


# ------------------------------------------------------------------ how it is called


@each_shape
def test_data_may_come_as_moments_or_in_batches(shape):
    x, start = problem(shape)
    whole = quiet(acceleration.fit, start, x, max_iter=9, tol=0)
    assert len(whole.bounds) == 11  # the start, nine more, and a step of EM
    assert not whole.converged
    for data in (Moments.of(x), np.array_split(x, 4)):
        np.testing.assert_allclose(
            quiet(acceleration.fit, start, data, max_iter=9, tol=0).bounds, whole.bounds, rtol=1e-9
        )
    none = acceleration.fit(start, x, max_iter=0)
    assert len(none.bounds) == 1


def test_without_leaps_each_step_is_plain():
    for shape in SHAPES.values():
        x, start = problem(shape)
        moments = Moments.of(x)
        look = profiled if moments.scatter is None else expanded
        place, bounds = look(start, moments), []
        for _ in range(6):
            bounds.append(place.bound)
            place = look(place.next, moments)
        plain = quiet(acceleration.fit, start, x, max_iter=5, tol=0, leaps=False)
        np.testing.assert_allclose(plain.bounds[:6], bounds)


def test_what_is_no_factor_analysis_is_refused():
    x, start = problem(SHAPES["more data"])
    mixture = GaussianMixture.init(x, 2, rng=0)
    for wrong in (mixture, FactorAnalysis, None):
        with pytest.raises(TypeError, match="wanted a FactorAnalysis"):
            acceleration.fit(wrong, x)
    with pytest.raises(ValueError, match="tol"):
        acceleration.fit(start, x, tol=-1.0)
    with pytest.raises((TypeError, ValueError), match="max_iter"):
        acceleration.fit(start, x, max_iter=2.5)
    with pytest.raises(ValueError, match="12"):
        acceleration.fit(start, x[:, :5])
    with pytest.raises(ValueError, match="not finite"):
        acceleration.fit(start, np.where(x > 2, np.nan, x))
