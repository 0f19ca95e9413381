"""A quiz: a question of multiple choice. What it says stands in `chapter_00.toml` and so on.

There, single line breaks are spaces. The options follow the question, by their letters.
"""

import re
import tomllib
import unicodedata
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parent


class Option(NamedTuple):
    """One option: its text, and the reply to a reader who chose it."""

    text: str  # markdown, with formulas
    reply: str  # plain: it is printed


@dataclass(frozen=True)
class Quiz:
    """One question of multiple choice; `right` is the letter of the one option that is right."""

    name: str
    chapter: str
    question: str
    options: dict[str, Option]
    right: str

    def markdown(self) -> str:
        """Return question and options as they stand in the notebook."""
        lines = [f"- **{letter}** · {option.text}" for letter, option in self.options.items()]
        return "\n".join([f"**Quiz.** {self.question}", "", *lines])

    def mark(self, answer) -> tuple[bool, str]:
        """Return whether an answer is right, and the reply to it."""
        letters = list(self.options)
        wanted = f"{', '.join(letters[:-1])} or {letters[-1]}"
        if answer is None or answer is ...:
            return False, f'put {wanted} in place of the dots, as in "a"'
        if not isinstance(answer, str):
            what = "a function" if callable(answer) else type(answer).__name__
            return False, f'this is a quiz: wanted {wanted} in quotes, as in "a", and not {what}'
        # "c)", "(C)" and " c. " are c; so is the full-width letter of some keyboards
        letter = re.sub(r"[\W_]", "", unicodedata.normalize("NFKC", answer)).lower()
        option = self.options.get(letter)
        if option is None:
            return False, f"there is no option {answer[:20]!r}; wanted {wanted}"
        return letter == self.right, option.reply


@cache
def registered() -> dict[str, Quiz]:
    """Return the quizzes of all chapters by name, in the order of the course."""
    quizzes = [q for path in sorted(FOLDER.glob("chapter_*.toml")) for q in _read(path)]
    return {quiz.name: quiz for quiz in quizzes}


def _read(path: Path) -> list[Quiz]:
    chapter = path.stem.removeprefix("chapter_")
    found = tomllib.loads(path.read_text(encoding="utf-8"))
    return [_quiz(name, chapter, **parts) for name, parts in found.items()]


def _quiz(name: str, chapter: str, *, question: str, right: str, **options: dict) -> Quiz:
    read = {k: Option(_line(o["text"]), _line(o["reply"])) for k, o in options.items()}
    return Quiz(name, chapter, _line(question), read, right)


def _line(text: str) -> str:
    """Return a text that was broken to fit the file, on one line."""
    return " ".join(text.split())
