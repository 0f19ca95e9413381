"""How data pass through inference: batches, in whatever form they come, are what the array is."""

import itertools

import numpy as np
import pytest
import test_contract as contract
from batches import MIXTURE, X, spoiled

from lfm import data, em
from lfm.distributions import LinearGaussian
from lfm.engine import passes
from lfm.engine.values import Deferred
from lfm.factor_analysis import FactorAnalysis
from lfm.gaussian_mixture import GaussianMixture
from lfm.variational_em import BinaryFactors


class Halves:
    """A model that records what is asked of it; its statistics are sums of x."""

    def __init__(self):
        self.calls = []

    def infer(self, x, q=None):
        self.calls.append(("infer", len(x), q))
        return (q or 0) + 1

    def expect(self, x, q):
        self.calls.append(("expect", len(x), q))
        return em.Stats(len(x), float(x.sum()))

    def learn(self, stats):
        return self

    def lower_bound(self, stats):
        return 0.0


class Free(Halves):
    """One that infers without the old q."""

    needs_q = False


class OnePass(Free):
    def infer_and_expect(self, x):
        self.calls.append(("both", len(x)))
        return em.Stats(len(x), float(x.sum()))


class NeedsQ(OnePass):
    """One whose pass could not be given the old q."""

    needs_q = True


class OwnJoint(OnePass):
    def log_joint(self, x):
        return x


class OwnInfer(OnePass):
    """One whose inference is its own, with which the inherited pass does not go."""

    def infer(self, x, q=None):
        return super().infer(x, q)


class Summed(Halves):
    def summarise(self, x):
        return x if isinstance(x, em.Stats) else em.Stats(len(x), float(x.sum()))

    def expect(self, x, q):
        return x

    def infer(self, x, q=None):
        return q


def test_an_array_passes_whole_or_in_batches_with_a_q_for_each():
    model = Halves()
    way = passes.over(model, X)
    assert isinstance(way, passes.Whole)
    assert way.infer(model, 5) == 6
    stats = way.expect(model, 6)
    assert (stats.n, stats.entropy) == (40, pytest.approx(X.sum()))
    assert model.calls == [("infer", 40, 5), ("expect", 40, 6)]
    model = Halves()
    way = passes.over(model, X, 15)
    assert way.keep
    qs = way.infer(model, None)
    assert qs == [1, 1, 1]
    assert way.infer(model, qs) == [2, 2, 2]
    stats = way.expect(model, [7, 8, 9])
    assert (stats.n, stats.entropy) == (40, pytest.approx(X.sum()))
    assert model.calls[-3:] == [("expect", 15, 7), ("expect", 15, 8), ("expect", 10, 9)]
    assert way.n == 40
    for q in ([1, 1], [1] * 4, (1, 1, 1)):
        with pytest.raises(ValueError, match="q must be a list of 3"):
            way.infer(model, q)


def test_no_q_is_kept_where_none_is_needed_and_none_asked_for():
    batches = [X[:15], X[15:]]
    for model, batch_size, x, keep in (
        (Free(), None, batches, False),
        (Free(), 15, X, True),
        (Halves(), None, batches, True),
    ):
        assert passes.over(model, x, batch_size).keep is keep
    model = Free()
    way = passes.over(model, batches)
    assert way.infer(model, None) is None
    assert way.expect(model, None).n == 40
    assert model.calls == [
        ("infer", 15, None), ("expect", 15, 1), ("infer", 25, None), ("expect", 25, 1),
    ]  # fmt: skip


def test_one_pass_is_taken_where_it_goes_with_the_inference():
    model = OnePass()
    way = passes.over(model, X)
    assert isinstance(way.infer(model, None), Deferred)
    way.expect(model, None)
    assert model.calls == [("both", 40)]
    model = OwnInfer()
    way = passes.over(model, X)
    assert way.infer(model, None) == 1
    way.expect(model, 1)
    assert model.calls == [("infer", 40, None), ("expect", 40, 1)]
    for other in (Halves(), OwnJoint(), NeedsQ()):
        assert not passes._in_one_pass(other)


def test_sums_stand_for_the_data_unless_batches_are_asked_for():
    model = Summed()
    for x in (X, [X[:15], X[15:]]):
        way = passes.over(model, x)
        assert isinstance(way, passes.Whole)
        assert (way.x.n, way.x.entropy) == (40, pytest.approx(X.sum()))
    assert isinstance(passes.over(model, X, 10), passes.Batches)
    doubled = passes.over(model, X, total=lambda s: s + s)
    assert doubled.x.n == 80


