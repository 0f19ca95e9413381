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
from tools.typesetting import (
    BODY,
    CAPTION,
    CODE_LINES,
    GAP,
    HEIGHT,
    SMALLEST_CODE,
    TABLE_ZOOMS,
    WORDS,
    ZOOMS,
    claims,
    code_size,
    count_words,
    fold,
    heads,
    math_size,
    runs,
    sentences,
    table_height,
    tex_height,
    text_height,
)

HERE = Path(__file__).parent / "slides"
OUT = course.BUILD / "slides"


@dataclass(frozen=True)
class Part:
    """One thing on a slide: its kind and its source."""

    kind: str  # claim, equation, list, table, figure, caption, code, output, task
    text: str
    name: str = ""  # of an equation; what a figure claims
    alt: str = ""  # of a figure: the claim, and what is plotted in numbers

    def height(self, zoom: float = 1.0) -> float:
        """Return about how much of the slide's height it takes."""
        size = BODY * zoom
        lines = self.text.splitlines()
        if self.kind == "figure":
            return HEIGHT - 90
        if self.kind == "equation":
            return tex_height(self.text, math_size(self.text, zoom))
        if self.kind == "code":
            return 1.35 * code_size(self.text, zoom) * len(lines) + 40
        if self.kind == "output":
            return 1.35 * 22 * len(lines) + 30
        if self.kind == "list":
            return sum(text_height(line, size, indent=60) for line in lines)
        if self.kind == "table":
            return table_height(self.text, size)
        return sum(text_height(t, size) for t in self.text.split("\n\n"))


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
        return taken(self.parts, zoom)

    def zoom(self) -> float:
        """Return how much its type can be enlarged."""
        if any(p.kind == "table" for p in self.parts):
            return next((z for z in TABLE_ZOOMS if self.height(z) <= HEIGHT), TABLE_ZOOMS[-1])
        return next((z for z in ZOOMS if self.height(z) <= HEIGHT), ZOOMS[-1])

    def words(self) -> int:
        """Return how many words are shown."""
        return sum(count_words(p.text) for p in self.parts if p.kind not in ("figure", "code"))

    def spoken(self) -> int:
        """Return how many words are shown or said: what the time is shared out by."""
        prose = [n for n in self.notes if not n.startswith("```")]
        return max(10, sum(map(count_words, prose)), self.words())


