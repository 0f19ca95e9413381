"""Write what stands around every chapter: `python -m tools.frame`.

- A link that opens it in Colab, if `[project.urls]` of pyproject.toml has a `Repository` on GitHub.
- The first code cell, which installs lfm where it is missing, and says what to do where it cannot.
- What to read, from `notebooks/bibliography.toml`, before the last cell.

Nothing else is touched, and a second run changes nothing.
"""

import tomllib
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell

from tools import course, sources

BRANCH = "main"
HIDDEN = ["remove-cell"]
# The versions are those of its runtime 2026.01. None of them is replaced: all are new enough.
SETUP = """\
try:
    import lfm
except ModuleNotFoundError:  # Colab has Python 3.12, numpy 2.0.2, torch 2.9.0, matplotlib 3.10.0
    import os, subprocess, sys
    source = os.environ.get("LFM_SOURCE", "{source}")
    if not source or subprocess.call([sys.executable, "-m", "pip", "install", "-q", source]):
        raise SystemExit("lfm is not installed here: run `make course` in the folder of the course") from None"""  # noqa: E501


def address() -> str:
    """Return the address of the course's repository, or "" where there is none yet.

    It stands in pyproject.toml and nowhere else; links to Colab and Binder are made from it.
    """
    text = (course.ROOT / "pyproject.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)["project"].get("urls", {}).get("Repository", "").rstrip("/")


def on_github(url: str) -> str:
    """Return "owner/name" of an address on GitHub, else ""."""
    return url.removeprefix("https://github.com/") if url.startswith("https://github.com/") else ""


def colab(url: str, path: Path) -> str:
    """Return where Colab opens a notebook, or ""."""
    name = path.relative_to(course.ROOT).as_posix()
    at = f"https://colab.research.google.com/github/{on_github(url)}/blob/{BRANCH}/{name}"
    return at if on_github(url) else ""


def binder(url: str) -> str:
    """Return where Binder opens the course, or ""."""
    at = f"https://mybinder.org/v2/gh/{on_github(url)}/{BRANCH}?urlpath=lab/tree/notebooks"
    return at if on_github(url) else ""


def framed(notebook: NotebookNode, path: Path, url: str) -> NotebookNode:
    """Return a chapter, or its solutions, with what stands around it."""
    number, is_chapter = path.stem[:2], path.parent.name == "notebooks"
    made = [f"{number}-open", f"{number}-reading"]
    cells = [cell for cell in notebook.cells if cell.id not in made]
    setup = next(i for i, cell in enumerate(cells) if cell.cell_type == "code")
    cells[setup].source = SETUP.replace("{source}", f"git+{url}" if url else "")
    if is_chapter:
        cells.insert(-1, new_markdown_cell(sources.further(number), id=made[1]))
        if at := colab(url, path):
            text, tags = f"[Open this chapter in Colab]({at})", {"tags": HIDDEN}
            cells.insert(setup, new_markdown_cell(text, id=made[0], metadata=tags))
    notebook.cells = cells
    return notebook


def main() -> None:
    """Rewrite the notebooks that are not as they should be."""
    for chapter in course.chapters():
        for path in (chapter, course.solutions(chapter)):
            before = path.read_text(encoding="utf-8")
            made = framed(course.read(path), path, address())
            after = nbformat.writes(made) + "\n"
            if after != before:
                path.write_text(after, encoding="utf-8", newline="\n")
                print(path.relative_to(course.ROOT))


if __name__ == "__main__":
    main()
