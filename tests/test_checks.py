"""The exercises' checks: solutions pass, empty cells and known mistakes are told apart."""

import importlib
import inspect
import re
import sys
import warnings
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch

from lfm import checks
from lfm.checks import exercise, marking, probe

ROOT = Path(__file__).parent.parent
EXERCISES = exercise.registered()
CHAPTERS = sorted({e.chapter for e in EXERCISES.values()})

every_exercise = pytest.mark.parametrize("name", EXERCISES)


def cells(folder, chapter):
    (path,) = (ROOT / "notebooks" / folder).glob(f"{chapter}_*.ipynb")
    return nbformat.read(path, as_version=4).cells


def answers(folder: str, tag: str) -> dict:
    """Return {exercise name: function} from the cells of the notebooks with this tag."""
    found = {}
    for chapter in CHAPTERS:
        scope = {"np": np, "check": lambda name, answer: found.__setitem__(name, answer)}
        for cell in cells(folder, chapter):
            if tag in cell.metadata.get("tags", []):
                source = cell.source.replace("from lfm.checks import check\n", "")
                exec(compile(source, cell.id, "exec"), scope)
    return found


SOLUTIONS = answers("solutions", "solution")
EMPTY = answers("", "exercise")


def test_every_exercise_stands_in_its_chapter_and_in_the_solutions():
    assert list(EMPTY) == list(SOLUTIONS) == checks.exercises()
    for chapter in CHAPTERS:
        assert 3 <= len(checks.exercises(chapter)) <= 5


@pytest.mark.parametrize("chapter", exercise.CHAPTERS)
def test_the_exercises_in_a_chapters_file_carry_its_number(chapter):
    members = vars(importlib.import_module(f"lfm.checks.chapter_{chapter}"))
    found = {name: e for name, e in members.items() if isinstance(e, exercise.Exercise)}
    assert found
    assert {e.chapter for e in found.values()} == {chapter}
    assert [name.replace("_", "-") for name in found] == [e.name for e in found.values()]
    assert [e.name for e in found.values()] == checks.exercises(chapter)


@every_exercise
def test_the_solution_passes(name):
    verdict = checks.check(name, SOLUTIONS[name])
    assert verdict.passed, verdict
    assert verdict
    assert repr(verdict).startswith("Passed: ")


@every_exercise
def test_the_empty_cell_fails_and_says_so(name):
    verdict = checks.check(name, EMPTY[name])
    assert not verdict
    assert "returns nothing yet" in verdict.message


@pytest.mark.parametrize(
    ("name", "mistake"),
    [(e.name, m) for e in EXERCISES.values() for m in e.mistakes],
    ids=lambda value: value if isinstance(value, str) else value.message[:40],
)
def test_each_known_mistake_gets_its_own_message(name, mistake):
    assert checks.check(name, mistake.function).message == mistake.message


@every_exercise
def test_messages_of_one_exercise_differ_and_three_mistakes_are_known(name):
    messages = [m.message for m in EXERCISES[name].mistakes]
    assert len(set(messages)) == len(messages) >= 3


@every_exercise
def test_an_unknown_mistake_gets_a_hint_but_not_the_answer(name):
    known = EXERCISES[name]
    verdict = checks.check(name, lambda *a: 1.7 * np.asarray(known.right(*a)) + 0.3)
    assert not verdict
    assert known.hint in verdict.message
    for inputs in marking.draws(known):
        wanted = np.ravel(known.right(*inputs))
        # Digits alone: "-0.0123" must not appear as "0.012". 0 and 1 may stand in any sentence.
        shown = {f"{abs(v):.{n}g}" for v in wanted for n in (2, 3, 6)} - {"0", "1"}
        assert shown, name
        numbers = set(re.findall(r"\d+\.?\d*(?:e-?\d+)?", verdict.message.replace(known.hint, "")))
        assert not shown & numbers


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


@every_exercise
def test_an_answer_that_raises_is_told_the_shapes_of_all_its_arguments(name):
    (inputs, *_), message = marking.draws(EXERCISES[name]), checks.check(name, broken).message
    assert message.startswith(
        "the function raised ZeroDivisionError: division by zero\nwhen called"
    )
    shapes = re.findall(r"\w+ (\(a number\)|\([\d, ]+\))(?:, |$)", message.splitlines()[1])
    assert shapes == [str(np.shape(a)) if np.ndim(a) else "(a number)" for a in inputs]


def broken(*arguments):
    return 1 / 0


@every_exercise
def test_the_arguments_of_cell_and_solution_are_called_the_same(name):
    empty, solution = (list(inspect.signature(a[name]).parameters) for a in (EMPTY, SOLUTIONS))
    assert empty == solution


@every_exercise
def test_every_mistake_shows_on_several_draws(name):
    draws = marking.draws(EXERCISES[name])
    right = [EXERCISES[name].right(*inputs) for inputs in draws]
    for mistake in EXERCISES[name].mistakes:
        with np.errstate(all="ignore"):
            wrong = [mistake.function(*inputs) for inputs in draws]
        shows = [marking.flaw([w], [r]) is not None for w, r in zip(wrong, right, strict=True)]
        assert sum(shows) >= 2, mistake.message


@pytest.mark.parametrize("folder", ["", "solutions"])
def test_no_marker_of_the_notebooks_source_is_left_in_the_text(folder):
    for chapter in CHAPTERS:
        for cell in cells(folder, chapter):
            if cell.cell_type == "markdown":
                assert not re.search(r"^# %+ ", cell.source, flags=re.M), cell.id


def test_an_unknown_name_is_an_error_that_lists_the_names():
    with pytest.raises(ValueError, match=r"name is 'nonsense'; wanted one of .*lower-bound"):
        checks.check("nonsense", None)


def test_a_covariance_or_a_stack_of_them_has_cholesky_factors_and_nothing_else():
    cov = np.array([[4.0, 2.0], [2.0, 5.0]])
    np.testing.assert_allclose(probe._cholesky(cov), [[2, 0], [1, 2]])
    np.testing.assert_allclose(probe._cholesky(np.stack([cov] * 3))[2], [[2, 0], [1, 2]])
    for other in (cov[0], cov[:1], np.stack([cov] * 3)[:, :1], -cov, np.triu(cov)):
        assert probe._cholesky(other) is None
