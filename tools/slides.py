"""Make slides from the executed notebooks: `make slides`. The rules, which the tests hold:

- A `##` heading begins a section, and each slide carries the heading of its section.
- On the slide goes what carries the idea: displayed equations, each with the sentence that leads to
  it; sentences with bold words; the head of each item of a list; tables; figures.
- A figure has a slide to itself, with the sentence that follows it: what to see.
- Code that transcribes a named equation stands below it, without its assertions, if that leaves at
  most eight lines. All other code, and all prose, is in the speaker's notes.
- An exercise or a quiz is a slide with its whole task, and never its solution.
- The minutes of a chapter are shared out by the number of words, and stand in the notes.

Cell tags override this: see `tools.course.TAGS`.
"""

import ast
import html
import itertools
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from nbconvert.filters.markdown_mistune import markdown2html_mistune
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from tools import course
from tools.course import Block

HERE = Path(__file__).parent / "slides"
OUT = course.BUILD / "slides"

# A slide is 1280 × 720 units; these are what is left of it for text, and the sizes of type.
WIDTH, HEIGHT = 1180, 560
BODY, MATH, CODE = 30, 34, 26
SMALLEST_MATH, SMALLEST_CODE = 22, 18
ZOOMS = (1.4, 1.3, 1.2, 1.1, 1.0, 0.94)  # type grows where there is room; never below 28
WORDS = 75  # more on one slide is read by nobody
CAPTION = 210  # characters with a figure
CODE_LINES = 8
LEANS = r"(It|They|This|These|That|So|But|Then|Or|And|Hence|Because|Such|Both|Neither|Each)\b"


@dataclass(frozen=True)
class Part:
    """One thing on a slide: its kind and its source."""

    kind: str  # claim, equation, list, table, figure, caption, code, output, task
    text: str
    name: str = ""  # of an equation; the alt text of a figure

    def height(self, zoom: float = 1.0) -> float:
        """Return about how much of the slide's height it takes."""
        size = BODY * zoom
        lines = self.text.splitlines()
        if self.kind == "figure":
            return HEIGHT - 90
        if self.kind == "equation":
            return _tex_height(self.text, math_size(self.text, zoom))
        if self.kind == "code":
            return 1.35 * code_size(self.text, zoom) * len(lines) + 40
        if self.kind == "output":
            return 1.35 * 22 * len(lines) + 30
        if self.kind == "list":
            return sum(_text_height(line, size, indent=60) for line in lines)
        if self.kind == "table":
            return _table_height(self.text, size)
        return sum(_text_height(t, size) for t in self.text.split("\n\n"))


@dataclass
class Slide:
    """A slide: a heading, few parts, and what the speaker says."""

    heading: str
    kind: str = "text"  # title, text, figure, exercise, quiz, question
    section: str = ""
    parts: list[Part] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    spare: list[str] = field(default_factory=list)  # sentences for a slide that stays empty
    extra: list[str] = field(default_factory=list)  # misconceptions and questions
    timing: str = ""

    def height(self, zoom: float = 1.0) -> float:
        """Return about how much of its height is taken."""
        return sum(p.height(zoom) + 14 for p in self.parts)

    def zoom(self) -> float:
        """Return how much its type can be enlarged."""
        return next((z for z in ZOOMS if self.height(z) <= HEIGHT), ZOOMS[-1])

    def words(self) -> int:
        """Return how many words are shown."""
        return sum(count_words(p.text) for p in self.parts if p.kind not in ("figure", "code"))

    def spoken(self) -> int:
        """Return how many words are shown or said: what the time is shared out by."""
        prose = [n for n in self.notes if not n.startswith("```")]
        return max(10, sum(map(count_words, prose)), self.words())


# ------------------------------------------------------------------ text


def count_words(text: str) -> int:
    """Return the number of words; a formula counts as one."""
    return len(re.sub(r"\$[^$]+\$", "x", text).split())