def taken(parts: list[Part], zoom: float = 1.0) -> float:
    """Return about how much of a slide's height parts take, with the gaps between them."""
    return sum(p.height(zoom) + GAP for p in parts)


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
        self.slides.append(Slide(self.now.section, section=self.now.section))
        return self.now

    def add(self, *parts: Part) -> None:
        """Put parts that belong together on this slide, or on a new one where they do not fit."""
        full = self.now.height() + taken(parts) > HEIGHT
        wordy = self.now.words() + Slide("", parts=list(parts)).words() > WORDS
        two = {p.kind for p in self.now.parts} & {"figure", "table", "code"}
        named = [p for p in (*self.now.parts, *parts) if p.name and p.kind == "equation"]
        if self.now.kind != "text" or (self.now.parts and (full or wordy or two or len(named) > 1)):
            self.go_on()
        self.now.parts += parts

    # -------------------------------------------------------------- cells

    def markdown(self, cell) -> None:
        """Take a markdown cell."""
        self.equation = None
        if "slide-split" in course.tags(cell):
            self.go_on()
        if course.tags(cell) & {"slide-split", "slide-notes"}:
            self.waiting = None  # a figure before it shows its own text
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
                self.listed(heads(block.text, whole))
                self.now.notes.append(block.text)
            elif block.kind == "table":
                self.waiting = None
                self.add(Part("table", block.text))

    def lead(self) -> list[Part]:
        """Take the sentence that leads to what comes next off the slide, to go with it."""
        parts = self.now.parts
        return [parts.pop()] if parts and parts[-1].kind == "claim" else []

    def listed(self, items: list[str]) -> None:
        """Put a list, with the sentence that announces it, on as many slides as it needs."""
        lead = self.lead()
        if lead and not lead[0].text.endswith((":", ".")):
            self.now.parts += lead
            lead = []
        while items:
            n = len(items)
            while n > 1 and (
                Part("list", "\n".join(items[:n])).height() + taken(lead) > HEIGHT
                or sum(map(count_words, items[:n])) > WORDS
            ):
                n -= 1
            self.add(*lead, Part("list", "\n".join(items[:n])))
            lead, items = [], items[n:]

    def prose(self, text: str, before: str, after: str, whole: bool) -> None:
        """Take a paragraph: its claims to the slide, all of it to the notes."""
        every = sentences(text)
        if "**What breaks next.**" in every[0]:
            self.begin("What breaks next", "question").parts = [Part("claim", " ".join(every[1:]))]
            self.now.notes.append(text)
            return
        wanted = set(range(len(every))) if whole else set()
        bare = bool(self.now.parts) and {p.kind for p in self.now.parts} == {"equation"}
        if before == "equation" and (text[0].islower() or bare) and count_words(every[0]) <= 40:
            wanted.add(0)
        last = len(every) - 1
        announces = after == "list" and count_words(every[last]) <= 20
        shown = 0  # sentences that a figure took
        place = None  # the slide in whose notes the paragraph belongs
        if self.waiting is not None and not (announces and last == 0):
            place = self.waiting
            leads = after == "equation" and last > 0 and not every[last].endswith(".")
            shown = self.caption(every[:last] if leads else every)
            wanted |= {last} if leads else set()
        elif (after == "equation" and count_words(every[last]) <= 40) or announces:
            wanted |= {last, last - 1 if last and count_words(every[last]) < 5 else last}
        chosen = {i for i in claims(every, wanted) if i >= shown}
        for claim in runs(every, chosen):
            self.add(Part("claim", claim))
            place = place or self.now
        self.now.spare += every
        (place or self.now).notes.append(text)

    def caption(self, every: list[str]) -> int:
        """Give the figure that waits its sentences; return how many were taken."""
        slide, self.waiting = self.waiting, None
        if every[0].strip("*").endswith("?") or re.match(r"\*\*[^*]+[?]\*\*", every[0]):
            return 0  # a question opens something new
        chosen = _upto(every, CAPTION)
        while len(chosen) > 1 and chosen[-1].endswith("?"):
            chosen.pop()
        slide.parts.append(Part("caption", re.sub(r":$", ".", " ".join(chosen))))
        return len(chosen)

    def displayed(self, tex: str) -> None:
        """Take a displayed equation, with the sentence before it where there is one."""
        self.waiting = None
        name = (re.findall(r"\\tag\{([a-z0-9-]+)\}", tex) or [""])[0]
        tex = re.sub(r"\s*\\tag\{[a-z0-9-]+\}", "", tex)
        equation = Part("equation", fold(tex), name)
        lead = self.lead()
        self.add(*lead, equation)
        if name:
            self.equation = equation

    def code(self, cell) -> None:
        """Take a code cell."""
        marks, source = course.tags(cell), cell.source
        figure = course.drawn(cell)
        if only_imports(source) or "widget" in marks:
            return
        if "slide-split" in marks:
            self.go_on()
        if figure and "slide-notes" not in marks:
            self.figure(cell.id, *figure[1:])
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
        extra = taken(parts)
        if self.equation and self.now.height() + extra > HEIGHT:
            self.go_on()
            if taken([self.equation]) + extra <= HEIGHT:
                parts = [self.equation, *parts]
        self.add(*parts)
        self.equation = None

    def figure(self, cell: str, alt: str, claim: str) -> None:
        """Take a figure: it fills a slide."""
        if self.now.parts or self.now.kind != "text":
            self.go_on()
        self.now.kind = "figure"
        self.now.parts.append(Part("figure", cell, claim, alt))
        self.now.notes.append(f"*In the picture:* {claim}.")
        self.waiting = self.now
        self.equation = None

    def task(self, cell, kind: str) -> None:
        """Take an exercise or a quiz: all of its text on one slide."""
        found = course.blocks(cell.source.removeprefix("**Quiz.** "))
        heading = found.pop(0).text.lstrip("# ") if found[0].kind == "heading" else "Quiz"
        section = self.now.section
        self.begin(heading, kind).section = section
        self.now.parts = [Part("task", "\n\n".join(map(_as_source, found)))]


def _as_source(block: Block) -> str:
    return f"$$\n{block.text}\n$$" if block.kind == "equation" else block.text


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
        if slide.kind == "figure" and len(slide.parts) == 1:
            if slide.spare:  # what was said before it
                slide.parts.insert(0, Part("caption", " ".join(_upto(slide.spare, CAPTION))))
            else:
                slide.parts.append(Part("caption", f"{slide.parts[0].name.rstrip('.')}."))
        if not slide.parts and slide.spare:
            slide.parts = [Part("claim", s) for s in _upto(slide.spare, 320)]
        if slide.parts:
            done.append(slide)
        else:
            done[-1].notes += slide.notes
    return done


def _upto(every: list[str], most: int) -> list[str]:
    """Return the first sentence, and those after it that fit into so many characters."""
    chosen = every[:1]
    for sentence in every[1:]:
        if len(" ".join([*chosen, sentence])) > most:
            break
        chosen.append(sentence)
    return chosen


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
        return f'<img class="fig" src="figures/{p.text}.png" alt="{html.escape(p.alt)}">'
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
    npm = course.ROOT / "tools" / "node_modules"
    shutil.copytree(npm / "reveal.js" / "dist", OUT / "reveal")
    shutil.copytree(npm / "reveal.js" / "plugin" / "notes", OUT / "reveal" / "notes")
    shutil.copy(npm / "mathjax" / "es5" / "tex-svg-full.js", OUT / "mathjax.js")
    print(f"{len(rows)} chapters: open {(OUT / 'index.html').relative_to(course.ROOT)}")


if __name__ == "__main__":
    main()
