"""Binary factors against enumeration, autograd, the mixture of 2^K components, and awkward data."""

import itertools
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import torch

from lfm import bound, data, em
from lfm.distributions import Bernoulli
from lfm.engine import constants
from lfm.engine.constants import FLOOR
from lfm.evaluation import match_factors
from lfm.gaussian_mixture import GaussianMixture
from lfm.variational_em import BinaryFactors, Enumerated

SEEDS = range(3)
each_seed = pytest.mark.parametrize("seed", SEEDS)


def model_of(seed, d=4, k=3, noise=0.7, **kwargs):
    rng = np.random.default_rng([seed, d, k])
    loadings, mean = 1.2 * rng.normal(size=(d, k)), 2 * rng.normal(size=d)
    return BinaryFactors(loadings, mean, noise, rng.uniform(0.2, 0.6, k), **kwargs)


def drawn(seed, n=60, **kwargs):
    model = model_of(seed, **kwargs)
    return model, model.sample(n, rng=seed)[0]


def states_of(k):
    return np.array(list(itertools.product([0, 1], repeat=k)), dtype=float)


def log_joint(model, x):
    """ln p(x_n, z) for all states, term by term: (N, 2^K)."""
    states = states_of(len(model.probs))
    log_prior = np.log(np.where(states == 1, model.probs, 1 - model.probs)).sum(axis=1)
    gaps = x[:, None] - (states @ model.loadings.T + model.mean)
    log_normal = -0.5 * (np.log(2 * np.pi * model.noise) + gaps**2 / model.noise).sum(axis=2)
    return log_prior + log_normal


def over_states(q):
    """The probabilities of all states under a product (N, 2^K)."""
    states = states_of(q.probs.shape[1])
    return np.where(states == 1, q.probs[:, None], 1 - q.probs[:, None]).prod(axis=2)


def bound_of(model, x, q):
    return model.lower_bound(model.expect(x, q))


def random_q(seed, n, k):
    return Bernoulli(np.random.default_rng(seed).uniform(0.02, 0.98, size=(n, k)))


# ------------------------------------------------------------------ the model


@each_seed
@pytest.mark.equation("binary-factors")
def test_it_is_a_mixture_of_all_states(seed):
    model, x = drawn(seed)
    states = states_of(3)
    weights = np.where(states == 1, model.probs, 1 - model.probs).prod(axis=1)
    means = states @ model.loadings.T + model.mean
    mixture = GaussianMixture(weights, means, np.tile(model.noise * np.eye(4), (8, 1, 1)))
    np.testing.assert_allclose(model.log_prob(x), mixture.log_prob(x), rtol=1e-12)
    np.testing.assert_allclose(
        model.log_prob(x), bound.log_marginal(log_joint(model, x)), rtol=1e-12
    )


@each_seed
def test_its_sum_does_not_split_unless_loadings_are_orthogonal(seed):
    model, x = drawn(seed)
    for loadings, splits in ((model.loadings, False), (2 * np.eye(4, 3), True)):
        m = replace(model, loadings=loadings)
        posterior = bound.posterior(log_joint(m, x))
        product = over_states(Bernoulli(np.clip(posterior @ states_of(3), 0, 1)))
        assert np.allclose(posterior, product, atol=1e-9) == splits
        gap = m.log_prob(x).sum() - bound_of(m, x, m.infer(x))
        assert (gap < 1e-8) == splits


def test_a_switch_and_its_opposite_describe_the_same_data():
    model, x = drawn(0)
    w = model.loadings[:, 0]
    flipped = replace(
        model,
        loadings=np.column_stack([-w, model.loadings[:, 1:]]),
        mean=model.mean + w,
        probs=np.append(1 - model.probs[0], model.probs[1:]),
    )
    np.testing.assert_allclose(flipped.log_prob(x), model.log_prob(x), rtol=1e-12)


