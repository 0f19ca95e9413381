"""What exercises and quizzes are checked with: `check("lower-bound", my_function)`.

The answer to an exercise is a function. It is called on several random inputs and compared with a
reference; where it fails, it is compared with the mistakes that are known, so that the verdict can
say which one it looks like. The reference's values are never shown. The answer to a quiz is a
letter, `check("which-question", "a")`. Everything runs offline, from a fixed seed.

    python -m lfm.checks exam --seed 7

writes an exam with its key and its figures: questions whose numbers and words are drawn from the
seed. `contract(model, x)` says which promise a model of your own breaks (`promises.py`).

Of each chapter `chapter_00.py` has the exercises (two chapters have a second file, which continues
the first) and `chapter_00.toml` the quizzes; in `questions`, `chapter_01.py` computes the answers
of the exam's questions and `chapter_01.toml` has their words.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lfm.checks import exercise, marking, quiz
from lfm.engine import validate


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
    """Return the names of the exercises, of all chapters or of one ("00" to "12")."""
    return _names(exercise.registered(), chapter)


def quizzes(chapter: str | None = None) -> list[str]:
    """Return the names of the quizzes, of all chapters or of one ("00" to "12")."""
    return _names(quiz.registered(), chapter)


def check(name: str, answer: Callable | str) -> Verdict:
    """Return the verdict on an answer, a function or a letter. Never raises for what it does.

    Raises `ValueError` or `TypeError` only for a name that is neither an exercise nor a quiz.
    """
    name = validate.text(name, "name")
    if name in quiz.registered():
        return Verdict(*quiz.registered()[name].mark(answer))
    if name in exercise.registered():
        return Verdict(*marking.mark(exercise.registered()[name], answer))
    known = ", ".join(exercises() + quizzes())
    raise ValueError(f"name is {name!r}; wanted one of {known}")


def contract(model, x, *, rng=0):
    """Return a `Report` of the promises of a model and which it breaks on data x (N, D), in words.

    See `lfm.checks.promises`: the bound never falls, and is the bound; exact inference makes it
    tight, learning leaves nothing to be gained, statistics add up, samples and densities agree.
    Never raises for what the model does; `TypeError` or `ValueError` for bad data or a bad `rng`.
    """
    from lfm.checks import promises  # only here: nothing else in checks needs so much

    return promises.contract(model, x, rng=rng)


def exam(
    seed: int, chapters: Sequence[str] | None = None, questions: int | None = None
) -> tuple[str, str, dict[str, bytes]]:
    """Return an exam: paper and key, in markdown, and the paper's figures, PNG by file name.

    `chapters` are some of "01" to "12", all of them where None. `questions` are spread over them as
    evenly as possible; where None there is one a chapter. Every second one is of those that ask to
    derive, to find a mistake, or to read a figure; the others ask to compute, and for an answer in
    words. The same seed gives the same exam; two seeds share no question in words unless they
    differ by a multiple of 3. Raises `ValueError` for a chapter without questions and for more
    questions than there are.
    """
    from lfm.checks import exams  # only here, for it needs every module of the course

    return tuple(exams.exam(seed, chapters, questions))


def main(arguments: list[str] | None = None) -> None:
    """Write an exam. Exit status 2 for wrong arguments, 1 where nothing was written."""
    from lfm.checks import shell  # only here, for notebooks do not need it

    shell.main(arguments)


def _names(registered: dict, chapter: str | None) -> list[str]:
    chapter = None if chapter is None else validate.text(chapter, "chapter")
    return [name for name, one in registered.items() if chapter in (None, one.chapter)]
