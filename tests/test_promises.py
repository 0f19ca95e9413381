"""`contract` keeps silent about every model of the course, and names what is wrong with others."""

import re
from dataclasses import dataclass, replace

import numpy as np
import pytest

from lfm import em
from lfm.checks import contract
from lfm.checks.promises import Report
from lfm.distributions import Bernoulli, Categorical, InverseWishart, LinearGaussian
from lfm.factor_analysis import FactorAnalysis
from lfm.gaussian_mixture import GaussianMixture
from lfm.toy import TwoBells
from lfm.variational_bayes import (
    BayesianGaussian,
    BayesianMixture,
    MixturePrior,
    NormalGammaPrior,
    _kl_dirichlet,
)
from lfm.variational_em import BinaryFactors

MEANS = np.array([[0.0, 0.0], [4.0, 1.0], [-1.0, 5.0]])
COVS = np.array([[[1.0, 0.3], [0.3, 0.8]], [[0.5, 0.0], [0.0, 2.0]], [[1.5, -0.6], [-0.6, 0.9]]])
LOADINGS = np.array([[1.4, 0.2], [0.9, -1.1], [-0.4, 1.6], [1.2, 0.7]])


def mixture(seed, kind=GaussianMixture, prior=None):
    x, _ = GaussianMixture([0.5, 0.3, 0.2], MEANS, COVS).sample(200, rng=seed)
    prior = prior and InverseWishart.from_data(x, 3)
    return kind([0.4, 0.3, 0.3], MEANS + 0.5, 1.7 * COVS, prior), x


def factors(seed, kind=FactorAnalysis, isotropic=False):
    noise = np.full(4, 0.6) if isotropic else np.array([0.5, 0.9, 0.4, 1.3])
    x, _ = FactorAnalysis(LOADINGS, np.arange(4.0), noise, isotropic).sample(200, rng=seed)
    return kind(LOADINGS + 0.3, np.arange(4.0) + 0.2, 2 * noise, isotropic), x


def switches(seed, kind=BinaryFactors, exact=False):
    x, _ = BinaryFactors(2 * LOADINGS, np.zeros(4), 0.5, [0.3, 0.6]).sample(200, rng=seed)
    return kind(2 * LOADINGS + 0.2, np.full(4, 0.2), 1.0, [0.5, 0.5], exact), x


def bayes(seed, kind=BayesianMixture):
    _, x = mixture(seed)
    start = BayesianMixture.init(x, 3, rng=seed, prior=MixturePrior(0.7, [1, 1], 0.5, 4, np.eye(2)))
    return kind(**{name: getattr(start, name) for name in start.__dataclass_fields__}), x


def gaussian(seed, kind=BayesianGaussian):
    x = np.random.default_rng(seed).normal(2, 1.7, size=(200, 1))
    return kind(NormalGammaPrior(0.4, 0.8, 1.2, 0.9), -1.0, 3.0, 2.0, 5.0), x


def bells(seed, kind=TwoBells):
    return kind(1.7), TwoBells(2.5).sample(200, rng=seed)[0]


