"""Marking: what an answer is compared with, and what is said of one that differs."""

import re
import sys
import warnings

import numpy as np
import pytest
import torch

from lfm import checks
from lfm.checks import exercise, marking
from lfm.checks.exercise import Exercise

EXERCISES = exercise.registered()
A = np.arange(6.0).reshape(2, 3)


def double():
    """Return an exercise of its own: twice an array, times a number."""
    twice = Exercise("twice", chapter="00", hint="Mind the factor.", praise="Twice it is.")
    twice.draw(lambda rng: (rng.normal(size=(2, 3)), 1 + rng.random()))
    twice.reference(lambda a, b: 2 * a * b)
    twice.mistake("that is once")(lambda a, b: a * b)
    twice.mistake("that is a half")(lambda a, b: a * b / 2)
    return twice


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        (lambda a, b: 2 * a * b, (True, "Twice it is.")),
        (lambda a, b: (2 * a * b).tolist(), (True, "Twice it is.")),
        (lambda a, b: torch.tensor(2 * a * b), (True, "Twice it is.")),
        (lambda a, b: 2 * a * b * (1 + 1e-8), (True, "Twice it is.")),
        (lambda a, b: a * b, (False, "that is once")),
        (lambda a, b: a * b / 2, (False, "that is a half")),
        (lambda a, b: 3 * a * b, (False, "the numbers are not right yet. Mind the factor.")),
        (
            lambda a, b: 2 * a * b * (1 + 1e-5),
            (False, "the numbers are not right yet. Mind the factor."),
        ),
        (
            lambda a, b: None,
            (False, "the function returns nothing yet: does it end with `return`?"),
        ),
        (None, (False, "the answer is still empty: write the function, then check again")),
        (7, (False, "the answer is a int; wanted a function")),
    ],
)
def test_an_answer_is_right_or_what_is_said_of_it_is_of_its_mistake(answer, wanted):
    assert marking.mark(double(), answer) == wanted


def test_an_answer_that_is_wrong_on_one_draw_is_wrong():
    a, _ = marking.draws(double())[-1]
    found = marking.mark(double(), lambda x, y: 2 * x * y + (x == a).all())
    assert found == (False, "the numbers are not right yet. Mind the factor.")


def test_the_first_mistake_that_fits_is_named():
    both = double()
    both.mistake("the same once more")(lambda a, b: a * b)
    assert marking.mark(both, lambda a, b: a * b) == (False, "that is once")


def test_inputs_are_drawn_the_same_in_every_run_and_differ_from_each_other():
    first, again = marking.draws(double()), marking.draws(double())
    assert len(first) == marking.DRAWS
    for (a, b), (c, d) in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, c)
        assert b == d
    assert len({b for _, b in first}) == marking.DRAWS


def test_an_answer_gets_copies_and_may_not_change_them():
    def changes(a, b):
        a *= 2
        return a * b

    seen, exercise = [], double()
    kept = marking.draws(exercise)
    exercise.draw(lambda rng: kept[len(seen) - 1])
    said = "the function changes its input in place; work on a copy, callers need theirs"
    assert marking._called(exercise, changes, kept[0]) == (None, said)
    np.testing.assert_array_equal(kept[0][0], marking.draws(double())[0][0])


def test_ctrl_c_in_an_answer_is_ctrl_c():
    with pytest.raises(KeyboardInterrupt):
        marking.mark(double(), lambda a, b: raising(KeyboardInterrupt()))