def sentences(text: str) -> list[str]:
    """Return the sentences of a paragraph. No cut is made inside a formula, code or bold words."""
    kept = []

    def hide(match):
        kept.append(match[0])
        return f"\0{len(kept) - 1}\0"

    text = re.sub(r"\$[^$]+\$|`[^`]+`|\*\*.+?\*\*", hide, " ".join(text.split()))
    ends = r"(?<=[.?!])[)\"”*_]*\s+(?=[\"“(*_]*[A-Z\0])"
    cuts = [m.end() for m in re.finditer(ends, text)]
    # Bold words that end a sentence ("**Why?** Because") hide its stop: look into what is hidden.
    for m in re.finditer(r"\0(\d+)\0\s+(?=[\"“(*_]*[A-Z\0])", text):
        if re.search(r"[.?!:][\"”]?\*\*$", kept[int(m[1])]):
            cuts.append(m.end())
    edges = [0, *sorted(set(cuts)), len(text)]
    pieces = [text[a:b].strip() for a, b in itertools.pairwise(edges)]
    return [re.sub(r"\0(\d+)\0", lambda m: kept[int(m[1])], p) for p in pieces if p]


def claims(text: str) -> list[str]:
    """Return the sentences with bold words; a short one or a question with what answers it.

    One that leans on the sentence before it ("It is called ...") brings that sentence too.
    """
    every = sentences(text)
    chosen = set()
    for i, sentence in enumerate(every):
        if "**" in sentence:
            chosen.add(i)
            if i and re.match(LEANS, sentence):
                chosen.add(i - 1)
        elif i and i - 1 in chosen and _wants_more(every[i - 1]):
            chosen.add(i)
    return [every[i] for i in sorted(chosen)]


def _wants_more(sentence: str) -> bool:
    bare = sentence.replace("*", "").rstrip(')"”')
    return "**" in sentence and (bare.endswith(("?", ":")) or count_words(bare) < 6)


def heads(items: str) -> list[str]:
    """Return each item of a list, cut after a sentence where it is long."""
    marks = re.split(r"^(?=[-*] |\d+\. )", items, flags=re.M)
    found = []
    for item in filter(str.strip, marks):
        mark, text = re.match(r"([-*]|\d+\.) +(.*)", item, flags=re.S).groups()
        parts = sentences(text)
        if count_words(text) > 24:
            parts = parts[: 2 if count_words(parts[0]) < 6 else 1]
        found.append(f"{'-' if mark in '-*' else mark} {' '.join(parts)}")
    return found


# ------------------------------------------------------------------ how large things are


def tex_width(tex: str) -> float:
    """Return about how wide a displayed equation is, in em."""
    tex = re.sub(r"\\(begin|end)\{(aligned|gathered|cases|array)\}(\{[lcr]+\})?|&", " ", tex)
    rows = re.split(r"\\\\(?:\[[^\]]*\])?", tex)
    return max(_row_width(row) for row in rows)


def _row_width(tex: str) -> float:
    atom = r"\{((?:[^{}]|\{[^{}]*\})*)\}"
    for _ in range(4):  # a fraction is as wide as the wider of its parts
        tex = re.sub(r"\\[dt]?frac\s*(\w)\s*(\w)", r"\1", tex)
        tex = re.sub(r"\\[dt]?frac" + atom + atom, lambda m: max(m[1], m[2], key=_row_width), tex)
        tex = re.sub(r"\\underbrace" + atom + "_" + atom, lambda m: max(m[1], m[2], key=len), tex)
    width = 0.0
    for word in re.findall(r"\\(?:text|textstyle|operatorname)\{([^{}]*)\}", tex):
        width += 0.47 * len(word)
    tex = re.sub(r"\\(?:text|operatorname)\{[^{}]*\}", "", tex)
    tex = re.sub(r"[_^](\\[A-Za-z]+|\{[^{}]*\}|.)", lambda m: "~" * len(_glyphs(m[1])), tex)
    wide = {"=", "+", "-", "<", ">", "\\ge", "\\le", "\\to", "\\approx", "\\Rightarrow", "\\sim"}
    wide |= {"\\ln", "\\exp", "\\max", "\\min", "\\arg", "\\mid", "\\sum", "\\int", "\\propto"}
    for glyph in _glyphs(tex):
        if glyph == "\\qquad":
            width += 2
        elif glyph == "\\quad":
            width += 1
        elif glyph in ("~", "\\,", "\\;", "\\!", "\\:", "\\ ", ",", ".", "|"):
            width += 0.36
        else:
            width += 1.35 if glyph in wide else 0.62
    return width