MODELS = {
    "mixture": mixture,
    "mixture with prior": lambda seed: mixture(seed, prior=True),
    "factors": factors,
    "factors, equal noise": lambda seed: factors(seed, isotropic=True),
    "switches": switches,
    "switches, all states": lambda seed: switches(seed, exact=True),
    "Bayesian mixture": bayes,
    "Bayesian Gaussian": gaussian,
    "two bells": bells,
}
NOT_ASKED = {
    "switches": {"tight", "recovery"},
    "Bayesian mixture": {"below", "tight", "recovery"},
    "Bayesian Gaussian": {"tight", "recovery"},
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("seed", range(2))
def test_the_models_of_the_course_keep_what_they_promise(name, seed):
    report = contract(*MODELS[name](seed), rng=seed)
    assert report.ok, report
    asked = {"methods", "ascent", "below", "tight", "stationary", "additive", "density", "samples"}
    assert set(report.kept) == (asked | {"recovery"}) - NOT_ASKED.get(name, set()), report


# ------------------------------------------------------------------ planted faults


class Unweighted(GaussianMixture):
    """Responsibilities without the weights."""

    def infer(self, x, q=None):
        return Categorical(replace(self, weights=np.full(3, 1 / 3))._posterior_of(x))

    def _posterior_of(self, x):
        return GaussianMixture.infer(self, x).probs


class ScatterOverLess(GaussianMixture):
    """A covariance with N - 1 in the denominator."""

    def learn(self, stats):
        new = super().learn(stats)
        return replace(new, covs=new.covs * (stats.r / (stats.r - 1))[:, None, None])


class AboutOldMeans(GaussianMixture):
    """The covariances about the means of before."""

    def learn(self, stats):
        covs = stats.scatter(self.means) / stats.r[:, None, None]
        return replace(super().learn(stats), covs=covs)


class NoEntropy(GaussianMixture):
    """H[q] forgotten."""

    def expect(self, x, q):
        return replace(super().expect(x, q), entropy=0.0)


class NoConstant(GaussianMixture):
    """The bound without its -N D/2 ln 2π."""

    def lower_bound(self, stats):
        return super().lower_bound(stats) + stats.n * np.log(2 * np.pi)


class NoConstantAnywhere(NoConstant):
    """And log_prob without it, too, so that they agree."""

    def log_prob(self, x):
        return super().log_prob(x) + np.log(2 * np.pi)


class Averaged(GaussianMixture):
    """Statistics that are means over data."""

    def expect(self, x, q):
        s = super().expect(x, q)
        return replace(s, r=s.r / s.n, rx=s.rx / s.n, rxx=s.rxx / s.n, entropy=s.entropy / s.n)


class CovarianceForFactor(GaussianMixture):
    """Noise that is multiplied by the covariance, and not by its Cholesky factor."""

    def sample(self, n, *, rng):
        rng = np.random.default_rng(rng)
        z = rng.choice(3, size=n, p=self.weights)
        noise = rng.standard_normal((n, 2))
        return self.means[z] + np.einsum("nij,nj->ni", self.covs[z], noise), z


class NoDeterminant(GaussianMixture):
    """log_prob without ln|Σ|."""

    def log_prob(self, x):
        flat = GaussianMixture.log_prob
        dets = np.linalg.det(self.covs)
        parts = [
            flat(GaussianMixture([1.0], m[None], c[None]), x) + 0.5 * np.log(d) + np.log(w)
            for w, m, c, d in zip(self.weights, self.means, self.covs, dets, strict=True)
        ]
        return np.logaddexp.reduce(parts)


class Overshoots(GaussianMixture):
    """Means that go 1.5 times as far as they should."""

    def learn(self, stats):
        new = super().learn(stats)
        return replace(new, means=self.means + 1.5 * (new.means - self.means))


class PriorForgotten(GaussianMixture):
    """A bound without ln p(Σ), for a learning step that has it."""

    def lower_bound(self, stats):
        return super().lower_bound(stats) - self.log_prior()


class StuckWeights(GaussianMixture):
    """Weights that are the mean of old and new."""

    def learn(self, stats):
        new = super().learn(stats)
        return replace(new, weights=0.5 * (new.weights + self.weights))


class InPlace(GaussianMixture):
    """Data that are centred where they lie."""

    def infer(self, x, q=None):
        if x.flags.writeable:
            x -= x.mean(axis=0)
        return super().infer(x)


class SeedIgnored(GaussianMixture):
    """Samples from a generator of its own."""

    def sample(self, n, *, rng):
        return super().sample(n, rng=np.random.default_rng())


class ForgetsLearning(GaussianMixture):
    """A learning step that returns nothing."""

    def learn(self, stats):
        super().learn(stats)


class NoPosteriorCovariance(FactorAnalysis):
    """Σ E[z zᵀ] from the means of z alone."""

    def expect(self, x, q):
        s = super().expect(x, q)
        return replace(s, zz=s.zz - s.n * q.cov)


class NoiseNotDivided(FactorAnalysis):
    """Ψ with its square root: a deviation for a variance."""

    def learn(self, stats):
        new = super().learn(stats)
        return replace(new, noise=np.sqrt(new.noise))


class MeanOfData(FactorAnalysis):
    """μ as the mean of x, with W of the regression that has another intercept."""

    def learn(self, stats):
        return replace(super().learn(stats), mean=stats.origin + stats.x / stats.n + 0.05)


class PriorForPosterior(FactorAnalysis):
    """A posterior with the right mean and the covariance of the prior."""

    def infer(self, x, q=None):
        q = super().infer(x)
        return LinearGaussian(q.weights, q.offset, np.eye(2))


class NoiseTwice(FactorAnalysis):
    """Samples with the variance for the deviation."""

    def sample(self, n, *, rng):
        rng = np.random.default_rng(rng)
        z = rng.standard_normal((n, 2))
        return z @ self.loadings.T + self.mean + self.noise * rng.standard_normal((n, 4)), z


class PartOfTheData(FactorAnalysis):
    """Statistics of whole batches of 50, the rest left out."""

    def expect(self, x, q):
        s = super().expect(x[: len(x) // 50 * 50], q)
        return replace(s, n=len(x))


class NoVariances(BinaryFactors):
    """The variances of z left out of Σ E[z zᵀ]."""

    def expect(self, x, q):
        s = super().expect(x, q)
        return replace(s, zz=s.zz - q.total_cov())


class HalfASweep(BinaryFactors):
    """A q that is mixed with the prior."""

    def infer(self, x, q=None):
        q = super().infer(x, q)
        return Bernoulli(0.7 * q.probs + 0.3 * self.probs)


class ProbsOfOne(BinaryFactors):
    """π with one datum more than there are."""

    def learn(self, stats):
        return replace(super().learn(stats), probs=(stats.z + 1) / (stats.n + 2))


class CallsItselfExact(BinaryFactors):
    """A factorised q that is said to be the posterior."""

    exact_inference = True


class NoPriorStrength(BayesianMixture):
    """β without β₀."""

    def learn(self, stats):
        return replace(super().learn(stats), strengths=stats.r + 1e-3)


class NoDivergence(BayesianMixture):
    """A bound that does not charge for q(π)."""

    def lower_bound(self, stats):
        return super().lower_bound(stats) + _kl_dirichlet(
            self.concentration, self.prior.concentration
        )


class Misprint(BayesianGaussian):
    """a_N = a₀ + N/2, where it is (N + 1)/2."""

    def infer_prec(self, stats):
        new = super().infer_prec(stats)
        return replace(new, shape=new.shape - 0.5)


class ForgottenHalf(TwoBells):
    """log_prob without the ln ½ of the coin."""

    def log_prob(self, x):
        return super().log_prob(x) - np.log(0.5)


class Unfair(TwoBells):
    """Samples of which the moving bell has two thirds."""

    def sample(self, n, *, rng):
        rng = np.random.default_rng(rng)
        z = (rng.random(n) < 2 / 3).astype(int)
        return (z * self.theta + rng.standard_normal(n))[:, None], z


class OldTheta(TwoBells):
    """A learning step that is right only where there is nothing to learn."""

    def learn(self, stats):
        return replace(self, theta=super().learn(stats).theta + 0.1 * (self.theta - at_rest()) ** 2)


def at_rest():
    return em.fit(*bells(0), tol=0.0, max_iter=3000).model.theta


class Divides(TwoBells):
    """A learning step that fails."""

    def learn(self, stats):
        return replace(self, theta=stats.rx / (0 * int(stats.r)))


def with_prior(seed, kind):
    return mixture(seed, kind, prior=True)


FAULTS = [
    (mixture, Unweighted, "tight", r"exact inference leaves the bound [\d.]+ nats short"),
    (mixture, ScatterOverLess, "stationary", r"moving `covs` .* raises the bound by 0\.0\d+ nats"),
    (mixture, AboutOldMeans, "stationary", "moving `covs`"),
    (mixture, NoEntropy, "tight", r"after inference L is -\d.* and ln p\(X\) is -\d"),
    (mixture, NoConstant, "below", "the bound is above what it bounds, by 368 nats"),
    (mixture, NoConstant, "tight", "exact inference leaves the bound 368 nats too high"),
    (mixture, NoConstantAnywhere, "density", r"integrates to 6\.\d+, \+1\.8\d* nats a row"),
    (mixture, Averaged, "additive", "statistics are not sums over data: the bound of all data"),
    (mixture, CovarianceForFactor, "samples", "others better than the truth does, by 0"),
    (mixture, NoDeterminant, "density", "log_prob is no density: it integrates to"),
    (mixture, Overshoots, "stationary", "`means`.*comes nearer: this is only a step"),
    (mixture, StuckWeights, "stationary", "`weights`.*comes nearer: this is only a step"),
    (mixture, InPlace, "methods", r"a method changed x in place \(x\)"),
    (mixture, SeedIgnored, "methods", "sample drew other data from the same seed"),
    (mixture, ForgetsLearning, "methods", "learn returned a NoneType; wanted a new Forgets"),
    (with_prior, PriorForgotten, "stationary", "moving `covs`"),
    (with_prior, PriorForgotten, "below", r"ln p\(X\) \+ ln p\(θ\)"),
    (factors, NoPosteriorCovariance, "below", "the bound is above what it bounds"),
    (factors, NoiseNotDivided, "stationary", "moving `noise`"),
    (factors, MeanOfData, "stationary", "moving `mean`"),
    (factors, PriorForPosterior, "tight", "exact inference leaves the bound"),
    (factors, NoiseTwice, "samples", "samples have another|samples do not have the density"),
    (factors, PartOfTheData, "additive", "statistics are not sums over data"),
    (switches, NoVariances, "below", "the bound is above what it bounds"),
    (
        switches,
        HalfASweep,
        "ascent",
        r"inference lowers the bound: at half-step \d+ it fell",
    ),
    (switches, ProbsOfOne, "stationary", "moving `probs`"),
    (switches, CallsItselfExact, "tight", "exact inference leaves the bound"),
    (bayes, NoPriorStrength, "stationary", "`strengths`"),
    (bayes, NoDivergence, "stationary", "moving `concentration`"),
    (gaussian, Misprint, "stationary", "moving `(shape|rate)`"),
    (bells, ForgottenHalf, "density", "it integrates to 2"),
    (bells, Unfair, "samples", "samples have another mean than log_prob says"),
    (bells, Divides, "methods", "learn raised ZeroDivisionError"),
]


class Hard(TwoBells):
    """Inference that decides for one bell: no posterior, and it says so."""

    exact_inference = False

    def infer(self, x, q=None):
        return Categorical(np.eye(2)[super().infer(x).probs.argmax(axis=1)])


def test_a_model_without_exact_inference_is_not_asked_for_it():
    _, x = bells(0)
    report = str(contract(Hard(1.0), x))
    assert "keeps what it promises" in report
    assert "tight" in report

    class Claims(Hard):
        exact_inference = True

    assert "exact inference leaves the bound" in str(contract(Claims(1.0), x))


@pytest.mark.parametrize(("make", "kind", "promise", "words"), FAULTS)
def test_a_fault_is_told_by_the_promise_that_it_breaks(make, kind, promise, words):
    report = contract(*make(0, kind))
    assert not report.ok
    assert kind.__name__ in str(report)
    found = {f.promise: f.words for f in report.findings}
    assert promise in found, report
    assert re.search(words, found[promise]), report


# ------------------------------------------------------------------ whatever a model may be


class Coin:
    """No dataclass and no lfm: a coin with a given number of sides up, seen with noise 1."""

    def __init__(self, prob):
        self.prob = prob

    def infer(self, x, q=None):
        odds = self.prob / (1 - self.prob) * np.exp(2 * x[:, 0])
        return odds / (1 + odds)

    def expect(self, x, q):
        entropy = -(q * np.log(q) + (1 - q) * np.log1p(-q)).sum()
        squares = q * (x[:, 0] - 1) ** 2 + (1 - q) * (x[:, 0] + 1) ** 2
        return np.array([len(x), q.sum(), squares.sum(), entropy])

    def learn(self, stats):
        return Coin(stats[1] / stats[0])

    def lower_bound(self, stats):
        n, up, squares, entropy = stats
        coin = up * np.log(self.prob) + (n - up) * np.log(1 - self.prob)
        return coin - 0.5 * squares - 0.5 * n * np.log(2 * np.pi) + entropy


class Smoothed(Coin):
    def learn(self, stats):
        return type(self)((stats[1] + 1) / (stats[0] + 2))


X = np.random.default_rng(0).normal(size=(90, 1)) + np.where(np.arange(90) % 3, 1, -1)[:, None]


def test_a_model_that_has_only_what_the_loop_needs_is_checked_for_that():
    report = contract(Coin(0.4), X)
    assert report.ok, report
    assert report.kept == ("methods", "ascent", "stationary", "additive")
    reasons = {f.promise: f.words for f in report.unchecked}
    assert reasons["below"] == "the model has no `log_prob`"
    assert reasons["samples"] == "the model has no `sample`"
    report = contract(Smoothed(0.4), X)
    assert [f.promise for f in report.findings] == ["stationary"]
    assert "moving `prob` raises the bound by" in report.findings[0].words


def test_it_also_starts_from_near_by_for_at_its_goal_a_model_has_nothing_to_learn():
    report = contract(OldTheta(at_rest()), bells(0)[1])
    assert "stationary" in {f.promise for f in report.findings}, report


def test_the_gap_is_told_in_nats():
    model, x = mixture(0, NoConstant)
    (finding,) = (f for f in contract(model, x).findings if f.promise == "below")
    assert finding.size == pytest.approx(200 * np.log(2 * np.pi), rel=1e-9)
    model, x = mixture(0, ScatterOverLess)
    (finding,) = (f for f in contract(model, x).findings if f.promise == "stationary")
    new = model.learn(stats := model.expect(x, model.infer(x)))
    best = GaussianMixture.learn(model, stats)
    assert 0 < finding.size < best.lower_bound(stats) - new.lower_bound(stats) + 1e-3


@dataclass(frozen=True)
class Fixed(TwoBells):
    """Two bells with a constant that no learning changes, and that a better value is known of."""

    width: float = 1.3

    def lower_bound(self, stats):
        return super().lower_bound(stats) - stats.n * (self.width - 1) ** 2

    def log_prob(self, x):
        return super().log_prob(x) - (self.width - 1) ** 2


def test_a_field_that_learning_leaves_alone_is_taken_for_a_constant_and_this_is_said():
    report = contract(Fixed(1.7), bells(0)[1])
    assert "stationary" in report.kept
    (note,) = (f for f in report.unchecked if f.promise == "stationary")
    assert note.words.startswith("learning leaves `width` as it is")


def test_a_model_that_refuses_data_says_so_and_nothing_else_is_claimed():
    x = np.column_stack([np.arange(9.0), np.zeros(9)])
    report = contract(GaussianMixture([1.0], [[0.0, 0.0]], [np.eye(2)]), x)
    assert not report.ok
    assert report.kept == ()
    assert report.findings[0].words.startswith("learn raised DegenerateComponent: component 0")
    assert {f.words for f in report.unchecked} == {"its methods have to work first"}
    many = BinaryFactors(np.ones((3, 16)), np.zeros(3), 1.0, np.full(16, 0.5))
    report = contract(many, np.random.default_rng(0).normal(size=(20, 3)))
    assert report.ok, report
    assert "2^16 states" in {f.promise: f.words for f in report.unchecked}["below"]


@pytest.mark.parametrize("method", ["infer", "expect", "learn", "lower_bound", "log_prob"])
def test_the_method_that_raised_is_named_also_where_its_function_has_another_name(method):
    def written_elsewhere(self, *args):
        return float("no number")

    kind = type("Borrowed", (TwoBells,), {method: written_elsewhere})
    (finding,) = contract(kind(1.0), bells(0)[1]).findings[:1]
    assert finding.words.startswith(f"{method} raised ValueError: could not convert string")


def test_a_report_is_a_frozen_value_and_true_where_nothing_is_broken():
    report = contract(*bells(0))
    assert isinstance(report, Report)
    assert report
    assert str(report).startswith("TwoBells keeps what it promises.\nKept: methods, ascent")
    with pytest.raises(AttributeError):
        report.findings = ()
    broken = contract(*bells(0, Divides))
    assert not broken
    assert str(broken).startswith("Divides breaks 1 promise:\n  methods: learn raised")


def test_neither_data_nor_model_is_touched_and_the_same_seed_says_the_same():
    model, x = mixture(0, ScatterOverLess)
    before = x.copy()
    assert str(contract(model, x, rng=4)) == str(contract(model, x, rng=4))
    np.testing.assert_array_equal(x, before)
    contract(*mixture(0, InPlace))  # which centres a copy


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((TwoBells, X), TypeError, "model is the class TwoBells; wanted a model"),
        ((TwoBells(1.0), X[:2]), ValueError, "x has 2 rows; wanted at least 3"),
        ((TwoBells(1.0), [[np.nan]] * 5), ValueError, "x has 5 values that are not finite"),
        ((TwoBells(1.0), "data"), TypeError, "x holds"),
    ],
)
def test_bad_arguments_are_named(arguments, error, message):
    with pytest.raises(error, match=message):
        contract(*arguments)
    with pytest.raises(TypeError, match="rng"):
        contract(TwoBells(1.0), X, rng="seed")


def test_what_is_no_model_lacks_all_methods():
    report = contract(object(), X)
    assert report.findings[0].words == "the model has no infer, expect, learn, lower_bound"