@pytest.mark.parametrize(
    ("result", "wanted", "said"),
    [
        (A, A, None),
        (A.tolist(), A, None),
        (A.astype(int), A, None),
        (True, 1.0, None),
        (np.float32(A), A, None),
        ([np.inf, 1.0], [np.inf, 1.0], None),
        (A * (1 + 9e-7), A, None),
        (A * (1 + 1e-5), A, "the numbers are not right yet"),
        (np.float32(A * (1 + 1e-4)), A, "right to single precision; compute in float64"),
        (np.float32(A * 1.01), A, "the numbers are not right yet"),
        ([np.nan, 1.0], [0.0, 1.0], "the result holds NaN or infinity"),
        ([0.0, 1.0], [np.inf, 1.0], "the result holds NaN or infinity"),
        (A.T, A, r"has shape \(3, 2\); wanted \(2, 3\): it may be transposed"),
        (A[None], A, r"as many; `result.reshape\(\(2, 3\)\)` has that shape"),
        (A[0], A, r"has shape \(3,\); wanted \(2, 3\)$"),
        (A.ravel(), A, r"has shape \(6,\); wanted \(2, 3\)$"),
        ([[1.0]], 1.0, r"wanted one number: take it out of its array, as in `result.item\(\)`"),
        (A, 1.0, r"has shape \(2, 3\); wanted one number$"),
        ("1", 1.0, "returns a str; wanted real numbers"),
        (1j, 1.0, "returns a complex; wanted real numbers"),
        ([[1.0], [1.0, 2.0]], A, "returns a list that is no array; wanted numbers"),
        (torch.ones(2, requires_grad=True), [1.0, 1.0], "tracks gradients; return its `.detach"),
    ],
)
def test_a_flaw_is_said_without_the_numbers_that_are_wanted(result, wanted, said):
    found = marking.flaw([wanted, result], [wanted, wanted])
    assert (found is None) == (said is None)
    if said is not None:
        assert re.search(said, found)
        assert marking.flaw([wanted], [wanted]) is None


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (None, "still empty"),
        (..., "still empty"),
        (3.5, "is a float; wanted a function"),
        (lambda q, p: None, "returns nothing yet"),
        (lambda q, p: 1 / 0, "raised ZeroDivisionError"),
        (lambda q: q, "raised TypeError"),
        (lambda q, p: q, r"shape \(4,\); wanted one number"),
        (lambda q, p: [(q * np.log(q / p)).sum()], r"shape \(1,\); wanted one number: .*item\(\)"),
        (lambda q, p: sys.exit("bye"), "raised SystemExit: bye"),
        (lambda q, p: exit(), "raised SystemExit"),
        (lambda q, p: "many", "returns a str"),
        (lambda q, p: str((q * np.log(q / p)).sum()), "returns a str; wanted real numbers"),
        (lambda q, p: (q * np.log(q / p)).sum() + 1j, "returns a complex"),
        (lambda q, p: [[1.0], [1.0, 2.0]], "returns a list that is no array"),
        (
            lambda q, p: torch.zeros((), requires_grad=True),
            "a tensor that tracks gradients; return its `.detach",
        ),
        (lambda q, p: np.zeros((2, 3)) @ q, r"when called with q \(4,\), p \(4,\)"),
        (lambda q, p: int("x\n" * 999), r"ValueError: .{100,170}\.\.\.\n"),
        (lambda q, p: {}[object()], r"KeyError: <object object>\n"),
        (lambda q, p: np.nan, "NaN or infinity"),
        (lambda q, p: q.sort(), "returns nothing yet"),
        (lambda q, p: (q.sort(), (q * np.log(q / p)).sum())[1], "changes its input"),
    ],
)
def test_whatever_an_answer_does_the_verdict_says_what(answer, message):
    verdict = checks.check("divergence", answer)
    assert not verdict.passed
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(verdict.message)


def test_two_runs_say_the_same():
    texts = {repr(checks.check("lower-bound", lambda q, t: (q * t).sum(axis=1))) for _ in range(2)}
    assert len(texts) == 1


def test_warnings_of_the_answer_do_not_reach_the_notebook():
    def noisy(q, p):
        warnings.warn("noise", stacklevel=1)
        return (q * np.log(q / p)).sum()

    assert checks.check("divergence", noisy)  # pytest turns a warning that leaks into an error


@pytest.mark.parametrize("name", EXERCISES)
def test_an_answer_that_raises_is_told_the_shapes_of_all_its_arguments(name):
    (inputs, *_), message = marking.draws(EXERCISES[name]), checks.check(name, broken).message
    assert message.startswith(
        "the function raised ZeroDivisionError: division by zero\nwhen called"
    )
    shapes = re.findall(r"\w+ (\(a number\)|\([\d, ]+\))(?:, |$)", message.splitlines()[1])
    assert shapes == [str(np.shape(a)) if np.ndim(a) else "(a number)" for a in inputs]


def broken(*arguments):
    return 1 / 0


class Mute(Exception):
    def __str__(self):
        raise ValueError("not even that")


class Shy:
    @property
    def requires_grad(self):
        raise RuntimeError("do not ask")


def raising(error):
    raise error


@pytest.mark.parametrize("answer", [
    lambda q, p: raising(Mute()), lambda q, p: raising(GeneratorExit()), lambda q, p: Shy(),
])  # fmt: skip
def test_whatever_an_answer_does_a_verdict_comes_of_it(answer):
    assert not checks.check("lower-bound", answer)


def test_single_precision_is_told_from_a_wrong_formula():
    said = checks.check("divergence", lambda q, p: np.float32((q * np.log(q / p)).sum()))
    wrong = checks.check("divergence", lambda q, p: np.float32((p * np.log(p / q)).sum()))
    assert said.passed or "single precision" in said.message
    assert "single precision" not in wrong.message