def _glyphs(tex: str) -> list[str]:
    """Return what of TeX takes room: letters, signs and commands, but not those of style."""
    style = r"\\(left|right|[bB]igg?[lr]?|mathrm|mathcal|mathbb|mathbf|tfrac|frac|textstyle|tilde"
    style += r"|bar|hat|overline|underbrace|displaystyle|operatorname)(?![a-z])"
    return re.findall(r"\\[A-Za-z]+|\\.|[^\s{}]", re.sub(style, "", tex))


def fold(tex: str) -> str:
    """Return an equation that is too wide for the slide in several lines."""
    if tex_width(tex) * MATH <= WIDTH or "\\begin{" in tex:
        return tex
    at_quads = re.split(r"(?<=,)\s*\\q?quad\s*|\s*\\qquad\s*|(?<=,)\s*\\ \s*", tex)
    if len(at_quads) > 1:
        lines = [at_quads[0]]
        for piece in at_quads[1:]:
            joined = f"{lines[-1]} \\qquad {piece}"
            if tex_width(joined) * MATH <= WIDTH:
                lines[-1] = joined
            else:
                lines.append(piece)
        tex = " \\\\[4pt] ".join(lines)
        return f"\\begin{{gathered}} {tex} \\end{{gathered}}"
    return _fold_at_relations(tex)


def _fold_at_relations(tex: str) -> str:
    """Return a chain a = b ≤ c with each relation on a line of its own, aligned."""
    pieces, depth, start = [], 0, 0
    for m in re.finditer(r"\\left|\\right|[{}]|(?<![_^])(?:=(?!:)|=:|\\ge|\\le)(?![A-Za-z])", tex):
        depth += {"{": 1, "}": -1, "\\left": 1, "\\right": -1}.get(m[0], 0)
        if depth == 0 and m[0] not in ("}", "\\right") and m.start() > start:
            pieces.append(tex[start : m.start()])
            start = m.start()
    pieces.append(tex[start:])
    if len(pieces) < 2:
        return tex
    first, *rest = pieces
    lines = " \\\\[4pt] & ".join(piece.strip() for piece in rest)
    # A long left side would push the aligned column out of the slide: put it on a line of its own.
    apart = tex_width(first) > 12
    start = f"& {first.strip()} \\\\[4pt] & \\quad " if apart else f"{first.strip()} & "
    return f"\\begin{{aligned}} {start}{lines} \\end{{aligned}}"


def math_size(tex: str, zoom: float = 1.0) -> int:
    """Return the size of type at which a displayed equation is no wider than the slide."""
    return max(SMALLEST_MATH, int(min(MATH * zoom, WIDTH / tex_width(tex))))


def code_size(code: str, zoom: float = 1.0) -> int:
    """Return the size of type at which the longest line of code is no wider than the slide."""
    longest = max(map(len, code.splitlines()))
    return int(min(CODE * zoom, (WIDTH - 40) / (0.605 * longest)))


def _tex_height(tex: str, size: float) -> float:
    tall = ("\\frac", "\\sum", "\\int", "\\underbrace", "\\prod", "\\begin{cases}")
    rows = re.split(r"\\\\", tex)
    return sum(size * (2.3 if any(t in row for t in tall) else 1.5) for row in rows) + 34