def test_total_is_asked_once_for_each_pass_and_gives_the_same_kind():
    for x, batch_size in ((X, None), (X, 15), ([X[:15], X[15:]], None)):
        asked = []
        way = passes.over(Free(), x, batch_size, total=lambda s, a=asked: a.append(s.n) or s + s)
        assert way.expect(Free(), None if batch_size is None else [1] * 3).n == 80
        assert asked == [40]
    way = passes.over(Free(), X, total=lambda s: s.n)
    with pytest.raises(TypeError, match="what total returned is int; wanted a Stats"):
        way.expect(Free(), 1)


@pytest.mark.parametrize(
    ("model", "found"), [(Halves, "the class Halves"), (3, "int"), (em, "module")]
)
def test_what_is_no_model_is_named(model, found):
    with pytest.raises(TypeError, match=f"model is {found}; wanted a model, with its infer, exp"):
        passes.over(model, X)


def test_batches_that_end_early_or_late_are_noticed():
    way = passes.over(Halves(), [X[:15], X[15:]])
    with pytest.raises(ValueError, match="x gave more batches than at first"):
        way.expect(Halves(), [1])
    for size, error in ((0, ValueError), (1.5, TypeError), (True, TypeError)):
        with pytest.raises(error, match=f"batch_size is {size}"):
            passes.over(Halves(), X, size)


# ------------------------------------------------------------------ in use


class Again:
    """Batches made anew each time they are read."""

    def __init__(self, make):
        self.make = make

    def __iter__(self):
        return iter(self.make())


def same_steps(model, x, batches, n=12):
    whole = list(itertools.islice(em.steps(model, x), n))
    parts = list(itertools.islice(em.steps(model, batches), n))
    np.testing.assert_allclose(
        [s.bound for s in parts], [s.bound for s in whole], rtol=1e-12, atol=0
    )
    contract.assert_same(parts[-1].model, whole[-1].model)
    return parts[-1]


@pytest.mark.parametrize("case", contract.ALL_CASES)
@pytest.mark.parametrize("sizes", [[300], [1, 2, 97, 100, 100]], ids=["one", "several"])
def test_batches_give_what_the_array_gives(case, sizes):
    model, x = contract.ALL_CASES[case](0)
    batches = np.split(x, np.cumsum(sizes))
    batches = [batch for batch in batches if len(batch)]
    step = same_steps(model, x, batches)
    same_steps(model, x, Again(lambda: iter(batches)), n=4)
    if isinstance(model, BinaryFactors) and not model.exact:
        assert [len(q.probs) for q in step.q] == [len(batch) for batch in batches]
    elif isinstance(model, FactorAnalysis):  # its q is one map for all data
        assert isinstance(step.q, LinearGaussian)
    else:
        assert step.q is None


@pytest.mark.parametrize("case", ["mixture", "factors", "Bayesian mixture", "switches"])
def test_shards_give_what_the_array_gives(case, tmp_path):
    model, x = contract.ALL_CASES[case](0)
    data.write_shards(tmp_path / "x", x, rows=70)
    for batch_size in (None, 33):
        same_steps(model, x, data.Shards(tmp_path / "x", batch_size=batch_size))


def test_a_memory_mapped_array_is_cut_like_any_other(tmp_path):
    np.save(tmp_path / "x.npy", X)
    x = np.load(tmp_path / "x.npy", mmap_mode="r")
    whole = em.fit(MIXTURE, X, max_iter=5, tol=0)
    for fit in (
        em.fit(MIXTURE, x, max_iter=5, tol=0),
        em.fit(MIXTURE, [x[i : i + 7] for i in range(0, 40, 7)], max_iter=5, tol=0),
    ):
        np.testing.assert_allclose(fit.bounds, whole.bounds, rtol=1e-12)


def test_batches_far_apart_and_far_from_zero_give_what_the_array_gives():
    rng = np.random.default_rng(1)
    centres = 1e5 + 100 * np.arange(4.0)[:, None] * np.ones(3)
    x = np.vstack([c + rng.normal(size=(200, 3)) for c in centres])  # sorted by component
    model = GaussianMixture(np.full(4, 0.25), centres + 0.3, [2 * np.eye(3)] * 4)
    whole = em.fit(model, x, max_iter=5, tol=0)
    parts = em.fit(model, np.split(x, 4), max_iter=5, tol=0)
    np.testing.assert_allclose(parts.bounds, whole.bounds, rtol=1e-9)
    factors = FactorAnalysis.init(x, 1)
    whole = em.fit(factors, x, max_iter=5, tol=0)
    parts = em.fit(factors, np.split(x, 4), max_iter=5, tol=0)
    np.testing.assert_allclose(parts.bounds, whole.bounds, rtol=1e-9)


