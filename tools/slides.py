"""Make slides from the decks: `make slides`; of one chapter `python -m tools.slides 02`.

A deck, `notebooks/lectures/NN_name.md`, is written by hand, and CONTRIBUTING.md says how. What must
not drift is called by name and put in here: equations, figures and tasks of the notebook, diagrams,
explorables. A name that does not exist stops the build; so does an equation that no slide shows.
"""

import difflib
import html
import re
import shutil
import struct
import sys
import textwrap
from dataclasses import dataclass, field
from pathlib import Path

from nbconvert.filters.markdown_mistune import markdown2html_mistune
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from tools import course, explorables

HERE = Path(__file__).parent / "slides"
OUT = course.BUILD / "slides"
DECKS = course.ROOT / "notebooks" / "lectures"
CALL = re.compile(r"\{([a-z]+) ([a-z0-9/-]+)\}")  # {figure two-bells}
STEP = re.compile(r"\$(.+)\$ \| (.+)", re.S)  # $a &= b$ | why
BEGINS = re.compile(r"\+ |#|\|\|$|\{[a-z]+ |\$.+\$ \| ")  # a line that begins a block


@dataclass(frozen=True)
class Block:
    """A piece of a slide, and the line of the deck where it begins."""

    line: int
    text: str
    fragment: bool  # built by a key


@dataclass
class Slide:
    """A slide: blocks and what the speaker says."""

    deck: Path
    line: int
    source: list[str] = field(default_factory=list)

    def where(self, line: int | None = None) -> str:
        return f"{self.deck.name}:{line or self.line}"

    @property
    def body(self) -> str:
        return "\n".join(self.source).partition("\nNote:")[0]

    @property
    def blocks(self) -> list[Block]:
        found, fresh, fence = [], True, False
        for number, line in enumerate(self.body.split("\n"), self.line):
            if fence or (line.strip() and not fresh and not BEGINS.match(line)):
                found[-1][1].append(line)
            elif line.strip():
                found.append((number, [line]))
            fence ^= line.removeprefix("+ ").strip().startswith("```")
            fresh = not line.strip()
        return [_block(number, lines) for number, lines in found]

    def calls(self, *kinds: str) -> list[str]:
        """Return the names of what the slide shows of some kinds."""
        return [name for kind, name in CALL.findall(self.body) if kind in kinds]

    @property
    def minutes(self) -> float:
        return float(self._note[1])

    @property
    def notes(self) -> str:
        return self._note[2]

    @property
    def _note(self) -> re.Match:
        text = "\n".join(self.source).partition("\nNote:")[2]
        if found := re.match(r" *(\d+(?:\.5)?) min\b\.?(.*)", text, re.S):
            return found
        raise ValueError(f"{self.where()}: the slide needs a line that begins as 'Note: 2 min. '")

    @property
    def words(self) -> int:
        """Return how many words are shown, apart from formulas, code and what has a name."""
        text = re.sub(r"```.*?```|\$\$.*?\$\$|\$.*?\$|\{[a-z]+ [^}]*\}", " ", self.body, flags=re.S)
        return len(re.findall(r"[^\W_]*[^\W\d_][^\W_]*(?:['’-][^\W_]+)*", text))


def _block(number: int, lines: list[str]) -> Block:
    text, fragment = "\n".join(lines), lines[0].startswith("+ ")
    return Block(number, textwrap.dedent(f"  {text[2:]}") if fragment else text, fragment)


def read(path: Path) -> list[Slide]:
    """Return the slides of a deck."""
    slides = [Slide(path, 1)]
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.rstrip() == "---":
            slides.append(Slide(path, number + 1))
        else:
            slides[-1].source.append(line)
    return slides


def decks() -> dict[Path, Path]:
    """Return {chapter: deck} of the chapters that have one."""
    paired = {path: DECKS / f"{path.stem}.md" for path in course.chapters()}
    return {path: deck for path, deck in paired.items() if deck.exists()}


# ------------------------------------------------------------------ names


