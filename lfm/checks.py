"""What exercises and quizzes are checked with: `check("lower-bound", my_function)`.

The answer to an exercise is a function. It is called on several random inputs and compared with a
reference; where it fails, it is compared with the mistakes that are known, so that the verdict can
say which one it looks like. The reference's values are never shown. The answer to a quiz is a
letter, `check("which-question", "a")`. Everything runs offline, from a fixed seed.

    python -m lfm.checks exam --seed 7

writes an exam with its key: questions whose numbers are drawn from the seed.
"""

import argparse
import inspect
import os
import re
import sys
import unicodedata
import uuid
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lfm import _exercises, _quizzes
from lfm.engine import validate

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
    chapter = None if chapter is None else validate.text(chapter, "chapter")
    return [e.name for e in _exercises.ALL if chapter in (None, e.chapter)]


def quizzes(chapter: str | None = None) -> list[str]:
    """Return the names of the quizzes, of all chapters or of one ("00" to "11")."""
    chapter = None if chapter is None else validate.text(chapter, "chapter")
    return [q.name for q in _quizzes.ALL if chapter in (None, q.chapter)]


def check(name: str, answer: Callable | str) -> Verdict:
    """Return the verdict on an answer, a function or a letter. Never raises for what it does.

    Raises `ValueError` or `TypeError` only for a name that is neither an exercise nor a quiz.
    """
    name = validate.text(name, "name")
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


def exam(
    seed: int, chapters: Sequence[str] | None = None, questions: int | None = None
) -> tuple[str, str]:
    """Return an exam: the paper and its key, in markdown. The same seed gives the same exam.

    `chapters` are some of "01" to "10", all of them where None. `questions` are spread over them as
    evenly as possible; where None there is one a chapter. Raises `ValueError` for a chapter without
    questions and for more questions than there are.
    """
    from lfm import _exams  # only here, for it needs every module of the course

    return tuple(_exams.exam(seed, chapters, questions))


def _mark(quiz: "_quizzes.Quiz", answer) -> Verdict:
    """Return the verdict on the answer to a quiz: the reply to the option that was chosen."""
    letters = list(quiz.options)
    wanted = f"{', '.join(letters[:-1])} or {letters[-1]}"
    if answer is None or answer is ...:
        return Verdict(False, f'put {wanted} in place of the dots, as in "a"')
    if not isinstance(answer, str):
        what = "a function" if callable(answer) else type(answer).__name__
        return Verdict(
            False, f'this is a quiz: wanted {wanted} in quotes, as in "a", and not {what}'
        )
    # "c)", "(C)" and " c. " are c; so is the full-width letter of some keyboards
    letter = re.sub(r"[\W_]", "", unicodedata.normalize("NFKC", answer)).lower()
    option = quiz.options.get(letter)
    if option is None:
        return Verdict(False, f"there is no option {answer[:20]!r}; wanted {wanted}")
    return Verdict(letter == quiz.right, option.reply)


def _problem(exercise: "_exercises.Exercise", answer: Callable) -> str | None:
    """Return what is wrong with an answer in words, or None."""
    draws = [exercise.draw(np.random.default_rng([i, 7])) for i in range(DRAWS)]
    results = []
    for inputs in draws:
        copies = [np.array(a) if isinstance(a, np.ndarray) else a for a in inputs]
        try:
            with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):
                result = answer(*copies)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # whatever it raises, exit() too, is for the student
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
            if getattr(result, "requires_grad", False):
                return "the function returns a tensor that tracks gradients; return its `.detach()`"
            result = np.asarray(result)
        except (Exception, SystemExit):  # ragged lists, objects of any kind
            return f"the function returns a {kind} that is no array; wanted numbers"
        if result.dtype.kind not in "fiub":  # a text or a complex number would be converted
            return f"the function returns a {kind}; wanted real numbers"
        wanted = np.asarray(wanted, dtype=float)
        if result.shape != wanted.shape:
            return _other_shape(result.shape, wanted.shape)
        if not np.array_equal(np.isfinite(result), np.isfinite(wanted)):
            return "the result holds NaN or infinity, at least for inputs of extreme size"
        finite = np.isfinite(wanted)
        if not np.allclose(result[finite], wanted[finite], rtol=1e-6, atol=1e-9):
            single = result.dtype == np.float32
            if single and np.allclose(result[finite], wanted[finite], rtol=1e-3, atol=1e-5):
                return "the numbers are right to single precision; compute in float64 all the way"
            return "the numbers are not right yet"
    return None


