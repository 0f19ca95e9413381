"""Marks the answer to an exercise: it is called on several draws and compared with the reference.

Where it fails, it is compared with the known mistakes, so that the verdict can say which one it
looks like. The reference's values are never shown.
"""

import inspect
import re
import warnings
from collections.abc import Callable, Sequence

import numpy as np

from lfm.checks.exercise import Exercise

DRAWS = 6


def draws(exercise: Exercise) -> list[tuple]:
    """Return the inputs on which an answer is tried, the same ones in every run."""
    return [exercise.inputs(np.random.default_rng([i, 7])) for i in range(DRAWS)]


def mark(exercise: Exercise, answer) -> tuple[bool, str]:
    """Return whether an answer is right, and what to say to it."""
    if answer is None or answer is ...:
        return False, "the answer is still empty: write the function, then check again"
    if not callable(answer):
        return False, f"the answer is a {type(answer).__name__}; wanted a function"
    problem = _problem(exercise, answer)
    return (True, exercise.praise) if problem is None else (False, problem)


def _problem(exercise: Exercise, answer: Callable) -> str | None:
    """Return what is wrong with an answer in words, or None."""
    drawn, results = draws(exercise), []
    for inputs in drawn:
        result, problem = _called(exercise, answer, inputs)
        if problem is not None:
            return problem
        results.append(result)
    found = flaw(results, [exercise.right(*inputs) for inputs in drawn])
    if found is None:
        return None
    for mistake in exercise.mistakes:
        with np.errstate(all="ignore"):
            wrong = [mistake.function(*inputs) for inputs in drawn]
        if flaw(results, wrong) is None:
            return mistake.message
    return f"{found}. {exercise.hint}"


def _called(exercise: Exercise, answer: Callable, inputs: tuple) -> tuple[object, str | None]:
    """Return what an answer returns for these inputs, and what is wrong with how it does that."""
    copies = [np.array(a) if isinstance(a, np.ndarray) else a for a in inputs]
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):
            result = answer(*copies)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever it raises, exit() too, is for the student
        where = f"when called with {_shapes(exercise, inputs)}"
        return None, f"the function raised {_text(error)}\n{where}"
    if result is None or result is ...:
        return None, "the function returns nothing yet: does it end with `return`?"
    if any(not _same(c, a) for c, a in zip(copies, inputs, strict=True)):
        return None, "the function changes its input in place; work on a copy, callers need theirs"
    return result, None


def flaw(results: Sequence, right: Sequence) -> str | None:
    """Return how results differ from what is wanted, without saying what is wanted, or None."""
    for result, wanted in zip(results, right, strict=True):
        found = _no_numbers(result) or _other_numbers(np.asarray(result), wanted)
        if found is not None:
            return found
    return None


def _no_numbers(result) -> str | None:
    kind = type(result).__name__
    try:
        if getattr(result, "requires_grad", False):
            return "the function returns a tensor that tracks gradients; return its `.detach()`"
        result = np.asarray(result)
    except (Exception, SystemExit):  # ragged lists, objects of any kind
        return f"the function returns a {kind} that is no array; wanted numbers"
    if result.dtype.kind not in "fiub":  # a text or a complex number would be converted
        return f"the function returns a {kind}; wanted real numbers"
    return None


def _other_numbers(result: np.ndarray, wanted) -> str | None:
    wanted = np.asarray(wanted, dtype=float)
    if result.shape != wanted.shape:
        return _other_shape(result.shape, wanted.shape)
    if not np.array_equal(np.isfinite(result), np.isfinite(wanted)):
        return "the result holds NaN or infinity, at least for inputs of extreme size"
    finite = np.isfinite(wanted)
    if np.allclose(result[finite], wanted[finite], rtol=1e-6, atol=1e-9):
        return None
    single = result.dtype == np.float32
    if single and np.allclose(result[finite], wanted[finite], rtol=1e-3, atol=1e-5):
        return "the numbers are right to single precision; compute in float64 all the way"
    return "the numbers are not right yet"


def _other_shape(found: tuple, wanted: tuple) -> str:
    """Say in words how a shape differs from what is wanted, and what to do where that is plain."""
    said = f"the result has shape {found}; wanted {wanted or 'one number'}"
    if np.prod(found) != np.prod(wanted):
        return said
    if not wanted:
        return f"{said}: take it out of its array, as in `result.item()`"
    if tuple(n for n in found if n > 1) == tuple(n for n in wanted if n > 1):
        return f"{said}: the numbers are as many; `result.reshape({wanted})` has that shape"
    return f"{said}: it may be transposed" if found == wanted[::-1] else said


def _text(error: BaseException) -> str:
    """Return type and text of an error on one line, the same in every run."""
    try:
        text = re.sub(r" at 0x[0-9a-fA-F]+", "", " ".join(str(error).split()))
    except Exception:  # an exception of the student's own may not even say what it is
        text = ""
    return f"{type(error).__name__}: {text[:160]}{'...' if len(text) > 160 else ''}"


def _shapes(exercise: Exercise, inputs: tuple) -> str:
    """Return names and shapes, as in "W (5, 2), theta (a number)"."""
    names = inspect.signature(exercise.right).parameters
    shapes = [str(np.shape(a)) if np.ndim(a) else "(a number)" for a in inputs]
    return ", ".join(f"{n} {s}" for n, s in zip(names, shapes, strict=True))


def _same(a, b) -> bool:
    return np.array_equal(a, b, equal_nan=True) if isinstance(b, np.ndarray) else a == b
