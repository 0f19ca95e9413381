"""The kinds of question: what the paper asks, what the key says, and the points for it.

The fields of a table in the TOML say of which kind it is. Each has exactly `VARIANTS` tables
`[[name.words]]`, of which the seed chooses one.

    compute   text, asks, working     words: why, because        numbers, then a question in words
    figure    those, and alt, told    words: why, because        the numbers are read off a picture
    derive    text, or nothing        words: derive, scheme      a derivation, marked line by line
    mistake   text, lines             words: line, says, because one of the lines is wrong

`alt` says what kind of picture it is, `told` what is drawn, in numbers, for students who cannot see
it; so only the key has it. A scheme is a list of [points, line]. `line` is the number of the line
that is wrong, `says` what it says in place of what stands in `lines`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from lfm.checks.questions.drawing import Numbers
from lfm.checks.questions.words import filled

VARIANTS = 3
FOR_A_NUMBER, FOR_WORDS, FOR_A_MISTAKE = 2, 4, 6
FIELDS = {
    "compute": ({"text", "asks", "working"}, {"why", "because"}),
    "figure": ({"text", "asks", "working", "alt", "told"}, {"why", "because"}),
    "derive": ({"text"}, {"derive", "scheme"}),
    "mistake": ({"text", "lines"}, {"line", "says", "because"}),
}


class Part(NamedTuple):
    """One thing that is asked for, what the key answers, and whether it takes understanding."""

    asked: str
    answer: str
    points: int
    understanding: bool = True


class Posed(NamedTuple):
    """A question with its numbers and its words."""

    text: str
    parts: tuple[Part, ...]
    values: tuple[float | str, ...] = ()
    working: str = ""
    alt: str = ""
    told: str = ""
    picture: Callable[[], Any] | None = None

    @property
    def points(self) -> int:
        """Return what the question is worth."""
        return sum(part.points for part in self.parts)

    @property
    def understanding(self) -> int:
        """Return how many of its points are for words, derivations, mistakes and figures."""
        return sum(part.points for part in self.parts if part.understanding)

    def question(self, picture: str = "") -> str:
        """Return what the paper says, in markdown; `picture` is the name of the figure's file."""
        shown = [f"![{self.alt}]({picture})"] if self.picture else []
        items = "\n".join(f"- {part.asked} [{part.points}]" for part in self.parts)
        return "\n\n".join(filter(None, [self.text, *shown, items]))

    def key(self) -> str:
        """Return what the key says: numbers, working, and the answers in words."""
        n = len(self.values)
        numbers = "\n".join(f"- {part.asked} {part.answer}" for part in self.parts[:n])
        working = f"**Working.** {self.working}" if self.working else ""
        told = f"**For a student who cannot see the figure.** {self.told}" if self.told else ""
        answers = [part.answer for part in self.parts[n:]]
        return "\n\n".join(filter(None, [numbers, working, *answers, told]))


def kind(words: dict) -> str:
    """Return the kind of question that these fields make; raise for fields that make none."""
    own = set(words) - {"words"}
    for name, (fields, of_variant) in FIELDS.items():
        given = own | {"text"} if name == "derive" else own
        if given == fields and all(set(variant) == of_variant for variant in words["words"]):
            return name
    raise ValueError(f"no kind of question has the fields {sorted(own)}")


def pose(words: dict, variant: int, numbers: Numbers) -> Posed:
    """Return the question with these numbers in its words, and this variant of them."""

    def fill(text: str) -> str:
        return filled(text, numbers.shown)

    asks = {"compute": _numbers, "figure": _numbers, "derive": _derivation, "mistake": _mistake}
    text, parts = asks[kind(words)](words, words["words"][variant], numbers, fill)
    others = (fill(words.get(name, "")) for name in ("working", "alt", "told"))
    return Posed(text, tuple(parts), numbers.answers, *others, numbers.picture)


def written(value: float | str) -> str:
    """Return a value as the key gives it: a letter, a whole number, or three decimals."""
    if isinstance(value, int | str):
        return str(value)
    return f"{round(float(value), 3) + 0.0:.3f}"  # never "-0.000"


def _numbers(words: dict, variant: dict, numbers: Numbers, fill) -> tuple[str, list[Part]]:
    read = "alt" in words
    asked = zip("abcdef", words["asks"], strict=False)
    parts = [
        Part(f"({letter}) {fill(what)}", f"**{written(value)}**", FOR_A_NUMBER, read)
        for (letter, what), value in zip(asked, numbers.answers, strict=True)
    ]
    why, because = fill(variant["why"]), fill(variant["because"])
    in_words = Part(f"In words: {why}", f"**In words.** {because}", FOR_WORDS)
    return fill(words["text"]), [*parts, in_words]


def _derivation(words: dict, variant: dict, numbers: Numbers, fill) -> tuple[str, list[Part]]:
    scheme = [(points, fill(line)) for points, line in variant["scheme"]]
    lines = [f"{i}. ({points}) {line}" for i, (points, line) in enumerate(scheme, 1)]
    listed = "\n".join(["**Scheme**, with the points of each line:\n", *lines])
    total = sum(points for points, _ in scheme)
    return fill(words.get("text", "")), [Part(f"Derive {fill(variant['derive'])}", listed, total)]


def _mistake(words: dict, variant: dict, numbers: Numbers, fill) -> tuple[str, list[Part]]:
    lines, at = [fill(line) for line in words["lines"]], variant["line"]
    right, lines[at - 1] = lines[at - 1], fill(variant["says"])
    listed = "\n".join(f"{i}. {line}" for i, line in enumerate(lines, 1))
    asked = (
        "One line is wrong; the later ones go on from the right one. Which is it, and why? Mend it."
    )
    because = f"**Line {at}.** {fill(variant['because'])} Right is: {right}"
    return f"{fill(words['text'])}\n\n{listed}", [Part(asked, because, FOR_A_MISTAKE)]
