"""Read the course: chapters, blocks of text, figures, equations, the teacher's notes.

`python -m tools.course setup|course|test` does what make does: see `tools/commands.py`.
"""

import ast
import base64
import copy
import functools
import re
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # `setup` runs before anything is installed
    from nbformat import NotebookNode

ROOT = Path(__file__).parent.parent
BUILD = ROOT / "build"

# What a cell may be tagged with. All but the first six steer the slides.
TAGS = {
    "remove-cell",  # not on the site: the first cell, which says how lfm is installed
    "exercise",  # an empty cell to be written by the student
    "solution",  # its answer, in notebooks/solutions
    "quiz",  # a question answered by a letter, in chapters and solutions
    "primer",  # code of a primer, beside the argument of its chapter
    "widget",  # a slider, which moves in JupyterLab only
    "nbval-ignore-output",  # run, but not compared
    "slide-skip",  # neither slide nor notes
    "slide-notes",  # all of it to the speaker notes
    "slide-code",  # the code on the slide, whole
    "slide-output",  # what the cell prints on the slide
    "slide-split",  # begin a new slide with this cell
    "slide-all",  # every sentence on the slide, not only those that carry a claim
}


def chapters() -> list[Path]:
    """Return the chapters' notebooks, in order."""
    return sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))


def solutions(chapter: Path) -> Path:
    """Return the notebook with the solutions of a chapter."""
    return chapter.parent / "solutions" / chapter.name


def read(path: Path) -> "NotebookNode":
    """Return a notebook."""
    return copy.deepcopy(_read(path))


@functools.cache
def _read(path: Path) -> "NotebookNode":
    import nbformat

    return nbformat.read(path, as_version=4)


def tags(cell) -> set[str]:
    """Return the tags of a cell."""
    return set(cell.metadata.get("tags", []))


def title(path: Path) -> str:
    """Return the heading of a notebook, such as "03 · The Gaussian mixture"."""
    return read(path).cells[0].source.splitlines()[0].removeprefix("# ")


# ------------------------------------------------------------------ text


@dataclass(frozen=True)
class Block:
    """A piece of a markdown cell: heading, equation, list, table, rule or prose."""

    kind: str
    text: str


def blocks(source: str) -> list[Block]:
    """Return the blocks of markdown in order. A displayed equation is a block of its own."""
    found = []
    for i, part in enumerate(re.split(r"\$\$(.*?)\$\$", source, flags=re.S)):
        if i % 2:
            found.append(Block("equation", part.strip()))
            continue
        for text in re.split(r"\n\s*\n|\n(?=#)|(?<=\S)\n(?=[-*] |\d+\. )", part):
            if not text.strip(" .,;\n"):
                continue  # what stands between equations, or the stop after one
            kind, text = _kind(text.strip("\n"))
            if kind == "list" and found and found[-1].kind == "list":
                found[-1] = Block("list", f"{found[-1].text}\n{text}")
            elif kind == "heading" and "\n" in text:
                heading, rest = text.split("\n", 1)
                found += [Block("heading", heading), *blocks(rest)]
            else:
                found.append(Block(kind, text))
    return found


def _kind(text: str) -> tuple[str, str]:
    for kind, mark in (
        ("heading", r"#+ "),
        ("list", r"([-*]|\d+\.) "),
        ("table", r"\|"),
        ("rule", r"---\s*$"),
    ):
        if re.match(mark, text):
            return kind, text
    return "prose", text


# ------------------------------------------------------------------ figures


@dataclass(frozen=True)
class Drawn:
    """A figure of a chapter, with the text for readers who cannot see it."""

    chapter: Path
    cell: str
    png: bytes = field(repr=False)
    alt: str = ""  # the claim, and what is plotted in numbers
    claim: str = ""


