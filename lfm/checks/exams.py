"""Exams: questions whose numbers are drawn from a seed, on a paper, and a key with the answers.

The questions stand in `lfm.checks.questions`. Numbers are small enough for a pocket calculator.
"""

import re
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lfm.checks.questions import Numbers, filled
from lfm.engine import validate

FOLDER = Path(__file__).parent / "questions"
PARTS = ("text", "working", "why", "because")
NUMBER = r"\d+(?:\.\d+)?"
DRAWS = 1000


class Ask(NamedTuple):
    """One thing to compute, and its value: a whole number, or one to be rounded."""

    what: str
    value: float


class Posed(NamedTuple):
    """A question with its numbers, and what the key says of it."""

    text: str
    asks: tuple[Ask, ...]
    working: str
    why: str
    because: str

    @property
    def points(self) -> int:
        """Return what the question is worth: two for each number, two for the answer in words."""
        return 2 * len(self.asks) + 2

    def question(self) -> str:
        """Return what the paper says, in markdown."""
        return "\n".join([self.text, "", *self.items(), f"- In words: {self.why}"])

    def items(self) -> list[str]:
        """Return what is asked for, with letters."""
        return [
            f"- ({letter}) {ask.what}" for letter, ask in zip("abcdef", self.asks, strict=False)
        ]


@dataclass(frozen=True)
class Template:
    """A kind of question: `draw(rng)` returns its numbers, or None for a draw that is unfit."""

    name: str
    chapter: str
    minutes: int
    draw: Callable[[np.random.Generator], Numbers | None]
    words: dict[str, str | list[str]]

    def pose(self, seed: int) -> Posed:
        """Return the question; its numbers depend on seed and name, not on what else is asked."""
        rng = np.random.default_rng([seed, *self.name.encode()])
        for _ in range(DRAWS):
            numbers = self.draw(rng)
            if numbers is not None and _is_fit(posed := self.fill(numbers)):
                return posed
        raise RuntimeError(f"{self.name}: no fit numbers in {DRAWS} draws")

    def fill(self, numbers: Numbers) -> Posed:
        """Return the question with these numbers in its words."""
        texts = {part: filled(self.words[part], numbers.shown) for part in PARTS}
        whats = [filled(what, numbers.shown) for what in self.words["asks"]]
        asks = [Ask(*pair) for pair in zip(whats, numbers.answers, strict=True)]
        return Posed(asks=tuple(asks), **texts)


class Exam(NamedTuple):
    """The paper for the students and the key for the teacher, both in markdown."""

    paper: str
    key: str


@cache
def templates() -> tuple[Template, ...]:
    """Return the questions of all chapters, in the order of the course."""
    return tuple(t for path in sorted(FOLDER.glob("chapter_*.toml")) for t in _read(path))


def _read(path: Path) -> list[Template]:
    numbers = import_module(f"lfm.checks.questions.{path.stem}")
    chapter = path.stem.removeprefix("chapter_")
    found = []
    for name, words in tomllib.loads(path.read_text(encoding="utf-8")).items():
        draw = getattr(numbers, name.replace("-", "_"))
        found.append(Template(name, chapter, words.pop("minutes"), draw, words))
    return found


def written(value: float) -> str:
    """Return a value as the key gives it: whole, or with three decimals (never "-0.000")."""
    return str(value) if isinstance(value, int) else f"{round(float(value), 3) + 0.0:.3f}"


def exam(seed: int, chapters: Sequence[str] | None, questions: int | None) -> Exam:
    """Return paper and key; see `lfm.checks.exam`."""
    seed = validate.count(seed, "seed", 0)
    chapters = _offered(chapters)
    most = sum(t.chapter in chapters for t in templates())
    default = len(chapters) if questions is None else questions
    questions = validate.count(default, "questions", 1, most)
    chosen = _choose(np.random.default_rng([seed, 0]), chapters, questions)
    posed = [(t, t.pose(seed)) for t in chosen]
    return Exam(_paper(seed, posed), _key(seed, posed))


def _offered(chapters: Sequence[str] | None) -> Sequence[str]:
    """Return the chapters to ask about; raise for those that there are not."""
    offered = sorted({t.chapter for t in templates()})
    chapters = offered if chapters is None else chapters
    if isinstance(chapters, str) or not isinstance(chapters, Sequence):
        raise TypeError(f'chapters is {chapters!r}; wanted a list, such as ["01", "02"]')
    for chapter in chapters:
        if chapter not in offered:
            raise ValueError(f"chapters has {chapter!r}; wanted some of {', '.join(offered)}")
    if len(chapters) == 0 or len(set(chapters)) < len(chapters):
        raise ValueError(f"chapters is {chapters}; wanted at least one, and none twice")
    return chapters


def _choose(rng, chapters: Sequence[str], n: int) -> list[Template]:
    """Return n templates, spread over the chapters as evenly as possible, in the course's order."""
    turns = []
    for chapter in rng.permutation(sorted(chapters)):
        mine = [t for t in templates() if t.chapter == chapter]
        turns += [(turn, len(turns), mine[i]) for turn, i in enumerate(rng.permutation(len(mine)))]
    chosen = [t for _, _, t in sorted(turns, key=lambda turn: turn[:2])[:n]]
    return [t for t in templates() if t in chosen]


def _is_fit(posed: Posed) -> bool:
    """Tell whether no answer is lost in rounding, or stands among the numbers of its question."""
    shown = {float(n) for n in re.findall(NUMBER, posed.question())}
    values = [abs(float(written(a.value))) for a in posed.asks]
    return min(values) >= 0.01 and shown.isdisjoint(values)


def _paper(seed: int, posed: Sequence[tuple[Template, Posed]]) -> str:
    minutes = 5 * -(-sum(t.minutes for t, _ in posed) // 5) + 5
    points = sum(p.points for _, p in posed)
    parts = [
        f"# Latent factor models: exam {seed}",
        f"Time allowed: {minutes} minutes. {points} points: two for each number, two for each "
        "answer in words. A pocket calculator and one sheet of your own notes are allowed.",
        "Logarithms are natural, results that are logarithms are in nats. Give three decimals, "
        "and keep at least six digits while you compute; a last digit that is off by one costs "
        "nothing. Show your working.",
    ]
    for number, (_, p) in enumerate(posed, 1):
        parts += [f"## Question {number} ({p.points} points)", p.question()]
    return "\n\n".join(parts) + "\n"


def _key(seed: int, posed: Sequence[tuple[Template, Posed]]) -> str:
    parts = [
        f"# Latent factor models: key to exam {seed}",
        "Not for students. Every number was computed by the package `lfm`.",
    ]
    for number, (t, p) in enumerate(posed, 1):
        values = [f"**{written(ask.value)}**" for ask in p.asks]
        answers = [" ".join(pair) for pair in zip(p.items(), values, strict=True)]
        parts += [
            f"## Question {number} · {t.name} (chapter {t.chapter}, {p.points} points)",
            "\n".join(answers),
            f"**Working.** {p.working}",
            f"**In words.** {p.because}",
        ]
    return "\n\n".join(parts) + "\n"
