"""The loop: what it yields, when it stops, and that it notices a step that goes down."""

import itertools
from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np
import pytest

from lfm import data, em
from lfm.distributions import Categorical
from lfm.em import BoundDecreased
from lfm.gaussian_mixture import GaussianMixture
from lfm.toy import TwoBells
from lfm.variational_em import BinaryFactors

X = TwoBells(3.0).sample(80, rng=0)[0]
START = TwoBells(0.7)


@dataclass(frozen=True)
class Wrong:
    """A model that does one thing wrong."""

    right: TwoBells
    step: float = 0.0  # how far learning misses
    sign: float = 1.0  # the sign of the bound
    value: float | None = None  # what the bound says, if not the truth

    def infer(self, x, q=None):
        return self.right.infer(x, q)

    def expect(self, x, q):
        return self.right.expect(x, q)

    def learn(self, stats):
        return replace(self, right=TwoBells(self.right.learn(stats).theta + self.step))

    def lower_bound(self, stats):
        return self.sign * self.right.lower_bound(stats) if self.value is None else self.value


def test_half_steps_alternate_and_inference_is_first():
    steps = list(itertools.islice(em.steps(START, X), 6))
    assert [s.half for s in steps] == ["inference", "learning"] * 3
    assert steps[0].model is START
    for step in steps:
        assert step.bound == step.model.lower_bound(step.stats)
    assert steps[1].q is steps[0].q  # learning leaves q where it is
    assert steps[2].model is steps[1].model  # inference leaves θ


def test_the_bound_rises_and_touches_the_likelihood_after_inference():
    steps = list(itertools.islice(em.steps(START, X), 20))
    bounds = np.array([s.bound for s in steps])
    assert (np.diff(bounds) >= -1e-12 * abs(bounds[0])).all()
    assert bounds[-1] > bounds[0] + 10
    for step in steps[::2]:
        assert step.bound == pytest.approx(step.model.log_prob(X).sum(), rel=1e-12)
    for step in steps[1:8:2]:
        assert step.bound < step.model.log_prob(X).sum()


@pytest.mark.parametrize(
    ("wrong", "half"),
    [
        (Wrong(START, step=2.0), "learning"),
        (Wrong(START, sign=-1.0), "learning"),
    ],
)
def test_a_step_that_goes_down_is_noticed(wrong, half):
    with pytest.raises(em.BoundDecreased, match=f"the {half} step lowered the bound from"):
        em.fit(wrong, X)


def test_inference_that_goes_down_is_noticed():
    class Forgetful(TwoBells):
        def infer(self, x, q=None):
            return super().infer(x) if q is None else q.__class__(np.full((len(x), 2), 0.5))

    with pytest.raises(em.BoundDecreased, match="the inference step"):
        em.fit(Forgetful(3.0), X)


def test_rounding_is_no_fall():
    bounds = [s.bound for s in itertools.islice(em.steps(START, X), 600)]  # hundreds on the spot
    assert bounds[-1] == pytest.approx(bounds[200], rel=1e-14)
    assert min(np.diff(bounds)) > -1e-11


@pytest.mark.parametrize("max_iter", [0, 1, 5])
def test_max_iter_counts_learning_steps(max_iter):
    fit = em.fit(START, X, max_iter=max_iter, tol=0)
    assert len(fit.bounds) == max_iter + 1
    states = [s.model for s in itertools.islice(em.steps(START, X), 2 * max_iter + 1)]
    assert fit.model == states[-1]


def test_tol_is_in_nats_per_datum():
    fit = em.fit(START, X, tol=1e-3)
    rises = np.diff(fit.bounds) / len(X)
    assert fit.converged
    assert rises[-1] < 1e-3
    assert (rises[:-1] >= 1e-3).all()
    twice = em.fit(START, np.vstack([X, X]), tol=1e-3)  # the same rule for twice the data
    assert len(twice.bounds) == len(fit.bounds)
    assert not em.fit(START, X, max_iter=1).converged


def test_settled_is_a_last_rise_below_tol_for_each_datum():
    assert not em.settled([], 10, 1.0)
    assert not em.settled([5.0], 10, 1.0)  # nothing has risen yet
    assert em.settled([0.0, 9.5], 10, 1.0)
    assert not em.settled([0.0, 10.0], 10, 1.0)  # less, not as much
    assert not em.settled([9.0, 9.5, 20.0], 10, 1.0)  # only the last counts
    assert em.settled([0.0, 20.0, 20.0], 10, 1.0)
    assert em.settled([1.0, 1.0 - 1e-12], 10, 0.0)  # a fall by rounding
    assert not em.settled([1.0, 1.0], 10, 0.0)
    assert not em.settled([-np.inf, 1.0], 10, 1.0)


def test_every_default_works_on_a_plain_array():
    fit = em.fit(START, X)
    assert fit.converged
    assert [*vars(fit)] == ["model", "q", "bounds", "converged"]
    np.testing.assert_array_equal(fit.q.probs, fit.model.infer(X).probs)


