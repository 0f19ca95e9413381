"""Exams: questions whose numbers and words are drawn from a seed, on a paper, and a key.

The questions stand in `lfm.checks.questions`. Numbers are small enough for a pocket calculator.
Every template has three variants of what it asks in words: another question, another derivation,
or another line that is wrong. The seed chooses by its remainder modulo 3. So **the papers of two
seeds share no question in words unless the seeds differ by a multiple of 3**; seeds that do may ask
the same in words, with other numbers. At least half of the points of a paper with one question a
chapter are for understanding: for words, derivations, mistakes and figures.
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

from lfm import figures
from lfm.checks.questions import Numbers, kinds
from lfm.checks.questions.kinds import VARIANTS, Posed, written
from lfm.engine import validate

FOLDER = Path(__file__).parent / "questions"
NUMBER = r"\d+(?:\.\d+)?"
DRAWS = 1000
PRINT = 200  # dots an inch of a figure on paper


@dataclass(frozen=True)
class Template:
    """A question before it is posed: `draw(rng)` returns its numbers, None for an unfit draw."""

    name: str
    chapter: str
    minutes: int
    draw: Callable[[np.random.Generator], Numbers | None]
    words: dict

    @property
    def kind(self) -> str:
        """Return "compute", "figure", "derive" or "mistake"; see `lfm.checks.questions.kinds`."""
        return kinds.kind(self.words)

    def pose(self, seed: int) -> Posed:
        """Return the question; numbers and words depend on seed and name, not on what else is."""
        rng = np.random.default_rng([seed, *self.name.encode()])
        variant = (seed + sum(self.name.encode())) % VARIANTS
        for _ in range(DRAWS):
            numbers = self.draw(rng)
            if numbers is None:
                continue
            posed = kinds.pose(self.words, variant, numbers)
            if _is_fit(posed):
                return posed
        raise RuntimeError(f"{self.name}: no fit numbers in {DRAWS} draws")


class Exam(NamedTuple):
    """The paper for the students, the key for the teacher, and the figures of the paper."""

    paper: str  # markdown
    key: str
    figures: dict[str, bytes]  # PNG, by the name that the paper calls them


@cache
def templates() -> tuple[Template, ...]:
    """Return the questions of all chapters, in the order of the course."""
    return tuple(t for path in sorted(FOLDER.glob("chapter_*.toml")) for t in _read(path))


def _read(path: Path) -> list[Template]:
    numbers = import_module(f"lfm.checks.questions.{path.stem}")
    chapter = path.stem.removeprefix("chapter_")
    found = []
    for name, words in tomllib.loads(path.read_text(encoding="utf-8")).items():
        draw = getattr(numbers, name.replace("-", "_"), None) or _without_numbers
        found.append(Template(name, chapter, words.pop("minutes"), draw, words))
    return found


def _without_numbers(rng) -> Numbers:
    return Numbers()


def exam(seed: int, chapters: Sequence[str] | None, questions: int | None) -> Exam:
    """Return paper and key; see `lfm.checks.exam`."""
    seed = validate.count(seed, "seed", 0)
    chapters = _offered(chapters)
    most = sum(t.chapter in chapters for t in templates())
    default = len(chapters) if questions is None else questions
    questions = validate.count(default, "questions", 1, most)
    chosen = _choose(np.random.default_rng([seed, 0]), chapters, questions)
    posed = [(t, t.pose(seed)) for t in chosen]
    pictures = {
        _file(seed, i): figures.png(p.picture(), PRINT)
        for i, (_, p) in enumerate(posed, 1)
        if p.picture
    }
    return Exam(_paper(seed, posed), _key(seed, posed), pictures)


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
    for place, chapter in enumerate(rng.permutation(sorted(chapters))):
        mine = [t for t in templates() if t.chapter == chapter]
        shuffled = [mine[i] for i in rng.permutation(len(mine))]
        turns += [(turn, place, t) for turn, t in enumerate(_alternating(shuffled, place % 2))]
    chosen = [t for _, _, t in sorted(turns, key=lambda turn: turn[:2])[:n]]
    return [t for t in templates() if t in chosen]


def _alternating(shuffled: Sequence[Template], first: int) -> list[Template]:
    """Return them with those for understanding (first = 0) and those to compute (1) in turn."""
    computed = [t for t in shuffled if t.kind == "compute"]
    others = [t for t in shuffled if t.kind != "compute"]
    places = [2 * i + first for i in range(len(others))] + [
        2 * i + 1 - first for i in range(len(computed))
    ]
    order = np.argsort(places, kind="stable")
    return [[*others, *computed][i] for i in order]


def _is_fit(posed: Posed) -> bool:
    """Tell whether no answer is lost in rounding, or stands among the numbers of its question."""
    asked = " ".join([posed.text, *(part.asked for part in posed.parts)])
    shown = {float(n) for n in re.findall(NUMBER, asked)}
    values = [abs(float(written(v))) for v in posed.values if not isinstance(v, str)]
    return all(v >= 0.01 for v in values) and shown.isdisjoint(values)


def _file(seed: int, number: int) -> str:
    return f"exam-{seed}-question-{number}.png"


def _paper(seed: int, posed: Sequence[tuple[Template, Posed]]) -> str:
    minutes = 5 * -(-sum(t.minutes for t, _ in posed) // 5) + 5
    points = sum(p.points for _, p in posed)
    parts = [
        f"# Latent factor models: exam {seed}",
        f"Time allowed: {minutes} minutes. {points} points; those of each part stand in brackets "
        "behind it. A pocket calculator and one sheet of your own notes are allowed.",
        "Logarithms are natural, results that are logarithms are in nats. N(m, v) has the mean m "
        "and the variance v; [a, b; c, d] is a matrix with the rows a, b and c, d.",
        "Give three decimals, and keep at least six digits while you compute; a last digit that is "
        "off by one costs nothing. Show your working. In a derivation give a reason for each step. "
        "Answers in words need two or three sentences.",
    ]
    for number, (_, p) in enumerate(posed, 1):
        parts += [f"## Question {number} ({p.points} points)", p.question(_file(seed, number))]
    return "\n\n".join(parts) + "\n"


def _key(seed: int, posed: Sequence[tuple[Template, Posed]]) -> str:
    total, deep = (sum(getattr(p, name) for _, p in posed) for name in ("points", "understanding"))
    parts = [
        f"# Latent factor models: key to exam {seed}",
        f"Not for students. {deep} of {total} points are for understanding. Other words that say "
        "the same as the answers in words, and other derivations that are right, get the same "
        "points. Numbers were computed by the package `lfm`, or a figure was drawn from them.",
        "The things that one question in words asks share its points equally. Of those for a wrong "
        "line, 2 are for which it is, 2 for why, 2 for what it should be. A wrong number costs its "
        "own points only: whoever goes on rightly from it gets those of what follows.",
    ]
    for number, (t, p) in enumerate(posed, 1):
        title = f"## Question {number} · {t.name} (chapter {t.chapter}, {p.points} points)"
        parts += [title, p.key()]
    return "\n\n".join(parts) + "\n"