class Names:
    """What a deck can call by name: the chapter's own, and `04/name` for one of chapter 04."""

    def __init__(self, chapter: Path):
        self.chapter = chapter
        pictures = {f"{f.chapter.stem[:2]}/{f.name}": f for f in course.figures() if f.name}
        drawn = {p.stem: p for p in (DECKS / "diagrams").glob("*.svg")}
        tasks = {kind: course.tasks(chapter, kind) for kind in ("quiz", "exercise")}
        self.kinds = {
            "equation": (course.equations(), _equation),
            "figure": (pictures, _figure),
            "panel": (_panels(pictures), lambda panel: _panel(*panel)),
            "diagram": (drawn, _diagram),
            "explorable": (explorables.ALL, lambda e: explorables.html(e, "explorables")),
            **{kind: (found, to_html) for kind, found in tasks.items()},
        }

    def html(self, kind: str, name: str) -> str:
        """Return what is shown for a name, or raise an error that says which there are."""
        if kind not in self.kinds:
            raise ValueError(f"{{{kind} {name}}}: a kind is one of {', '.join(self.kinds)}")
        found, shown = self.kinds[kind]
        own = kind in ("figure", "panel") and not re.match(r"\d\d/", name)
        full = f"{self.chapter.stem[:2]}/{name}" if own else name
        if full not in found:
            near = difflib.get_close_matches(full, found, 3, 0.3)
            raise ValueError(f"no {kind} is named {name!r}; near it: {', '.join(near) or 'none'}")
        return shown(found[full])


def _equation(equation: course.Equation) -> str:
    tex = html.escape(equation.tex.replace("\\qquad", "\\goodbreak\\quad"), quote=False)
    return f'<div class="eq">$$ {tex} $$</div><span class="name">{equation.name}</span>'


def _figure(figure: course.Drawn) -> str:
    return f'<img class="fig" src="figures/{figure.cell}.png" alt="{html.escape(figure.alt)}">'


def _panels(pictures: dict[str, course.Drawn]) -> dict[str, tuple[course.Drawn, int]]:
    """Return the panels of figures by their names, such as "08/training/2"."""
    return {
        f"{name}/{i + 1}": (figure, i)
        for name, figure in pictures.items()
        for i in range(len(figure.panels))
    }


def _panel(figure: course.Drawn, i: int) -> str:
    """Return a window on one panel: the figure lies behind it, in units of its own size.

    The window is a picture in a picture, which is cut at its edge; where there is more room, the
    outer one would show the neighbours.
    """
    wide, high = struct.unpack(">II", figure.png[16:24])
    left, top, width, height = (
        share * of for share, of in zip(figure.panels[i], (wide, high) * 2, strict=True)
    )
    alt = html.escape(f"Panel {i + 1} of: {figure.alt}")
    return (
        f'<svg class="panel" role="img" aria-label="{alt}" viewBox="0 0 {width:.1f} {height:.1f}">'
        f'<svg width="{width:.1f}" height="{height:.1f}" '
        f'viewBox="{left:.1f} {top:.1f} {width:.1f} {height:.1f}">'
        f'<image href="figures/{figure.cell}.png" width="{wide}" height="{high}"/></svg></svg>'
    )


def _diagram(path: Path) -> str:
    svg = re.sub(r"^<\?xml.*?\?>\s*", "", path.read_text(encoding="utf-8"))
    title = re.search(r"<title>(.+?)</title>", svg, flags=re.S)
    if not title:
        raise ValueError(f"{path.name} has no <title>, which says in words what it shows")
    return svg.replace("<svg", f'<svg class="diagram" role="img" aria-label="{title[1]}"', 1)


# ------------------------------------------------------------------ HTML


def to_html(text: str) -> str:
    """Return markdown as HTML."""

    def coloured(match):
        code = highlight(match[1], PythonLexer(), HtmlFormatter(nowrap=True)).rstrip("\n")
        return f'<pre class="code">{code}</pre>'

    if fence := re.fullmatch(r"```python\n(.*?)\n```", text.strip(), flags=re.S):
        return coloured(fence)
    return re.sub(r'<a class="anchor-link".*?</a>', "", markdown2html_mistune(text)).strip()


def block_html(block: Block, names: Names) -> str:
    """Return a block as HTML, which a key builds if it is a fragment."""
    extra = " fragment" if block.fragment else ""
    if step := STEP.fullmatch(block.text):
        left, _, right = html.escape(step[1], quote=False).partition("&amp;")
        formulas = [f"$\\displaystyle {{}}{t}$" if t.strip() else "" for t in (left, right)]
        cells = "".join(f"<div>{t}</div>" for t in (*formulas, to_html(step[2])))
        return f'<div class="step{extra}">{cells}</div>'
    if call := CALL.fullmatch(block.text.strip()):
        kind, shown = call[1], names.html(*call.groups())
    elif block.text.startswith("#"):
        return to_html(block.text)
    else:
        kind = "eq" if re.fullmatch(r"\$\$.*\$\$", block.text.strip(), flags=re.S) else "text"
        shown = html.escape(block.text, quote=False) if kind == "eq" else to_html(block.text)
    return f'<div class="{kind}{extra}">{shown}</div>'


