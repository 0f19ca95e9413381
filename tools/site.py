"""Make the site from the notebooks: `make site`. It needs no network, neither to build nor to read.

The sources are laid out in `build/site-src` as they lie in the project, so that links between
chapters hold; what is added is made here from the notebooks, the docstrings and the tests.
"""

import html
import re
import shutil
import sys
from pathlib import Path

import nbformat

from tools import course, explorables, frame, handout, sources

HERE = course.ROOT / "tools" / "sphinx"
SOURCE, OUT = course.BUILD / "site-src", course.BUILD / "site"
DOORS = {"engine", "scale"}  # packages that a reader may leave shut
NOT_PUBLIC = re.compile(r"\._|\bengine\.")


def modules() -> list[str]:
    """Return the public modules of lfm, in the order in which the map of the package has them."""
    folder = course.ROOT / "lfm"
    packages = {p.parent.name for p in folder.glob("*/__init__.py")} - DOORS
    found = {p.stem for p in folder.glob("[!_]*.py")} | packages
    text = (course.ROOT / "lfm" / "__init__.py").read_text(encoding="utf-8")
    mapped = [m for m in re.findall(r"^    (\w+) +\w", text, flags=re.M) if m in found]
    return mapped + sorted(found - set(mapped))


# ------------------------------------------------------------------ chapters


def anchored(source: str) -> str:
    """Return markdown with an anchor before each named equation."""

    def add(match):
        name = re.search(r"\\tag\{([a-z0-9-]+)\}", match[0])
        return f"\n\n(eq-{name[1]})=\n{match[0]}\n" if name else match[0]

    return re.sub(r"\$\$.*?\$\$", add, source, flags=re.S)


def page(path) -> nbformat.NotebookNode:
    """Return a notebook for the site: equations and figures can be linked to, some move."""
    made = course.read(path)
    cells = []
    for cell in made.cells:
        if len(cells) == 1:  # below the title
            cells.append(nbformat.v4.new_markdown_cell(downloads(path), id="downloads"))
        if cell.cell_type == "markdown":
            cell.source = anchored(cell.source)
        elif shown := course.drawn(cell):
            anchor = f'<span id="fig-{cell.id}"></span>'
            cells.append(nbformat.v4.new_markdown_cell(anchor, id=f"fig-{cell.id}"))
            size = {"width": f"{shown['width']}px"} if shown["width"] else {}
            cell.metadata["mystnb"] = {"image": {"alt": shown["alt"]} | size}
        cells.append(cell)
        for moved in explorables.ALL.values():
            if moved.below == f"{path.stem[:2]}/{course.figure_name(cell.source)}":
                source = explorables.html(moved, "../_static/explorables")
                cells.append(nbformat.v4.new_markdown_cell(source, id=moved.name))
    made.cells = cells
    return made


def downloads(path: Path) -> str:
    """Return links to what can be had of a notebook; `files` is made by `offered`."""
    up = "../" * len(path.relative_to(course.ROOT / "notebooks").parts)
    inner = path.relative_to(course.ROOT).as_posix()
    found = {"this notebook": f"{up}files/{inner}"}
    if path.parent.name == "notebooks":
        found["handout for students"] = f"{up}files/student/{path.name}"
        found["with solutions"] = f"{up}files/teacher/{path.name}"
    links = [f'<a href="{at}" download>{name}</a>' for name, at in found.items()]
    if at := frame.colab(frame.address(), path):
        links.append(f'<a href="{at}">open in Colab</a>')
    return f'<p class="downloads">Download: {" · ".join(links)}</p>'