@pytest.mark.parametrize("batch_size", [1, 7, 80, 1000])
def test_batches_change_nothing_but_the_form_of_q(batch_size):
    toy = data.three_blobs(80, rng=0)
    start = GaussianMixture.init(toy.x, 3, rng=0)
    whole = em.fit(start, toy.x, max_iter=10, tol=0)
    parts = em.fit(start, toy.x, max_iter=10, tol=0, batch_size=batch_size)
    np.testing.assert_allclose(parts.bounds, whole.bounds, rtol=1e-10)
    np.testing.assert_allclose(parts.model.covs, whole.model.covs, rtol=1e-8)
    np.testing.assert_allclose(np.vstack([q.probs for q in parts.q]), whole.q.probs, atol=1e-8)


def test_a_given_q_reaches_inference():
    seen = []

    class Watching(TwoBells):
        def infer(self, x, q=None):
            seen.append(q)
            return super().infer(x, q)

    given = START.infer(X)
    em.fit(Watching(0.7), X, given, max_iter=1)
    assert seen[0] is given
    assert seen[1] is not None
    seen.clear()
    em.fit(Watching(0.7), X, [None, given], max_iter=0, batch_size=40)
    assert seen == [None, given]
    with pytest.raises(ValueError, match="q must be a list of 2"):
        em.fit(START, X, given, batch_size=40)


def test_statistics_of_different_kinds_do_not_add():
    mine = START.expect(X, START.infer(X))
    other = GaussianMixture([1.0], [[0.0]], [[[1.0]]])
    with pytest.raises(TypeError):
        mine + other.expect(X, other.infer(X))
    with pytest.raises(TypeError):
        other.expect(X, other.infer(X)) + mine


def test_sum_adds_up_batches():
    parts = [START.expect(b, START.infer(b)) for b in np.array_split(X, 5)]
    whole = START.expect(X, START.infer(X))
    total = sum(parts)
    assert total.n == whole.n
    assert total.rx == pytest.approx(whole.rx, rel=1e-12)
    with pytest.raises(TypeError):
        1 + whole


def test_progress_is_shown_where_asked_and_changes_nothing(capsys):
    quiet = em.fit(START, X)
    assert capsys.readouterr().err == ""
    loud = em.fit(START, X, progress=True)
    assert "nats per datum" in capsys.readouterr().err
    np.testing.assert_array_equal(loud.bounds, quiet.bounds)


# ------------------------------------------------------------------ a model of one's own


class HardMixture(GaussianMixture):
    """Each datum belongs to one component: `infer` is its own, `infer_and_expect` inherited."""

    def infer(self, x, q=None):
        return Categorical(np.eye(len(self.weights))[super().infer(x).mode()])


def test_a_subclass_with_its_own_inference_is_run_with_it():
    x = data.old_faithful()
    start = GaussianMixture.init(x, 2, rng=0)
    hard = HardMixture(start.weights, start.means, start.covs)
    fit = em.fit(hard, x, max_iter=3, tol=0)
    assert set(np.unique(fit.q.probs)) == {0.0, 1.0}
    assert fit.bounds[-1] == fit.model.lower_bound(fit.model.expect(x, fit.q))
    assert not np.allclose(fit.model.means, em.fit(start, x, max_iter=3, tol=0).model.means)
    batched = em.fit(hard, [x[:100], x[100:]], max_iter=3, tol=0)
    np.testing.assert_allclose(batched.bounds, fit.bounds, rtol=1e-12)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_bound_that_is_no_number_is_told(value):
    with pytest.raises(BoundDecreased, match=f"after the inference step the bound is {value}"):
        em.fit(Wrong(START, value=value), X)


def test_the_rounding_of_a_bound_that_is_no_number_is_not_asked_for():
    class Failing(Wrong):
        def rounding(self, stats):
            raise OverflowError("asked for")

    with pytest.raises(BoundDecreased, match="the bound is nan"):
        em.fit(Failing(START, value=np.nan), X)
    with pytest.raises(OverflowError):
        em.fit(Failing(START), X)


def test_a_bound_may_begin_at_minus_infinity_and_not_end_there():
    values = iter([-np.inf, -10.0, -9.0, -np.inf])
    model = SimpleNamespace(
        infer=START.infer, expect=START.expect, lower_bound=lambda stats: next(values)
    )
    model.learn = lambda stats: model
    with pytest.raises(BoundDecreased, match="the learning step lowered the bound from -9 to -inf"):
        em.fit(model, X)


class Growing:
    """Batches that are one more each time they are read."""

    def __init__(self):
        self.n = 1

    def __iter__(self):
        self.n += 1
        return iter([X] * self.n)


def test_data_that_grow_are_told():
    model = BinaryFactors([[1.0]], [0.0], 1.0, [0.5])
    with pytest.raises(ValueError, match=r"x gave (more batches than at first|\d+ rows at first)"):
        em.fit(model, Growing(), max_iter=5)