def test_factor_analysis_reads_batches_once_and_the_mixture_in_every_iteration():
    reads = []

    def make():
        reads.append(1)
        return np.split(X, 4)

    em.fit(FactorAnalysis([[1.0], [0.5]], [0, 0], [1, 2]), Again(make), max_iter=5, tol=0)
    assert len(reads) == 1
    em.fit(MIXTURE, Again(make), max_iter=5, tol=0)
    assert len(reads) == 1 + 6


def test_a_q_for_each_batch_may_be_given():
    model, x = contract.ALL_CASES["switches"](0)
    batches = np.split(x, 3)
    fit = em.fit(model, batches, max_iter=3, tol=0)
    again = em.fit(fit.model, batches, fit.q, max_iter=0)
    assert again.bounds[0] >= fit.bounds[-1] - 1e-9
    for q in (fit.q[:2], [*fit.q, fit.q[0]], fit.q[0]):
        with pytest.raises(ValueError, match="q must be a list of 3, one for each batch of x"):
            em.fit(model, batches, q, max_iter=0)


def test_total_stands_between_expectation_and_learning():
    halves = np.split(X, 2)
    other = MIXTURE.expect(halves[1], MIXTURE.infer(halves[1]))
    step = next(em.steps(MIXTURE, halves[0], total=lambda mine: mine + other))
    whole = next(em.steps(MIXTURE, X))
    assert step.stats.n == 40
    assert step.bound == pytest.approx(whole.bound, rel=1e-13)
    with pytest.raises(TypeError, match="total is 3; wanted a function of statistics"):
        em.fit(MIXTURE, X, total=3)


ONCE = "x is an iterator, which can be read only once.*data.Shards.*scale.online"


BAD_BATCHES = {
    "a generator": (lambda: (b for b in [X, X]), TypeError, ONCE),
    "an iterator": (lambda: iter([X, X]), TypeError, ONCE),
    "a map": (lambda: map(np.asarray, [X, X]), TypeError, ONCE),
    "NaN": (lambda: [X, spoiled(np.nan)], ValueError, r"batch 1 of x has 1 values .*\[3, 1\]"),
    "inf": (lambda: [X, X, spoiled(np.inf)], ValueError, "batch 2 of x has 1 values"),
    "too large": (lambda: [X, X * 1e200], ValueError, "batch 1 of x is too large"),
    "other columns": (lambda: [X, X[:, :1]], ValueError, "batch 1 of x has 1 columns; wanted 2"),
    "not the model's": (lambda: [np.ones((5, 3))] * 2, ValueError, "x has 3 columns; wanted 2"),
    "one row too flat": (lambda: [X, X[0]], ValueError, r"batch 1 of x has shape \(2,\)"),
    "an empty batch": (lambda: [X, X[:0]], ValueError, r"batch 1 of x has shape \(0, 2\)"),
    "text": (lambda: [X, "text"], TypeError, "batch 1 of x holds"),
    "None": (lambda: [X, None], TypeError, "batch 1 of x is None"),
    "no batch": (lambda: Again(list), ValueError, "x gave no batch; wanted at least one"),
}


@pytest.mark.parametrize("kind", BAD_BATCHES)
@pytest.mark.parametrize(
    "model", [MIXTURE, FactorAnalysis([[1.0], [0.5]], [0, 0], [1, 2])], ids=["mixture", "factors"]
)
def test_bad_batches_are_named(kind, model):
    make, error, message = BAD_BATCHES[kind]
    with pytest.raises(error, match=message):
        em.fit(model, make())


def test_batches_that_change_are_noticed():
    parts = iter([[X, X], [X]])
    with pytest.raises(ValueError, match="x gave 80 rows at first and 40 now"):
        em.fit(MIXTURE, Again(lambda: next(parts)))
    once = iter([X, X])
    with pytest.raises(ValueError, match="x gave no batch; wanted at least one, each time"):
        em.fit(MIXTURE, Again(lambda: once))
    with pytest.raises(ValueError, match="batch_size is 7; wanted None, for x is in batches"):
        em.fit(MIXTURE, [X, X], batch_size=7)


def test_lists_of_rows_are_still_one_array():
    whole = em.fit(MIXTURE, X, max_iter=2)
    for x in (X.tolist(), list(X), tuple(map(tuple, X))):
        np.testing.assert_array_equal(em.fit(MIXTURE, x, max_iter=2).bounds, whole.bounds)
