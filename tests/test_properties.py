"""Whatever the data are: a fit whose bound rises, or an error that says what to do."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from test_bad_input import DEEP, MODELS, assert_sound

from lfm import bound, em, evaluation
from lfm.distributions import InverseWishart
from lfm.engine.moments import Moments
from lfm.factor_analysis import FactorAnalysis
from lfm.gaussian_mixture import DegenerateComponent, GaussianMixture, k_means
from lfm.variational_bayes import BayesianGaussian, BayesianMixture, MixturePrior, NormalGammaPrior
from lfm.variational_em import BinaryFactors

# Derandomised, so that a run that fails can be run again.
quick = settings(max_examples=60, deadline=None, derandomize=True)

numbers = st.floats(-100, 100, allow_nan=False, width=32).map(lambda v: round(v, 2))


@st.composite
def awkward(draw):
    """Data that people have: few, doubled, constant, collinear, far off, tiny, of any type."""
    n, d = draw(st.integers(1, 12)), draw(st.integers(1, 4))
    x = draw(hnp.arrays(np.float64, (n, d), elements=numbers))
    if draw(st.booleans()):
        x = np.repeat(x, draw(st.integers(2, 4)), axis=0)
    if draw(st.booleans()):
        x[:, draw(st.integers(0, d - 1))] = draw(numbers)
    if draw(st.booleans()):
        x = x @ np.ones((d, d))
    x = x * draw(st.sampled_from([1.0, 1e-9, 1e9])) + draw(st.sampled_from([0.0, 1e8, -1e6]))
    form = draw(st.sampled_from(["float64", "float32", "int64", "fortran", "read-only", "strided"]))
    if form in ("float32", "int64"):
        return x.astype(form)
    if form == "fortran":
        return np.asfortranarray(x)
    if form == "strided":
        return np.repeat(x, 2, axis=0)[::2]
    x.flags.writeable = form != "read-only"
    return x


def rises(fit, x) -> bool:
    """Whether the bound never fell, but for rounding: that of sums, and of data far from 0."""
    allowed = 1e-7 * (np.abs(fit.bounds).max() + len(x))
    if hasattr(fit.model, "rounding"):
        allowed += 10 * fit.model.rounding(fit.model.expect(x, fit.q))
    return bool((np.diff(fit.bounds) >= -allowed).all())


@quick
@given(awkward(), st.integers(1, 4), st.integers(0, 5))
def test_with_a_prior_there_is_always_a_fit(x, k, seed):
    k = min(k, len(x))
    prior = InverseWishart.from_data(x, k)
    fit = em.fit(GaussianMixture.init(x, k, rng=seed, prior=prior), x, max_iter=15)
    assert np.isfinite(fit.bounds).all()
    assert rises(fit, x)
    np.testing.assert_allclose(fit.q.probs.sum(axis=1), 1, rtol=1e-9)
    np.linalg.cholesky(fit.model.covs)
    assert np.isfinite(fit.model.log_prob(x)).all()


@quick
@given(awkward(), st.integers(1, 4), st.integers(0, 5))
def test_without_a_prior_there_is_a_fit_or_an_error_that_says_what_to_do(x, k, seed):
    k = min(k, len(x))
    try:
        fit = em.fit(GaussianMixture.init(x, k, rng=seed), x, max_iter=15)
    except DegenerateComponent as error:
        assert "prior=InverseWishart.from_data" in str(error)  # noqa: PT017 - either may happen
    else:
        assert np.isfinite(fit.bounds).all()
        assert rises(fit, x)


@quick
@given(awkward(), st.integers(1, 3))
def test_batches_add_up(x, k):
    k = min(k, len(x))
    model = GaussianMixture.init(x, k, rng=0, prior=InverseWishart.from_data(x, k))
    whole = model.expect(x, model.infer(x))
    cut = len(x) // 2
    if cut == 0:
        return
    parts = [model.expect(p, model.infer(p)) for p in (x[:cut], x[cut:])]
    total = parts[0] + parts[1]
    assert total.n == whole.n
    np.testing.assert_allclose(total.r, whole.r, rtol=1e-6, atol=1e-9)
    scale = np.abs(whole.scatter(model.means)).max() + np.abs(model.covs).max()
    difference = np.abs(total.scatter(model.means) - whole.scatter(model.means)).max()
    assert difference <= 1e-6 * scale


@quick
@given(awkward(), st.integers(1, 3), st.booleans())
@pytest.mark.filterwarnings("ignore::lfm.factor_analysis.HeywoodCase")
def test_factors_always_have_a_fit(x, k, isotropic):
    if x.shape[1] == 1:
        with pytest.raises(ValueError, match="x has 1 column"):
            FactorAnalysis.init(x, k)
        return
    k = min(k, x.shape[1] - 1)
    fit = em.fit(FactorAnalysis.init(x, k, isotropic=isotropic), x, max_iter=15)
    assert np.isfinite(fit.bounds).all()
    assert rises(fit, x)
    assert np.isfinite(fit.model.log_prob(x)).all()
    assert fit.model.log_prob(x).sum() == pytest.approx(fit.bounds[-1], rel=1e-5, abs=1e-4)


@quick
@given(awkward(), st.integers(1, 4), st.integers(0, 5))
def test_a_bayesian_mixture_always_has_a_fit(x, k, seed):
    fit = em.fit(BayesianMixture.init(x, min(k, len(x)), rng=seed), x, max_iter=15)
    assert np.isfinite(fit.bounds).all()
    assert rises(fit, x)
    assert np.isfinite(fit.model.log_prob(x)).all()


@quick
@given(awkward(), st.integers(1, 5), st.integers(0, 5), st.booleans())
def test_switches_always_have_a_fit_below_their_log_likelihood(x, k, seed, exact):
    fit = em.fit(BinaryFactors.init(x, k, rng=seed, exact=exact), x, max_iter=15)
    assert np.isfinite(fit.bounds).all()
    assert rises(fit, x)
    log_lik = fit.model.log_prob(x).sum()
    assert fit.bounds[-1] <= log_lik + 1e-5 * abs(log_lik)
    if exact:
        assert fit.bounds[-1] == pytest.approx(log_lik, rel=1e-5, abs=1e-4)


@quick
@given(awkward())
def test_one_gaussian_always_stays_below_its_evidence(x):
    prior = NormalGammaPrior(0.0, 1.0, 1.0, 1.0)
    fit = em.fit(BayesianGaussian(prior), x[:, :1])
    evidence = prior.log_evidence(fit.model.expect(x[:, :1]))
    assert fit.bounds[-1] <= evidence + 1e-9 * abs(evidence)
    assert np.isfinite(fit.model.log_prob(x[:, :1])).all()


rows = hnp.arrays(np.float64, (3, 4), elements=st.floats(-800, 50))
weights = hnp.arrays(np.float64, (3, 4), elements=st.floats(0.0, 1.0, width=32))


@quick
@given(rows, weights)
def test_the_bound_never_exceeds_the_log_marginal(table, w):
    w[:, 0] += 1e-3
    q = w / w.sum(axis=1, keepdims=True)
    d = bound.decompose(q, table)
    size = 1e-12 * (1 + np.abs(table).max())
    assert (d.bound <= d.log_marginal + size).all()
    assert (d.divergence >= -size).all()
    np.testing.assert_allclose(d.bound + d.divergence, d.log_marginal, atol=1e-9)
    posterior = bound.posterior(table)
    if posterior.min() > 1e-280:  # below that the logarithm of a table of numbers has no digits
        np.testing.assert_allclose(d.divergence, bound.kl(q, posterior), atol=1e-9)


@quick
@given(hnp.arrays(np.float64, (6,), elements=st.floats(-30, 30)), st.floats(-1e3, 1e3))
def test_a_constant_in_the_log_joint_passes_through(row, c):
    q = bound.posterior(row)
    np.testing.assert_allclose(bound.posterior(row + c), q, rtol=1e-9, atol=1e-12)
    assert bound.lower_bound(q, row + c) == pytest.approx(bound.lower_bound(q, row) + c, abs=1e-9)


@pytest.mark.parametrize("name", MODELS)
@quick
@given(x=awkward())
def test_log_densities_of_awkward_data_are_numbers(name, x):
    model, good, _ = MODELS[name]
    x = np.resize(x, (len(x), good.shape[1]))
    log_prob = model.log_prob(x)
    assert log_prob.shape == (len(x),)
    assert np.isfinite(log_prob).all()
    bound = model.lower_bound(model.expect(x, model.infer(x)))
    if name != "variational_bayes.BayesianGaussian":  # whose bound is of the evidence of all
        total = log_prob.sum()
        slack = 1e-7 * (abs(total) + len(x))
        if hasattr(model, "rounding"):
            slack += model.rounding(model.expect(x, model.infer(x)))
        assert bound <= total + slack


CODED = {
    "active units": lambda x: evaluation.active_units(DEEP, x),
    "mutual information": lambda x: evaluation.mutual_information(x, x, bins=min(3, len(x))),
    "dci": lambda x: evaluation.dci(x, x),
    "gap": lambda x: evaluation.mutual_information_gap(x, x, bins=min(3, len(x))),
    "match": lambda x: evaluation.match_factors(x, x[:, :1]),
    "k-means": lambda x: k_means(x, 1, rng=0),
    "moments": lambda x: Moments.of(x),
    "prior": lambda x: InverseWishart.from_data(x, 2),
    "mixture prior": lambda x: MixturePrior.from_data(x, 2),
    "neighbours": lambda x: evaluation.neighbour_score(x, np.arange(len(x)) % 2, n_neighbours=1),
    "control": lambda x: evaluation.attribute_control(x, x, x, x),
    "few labels": lambda x: evaluation.few_label_accuracy(x, np.arange(len(x)) % 2, 2, rng=0),
    "evidence": lambda x: evaluation.sampled_evidence(
        x, 2, MixturePrior.from_data(x, 2), rng=0, particles=3
    ),
}


@pytest.mark.parametrize("name", CODED)
@quick
@given(x=awkward(), seed=st.integers(0, 3))
def test_awkward_data_give_finite_numbers_or_a_named_error(name, x, seed):
    x = np.random.default_rng(seed).permutation(np.resize(x, (len(x), 2)))
    try:
        result = CODED[name](x)
    except ValueError as error:
        assert re.search(r"\b(x|codes|factors|bins|n_\w+|ordered|images|found)\b", str(error))  # noqa: PT017
    else:
        assert_sound(result, infinite=False)