def test_samples_have_the_moments_of_the_model():
    model = model_of(0)
    x, z = model.sample(200_000, rng=1)
    assert set(np.unique(z)) == {0.0, 1.0}
    error = np.sqrt(model.probs * (1 - model.probs) / len(z))
    assert (np.abs(z.mean(axis=0) - model.probs) < 4 * error).all()
    noise = x - z @ model.loadings.T - model.mean
    np.testing.assert_allclose(np.cov(noise.T), model.noise * np.eye(4), atol=0.01)


# ------------------------------------------------------------------ the bound


@each_seed
@pytest.mark.equation("three-arguments")
def test_bound_is_what_is_explained_less_the_divergence_from_the_prior(seed):
    model, x = drawn(seed)
    q, states = random_q(seed, 60, 3), states_of(3)
    log_prior = np.log(np.where(states == 1, model.probs, 1 - model.probs)).sum(axis=1)
    r = over_states(q)
    explained = (r * (log_joint(model, x) - log_prior)).sum()
    divergence = (r * (np.log(r) - log_prior)).sum()
    assert bound_of(model, x, q) == pytest.approx(explained - divergence, rel=1e-12)


@each_seed
def test_gap_is_the_divergence_from_the_posterior(seed):
    model, x = drawn(seed)
    posterior = bound.posterior(log_joint(model, x))
    for q in (random_q(seed, 60, 3), model.infer(x)):
        gap = model.log_prob(x).sum() - bound_of(model, x, q)
        assert gap == pytest.approx(bound.kl(over_states(q), posterior).sum(), rel=1e-9)
        assert gap > 0.1


@pytest.mark.parametrize("seed", range(20))
def test_bound_stays_below_the_log_likelihood_in_a_fit(seed):
    x = data.bars(60, rng=seed, size=3).x
    for step in itertools.islice(em.steps(BinaryFactors.init(x, 6, rng=seed), x), 60):
        assert step.bound <= step.model.log_prob(x).sum() + 1e-9 * abs(step.bound)


# ------------------------------------------------------------------ inference


@each_seed
@pytest.mark.equation("binary-mean-field")
def test_each_update_is_the_maximum_over_its_coordinate(seed):
    """One sweep, replayed update by update; autograd through the table of all states judges it."""
    model, x = drawn(seed, n=20)
    q = random_q(seed, 20, 3)
    swept = model.infer(x, q).probs
    joint, states = torch.tensor(log_joint(model, x)), torch.tensor(states_of(3))
    m = q.probs.copy()
    for k in range(3):
        m[:, k] = swept[:, k]
        logits = torch.tensor(np.log(m / (1 - m)), requires_grad=True)
        p = torch.sigmoid(logits)[:, None]
        r = torch.where(states == 1, p, 1 - p).prod(2)
        value = (r * (joint - r.log())).sum()
        slope = torch.autograd.grad(value, logits)[0][:, k].numpy()
        np.testing.assert_allclose(slope, 0, atol=1e-11)
        best = bound.lower_bound(over_states(Bernoulli(m)), joint.numpy())
        for shift in (0.9, 1.1):  # and no minimum
            other = m.copy()
            other[:, k] = m[:, k] ** shift
            assert (bound.lower_bound(over_states(Bernoulli(other)), joint.numpy()) < best).all()


@each_seed
def test_a_sweep_is_sequential(seed):
    model, x = drawn(seed)
    q, (W, mu) = random_q(seed, 60, 3), (model.loadings, model.mean)

    def updated(m, k):
        rest = x - mu - m @ W.T + np.outer(m[:, k], W[:, k])
        odds = np.log(model.probs[k] / (1 - model.probs[k]))
        return 1 / (1 + np.exp(-odds - (rest @ W[:, k] - W[:, k] @ W[:, k] / 2) / model.noise))

    m = q.probs.copy()
    for k in range(3):
        m[:, k] = updated(m, k)
    parallel = np.column_stack([updated(q.probs, k) for k in range(3)])
    np.testing.assert_allclose(model.infer(x, q).probs, m, rtol=1e-10, atol=1e-14)
    assert np.abs(m - parallel).max() > 0.1


