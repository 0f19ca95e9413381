"""TEACHING.md's way with nbgrader, run as it stands: handed out, graded, given back."""

import csv
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from lfm import checks
from tools import course, handout

ROOT = Path(__file__).parent.parent.parent
RECIPE = (ROOT / "notebooks" / "TEACHING.md").read_text(encoding="utf-8")
CHAPTERS = [p for p in course.chapters() if p.stem[:2] in ("01", "02")]
BIN = Path(sys.executable).parent


def nbgrader(folder, *arguments):
    # nbgrader calls alembic by its name, as it would find it in an activated environment.
    env = os.environ | {"PATH": os.pathsep.join([str(BIN), os.environ["PATH"]])}
    done = subprocess.run(
        [sys.executable, "-m", "nbgrader", *arguments],
        cwd=folder, env=env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]


def answered(path, student):
    """Return what a student hands in: everything right; or with one error, and forged points.

    The second student's first exercise raises, and in its check stands a number instead.
    """
    solutions = course.read(course.solutions(ROOT / "notebooks" / path.name))
    made = handout.filled_in(course.read(path), solutions)
    if student == "forger":
        i = next(i for i, c in enumerate(made.cells) if "exercise" in course.tags(c))
        made.cells[i].source = "1 / 0"
        made.cells[i + 1].source = "100"
    return made


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A course of two chapters and two students, graded by the recipe."""
    folder = tmp_path_factory.mktemp("course")
    (config,) = re.findall(r"((?:^ +c[ .].*\n)+)", RECIPE, flags=re.M)
    lines = [line.strip() for line in config.splitlines()]
    (folder / "nbgrader_config.py").write_text("\n".join(lines))
    for path in CHAPTERS:
        source = folder / "source" / path.stem
        source.mkdir(parents=True)
        nbformat.write(handout.student(course.read(path)), source / path.name)
        nbgrader(folder, "generate_assignment", path.stem)
        for student in ("ada", "forger"):
            submitted = folder / "submitted" / student / path.stem
            submitted.mkdir(parents=True)
            made = answered(folder / "release" / path.stem / path.name, student)
            nbformat.write(made, submitted / path.name)
        nbgrader(folder, "autograde", path.stem)
        nbgrader(folder, "generate_feedback", path.stem)
    nbgrader(folder, "export")
    return folder


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)
def test_each_gets_the_points_that_are_due(folder, path):
    rows = csv.DictReader((folder / "grades.csv").read_text("utf-8").splitlines())
    found = {r["student_id"]: r for r in rows if r["assignment"] == path.stem}
    given = handout.student(course.read(path)).cells
    points = {
        c.metadata.nbgrader.grade_id: c.metadata.nbgrader.points
        for c in given
        if "check" in course.tags(c)
    }
    total = sum(points.values())
    assert {float(r["max_score"]) for r in found.values()} == {total}
    scores = {student: float(r["score"]) for student, r in found.items()}
    lost = points[f"check-{checks.exercises(path.stem[:2])[0]}"]
    assert scores == {"ada": total, "forger": total - lost}


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)
def test_what_is_handed_out_has_no_outputs_and_all_cells_to_fill_in(folder, path):
    released = course.read(folder / "release" / path.stem / path.name)
    given = handout.student(course.read(path))
    assert [c.source for c in released.cells] == [c.source for c in given.cells]
    assert not any(c.outputs for c in released.cells if c.cell_type == "code")


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)
def test_feedback_has_the_verdicts(folder, path):
    page = (folder / "feedback" / "forger" / path.stem / f"{path.stem}.html").read_text("utf-8")
    assert "ZeroDivisionError" in page
    assert page.count("Passed: ") >= 3
