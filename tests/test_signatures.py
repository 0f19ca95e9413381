"""Signatures that say what is wanted: checked as they stand, and words where they are but words."""

import inspect
from dataclasses import dataclass

import numpy as np
import pytest

from lfm.distributions import Categorical
from lfm.em import Stats
from lfm.engine.signatures import (
    Amount,
    Column,
    Count,
    Counts,
    Data,
    Doubles,
    Rng,
    Rows,
    Switch,
    Whole,
    checked,
    letters,
)
from lfm.engine.values import array, frozen, instance, sums

X = np.arange(6).reshape(3, 2)


def test_annotations_that_are_words_are_refused():
    names = {"checked": checked, "Count": Count}
    code = "from __future__ import annotations\n@checked\ndef f(n: Count): ..."
    with pytest.raises(TypeError, match="f has `from __future__ import annotations`"):
        exec(code, names)


@dataclass(frozen=True, eq=False)
class Sums(Stats):
    rx: np.ndarray = sums("K", "D")
    total: float = 0.0


@frozen
class Model:
    means: np.ndarray = array("K", "D")

    @classmethod
    def init(cls, x: Data, n_components: Count = 1, *, prior: "Model | None" = None):
        return cls(np.ones((n_components, x.shape[1])))

    def infer(self, x: Rows, q: Categorical | None = None):
        return x, q

    def expect(self, x: Data, q: Categorical):
        return q.probs

    def learn(self, stats: Sums):
        return stats

    def either(self, x: Data | Categorical):
        return x


MODEL = Model(np.zeros((4, 2)))
Q = Categorical(np.full((3, 4), 0.25))


@checked
def kinds(
    a: Column = None,
    b: Doubles = None,
    c: Count = 1,
    d: Whole = 0,
    e: Counts = (1,),
    f: Amount = 0.0,
    *,
    g: Switch = False,
    rng: Rng = 0,
    steps: Whole | None = None,
    note: str = "",
):
    """Return what came."""
    return locals()


def test_arguments_come_as_what_they_are_to_be():
    found = kinds([[1.0]], [[1]], np.int64(3), 0, (4, 5), 2, g=np.True_, rng=7, steps=None, note=3)
    assert isinstance(found["a"], np.ndarray)
    assert found["b"].dtype == np.float64
    assert (found["c"], found["e"], found["f"], found["g"]) == (3, [4, 5], 2.0, True)
    assert isinstance(found["rng"], np.random.Generator)
    assert (found["steps"], found["note"]) == (None, 3)
    assert kinds()["e"] == (1,)  # what is not passed is not looked at
    assert kinds.__doc__ == "Return what came."
    assert [*inspect.signature(kinds).parameters] == [*"abcdefg", "rng", "steps", "note"]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: kinds(X), ValueError, "a has 2 columns; wanted 1"),
        (lambda: kinds(b=[[np.nan]]), ValueError, "b has 1 values that are not finite"),
        (lambda: kinds(c=0), ValueError, "c is 0; wanted at least 1"),
        (lambda: kinds(d=-1), ValueError, "d is -1; wanted at least 0"),
        (lambda: kinds(e=[1, 0]), ValueError, "e is 0"),
        (lambda: kinds(e="12"), TypeError, "e is str; wanted a list"),
        (lambda: kinds(f=-0.5), ValueError, "f is -0.5; wanted a number that is finite and >= 0"),
        (lambda: kinds(g=1), TypeError, "g is 1; wanted True or False"),
        (lambda: kinds(rng=None), TypeError, "rng is None"),
        (lambda: kinds(steps=1.5), TypeError, "steps is 1.5"),
        (lambda: kinds(1, 2, 3, 4, 5, 6, 7), (TypeError, ValueError), "."),
        (lambda: MODEL.infer(np.ones((3, 5))), ValueError, "x has 5 columns; wanted 2, as the mo"),
        (lambda: MODEL.expect(np.full((3, 2), np.nan), Q), ValueError, "x has 6 values"),
        (lambda: MODEL.expect(X[:2], Q), ValueError, r"q has probs of shape \(3, 4\); .* \(2, 4\)"),
        (lambda: MODEL.expect(X, None), TypeError, "q is NoneType; wanted a Categorical"),
        (lambda: MODEL.infer(X, 3), TypeError, "q is int; wanted a Categorical"),
        (lambda: MODEL.learn(Stats(3, 0.0)), TypeError, "stats is Stats; wanted a Sums"),
        (
            lambda: MODEL.learn(Sums(3, 0.0, np.ones((4, 3)))),
            ValueError,
            r"stats has rx of shape \(4, 3\); wanted \(4, 2\), as the model and its data have",
        ),
        (
            lambda: MODEL.learn(Sums(3, 0.0, np.ones(4))),
            ValueError,
            r"stats has rx of shape \(4,\); wanted \(4, 2\)",
        ),
        (lambda: Model.init(X, 0), ValueError, "n_components is 0"),
        (lambda: MODEL.either("x"), TypeError, "x holds"),
        (lambda: MODEL.either(Categorical(np.ones((3, 1)))), ValueError, "x has probs of shape"),
    ],
)
def test_what_is_not_taken_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_what_fits_is_taken():
    assert MODEL.expect(X, q=Q) is Q.probs
    assert MODEL.infer(X)[1] is MODEL.infer(x=X, q=None)[1] is None
    assert MODEL.infer(X, Q)[0] is X
    stats = Sums(3, 0.0, np.ones((4, 2)))
    assert MODEL.learn(stats=stats) is stats
    assert MODEL.either(Q) is Q
    assert letters(Sums) == {"rx": ("K", "D")}
    assert Model.init(X, 3).means.shape == (3, 2)
    assert Model.init(X, prior="words are not looked at").means.shape == (1, 2)


def test_sizes_of_a_part_are_those_of_the_whole():
    @frozen
    class Whole:
        part: Model = instance(Model)
        means: np.ndarray = array("K", "D")

    assert Whole(MODEL, np.ones((4, 2))).means.shape == (4, 2)
    with pytest.raises(ValueError, match=r"means has shape \(4, 3\); wanted \(4, 2\)"):
        Whole(MODEL, np.ones((4, 3)))


def test_a_function_that_wants_nothing_is_left_alone():
    def plain(x, n: int):
        return x

    assert checked(plain) is plain
