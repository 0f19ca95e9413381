"""The notes for teachers fit the notebooks: titles, headings, minutes, names of exam questions."""

import re
import shlex
from pathlib import Path

import nbformat
import numpy as np
import pytest

from lfm import checks
from lfm.checks import exams

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "notebooks" / "TEACHING.md").read_text(encoding="utf-8")
NOTES = dict(re.findall(r"^## (\d\d) · [^\n]+\n(.*?)(?=^## |\Z)", TEXT, flags=re.M | re.S))
PLANS = {"Four": 4, "Eight": 8, "Twelve": 12}
PARTS = ["Misconceptions", "Board plan", "Questions", "Exam"]

every_chapter = pytest.mark.parametrize("chapter", sorted(NOTES))


def cells(chapter: str) -> list:
    (path,) = (ROOT / "notebooks").glob(f"{chapter}_*.ipynb")
    return nbformat.read(path, as_version=4).cells


def part(chapter: str, name: str) -> list[str]:
    """Return the lines of one part of a chapter's notes."""
    return re.search(rf"^### {name}\n(.*?)(?=^### |\Z)", NOTES[chapter], re.M | re.S)[1].split("\n")


def items(chapter: str, name: str) -> list[str]:
    return [line for line in part(chapter, name) if line]


def test_chapters_00_to_10_have_notes_in_order():
    assert list(NOTES)[:11] == [f"{c:02d}" for c in range(11)]


@every_chapter
def test_the_notes_have_the_title_of_the_notebook_and_all_parts_in_order(chapter):
    title = cells(chapter)[0].source.splitlines()[0].removeprefix("# ")
    assert f"\n## {title}\n**Aim.** " in TEXT
    assert re.match(r"\*\*Aim\.\*\* .+\n\*\*Needs\.\*\* .+\n### Misconceptions\n", NOTES[chapter])
    assert re.findall(r"^### (.+)$", NOTES[chapter], flags=re.M) == PARTS


@every_chapter
@pytest.mark.parametrize(
    ("name", "form", "counts"),
    [
        ("Misconceptions", r'- \*\*(.+?)\*\* · ".+?[.?!]" .+[.?]', (3, 5)),
        ("Questions", r"- \*\*(.+?)\*\* · .+\? \*.+\.\*", (4, 6)),
    ],
)
def test_misconceptions_and_questions_belong_to_a_section_of_the_notebook(
    chapter, name, form, counts
):
    headings = {
        line.removeprefix("## ")
        for cell in cells(chapter)
        if cell.cell_type == "markdown"
        for line in cell.source.splitlines()
        if line.startswith("## ")
    }
    lines = items(chapter, name)
    assert counts[0] <= len(lines) <= counts[1]
    for line in lines:
        found = re.fullmatch(form, line)
        assert found, line
        assert found[1] in headings, line
        assert line.count("$") % 2 == 0


@every_chapter
def test_the_board_plan_takes_the_time_of_the_chapter(chapter):
    lines = items(chapter, "Board plan")
    found = [re.fullmatch(r"(\d+)\. \((\d+) min\) .{20,}", line) for line in lines]
    assert all(found), lines
    assert [int(f[1]) for f in found] == list(range(1, len(lines) + 1))
    time = int(re.search(r"\*\*Time\.\*\* (\d+) minutes", cells(chapter)[0].source)[1])
    assert abs(sum(int(f[2]) for f in found) - time) <= 0.15 * time


@every_chapter
def test_the_exam_questions_are_those_that_there_are(chapter):
    names = re.findall(r"`([^`]+)`", "".join(part(chapter, "Exam")))
    assert names == [t.name for t in exams.templates() if t.chapter == chapter]


def rows(plan: str) -> list[list[str]]:
    text = re.search(rf"^## {plan} sessions\n(.*?)(?=^## )", TEXT, flags=re.M | re.S)[1]
    table = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[2:]]


@pytest.mark.parametrize(("plan", "sessions"), PLANS.items())
def test_a_plan_fills_its_sessions(plan, sessions):
    table = rows(plan)
    assert [row[0] for row in table] == [str(n + 1) for n in range(sessions)]
    for _, chapters, minutes, _left_out, homework in table:
        parts = minutes.split(" · ")
        times = [re.fullmatch(r".*\((\d+)\)", p) for p in parts]
        assert all(times), parts
        assert sum(int(t[1]) for t in times) == 90, minutes
        named = [p[:2] for p in parts if re.match(r"\d\d\b", p)]
        assert set(chapters.split(", ")) <= set(NOTES)
        assert named == chapters.split(", ") or not named  # an exam asks about all of them
        for chapter in re.findall(r"\bof (\d\d)\b", minutes + homework):
            assert chapter in NOTES


def test_the_longer_plans_take_every_chapter_and_their_whole_time():
    for plan in ("Eight", "Twelve"):
        assert {c for row in rows(plan) for c in row[1].split(", ")} == set(list(NOTES)[:11])
    for _, chapters, minutes, _, _ in rows("Twelve")[:-1]:
        time = int(re.search(r"\*\*Time\.\*\* (\d+) min", cells(chapters)[0].source)[1])
        assert minutes.startswith(f"{chapters} ({time})")


def test_exercises_that_a_plan_names_exist():
    for plan in PLANS:
        for row in rows(plan):
            for low, high, chapter in re.findall(
                r"(\d)(?: (?:to|and) (\d))? of (\d\d)", " ".join(row)
            ):
                assert 1 <= int(low) <= int(high or low) <= len(checks.exercises(chapter))


def test_sections_that_a_plan_names_exist():
    text = "".join(" ".join(row) for plan in PLANS for row in rows(plan))
    sections = {c.source for n in NOTES for c in cells(n) if c.cell_type == "markdown"}
    for heading in re.findall(r'"([^"]+)"', text):
        assert any(f"## {heading}\n" in source for source in sections), heading


def test_the_exam_of_the_last_session_takes_its_time_whatever_the_seed(tmp_path):
    minutes = int(re.search(r"five questions \((\d+)\)", " ".join(rows("Twelve")[-1]))[1])
    command = re.search(r"^    python -m lfm\.checks (.+)$", TEXT, flags=re.M)[1]
    chapters = rows("Twelve")[-1][1].split(", ")
    assert command == f"exam --seed 7 --questions 5 --chapters {','.join(chapters)}"
    checks.main([*shlex.split(command), "--out", str(tmp_path)])
    for seed in range(40):
        paper, _, _ = checks.exam(seed, chapters, 5)
        assert int(re.search(r"Time allowed: (\d+)", paper)[1]) <= minutes


def test_an_exam_of_all_chapters_takes_about_two_hours():
    assert "one a chapter, which takes about two hours" in TEXT
    for seed in range(40):
        chosen = exams._choose(np.random.default_rng([seed, 0]), list(NOTES)[1:], 12)
        assert 105 <= sum(t.minutes for t in chosen) + 5 <= 135
