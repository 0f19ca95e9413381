"""Frozen values: what a field wants, what a class may not have, and a q that is computed late."""

import copy
import dataclasses
import pickle
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest

from lfm import data, em
from lfm.distributions import Bernoulli, Categorical, InverseWishart, LinearGaussian
from lfm.engine.values import (
    Deferred,
    array,
    covariances,
    frozen,
    instance,
    number,
    positive,
    switch,
)
from lfm.factor_analysis import FactorAnalysis
from lfm.gaussian_mixture import GaussianMixture
from lfm.variational_bayes import BayesianGaussian, BayesianMixture, MixturePrior, NormalGammaPrior
from lfm.variational_em import BinaryFactors

GEYSER = data.old_faithful()


@frozen
class Line:
    slope: np.ndarray = array("D")
    cov: np.ndarray = covariances("D", "D")
    noise: np.ndarray = positive("N")
    scale: float | None = number(low=0.0, default=None)
    other: "Line | None" = instance(GaussianMixture, optional=True)
    upright: bool = switch(False)

    def _default(self, name):
        return float(self.noise.mean())

    def _check(self):
        if self.upright and self.slope[0] != 0:
            raise ValueError("slope is not upright")


LINE = Line([1, 2], np.eye(2), [3.0, 4.0, 5.0])


def test_fields_are_checked_copied_and_read_only():
    mine = np.array([1.0, 2.0])
    line = Line(mine, np.eye(2), [3.0])
    mine[0] = 9
    assert line.slope[0] == 1
    with pytest.raises(ValueError, match="read-only"):
        line.slope[0] = 2
    with pytest.raises(FrozenInstanceError):
        line.scale = 1.0
    assert LINE.scale == 4.0
    assert replace(LINE, scale=2.0).scale == 2.0


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"slope": [1, 2, 3]}, ValueError, r"cov has shape \(2, 2\); wanted \(3, 3\)"),
        ({"cov": -np.eye(2)}, ValueError, "cov is not positive definite"),
        ({"noise": [1.0, 0.0]}, ValueError, "noise has the value 0; wanted variances, all > 0"),
        ({"scale": 0.0}, ValueError, "scale is 0.0; wanted a number that is finite and > 0"),
        ({"other": 1}, TypeError, "other is int; wanted a GaussianMixture or None"),
        ({"upright": 1}, TypeError, "upright is 1; wanted True or False"),
        ({"upright": True}, ValueError, "slope is not upright"),
    ],
)
def test_what_is_wrong_is_named(change, error, message):
    with pytest.raises(error, match=message):
        replace(LINE, **change)


def test_a_copy_is_the_value_and_a_pickle_is_made_anew():
    assert copy.copy(LINE) is copy.deepcopy(LINE) is LINE
    again = pickle.loads(pickle.dumps(LINE))
    np.testing.assert_array_equal(again.cov, LINE.cov)
    assert not again.cov.flags.writeable


@pytest.mark.parametrize("name", ["__post_init__", "__reduce__", "__copy__", "__deepcopy__"])
def test_what_frozen_makes_is_not_lost_unseen(name):
    with pytest.raises(TypeError, match=f"Mine has its own {name}"):
        frozen(type("Mine", (), {"__annotations__": {}, name: lambda self, *_: None}))


def test_a_q_is_computed_when_it_is_read_and_is_one_like_any_other():
    fit = em.fit(GaussianMixture.init(GEYSER, 2, rng=0), GEYSER)
    assert isinstance(vars(fit)["q"], Deferred)
    assert type(fit.q) is Categorical
    assert fit.q is fit.q
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fit)).q.probs, fit.q.probs)
    parts = em.fit(GaussianMixture.init(GEYSER, 2, rng=0), GEYSER, batch_size=100)
    assert [type(q) for q in parts.q] == [Categorical] * 3
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'q'"):
        em.Fit(model=fit.model, bounds=fit.bounds, converged=True)


# ------------------------------------------------------------------ the values of the course


def values():
    """Yield every frozen value of the closed-form chapters, each looked at once."""
    rng, iw = np.random.default_rng(0), InverseWishart.from_data(GEYSER)
    mixture = GaussianMixture.init(GEYSER, 2, rng=0, prior=iw)
    bayes = BayesianMixture.init(GEYSER, 2, rng=0)
    factors = FactorAnalysis.init(np.hstack([GEYSER, GEYSER + rng.normal(size=GEYSER.shape)]), 1)
    switches = BinaryFactors.init(GEYSER, 2, rng=0)
    exact = BinaryFactors.init(GEYSER, 2, rng=0, exact=True)
    for model in (mixture, bayes, switches, exact):
        model.log_prob(GEYSER)
        yield model
        yield model.infer(GEYSER)
    yield from (factors, factors.infer(np.zeros((1, 4))), iw, MixturePrior.from_data(GEYSER))
    yield from (Categorical(np.eye(3)), Bernoulli(np.eye(3)), NormalGammaPrior(0.0, 1.0, 1.0, 1.0))
    yield from (BayesianGaussian(NormalGammaPrior(0.0, 1.0, 1.0, 1.0)),)
    yield LinearGaussian(np.eye(2), np.zeros(2), np.eye(2))


def pickled(value):
    return pickle.loads(pickle.dumps(value))


def arrays_of(value):
    return {n: a for n, a in vars(value).items() if isinstance(a, np.ndarray)}


@pytest.mark.parametrize("value", list(values()), ids=lambda v: type(v).__name__)
@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickled])
def test_a_copy_is_as_frozen_and_as_right_as_the_value(value, copied):
    twin = copied(value)
    assert type(twin) is type(value)
    own = [f.name for f in dataclasses.fields(value)] if dataclasses.is_dataclass(value) else []
    for name in set(own) & set(arrays_of(twin)):
        array = getattr(twin, name)
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
        np.testing.assert_array_equal(array, getattr(value, name))
    if hasattr(value, "log_prob") and hasattr(value, "infer") and hasattr(value, "covs"):
        np.testing.assert_array_equal(twin.log_prob(GEYSER), value.log_prob(GEYSER))
    if hasattr(value, "entropy"):
        np.testing.assert_array_equal(twin.entropy(), value.entropy())


@pytest.mark.parametrize(
    "model",
    [GaussianMixture.init(GEYSER, 2, rng=0), BayesianMixture.init(GEYSER, 2, rng=0),
     BinaryFactors.init(GEYSER, 2, rng=0, exact=True)],
    ids=lambda m: type(m).__name__,
)  # fmt: skip
@pytest.mark.parametrize("change", ["standardise", "shuffle", "one value"])
def test_a_q_that_is_looked_at_late_is_of_the_data_it_was_inferred_from(model, change):
    x = GEYSER.copy()
    late, looked_at = em.fit(model, x), em.fit(model, x).q
    before = looked_at.probs.copy()
    if change == "standardise":
        x -= x.mean(axis=0)
    elif change == "shuffle":
        np.random.default_rng(0).shuffle(x)
    else:
        x[5, 1] += 1
    np.testing.assert_array_equal(looked_at.probs, before)
    if isinstance(model, BinaryFactors):  # its statistics were taken from the marginals already
        np.testing.assert_array_equal(late.q.probs, before)
    else:
        with pytest.raises(ValueError, match="x was changed in place after this q"):
            late.q  # noqa: B018 - it is computed here
    q = model.infer(x)  # what `infer` returns is computed already
    now = q.probs.copy()
    x *= 2
    np.testing.assert_array_equal(q.probs, now)
    np.testing.assert_array_equal(pickled(looked_at).probs, before)