def offered(folder: Path) -> None:
    """Write what can be downloaded from the site."""
    shutil.rmtree(folder, ignore_errors=True)
    handout.write(folder)
    for path in course.chapters():
        for other in (path, course.solutions(path)):
            target = folder / other.relative_to(course.ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(other, target)
    (folder / "bibliography.bib").write_text(sources.bibtex(), encoding="utf-8")


# ------------------------------------------------------------------ pages that are made


def front() -> str:
    """Return the README as the first page, with the contents of the site behind it."""
    text = (course.ROOT / "README.md").read_text(encoding="utf-8")
    text = text.replace("](notebooks/solutions)", "](solutions.md)")
    text = text.replace("](lfm/__init__.py)", "](api/index.md)")
    text = re.sub(r"\]\(lfm/(\w+)\.py\)", r"](api/lfm.\1.rst)", text)
    chapters = [f"notebooks/{p.stem}" for p in course.chapters()]
    told = (course.ROOT / "notebooks" / "TEACHING.md").exists()
    reference = ["glossary", "equations", "gallery", "bibliography", "api/index"]
    more = [
        "CONTRIBUTING",
        "CODE_OF_CONDUCT",
        "CHANGELOG",
        "data/README",
        *[f"benchmarks/{p.stem}" for p in measured()],
    ]
    trees = [
        _toctree("Begin", ["OPEN"]),
        _toctree("Chapters", chapters),
        _toctree("Exercises", ["solutions"]),
        _toctree("Look up", reference),
        _toctree("More", [*(["notebooks/TEACHING"] if told else []), *more]),
    ]
    return "\n\n".join([text, *trees])


def open_it() -> str:
    """Return the page that says each way to open the course, with links where there are such."""
    text = (course.ROOT / "OPEN.md").read_text(encoding="utf-8")
    if at := frame.binder(frame.address()):
        text += (
            f"\n[Open the course in Binder]({at}). Colab: the link is at the top of each chapter.\n"
        )
    return text


def measured() -> list[Path]:
    """Return the pages of the benchmarks, each of which the README may point at."""
    return sorted((course.ROOT / "benchmarks").glob("*.md"))


def _toctree(caption: str, pages: list[str]) -> str:
    """Return a list of pages, hidden in the sidebar if it has a caption."""
    options = [":hidden:", f":caption: {caption}"] if caption else []
    return "\n".join(["```{toctree}", *options, ":maxdepth: 1", "", *pages, "```"])


def solutions() -> str:
    """Return the page that lists the solutions."""
    pages = [f"notebooks/solutions/{p.stem}" for p in course.chapters()]
    text = "# Solutions\n\nTry first: each exercise is at the end of its chapter and checks itself."
    return f"{text}\n\n{_toctree('', pages)}\n"


def equation_table() -> str:
    """Return the page of equations: where each is derived, computed and tested."""
    lines = [
        "# Equations",
        "",
        "Every equation has a name. Follow it to where it is derived, to the code of it, "
        "and to the test that evaluates both of its sides.",
    ]
    found = list(course.equations().values())
    for path in course.chapters():
        rows = [e for e in found if e.chapter == path]
        if rows:
            lines += [
                "",
                f"## {course.title(path)}",
                "",
                "| equation | code | test |",
                "|---|---|---|",
            ]
            lines += [
                f"| {{ref}}`{e.name} <eq-{e.name}>` | {'<br>'.join(map(_code, e.code))} "
                f"| {'<br>'.join(f'`{t}`' for t in e.tests)} |"
                for e in rows
            ]
    return "\n".join(lines) + "\n"


def _code(name: str) -> str:
    """Return a link to the API's entry of a dotted name; what is private has none."""
    if NOT_PUBLIC.search(name):
        return f"`{name}`"
    return f"{{py:obj}}`{name.removeprefix('lfm.')} <{name}>`"


def gallery() -> str:
    """Return the page of all figures, each with its text and a link to its chapter."""
    lines = [
        "# Gallery",
        "",
        "Every figure of the course. Follow one to the chapter that draws it.",
    ]
    for path in course.chapters():
        shown = [f for f in course.figures() if f.chapter == path]
        lines += ["", f"## {course.title(path)}", "", '<div class="gallery">']
        for figure in shown:
            alt = html.escape(figure.alt)
            lines.append(
                f'<a href="notebooks/{path.stem}.html#fig-{figure.cell}">'
                f'<img loading="lazy" src="_static/figures/{figure.cell}.png" alt="{alt}">'
                f'<span aria-hidden="true">{html.escape(figure.claim)}</span></a>'
            )
        lines += ["</div>"]
    return "\n".join(lines) + "\n"


def api() -> dict[str, str]:
    """Return {file: text} of the API reference."""
    names = ["lfm", *(f"lfm.{m}" for m in modules())]
    text = "# API\n\nEvery public module, from its docstrings. Read `lfm` first: it is the map."
    pages = {"index.md": f"{text}\n\n{_toctree('', names)}\n"}
    for name in names:
        pages[f"{name}.rst"] = f"{name}\n{'=' * len(name)}\n\n.. automodule:: {name}\n"
    return pages


# ------------------------------------------------------------------ docstrings


def to_rst(text: str) -> str:
    """Return a docstring, which is plain text with `code`, as reStructuredText.

    Indented blocks are kept as they are; "Eq. name" becomes a link to the equation.
    """
    parts = []
    for block in re.split(r"\n\s*\n", text.strip("\n")):
        if all(line.startswith("    ") for line in block.splitlines()):
            parts.append(f"::\n\n{block}")
        else:
            parts.append(re.sub(r"\n(?=- )", "\n\n", _inline(block)))
    return "\n\n".join(parts) + "\n"


def _inline(block: str) -> str:
    pieces = re.split(r"`([^`]+)`", block)
    for i, piece in enumerate(pieces):
        if i % 2:
            pieces[i] = f"``{piece}``\\ "
        else:
            piece = re.sub(r"([*|_\\])", r"\\\1", piece)
            pieces[i] = re.sub(
                r"Eq\. ([a-z][a-z0-9-]*[a-z0-9])", r"Eq. :ref:`\1 <eq-\1>`\\ ", piece
            )
    return "".join(pieces)


def _docstring(app, what, name, obj, options, lines) -> None:
    lines[:] = to_rst("\n".join(lines)).splitlines()


def _skip(app, what, name, obj, skip, options) -> bool | None:
    """Leave out fields of named tuples, which have no text of their own."""
    return True if (getattr(obj, "__doc__", "") or "").startswith("Alias for field") else None


def _formulas(app, doctree) -> None:
    """Leave displayed formulas as they are written: Sphinx would wrap them, and lose the tag."""
    from docutils import nodes

    for node in doctree.findall(nodes.math_block):
        text = node.astext()
        node.children = [nodes.Text(f"\\[{text}\\]")]
        node["no-wrap"] = node["nowrap"] = True


def setup(app) -> None:
    """Connect to Sphinx."""
    app.connect("autodoc-process-docstring", _docstring)
    app.connect("autodoc-skip-member", _skip)
    app.connect("doctree-read", _formulas)


# ------------------------------------------------------------------ all of it


def lay_out() -> None:
    """Write build/site-src."""
    shutil.rmtree(SOURCE, ignore_errors=True)
    (SOURCE / "_static" / "figures").mkdir(parents=True)
    for name in ("notebooks/solutions", "api", "data", "benchmarks"):
        (SOURCE / name).mkdir(parents=True)
    for path in course.chapters():
        nbformat.write(page(path), SOURCE / "notebooks" / path.name)
        other = course.solutions(path)
        nbformat.write(page(other), SOURCE / "notebooks" / "solutions" / path.name)
    for figure in course.figures():
        (SOURCE / "_static" / "figures" / f"{figure.cell}.png").write_bytes(figure.png)
    shutil.copytree(course.ROOT / "notebooks" / "pictures", SOURCE / "notebooks" / "pictures")
    for name in (
        "CONTRIBUTING.md",
        "CODE_OF_CONDUCT.md",
        "CHANGELOG.md",
        "LICENSE",
        "LICENSE-TEXT",
        "CITATION.cff",
        "data/README.md",
        *(f"benchmarks/{path.name}" for path in measured()),
        "notebooks/TEACHING.md",
    ):
        if (course.ROOT / name).exists():
            shutil.copy(course.ROOT / name, SOURCE / name)
    for name in ("conf.py", "glossary.md"):
        shutil.copy(HERE / name, SOURCE)
    for name in ("course.css", "formulas.js"):
        shutil.copy(HERE / name, SOURCE / "_static")
    shutil.copy(course.ROOT / "tools" / "slides" / "explorable.js", SOURCE / "_static")
    course.copy_mathjax(SOURCE / "_static")
    for moved in explorables.ALL.values():
        explorables.write(moved, SOURCE / "_static" / "explorables")
    made = {
        "index.md": front(),
        "OPEN.md": open_it(),
        "bibliography.md": sources.page(),
        "solutions.md": solutions(),
        "equations.md": equation_table(),
        "gallery.md": gallery(),
        **{f"api/{name}": text for name, text in api().items()},
    }
    for name, text in made.items():
        (SOURCE / name).write_text(text, encoding="utf-8")


def main() -> int:
    """Write build/site; a warning is an error."""
    from sphinx.cmd.build import build_main

    lay_out()
    shutil.rmtree(OUT, ignore_errors=True)
    failed = build_main(["-q", "-W", "--keep-going", "-b", "html", str(SOURCE), str(OUT)])
    if not failed:
        shutil.rmtree(OUT / ".doctrees", ignore_errors=True)
        offered(OUT / "files")
        print(f"open {(OUT / 'index.html').relative_to(course.ROOT)}")
    return failed


if __name__ == "__main__":
    sys.exit(main())