def slide_html(slide: Slide, names: Names, start: float, total: float) -> str:
    """Return a slide as a section of reveal.js."""
    heads, parts = [], ['<div class="column">']
    for block in slide.blocks:
        try:
            shown = block_html(block, names)
        except ValueError as error:
            raise ValueError(f"{slide.where(block.line)}: {error}") from None
        if block.text == "||":
            parts.append('</div><div class="column">')
        else:
            (heads if block.text.startswith("#") else parts).append(shown)
    clock = f"**{slide.minutes:g} min** (of {total:g}; you should be at {start:g})"
    kind = "title" if slide.body.lstrip().startswith("# ") else "slide"
    steps = r'(?:<div class="step.*\n?)+'
    body = re.sub(steps, r'<div class="derivation">\n\g<0></div>\n', "\n".join([*parts, "</div>"]))
    return (
        f'<section class="{kind}"><div class="frame">\n{"".join(heads)}\n'
        f'<div class="body">\n{body}\n</div></div>\n'
        f'<aside class="notes">\n{to_html(clock + slide.notes)}\n</aside></section>'
    )


def check(slides: list[Slide], chapter: Path) -> None:
    """Raise an error if an equation of the chapter is on no slide."""
    shown = {name for slide in slides for name in slide.calls("equation")}
    wanted = [e.name for e in course.equations().values() if e.chapter == chapter]
    if missing := [name for name in wanted if name not in shown]:
        raise ValueError(f"{slides[0].deck.name}: no slide shows {{equation {missing[0]}}}")


def page(chapter: Path, slides: list[Slide]) -> str:
    """Return the slides of a chapter as a page."""
    check(slides, chapter)
    names, parts, now = Names(chapter), [], 0.0
    for slide in slides:
        parts.append(slide_html(slide, names, now, sum(s.minutes for s in slides)))
        now += slide.minutes
    template = (HERE / "chapter.html").read_text(encoding="utf-8")
    title = html.escape(course.title(chapter))
    return template.replace("{{title}}", title).replace("{{slides}}", "\n".join(parts))


def write(chapter: Path, slides: list[Slide]) -> None:
    """Write the page of a chapter, and the frames of its explorables."""
    (OUT / f"{chapter.stem}.html").write_text(page(chapter, slides), encoding="utf-8")
    for name in {name for slide in slides for name in slide.calls("explorable")}:
        explorables.write(explorables.ALL[name], OUT / "explorables")


def lay_out() -> None:
    """Write what all decks share: styles, scripts, figures."""
    shutil.rmtree(OUT, ignore_errors=True)
    (OUT / "figures").mkdir(parents=True)
    for figure in course.figures():
        (OUT / "figures" / f"{figure.cell}.png").write_bytes(figure.png)
    (OUT / "code.css").write_text(HtmlFormatter().get_style_defs(".code"), encoding="utf-8")
    shutil.copytree(course.NPM / "reveal.js" / "dist", OUT / "reveal")
    shutil.copytree(course.NPM / "reveal.js" / "plugin" / "notes", OUT / "reveal" / "notes")
    course.copy_mathjax(OUT)


def main(only: list[str]) -> None:
    """Write build/slides."""
    if not (only and (OUT / "mathjax").exists()):  # what is copied last
        lay_out()
    for name in ("slides.css", "two.css", "explorable.js"):
        shutil.copy(HERE / name, OUT)
    rows, written = [], decks()
    for chapter in course.chapters():
        title, told = html.escape(course.title(chapter)), "no deck yet"
        if chapter in written:
            slides = read(written[chapter])
            if not only or chapter.stem[:2] in only:
                write(chapter, slides)
            title = f'<a href="{chapter.stem}.html">{title}</a>'
            told = f"{len(slides)} slides, {sum(s.minutes for s in slides):g} minutes"
        rows.append(f"<li>{title} {told}</li>")
    index = (HERE / "index.html").read_text(encoding="utf-8")
    (OUT / "index.html").write_text(index.replace("{{rows}}", "\n".join(rows)), encoding="utf-8")
    missing = [p.stem[:2] for p in course.chapters() if p not in written]
    print(f"{len(written)} decks: open {(OUT / 'index.html').relative_to(course.ROOT)}")
    print(f"no deck yet: {', '.join(missing)}" if missing else "no deck is missing")


if __name__ == "__main__":
    main(sys.argv[1:])
