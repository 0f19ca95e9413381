"""Read the course: chapters, tasks, figures, equations; and where the browser's files lie.

`python -m tools.course setup|course|test` does what make does: see `tools/commands.py`.
"""

import ast
import base64
import copy
import functools
import itertools
import re
import shutil
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # `setup` runs before anything is installed
    from nbformat import NotebookNode

ROOT = Path(__file__).parent.parent
BUILD = ROOT / "build"
NPM = ROOT / "tools" / "node_modules"

# What a cell may be tagged with.
TAGS = {
    "remove-cell",  # not on the site: the first cell, which says how lfm is installed
    "exercise",  # an empty cell to be written by the student
    "solution",  # its answer, in notebooks/solutions
    "quiz",  # a question answered by a letter, in chapters and solutions
    "primer",  # code of a primer, beside the argument of its chapter
    "widget",  # a slider, which moves in JupyterLab only
    "nbval-ignore-output",  # run, but not compared
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


# ------------------------------------------------------------------ tasks


def tasks(path: Path, kind: str) -> dict[str, str]:
    """Return {name: text} of the exercises or the quizzes of a chapter, without their headings."""
    found = {}
    for before, cell in itertools.pairwise(read(path).cells):
        if kind in tags(cell):
            name = re.search(r'check\(\s*"([a-z0-9-]+)"', cell.source)[1]
            found[name] = re.sub(r"^(#+ .*|\*\*Quiz\.\*\*)\s+", "", before.source)
    return found


# ------------------------------------------------------------------ figures


@dataclass(frozen=True)
class Drawn:
    """A figure of a chapter, with the text for readers who cannot see it."""

    chapter: Path
    cell: str
    png: bytes = field(repr=False)
    alt: str = ""  # the claim, and what is plotted in numbers
    claim: str = ""
    name: str = ""  # what slides call it by
    width: int = 0  # on a page, in pixels
    panels: tuple = ()  # left, top, width, height of each, as shares of the whole


def drawn(cell) -> dict | None:
    """Return png, alt, claim, width and panels of the figure that a cell shows, or None."""
    for output in cell.get("outputs", []):
        if "image/png" in output.get("data", {}):
            told = output.metadata.get("image/png", {})
            return {
                "png": base64.b64decode(output.data["image/png"]),
                "alt": told.get("alt", ""),
                "claim": output.data.get("text/plain", "").removeprefix("Figure: "),
                "width": told.get("width", 0),
                "panels": tuple(map(tuple, told.get("panels", ()))),
            }
    return None


@functools.cache
def figures() -> list[Drawn]:
    """Return every figure of the chapters, in order."""
    pairs = ((path, cell) for path in chapters() for cell in read(path).cells)
    return [
        Drawn(path, cell.id, name=figure_name(cell.source), **shown)
        for path, cell in pairs
        if (shown := drawn(cell))
    ]


def figure_name(source: str) -> str:
    """Return the name that a cell gives to its figure."""
    named = re.search(r'figures\.show\(\s*fig,\s*name="([a-z0-9-]+)"', source)
    return named[1] if named else ""


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
                for text in re.findall(r"\$\$(.*?)\$\$", cell.source, flags=re.S):
                    for name in re.findall(r"\\tag\{([a-z0-9-]+)\}", text):
                        tex = re.sub(r"\s*\\tag\{[a-z0-9-]+\}", "", text).strip()
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


# ------------------------------------------------------------------ what the browser needs


def copy_mathjax(folder: Path) -> None:
    """Copy what is needed of MathJax and its font into a folder `mathjax`: no network later."""
    parts = ("startup", "core", "input/tex", "input/tex/extensions/color", "output/svg")
    for part in (*parts, "a11y/assistive-mml"):
        (folder / "mathjax" / part).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(NPM / "mathjax" / f"{part}.js", folder / "mathjax" / f"{part}.js")
    font = NPM / "@mathjax" / "mathjax-newcm-font"
    shutil.copytree(font / "svg", folder / "mathjax" / "font" / "svg")
    shutil.copy(font / "svg.js", folder / "mathjax" / "font")


if __name__ == "__main__":
    import sys

    from tools.commands import main

    main(sys.argv[1:])