def _text_height(text: str, size: float, indent: float = 0) -> float:
    plain = re.sub(r"\$([^$]+)\$", lambda m: "x" * round(1.3 * tex_width(m[1]) + 1), text)
    plain = re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", plain)
    lines = -(-len(plain) * size * 0.475 // (WIDTH - indent))
    tall = 0.5 if "frac" in text or "sum" in text else 0
    return (lines * 1.35 + tall) * size + 16


def _table_height(table: str, size: float) -> float:
    rows = [r.strip("|").split("|") for r in table.splitlines() if not re.fullmatch(r"[|\s:-]+", r)]
    wide = [max(len(row[i]) for row in rows if i < len(row)) + 4 for i in range(len(rows[0]))]
    height = 0.0
    for row in rows:
        share = [WIDTH * (1 - w / sum(wide)) for w in wide]
        height += max(_text_height(c, size, s) for c, s in zip(row, share, strict=False))
    return height


# ------------------------------------------------------------------ code


def for_slide(source: str) -> str:
    """Return the code without its assertions, imports and prints."""
    lines = source.splitlines()
    for node in reversed(ast.parse(source).body):
        prints = isinstance(node, ast.Expr) and ast.unparse(node).startswith("print(")
        if prints or isinstance(node, ast.Assert | ast.Import | ast.ImportFrom):
            del lines[node.lineno - 1 : node.end_lineno]
    text = "\n".join(line.replace("  # fmt: skip", "") for line in lines)
    return re.sub(r"\n{2,}", "\n", text).strip("\n")


def only_imports(source: str) -> bool:
    """Return whether a cell does nothing but import."""
    return all(isinstance(n, ast.Import | ast.ImportFrom) for n in ast.parse(source).body)


def transcribes(code: str) -> bool:
    """Return whether code is more than a call, and short enough for a slide."""
    return 2 <= len(code.splitlines()) <= CODE_LINES and code_size(code) >= SMALLEST_CODE


def printed(cell) -> str:
    """Return what a cell printed."""
    return "".join(o.text for o in cell.outputs if o.output_type == "stream").rstrip("\n")


# ------------------------------------------------------------------ the rules


class Deck:
    """The slides of a chapter while they are made."""

    def __init__(self):
        self.slides: list[Slide] = []
        self.waiting: Slide | None = None  # a figure that has no caption yet
        self.equation: Part | None = None  # named, and not yet transcribed by code

    @property
    def now(self) -> Slide:
        return self.slides[-1]

    def begin(self, heading: str, kind: str = "text") -> Slide:
        """Begin a section, or an exercise."""
        self.slides.append(Slide(heading, kind, section=heading))
        self.waiting = self.equation = None
        return self.now

    def go_on(self) -> Slide:
        """Begin another slide of the same section."""
        self.slides.append(Slide(self.now.heading, section=self.now.section))
        return self.now

    def add(self, *parts: Part) -> None:
        """Put parts that belong together on this slide, or on a new one where they do not fit."""
        full = self.now.height() + sum(p.height() for p in parts) > HEIGHT
        wordy = self.now.words() + sum(count_words(p.text) for p in parts) > WORDS
        two = {p.kind for p in self.now.parts} & {"figure", "table", "code"}
        named = [p for p in (*self.now.parts, *parts) if p.name and p.kind == "equation"]
        if self.now.kind != "text" or (self.now.parts and (full or wordy or two or len(named) > 1)):
            self.go_on()
        self.now.parts += parts

    # -------------------------------------------------------------- cells

    def markdown(self, cell) -> None:
        """Take a markdown cell."""
        self.equation = None
        if "slide-split" in course.tags(cell) and self.slides:
            self.go_on()
        quiet, whole = (f"slide-{t}" in course.tags(cell) for t in ("notes", "all"))
        found = course.blocks(cell.source)
        for i, block in enumerate(found):
            if block.kind == "heading":
                self.begin(block.text.lstrip("# "))
            elif block.kind == "rule":
                continue
            elif quiet:
                self.now.notes.append(_as_source(block))
            elif block.kind == "prose":
                after = found[i + 1].kind if i + 1 < len(found) else ""
                before = found[i - 1].kind if i else ""
                self.prose(block.text, before, after, whole)
            elif block.kind == "equation":
                self.displayed(block.text)
            elif block.kind == "list":
                self.waiting = None
                items = heads(block.text)
                # The sentence that announces the list stands above it.
                lead = found[i - 1].text if i and found[i - 1].kind == "prose" else ""
                lead = sentences(lead)[-1:] if lead.endswith(":") else []
                lead = [s for s in lead if s not in {p.text for p in self.now.parts}]
                self.listed([Part("claim", s) for s in lead], items)
                self.now.notes.append(block.text)
            elif block.kind == "table":
                self.waiting = None
                self.add(Part("table", block.text))

    def listed(self, lead: list[Part], items: list[str]) -> None:
        """Put a list on as many slides as it needs."""
        while items:
            n = len(items)
            while n > 1 and (
                Part("list", "\n".join(items[:n])).height() + sum(p.height() for p in lead) > HEIGHT
                or sum(map(count_words, items[:n])) > WORDS
            ):
                n -= 1
            self.add(*lead, Part("list", "\n".join(items[:n])))
            lead, items = [], items[n:]

    def prose(self, text: str, before: str, after: str, whole: bool) -> None:
        """Take a paragraph: its claims to the slide, all of it to the notes."""
        every = sentences(text)
        shown = every if whole else claims(text)
        if before == "equation" and text[0].islower() and count_words(every[0]) <= 30:
            shown = [every[0], *(s for s in shown if s != every[0])]
        if self.waiting is not None:
            caption = self.caption(every)
            shown = [s for s in shown if s not in caption]
        elif after == "equation" and count_words(every[-1]) <= 40:
            lead = every[-2:] if count_words(every[-1]) < 5 else every[-1:]
            shown = [s for s in shown if s not in lead] + lead
        if "**What breaks next.**" in every[0]:
            self.begin("What breaks next", "question")
            self.now.parts = [Part("claim", " ".join(every[1:]))]
            self.now.notes.append(text)
            return
        for group in _grouped(shown):
            self.add(*(Part("claim", s) for s in group))
        self.now.spare += every
        self.now.notes.append(text)

    def caption(self, every: list[str]) -> list[str]:
        """Give the figure that waits its sentence; return what was taken."""
        slide, self.waiting = self.waiting, None
        if re.match(r"\*\*[^*]+[?]\*\*", every[0]):
            return []  # a question opens something new
        taken = _upto(every, CAPTION)
        slide.parts.append(Part("caption", " ".join(taken)))
        return taken

    def displayed(self, tex: str) -> None:
        """Take a displayed equation, with the sentence before it where there is one."""
        self.waiting = None
        name = (re.findall(r"\\tag\{([a-z0-9-]+)\}", tex) or [""])[0]
        tex = re.sub(r"\s*\\tag\{[a-z0-9-]+\}", "", tex)
        equation = Part("equation", fold(tex), name)
        lead = []
        while self.now.parts and self.now.parts[-1].kind == "claim" and not lead:
            lead.insert(0, self.now.parts.pop())
        empty = not self.now.parts and bool(lead)
        if empty:  # it fits, or nothing does
            self.now.parts = [*lead, equation]
        else:
            self.add(*lead, equation)
        if name:
            self.equation = equation

    def code(self, cell) -> None:
        """Take a code cell."""
        marks, source = course.tags(cell), cell.source
        figure = course.drawn(cell)
        if only_imports(source):
            return
        if "slide-split" in marks:
            self.go_on()
        if figure and "slide-notes" not in marks:
            self.figure(cell.id, figure[1])
            return
        text = source if "slide-code" in marks else for_slide(source)
        follows = self.equation is not None and "close(" in source and transcribes(text)
        said = printed(cell)
        if "slide-code" in marks or (follows and "slide-notes" not in marks):
            parts = [Part("code", text)]
            if said and len(said.splitlines()) <= 3:
                parts.append(Part("output", said))
            self.transcription(parts)
        elif "slide-output" in marks and said:
            self.add(Part("output", said))
        self.now.notes.append(f"```python\n{source}\n```" + (f"\nPrints: `{said}`" if said else ""))

    def transcription(self, parts: list[Part]) -> None:
        """Put code below its equation, or on the next slide with the equation once more."""
        taken = sum(p.height() for p in parts)
        if self.equation and self.now.height() + taken > HEIGHT:
            self.go_on()
            if self.equation.height() + taken <= HEIGHT:
                parts = [self.equation, *parts]
        self.add(*parts)
        self.equation = None

    def figure(self, cell: str, alt: str) -> None:
        """Take a figure: it fills a slide."""
        if self.now.parts or self.now.kind != "text":
            spare = self.now.spare
            self.go_on().spare = list(spare[-1:])
        self.now.kind = "figure"
        self.now.parts.append(Part("figure", cell, alt))
        self.waiting = self.now
        self.equation = None

    def task(self, cell, kind: str) -> None:
        """Take an exercise or a quiz: all of its text on one slide."""
        first, *rest = course.blocks(cell.source)
        heading = first.text.lstrip("# ") if first.kind == "heading" else "Question"
        rest = rest if first.kind == "heading" else [first, *rest]
        section = self.now.section
        self.begin(heading, kind).section = section
        self.now.parts = [Part("task", "\n\n".join(map(_as_source, rest)))]


def _as_source(block: Block) -> str:
    return f"$$\n{block.text}\n$$" if block.kind == "equation" else block.text


def _grouped(shown: list[str]) -> list[list[str]]:
    """Return sentences in groups that must not be parted: a question and its answer."""
    groups: list[list[str]] = []
    for sentence in shown:
        if groups and _wants_more(groups[-1][-1]):
            groups[-1].append(sentence)
        else:
            groups.append([sentence])
    return groups


def first_slides(cell) -> list[Slide]:
    """Return the slides of a chapter's first cell: the question and the aims."""
    text = cell.source
    heading = text.splitlines()[0].removeprefix("# ")
    question, stands = (
        re.search(rf"\*\*{name}\*\* (.+)", text)[1]
        for name in ("The question.", "Where this stands.")
    )
    able = re.search(r"\*\*You will be able to\*\*\n((?:- .+\n?)+)", text)[1].strip()
    opening = Slide(heading, "title", section=heading, parts=[Part("claim", question)])
    opening.notes = [stands]
    aims = Slide("You will be able to", section=heading, parts=[Part("list", able)])
    return [opening, aims]


def last_slide(cell) -> Slide:
    """Return the slide with the question of the next chapter."""
    question = re.search(r"\*\*Next\.\*\* (.+)", cell.source)[1]
    return Slide("Next", "question", section="Next", parts=[Part("claim", question)])


def make(cells: list, items: dict[str, list[str]] | None = None) -> list[Slide]:
    """Return the slides of a chapter. `items` are the teacher's, by section (`course.teaching`)."""
    cells = [c for c in cells if "slide-skip" not in course.tags(c)]
    minutes = [int(m) for m in re.findall(r"(\d+)", _time(cells[0].source))]
    deck = Deck()
    deck.slides = first_slides(cells[0])
    following = {c.id: course.tags(after) for c, after in itertools.pairwise(cells)}
    for cell in cells[1:]:
        if "**Next.**" in cell.source and cell.cell_type == "markdown":
            deck.slides.append(last_slide(cell))
        elif cell.cell_type == "markdown":
            kind = following.get(cell.id, set()) & {"exercise", "quiz"}
            if kind:
                deck.task(cell, *kind)
            elif not cell.source.startswith("## Exercises"):
                deck.markdown(cell)
        elif course.tags(cell) & {"exercise", "quiz"}:
            if "exercise" in course.tags(cell):
                deck.now.parts.append(Part("code", _signature(cell.source)))
        else:
            deck.code(cell)
    slides = _finished(deck.slides)
    _remind(slides, items or {})
    share_time(slides, *minutes)
    return slides


def _time(source: str) -> str:
    return re.search(r"\*\*Time\.\*\* (.+)", source)[1]


def _signature(source: str) -> str:
    """Return the empty function of an exercise."""
    return re.search(r"^def .*?(?=\n\n|\Z)", source, flags=re.S | re.M)[0]


def _finished(slides: list[Slide]) -> list[Slide]:
    """Return the slides; an empty one shows its first sentences, or joins the one before."""
    done: list[Slide] = []
    for slide in slides:
        if slide.kind == "figure" and len(slide.parts) == 1 and slide.spare:
            slide.parts.insert(0, Part("caption", " ".join(_upto(slide.spare, CAPTION))))
        if not slide.parts and slide.spare:
            slide.parts = [Part("claim", s) for s in _upto(slide.spare, 320)]
        if slide.parts:
            done.append(slide)
        else:
            done[-1].notes += slide.notes
    return done


def _upto(every: list[str], most: int) -> list[str]:
    """Return the first sentence, and those after it that fit into so many characters."""
    taken = every[:1]
    for sentence in every[1:]:
        if len(" ".join([*taken, sentence])) > most:
            break
        taken.append(sentence)
    return taken


def _remind(slides: list[Slide], items: dict[str, list[str]]) -> None:
    """Put misconceptions and questions into the notes of the first slide of their section."""
    for section, lines in items.items():
        slide = next((s for s in slides if s.section == section), None)
        if slide is None:
            raise ValueError(f"TEACHING.md names the section {section!r}; no slide has it")
        slide.extra += lines


def share_time(slides: list[Slide], minutes: int, exercises: int = 0) -> None:
    """Write into each slide how long it takes, in proportion to its words, in half minutes."""
    for total, chosen, name in (
        (minutes, [s for s in slides if s.kind != "exercise"], ""),
        (exercises, [s for s in slides if s.kind == "exercise"], " for the exercises"),
    ):
        words, seen = sum(s.spoken() for s in chosen), 0
        for slide in chosen:
            start = round(2 * total * seen / words) / 2
            seen += slide.spoken()
            end = round(2 * total * seen / words) / 2
            slide.timing = f"{end - start:g} min (of {total}{name}; you should be at {start:g})"


# ------------------------------------------------------------------ HTML


def to_html(text: str) -> str:
    """Return markdown as HTML; links to notebooks become links to their slides."""
    text = re.sub(r"\[([^\]]+)\]\(solutions/[^)]*\)", r"\1", text)
    text = re.sub(r"\]\((\d\d_\w+)\.ipynb\)", r"](\1.html)", text)
    text = re.sub(r"\[([^\]]+)\]\((?!http|\d\d_)[^)]*\)", r"\1", text)
    return re.sub(r"<pre><code[^>]*>", "<pre>", markdown2html_mistune(text)).strip()


def _part_html(p: Part, zoom: float) -> str:
    if p.kind == "figure":
        return f'<img class="fig" src="figures/{p.text}.png" alt="{html.escape(p.name)}">'
    if p.kind == "equation":
        size = math_size(p.text, zoom)
        name = f'<span class="name">{p.name}</span>' if p.name else ""
        tex = html.escape(p.text, quote=False)
        return f'<div class="eq" style="font-size:{size}px">$$ {tex} $$</div>{name}'
    if p.kind == "code":
        code = highlight(p.text, PythonLexer(), HtmlFormatter(nowrap=True)).rstrip("\n")
        return f'<pre class="code" style="font-size:{code_size(p.text, zoom)}px">{code}</pre>'
    if p.kind == "output":
        return f'<pre class="output">{html.escape(p.text)}</pre>'
    if p.kind == "list" and re.match(r"\d", p.text):
        return to_html(p.text)
    return f'<div class="{p.kind}">{to_html(p.text)}</div>'


def slide_html(slide: Slide, number: int) -> str:
    """Return a slide as a section of reveal.js."""
    zoom = slide.zoom() if slide.kind in ("text", "exercise", "quiz") else 1.0
    level = 1 if slide.kind == "title" else 2
    body = "\n".join(_part_html(p, zoom) for p in slide.parts)
    notes = "\n\n".join([f"**{slide.timing}**", *slide.extra, *slide.notes])
    return (
        f'<section id="s{number}" class="{slide.kind}" style="--zoom:{zoom}"><div class="frame">\n'
        f"<h{level}>{_inline(slide.heading)}</h{level}>\n"
        f'<div class="body">\n{body}\n</div></div>\n'
        f'<aside class="notes">\n{to_html(notes)}\n</aside></section>'
    )


def _inline(text: str) -> str:
    return re.sub(r"^<p>|</p>$", "", to_html(text))


def page(title: str, slides: list[Slide]) -> str:
    """Return the slides of a chapter as a page."""
    body = "\n".join(slide_html(s, i) for i, s in enumerate(slides))
    template = (HERE / "chapter.html").read_text(encoding="utf-8")
    return template.replace("{{title}}", html.escape(title)).replace("{{slides}}", body)


def main() -> None:
    """Write build/slides."""
    shutil.rmtree(OUT, ignore_errors=True)
    (OUT / "figures").mkdir(parents=True)
    items, rows = course.teaching(), []
    for path in course.chapters():
        cells = course.read(path).cells
        slides = make(cells, items.get(path.stem[:2]))
        title = course.title(path)
        (OUT / f"{path.stem}.html").write_text(page(title, slides), encoding="utf-8")
        rows.append(
            f'<li><a href="{path.stem}.html">{html.escape(title)}</a> '
            f"{len(slides)} slides, {_time(cells[0].source).rstrip('.')}</li>"
        )
    for figure in course.figures():
        (OUT / "figures" / f"{figure.cell}.png").write_bytes(figure.png)
    index = (HERE / "index.html").read_text(encoding="utf-8")
    (OUT / "index.html").write_text(index.replace("{{rows}}", "\n".join(rows)), encoding="utf-8")
    shutil.copy(HERE / "slides.css", OUT)
    (OUT / "code.css").write_text(HtmlFormatter().get_style_defs(".code"), encoding="utf-8")
    npm = course.ROOT / "node_modules"
    shutil.copytree(npm / "reveal.js" / "dist", OUT / "reveal")
    shutil.copytree(npm / "reveal.js" / "plugin" / "notes", OUT / "reveal" / "notes")
    shutil.copy(npm / "mathjax" / "es5" / "tex-svg-full.js", OUT / "mathjax.js")
    print(f"{len(rows)} chapters: open {(OUT / 'index.html').relative_to(course.ROOT)}")


if __name__ == "__main__":
    main()
