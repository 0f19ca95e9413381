"""What stands around every chapter: the way to open it, the first cell, what to read."""

import copy

import nbformat
import pytest

from tools import course, frame, sources

CHAPTERS = course.chapters()
ALL = [*CHAPTERS, *map(course.solutions, CHAPTERS)]
every_notebook = pytest.mark.parametrize("path", ALL, ids=lambda p: f"{p.parent.name}-{p.stem}")
GITHUB = "https://github.com/owner/name"


def kinds(path, url):
    return [(c.id, c.source) for c in frame.framed(course.read(path), path, url).cells]


@every_notebook
@pytest.mark.parametrize("url", ["", GITHUB, "https://example.org/name"])
def test_a_second_run_changes_nothing_and_nothing_is_lost(path, url):
    before = course.read(path)
    once = frame.framed(copy.deepcopy(before), path, url)
    nbformat.validate(once)
    assert frame.framed(copy.deepcopy(once), path, url) == once
    ours = (f"{path.stem[:2]}-open", f"{path.stem[:2]}-reading")
    kept, wanted = ([c.id for c in nb.cells if c.id not in ours] for nb in (once, before))
    assert kept == wanted
    assert once.cells[0] == before.cells[0]
    assert once.cells[-1] == before.cells[-1]  # the question of the next chapter stays the last


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)
def test_a_chapter_has_its_reading_before_its_last_cell(path):
    *_, (name, text), _ = kinds(path, "")
    assert name == f"{path.stem[:2]}-reading"
    assert text == sources.further(path.stem[:2])


def test_links_are_made_from_one_address_and_only_where_they_lead_somewhere():
    path = CHAPTERS[3]
    at = f"https://colab.research.google.com/github/owner/name/blob/main/notebooks/{path.name}"
    assert kinds(path, GITHUB)[1] == ("03-open", f"[Open this chapter in Colab]({at})")
    assert f'"git+{GITHUB}"' in kinds(path, GITHUB)[2][1]
    for url in ("", "https://example.org/name"):
        assert kinds(path, url)[1][0] == "03-setup"
        assert (f'"git+{url}"' in kinds(path, url)[1][1]) == bool(url)
        assert frame.binder(url) == ""
    assert frame.binder(GITHUB).startswith("https://mybinder.org/v2/gh/owner/name/main?")


@every_notebook
def test_the_notebooks_are_as_the_script_writes_them(path):
    made = frame.framed(course.read(path), path, frame.address())
    assert made == course.read(path), "run `python -m tools.frame`"
    assert nbformat.writes(made) + "\n" == path.read_text(encoding="utf-8")