@each_seed
@pytest.mark.equation("variational-inference-step")
def test_inference_never_lowers_the_bound_and_ends_at_a_maximum(seed):
    model, x = drawn(seed)
    q = random_q(seed, 60, 3)
    bounds = [bound_of(model, x, q)]
    for _ in range(200):
        q = model.infer(x, q)
        bounds.append(bound_of(model, x, q))
    assert (np.diff(bounds) > -1e-11 * abs(bounds[0])).all()
    assert bounds[-1] > bounds[0] + 10
    for end in (q, model.infer(x)):  # from a given start, and from π
        best = bound_of(model, x, end)
        np.testing.assert_allclose(model.infer(x, end).probs, end.probs, atol=2e-6)
        rng = np.random.default_rng(seed)
        for size in (0.01, 0.1):
            near = np.clip(end.probs + size * rng.normal(size=end.probs.shape), 0, 1)
            assert bound_of(model, x, Bernoulli(near)) < best


def test_a_single_sweep_from_a_cold_start_may_lower_the_bound():
    """Why `infer` goes on from the q it is given."""
    x = data.bars(300, rng=0).x
    fit = em.fit(BinaryFactors.init(x, 8, rng=4), x)
    cold = fit.model.infer(x, Bernoulli(np.tile(fit.model.probs, (300, 1))))
    assert bound_of(fit.model, x, cold) < fit.bounds[-1] - 1
    assert bound_of(fit.model, x, fit.model.infer(x, fit.q)) >= fit.bounds[-1] - 1e-9


def test_two_switches_for_one_pixel_explain_each_other_away():
    model = BinaryFactors(np.ones((1, 2)), [0.0], 0.01, [0.3, 0.3])
    x = np.ones((1, 1))
    exact = replace(model, exact=True).infer(x)
    np.testing.assert_allclose(exact.probs, [[0.5, 0.5]], atol=1e-9)
    np.testing.assert_allclose(exact.total_cov(), [[0.25, -0.25], [-0.25, 0.25]], atol=1e-9)
    np.testing.assert_allclose(np.sort(model.infer(x).probs), [[0, 1]], atol=1e-9)
    gap = model.log_prob(x)[0] - bound_of(model, x, model.infer(x))
    assert gap == pytest.approx(np.log(2), abs=1e-6)


@each_seed
def test_exact_inference_is_the_posterior(seed):
    model, x = drawn(seed, exact=True)
    q, states = model.infer(x), states_of(3)
    posterior = bound.posterior(log_joint(model, x))
    np.testing.assert_array_equal(model.states, states)
    np.testing.assert_allclose(q.probs, posterior @ states, rtol=1e-10)
    np.testing.assert_allclose(q.entropy(), bound.entropy(posterior), rtol=1e-9, atol=1e-12)
    covs = [np.cov(states.T, aweights=p, bias=True) for p in posterior]
    np.testing.assert_allclose(q.total_cov(), sum(covs), atol=1e-10)
    assert bound_of(model, x, q) == pytest.approx(model.log_prob(x).sum(), rel=1e-12)
    assert isinstance(model.infer(x, random_q(0, 60, 3)), Enumerated)


def test_exact_inference_holds_no_table_of_states():
    model, x = drawn(0, n=10_000, d=16, k=12, exact=True)
    model.infer(x[:10])  # whatever is made once
    tracemalloc.start()
    model.expect(x, model.infer(x))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 12 * 2**20  # the table alone would be 313 MiB


