"""What every notebook keeps to, whatever it teaches. Outputs are compared by nbval, not here."""

import html
import itertools
import re
import statistics
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parent.parent
CHAPTERS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
SOLUTIONS = sorted((ROOT / "notebooks" / "solutions").glob("[0-9]*.ipynb"))

every_notebook = pytest.mark.parametrize("path", CHAPTERS + SOLUTIONS, ids=lambda p: p.stem)
every_chapter = pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)


def read(path):
    return nbformat.read(path, as_version=4)


def code_cells(path):
    return [c for c in read(path).cells if c.cell_type == "code"]


OWN_MODEL = "12"  # the one chapter where classes are written


def is_class(cell) -> bool:
    return bool(re.search(r"^\s*class ", cell.source, flags=re.M))


def is_setup(cell) -> bool:
    """The first cell, which installs lfm where it is missing, is the same everywhere."""
    return "remove-cell" in cell.metadata.get("tags", [])


def lines(cell) -> int:
    return sum(bool(line.strip()) for line in cell.source.splitlines())


def test_there_are_chapters_and_each_has_solutions():
    assert len(CHAPTERS) >= 4
    assert [p.name for p in CHAPTERS] == [p.name for p in SOLUTIONS]


@every_notebook
def test_every_code_cell_was_executed_once_and_in_order(path):
    counts = [c.execution_count for c in code_cells(path)]
    assert counts == list(range(1, len(counts) + 1))


@every_notebook
def test_no_output_is_an_error_a_warning_or_a_widget(path):
    for cell in code_cells(path):
        for output in cell.outputs:
            assert output.output_type != "error", cell.id
            assert output.get("name") != "stderr", cell.id
            assert not any("widget" in kind for kind in output.get("data", {})), "make refresh"
    assert "widgets" not in read(path).metadata


@every_notebook
def test_cells_are_short(path):
    cells, classes = code_cells(path), path.stem.startswith(OWN_MODEL)
    counts = [lines(c) for c in cells if not is_setup(c)]
    assert max(lines(c) for c in cells if not (classes and is_class(c))) <= 15
    assert max(counts) <= 75  # a whole model
    assert statistics.median_low(counts) <= 6  # half of them


@every_chapter
def test_a_chapter_has_the_rhythm_of_the_course(path):
    cells = read(path).cells
    code = "".join(c.cell_type[0] for c in cells)
    assert "cccc" not in code  # at most three code cells in a row
    extras = {"quiz", "widget", "primer", "remove-cell"}  # beside the argument, not part of it
    argument = [c for c in cells if not extras & set(c.metadata.get("tags", []))]
    assert sum(lines(c) for c in argument if c.cell_type == "code") <= 275
    assert any(is_class(c) for c in code_cells(path)) == path.stem.startswith(OWN_MODEL)


@every_chapter
def test_a_chapter_opens_and_closes_as_all_do(path):
    cells = read(path).cells
    for part in (
        "**The question.**",
        "**Where this stands.**",
        "**You will be able to**",
        "**Time.**",
    ):
        assert part in cells[0].source, part
    text = "\n".join(c.source for c in cells)
    for part in ("## What was gained", "**What breaks next.**", "## Exercises"):
        assert part in text, part


@pytest.mark.parametrize(
    ("path", "after"), list(itertools.pairwise(CHAPTERS)), ids=lambda p: p.stem[:2]
)
def test_the_last_line_of_a_chapter_is_the_question_of_the_next(path, after):
    last = read(path).cells[-1].source.splitlines()[-1].removeprefix("**Next.** ")
    question = re.search(r"\*\*The question\.\*\* (.+)", read(after).cells[0].source)[1]
    assert last == question


@every_notebook
def test_every_figure_has_a_text_for_readers_who_cannot_see_it(path):
    for cell in code_cells(path):
        for output in cell.outputs:
            if "image/png" in output.get("data", {}):
                alt = output.metadata["image/png"]["alt"]
                said = output.data["text/plain"].removeprefix("Figure: ")
                assert len(said.split()) >= 8, cell.id
                assert alt.startswith(said), cell.id
                assert len(alt) > len(said) + 10, cell.id  # and what is plotted, in numbers
                words = [o.data.get("text/html", "") for o in cell.outputs if "data" in o]
                assert any("in-words" in w and html.escape(said) in w for w in words), cell.id
            assert "image/svg+xml" not in output.get("data", {}), cell.id


@every_chapter
def test_every_figure_has_a_name_of_its_own(path):
    shown = "\n".join(c.source for c in code_cells(path)).split("figures.show(")[1:]
    names = [re.match(r"\s*fig,\s*name=\"([a-z0-9-]+)\",\s*alt=", call) for call in shown]
    assert all(names), "write figures.show(fig, name=..., alt=...)"
    assert len({n[1] for n in names}) == len(names)


@every_notebook
def test_nothing_of_one_machine_is_stored(path):
    text = path.read_text(encoding="utf-8")
    for trace in ("/home/", "/root/", "/tmp/", "C:\\\\", " at 0x", 'execution": {'):
        assert trace not in text, trace


@every_chapter
def test_links_between_chapters_lead_somewhere(path):
    for cell in read(path).cells:
        for target in re.findall(r"\]\(([^)#]+\.ipynb)", cell.source):
            assert (path.parent / target).exists(), target


@every_notebook
def test_where_lfm_is_not_installed_the_first_cell_says_in_one_line_what_to_do(path, monkeypatch):
    monkeypatch.setitem(sys.modules, "lfm", None)
    monkeypatch.setenv("LFM_SOURCE", "")  # nowhere to install it from
    with pytest.raises(SystemExit, match=r"^lfm is not installed here: run `make course`") as end:
        exec(compile(code_cells(path)[0].source, path.name, "exec"), {})
    assert "\n" not in str(end.value)


REACHES_OUT = """
import socket
for reach in (lambda: socket.create_connection(("127.0.0.1", 9)),
              lambda: socket.socket().connect(("127.0.0.1", 9)),
              lambda: socket.getaddrinfo("localhost", 9)):
    try:
        reach()
    except AssertionError as error:
        print(error)
"""


def test_the_kernels_of_the_tests_have_no_network():
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(REACHES_OUT)])
    NotebookClient(notebook, timeout=60).execute()
    assert notebook.cells[0].outputs[0].text.count("tried to reach") == 3