def _other_shape(found: tuple, wanted: tuple) -> str:
    """Say in words how a shape differs from what is wanted, and what to do where that is plain."""
    flaw = f"the result has shape {found}; wanted {wanted or 'one number'}"
    if np.prod(found) != np.prod(wanted):
        return flaw
    if not wanted:
        return f"{flaw}: take it out of its array, as in `result.item()`"
    if tuple(n for n in found if n > 1) == tuple(n for n in wanted if n > 1):
        return f"{flaw}: the numbers are as many; `result.reshape({wanted})` has that shape"
    return f"{flaw}: is it transposed?" if found == wanted[::-1] else flaw


def _text(error: BaseException) -> str:
    """Return type and text of an error on one line, the same in every run."""
    try:
        text = re.sub(r" at 0x[0-9a-fA-F]+", "", " ".join(str(error).split()))
    except Exception:  # an exception of the student's own may not even say what it is
        text = ""
    return f"{type(error).__name__}: {text[:160]}{'...' if len(text) > 160 else ''}"


def _shapes(exercise: "_exercises.Exercise", inputs: tuple) -> str:
    """Return names and shapes, as in "W (5, 2), theta (a number)"."""
    names = list(inspect.signature(exercise.reference).parameters)
    shapes = [str(np.shape(a)) if np.ndim(a) else "(a number)" for a in inputs]
    return ", ".join(f"{n} {s}" for n, s in zip(names, shapes, strict=True))


def _same(a, b) -> bool:
    return np.array_equal(a, b, equal_nan=True) if isinstance(b, np.ndarray) else a == b


# ------------------------------------------------------------------ from the shell


def main(arguments: list[str] | None = None) -> None:
    """Write an exam and its key. Exit status 2 for wrong arguments, 1 where nothing was written."""
    parser = argparse.ArgumentParser(prog="python -m lfm.checks")
    command = parser.add_subparsers(required=True, metavar="COMMAND").add_parser(
        "exam",
        help="write an exam and its key",
        description="Write exam-SEED.md and exam-SEED-key.md. The same seed gives the same exam.",
    )
    command.add_argument("--seed", type=int, required=True, help="what all numbers are drawn from")
    command.add_argument("--chapters", metavar="01,02,...", help="default: 01 to 10")
    command.add_argument("--questions", type=int, metavar="N", help="default: one a chapter")
    command.add_argument("--out", type=Path, default=Path(), metavar="FOLDER", help="default: here")
    command.add_argument("--force", action="store_true", help="replace files that are there")
    options = parser.parse_args(arguments)
    try:
        _write_exam(command, options)
    except KeyboardInterrupt:
        print(f"\n{command.prog}: stopped; nothing was written", file=sys.stderr)
        raise SystemExit(130) from None


def _write_exam(command, options) -> None:
    chapters = None
    if options.chapters is not None:
        chapters = [chapter.strip().zfill(2) for chapter in options.chapters.split(",")]
    try:
        paper, key = exam(options.seed, chapters, options.questions)
        out = validate.path(options.out, "--out")
    except ValueError as error:
        command.error(str(error))
    names = (f"exam-{options.seed}.md", f"exam-{options.seed}-key.md")
    try:
        texts = {out / name: text for name, text in zip(names, (paper, key), strict=True)}
        there = [str(path) for path in texts if path.exists()]
        if there and (not options.force or any(path.is_dir() for path in texts)):
            command.error(
                f"{' and '.join(there)} exists already; --force replaces, --out goes elsewhere"
            )
        for path in texts:
            validate.file_to_write(path, "--out")
        _write(texts)
    except OSError as error:
        raise SystemExit(f"{command.prog}: nothing was written: {error}") from None
    for path in texts:
        print(f"wrote {path}")


def _write(texts: dict[Path, str]) -> None:
    """Write all files or none: beside their places first, and renamed when all are complete."""
    mark = f".{uuid.uuid4().hex}.part"
    parts = {path: path.with_name(path.name + mark) for path in texts}
    try:
        for path, text in texts.items():
            with open(parts[path], "w", encoding="utf-8", newline="\n") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
        for path, part in parts.items():
            os.replace(part, path)
    finally:
        for part in parts.values():
            part.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
