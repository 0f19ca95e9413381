"""What exercises and quizzes are checked with: `check("lower-bound", my_function)`.

The answer to an exercise is a function. It is called on several random inputs and compared with a
reference; where it fails, it is compared with the mistakes that are known, so that the verdict can
say which one it looks like. The reference's values are never shown. The answer to a quiz is a
letter, `check("which-question", "a")`. Everything runs offline, from a fixed seed.
"""

import inspect
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lfm import _exercises, _quizzes

Array = np.ndarray

DRAWS = 6


@dataclass(frozen=True, repr=False)
class Verdict:
    """What `check` says: whether the answer passed, and why not."""

    passed: bool
    message: str

    def __bool__(self) -> bool:
        return self.passed

    def __repr__(self) -> str:
        return f"{'Passed' if self.passed else 'Not yet'}: {self.message}"


def exercises(chapter: str | None = None) -> list[str]:
    """Return the names of the exercises, of all chapters or of one ("00" to "11")."""
    return [e.name for e in _exercises.ALL if chapter in (None, e.chapter)]


def quizzes(chapter: str | None = None) -> list[str]:
    """Return the names of the quizzes, of all chapters or of one ("00" to "11")."""
    return [q.name for q in _quizzes.ALL if chapter in (None, q.chapter)]


def check(name: str, answer: Callable | str) -> Verdict:
    """Return the verdict on an answer, a function or a letter. Never raises for what it does.

    Raises `ValueError` only for a name that is neither an exercise nor a quiz.
    """
    quiz = next((q for q in _quizzes.ALL if q.name == name), None)
    if quiz is not None:
        return _mark(quiz, answer)
    exercise = next((e for e in _exercises.ALL if e.name == name), None)
    if exercise is None:
        known = ", ".join(exercises() + quizzes())
        raise ValueError(f"name is {name!r}; wanted one of {known}")
    if answer is None or answer is ...:
        return Verdict(False, "the answer is still empty: write the function, then check again")
    if not callable(answer):
        return Verdict(False, f"the answer is a {type(answer).__name__}; wanted a function")
    problem = _problem(exercise, answer)
    if problem is None:
        return Verdict(True, exercise.praise)
    return Verdict(False, problem)


def _mark(quiz: "_quizzes.Quiz", answer) -> Verdict:
    """Return the verdict on the answer to a quiz: the reply to the option that was chosen."""
    letters = list(quiz.options)
    wanted = f"{', '.join(letters[:-1])} or {letters[-1]}"
    if answer is None or answer is ...:
        return Verdict(False, f'no answer yet: put {wanted} in place of the dots, as in "a"')
    if not isinstance(answer, str):
        what = "function" if callable(answer) else type(answer).__name__
        return Verdict(False, f'this is a quiz: wanted {wanted}, as in "a", and not a {what}')
    option = quiz.options.get(answer.strip().lower())
    if option is None:
        return Verdict(False, f"there is no option {answer[:20]!r}; wanted {wanted}")
    return Verdict(answer.strip().lower() == quiz.right, option.reply)


def _problem(exercise: "_exercises.Exercise", answer: Callable) -> str | None:
    """Return what is wrong with an answer in words, or None."""
    draws = [exercise.draw(np.random.default_rng([i, 7])) for i in range(DRAWS)]
    results = []
    for inputs in draws:
        copies = [np.array(a) if isinstance(a, np.ndarray) else a for a in inputs]
        try:
            with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):
                result = answer(*copies)
        except Exception as error:  # whatever the student's code raises is for the student
            return (
                f"the function raised {_text(error)}\nwhen called with {_shapes(exercise, inputs)}"
            )
        if result is None or result is ...:
            return "the function returns nothing yet: does it end with `return`?"
        if any(not _same(c, a) for c, a in zip(copies, inputs, strict=True)):
            return "the function changes its input in place; work on a copy, callers need theirs"
        results.append(result)
    right = [exercise.reference(*inputs) for inputs in draws]
    flaw = _flaw(results, right)
    if flaw is None:
        return None
    for mistake in exercise.mistakes:
        with np.errstate(all="ignore"):
            wrong = [mistake.function(*inputs) for inputs in draws]
        if _flaw(results, wrong) is None:
            return mistake.message
    return f"{flaw}. {exercise.hint}"


def _flaw(results: list, right: list) -> str | None:
    """Return how results differ from what is wanted, without saying what is wanted."""
    for result, wanted in zip(results, right, strict=True):
        kind = type(result).__name__
        try:
            result = np.asarray(result)
        except Exception:  # ragged lists, tensors that track gradients, objects of any kind
            return f"the function returns a {kind} that is no array; wanted numbers"
        if result.dtype.kind not in "fiub":  # a text or a complex number would be converted
            return f"the function returns a {kind}; wanted real numbers"
        wanted = np.asarray(wanted, dtype=float)
        if result.shape != wanted.shape:
            return f"the result has shape {result.shape}; wanted {wanted.shape}"
        if not np.array_equal(np.isfinite(result), np.isfinite(wanted)):
            return "the result holds NaN or infinity, at least for inputs of extreme size"
        finite = np.isfinite(wanted)
        if not np.allclose(result[finite], wanted[finite], rtol=1e-6, atol=1e-9):
            return "the numbers are not right yet"
    return None


def _text(error: Exception) -> str:
    """Return type and text of an error on one line, the same in every run."""
    text = re.sub(r" at 0x[0-9a-fA-F]+", "", " ".join(str(error).split()))
    return f"{type(error).__name__}: {text[:160]}{'...' if len(text) > 160 else ''}"


def _shapes(exercise: "_exercises.Exercise", inputs: tuple) -> str:
    """Return names and shapes, as in "W (5, 2), theta (a number)"."""
    names = list(inspect.signature(exercise.reference).parameters)
    shapes = [str(np.shape(a)) if np.ndim(a) else "(a number)" for a in inputs]
    return ", ".join(f"{n} {s}" for n, s in zip(names, shapes, strict=True))


def _same(a, b) -> bool:
    return np.array_equal(a, b, equal_nan=True) if isinstance(b, np.ndarray) else a == b
