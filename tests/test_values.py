"""Frozen values: what a field wants, what a class may not have, and a q that is computed late."""

import copy
import pickle
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest

from lfm import data, em
from lfm.engine.values import array, covariances, frozen, instance, number, positive, switch
from lfm.gaussian_mixture import GaussianMixture


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


def test_a_deferred_q_says_what_it_is():
    x = data.old_faithful()
    q = em.fit(GaussianMixture.init(x, 2, rng=0), x).q
    assert repr(q) == "q(Z) of a GaussianMixture, not looked at"
    assert q.mode().shape == (272,)
    assert repr(q).startswith("Categorical(probs=")
    assert "entropy" in dir(q)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(q)).probs, q.probs)
