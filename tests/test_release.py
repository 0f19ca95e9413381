"""A release says the same everywhere: version, licences, how to cite."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import yaml

from tools import course, sources

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_the_version_stands_in_pyproject_and_the_others_agree():
    assert CITATION["version"] == PROJECT["version"]
    assert re.search(r"^## (\S+)", read("CHANGELOG.md"), re.M)[1] == PROJECT["version"]
    sources = [p for p in (ROOT / "lfm").rglob("*.py") if "__version__ =" in p.read_text("utf-8")]
    assert sources == []


def test_the_citation_has_what_its_form_asks_for():
    assert CITATION["cff-version"] == "1.2.0"
    for key in ("message", "title", "authors", "license", "date-released"):
        assert CITATION[key], key
    assert CITATION["license"] == PROJECT["license"] == "MIT"


def test_both_licences_are_here_and_both_are_said():
    assert read("LICENSE").startswith("MIT License")
    text = read("LICENSE-TEXT")
    assert text.startswith("Creative Commons Attribution 4.0 International")
    assert text.rstrip().endswith("creativecommons.org.")
    readme = " ".join(read("README.md").split())
    assert (
        "All code, also that in the notebooks, is under the [MIT licence](LICENSE), and all text "
        "and figures are under [CC BY 4.0](LICENSE-TEXT)" in readme
    )


def test_the_paper_has_the_parts_that_its_journal_asks_for_and_names_works_that_are_known():
    paper = read("paper/paper.md")
    head, text = paper.removeprefix("---\n").split("\n---\n", 1)
    assert {"title", "tags", "authors", "affiliations", "date", "bibliography"} <= set(
        yaml.safe_load(head)
    )
    parts = re.findall(r"^# (.+)$", text, re.M)
    wanted = ["Summary", "Statement of need", "Learning objectives", "Instructional design"]
    assert parts == [*wanted, "Story of the project", "Acknowledgements", "References"]
    assert "left blank" in text  # experience is reported by those who have it
    assert 500 <= len(text.split()) <= 1000  # two pages
    cited = sorted(set(re.findall(r"@([a-z]+-\d{4})", text)))
    assert read("paper/paper.bib") == "\n".join(sources.works()[key].bibtex() for key in cited)


def test_the_first_screen_is_read_in_twenty_seconds():
    """What it is, for whom, how to start, at four words a second."""
    start = read("README.md").split("\nA *latent factor* is")[0]
    text = re.sub(r"\]\([^)]*\)", "", start)
    assert len(re.findall(r"\w+", text)) <= 90
    for part in ("lower bound", "For students", "make course", "](OPEN.md)"):
        assert part in start.replace("\n", " ")


def test_every_chapter_takes_less_memory_than_binder_has():
    page = read("benchmarks/MEMORY.md")
    rows = re.findall(r"^\| (\d\d · .+) \| (\d+) \|$", page, re.M)
    assert [title for title, _ in rows] == [course.title(path) for path in course.chapters()]
    assert max(int(mb) for _, mb in rows) <= 2000 - 300  # JupyterLab takes its share


def test_chapters_00_to_06_need_no_torch():
    code = "\n".join(
        cell.source
        for path in course.chapters()[:7]
        for cell in course.read(path).cells
        if cell.cell_type == "code"
    )
    imports = re.findall(r"^(?:from [\w.]+ )?import .+$", code, re.M)
    assert len(imports) >= 20
    lines = [*imports, "import sys", "assert 'torch' not in sys.modules"]
    call = [sys.executable, "-c", "\n".join(lines)]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