def test_chunks_make_no_difference(monkeypatch):
    model, x = drawn(0)
    exact, q = replace(model, exact=True), random_q(0, 60, 3)
    whole = model.infer(x).probs, model.infer(x, q).probs, exact.infer(x).probs, model.log_prob(x)
    monkeypatch.setattr(constants, "CHUNK_BYTES", 1000)
    parts = model.infer(x).probs, model.infer(x, q).probs, exact.infer(x).probs, model.log_prob(x)
    for a, b in zip(whole, parts, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


# ------------------------------------------------------------------ groups that q keeps together


PAIRS = [(0, 2), (3, 1)]


def tables_of(model, x, m):
    """One sweep over groups by Eq. optimal-factor: averages over the table of all states."""
    joint, states, k = log_joint(model, x), states_of(len(model.probs)), len(model.probs)
    kept = {i for g in model.groups for i in g}
    groups = [list(g) for g in model.groups] + [[i] for i in range(k) if i not in kept]
    factors = [over_states(Bernoulli(m[:, g])) for g in groups]  # (N, 2^G) each
    which = [states[:, g] @ 2 ** np.arange(len(g))[::-1] for g in groups]
    which = [w.astype(int) for w in which]  # the state of each group in each state of all
    for i, own in enumerate(which):
        others = np.ones_like(joint)
        for j, w in enumerate(which):
            others *= factors[j][:, w] if j != i else 1.0
        average = np.stack(
            [(others * joint)[:, own == s].sum(axis=1) for s in range(own.max() + 1)], axis=1
        )
        factors[i] = np.exp(average - average.max(axis=1, keepdims=True))
        factors[i] /= factors[i].sum(axis=1, keepdims=True)
    return np.prod([f[:, w] for f, w in zip(factors, which, strict=True)], axis=0)


@each_seed
@pytest.mark.parametrize("groups", [PAIRS, [(1, 3)], [(0, 1, 3)], [(2,)], [(0, 1, 2, 3)]])
@pytest.mark.equation("structured-q")
def test_a_group_has_its_posterior_for_what_the_others_leave(seed, groups):
    model, x = drawn(seed, n=20, k=4, groups=groups)
    start = random_q(seed, 20, 4)
    table, q, states = tables_of(model, x, start.probs), model.infer(x, start), states_of(4)
    np.testing.assert_allclose(q.probs, table @ states, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(q.entropy(), bound.entropy(table), rtol=1e-9, atol=1e-11)
    covs = [np.cov(states.T, aweights=p, bias=True) for p in table]
    np.testing.assert_allclose(q.total_cov(), sum(covs), atol=1e-9)
    wanted = bound.lower_bound(table, log_joint(model, x)).sum()
    assert bound_of(model, x, q) == pytest.approx(wanted, rel=1e-11)


@each_seed
def test_groups_of_one_are_the_product_and_one_group_is_the_posterior(seed):
    model, x = drawn(seed, k=4)
    q = random_q(seed, 60, 4)
    for start in (q, None):
        by_ones = replace(model, groups=[(i,) for i in range(4)]).infer(x, start)
        np.testing.assert_allclose(by_ones.probs, model.infer(x, start).probs, atol=1e-6)
        together = replace(model, groups=[(3, 1, 0, 2)]).infer(x, start)
        exact = replace(model, exact=True).infer(x)
        np.testing.assert_allclose(together.probs, exact.probs, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(together.seconds, exact.seconds, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(together.entropies, exact.entropies, rtol=1e-9, atol=1e-12)


def test_pairs_lie_between_the_product_and_the_posterior():
    """In 100 random models, from the best of four products."""
    closed = []
    for seed in range(100):
        model, x = drawn(seed, n=40, k=4)
        log_p = model.log_prob(x)
        starts = [Bernoulli(np.tile(0.02 + 0.96 * s, (40, 1))) for s in states_of(4)[::5]]
        best = max((_settled(model, x, q) for q in starts), key=lambda q: bound_of(model, x, q))
        product, paired = bound_of(model, x, best), replace(model, groups=PAIRS)
        q = _settled(paired, x, best)
        pairs = bound_of(paired, x, q)
        assert product - 1e-9 < pairs < log_p.sum() + 1e-9
        exact = replace(model, exact=True)
        assert bound_of(exact, x, exact.infer(x)) == pytest.approx(log_p.sum(), rel=1e-12)
        closed.append((pairs - product) / (log_p.sum() - product))
    assert min(closed) > 0
    assert np.median(closed) > 0.1


def _settled(model, x, q, sweeps=25):
    for _ in range(sweeps):
        q = model.infer(x, q)
    return q


@each_seed
def test_a_fit_in_groups_never_falls_and_ends_where_exact_em_does_if_groups_do_not_overlap(seed):
    rng = np.random.default_rng(seed)
    loadings = np.zeros((6, 4))
    loadings[:3, :2], loadings[3:, 2:] = rng.uniform(0.3, 2, (2, 3, 2))
    model = BinaryFactors(loadings, np.zeros(6), 0.5, rng.uniform(0.3, 0.5, 4))
    x, _ = model.sample(300, rng=seed)
    apart = replace(model, groups=[(0, 1), (2, 3)])
    gap = model.log_prob(x).sum() - bound_of(apart, x, apart.infer(x))
    assert abs(gap) < 1e-8  # nothing couples the pairs
    fit = em.fit(apart, x, max_iter=30)
    assert (np.diff(fit.bounds) > -1e-9).all()
    assert fit.bounds[-1] < fit.model.log_prob(x).sum() + 1e-9
    assert fit.model.groups == ((0, 1), (2, 3))


@each_seed
def test_restarts_find_the_best_product_of_two(seed):
    """Judged by a scan of m_1 with the best m_2 for each."""
    rng = np.random.default_rng(seed)
    loadings = np.array([[1, 0.5], [0.5, 1], [1, 1]]) + 0.1 * rng.normal(size=(3, 2))
    model = BinaryFactors(loadings, rng.normal(size=3), 0.1, rng.uniform(0.2, 0.4, 2))
    x, _ = model.sample(60, rng=seed)
    best = replace(model, restarts=True).infer(x)
    found = bound.lower_bound(over_states(best), log_joint(model, x))
    once = bound.lower_bound(over_states(model.infer(x)), log_joint(model, x))
    assert (found > once - 1e-9).all()
    assert (found > once + 0.5).any()
    grid, (w1, w2) = np.linspace(0, 1, 401), loadings.T
    for n, datum in enumerate(x):
        rest = datum - model.mean - np.outer(grid, w1)
        odds = np.log(model.probs[1] / (1 - model.probs[1])) + (rest @ w2 - w2 @ w2 / 2) / 0.1
        q = Bernoulli(np.column_stack([grid, 1 / (1 + np.exp(-odds))]))
        table = np.repeat(log_joint(model, datum[None]), 401, axis=0)
        top = bound.lower_bound(over_states(q), table).max()
        assert top - 1e-9 < found[n] + 1e-9
        assert found[n] < top + 0.01


@each_seed
def test_a_fit_with_restarts_never_falls_and_starts_beside_certain_switches(seed):
    model, x = drawn(seed, restarts=True)
    fit = em.fit(replace(model, probs=[0.0, 0.5, 1.0]), x, max_iter=10)
    assert fit.model.probs[0] == 0
    assert np.isfinite(fit.bounds).all()
    bounds = em.fit(model, x, max_iter=20).bounds
    assert (np.diff(bounds) > -1e-9).all()
    assert bounds[0] >= bound_of(model, x, replace(model, restarts=False).infer(x)) - 1e-9


def test_many_factors_in_small_groups_need_no_table_of_all_states():
    model, x = drawn(0, n=30, d=5, k=18, groups=[(0, 17), (3, 4, 5)])
    q = model.infer(x)
    assert q.probs.shape == (30, 18)
    assert np.isfinite(bound_of(model, x, q))


# ------------------------------------------------------------------ learning


@each_seed
@pytest.mark.equation("binary-learning")
def test_learning_is_the_regression_on_expected_switches(seed):
    model, x = drawn(seed)
    q = random_q(seed, 60, 3)
    z1 = np.column_stack([q.probs, np.ones(60)])
    moment = z1.T @ z1 + np.diag([*(q.probs * (1 - q.probs)).sum(axis=0), 0])
    weights = x.T @ z1 @ np.linalg.inv(moment)  # [W μ]
    new = model.learn(model.expect(x, q))
    np.testing.assert_allclose(np.column_stack([new.loadings, new.mean]), weights, rtol=1e-9)
    np.testing.assert_allclose(new.probs, q.probs.mean(axis=0), rtol=1e-12)
    squares = ((x[:, None] - states_of(3) @ weights[:, :3].T - weights[:, 3]) ** 2).sum(axis=2)
    assert new.noise == pytest.approx((over_states(q) * squares).sum() / x.size, rel=1e-10)


@each_seed
@pytest.mark.equation("variational-learning-step")
def test_learning_raises_the_bound_to_its_maximum(seed):
    model, x = drawn(seed)
    q, rng = random_q(seed, 60, 3), np.random.default_rng(seed)
    new = model.learn(model.expect(x, q))
    best = bound_of(new, x, q)
    assert best > bound_of(model, x, q) + 1
    for size in (0.01, 0.1):
        near = BinaryFactors(
            new.loadings + size * rng.normal(size=(4, 3)),
            new.mean + size * rng.normal(size=4),
            new.noise * np.exp(size * rng.normal()),
            np.clip(new.probs + size * rng.normal(size=3), 0.01, 0.99),
        )
        assert bound_of(near, x, q) < best


@each_seed
def test_exact_em_is_em_of_the_mixture_of_states_that_shares_its_parts(seed):
    """Its log likelihood never falls; that of variational EM may."""
    model, x = drawn(seed, n=200, exact=True)
    fit = em.fit(replace(model, noise=2.0, mean=model.mean + 0.3), x, max_iter=100)
    assert (np.diff(fit.bounds) > -1e-10 * abs(fit.bounds[0])).all()
    assert fit.bounds[-1] == pytest.approx(fit.model.log_prob(x).sum(), rel=1e-12)


def test_log_likelihood_may_fall_while_the_bound_rises():
    x = data.bars(300, rng=0, size=3).x
    worst = 0.0
    for seed in range(16):
        steps = itertools.islice(em.steps(BinaryFactors.init(x, 6, rng=seed), x), 160)
        log_lik = [s.model.log_prob(x).sum() for s in steps if s.half == "learning"]
        worst = min(worst, np.diff(log_lik).min())
    assert worst < -0.5


def test_with_restarts_the_bars_are_found():
    bars = data.bars(500, rng=11)
    starts = (BinaryFactors.init(bars.x, 8, rng=seed) for seed in range(40))
    best = max((em.fit(s, bars.x, tol=1e-4) for s in starts), key=lambda f: f.bounds[-1])
    assert np.abs(match_factors(best.q.probs, bars.z).correlation).min() > 0.95
    assert best.model.noise == pytest.approx(0.01, rel=0.1)


# ------------------------------------------------------------------ awkward


@pytest.mark.parametrize("options", [{}, {"exact": True}, {"groups": [(0, 2)]}])
def test_probabilities_of_zero_and_one_stay(options):
    model = replace(model_of(0, **options), probs=[0.0, 0.5, 1.0])
    x, z = model.sample(100, rng=0)
    assert (z[:, 0] == 0).all() and (z[:, 2] == 1).all()  # noqa: PT018
    fit = em.fit(model, x, max_iter=20)
    assert fit.model.probs[0] == 0 and fit.model.probs[2] == 1  # noqa: PT018
    assert np.isfinite(fit.bounds).all() and np.isfinite(fit.model.log_prob(x)).all()  # noqa: PT018
    np.testing.assert_array_equal(fit.model.loadings[:, [0, 2]], 0)  # nothing can be learned


@pytest.mark.parametrize("exact", [False, True])
def test_switches_that_are_alike_share_their_loading(exact):
    model, x = drawn(0)
    w = model.loadings[:, :1]
    twins = BinaryFactors(np.hstack([w, w]), model.mean, 1.0, [0.5, 0.5], exact)
    z = np.repeat(np.arange(60)[:, None] % 2, 2, axis=1).astype(float)
    new = twins.learn(twins.expect(x, Bernoulli(z)))
    np.testing.assert_allclose(new.loadings[:, 0], new.loadings[:, 1], rtol=1e-9)
    both = x[z[:, 0] == 1].mean(axis=0) - x[z[:, 0] == 0].mean(axis=0)
    np.testing.assert_allclose(new.loadings.sum(axis=1), both, rtol=1e-9)


@pytest.mark.parametrize("shape", [(1, 3), (2, 2), (30, 1)])
@pytest.mark.parametrize("exact", [False, True])
def test_more_switches_than_columns_or_data(shape, exact):
    x = np.random.default_rng(0).normal(size=shape)
    fit = em.fit(BinaryFactors.init(x, 6, rng=0, exact=exact), x, max_iter=50)
    assert np.isfinite(fit.bounds).all()
    assert fit.bounds[-1] <= fit.model.log_prob(x).sum() + 1e-6 * abs(fit.bounds[-1])


@pytest.mark.parametrize("exact", [False, True])
def test_data_without_noise_stop_at_the_floor(exact):
    rng = np.random.default_rng(0)
    loadings, z = rng.normal(size=(6, 3)), rng.integers(2, size=(200, 3))
    x = z @ loadings.T
    fit = em.fit(BinaryFactors(loadings, np.zeros(6), 0.05, [0.5] * 3, exact), x, max_iter=50)
    assert fit.model.noise == pytest.approx(FLOOR * x.var(axis=0).mean(), rel=1e-9)
    np.testing.assert_allclose(fit.model.loadings, loadings, atol=1e-6)
    assert np.isfinite(fit.bounds).all()


def test_constant_data_have_a_fit():
    x = np.full((20, 3), 7.0)
    fit = em.fit(BinaryFactors.init(x, 2, rng=0), x)
    np.testing.assert_allclose(fit.model.mean + fit.model.loadings @ fit.model.probs, 7.0)


def test_far_from_the_origin_nothing_is_lost():
    model, x = drawn(0, n=200)
    far = replace(model, mean=model.mean + 1e6)
    # exact in binary, so that both see the same data but for the shift
    x = np.round(x * 2**20) / 2**20
    for _ in range(5):
        a, b = model.infer(x), far.infer(x + 1e6)
        np.testing.assert_allclose(a.probs, b.probs, atol=1e-6)
        assert bound_of(model, x, a) == pytest.approx(bound_of(far, x + 1e6, a), abs=1e-5)
        stats = model.expect(x, a), far.expect(x + 1e6, a)
        model, far = model.learn(stats[0]), far.learn(stats[1])
        np.testing.assert_allclose(model.loadings, far.loadings, atol=1e-6)


def test_the_start_does_not_depend_on_units():
    x = data.bars(50, rng=0).x
    a, b = BinaryFactors.init(x, 5, rng=3), BinaryFactors.init(1e-5 * x + 2, 5, rng=3)
    np.testing.assert_allclose(b.loadings, 1e-5 * a.loadings, rtol=1e-9)
    assert b.noise == pytest.approx(1e-10 * a.noise, rel=1e-9)
    np.testing.assert_allclose(a.mean + a.loadings @ a.probs, x.mean(axis=0), atol=1e-12)


def test_too_many_switches_to_enumerate_are_refused():
    model = model_of(0, d=3, k=16)
    x = np.zeros((2, 3))
    model.infer(x)
    with pytest.raises(ValueError, match=r"16 factors have 2\^16 states.*at most 15"):
        model.log_prob(x)
    with pytest.raises(ValueError, match=r"16 factors have 2\^16 states"):
        replace(model, exact=True)
    with pytest.raises(ValueError, match="16 factors"):
        BinaryFactors.init(x, 16, rng=0, exact=True)
    with pytest.raises(ValueError, match=r"16 factors have 2\^16 states"):
        replace(model, groups=[range(16)])


@pytest.mark.parametrize("n", [100, 231, 1000])
@pytest.mark.parametrize("value", [0.1, 123.456, 1e8 / 3])
def test_data_that_are_all_constant_have_a_fit(n, value):
    x = np.full((n, 3), value) * [1, 2, 0.5]
    assert np.isfinite(em.fit(BinaryFactors.init(x, 2, rng=0), x).bounds).all()


def test_a_start_below_the_floor_goes_on_from_there():
    start = BinaryFactors(np.ones((4, 1)), np.zeros(4), 1e-9, [0.5], exact=True)
    bits = np.repeat([[0.0], [1.0]], 50, axis=0) @ np.ones((1, 4))
    assert em.fit(start, bits).model.noise <= 1e-9