def drawn(cell) -> tuple[bytes, str, str] | None:
    """Return (PNG, alt text, claim) of the figure that a cell shows, or None."""
    for output in cell.get("outputs", []):
        if "image/png" in output.get("data", {}):
            png = base64.b64decode(output.data["image/png"])
            alt = output.metadata.get("image/png", {}).get("alt", "")
            return png, alt, output.data.get("text/plain", "").removeprefix("Figure: ")
    return None


@functools.cache
def figures() -> list[Drawn]:
    """Return every figure of the chapters, in order."""
    pairs = ((path, cell) for path in chapters() for cell in read(path).cells)
    return [Drawn(path, cell.id, *shown) for path, cell in pairs if (shown := drawn(cell))]


# ------------------------------------------------------------------ equations


@dataclass
class Equation:
    """Where the equation of a name stands."""

    name: str
    chapter: Path
    cell: str
    tex: str
    code: list[str] = field(default_factory=list)  # dotted names, as in lfm.bound.kl
    tests: list[str] = field(default_factory=list)  # file::function


@functools.cache
def equations() -> dict[str, Equation]:
    """Return every named equation with the code that computes it and the tests of it."""
    found = {}
    for path in chapters():
        for cell in read(path).cells:
            if cell.cell_type == "markdown":
                for block in blocks(cell.source):
                    for name in re.findall(r"\\tag\{([a-z0-9-]+)\}", block.text):
                        tex = re.sub(r"\s*\\tag\{[a-z0-9-]+\}", "", block.text)
                        found[name] = Equation(name, path, cell.id, tex)
    code, tests = _named_in_docstrings(), _named_on_tests()
    for name, equation in found.items():
        equation.code, equation.tests = code[name], tests[name]
    return found


def _named_in_docstrings() -> dict[str, list[str]]:
    found = defaultdict(list)
    for path in sorted((ROOT / "lfm").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        module = ".".join(parts).removesuffix(".__init__")
        for name, node in _walk(ast.parse(path.read_text(encoding="utf-8")), module):
            for equation in re.findall(
                r"Eq\. ([a-z][a-z0-9-]*[a-z0-9])", ast.get_docstring(node) or ""
            ):
                if name not in found[equation]:
                    found[equation].append(name)
    return found


def _walk(node, name: str):
    """Yield (dotted name, node) of a module, its classes and their functions."""
    yield name, node
    for child in node.body:
        if isinstance(child, ast.ClassDef | ast.FunctionDef):
            yield from _walk(child, f"{name}.{child.name}")


def _named_on_tests() -> dict[str, list[str]]:
    found = defaultdict(list)
    for path in sorted((ROOT / "tests").glob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for mark in getattr(node, "decorator_list", []):
                name = re.fullmatch(r"pytest\.mark\.equation\('([a-z0-9-]+)'\)", ast.unparse(mark))
                if name:
                    found[name[1]].append(f"{path.name}::{node.name}")
    return found


# ------------------------------------------------------------------ the teacher's notes


def teaching() -> dict[str, dict[str, list[str]]]:
    """Return {chapter number: {section: items}} of misconceptions and questions.

    Read from `notebooks/TEACHING.md`; empty where that does not exist.
    """
    path = ROOT / "notebooks" / "TEACHING.md"
    return teaching_items(path.read_text(encoding="utf-8")) if path.exists() else {}


def teaching_items(text: str) -> dict[str, dict[str, list[str]]]:
    """Return the items of a text in the form of `notebooks/TEACHING.md`."""
    found: dict = defaultdict(lambda: defaultdict(list))
    chapter = label = None
    for line in text.splitlines():
        if heading := re.match(r"## (\d\d) · ", line):
            chapter, label = heading[1], None
        elif line.startswith("### "):
            label = {"Misconceptions": "Misconception", "Questions": "Ask"}.get(line[4:].strip())
        elif chapter and label and (item := re.match(r"- \*\*(.+?)\*\* · (.+)", line)):
            found[chapter][item[1]].append(f"**{label}:** {item[2]}")
    return {number: dict(sections) for number, sections in found.items()}


if __name__ == "__main__":
    import sys

    from tools.commands import main

    main(sys.argv[1:])
